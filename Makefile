# make test     everything, with the race detector, against real counterparts
# make lint     gofumpt, vet for three systems, staticcheck, golangci-lint
# make bench    DESIGN's budgets: each row a ratio measured in one run
# make kills    10,000 writers of the vault killed with -9, nothing confirmed lost
# make crowd    200 clients at once, 100,000 requests: none lost, none wrong
# make trace    searches the memory of a locked agent, built with runtime/secret, for values (as root)
# make detect-report  secrets found by their look, by kind and by place, beside gitleaks' library
# make soak     ten minutes of fifty requests a second: memory and descriptors stay flat (SOAK=1m for one)
# make suites   ipykernel's, nbclient's and papermill's own tests, on the bare kernel and behind the hook
# make notebooks  executes the notebooks of NBHUSH_TEST_NOTEBOOKS for four minutes: nothing that is no secret goes
# make install  what install.sh does, less the demo

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := build

GO       ?= go
PYTHON   ?= python3
DEVCACHE ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/nbhush-dev
VENV     := $(DEVCACHE)/venv-$(shell cat .ci/requirements.txt | cksum | cut -d' ' -f1)
KERNELS  := $(DEVCACHE)/kernels-$(shell cat .ci/kernels/* | cksum | cut -d' ' -f1)
TOOL     := $(GO) tool -modfile=.ci/tools/go.mod
VERSION  ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo 0.1.0)
LDFLAGS  := -s -w -X main.version=$(VERSION)
BENCH    ?= .
FUZZTIME ?= 30s

export CGO_ENABLED ?= 0
export NBHUSH_TEST_PYTHON ?= $(VENV)/bin/python

.PHONY: build test unit lint bench kills crowd trace detect-report notebooks soak suites fuzz venv kernels kernels/path deps install docs clean

build:
	$(GO) build -trimpath -ldflags '$(LDFLAGS)' -o bin/ ./cmd/nbhush ./cmd/nbhush-hook ./cmd/nbhush-providers
	GO='$(GO)' cmd/nbhush-outputs/build.sh '$(CURDIR)/bin/nbhush-outputs' '$(LDFLAGS)'

# The race detector needs cgo; what ships is built without it. Programs that are
# built with it wait a second before they end, unless told not to.
test: deps venv kernels
	PATH='$(KERNELS)/bin':"$$PATH" CGO_ENABLED=1 GORACE=atexit_sleep_ms=0 $(GO) test -race -timeout 25m ./...

# Only what needs nothing but Go: under a minute, offline.
unit:
	env -u NBHUSH_TEST_PYTHON $(GO) test -short ./...

lint:
	@fmt="$$($(TOOL) gofumpt -l agent cmd kernelhook nbstrip)"; if [ -n "$$fmt" ]; then echo "gofumpt would change:"; echo "$$fmt"; exit 1; fi
	for os in linux darwin windows; do GOOS=$$os $(GO) vet ./... && for p in nbhush nbhush-hook nbhush-providers nbhush-outputs; do GOOS=$$os $(GO) build -o /dev/null ./cmd/$$p || exit 1; done || exit 1; done
	$(TOOL) staticcheck ./...
	$(TOOL) golangci-lint run ./...
	$(GO) mod tidy -diff

# 10,000 writers of a vault, killed with -9.
KILLS ?= 10000
kills:
	NBHUSH_TEST_KILLS=$(KILLS) $(GO) test ./agent/store/vault -count 1 -run TestKilledWriters -v -timeout 60m

REQUESTS ?= 100000
crowd:
	NBHUSH_TEST_REQUESTS=$(REQUESTS) $(GO) test ./agent -count 1 -run TestCrowd -v -timeout 30m

trace: venv
	NBHUSH_TEST_TRACE=1 $(GO) test ./agent -count 1 -run TestNoTraceAfterLock -v
	data=$$(mktemp -d); printf 'test\n' >"$$data/password"; \
	XDG_DATA_HOME="$$data" NBHUSH_TEST_TRACE=1 NBHUSH_TEST_TRACE_STORE=keyring dbus-run-session -- sh -c \
	'gnome-keyring-daemon --unlock --components=secrets <"$$XDG_DATA_HOME/password" >/dev/null && $(GO) test ./agent -count 1 -run TestNoTraceAfterLock -v'; rm -rf "$$data"

bench: deps venv
	$(GO) run ./.ci/bench -run '$(BENCH)'

# NBHUSH_TEST_NOTEBOOKS names a folder of real notebooks, in which next to nothing is to be found.
SEED ?= 1
detect-report:
	@mkdir -p bin
	@cd .ci/detect && $(GO) run . -seed $(SEED) > ../../bin/gitleaks.txt
	@$(GO) test ./nbstrip -count 1 -v -run 'TestRecall|TestFindings' -report -seed $(SEED) -beside ../bin/gitleaks.txt

notebooks: deps venv
	$(GO) test ./kernelhook -count 1 -v -run TestRealNotebooks -real 4m
	$(GO) test ./kernelhook/redact -count 1 -v -run TestNothingUnrelatedGoes -bench BenchmarkNotebooks

SOAK ?= 10m
soak: deps venv
	$(GO) test ./cmd/nbhush -count 1 -v -run TestSoak -timeout 30m -soak $(SOAK)

# Their sources and what they need, beside the virtual environments.
SUITES := $(DEVCACHE)/suites-$(shell cat .ci/requirements.txt .ci/suites.txt | cksum | cut -d' ' -f1)
suites: deps venv $(SUITES)/done
	NBHUSH_TEST_SUITES='$(SUITES)' $(GO) test ./cmd/nbhush -count 1 -v -run TestSuites -timeout 60m
$(SUITES)/done:
	rm -rf '$(SUITES)'
	mkdir -p '$(SUITES)'
	for p in $$(grep -E '^(ipykernel|nbclient|papermill)==' .ci/requirements.txt); do \
	  '$(VENV)/bin/pip' download --quiet --disable-pip-version-check --no-deps --no-binary "$${p%%=*}" -d '$(SUITES)' "$$p"; done
	'$(VENV)/bin/pip' install --quiet --disable-pip-version-check --target '$(SUITES)/site' -r .ci/suites.txt
	touch '$@'

# Every fuzz target for FUZZTIME.
fuzz:
	@for pkg in $$($(GO) list ./...); do \
	  for target in $$($(GO) test -list '^Fuzz' $$pkg | grep '^Fuzz' || true); do \
	    echo "$$pkg $$target"; $(GO) test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) $$pkg; \
	  done; done

venv: $(VENV)/done
$(VENV)/done: # its name has the checksum of .ci/requirements.txt
	@echo "making the test environment in $(VENV)"
	rm -rf '$(VENV)'
	$(PYTHON) -m venv '$(VENV)'
	'$(VENV)/bin/pip' install --quiet --disable-pip-version-check -r .ci/requirements.txt
	touch '$@'

# Kernels that no registry has as programs; make -s kernels/path says where they are.
kernels: $(KERNELS)/done
$(KERNELS)/done:
	@echo "building kernels in $(KERNELS)"
	rm -rf '$(KERNELS)'
	@.ci/kernels/build '$(KERNELS)'
kernels/path: kernels
	@echo '$(KERNELS)/bin'

deps:
	@.ci/deps

install:
	./install.sh --no-demo

clean:
	rm -rf bin
