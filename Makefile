# Swiftlet's commands. `make run` and `make test` need a Debian machine with a Swift 6 toolchain and nothing else: what
# is missing they install (apt, pip).

# Exclusivity is checked in debug builds; in release ones the checks cost a tenth of the time. The standard library is
# linked in, so that a server runs where there is no toolchain.
RELEASE_FLAGS = -c release -Xswiftc -enforce-exclusivity=unchecked --static-swift-stdlib
SERVER = $(CURDIR)/.build/release/swiftlet-server
MIGRATE = $(CURDIR)/.build/release/redis-migrate
# For pipefail: a build that fails must not go on to the tests of the one before.
SHELL = /bin/bash
DATA ?= data
# Where `make install` puts things; a package sets DESTDIR.
PREFIX ?= /usr/local
SYSCONFDIR ?= /etc
DESTDIR ?=
ARGS ?=
PYTHON = .venv/bin/python
SWIFT_SOURCES = Sources Tests schema Package.swift
PYTHON_SOURCES = Tests Benchmarks packaging/manual
TESTS ?= Tests/tidy Tests/docs Tests/clients

BUILD_PACKAGES = libsqlite3-dev libjemalloc-dev liblzf-dev libssl-dev liblua5.1-0-dev lua-cjson-dev lua-bitop-dev zlib1g-dev libzstd-dev
TEST_PACKAGES = redis-server redis-tools sqlite3 openssl python3-venv strace
SETUP_PACKAGES = nutcracker haproxy
PAGE_PACKAGES = chromium fonts-dejavu-core
PACKAGING_PACKAGES = dpkg-dev lintian mmdebstrap
GUIDE_PACKAGES = restic rclone sqlite3-tools
PIP_PACKAGES = pytest redis hiredis ruff

SUDO = $(shell [ "$$(id -u)" = 0 ] || echo sudo)

.PHONY: deps test-deps build debug run install man deb deb-test container-test test unit clients asan tsan mutants bench bench-pages bench-groups crash crash-eviction point-in-time powercut simulate differential differential-acl differential-replicas differential-scripts replication replication-chaos sentinel setups docs ecosystem peers fuzz fuzz-scripts lint format clean migrate-peers analysts query-times sql-hostile sql-random pages fuzz-tool

deps:
	@missing=""; for p in $(BUILD_PACKAGES); do dpkg -s $$p >/dev/null 2>&1 || missing="$$missing $$p"; done; \
	if [ -n "$$missing" ]; then $(SUDO) apt-get update -q && $(SUDO) apt-get install -qy $$missing; fi

test-deps: deps
	@missing=""; for p in $(TEST_PACKAGES); do dpkg -s $$p >/dev/null 2>&1 || missing="$$missing $$p"; done; \
	if [ -n "$$missing" ]; then $(SUDO) apt-get update -q && \
	$(SUDO) env RUNLEVEL=1 apt-get install -qy $$missing; fi
	@[ -x $(PYTHON) ] || python3 -m venv .venv
	@$(PYTHON) -c 'import pytest, redis, hiredis, ruff' 2>/dev/null || $(PYTHON) -m pip install -q $(PIP_PACKAGES)

build: deps
	swift build $(RELEASE_FLAGS)

# `make run ARGS="--port 7777"`
run: build
	@mkdir -p $(DATA)
	$(SERVER) --dir $(DATA) $(ARGS)

# What `make build` has built, and what belongs to it: never over a configuration that is there. `make install PREFIX=~/.local`
install:
	@[ -x $(SERVER) ] && [ -x $(MIGRATE) ] || { echo "Nothing is built yet: run make build first" >&2; exit 1; }
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/share/man/man1 $(DESTDIR)$(PREFIX)/share/doc/swiftlet \
	$(DESTDIR)$(PREFIX)/share/bash-completion/completions $(DESTDIR)$(PREFIX)/share/zsh/site-functions \
	$(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d $(DESTDIR)$(PREFIX)/lib/systemd/system $(DESTDIR)$(SYSCONFDIR)/swiftlet
	install -m 755 $(SERVER) $(MIGRATE) $(DESTDIR)$(PREFIX)/bin
	install -m 644 packaging/man/*.1 $(DESTDIR)$(PREFIX)/share/man/man1
	install -m 644 README.md CHANGELOG.md docs/*.md docs/datasette.yaml $(DESTDIR)$(PREFIX)/share/doc/swiftlet
	$(SERVER) --completion bash > $(DESTDIR)$(PREFIX)/share/bash-completion/completions/swiftlet-server
	$(SERVER) --completion zsh > $(DESTDIR)$(PREFIX)/share/zsh/site-functions/_swiftlet-server
	$(SERVER) --completion fish > $(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d/swiftlet-server.fish
	$(MIGRATE) --generate-completion-script bash > $(DESTDIR)$(PREFIX)/share/bash-completion/completions/redis-migrate
	$(MIGRATE) --generate-completion-script zsh > $(DESTDIR)$(PREFIX)/share/zsh/site-functions/_redis-migrate
	$(MIGRATE) --generate-completion-script fish > $(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d/redis-migrate.fish
	sed 's|@PREFIX@|$(PREFIX)|g; s|@SYSCONFDIR@|$(SYSCONFDIR)|g' packaging/swiftlet-server.service \
	> $(DESTDIR)$(PREFIX)/lib/systemd/system/swiftlet-server.service
	@conf=$(DESTDIR)$(SYSCONFDIR)/swiftlet/swiftlet.conf; [ -e $$conf ] || install -m 644 packaging/swiftlet.conf $$conf

# The manual page of redis-migrate, out of what the program says of itself.
man: build
	packaging/manual $(MIGRATE)

# A package for a Debian without Swift, in .build/deb.
deb: build
	packaging/build-deb .build/deb

# As root: the package in a bare Debian without Swift, made by mmdebstrap; and lintian's opinion.
deb-test: deb
	@missing=""; for p in $(PACKAGING_PACKAGES); do dpkg -s $$p >/dev/null 2>&1 || missing="$$missing $$p"; done; \
	if [ -n "$$missing" ]; then $(SUDO) apt-get update -q && $(SUDO) apt-get install -qy $$missing; fi
	lintian --fail-on error,warning --suppress-tags initial-upload-closes-no-bugs .build/deb/*.deb
	Tests/packaging/deb.sh .build/deb/*.deb

# As root: packaging/Containerfile, line by line, in such a Debian, with the server as process 1.
container-test: deb
	@dpkg -s mmdebstrap >/dev/null 2>&1 || { $(SUDO) apt-get update -q && $(SUDO) apt-get install -qy mmdebstrap; }
	Tests/packaging/container.sh .build/deb/*.deb

# A warning in our own code is an error; those of dependencies are theirs.
unit: test-deps
	@mkdir -p .build
	@set -o pipefail; swift build --build-tests 2>&1 | tee .build/build.log | tail -n 5 || \
	{ grep error: .build/build.log; exit 1; }
	@! grep -E "(^|[ /])(Sources|Tests|schema)/[^:]*:[0-9]+:[0-9]+: warning:" .build/build.log | grep -v /checkouts/
	swift test --skip-build $${FILTER:+--filter $$FILTER}

# What is random there has a seed of its own here, so that a change is not refused for what it did not change; without it,
# or in `make differential`, every run tries something else.
clients: test-deps build
	SWIFTLET_SEED=$${SWIFTLET_SEED:-20261123} SWIFTLET_SERVER=$(SERVER) SWIFTLET_MIGRATE=$(MIGRATE) \
	$(PYTHON) -m pytest -q $(TESTS)

test: lint unit clients

crash: test-deps build
	$(PYTHON) Tests/crash/crash.py --server $(SERVER) --rounds $${ROUNDS:-500}

# Kills the server under maxmemory, while keys are evicted.
crash-eviction: test-deps build
	$(PYTHON) Tests/crash/eviction.py --server $(SERVER) --rounds $${ROUNDS:-100} $${SEED:+--seed $$SEED}

# Goes back to random moments of a run with FLUSHALLs, failed checkpoints and kills; the seed is printed.
point-in-time: test-deps build
	$(PYTHON) Tests/crash/point_in_time.py --server $(SERVER) --moments $${MOMENTS:-100} $${SEED:+--seed $$SEED}

# As root: power cuts on an ext4 of its own, on a loop device; the seed is printed.
powercut: test-deps build
	$(PYTHON) Tests/crash/powercut.py --server $(SERVER) --rounds $${ROUNDS:-500} $${SEED:+--seed $$SEED}

# Crashes at any call of the storage, on a disk in memory that loses what was not synced; the seed is printed. Optimised:
# a million states.
simulate: deps
	SWIFTLET_CRASH_STATES=$${STATES:-1000000} $${SEED:+SWIFTLET_SEED=$$SEED} swift test -c release \
	-Xswiftc -enable-testing --scratch-path .build/fuzz --filter SimulationTests

# Random commands compared with redis-server; the seed is printed.
differential: test-deps build
	SWIFTLET_SERVER=$(SERVER) SWIFTLET_MIGRATE=$(MIGRATE) $(PYTHON) Tests/differential/run.py \
	--commands $${COMMANDS:-20000000} $${SEED:+--seed $$SEED}

# Random users, rules and commands: who may do what, compared with redis-server; the seed is printed.
differential-acl: test-deps build
	SWIFTLET_SERVER=$(SERVER) $(PYTHON) Tests/differential/users.py --checks $${CHECKS:-1000000} $${SEED:+--seed $$SEED}

# With replicas, of either server, which must have what their masters have.
differential-replicas: test-deps build
	SWIFTLET_SERVER=$(SERVER) SWIFTLET_MIGRATE=$(MIGRATE) $(PYTHON) Tests/differential/run.py \
	--replicas --commands $${COMMANDS:-5000000} $${SEED:+--seed $$SEED}

# Half of the commands called from scripts and functions.
differential-scripts: test-deps build
	SWIFTLET_SERVER=$(SERVER) SWIFTLET_MIGRATE=$(MIGRATE) $(PYTHON) Tests/differential/run.py \
	--scripts --commands $${COMMANDS:-1000000} $${SEED:+--seed $$SEED}

# Chains of Swiftlet and redis-server under load, a million keys each; the seed is printed.
replication: test-deps build
	SWIFTLET_SERVER=$(SERVER) $(PYTHON) Tests/replication/matrix.py --keys $${KEYS:-1000000} $${SEED:+--seed $$SEED}

# Cut, slow and half-open links, stopped and killed servers; the seed is printed.
replication-chaos: test-deps build
	SWIFTLET_SERVER=$(SERVER) $(PYTHON) Tests/replication/chaos.py --rounds $${ROUNDS:-500} $${SEED:+--seed $$SEED}

# Three sentinels, and a master that is killed under load.
sentinel: test-deps build
	SWIFTLET_SERVER=$(SERVER) $(PYTHON) Tests/replication/sentinel.py --failovers $${FAILOVERS:-20} $${SEED:+--seed $$SEED}

# docs/high-availability.md, as it stands there, with HAProxy, twemproxy and a cluster.
setups: test-deps build
	@missing=""; for p in $(SETUP_PACKAGES); do dpkg -s $$p >/dev/null 2>&1 || missing="$$missing $$p"; done; \
	if [ -n "$$missing" ]; then $(SUDO) apt-get update -q && \
	$(SUDO) env RUNLEVEL=1 apt-get install -qy $$missing; fi
	SWIFTLET_SERVER=$(SERVER) SWIFTLET_MIGRATE=$(MIGRATE) $(PYTHON) -m pytest -q Tests/replication/test_setups.py

# What README and docs/ show, with the programs that guides of backup use, which `make test` leaves out where they are missing.
docs: test-deps build
	@missing=""; for p in $(GUIDE_PACKAGES); do dpkg -s $$p >/dev/null 2>&1 || missing="$$missing $$p"; done; \
	if [ -n "$$missing" ]; then $(SUDO) apt-get update -q && $(SUDO) apt-get install -qy $$missing; fi
	SWIFTLET_DOCS_ALL=1 SWIFTLET_SERVER=$(SERVER) SWIFTLET_MIGRATE=$(MIGRATE) $(PYTHON) -m pytest -q Tests/docs

# Real job queues, frameworks and tools, unmodified, of PyPI and Debian; queues while the server is killed. ONLY="rq celery".
ecosystem: test-deps build
	$(PYTHON) Tests/ecosystem/run.py --server $(SERVER) $${ONLY:+--only $$ONLY} $${SEED:+--seed $$SEED}

# DuckDB and Datasette, of PyPI, on a snapshot; pictures of Datasette, by Debian's Chromium, in .build/analysts.
analysts: test-deps build
	@dpkg -s chromium >/dev/null 2>&1 || { $(SUDO) apt-get update -q && $(SUDO) apt-get install -qy chromium; }
	$(PYTHON) Tests/analysts/run.py --server $(SERVER) --migrate $(MIGRATE)

# How long queries on a snapshot take, live and in an indexed copy; fails beyond the limits that stand there.
query-times: test-deps build
	$(PYTHON) Benchmarks/query_times.py --server $(SERVER) --migrate $(MIGRATE) --keys $${KEYS:-1000000}

# What the newer commands answer, compared with Redis 8.2 and Valkey 9.1, whose binaries REDIS8 and VALKEY9 name; and what goes to
# them and comes from them, and from Redis 6.2 (REDIS6).
peers: test-deps build
	SWIFTLET_SERVER=$(SERVER) SWIFTLET_MIGRATE=$(MIGRATE) $(PYTHON) -m pytest -q Tests/clients/test_newer_commands.py Tests/clients/test_observability.py \
	Tests/clients/test_restore_into.py Tests/clients/test_from_server.py Tests/clients/test_foreign_payloads.py

# The page of redis-migrate stats in headless Chromium, against --json; screenshots to look at.
pages: test-deps build
	@missing=""; for p in $(PAGE_PACKAGES); do dpkg -s $$p >/dev/null 2>&1 || missing="$$missing $$p"; done; \
	if [ -n "$$missing" ]; then $(SUDO) apt-get update -q && \
	$(SUDO) apt-get install -qy --no-install-recommends $$missing; fi
	$(PYTHON) Tests/pages/chromium.py --migrate $(MIGRATE) --out $${OUT:-.build/pages}

# What redis-migrate writes, loaded by servers of other versions, and what they write, read: REDIS62, REDIS82 and VALKEY91 name
# their programs; those that are not named are left out. RDB_DIR is a folder of RDB files; the seed is printed.
migrate-peers: test-deps build
	@command -v sqldiff >/dev/null || { $(SUDO) apt-get update -q && $(SUDO) apt-get install -qy sqlite3-tools; }
	SWIFTLET_MIGRATE=$(MIGRATE) $(PYTHON) Tests/migrate/peers.py --sets $${SETS:-100} $${RDB_DIR:+--rdb-dir $$RDB_DIR} \
	$${SEED:+--seed $$SEED}

# Mutated RDB files, append-only files and DUMP payloads, many more than the unit tests try; the seeds are printed. So many of
# each: a million in all, after a build of five minutes. SANITIZE=address does it under AddressSanitizer.
fuzz: deps
	SWIFTLET_MUTATIONS=$${MUTATIONS:-334000} swift test $${SANITIZE:+--sanitize $$SANITIZE} -c release -Xswiftc -enable-testing \
	--scratch-path .build/fuzz$${SANITIZE:+-$$SANITIZE} --filter "MutationTests|DumpPayloadTests"

# The same with redis-migrate itself, and all forms that it reads, packed too.
fuzz-tool: test-deps build
	$(PYTHON) Tests/fuzz/tool.py --migrate $(MIGRATE) --inputs $${INPUTS:-20000} $${SEED:+--seed $$SEED}

# Random programs of Lua, and damaged input for cmsgpack, struct and cjson: so many of each of the four; the seeds are printed.
fuzz-scripts: deps
	SWIFTLET_PROGRAMS=$${PROGRAMS:-2500000} $${SEED:+SWIFTLET_SEED=$$SEED} swift test -c release -Xswiftc -enable-testing \
	--scratch-path .build/fuzz --filter LuaFuzzTests

# How long GETs take beside hostile statements of SQL: at most 1.5 of what they do without, at p99.9. CORE=0: all on one core.
sql-hostile: test-deps build
	$(PYTHON) Tests/sql/run.py --server $(SERVER) --rounds $${ROUNDS:-60} $${CORE:+--core $$CORE} $${SEED:+--seed $$SEED}

# Random statements of SQL from a grammar, which must write nothing; the seed is printed.
sql-random: test-deps build
	$(PYTHON) Tests/sql/random_statements.py --server $(SERVER) --statements $${STATEMENTS:-1000000} $${SEED:+--seed $$SEED}

# Unit tests and a sample of the client tests under AddressSanitizer and ThreadSanitizer, in builds of their own.
asan: test-deps
	Tests/sanitizers/run.sh address

tsan: test-deps
	Tests/sanitizers/run.sh thread

# Bugs planted one at a time, which the tests must catch: all, or those that MUTANT names.
mutants: test-deps
	$(PYTHON) Tests/mutants/run.py $(MUTANT)

# Writes the README's table and docs/benchmarks.md, in 12 minutes. VALKEY names the valkey-server to compare with, which
# Benchmarks/build-valkey makes.
bench: test-deps build
	$(PYTHON) Benchmarks/front.py --server $(SERVER) $${VALKEY:+--valkey $$VALKEY} $(ARGS)

# Only the pages, out of Benchmarks/results.json.
bench-pages: test-deps
	$(PYTHON) Benchmarks/front.py --render

# All else that is measured beside redis-server. ARGS="--only getset16-off", ARGS=--list
bench-groups: test-deps build
	$(PYTHON) Benchmarks/bench.py --server $(SERVER) --migrate $(MIGRATE) $(ARGS)

# The rules that neither formatter checks are tests, in Tests/tidy.
lint: test-deps
	swift format lint --strict -r $(SWIFT_SOURCES)
	$(PYTHON) -m ruff check -q $(PYTHON_SOURCES)
	$(PYTHON) -m ruff format -q --check $(PYTHON_SOURCES)

format: test-deps
	swift format format -i -r $(SWIFT_SOURCES)
	$(PYTHON) -m ruff check -q --fix $(PYTHON_SOURCES)
	$(PYTHON) -m ruff format -q $(PYTHON_SOURCES)

clean:
	rm -rf .build
