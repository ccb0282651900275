//go:build !linux

package journal

import "os"

func dataSync(f *os.File) error { return f.Sync() }

func allocate(f *os.File, size int64) error { return fill(f, size) }

func bootID() string { return "" }
