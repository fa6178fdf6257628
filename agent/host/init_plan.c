/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/host/config.h"
#include "agent/host/init_parts.h"

static const char *const lists[] = {"bridges", "networks", "pools"};

void qb_init_remark(json_t *item, const char *fmt, ...)
{
	json_t *all = json_object_get(item, QB_INIT_REMARKS);
	_cleanup_free_ char *text = NULL, *safe = NULL;
	va_list ap;

	va_start(ap, fmt);
	text = qb_vasprintf(fmt, ap);
	va_end(ap);
	safe = qb_str_printable(text);
	if (!all) {
		all = json_array();
		json_object_set_new(item, QB_INIT_REMARKS, all);
	}
	json_array_append_new(all, json_string(safe));
}

void qb_init_set(json_t *item, const char *key, const char *value)
{
	json_object_set_new(item, key, json_string(value));
}

json_t *qb_init_add(json_t *config, const char *list, const char *name)
{
	json_t *items = json_object_get(config, list), *item = json_object();

	if (!items) {
		items = json_array();
		json_object_set_new(config, list, items);
	}
	qb_init_set(item, "name", name);
	json_array_append_new(items, item);
	return item;
}

json_t *qb_init_find(const json_t *config, const char *list, const char *key, const char *value)
{
	size_t i;
	json_t *item;

	json_array_foreach (json_object_get(config, list), i, item)
		if (qb_streq(json_string_value(json_object_get(item, key)), value))
			return item;
	return NULL;
}

/* The reasons of target among what is left out: borrowed. */
static json_t *reasons_of(json_t *left, const char *target)
{
	json_t *item;
	size_t i;

	json_array_foreach (left, i, item)
		if (qb_streq(json_string_value(json_object_get(item, "target")), target))
			return json_object_get(item, "reasons");
	item = json_pack("{s:s, s:[]}", "target", target, "reasons");
	json_array_append_new(left, item);
	return json_object_get(item, "reasons");
}

void qb_init_leave(json_t *left, const char *target, const char *why)
{
	_cleanup_free_ char *name = qb_str_printable(target), *text = qb_str_printable(why);

	json_array_append_new(reasons_of(left, name), json_string(text));
}

static void add_kvm(const struct qb_facts *facts, json_t *config)
{
	const struct qb_module *vhost = qb_facts_module(facts, "vhost_net");
	json_t *kvm = json_object();

	if (facts->kvm.nested.state != QB_UNKNOWN)
		json_object_set_new(kvm, "nested", json_boolean(qb_is(&facts->kvm.nested)));
	if (vhost && (vhost->state == QB_MODULE_LOADED || vhost->state == QB_MODULE_AVAILABLE))
		json_object_set_new(kvm, "modules", json_pack("[s]", "vhost_net"));
	if (json_object_size(kvm))
		json_object_set(config, "kvm", kvm);
	json_decref(kvm);
}

/* What others made may be what the configuration does not take, or claim one directory twice. */
static bool is_valid(const struct qb_init *init, struct qb_diags *diags)
{
	_cleanup_config_ struct qb_config config = {0};
	json_auto_t *bare = qb_init_bare(init);
	_cleanup_free_ char *text = json_dumps(bare, 0);

	return qb_config_parse(text, strlen(text), &config, diags) == 0;
}

static void keep_valid(struct qb_init *init)
{
	json_auto_t *all = init->config;
	json_t *item;
	size_t i;

	init->config = json_copy(all);
	for (size_t l = 0; l < QB_ARRAY_SIZE(lists); l++)
		json_object_del(init->config, lists[l]);
	for (size_t l = 0; l < QB_ARRAY_SIZE(lists); l++)
		json_array_foreach (json_object_get(all, lists[l]), i, item) {
			_cleanup_diags_ struct qb_diags diags = {0};
			json_t *kept = json_object_get(init->config, lists[l]);

			if (!kept)
				json_object_set_new(init->config, lists[l], kept = json_array());
			json_array_append(kept, item);
			if (is_valid(init, &diags))
				continue;
			json_array_remove(kept, json_array_size(kept) - 1);
			if (!json_array_size(kept))
				json_object_del(init->config, lists[l]);
			qb_init_leave(init->left, json_string_value(json_object_get(item, "name")),
				      diags.v[0].msg);
		}
}

void qb_init_plan(const struct qb_facts *facts, struct qb_init *ret)
{
	ret->config = json_pack("{s:i}", "version", 1);
	ret->left = json_array();
	add_kvm(facts, ret->config);
	qb_init_bridges(facts, ret->config, ret->left);
	qb_init_networks(facts, ret->config);
	qb_init_pools(facts, ret->config, ret->left);
	keep_valid(ret);
	if (!json_object_get(ret->config, "pools"))
		qb_init_directory(facts, ret->config);
}

/* What the plan calls target, out of these items: false where it is none of them. */
static bool take_out(json_t *items, const char *target)
{
	static const char *const names[] = {"name", "target"};
	json_t *item;
	size_t i;

	json_array_foreach (items, i, item) {
		for (size_t n = 0; n < QB_ARRAY_SIZE(names); n++)
			if (qb_streq(json_string_value(json_object_get(item, names[n])), target)) {
				json_array_remove(items, i);
				return true;
			}
		if (qb_streq(json_string_value(json_object_get(item, "libvirt-network")), target)) {
			json_object_del(item, "libvirt-network");
			return true;
		}
	}
	return false;
}

void qb_init_drop(struct qb_init *init, const struct qb_plan *plan)
{
	for (size_t i = 0; i < plan->n_refused; i++) {
		const struct qb_refusal *r = &plan->refused[i];
		const char *word = strchr(r->target, ' '); /* "network default" */

		for (size_t l = 0; l < QB_ARRAY_SIZE(lists); l++) {
			json_t *items = json_object_get(init->config, lists[l]);

			if (!take_out(items, word ? word + 1 : r->target))
				continue;
			if (!json_array_size(items))
				json_object_del(init->config, lists[l]);
			break;
		}
		for (size_t j = 0; j < r->n_reasons; j++)
			qb_init_leave(init->left, r->target, r->reasons[j].evidence);
	}
}

void qb_init_done(struct qb_init *init)
{
	json_decref(init->config);
	json_decref(init->left);
	*init = (struct qb_init){0};
}
