package main

import (
	"fmt"
	"os"
	"strings"
	"sync"
)

// fuzzTime is the time for each target; for longer runs use `make fuzz
// FUZZTIME=10m`.
func fuzzTime() string {
	if s := os.Getenv("FUZZTIME"); s != "" {
		return s
	}
	return "8s"
}

// fuzz runs every fuzz target of the module, two at a time.
func fuzz() *outcome {
	o := &outcome{}
	targets := fuzzTargets(o)
	if len(targets) == 0 && o.failed == 0 {
		o.skip("there are no fuzz targets")
	}
	var wg sync.WaitGroup
	var mu sync.Mutex
	slots := make(chan struct{}, 2)
	for _, target := range targets {
		wg.Go(func() {
			slots <- struct{}{}
			out, err := fuzzOne(target)
			<-slots
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				o.fail("%s %s: %v\n%s", target.pkg, target.test, err, out)
			} else {
				o.passed++
			}
		})
	}
	wg.Wait()
	return o
}

// fuzzOne runs one target. The testing package sometimes reports the end of its own
// fuzz time as a failure ("context deadline exceeded", golang/go#48591). That is
// not a finding: a finding writes its input to a file.
func fuzzOne(target id) (string, error) {
	out, err := command(".", nil, "go", "test", "-run", "^$", "-fuzz", "^"+target.test+"$",
		"-fuzztime", fuzzTime(), "-parallel", "2", target.pkg)
	if err != nil && strings.Contains(out, "context deadline exceeded") && !strings.Contains(out, "Failing input written") {
		return out, nil
	}
	return out, err
}

// fuzzTargets asks the test binaries, so that no target is forgotten.
func fuzzTargets(o *outcome) []id {
	out, err := command(".", nil, "go", "test", "-list", "^Fuzz", "./...")
	if err != nil {
		o.fail("go test -list: %v\n%s", err, out)
		return nil
	}
	var targets []id
	var names []string
	for line := range strings.Lines(out) {
		f := strings.Fields(line)
		switch {
		case len(f) == 1 && strings.HasPrefix(f[0], "Fuzz"):
			names = append(names, f[0])
		case len(f) > 1 && f[0] == "ok":
			for _, n := range names {
				targets = append(targets, id{f[1], n})
			}
			names = nil
		}
	}
	if len(names) > 0 {
		o.fail("%s", fmt.Sprint("go test -list named targets without a package: ", names))
	}
	return targets
}
