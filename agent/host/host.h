/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a host for guests is set up with beside KVM, network and storage: pages, sysctls, KSM, who
 * may use libvirt. Each is set now, and by a drop-in of our own for each boot.
 */
#pragma once

#include "agent/base/step.h"
#include "agent/host/config.h"
#include "agent/host/facts.h"

/* tmpfiles.d(5) writes below /sys at each boot, sysctl.d(5) below /proc/sys. */
#define QB_TMPFILES_FILE "/etc/tmpfiles.d/qubi-agent.conf"
#define QB_SYSCTL_FILE "/etc/sysctl.d/90-qubi-agent.conf"
#define QB_URI_FILE "/etc/profile.d/qubi-agent.sh"

#define QB_OURS_HEADER "# Written by qubi-agent; changes here are overwritten.\n"

enum {
	QB_HOST_FILES = 3
};

struct qb_host_file {
	const char *path;
	char *lines; /* behind the header; NULL: nothing is to be in it */
};

/* What is configured, as files for each boot. The caller frees their lines. Pure. */
void qb_host_files(const struct qb_config *config, struct qb_host_file ret[QB_HOST_FILES]);

/* The files that the plan goes by: added to those that are read for facts. Pure. */
void qb_host_reads(const struct qb_config *config, struct qb_strs *reads);
/*
 * Adds the steps, or refuses what this kernel does not have. The ledger tells which files are ours,
 * to be removed when nothing is left in them; it may be NULL. Pure.
 */
void qb_host_plan(const struct qb_facts *facts, const struct qb_config *config,
		  const struct qb_ledger *ledger, struct qb_plan *plan);

/* The same words, whatever is between them. */
bool qb_host_same_value(const char *a, const char *b);

extern const struct qb_step_kind qb_setting_step;      /* host.setting: a file of one value */
extern const struct qb_step_kind qb_host_persist_step; /* host.persist: our drop-in files */
extern const struct qb_step_kind qb_member_step;       /* host.member: of the group libvirt */
