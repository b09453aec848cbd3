# Fencepost. `make demo` shows the main job, `make test` runs all tests; neither needs anything but Debian and rustup (the demo of the
# pair also needs root).

CARGO ?= cargo
DESTDIR ?=
PREFIX ?= /usr
GENERATED = target/package

HIL = target/proof/hil

.PHONY: all build rig setup demo demo-appliance pair-demo test bench lint docs generate install package clean

all: build

build:
	$(CARGO) build --workspace

# What the rig runs: optimised, or an emulated machine would be too slow to show anything.
rig:
	$(CARGO) build --workspace --bins --profile proof

# Debian packages for building, testing and the rig. Does nothing when they are there.
setup:
	@.ci/setup

# The main job: two appliances side by side, a client's traffic, and everything that can happen to the one that serves. They live in
# network namespaces; who has no right to make those sees one appliance.
demo: setup rig
	@if [ "$$(id -u)" = 0 ]; then exec $(HIL) pair-demo; fi; \
	echo "The pair needs two network namespaces, and making those needs root: sudo $(HIL) pair-demo. Without it, one appliance:"; \
	exec $(HIL) demo

# One virtual appliance: traffic, a killed agent, the relay, the measured gap.
demo-appliance: setup rig
	$(HIL) demo

# The pair, and nothing else where that cannot be had.
pair-demo: setup rig
	$(HIL) pair-demo

# Everything, with one line of numbers at the end. Some stages only: make test STAGES="fuzz sim"
test: setup
	@.ci/test-all $(STAGES)

# Failure-to-relay times of each board, the control loop's lateness, memory and CPU; outages beside keepalived's; state sync
# beside rsync and lsyncd. As shipped, so optimised.
bench: setup
	$(CARGO) build --workspace --release
	target/release/hil bench
	target/release/hil contest
	target/release/hil bench-sync

# Formatting, lints, units, rules, scripts, licences.
lint: build
	@.ci/test-all formatting clippy packaging scripts supply

# API documentation, with every broken link an error.
docs:
	@.ci/test-all docs

# Manual pages and completions, from the definitions that parse the command line.
generate: target/release/fencepost
	target/release/fencepost man --out $(GENERATED)/man
	target/release/fencepost completions --out $(GENERATED)/completions

.PHONY: target/release/fencepost
target/release/fencepost:
	$(CARGO) build --release -p fencepost --bins

# For distributions and images; on a Debian appliance use `make package`. Enables and starts nothing.
install: generate
	install -D -m 755 target/release/fencepost $(DESTDIR)$(PREFIX)/bin/fencepost
	install -m 755 target/release/fencepost-sync $(DESTDIR)$(PREFIX)/bin/
	install -d $(DESTDIR)$(PREFIX)/share/fencepost/boards $(DESTDIR)$(PREFIX)/share/man/man1
	install -m 644 boards/*.toml $(DESTDIR)$(PREFIX)/share/fencepost/boards/
	install -m 644 $(GENERATED)/man/*.1 $(DESTDIR)$(PREFIX)/share/man/man1/
	install -D -m 644 $(GENERATED)/completions/fencepost.bash $(DESTDIR)$(PREFIX)/share/bash-completion/completions/fencepost
	install -D -m 644 $(GENERATED)/completions/_fencepost $(DESTDIR)$(PREFIX)/share/zsh/vendor-completions/_fencepost
	install -D -m 644 $(GENERATED)/completions/fencepost.fish $(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d/fencepost.fish
	install -D -m 644 packaging/systemd/fencepost.service $(DESTDIR)$(PREFIX)/lib/systemd/system/fencepost.service
	install -D -m 644 packaging/systemd/fencepost-failsafe.service $(DESTDIR)$(PREFIX)/lib/systemd/system/fencepost-failsafe.service
	install -D -m 644 packaging/systemd/fencepost-sync.service $(DESTDIR)$(PREFIX)/lib/systemd/system/fencepost-sync.service
	install -D -m 644 packaging/sysusers.d/fencepost.conf $(DESTDIR)$(PREFIX)/lib/sysusers.d/fencepost.conf
	install -D -m 644 packaging/tmpfiles.d/fencepost.conf $(DESTDIR)$(PREFIX)/lib/tmpfiles.d/fencepost.conf
	install -D -m 644 packaging/modules-load.d/fencepost.conf $(DESTDIR)$(PREFIX)/lib/modules-load.d/fencepost.conf
	install -D -m 644 udev/60-fencepost.rules $(DESTDIR)$(PREFIX)/lib/udev/rules.d/60-fencepost.rules
	install -D -m 644 packaging/systemd/pair.conf $(DESTDIR)$(PREFIX)/share/doc/fencepost/examples/pair.conf
	install -D -m 644 packaging/fencepost.toml $(DESTDIR)$(PREFIX)/share/doc/fencepost/examples/fencepost.toml
	install -m 644 README.md docs/*.md $(DESTDIR)$(PREFIX)/share/doc/fencepost/

# A Debian package in target/debian/.
package: generate
	$(CARGO) deb --no-build

clean:
	$(CARGO) clean
