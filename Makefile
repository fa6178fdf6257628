# SPDX-License-Identifier: Apache-2.0
# make help lists the targets.

VERSION := 0.1.0
BUILD   ?= build
prefix  ?= /usr
sysconfdir ?= /etc
mandir  ?= $(prefix)/share/man
unitdir ?= $(prefix)/lib/systemd/system

PKGS := libvirt libnl-3.0 libnl-route-3.0 blkid fdisk libkmod jansson yaml-0.1 libudev \
	libsystemd libxml-2.0 uuid smartcols

CFLAGS ?= -O2 -g
WARN   := -Wall -Wextra -Wshadow -Wformat=2 -Wstrict-prototypes -Wmissing-prototypes \
	-Wswitch-enum -Wundef -Wvla -Wno-missing-field-initializers
HARDEN := -fstack-protector-strong -fPIE -D_FORTIFY_SOURCE=2
# -Werror is for developers and CI; a packager's newer compiler must not break a build.
WERROR ?= -Werror
ifneq ($(SANITIZE),)
HARDEN := -fsanitize=$(SANITIZE) -fno-sanitize-recover=all -fno-omit-frame-pointer
BUILD  := build/$(firstword $(subst $(comma), ,$(SANITIZE)))
endif
comma := ,

PKG_CFLAGS := $(shell pkg-config --cflags $(PKGS))
PKG_LIBS   := $(shell pkg-config --libs $(PKGS)) -lm
ALL_CFLAGS  = -std=gnu17 -D_GNU_SOURCE -DQB_VERSION='"$(VERSION)"' -I. $(WARN) $(WERROR) $(HARDEN) \
	$(PKG_CFLAGS) $(CFLAGS) $(CPPFLAGS)
ALL_LDFLAGS = $(HARDEN) -pie -Wl,-z,relro,-z,now -Wl,--as-needed $(LDFLAGS)

SRC  := $(sort $(wildcard agent/base/*.c agent/host/*.c net/*.c storage/*.c checks/*.c agent/*.c))
LIB  := $(filter-out agent/main.c,$(SRC))
OBJ  := $(SRC:%.c=$(BUILD)/%.o)
TEST := $(patsubst tests/unit/%.c,$(BUILD)/unit/%,$(wildcard tests/unit/test_*.c))

Q := $(if $(V),,@)
say = $(if $(V),,@printf '  %-5s %s\n' $(1) $(2);)

.DELETE_ON_ERROR:
.PHONY: all help unit sandbox lab test demo check lint format asan coverage rpm install deps clean

all: $(BUILD)/qubi-agent ## build build/qubi-agent (the default)

$(BUILD)/qubi-agent: $(OBJ)
	$(call say,LD,$@)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(PKG_LIBS)

$(BUILD)/%.o: %.c Makefile
	@mkdir -p $(@D)
	$(call say,CC,$<)
	$(Q)$(CC) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

# One archive, so that a test links what it uses and no more.
$(BUILD)/libqubi.a: $(LIB:%.c=$(BUILD)/%.o)
	$(call say,AR,$@)
	$(Q)rm -f $@ && $(AR) rcs $@ $^

$(BUILD)/unit/%: tests/unit/%.c $(BUILD)/libqubi.a
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -MMD -MP -MF $@.d -DQB_TESTS='"$(CURDIR)/tests"' \
		-o $@ $< $(BUILD)/libqubi.a $(PKG_LIBS) -lcmocka

unit: $(TEST) ## unit tests: no root, seconds
	$(Q)tests/unit/run $(TEST)

-include $(OBJ:.o=.d) $(TEST:=.d)

clean: ## remove build/
	rm -rf build

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1\t\2/p' Makefile | sort | expand -t 12
