/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/host/libvirt_probe.h"

#include <errno.h>
#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>

#include "agent/base/thread.h"
#include "agent/host/libvirt_parse.h"
#include "agent/host/libvirt_units.h"

enum {
	TIMEOUT_DEFAULT_MS = 5000
};

/* Filled by a thread of its own. Whoever comes last frees it: one that hangs is left behind. */
struct qb_vir_inquiry {
	pthread_mutex_t lock;
	pthread_cond_t ended;
	bool started, abandoned;
	bool listed; /* facts is whole, and the thread has let go of it */
	bool done;   /* late, too */
	pthread_t thread;
	unsigned timeout_ms;
	struct timespec deadline; /* CLOCK_MONOTONIC */
	struct qb_libvirt_facts facts;
	/* What makes libvirt run QEMU to find out, which takes its time on a slow host. */
	struct qb_libvirt_facts late;
};

static void inquiry_free(struct qb_vir_inquiry *q)
{
	struct qb_facts facts = {.libvirt = q->facts}, late = {.libvirt = q->late};

	qb_facts_done(&facts);
	qb_facts_done(&late);
	pthread_mutex_destroy(&q->lock);
	pthread_cond_destroy(&q->ended);
	free(q);
}

static void silent(void *data, virErrorPtr error)
{
	(void)data, (void)error;
}

static char *last_error(void)
{
	virErrorPtr last = virGetLastError();

	return qb_str_printable(last && last->message ? last->message : "no reason given");
}

static char *version_text(unsigned long v)
{
	return qb_asprintf("%lu.%lu.%lu", v / 1000000, v / 1000 % 1000, v % 1000);
}

/*
 * Where nobody listens libvirt is known not to be reachable. Everything else, such as a refused
 * permission, tells only that it could not be asked.
 */
static void not_connected(struct qb_libvirt_facts *f)
{
	virErrorPtr last = virGetLastError();
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
	int n = virConnectListAllNetworks(conn, &list, 0), autostart;

	*ok &= n >= 0;
	for (int i = 0; i < n; i++) {
		char *xml = virNetworkGetXMLDesc(list[i], 0);
		struct qb_vir_network *net = QB_APPEND(f->networks, f->n_networks);

		if (!xml || qb_vir_network_parse(xml, net) < 0) {
			/* One that was undefined since the list was made is none any more. */
			*ok &= !xml && virGetLastErrorCode() == VIR_ERR_NO_NETWORK;
			f->n_networks--;
		} else {
			net->active = virNetworkIsActive(list[i]) == 1;
			net->persistent = virNetworkIsPersistent(list[i]) == 1;
			net->autostart =
				virNetworkGetAutostart(list[i], &autostart) == 0 && autostart;
		}
		free(xml);
		virNetworkFree(list[i]);
	}
	free(list);
}

static void ask_pools(virConnectPtr conn, struct qb_libvirt_facts *f, bool *ok)
{
	virStoragePoolPtr *list = NULL;
	int n = virConnectListAllStoragePools(conn, &list, 0), autostart;

	*ok &= n >= 0;
	for (int i = 0; i < n; i++) {
		char *xml = virStoragePoolGetXMLDesc(list[i], 0);
		struct qb_vir_pool *pool = QB_APPEND(f->pools, f->n_pools);
		virStoragePoolInfo info;

		if (!xml || qb_vir_pool_parse(xml, pool) < 0) {
			*ok &= !xml && virGetLastErrorCode() == VIR_ERR_NO_STORAGE_POOL;
			f->n_pools--;
		} else {
			pool->active = virStoragePoolIsActive(list[i]) == 1;
			pool->persistent = virStoragePoolIsPersistent(list[i]) == 1;
			pool->autostart =
				virStoragePoolGetAutostart(list[i], &autostart) == 0 && autostart;
			if (pool->active && virStoragePoolGetInfo(list[i], &info) == 0) {
				pool->capacity_bytes = info.capacity;
				pool->available_bytes = info.available;
			}
		}
		free(xml);
		virStoragePoolFree(list[i]);
	}
	free(list);
}

/* Both what it runs with and what it will be started with next. */
static void ask_domain(virDomainPtr domain, struct qb_libvirt_facts *f, bool *ok)
{
	static const unsigned flags[] = {0, VIR_DOMAIN_XML_INACTIVE};
	_cleanup_strs_ struct qb_strs devices = {0};

	for (size_t i = 0; i < QB_ARRAY_SIZE(flags); i++) {
		char *xml = virDomainGetXMLDesc(domain, flags[i]);

		if (!xml || qb_vir_domain_parse(xml, &devices) < 0)
			*ok &= !xml && virGetLastErrorCode() == VIR_ERR_NO_DOMAIN;
		free(xml);
	}
	for (size_t i = 0; i < devices.n; i++) {
		struct qb_vir_disk *disk = QB_APPEND(f->guest_disks, f->n_guest_disks);

		disk->domain = qb_strdup(virDomainGetName(domain));
		disk->device = qb_strdup(devices.v[i]);
	}
}

static void ask_domains(virConnectPtr conn, struct qb_libvirt_facts *f, bool *ok)
{
	virDomainPtr *list = NULL;
	int n = virConnectListAllDomains(conn, &list, 0);

	*ok &= n >= 0;
	for (int i = 0; i < n; i++) {
		ask_domain(list[i], f, ok);
		virDomainFree(list[i]);
	}
	free(list);
}

static void ask_hypervisor(virConnectPtr conn, struct qb_libvirt_facts *f)
{
	char *xml = virConnectGetCapabilities(conn);
	unsigned long version;
	bool kvm;

	if (virConnectGetVersion(conn, &version) == 0 && version)
		f->hypervisor_version = version_text(version);
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

	if (virConnectGetLibVersion(conn, &version) == 0)
		f->version = version_text(version);
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

/* One stage of the inquiry is over; true when nobody waits for it any more. */
static bool reached(struct qb_vir_inquiry *q, bool *stage)
{
	bool abandoned;

	pthread_mutex_lock(&q->lock);
	*stage = true;
	abandoned = q->abandoned;
	pthread_cond_signal(&q->ended);
	pthread_mutex_unlock(&q->lock);
	return abandoned;
}

static void *inquire(void *data)
{
	struct qb_vir_inquiry *q = data;
	/* Read-only is open to every user, and cannot change anything. */
	virConnectPtr conn = virConnectOpenReadOnly(q->facts.uri);

	if (conn)
		ask_objects(conn, &q->facts);
	else
		not_connected(&q->facts);
	reached(q, &q->listed);
	if (conn) {
		ask_hypervisor(conn, &q->late);
		virConnectClose(conn);
	}
	if (reached(q, &q->done))
		inquiry_free(q);
	return NULL;
}

struct qb_vir_inquiry *qb_vir_inquiry_begin(const char *uri, unsigned timeout_ms)
{
	struct qb_vir_inquiry *q = qb_alloc(1, sizeof(*q));
	int r;

	virSetErrorFunc(NULL, silent);
	qb_cond_init(&q->ended);
	pthread_mutex_init(&q->lock, NULL);
	q->facts.uri = qb_strdup(uri);
	q->timeout_ms = timeout_ms ? timeout_ms : TIMEOUT_DEFAULT_MS;
	q->deadline = qb_deadline(q->timeout_ms);
	r = qb_thread_start(inquire, q, &q->thread);
	if (r) {
		qb_tri_unknown(&q->facts.connected, "no thread to ask it: %s", strerror(r));
		q->listed = q->done = true;
	}
	q->started = r == 0;
	return q;
}

void qb_vir_inquiry_end(struct qb_vir_inquiry *q, struct qb_libvirt_facts *ret)
{
	pthread_t thread = q->thread;
	bool started = q->started, done;

	pthread_mutex_lock(&q->lock);
	while (!q->done && pthread_cond_timedwait(&q->ended, &q->lock, &q->deadline) == 0)
		;
	done = q->done;
	q->abandoned = !done;
	if (q->listed) {
		*ret = q->facts;
		q->facts = (struct qb_libvirt_facts){0};
	} else {
		/* Written once, before the thread began. */
		*ret = (struct qb_libvirt_facts){.uri = qb_strdup(q->facts.uri)};
		ret->error = qb_asprintf("no answer within %u ms", q->timeout_ms);
		qb_tri_unknown(&ret->connected, "%s", ret->error);
	}
	if (done) {
		ret->hypervisor_version = QB_TAKE_PTR(q->late.hypervisor_version);
		ret->kvm_domains = q->late.kvm_domains;
		q->late.kvm_domains = (struct qb_tri){0};
	} else {
		qb_tri_unknown(&ret->kvm_domains, "no answer within %u ms", q->timeout_ms);
	}
	pthread_mutex_unlock(&q->lock);
	if (started)
		(void)!(done ? pthread_join(thread, NULL) : pthread_detach(thread));
	if (done)
		inquiry_free(q);
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
