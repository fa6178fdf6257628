/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/host/libvirt_wire.h"

#include <endian.h>

#include "agent/host/libvirt_parse.h"

/* src/remote/remote_protocol.x of libvirt; public flags as in libvirt/libvirt.h */
enum {
	CONNECT_OPEN = 1,
	CONNECT_GET_VERSION = 4,
	CONNECT_GET_CAPABILITIES = 7,
	DOMAIN_GET_XML_DESC = 14,
	NETWORK_GET_XML_DESC = 43,
	NETWORK_GET_AUTOSTART = 44,
	STORAGE_POOL_GET_INFO = 87,
	STORAGE_POOL_GET_XML_DESC = 88,
	STORAGE_POOL_GET_AUTOSTART = 89,
	NETWORK_IS_ACTIVE = 152,
	NETWORK_IS_PERSISTENT = 153,
	STORAGE_POOL_IS_ACTIVE = 154,
	STORAGE_POOL_IS_PERSISTENT = 155,
	CONNECT_GET_LIB_VERSION = 157,
	CONNECT_LIST_ALL_DOMAINS = 273,
	CONNECT_LIST_ALL_STORAGE_POOLS = 281,
	CONNECT_LIST_ALL_NETWORKS = 283,

	FLAG_READ_ONLY = 1,
	FLAG_NETWORK_INACTIVE = 1,
	FLAG_DOMAIN_INACTIVE = 2,
	UUID_LEN = 16,
	ID_LEN = 4,
};

/* Each as libvirt names it on the wire, to be said to it again. */
struct objects {
	struct qb_buf *v;
	size_t n;
};

static void objects_done(struct objects *o)
{
	for (size_t i = 0; i < o->n; i++)
		qb_buf_done(&o->v[i]);
	free(o->v);
}

#define _cleanup_objects_ QB_CLEANUP(objects_done)

/* Behind its name an object has its UUID, and a domain its id. */
static void list(struct qb_wire *w, uint32_t procedure, size_t behind, struct objects *ret)
{
	qb_wire_put_u32(w, true); /* the objects, not only their number */
	qb_wire_put_u32(w, 0);
	qb_wire_call(w, procedure);
	for (uint32_t n = qb_wire_u32(w); n > 0; n--) {
		size_t begin = w->at;

		qb_wire_skip_text(w);
		qb_wire_skip(w, behind);
		if (w->r < 0)
			return;
		qb_buf_add(QB_APPEND(ret->v, ret->n), w->answer.s + begin, w->at - begin);
	}
}

static void call_of(struct qb_wire *w, uint32_t procedure, const struct qb_buf *object)
{
	qb_wire_put_raw(w, object->s, object->len);
	qb_wire_call(w, procedure);
}

static char *describe(struct qb_wire *w, uint32_t procedure, const struct qb_buf *object,
		      uint32_t flags)
{
	qb_wire_put_raw(w, object->s, object->len);
	qb_wire_put_u32(w, flags);
	qb_wire_call(w, procedure);
	return qb_wire_text(w);
}

static bool is(struct qb_wire *w, uint32_t procedure, const struct qb_buf *object)
{
	call_of(w, procedure, object);
	return qb_wire_u32(w) == 1;
}

static void parsed(struct qb_wire *w, int r)
{
	if (w->r == 0 && r < 0)
		w->r = -EBADMSG;
}

static void ask_networks(struct qb_wire *w, struct qb_libvirt_facts *f)
{
	_cleanup_objects_ struct objects all = {0};

	list(w, CONNECT_LIST_ALL_NETWORKS, UUID_LEN, &all);
	for (size_t i = 0; i < all.n && w->r == 0; i++) {
		_cleanup_free_ char *xml = describe(w, NETWORK_GET_XML_DESC, &all.v[i], 0);
		_cleanup_free_ char *next =
			describe(w, NETWORK_GET_XML_DESC, &all.v[i], FLAG_NETWORK_INACTIVE);
		struct qb_vir_network *net = QB_APPEND(f->networks, f->n_networks);

		parsed(w, xml ? qb_vir_network_parse(xml, net) : -EPROTO);
		parsed(w, next ? qb_vir_definition_parse(next, &net->next) : -EPROTO);
		net->active = is(w, NETWORK_IS_ACTIVE, &all.v[i]);
		net->persistent = is(w, NETWORK_IS_PERSISTENT, &all.v[i]);
		net->autostart = is(w, NETWORK_GET_AUTOSTART, &all.v[i]);
	}
}

static void ask_pools(struct qb_wire *w, struct qb_libvirt_facts *f)
{
	_cleanup_objects_ struct objects all = {0};

	list(w, CONNECT_LIST_ALL_STORAGE_POOLS, UUID_LEN, &all);
	for (size_t i = 0; i < all.n && w->r == 0; i++) {
		_cleanup_free_ char *xml = describe(w, STORAGE_POOL_GET_XML_DESC, &all.v[i], 0);
		struct qb_vir_pool *pool = QB_APPEND(f->pools, f->n_pools);

		parsed(w, xml ? qb_vir_pool_parse(xml, pool) : -EPROTO);
		pool->active = is(w, STORAGE_POOL_IS_ACTIVE, &all.v[i]);
		pool->persistent = is(w, STORAGE_POOL_IS_PERSISTENT, &all.v[i]);
		pool->autostart = is(w, STORAGE_POOL_GET_AUTOSTART, &all.v[i]);
		if (!pool->active)
			continue;
		call_of(w, STORAGE_POOL_GET_INFO, &all.v[i]);
		(void)qb_wire_u32(w); /* its state */
		pool->capacity_bytes = qb_wire_u64(w);
		(void)qb_wire_u64(w); /* allocation */
		pool->available_bytes = qb_wire_u64(w);
	}
}

/* An object begins with its name, and that with its length. */
static char *name_of(const struct qb_buf *object)
{
	uint32_t len;

	memcpy(&len, object->s, sizeof(len));
	return qb_strndup(object->s + sizeof(len), be32toh(len));
}

/* Both what it runs with and what it will be started with next. */
static void ask_domain(struct qb_wire *w, const struct qb_buf *object, struct qb_libvirt_facts *f)
{
	static const uint32_t flags[] = {0, FLAG_DOMAIN_INACTIVE};
	_cleanup_free_ char *name = name_of(object);

	for (size_t i = 0; i < QB_ARRAY_SIZE(flags); i++) {
		_cleanup_free_ char *xml = describe(w, DOMAIN_GET_XML_DESC, object, flags[i]);

		parsed(w, xml ? qb_vir_domain_parse(xml, name, f) : -EPROTO);
	}
}

static void ask_domains(struct qb_wire *w, struct qb_libvirt_facts *f)
{
	_cleanup_objects_ struct objects all = {0};

	list(w, CONNECT_LIST_ALL_DOMAINS, UUID_LEN + ID_LEN, &all);
	for (size_t i = 0; i < all.n && w->r == 0; i++)
		ask_domain(w, &all.v[i], f);
}

int qb_wire_objects(struct qb_wire *w, struct qb_libvirt_facts *to)
{
	qb_wire_put_u32(w, true); /* there is a URI */
	qb_wire_put_text(w, to->uri);
	qb_wire_put_u32(w, FLAG_READ_ONLY);
	qb_wire_call(w, CONNECT_OPEN);
	qb_wire_call(w, CONNECT_GET_LIB_VERSION);
	to->version = qb_vir_version_text(qb_wire_u64(w));
	ask_networks(w, to);
	ask_pools(w, to);
	ask_domains(w, to);
	if (w->r == 0)
		qb_tri_set(&to->connected, true);
	return w->r;
}

int qb_wire_hypervisor(struct qb_wire *w, struct qb_libvirt_facts *to)
{
	_cleanup_free_ char *xml = NULL;
	uint64_t version = 0;
	bool kvm = false;

	qb_wire_call(w, CONNECT_GET_CAPABILITIES);
	xml = qb_wire_text(w);
	parsed(w, xml ? qb_vir_capabilities_parse(xml, &kvm) : -EPROTO);
	if (w->r < 0)
		return w->r;
	/* An error is the answer where there is no QEMU. */
	if (qb_wire_call(w, CONNECT_GET_VERSION) == 0)
		version = qb_wire_u64(w);
	else if (w->r == -EREMOTEIO)
		w->r = 0;
	qb_tri_set(&to->kvm_domains, kvm);
	if (version)
		to->hypervisor_version = qb_vir_version_text(version);
	return w->r;
}
