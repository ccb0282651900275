package config

import (
	"testing"
	"testing/fstest"
)

func TestMemoryLimit(t *testing.T) {
	const meminfo = "MemTotal:        8388608 kB\nMemFree: 1 kB\n"
	for _, row := range []struct {
		name  string
		files map[string]string
		want  Size
		of    string
	}{
		{"a system that says nothing", nil, 0, ""},
		{"no control group", map[string]string{"proc/meminfo": meminfo}, 8 * GiB, "machine"},
		{"version 2", map[string]string{"proc/meminfo": meminfo, "proc/self/cgroup": "0::/a/b\n",
			"sys/fs/cgroup/a/b/memory.max": "max\n", "sys/fs/cgroup/a/memory.max": "314572800\n"}, 300 * MiB, "control group"},
		{"version 2, in a container", map[string]string{"proc/meminfo": meminfo, "proc/self/cgroup": "0::/../x\n",
			"sys/fs/cgroup/memory.max": "1073741824\n"}, GiB, "control group"},
		{"version 1", map[string]string{"proc/meminfo": meminfo, "proc/self/cgroup": "3:cpu:/\n2:memory:/docker/1\n",
			"sys/fs/cgroup/memory/memory.limit_in_bytes": "536870912\n"}, 512 * MiB, "control group"},
		{"version 1 without a limit", map[string]string{"proc/meminfo": meminfo, "proc/self/cgroup": "2:memory:/\n",
			"sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n"}, 8 * GiB, "machine"},
	} {
		root := fstest.MapFS{}
		for name, text := range row.files {
			root[name] = &fstest.MapFile{Data: []byte(text)}
		}
		if got, of := memoryLimit(root); got != row.want || of != row.of {
			t.Errorf("%s: %s of %q", row.name, got, of)
		}
	}
}

func TestDefaultsFitMemory(t *testing.T) {
	s := Defaults()
	s.fitMemory(300 * MiB)
	if s.Broker.MemoryMax != 120*MiB || s.HTTP.BodiesMax != 300*MiB/8 {
		t.Errorf("%s, %s", s.Broker.MemoryMax, s.HTTP.BodiesMax)
	}
	s = Defaults()
	s.origins = map[string]Origin{"broker.memory_max": {}, "http.bodies_max": {}}
	s.fitMemory(300 * MiB)
	if d := Defaults(); s.Broker.MemoryMax != d.Broker.MemoryMax || s.HTTP.BodiesMax != d.HTTP.BodiesMax {
		t.Error("what is set was changed")
	}
	s = Defaults()
	s.fitMemory(64 * GiB)
	if s.Broker.MemoryMax != GiB {
		t.Errorf("%s", s.Broker.MemoryMax)
	}
}
