# Every target fetches what it misses (scripts/tools.sh) and can be called again at any time.
.PHONY: help run demo dev build check test attacks bench torture streams fuzz schemathesis tools clean
.DEFAULT_GOAL := help

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' Makefile

run: ## build Taskscope and serve it on http://127.0.0.1:3000 (or TASKSCOPE_ADDR)
	@scripts/run

demo: ## the same, with NATS, a TaskIQ worker and a steady load of sample tasks
	@scripts/demo

dev: ## build in debug mode, serve, rebuild and reload on every change
	@scripts/dev

build: ## the release program: target/release/taskscope, target/release/hash.txt, target/site
	@scripts/build

check: ## formatting, lints on both sides, docs, checked SQL, Python types
	@scripts/check

test: ## check, and the tests of Rust, Python and the browser
	@scripts/test

attacks: ## take each defence out, and see its tests fail (half an hour); N="05 08" takes only those
	@scripts/attacks $(N)

bench: ## measure speed, memory and size, and write docs/benchmarks.md; PARTS="history search" shows only those
	@scripts/bench $(PARTS)

torture: ## break what the server stands on for half an hour and prove that nothing was lost; SEED=7 repeats, ARGS="--kills 60" is another measure
	@SEED='$(SEED)' scripts/torture $(ARGS)

streams: ## take watchers' connections and servers away 10,000 times and prove that each was told all; SEED=7 draws the same, ARGS="--disconnects 500" is another measure
	@SEED='$(SEED)' scripts/streams $(ARGS)

fuzz: ## look for bytes that break a promise, an hour a target, all at once; TARGET=search takes one, SECONDS=60 is shorter
	@scripts/fuzz '$(SECONDS)' $(TARGET)

schemathesis: ## ask the whole HTTP API what nobody thought of, as nobody, as a worker, as a viewer and as an admin
	@scripts/schemathesis

tools: ## fetch every tool that any target needs
	@scripts/tools

clean: ## delete what was built here; tools that clones share stay
	@rm -rf target end2end/node_modules end2end/artifacts
