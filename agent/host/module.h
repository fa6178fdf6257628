/* SPDX-License-Identifier: Apache-2.0 */
/* Kernel modules: what modprobe.d and modules-load.d say, and our own files there. */
#pragma once

#include "agent/host/facts.h"

#define QB_MODULES_LOAD_FILE "/etc/modules-load.d/qubi-agent.conf"
#define QB_MODPROBE_FILE "/etc/modprobe.d/qubi-agent.conf"
/*
 * systemd-modules-load leaves out what modprobe.d blacklists, also when modules-load.d names it.
 * modprobe by name does not, so such modules are loaded by it, before that service's own start.
 */
#define QB_MODULES_UNIT_FILE "/etc/systemd/system/systemd-modules-load.service.d/qubi-agent.conf"

struct qb_modprobe_blacklist {
	char *module, *file;
};

struct qb_modprobe_install {
	char *pattern, *file, *command;
};

struct qb_modprobe_options {
	char *module, *file, *options;
};

/* modprobe.d(5), modules-load.d(5) and the kernel command line. Names with underscores. */
struct qb_module_conf {
	struct qb_modprobe_blacklist *blacklist;
	size_t n_blacklist;
	struct qb_strs forbidden; /* module_blacklist= of the command line: the kernel refuses */
	struct qb_modprobe_install *installs;
	size_t n_installs;
	struct qb_modprobe_options *options;
	size_t n_options;
	struct qb_strs boot;       /* named in modules-load.d or on the command line */
	struct qb_strs boot_named; /* loaded by QB_MODULES_UNIT_FILE */
	char *unknown;             /* why boot may not be all; NULL: it is */
};

/* Reads all of them below root. */
void qb_module_conf_read(const struct qb_root *root, struct qb_module_conf *ret);
void qb_module_conf_done(struct qb_module_conf *conf);
#define _cleanup_module_conf_ QB_CLEANUP(qb_module_conf_done)

/* The text of one file of modprobe.d, added to conf. */
void qb_modprobe_parse(const char *path, const char *text, struct qb_module_conf *conf);
#define QB_CMDLINE "/proc/cmdline"
/* The file that blacklists name; QB_CMDLINE for the kernel's command line; NULL for none. */
const char *qb_module_conf_blacklists(const struct qb_module_conf *conf, const char *name);
/* The same of what keeps name from being loaded: an "install" command that calls no modprobe. */
const char *qb_module_conf_blocks(const struct qb_module_conf *conf, const char *name);
/* The options given to m, by its name, appended to those it has. */
void qb_module_conf_options(const struct qb_module_conf *conf, struct qb_module *m);
/*
 * What modprobe.d sets the parameter nested of m to, and the file that has the last word (NULL
 * where none does; not to be freed).
 */
enum qb_tri_state qb_module_nested_option(const struct qb_module *m, const char **ret_file);

/* The name as the kernel has it: with underscores. The caller frees it. */
char *qb_module_name(const char *name);
