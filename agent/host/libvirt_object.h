/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What networks and pools of libvirt have in common: they are defined from XML, started, and
 * started again at boot. One that is active is never defined anew nor restarted.
 */
#pragma once

#include "agent/base/step.h"
#include "agent/host/libvirt_conn.h"

/* A class of objects. object is a virNetworkPtr or a virStoragePoolPtr. */
struct qb_vir_class {
	const char *noun;
	int missing; /* libvirt's error code of a lookup that finds none */
	void *(*lookup)(virConnectPtr conn, const char *name);
	int (*stop)(void *object);
	int (*undefine)(void *object);
	int (*is_active)(void *object);
	int (*get_autostart)(void *object, int *ret);
	int (*set_autostart)(void *object, int on);
	int (*users)(void *object); /* how many guests would lose it; -1: libvirt cannot tell */
	void (*release)(void *object);
};

struct qb_vir_state {
	bool exists, active, autostart;
};

QB_MUST_CHECK int qb_vir_look(const struct qb_vir_class *class, virConnectPtr conn,
			      const char *name, struct qb_vir_state *ret, struct qb_error *err);
/*
 * Back to what state describes; what was not there before is stopped and undefined. -EBUSY, and
 * nothing changed, where guests would lose it.
 */
QB_MUST_CHECK int qb_vir_restore(const struct qb_vir_class *class, virConnectPtr conn,
				 const char *name, const struct qb_vir_state *state,
				 struct qb_error *err);

/* The XML that a network is started with next; NULL: libvirt's last error says why. */
char *qb_vir_network_next(virNetworkPtr network);

json_t *qb_vir_state_json(const struct qb_vir_state *state);
void qb_vir_state_read(const json_t *json, struct qb_vir_state *ret);
