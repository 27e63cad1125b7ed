# make help lists the targets.

# What is piped through grep fails if it fails.
SHELL = /bin/bash
.SHELLFLAGS = -o pipefail -c

STATICCHECK = go run honnef.co/go/tools/cmd/staticcheck@v0.8.2
FUZZTIME ?= 10s
ROUNDS ?= 3
COUNT ?= 2
SINGLE = TestWhateverHappensOnTheWire|TestTheWallsTicks|TestARateIsNeverExceeded|TestHoweverManyWait|TestEachTickRunsOnce

help: ## this list
	@grep -E '^[a-z]+:.*##' Makefile | sed 's/:.*##/\t/'

unittest: ## all tests, on SQLite and PostgreSQL
	go test -timeout 20m ./...

check: ## gofmt, go vet, staticcheck
	@test -z "$$(gofmt -l .)" || { gofmt -l .; echo 'gofmt -w would change these'; exit 1; }
	go vet ./...
	$(STATICCHECK) ./...

race: ## the race detector on the rooms with goroutines, every test COUNT times but for long ones of a single goroutine; jobs on PostgreSQL alone
	go test -race -count=$(COUNT) -timeout 30m -skip '$(SINGLE)' ./dbctx/...
	go test -race -count=$(COUNT) -timeout 30m -skip '$(SINGLE)|/sqlite' ./jobs/...

bench: limits beside ## every figure that is promised: see limits and beside

limits: ## against what PostgreSQL itself allows, in ROUNDS: jobs, leads in chunks, scopes; from enqueue to start; to delivered; leads taken in
	go test -run '^$$' -bench JobAgainstTheLimit -benchtime $(ROUNDS)x .
	go test -run '^$$' -bench PipelineAgainstBareSQL -benchtime $(ROUNDS)x .
	go test -run '^$$' -bench ScopeByHand -benchtime $(ROUNDS)x ./dbctx
	go test -run '^$$' -bench EmptyScope ./dbctx
	go test -run '^$$' -bench Pickup -benchtime 1000x ./jobs
	go test -run '^$$' -bench FromPostToDelivered -benchtime 300x .
	go test -run '^$$' -bench Intake/posts -benchtime 20000x ./web
	go test -run '^$$' -bench Intake/batches -benchtime 200x ./web

beside: ## a post beside an import of 200,000 rows, a job beside a million that wait, leads from SQL; minutes
	go test -run '^$$' -bench 'LiveBesideBulk|JobBesideABacklog' -benchtime 1x -timeout 30m .
	go test -run '^$$' -bench LeadsFromSQL -benchtime $(ROUNDS)x ./jobs

FUZZ ?= Fuzz
FUZZERS ?= 2
READERS = FuzzParse|FuzzCSV|FuzzEncodings|FuzzXLSX|FuzzSheet|FuzzColumns|FuzzBatch|FuzzOpenGoogle|FuzzRead|FuzzChanges|FuzzVerify

# Up to Go 1.26 the end of the time may be reported as a failure, without an input that fails: golang/go#75804.
FUZZ_ONE = log=$$(mktemp); \
	go test -run "^$$" -fuzz "^$$0$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 1s -parallel 1 $$1 >$$log 2>&1; code=$$?; cat $$log; \
	if grep -qx "    context deadline exceeded" $$log && ! grep -q "Failing input" $$log; then code=0; fi; \
	rm $$log; exit $$code

fuzz: ## every fuzz test whose name matches FUZZ, for FUZZTIME, FUZZERS side by side
	@for p in $$(go list ./lead/... ./web); do \
		go test -run '^$$' -fuzz '^$$' $$p >&2 || exit 1; \
		go test -list '$(FUZZ)' $$p | sed -n "/^Fuzz/s#\$$# $$p#p"; \
	done | xargs -P $(FUZZERS) -L 1 sh -c '$(FUZZ_ONE)'

readers: ## every reader of what strangers send, fuzzed side by side for FUZZTIME
	@$(MAKE) --no-print-directory fuzz FUZZ='^($(READERS))$$$$'

PROGRAMS ?= 100000
SEED ?= 0

model: ## PROGRAMS random programs against dbctx and a plain model, on both databases; SEED=0 takes another seed each time
	go test ./dbctx -run '^TestModel$$' -count=1 -timeout 0 -v -programs $(PROGRAMS) -seed $(SEED)

plant: ## bugs put in one at a time, each of which the random programs and the reckoning of the faults must find
	go test -tags plant ./dbctx -run '^TestPlantedBugsAreFound$$' -count=1 -timeout 0 -v
	go test -tags plant . -run '^TestPlantedFaultsAreFound$$' -count=1 -timeout 0 -v

fault: ## every fault under full load, as a table: kill -9, restarts, full disks, cut wires ...; about 20 minutes
	go test . -run '^(TestFaults|TestACorrupt)' -count=1 -timeout 0 -v -faults | grep -v -e '=== ' -e process_test

KILLS ?= 50
ROWS ?= 200000,1000000

resume: ## readers of files are killed KILLS times at random moments, on each database: every row is there once
	go test . -run '^TestAnImportWhoseReaders' -count=1 -timeout 0 -v -resume.kills $(KILLS) | grep -v -e '=== ' -e process_test

bigfile: ## files of ROWS rows through worker and import: seconds, rows a second, and the memory each has taken at most
	go test . -run '^TestABigFile' -count=1 -timeout 0 -v -bigfile $(ROWS) | grep -e '^bigfile' -e '---'

.PHONY: help unittest check race bench limits beside fuzz readers model plant fault resume bigfile
