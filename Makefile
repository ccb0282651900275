# make help lists the targets. CI calls only these.

SHELL := /bin/bash
TESTRUN := go run ./tests/setup/testrun

# Building from a checkout that belongs to somebody else must not fail over the
# version control stamp.
ifneq ($(shell git status >/dev/null 2>&1 && echo ok),ok)
export GOFLAGS := $(GOFLAGS) -buildvcs=false
endif

# How long `make fuzz` gives each target.
FUZZTIME ?= 30s
export FUZZTIME

# How long `make chaos` takes.
CHAOSTIME ?= 30m

.DEFAULT_GOAL := help
.PHONY: help build run check test race fuzz bench chaos interop rabbitmq-all gen tidy cross install fresh clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: ## build the server into bin/zamqp
	go build -o bin/zamqp .

run: ## build and start the server, with the broker that is in it unless another is configured
	@tests/setup/run

check: ## what needs no network and no broker: format, vet, tidy, unit tests
	@ZAMQP_TEST_AMQP_URL= $(TESTRUN) -only gofmt,vet,static,tidy,short

test: install ## everything: checks, unit, race, fuzz, interop with RabbitMQ, bench smoke
	@FUZZTIME=5s $(TESTRUN)

race: ## unit tests under the race detector
	@$(TESTRUN) -only race

fuzz: ## every fuzz target for FUZZTIME (30s)
	@$(TESTRUN) -only fuzz

bench: install ## the whole benchmark beside its peers; writes a page under docs/bench
	cd tests/bench && go run .

chaos: install ## kills, stops, freezes, partitions and full disks for CHAOSTIME (30m), in RabbitMQ and in ours; writes a page under docs/chaos
	cd tests/chaos && CHAOSTIME=$(CHAOSTIME) CHAOSPAGE=$(CURDIR)/docs/chaos/$$(date +%F)-$$(git rev-parse --short HEAD).md go test -run '^TestLong$$' -timeout 0 -v .

interop: install ## the built binary with RabbitMQ, pika, amqp091-go and streadway/amqp
	@$(TESTRUN) -only interop

rabbitmq-all: install ## what talks to RabbitMQ, with 3.10, 4.0 and 4.3 of it (as root); prints one table
	@$(TESTRUN) -rabbitmq all

gen: ## regenerate the generated files
	go generate ./...

tidy: ## imports between packages, names, lengths, formatting
	@$(TESTRUN) -only tidy

cross: ## build and vet for darwin and freebsd
	@$(TESTRUN) -only cross

install: ## install what the tests need and this machine lacks (Debian packages as root)
	@tests/setup/install || echo "make: going on without; tests that need it are skipped"

fresh: ## the two commands of the README on a bare Debian 12 (as root, needs debootstrap)
	@tests/setup/fresh

clean: ## remove what was built, and the data of make run
	rm -rf bin tmp
