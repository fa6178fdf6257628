/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/host/libvirt_probe.h"

#include <errno.h>

#include "agent/base/child.h"
#include "agent/base/clock.h"
#include "agent/host/libvirt_object.h"
#include "agent/host/libvirt_parse.h"
#include "agent/host/libvirt_units.h"
#include "agent/host/libvirt_wire.h"

enum {
	TIMEOUT_DEFAULT_MS = 5000
};

struct qb_vir_inquiry {
	struct qb_child child;
	char *uri;
	unsigned timeout_ms;
	uint64_t deadline_ms;
	int r; /* of beginning it */
};

static void silent(void *data, virErrorPtr error)
{
	(void)data, (void)error;
}

static char *last_error(void)
{
	virErrorPtr last = sym_virGetLastError();

	return qb_str_printable(last && last->message ? last->message : "no reason given");
}

/*
 * Where nobody listens libvirt is known not to be reachable. Everything else, such as a refused
 * permission, tells only that it could not be asked.
 */
static void not_connected(struct qb_libvirt_facts *f)
{
	virErrorPtr last = sym_virGetLastError();
	bool nobody = last && last->code == VIR_ERR_SYSTEM_ERROR &&
		      (last->int1 == ENOENT || last->int1 == ECONNREFUSED);

	f->error = last_error();
	if (nobody || (last && last->code == VIR_ERR_NO_CONNECT))
		qb_tri_set(&f->connected, false);
	else
		qb_tri_unknown(&f->connected, "%s", f->error);
}

static void ask_networks(virConnectPtr conn, struct qb_libvirt_facts *f, bool *ok)
{
	virNetworkPtr *list = NULL;
	int n = sym_virConnectListAllNetworks(conn, &list, 0), autostart;

	*ok &= n >= 0;
	for (int i = 0; i < n; i++) {
		char *xml = sym_virNetworkGetXMLDesc(list[i], 0);
		char *next = xml ? qb_vir_network_next(list[i]) : NULL;
		struct qb_vir_network *net = QB_APPEND(f->networks, f->n_networks);

		if (!next || qb_vir_network_parse(xml, net) < 0 ||
		    qb_vir_definition_parse(next, &net->next) < 0) {
			/* One that was undefined since the list was made is none any more. */
			*ok &= !next && sym_virGetLastErrorCode() == VIR_ERR_NO_NETWORK;
			f->n_networks--;
		} else {
			net->active = sym_virNetworkIsActive(list[i]) == 1;
			net->persistent = sym_virNetworkIsPersistent(list[i]) == 1;
			net->autostart =
				sym_virNetworkGetAutostart(list[i], &autostart) == 0 && autostart;
		}
		free(xml);
		free(next);
		sym_virNetworkFree(list[i]);
	}
	free(list);
}

static void ask_pools(virConnectPtr conn, struct qb_libvirt_facts *f, bool *ok)
{
	virStoragePoolPtr *list = NULL;
	int n = sym_virConnectListAllStoragePools(conn, &list, 0), autostart;

	*ok &= n >= 0;
	for (int i = 0; i < n; i++) {
		char *xml = sym_virStoragePoolGetXMLDesc(list[i], 0);
		struct qb_vir_pool *pool = QB_APPEND(f->pools, f->n_pools);
		virStoragePoolInfo info;

		if (!xml || qb_vir_pool_parse(xml, pool) < 0) {
			*ok &= !xml && sym_virGetLastErrorCode() == VIR_ERR_NO_STORAGE_POOL;
			f->n_pools--;
		} else {
			pool->active = sym_virStoragePoolIsActive(list[i]) == 1;
			pool->persistent = sym_virStoragePoolIsPersistent(list[i]) == 1;
			pool->autostart =
				sym_virStoragePoolGetAutostart(list[i], &autostart) == 0 &&
				autostart;
			if (pool->active && sym_virStoragePoolGetInfo(list[i], &info) == 0) {
				pool->capacity_bytes = info.capacity;
				pool->available_bytes = info.available;
			}
		}
		free(xml);
		sym_virStoragePoolFree(list[i]);
	}
	free(list);
}

/* Both what it runs with and what it will be started with next. */
static void ask_domain(virDomainPtr domain, struct qb_libvirt_facts *f, bool *ok)
{
	static const unsigned flags[] = {0, VIR_DOMAIN_XML_INACTIVE};

	for (size_t i = 0; i < QB_ARRAY_SIZE(flags); i++) {
		char *xml = sym_virDomainGetXMLDesc(domain, flags[i]);

		if (!xml || qb_vir_domain_parse(xml, sym_virDomainGetName(domain), f) < 0)
			*ok &= !xml && sym_virGetLastErrorCode() == VIR_ERR_NO_DOMAIN;
		free(xml);
	}
}

static void ask_domains(virConnectPtr conn, struct qb_libvirt_facts *f, bool *ok)
{
	virDomainPtr *list = NULL;
	int n = sym_virConnectListAllDomains(conn, &list, 0);

	*ok &= n >= 0;
	for (int i = 0; i < n; i++) {
		ask_domain(list[i], f, ok);
		sym_virDomainFree(list[i]);
	}
	free(list);
}

static void ask_hypervisor(virConnectPtr conn, struct qb_libvirt_facts *f)
{
	char *xml = sym_virConnectGetCapabilities(conn);
	unsigned long version;
	bool kvm;

	if (sym_virConnectGetVersion(conn, &version) == 0 && version)
		f->hypervisor_version = qb_vir_version_text(version);
	if (!xml) {
		_cleanup_free_ char *why = last_error();

		qb_tri_unknown(&f->kvm_domains, "%s", why);
	} else if (qb_vir_capabilities_parse(xml, &kvm) < 0) {
		qb_tri_unknown(&f->kvm_domains, "its capabilities could not be read");
	} else {
		qb_tri_set(&f->kvm_domains, kvm);
	}
	free(xml);
}

/* A list that is not whole must not be taken for one: then nothing counts as known. */
static void ask_objects(virConnectPtr conn, struct qb_libvirt_facts *f)
{
	unsigned long version;
	bool ok = true;

	if (sym_virConnectGetLibVersion(conn, &version) == 0)
		f->version = qb_vir_version_text(version);
	ask_networks(conn, f, &ok);
	if (ok)
		ask_pools(conn, f, &ok);
	if (ok)
		ask_domains(conn, f, &ok);
	if (ok) {
		qb_tri_set(&f->connected, true);
	} else {
		f->error = last_error();
		qb_tri_unknown(&f->connected, "it answered only in part: %s", f->error);
	}
}

/* NULL: it could not, and *ret says why. */
static virConnectPtr open_library(const char *uri, struct qb_libvirt_facts *ret)
{
	struct qb_error err = QB_ERROR_INIT;
	virConnectPtr conn = NULL;

	*ret = (struct qb_libvirt_facts){.uri = qb_strdup(uri)};
	if (qb_vir_load(&err) < 0) {
		qb_tri_unknown(&ret->connected, "%s", err.msg);
		ret->error = qb_strdup(err.msg);
	} else {
		sym_virSetErrorFunc(NULL, silent);
		/* Read-only is open to every user, and cannot change anything. */
		conn = sym_virConnectOpenReadOnly(uri);
		if (!conn)
			not_connected(ret);
	}
	if (!conn)
		qb_tri_unknown(&ret->kvm_domains, "%s", ret->error);
	return conn;
}

/*
 * As the library chooses it: the daemon for QEMU where the daemons are modular. It hands on what
 * is asked of networks and pools. Less than 0: the library is to be asked, which also reads a
 * remote_mode of libvirt.conf.
 */
static int ask_by_wire(struct qb_wire *wire, struct qb_libvirt_facts *f)
{
	int r;

	if (strcmp(f->uri, "qemu:///system") != 0)
		return -EOPNOTSUPP;
	r = qb_wire_open("/run/libvirt/virtqemud-sock-ro", wire);
	if (r == -ENOENT)
		r = qb_wire_open("/run/libvirt/libvirt-sock-ro", wire);
	if (r == -ENOENT) {
		f->error = qb_strdup("there is neither /run/libvirt/virtqemud-sock-ro nor "
				     "/run/libvirt/libvirt-sock-ro");
		qb_tri_set(&f->connected, false);
		return 0;
	}
	return r < 0 ? r : qb_wire_objects(wire, f);
}

/* A line. */
static void say(int fd, struct qb_libvirt_facts *f)
{
	json_t *document = qb_schema_to_json(&qb_libvirt_type, f);

	qb_child_say(fd, document);
	json_decref(document);
	qb_schema_done(&qb_libvirt_type, f);
}

/* Two lines: what libvirt has, and what makes it run QEMU to find out, which takes its time on a
 * slow host. */
static void inquire(int fd, void *data)
{
	const struct qb_vir_inquiry *q = data;
	struct qb_libvirt_facts f = {.uri = qb_strdup(q->uri)}, late = {0};
	_cleanup_wire_ struct qb_wire wire = QB_WIRE_INIT;
	virConnectPtr conn = NULL;
	bool by_wire;

	/* It may end later than the run, whose lock it would have. */
	qb_child_keep_files(fd, -1);
	by_wire = ask_by_wire(&wire, &f) == 0;
	if (!by_wire) {
		qb_wire_close(&wire);
		qb_schema_done(&qb_libvirt_type, &f);
		conn = open_library(q->uri, &f);
		if (conn)
			ask_objects(conn, &f);
	}
	if (by_wire && wire.fd < 0)
		qb_tri_unknown(&late.kvm_domains, "%s", f.error);
	say(fd, &f);
	if (wire.fd >= 0 && qb_wire_hypervisor(&wire, &late) < 0) {
		qb_schema_done(&qb_libvirt_type, &late);
		conn = open_library(q->uri, &late);
	}
	if (conn)
		ask_hypervisor(conn, &late);
	/* With the last line this process may be ended, and libvirt logs who does not take leave.
	 */
	qb_wire_close(&wire);
	if (conn)
		sym_virConnectClose(conn);
	say(fd, &late);
}

struct qb_vir_inquiry *qb_vir_inquiry_begin(const char *uri, unsigned timeout_ms)
{
	struct qb_vir_inquiry *q = qb_alloc(1, sizeof(*q));

	q->uri = qb_strdup(uri);
	q->timeout_ms = timeout_ms ? timeout_ms : TIMEOUT_DEFAULT_MS;
	q->deadline_ms = qb_now_ms() + q->timeout_ms;
	q->r = qb_child_begin(inquire, q, &q->child);
	return q;
}

static bool take_line(const char **text, struct qb_libvirt_facts *ret)
{
	_cleanup_diags_ struct qb_diags diags = {0};
	const char *end = *text ? strchr(*text, '\n') : NULL;
	int r;

	if (!end)
		return false;
	r = qb_schema_load(&qb_libvirt_type, *text, (size_t)(end - *text), 0, ret, NULL, &diags);
	*text = end + 1;
	return r == 0;
}

void qb_vir_inquiry_end(struct qb_vir_inquiry *q, struct qb_libvirt_facts *ret)
{
	_cleanup_free_ char *why = NULL;
	struct qb_libvirt_facts late = {0};
	const char *text;

	qb_children_wait(&q->child, 1, q->deadline_ms);
	why = q->r < 0        ? qb_asprintf("no process to ask it: %s", strerror(-q->r))
	      : q->child.late ? qb_asprintf("no answer within %u ms", q->timeout_ms)
			      : qb_strdup("the process that asked it ended early");
	text = q->child.text.s;
	*ret = (struct qb_libvirt_facts){0};
	if (!take_line(&text, ret)) {
		qb_schema_done(&qb_libvirt_type, ret);
		ret->uri = QB_TAKE_PTR(q->uri);
		ret->error = qb_strdup(why);
		qb_tri_unknown(&ret->connected, "%s", why);
	}
	if (take_line(&text, &late)) {
		ret->hypervisor_version = QB_TAKE_PTR(late.hypervisor_version);
		QB_SWAP(ret->kvm_domains, late.kvm_domains);
	} else {
		qb_tri_unknown(&ret->kvm_domains, "%s", why);
	}
	qb_schema_done(&qb_libvirt_type, &late);
	qb_child_done(&q->child);
	free(q->uri);
	free(q);
}

void qb_libvirt_probe(const struct qb_root *root, const char *uri, unsigned timeout_ms,
		      struct qb_libvirt_facts *ret)
{
	*ret = (struct qb_libvirt_facts){0};
	if (root->live)
		qb_vir_inquiry_end(qb_vir_inquiry_begin(uri, timeout_ms), ret);
	else
		qb_tri_unknown(&ret->connected, "not a live host");
	qb_vir_units_probe(root, ret);
}
