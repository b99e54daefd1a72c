# `make help` lists the targets. The recipes are POSIX sh; what is longer than a few lines is a
# script in .ci/, demo/ or runtime-tests/.

SHELL       := /bin/sh
PREFIX      ?= /usr/local
# The runtime under test, and a part of a test's name.
RT          ?= dist/rt
T           ?=
# make test ENGINES=quick: the quick part of test-engines as well, as CI does.
ENGINES     ?=
# Options of the benchmark driver: make bench BENCH='--rounds 200'.
BENCH       ?=
RUNC        ?= /usr/sbin/runc
CRUN        ?= /usr/bin/crun
# In bytes; a low-level runtime is loaded anew for every container.
MAX_RT_SIZE := 2500000

export T

.DEFAULT_GOAL := help
.PHONY: help build release check test test-unit test-runtime test-bundles test-vm test-other test-engines test-stress bench bench-bundles bench-engines demo install clean

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):[^#]*## /\1\t/p' Makefile | awk -F '\t' '{ printf "  %-14s %s\n", $$1, $$2 }'

build: deps-build ## debug build of the whole workspace
	@. .ci/toolchain && cargo build --workspace

release: deps-build ## static binaries dist/rt and dist/bundles, with their sizes
	@. .ci/toolchain && RT_COMMIT=$$(git describe --always --dirty --abbrev=12 --exclude='*' 2>/dev/null || echo unknown) && \
	export RT_COMMIT && cargo build --release --target "$$TARGET" -p rt -p bundles && \
	mkdir -p dist && \
	for name in rt bundles; do \
		cp "$$OUT/release/$$name" "dist/.$$name" && mv "dist/.$$name" "dist/$$name" && \
		printf 'dist/%s: %s bytes, %s\n' "$$name" "$$(wc -c <"dist/$$name")" "$$TARGET" || exit 1; \
	done
	@size=$$(wc -c <dist/rt); if [ "$$size" -gt $(MAX_RT_SIZE) ]; then \
		echo "dist/rt has $$size bytes, more than $(MAX_RT_SIZE)" >&2; exit 1; fi

check: deps-build ## format, lints, licences, man pages, and the zones of the source
	@. .ci/toolchain && cargo fmt --all --check
	@. .ci/toolchain && cargo clippy --workspace --all-targets -- -D warnings
	@.ci/zones
	@. .ci/toolchain && if command -v cargo-deny >/dev/null; then cargo deny check; \
	else echo "cargo-deny is not installed: licences and advisories were not checked"; fi
	@if command -v mandoc >/dev/null; then \
		for page in man/*.1; do mandoc -T lint -W warning "$$page" || exit 1; done; \
	else echo "mandoc is not installed: the man pages were not checked"; fi

test: deps-test $(if $(ENGINES),deps-engines) release ## everything: unit and black-box tests, ends with one line of counts
	@runtime-tests/all unit dist/rt:host dist/rt:v2 dist/rt:vm-init-quick dist/rt:vm-systemd-quick dist/rt:vm-systemd-driver-quick \
		$(if $(ENGINES),dist/rt:engines-$(ENGINES))

test-unit: deps-build ## unit and golden tests; need no privilege
	@runtime-tests/all unit

test-runtime: deps-test ## black-box tests of one runtime: make test-runtime RT=dist/rt T=mounts
	@if [ "$(RT)" = dist/rt ]; then $(MAKE) --no-print-directory release; fi
	@runtime-tests/all "$(RT):host" "$(RT):v2"

test-bundles: deps-test deps-engines ## tests of the companion, which runs on RT; as root also exercises with nginx and mariadb
	@$(MAKE) --no-print-directory release
	@. .ci/toolchain && cargo test --quiet -p bundles
	@T="$${T:-companion_}" runtime-tests/all "$(RT):host"
	@RT="$(RT)" runtime-tests/engines/all bundles

test-vm: deps-vm ## the black-box tests in a virtual machine with cgroup v2 only: small init, and systemd
	@if [ "$(RT)" = dist/rt ]; then $(MAKE) --no-print-directory release; fi
	@runtime-tests/all "$(RT):vm-init" "$(RT):vm-systemd" "$(RT):vm-systemd-driver"

test-other: deps-other ## the same tests against runc and crun: are the tests right?
	@runtime-tests/all "$(RUNC):host" "$(RUNC):v2" "$(CRUN):v2" "$(RUNC):vm-init-quick" "$(CRUN):vm-init-quick" \
		"$(RUNC):vm-systemd-driver-quick" "$(CRUN):vm-systemd-driver-quick"

test-engines: deps-engines ## containerd, CRI, a kubelet, Docker, Podman, buildah on RT; as root: make test-engines T=docker@trixie
	@if [ "$(RT)" = dist/rt ]; then $(MAKE) --no-print-directory release; fi
	@RT="$(RT)" runtime-tests/engines/all $(T)

bench-engines: deps-engines release ## docker run and ctr run with rt, runc and crun; as root
	@runtime-tests/engines/bench.sh

test-stress: deps-test ## many runs, and creations killed at random instants: nothing may be left
	@if [ "$(RT)" = dist/rt ]; then $(MAKE) --no-print-directory release; fi
	@RT="$(RT)" runtime-tests/stress.sh

bench: deps-bench release ## times and sizes against runc, crun and a floor of bare system calls
	@RUNC="$(RUNC)" CRUN="$(CRUN)" .ci/bench $(BENCH)

bench-bundles: deps-bench deps-engines release ## bundles against Podman: run, exec, ps, a burst of starts
	@.ci/bench bundles $(BENCH)

demo: deps-build ## a container in a few seconds, seen from inside
	@if [ "$(RT)" = dist/rt ]; then $(MAKE) --no-print-directory release; fi
	@RT="$(RT)" demo/demo.sh

install: ## copy binaries, man pages and completions to $(DESTDIR)$(PREFIX)
	@test -x dist/rt || $(MAKE) --no-print-directory release
	install -D -m 755 dist/rt "$(DESTDIR)$(PREFIX)/bin/rt"
	install -D -m 755 dist/bundles "$(DESTDIR)$(PREFIX)/bin/bundles"
	for page in man/*.1; do \
		install -D -m 644 "$$page" "$(DESTDIR)$(PREFIX)/share/man/man1/$${page##*/}" || exit 1; done
	for program in rt bundles; do \
		install -D -m 644 contrib/completions/$$program.bash "$(DESTDIR)$(PREFIX)/share/bash-completion/completions/$$program" && \
		install -D -m 644 contrib/completions/_$$program "$(DESTDIR)$(PREFIX)/share/zsh/site-functions/_$$program" && \
		install -D -m 644 contrib/completions/$$program.fish "$(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d/$$program.fish" || exit 1; done

clean: ## remove everything that was built
	rm -rf dist target

deps-%:
	@.ci/install-deps $*
