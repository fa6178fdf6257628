# SPDX-License-Identifier: Apache-2.0
# make help lists the targets.

VERSION := 0.1.0
BUILD   ?= build
prefix  ?= /usr
sbindir ?= $(prefix)/sbin
datadir ?= $(prefix)/share
mandir  ?= $(datadir)/man
# Where systemd looks, whatever the prefix.
systemddir ?= /usr/lib/systemd

PKGS := libvirt libnl-3.0 libnl-route-3.0 blkid fdisk libkmod jansson yaml-0.1 libudev \
	libsystemd libselinux expat uuid smartcols

CFLAGS ?= -O2 -g
WARN   := -Wall -Wextra -Wshadow -Wformat=2 -Wstrict-prototypes -Wmissing-prototypes \
	-Wswitch-enum -Wundef -Wvla -Wno-missing-field-initializers
HARDEN := -fstack-protector-strong -fPIE -D_FORTIFY_SOURCE=2
# -Werror is for developers and CI; a packager's newer compiler must not break a build.
WERROR ?= -Werror
comma := ,
ifneq ($(SANITIZE),)
HARDEN := -fsanitize=$(SANITIZE) -fno-sanitize-recover=all -fno-omit-frame-pointer
BUILD  := build/$(firstword $(subst $(comma), ,$(SANITIZE)))
# A sanitizer looks up at the start what it stands in for, and some of that is in libraries that
# libvirt brings along: it must not be loaded later.
EARLY  := -Wl,--no-as-needed -lvirt -Wl,--as-needed
endif

# What only tests need.
TEST_PKGS := cmocka libxml-2.0

# Asked for at the first compile: on a fresh machine deps come first.
PKG_CFLAGS  = $(eval PKG_CFLAGS := $(shell pkg-config --cflags $(PKGS)))$(PKG_CFLAGS)
PKG_LIBS    = $(eval PKG_LIBS := $(EARLY) $(shell pkg-config --libs $(PKGS)) -lm)$(PKG_LIBS)
TEST_CFLAGS = $(eval TEST_CFLAGS := $(shell pkg-config --cflags $(TEST_PKGS)))$(TEST_CFLAGS)
TEST_LIBS   = $(eval TEST_LIBS := $(shell pkg-config --libs $(TEST_PKGS)))$(TEST_LIBS)
ALL_CFLAGS  = -std=gnu17 -D_GNU_SOURCE -DQB_VERSION='"$(VERSION)"' -I. $(WARN) $(WERROR) $(HARDEN) \
	$(PKG_CFLAGS) $(CFLAGS) $(CPPFLAGS)
ALL_LDFLAGS = $(HARDEN) -pie -Wl,-z,relro,-z,now -Wl,--as-needed $(LDFLAGS)

SRC  := $(sort $(wildcard agent/base/*.c agent/host/*.c net/*.c storage/*.c checks/*.c agent/*.c))
LIB  := $(filter-out agent/main.c,$(SRC))
ASM  := $(wildcard agent/host/*.S)
OBJ  := $(SRC:%.c=$(BUILD)/%.o) $(ASM:%.S=$(BUILD)/%.o)
TEST := $(patsubst tests/unit/%.c,$(BUILD)/unit/%,$(wildcard tests/unit/test_*.c))

Q := $(if $(V),,@)
say = $(if $(V),,@printf '  %-5s %s\n' $(1) $(2);)

.DELETE_ON_ERROR:
.PHONY: all help unit sandbox fuzz bench lab sweep test demo check lint format asan coverage rpm install deps clean

all: $(BUILD)/qubi-agent ## build build/qubi-agent (the default)

$(BUILD)/qubi-agent: $(OBJ)
	$(call say,LD,$@)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(PKG_LIBS)

$(BUILD)/%.o: %.c Makefile
	@mkdir -p $(@D)
	$(call say,CC,$<)
	$(Q)$(CC) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

$(BUILD)/%.o: %.S Makefile
	@mkdir -p $(@D)
	$(call say,AS,$<)
	$(Q)$(CC) -I. -MMD -MP -c -o $@ $<

# One archive, so that a test links what it uses and no more.
$(BUILD)/libqubi.a: $(LIB:%.c=$(BUILD)/%.o) $(ASM:%.S=$(BUILD)/%.o)
	$(call say,AR,$@)
	$(Q)rm -f $@ && $(AR) rcs $@ $^

$(BUILD)/unit/%: tests/unit/%.c $(BUILD)/libqubi.a
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -MMD -MP -MF $@.d -DQB_TESTS='"$(CURDIR)/tests"' \
		$(TEST_CFLAGS) -o $@ $< $(BUILD)/libqubi.a $(PKG_LIBS) $(TEST_LIBS)

unit: $(TEST) ## unit tests: no root, seconds
	$(Q)tests/unit/run $(TEST)

sandbox: $(BUILD)/qubi-agent $(addprefix $(BUILD)/unit/,test_move_random image_verdict) ## tests in private namespaces with a libvirtd of their own: root
	$(Q)QB_AGENT=$(abspath $<) tests/sandbox/run

# What stands in for a function of the program: tests/fuzz/fuzz.h.
wraps = $(shell grep -oh '__wrap_[a-z0-9_]*' $(1) | sort -u | sed 's/__wrap_/-Wl,--wrap=/')

$(BUILD)/fuzz_%: tests/fuzz/fuzz_%.c tests/fuzz/replay.c $(BUILD)/libqubi.a
	$(call say,LD,$@)
	$(Q)$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -MMD -MP -MF $@.d -DQB_TESTS='"$(CURDIR)/tests"' \
		-Wno-missing-prototypes $(call wraps,$<) -o $@ $< $(or $(FUZZER),tests/fuzz/replay.c) $(BUILD)/libqubi.a \
		$(PKG_LIBS)

fuzz: ## feed what is read from outside with garbage: each fuzzer for SECONDS (4), with sanitizers
	$(Q)tests/fuzz/run $(or $(SECONDS),4)

$(BUILD)/snapshot: tests/sandbox/snapshot.c $(BUILD)/libqubi.a
	$(call say,LD,$@)
	$(Q)$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -o $@ $^ $(PKG_LIBS)

bench: $(BUILD)/qubi-agent $(BUILD)/snapshot ## how long a report takes, beside virt-host-validate's, many links, and many disks: root
	$(Q)QB_AGENT=$(abspath $<) tests/sandbox/enter --disks blank tests/sandbox/bench
	$(Q)QB_AGENT=$(abspath $<) tests/sandbox/bench_scale
	$(Q)QB_AGENT=$(abspath $<) tests/sandbox/bench_disks

# The kernel of the virtual machine has what they need, and this one may lack.
UNIT_IN_LAB := $(patsubst tests/unit/%.c,$(BUILD)/unit/%,$(shell grep -l test_ports_ns.h tests/unit/*.c))

lab: rpm $(BUILD)/qubi-agent $(UNIT_IN_LAB) ## tests on a whole virtual machine, from the RPM: root
	$(Q)tests/lab/run

sweep: rpm ## 100 power cuts for each kind of pool, and every write of a volume group: root, hours
	$(Q)QUBI_LAB_MOMENTS=100 EVERY=1 tests/lab/run cuts_fs cuts_logical cuts_rollback group_writes

test: deps ## every tier, with what they need installed first
	$(Q)tests/run

demo: deps ## the whole job, once, in a sandbox that touches nothing of this machine
	$(Q)$(MAKE) --no-print-directory all
	$(Q)QB_AGENT=$(abspath $(BUILD)/qubi-agent) tests/sandbox/demo

deps: ## install what building and testing need (apt or dnf)
	$(Q)packaging/deps

lint: ## layers, purity, sizes, format, warnings of gcc and clang
	$(Q)tests/lint/run

format: ## let clang-format write the form
	$(Q)clang-format -i $(SRC) $(wildcard */*.h */*/*.h tests/unit/*.c tests/fuzz/*.[ch])

asan: ## unit and sandbox tiers with address and undefined-behaviour sanitizers
	$(Q)$(MAKE) --no-print-directory SANITIZE=address,undefined unit sandbox

coverage: ## lines that unit tests reach, by file
	$(Q)$(MAKE) --no-print-directory BUILD=build/coverage CFLAGS='-O0 -g --coverage' unit
	$(Q)cd build/coverage && gcov -n -r -s $(CURDIR) $(LIB:%.c=%.gcda) | \
		sed -n "s/^File '\(.*\)'/\1/;h;n;s/Lines executed:/ /;H;x;s/\n//p" | grep '\.c'

rpm: ## build/rpm/RPMS/*/qubi-agent-*.rpm
	$(Q)rm -rf build/rpm && mkdir -p build/rpm/SOURCES
	$(Q)git ls-files -z | tar -cz --null -T - --transform 's,^,qubi-agent-$(VERSION)/,' \
		-f build/rpm/SOURCES/qubi-agent-$(VERSION).tar.gz
	$(Q)rpmbuild -bb --quiet --nodeps --define '_topdir $(CURDIR)/build/rpm' \
		--define '__brp_compress %{nil}' rpm.spec
	@ls build/rpm/RPMS/*/*.rpm

install: all ## into DESTDIR
	install -D -m 0755 $(BUILD)/qubi-agent $(DESTDIR)$(sbindir)/qubi-agent
	install -D -m 0644 packaging/qubi-agent.8 $(DESTDIR)$(mandir)/man8/qubi-agent.8
	install -D -m 0644 packaging/qubi-agent-host.yaml.5 \
		$(DESTDIR)$(mandir)/man5/qubi-agent-host.yaml.5
	install -D -m 0644 packaging/qubi-agent-checks.7 $(DESTDIR)$(mandir)/man7/qubi-agent-checks.7
	install -d -m 0755 $(DESTDIR)$(datadir)/qubi-agent $(DESTDIR)/etc/qubi-agent
	install -m 0644 packaging/schema/*.json $(DESTDIR)$(datadir)/qubi-agent
	install -d -m 0700 $(DESTDIR)/var/lib/qubi-agent
	install -d -m 0755 $(DESTDIR)$(systemddir)/system
	for unit in network first-boot check; do sed 's,@SBINDIR@,$(sbindir),' \
		packaging/qubi-agent-$$unit.service.in \
		>$(DESTDIR)$(systemddir)/system/qubi-agent-$$unit.service && \
		chmod 0644 $(DESTDIR)$(systemddir)/system/qubi-agent-$$unit.service || exit; done
	install -m 0644 packaging/qubi-agent-check.timer $(DESTDIR)$(systemddir)/system
	install -D -m 0644 packaging/90-qubi-agent.preset \
		$(DESTDIR)$(systemddir)/system-preset/90-qubi-agent.preset

compile_commands.json: $(SRC) Makefile ## for clangd
	$(Q)$(MAKE) -Bn V=1 all | grep -- ' -c -o ' | sed 's/"/\\"/g' | awk ' \
		{ printf "%s{\"directory\":\"$(CURDIR)\",\"file\":\"%s\",\"command\":\"%s\"}", \
		  (NR > 1 ? ",\n" : "["), $$NF, $$0 } END { print "]" }' >$@

clean: ## remove build/
	rm -rf build compile_commands.json

help: ## this list
	@sed -n 's/^\([a-z_.-]*\):.*## \(.*\)/\1\t\2/p' Makefile | sort | expand -t 24

-include $(OBJ:.o=.d) $(TEST:=.d) $(wildcard $(BUILD)/fuzz_*.d)
