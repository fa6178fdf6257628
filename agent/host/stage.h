/* SPDX-License-Identifier: Apache-2.0 */
/* What an installation writes below the root of the host to be, for its first boot to go on with.
 */
#pragma once

#include "agent/base/step.h"
#include "agent/host/config.h"
#include "agent/host/facts.h"

/* Where it is, the first boot does the rest: see qubi-agent-first-boot.service. */
#define QB_FIRST_BOOT_FILE "/var/lib/qubi-agent/first-boot"
#define QB_FIRST_BOOT_UNIT "qubi-agent-first-boot.service"

struct qb_stage_file {
	const char *path;
	char *text;
};

struct qb_stage {
	struct qb_stage_file *files;
	size_t n_files;
	/* Units to be enabled where they are installed: what libvirt has to start at boot, and the
	 * first boot. */
	struct qb_strs units;
};

/* Refuses what is known here to fail on the host, and no other: it has another kernel. Pure. */
void qb_stage_refuse(const struct qb_facts *facts, const struct qb_config *config,
		     struct qb_plan *plan);

/*
 * The files that the first boot is better off with: what is to be loaded and set before anything
 * else. facts are of the system and its CPU; of an image, whose machine nobody knows, no CPU is
 * known, and its module is loaded later. Pure.
 */
void qb_stage_plan(const struct qb_facts *facts, const struct qb_config *config,
		   struct qb_stage *ret);
void qb_stage_done(struct qb_stage *stage);
#define _cleanup_stage_ QB_CLEANUP(qb_stage_done)
