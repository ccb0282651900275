package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// A program is built once and started many times.
type program struct {
	name   string
	argv   []string // the command that starts it, without its flags
	build  []string // the command that builds it, or that shows that it is there
	needs  string   // a file without which it cannot be built
	remedy string   // what to do when the build fails
}

// isOurs reports whether the program is a zamqp server. config.toml and the
// environment configure it; flags configure the peers.
func (p *program) isOurs() bool { return strings.HasPrefix(p.name, ours) }

// catalogue of programs. It is a struct, so that a misspelt name does not compile.
type programSet struct {
	zamqp, zamqpBench    *program
	evio, gnet, fasthttp *program
	nethttp, orders      *program
	gorilla, gobwas      *program
	amqp091, streadway   *program
	pika, librabbitmq    *program
	zamqpBroker          *program // the embedded broker alone
	rabbitmq, brokerload *program
}

func programs() programSet {
	goPeer := func(name string) *program {
		return &program{name: name, argv: []string{"bin/" + name},
			build: []string{"go", "build", "-o", "bin/" + name, "./peers/" + name}}
	}
	return programSet{
		zamqp: &program{name: ours, argv: []string{"bin/zamqp", "serve", "--config", "../../config.toml"},
			build: []string{"go", "build", "-C", "../..", "-o", "tests/bench/bin/zamqp", "."},
			needs: "../../main.go", remedy: "zamqp is not built yet; its main.go belongs at the top of the repository"},
		zamqpBench: &program{name: "zamqp-bench", argv: []string{"bin/zamqp-bench", "serve", "--config", "../../config.toml"},
			build: []string{"go", "build", "-o", "bin/zamqp-bench", "./ours"},
			needs: "../../publisher/app", remedy: "zamqp is not built yet; ./ours needs zamqp/publisher/app"},
		evio: goPeer("evio"), gnet: goPeer("gnet"), fasthttp: goPeer("fasthttp"), nethttp: goPeer("nethttp"),
		orders: goPeer("orders"), gorilla: goPeer("gorilla"), gobwas: goPeer("gobwas"), amqp091: goPeer("amqp091"), streadway: goPeer("streadway"),
		pika: &program{name: "pika", argv: []string{"/usr/bin/python3", "peers/pika/peer.py"},
			build:  []string{"/usr/bin/python3", "-c", "import pika"},
			remedy: "install pika: apt-get install python3-pika"},
		// Its name is not zamqp, because a program of that name is configured as a
		// server.
		zamqpBroker: &program{name: "broker", build: []string{"go", "build", "-C", "../..", "-o", "tests/bench/bin/zamqp", "."}},
		rabbitmq:    &program{name: "rabbitmq", build: []string{"true"}},
		brokerload:  goPeer("brokerload"),
		librabbitmq: &program{name: "librabbitmq", argv: []string{"bin/librabbitmq"},
			build:  []string{"gcc", "-O2", "-Wall", "-o", "bin/librabbitmq", "peers/librabbitmq/peer.c", "-lrabbitmq"},
			remedy: "install the C client: apt-get install gcc librabbitmq-dev"},
	}
}

// build makes every program that the workloads start.
func (b *bench) build(workloads []workload) error {
	if err := os.MkdirAll("bin", 0o755); err != nil {
		return err
	}
	done := make(map[*program]bool)
	for _, w := range workloads {
		if _, err := exec.LookPath("wrk"); err != nil && usesWrk(w.name) {
			return fmt.Errorf("%s needs wrk: apt-get install wrk", w.name)
		}
		for _, c := range w.contestants {
			if done[c.prog] {
				continue
			}
			done[c.prog] = true
			b.progress("building %s", c.prog.name)
			if err := b.make(c.prog); err != nil {
				return err
			}
			if c.prog.name == "broker" || c.prog.name == "rabbitmq" {
				if err := b.make(programs().brokerload); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func usesWrk(name string) bool {
	return strings.HasPrefix(name, "http-") || strings.HasPrefix(name, "file-") || name == "orders"
}

func (b *bench) make(p *program) error {
	if p.needs != "" {
		if _, err := os.Stat(filepath.FromSlash(p.needs)); err != nil {
			return fmt.Errorf("%s: %s (or leave it out with -skip '/%s$')", p.name, p.remedy, ours)
		}
	}
	out, err := exec.CommandContext(b.ctx, p.build[0], p.build[1:]...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("build %s: %w\n%s%s", p.name, err, out, p.remedy)
	}
	return nil
}
