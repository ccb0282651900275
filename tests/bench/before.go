package main

import (
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Comparison with an earlier revision: -before builds that revision's server. It
// takes part in each of our workloads as one more contestant, so both run in the
// same rounds.

// earlier is the name of the earlier revision's server.
const earlier = ours + " before"

// sourceOfBefore is the directory of the earlier revision's source.
const sourceOfBefore = "bin/before"

// withBefore puts the earlier server in place of the peers. Workloads of the
// embedded broker stay out: they start it with commands of their own. So do those
// of latency, of slow readers and of HTTPS: an earlier revision may not have them.
func withBefore(all []workload) []workload {
	var kept []workload
	for _, w := range all {
		if strings.HasPrefix(w.name, "broker-") || strings.HasPrefix(w.name, "slow-") || strings.HasPrefix(w.name, "https-") || strings.HasPrefix(w.name, "file-") || w.tail {
			continue
		}
		now := w.contestants[0]
		w.contestants = []contestant{now, {earlier, now.prog.before(), now.procs}}
		w.goals = nil
		kept = append(kept, w)
	}
	return kept
}

// before is the same program at the earlier revision.
func (p *program) before() *program {
	root, _ := filepath.Abs(sourceOfBefore)
	bin, _ := filepath.Abs(filepath.Join("bin", p.name+"-before"))
	dir, pkg := root, "."
	if p.name != ours {
		dir, pkg = filepath.Join(root, "tests", "bench"), "./ours"
	}
	return &program{name: p.name + "-before", argv: []string{bin, "serve", "--config", filepath.Join(root, "config.toml")},
		build: []string{"go", "build", "-C", dir, "-buildvcs=false", "-o", bin, pkg}}
}

// unpackBefore writes the source of a revision to sourceOfBefore.
func (b *bench) unpackBefore(revision string) error {
	if err := os.RemoveAll(sourceOfBefore); err != nil {
		return err
	}
	if err := os.MkdirAll(sourceOfBefore, 0o755); err != nil {
		return err
	}
	archive := filepath.Join(b.dir, "before.tar")
	for _, argv := range [][]string{
		{"git", "-C", "../..", "archive", "-o", archive, revision},
		{"tar", "-x", "-C", sourceOfBefore, "-f", archive},
	} {
		if out, err := exec.CommandContext(b.ctx, argv[0], argv[1:]...).CombinedOutput(); err != nil {
			return fmt.Errorf("the source of %q: %w\n%s", revision, err, out)
		}
	}
	return nil
}

// change is our cost divided by that of the earlier revision: the geometric mean of
// the rounds' ratios, and the bounds of its 95 % confidence interval (Student's t
// over the logarithms). It is not known without the earlier revision, or after only
// one round.
func (r *result) change() (ratio, low, high float64, known bool) {
	if len(r.contestants) != 2 || r.contestants[1].name != earlier || len(r.samples[0]) < 2 {
		return 0, 0, 0, false
	}
	n := float64(len(r.samples[0]))
	var sum, squares float64
	for round, now := range r.samples[0] {
		l := math.Log(now.cost(r.memory) / r.samples[1][round].cost(r.memory))
		sum += l
		squares += l * l
	}
	mean := sum / n
	deviation := math.Sqrt(max(0, squares-n*mean*mean) / (n - 1))
	half := student(len(r.samples[0])-1) * deviation / math.Sqrt(n)
	return math.Exp(mean), math.Exp(mean - half), math.Exp(mean + half), true
}

// student is the 97.5 % quantile of Student's t distribution.
func student(freedom int) float64 {
	table := []float64{12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131}
	if freedom <= len(table) {
		return table[freedom-1]
	}
	return 1.96 + 2.5/float64(freedom) // correct within 0.01
}
