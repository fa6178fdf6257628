/* SPDX-License-Identifier: Apache-2.0 */
/* Plans of kernel modules, of the network and of libvirt's objects. Pure. */
#pragma once

#include "agent/base/step.h"
#include "agent/host/config.h"
#include "agent/host/facts.h"

/* kvm, the CPU vendor's module and the configured ones: load, persist, nested. Refuses target
 * "kvm" with the cause when this host cannot run guests. */
void qb_module_plan(const struct qb_facts *facts, const struct qb_config *config,
		    struct qb_plan *plan);
/* Bonds and VLANs, and the bridges that stand on them. ledger: NULL where nobody looked. */
/*
 * The part of a configuration of which a boot leaves nothing where no other program makes it again.
 * A new reference.
 */
json_t *qb_boot_part(const struct qb_config *config);
/*
 * Of such a part, as the newest run had it, what that or an earlier one made, and nobody has
 * undone: what a boot is to make again. -EBADMSG when it cannot be read.
 */
QB_MUST_CHECK int qb_boot_config(const struct qb_ledger *ledger, struct qb_config *ret,
				 struct qb_error *err);
void qb_net_plan(const struct qb_facts *facts, const struct qb_config *config,
		 const struct qb_ledger *ledger, struct qb_plan *plan);
/* libvirt's daemons: enable and start what is installed. Refuses target "libvirt" otherwise. */
void qb_daemon_plan(const struct qb_facts *facts, const struct qb_config *config,
		    struct qb_plan *plan);
/* Networks and pools: define, start, autostart. Called after bridges and disks were planned. */
void qb_libvirt_plan(const struct qb_facts *facts, const struct qb_config *config,
		     struct qb_plan *plan);

extern const struct qb_step_kind qb_module_load_step;    /* kvm.module: load now */
extern const struct qb_step_kind qb_module_persist_step; /* kvm.persist: our drop-in files */
extern const struct qb_step_kind qb_daemon_step;         /* libvirt.daemon */
extern const struct qb_step_kind qb_network_step;        /* libvirt.network */
extern const struct qb_step_kind qb_pool_step;           /* libvirt.pool */
extern const struct qb_step_kind qb_target_step;         /* libvirt.target: whose, and its mode */
#define QB_REFRESH_KIND "libvirt.refresh"
extern const struct qb_step_kind qb_refresh_step; /* libvirt.refresh: of a pool that grew */
extern const struct qb_step_kind qb_mount_step;   /* storage.mount */
