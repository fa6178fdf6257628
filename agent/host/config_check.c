/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/host/config_check.h"

#include <search.h>
#include "agent/host/module.h"

bool qb_config_present(const struct qb_config_check *c, const void *member)
{
	return qb_positions_find(c->pos, member).member;
}

bool qb_config_misspelt(const struct qb_config_check *c, const void *obj)
{
	return qb_positions_find_object(c->pos, obj).bad;
}

bool qb_config_given(const struct qb_config_check *c, const void *member)
{
	struct qb_position at = qb_positions_find(c->pos, member);

	return at.member && !at.bad;
}

QB_PRINTF(3, 0)
static void add(struct qb_config_check *c, struct qb_position at, const char *fmt, va_list ap)
{
	_cleanup_free_ char *msg = NULL;

	msg = qb_vasprintf(fmt, ap);
	qb_diags_add(c->diags, at.line, at.column, "%s", msg);
}

void qb_config_wrong(struct qb_config_check *c, const void *member, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	add(c, qb_positions_find(c->pos, member), fmt, ap);
	va_end(ap);
}

void qb_config_wrong_object(struct qb_config_check *c, const void *obj, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	add(c, qb_positions_find_object(c->pos, obj), fmt, ap);
	va_end(ap);
}

struct claim {
	const char *what;  /* "name", "mac": claims of one kind are compared */
	const char *value; /* of the configuration */
	const void *member;
	bool fold;
};

static int compare_claims(const void *va, const void *vb)
{
	const struct claim *a = va, *b = vb;
	int r = strcmp(a->what, b->what);

	if (r)
		return r;
	return a->fold && b->fold ? strcasecmp(a->value, b->value) : strcmp(a->value, b->value);
}

void qb_config_claim(struct qb_config_check *c, struct qb_claims *claims, const char *what,
		     const char *value, const void *member, bool fold)
{
	struct claim *claim, *const *found;

	if (!value)
		return;
	claim = qb_alloc(1, sizeof(*claim));
	*claim = (struct claim){what, value, member, fold};
	found = tsearch(claim, &claims->tree, compare_claims);
	if (!found)
		abort();
	if (*found == claim)
		return;
	qb_config_wrong(c, member, "%s \"%s\" is taken already in line %u", what, value,
			qb_positions_find(c->pos, (*found)->member).line);
	free(claim);
}

void qb_claims_done(struct qb_claims *claims)
{
	tdestroy(claims->tree, free);
	*claims = (struct qb_claims){0};
}

/* To the kernel - and _ in a module's name are one: facts have _, and so has the configuration. */
static void check_modules(struct qb_config_check *c)
{
	struct qb_strs *modules = &c->config->kvm.modules;

	for (size_t i = 0; i < modules->n; i++) {
		char *name = qb_module_name(modules->v[i]);

		for (size_t j = 0; j < i; j++)
			if (qb_streq(modules->v[j], name)) {
				qb_config_wrong(c, modules, "module \"%s\" is listed twice",
						modules->v[i]);
				break;
			}
		free(modules->v[i]);
		modules->v[i] = name;
	}
}

void qb_config_check_names(struct qb_config_check *c)
{
	_cleanup_claims_ struct qb_claims claims = {0};
	struct qb_config *config = c->config;

	if (qb_config_given(c, &config->version) && config->version != 1)
		qb_config_wrong(c, &config->version,
				"version %lld of the configuration is not known here; this is "
				"version 1",
				(long long)config->version);
	for (size_t i = 0; i < config->n_bridges; i++) {
		struct qb_bridge_config *b = &config->bridges[i];

		qb_config_claim(c, &claims, "the bridge name", b->name, &b->name, false);
		qb_config_claim(c, &claims, "the libvirt network name", b->libvirt_network,
				&b->libvirt_network, false);
	}
	for (size_t i = 0; i < config->n_networks; i++) {
		struct qb_network_config *n = &config->networks[i];

		qb_config_claim(c, &claims, "the libvirt network name", n->name, &n->name, false);
		qb_config_claim(c, &claims, "the bridge name", n->bridge, &n->bridge, false);
	}
	for (size_t i = 0; i < config->n_pools; i++)
		qb_config_claim(c, &claims, "the pool name", config->pools[i].name,
				&config->pools[i].name, false);
	check_modules(c);
}

/* Pages of one size are counted on each node, or over all: the kernel keeps one count of the sum.
 */
static void check_pages(struct qb_config_check *c, size_t i)
{
	const struct qb_hugepages_config *all = c->config->host.hugepages, *pages = &all[i];

	if (pages->size & (pages->size - 1)) {
		qb_config_wrong(c, &pages->size, "no page has such a size: it is no power of two");
		return;
	}
	for (size_t k = 0; k < i; k++) {
		if (all[k].size != pages->size)
			continue;
		if (all[k].node == pages->node)
			qb_config_wrong(c, &pages->size,
					"pages of this size are counted twice there");
		else if (all[k].node < 0 || pages->node < 0)
			qb_config_wrong(c, &pages->size,
					"pages of one size are given for each node, or for all "
					"of them together");
		else
			continue;
		return;
	}
}

void qb_config_check_host(struct qb_config_check *c)
{
	_cleanup_claims_ struct qb_claims claims = {0};
	const struct qb_host_config *host = &c->config->host;

	for (size_t i = 0; i < host->n_hugepages; i++)
		if (qb_config_given(c, &host->hugepages[i].size))
			check_pages(c, i);
	for (size_t i = 0; i < host->n_sysctl; i++)
		if (qb_config_given(c, &host->sysctl[i].name))
			qb_config_claim(c, &claims, "the sysctl", host->sysctl[i].name,
					&host->sysctl[i].name, false);
}
