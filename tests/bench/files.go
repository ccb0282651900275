package main

import (
	"fmt"
	"os"
	"path/filepath"
)

// startFiles is startServer for the workloads of files. They are of these sizes, in KiB, and named
// by them.
func (b *bench) startFiles(c contestant, sizes ...int) (*server, error) {
	dir := filepath.Join(b.dir, "files")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	for _, size := range sizes {
		content := make([]byte, size<<10)
		for i := range content {
			content[i] = byte(i * i >> 8)
		}
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprint(size, ".bin")), content, 0o644); err != nil {
			return nil, err
		}
	}
	flags := []string{"-files", dir}
	if c.prog.isOurs() {
		b.ownEnv = []string{"BENCH_FILES=" + dir}
		defer func() { b.ownEnv = nil }()
		flags = nil
	}
	return b.startServer(c, flags...)
}

// getFile is GET of a file of so many KiB.
func getFile(size int) func(*bench, contestant) (sample, error) {
	return func(b *bench, c contestant) (sample, error) {
		s, err := b.startFiles(c, size)
		if err != nil {
			return sample{}, err
		}
		defer s.stop()
		got, _, err := b.loadURL(s, fmt.Sprintf("http://%s/files/%d.bin", s.addr, size), "report.lua", nil)
		return got, err
	}
}
