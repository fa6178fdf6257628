/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/host/facts.h"

#include <errno.h>

#define SCHEMA "qubi-agent/facts/1"

static const char *valid_schema(const char *value)
{
	return qb_streq(value, SCHEMA) ? NULL : SCHEMA ", which is what facts prints";
}

struct head {
	char *schema;
};

static const struct qb_field head_fields[] = {
	QB_F(head, schema, "schema", STR, .flags = QB_FIELD_REQUIRED, .valid = valid_schema),
};

static const struct qb_type head_type = {
	.name = "facts",
	.size = sizeof(struct head),
	.fields = head_fields,
	.n_fields = QB_ARRAY_SIZE(head_fields),
};

/* The schema first: errors about keys of something else would help nobody. */
int qb_facts_load(const char *text, size_t len, struct qb_facts *ret, struct qb_diags *diags)
{
	_cleanup_facts_ struct qb_facts facts = {0};
	struct head head;
	int r = qb_schema_load(&head_type, text, len, 0, &head, NULL, diags);

	qb_schema_done(&head_type, &head);
	if (r == 0)
		r = qb_schema_load(&qb_facts_type, text, len, 0, &facts, NULL, diags);
	if (r < 0)
		return r;
	qb_facts_index(&facts);
	*ret = facts;
	facts = (struct qb_facts){0};
	return 0;
}

json_t *qb_facts_to_json(const struct qb_facts *facts)
{
	json_t *document = json_object();

	json_object_set_new(document, "schema", json_string(SCHEMA));
	qb_schema_add_json(&qb_facts_type, facts, document);
	return document;
}

json_t *qb_facts_describe(void)
{
	json_t *body = qb_schema_describe(&qb_facts_type), *document = json_object();
	json_t *properties = json_object(), *required = json_array();

	json_object_set_new(document, "$schema",
			    json_string("https://json-schema.org/draft/2020-12/schema"));
	json_object_set_new(document, "$id", json_string("urn:" SCHEMA));
	json_object_set_new(document, "title", json_string("qubi-agent facts"));
	json_object_update(document, body);
	json_object_set_new(properties, "schema", json_pack("{ss}", "const", SCHEMA));
	json_object_update(properties, json_object_get(body, "properties"));
	json_array_append_new(required, json_string("schema"));
	json_array_extend(required, json_object_get(body, "required"));
	json_object_set_new(document, "properties", properties);
	json_object_set_new(document, "required", required);
	json_decref(body);
	return document;
}

void qb_facts_done(struct qb_facts *facts)
{
	qb_net_index_done(&facts->net);
	free(facts->reading_order);
	facts->reading_order = NULL;
	qb_schema_done(&qb_facts_type, facts);
}

const struct qb_module *qb_facts_module(const struct qb_facts *facts, const char *name)
{
	for (size_t i = 0; i < facts->n_modules; i++)
		if (qb_streq(facts->modules[i].name, name))
			return &facts->modules[i];
	return NULL;
}

const char *qb_facts_vendor_module(const struct qb_facts *facts)
{
	static const struct {
		const char *vendor, *module;
	} modules[] = {
		{"GenuineIntel", "kvm_intel"},
		{"AuthenticAMD", "kvm_amd"},
		{"HygonGenuine", "kvm_amd"},
		{"CentaurHauls", "kvm_intel"}, /* and Shanghai below: VIA and Zhaoxin have VMX */
		{"  Shanghai  ", "kvm_intel"},
		{"Shanghai", "kvm_intel"},
	};

	for (size_t i = 0; i < QB_ARRAY_SIZE(modules); i++)
		if (qb_streq(facts->cpu.vendor, modules[i].vendor))
			return modules[i].module;
	return NULL;
}

const struct qb_vir_network *qb_facts_network(const struct qb_facts *facts, const char *name)
{
	for (size_t i = 0; i < facts->libvirt.n_networks; i++)
		if (qb_streq(facts->libvirt.networks[i].name, name))
			return &facts->libvirt.networks[i];
	return NULL;
}

const struct qb_vir_pool *qb_facts_pool(const struct qb_facts *facts, const char *name)
{
	for (size_t i = 0; i < facts->libvirt.n_pools; i++)
		if (qb_streq(facts->libvirt.pools[i].name, name))
			return &facts->libvirt.pools[i];
	return NULL;
}

/* Readings by their paths, and which ones: others are looked through. */
struct qb_reading_order {
	const struct qb_reading *readings;
	size_t n;
	const struct qb_reading *v[];
};

static int compare(const void *va, const void *vb)
{
	const struct qb_reading *a = *(const struct qb_reading *const *)va;
	const struct qb_reading *b = *(const struct qb_reading *const *)vb;
	int r = strcmp(a->path, b->path);

	return r ? r : (a > b) - (a < b);
}

void qb_facts_index(struct qb_facts *facts)
{
	size_t n = facts->n_readings;
	struct qb_reading_order *order =
		qb_alloc(1, sizeof(*order) + n * sizeof(const struct qb_reading *));

	qb_net_index(&facts->net);
	order->readings = facts->readings;
	order->n = n;
	for (size_t i = 0; i < n; i++)
		order->v[i] = &facts->readings[i];
	qsort(order->v, n, sizeof(order->v[0]), compare);
	free(facts->reading_order);
	facts->reading_order = order;
}

static const struct qb_reading_order *order_of(const struct qb_facts *facts)
{
	const struct qb_reading_order *o = facts->reading_order;

	return o && o->readings == facts->readings && o->n == facts->n_readings ? o : NULL;
}

/* Where the paths begin that start with prefix (behind: 0), or end (1). */
static size_t bound(const struct qb_reading_order *order, const char *prefix, size_t len,
		    int behind)
{
	size_t low = 0, high = order->n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (strncmp(order->v[middle]->path, prefix, len) < behind)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

bool qb_facts_readings_below(const struct qb_facts *facts, const char *prefix, size_t len,
			     const struct qb_reading *const **ret, size_t *ret_n)
{
	const struct qb_reading_order *order = order_of(facts);
	size_t from;

	if (!order)
		return false;
	from = bound(order, prefix, len, 0);
	*ret = order->v + from;
	*ret_n = bound(order, prefix, len, 1) - from;
	return true;
}

const struct qb_reading *qb_facts_reading(const struct qb_facts *facts, const char *path)
{
	const struct qb_reading *const *same;
	size_t n;

	if (qb_facts_readings_below(facts, path, strlen(path) + 1, &same, &n))
		return n ? same[0] : NULL;
	for (size_t i = 0; i < facts->n_readings; i++)
		if (qb_streq(facts->readings[i].path, path))
			return &facts->readings[i];
	return NULL;
}

const struct qb_target *qb_facts_target(const struct qb_facts *facts, const char *path)
{
	for (size_t i = 0; i < facts->n_targets; i++)
		if (qb_streq(facts->targets[i].path, path))
			return &facts->targets[i];
	return NULL;
}

const struct qb_space *qb_facts_space(const struct qb_facts *facts, const char *path)
{
	for (size_t i = 0; i < facts->n_spaces; i++)
		if (qb_streq(facts->spaces[i].path, path))
			return &facts->spaces[i];
	return NULL;
}
