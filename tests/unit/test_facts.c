/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <cmocka.h>

#include "agent/host/config.h"
#include "agent/host/facts.h"

static uint32_t next_random(uint64_t *seed)
{
	*seed = *seed * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(*seed >> 33);
}

static char *some_text(uint64_t *seed)
{
	static const char *const texts[] = {"",
					    "x",
					    "QB0001",
					    "two words",
					    "null",
					    "a\nb",
					    "Prüfung",
					    "\x1b[31m",
					    "\xff",
					    "{\"a\": 1}",
					    "\xc2\x9b"
					    "31",
					    "- 1",
					    "# none",
					    "\xe2\x80\xa8"};

	return qb_strdup(texts[next_random(seed) % QB_ARRAY_SIZE(texts)]);
}

static void fill(const struct qb_type *type, void *obj, uint64_t *seed);

static void fill_list(const struct qb_field *f, void *obj, uint64_t *seed)
{
	size_t n = 1 + next_random(seed) % 3;
	char *v = qb_alloc(4, f->of->size);

	for (size_t i = 0; i < n; i++)
		fill(f->of, v + i * f->of->size, seed);
	memcpy((char *)obj + f->offset, &v, sizeof(v));
	memcpy((char *)obj + f->n_offset, &n, sizeof(n));
}

static void fill_field(const struct qb_field *f, void *obj, uint64_t *seed)
{
	void *m = (char *)obj + f->offset;
	_cleanup_free_ char *text = some_text(seed);
	int n = 0;

	switch (f->kind) {
	case QB_FIELD_BOOL:
		*(bool *)m = next_random(seed) % 2;
		break;
	case QB_FIELD_TRI:
		if (next_random(seed) % 3)
			qb_tri_set(m, next_random(seed) % 2);
		else if (next_random(seed) % 3)
			qb_tri_unknown(m, "%s", text);
		break;
	case QB_FIELD_I64:
		*(int64_t *)m = (int64_t)next_random(seed) - INT32_MAX / 2;
		break;
	case QB_FIELD_U64:
	case QB_FIELD_SIZE:
		*(uint64_t *)m = (uint64_t)next_random(seed) << next_random(seed) % 31;
		break;
	case QB_FIELD_STR:
		if (f->flags & QB_FIELD_REQUIRED || next_random(seed) % 4)
			*(char **)m = QB_TAKE_PTR(text);
		break;
	case QB_FIELD_ENUM:
		while (f->names[n])
			n++;
		*(int *)m = (int)(next_random(seed) % (unsigned)n);
		break;
	case QB_FIELD_STRS:
		for (n = (int)(next_random(seed) % 3); n; n--)
			qb_strs_add(m, text);
		break;
	case QB_FIELD_OBJECT:
		fill(f->of, m, seed);
		break;
	case QB_FIELD_LIST:
		fill_list(f, obj, seed);
		break;
	}
}

/* Any values at all, in every member that the table knows. */
static void fill(const struct qb_type *type, void *obj, uint64_t *seed)
{
	for (size_t i = 0; i < type->n_fields; i++)
		fill_field(&type->fields[i], obj, seed);
}

static char *printed(const struct qb_facts *facts)
{
	json_t *json = qb_facts_to_json(facts);
	char *text = json_dumps(json, JSON_INDENT(2));

	json_decref(json);
	assert_non_null(text);
	return text;
}

static void facts_come_back_as_they_were(void **state)
{
	(void)state;
	for (uint64_t seed = 0; seed < 50; seed++) {
		_cleanup_facts_ struct qb_facts facts = {0}, back = {0};
		_cleanup_diags_ struct qb_diags diags = {0};
		_cleanup_free_ char *first = NULL, *second = NULL;
		uint64_t s = seed;

		/* The first round: nothing was looked at. */
		if (seed)
			fill(&qb_facts_type, &facts, &s);
		first = printed(&facts);
		if (qb_facts_load(first, strlen(first), &back, &diags) < 0)
			fail_msg("%u:%u: %s\n%s", diags.v[0].line, diags.v[0].column,
				 diags.v[0].msg, first);
		second = printed(&back);
		assert_string_equal(first, second);
		if (seed)
			assert_true(back.disks.n_disks && back.net.n_links && back.n_modules &&
				    back.libvirt.n_pools);
	}
}

static void the_document_keeps_its_order_and_names(void **state)
{
	static const char *const keys[] = {"schema", "live",    "system", "cpu",
					   "kvm",    "modules", "links",  "routes",
					   "net",    "disks",   "libvirt"};
	static const char *const of_disk[] = {"name",       "path",       "wwid",
					      "serial",     "size_bytes", "transport",
					      "rotational", "available",  "reasons"};
	struct qb_facts facts = {0};
	_cleanup_free_ char *text = NULL;
	json_t *json, *disk;
	const char *at;

	(void)state;
	facts.disks.disks = qb_alloc(1, sizeof(*facts.disks.disks));
	facts.disks.n_disks = 1;
	json = qb_facts_to_json(&facts);
	text = json_dumps(json, JSON_INDENT(1));
	at = text;
	assert_int_equal(strncmp(text, "{\n \"schema\": \"qubi-agent/facts/1\",", 33), 0);
	for (size_t i = 0; i < QB_ARRAY_SIZE(keys); i++) {
		_cleanup_free_ char *line = qb_asprintf("\n \"%s\": ", keys[i]);

		at = strstr(at, line);
		if (!at)
			fail_msg("%s: not there, or not in order", keys[i]);
	}
	disk = json_array_get(json_object_get(json, "disks"), 0);
	for (size_t i = 0; i < QB_ARRAY_SIZE(of_disk); i++)
		assert_non_null(json_object_get(disk, of_disk[i]));
	assert_true(json_is_null(json_object_get(disk, "rotational")));
	json_decref(json);
	qb_facts_done(&facts);
}

static void unknown_says_why(void **state)
{
	struct qb_facts facts = {0};
	json_t *json, *disk;

	(void)state;
	qb_tri_unknown(&facts.disks.known, "%s: permission denied", "/sys/block");
	qb_tri_set(&facts.libvirt.connected, false);
	json = qb_facts_to_json(&facts);
	disk = json_object_get(json, "disks_known_unknown");
	assert_string_equal(json_string_value(disk), "/sys/block: permission denied");
	assert_true(json_is_false(json_object_get(json_object_get(json, "libvirt"), "connected")));
	assert_null(json_object_get(json_object_get(json, "libvirt"), "connected_unknown"));
	/* Nobody looked: there is nothing to say. */
	assert_null(json_object_get(json, "live_unknown"));
	json_decref(json);
	qb_facts_done(&facts);
}

static void what_is_no_facts_document_is_refused(void **state)
{
	static const struct {
		const char *text;
		unsigned line, column;
		const char *msg;
	} cases[] = {
		{"", 0, 0, "there is nothing in it"},
		{"{}", 1, 1, "\"schema\" is missing"},
		{"{\"schema\": \"qubi-agent/check/1\", \"disks\": 1}", 1, 12,
		 "\"schema\": \"qubi-agent/check/1\" is not qubi-agent/facts/1, which is what "
		 "facts "
		 "prints"},
		{"{\"schema\": \"qubi-agent/facts/2\"}", 1, 12,
		 "\"schema\": \"qubi-agent/facts/2\" is not qubi-agent/facts/1, which is what "
		 "facts "
		 "prints"},
		{"[]", 1, 1, "the document must be keys and values, not a list"},
		{"{\"schema\": \"qubi-agent/facts/1\", \"disks\": [\n", 2, 1,
		 "not valid YAML: did not find expected node content, while parsing a flow node"},
		{"{\"schema\": \"qubi-agent/facts/1\",\n\"disks\": [{\"name\": \"sda\"}]}", 2, 11,
		 "disks[0]: \"path\" is missing"},
		{"{\"schema\": \"qubi-agent/facts/1\",\n\"links\": [{\"addresses\": []}]}", 2, 11,
		 "links[0]: \"name\" is missing"},
		{"{\"schema\": \"qubi-agent/facts/1\",\n\"modules\": [{\"name\": null}]}", 2, 14,
		 "\"name\" has no value: give one, or leave the key out"},
		{"{\"schema\": \"qubi-agent/facts/1\",\n\"cpu\": {\"online\": \"2\"}}", 2, 19,
		 "\"online\" is text here; write 2 without quotes"},
		{"{\"schema\": \"qubi-agent/facts/1\",\n\"kvm\": {\"guest_cause\": \"rann\"}}", 2,
		 24, "\"guest_cause\": \"rann\" is not known; did you mean \"ran\"?"},
	};

	(void)state;
	for (size_t i = 0; i < QB_ARRAY_SIZE(cases); i++) {
		_cleanup_facts_ struct qb_facts facts = {0};
		_cleanup_diags_ struct qb_diags diags = {0};

		assert_int_equal(
			qb_facts_load(cases[i].text, strlen(cases[i].text), &facts, &diags),
			-EINVAL);
		if (diags.n != 1 || strcmp(diags.v[0].msg, cases[i].msg) != 0 ||
		    diags.v[0].line != cases[i].line || diags.v[0].column != cases[i].column)
			fail_msg("%s\n%zu errors; %u:%u: %s", cases[i].text, diags.n,
				 diags.v[0].line, diags.v[0].column, diags.v[0].msg);
	}
}

/* Made by a newer agent of the same schema: more keys, which mean nothing here. */
static void keys_to_come_are_passed_over(void **state)
{
	static const char text[] = "{\"schema\": \"qubi-agent/facts/1\", \"weather\": {\"rain\": "
				   "true}, \"cpu\": {\"vendor\": \"AuthenticAMD\", \"cores\": 4}}";
	_cleanup_facts_ struct qb_facts facts = {0};
	_cleanup_diags_ struct qb_diags diags = {0};

	(void)state;
	assert_int_equal(qb_facts_load(text, strlen(text), &facts, &diags), 0);
	assert_string_equal(facts.cpu.vendor, "AuthenticAMD");
	assert_int_equal(facts.libvirt.connected.state, QB_UNKNOWN);
}

static void things_are_found_by_name(void **state)
{
	static const char text[] =
		"{\"schema\": \"qubi-agent/facts/1\", \"modules\": [{\"name\": \"kvm\"}, "
		"{\"name\": "
		"\"kvm_amd\", \"state\": \"loaded\"}], \"libvirt\": {\"networks\": [{\"name\": "
		"\"default\", \"active\": true}], \"pools\": [{\"name\": \"images\", \"type\": "
		"\"dir\"}]}}";
	static const struct {
		const char *vendor, *module;
	} vendors[] = {{"AuthenticAMD", "kvm_amd"},   {"HygonGenuine", "kvm_amd"},
		       {"GenuineIntel", "kvm_intel"}, {"CentaurHauls", "kvm_intel"},
		       {"  Shanghai  ", "kvm_intel"}, {"QubiQubiQubi", NULL}};
	_cleanup_facts_ struct qb_facts facts = {0};
	_cleanup_diags_ struct qb_diags diags = {0};

	(void)state;
	assert_int_equal(qb_facts_load(text, strlen(text), &facts, &diags), 0);
	assert_int_equal(qb_facts_module(&facts, "kvm_amd")->state, QB_MODULE_LOADED);
	assert_null(qb_facts_module(&facts, "kvm_intel"));
	assert_true(qb_facts_network(&facts, "default")->active);
	assert_null(qb_facts_network(&facts, "images"));
	assert_string_equal(qb_facts_pool(&facts, "images")->type, "dir");
	assert_null(qb_facts_pool(&facts, "default"));
	assert_null(qb_facts_vendor_module(&facts));
	for (size_t i = 0; i < QB_ARRAY_SIZE(vendors); i++) {
		const char *module;

		qb_strset(&facts.cpu.vendor, vendors[i].vendor);
		module = qb_facts_vendor_module(&facts);
		assert_true(qb_streq(module, vendors[i].module));
	}
}

static size_t alignment(enum qb_field_kind kind)
{
	return kind == QB_FIELD_BOOL ? 1 : kind == QB_FIELD_ENUM ? sizeof(int) : sizeof(void *);
}

/* Marks the bytes that a table describes with the alignment of what begins there, else 1. */
static void cover(const struct qb_type *type, unsigned char *bytes)
{
	static const size_t sizes[] = {
		[QB_FIELD_BOOL] = sizeof(bool),     [QB_FIELD_TRI] = sizeof(struct qb_tri),
		[QB_FIELD_I64] = sizeof(int64_t),   [QB_FIELD_U64] = sizeof(uint64_t),
		[QB_FIELD_SIZE] = sizeof(uint64_t), [QB_FIELD_STR] = sizeof(char *),
		[QB_FIELD_ENUM] = sizeof(int),      [QB_FIELD_STRS] = sizeof(struct qb_strs),
		[QB_FIELD_LIST] = sizeof(void *),   [QB_FIELD_OBJECT] = 0,
	};

	for (size_t i = 0; i < type->n_fields; i++) {
		const struct qb_field *f = &type->fields[i];

		if (f->kind == QB_FIELD_OBJECT) {
			cover(f->of, bytes + f->offset);
			continue;
		}
		for (size_t j = 0; j < sizes[f->kind]; j++) {
			assert_int_equal(bytes[f->offset + j], 0);
			bytes[f->offset + j] = j ? 1 : (unsigned char)alignment(f->kind);
		}
		if (f->kind == QB_FIELD_LIST) {
			memset(bytes + f->n_offset, 1, sizeof(size_t));
			bytes[f->n_offset] = sizeof(size_t);
		}
	}
	/* What a bridge's port has, and a NIC of a bond or below a VLAN has not. */
	if (type->size == sizeof(struct qb_port_match) &&
	    (!strcmp(type->name, "nic") || !strcmp(type->name, "link")))
		memset(bytes + offsetof(struct qb_port_match, pvid), 1,
		       sizeof(struct qb_port_match) - offsetof(struct qb_port_match, pvid));
}

/*
 * What no field describes can only be the padding that alignment asks for. A member added to a
 * struct and forgotten in its table leaves a larger hole (unless it fits into padding, as one
 * more bool may).
 */
static void holes(const struct qb_type *type)
{
	_cleanup_free_ unsigned char *bytes = qb_alloc(type->size + 1, 1);

	cover(type, bytes);
	/* Not read: it says whether match was. */
	if (type->size == sizeof(struct qb_disk_selector) && !strcmp(type->name, "disks"))
		bytes[offsetof(struct qb_disk_selector, has_match)] = 1;
	/* Neither is which lists were. */
	if (type->size == sizeof(struct qb_network_config) && !strcmp(type->name, "network")) {
		bytes[offsetof(struct qb_network_config, dhcp.has_ranges)] = 1;
		bytes[offsetof(struct qb_network_config, dhcp.has_hosts)] = 1;
		bytes[offsetof(struct qb_network_config, dns.has_forwarders)] = 1;
		bytes[offsetof(struct qb_network_config, dns.has_hosts)] = 1;
	}
	/* Made of what is there: qb_facts_index(). */
	if (type == &qb_facts_type) {
		bytes[offsetof(struct qb_facts, net.index)] = sizeof(void *);
		bytes[offsetof(struct qb_facts, reading_order)] = sizeof(void *);
	}
	bytes[type->size] = sizeof(void *);
	for (size_t i = 0; i < type->size; i++) {
		size_t end = i, align;

		if (bytes[i])
			continue;
		while (!bytes[end])
			end++;
		align = bytes[end];
		if (end - i >= align)
			fail_msg("%s: bytes %zu to %zu are in no field of its table", type->name, i,
				 end - 1);
		i = end;
	}
	for (size_t i = 0; i < type->n_fields; i++)
		if (type->fields[i].kind == QB_FIELD_LIST)
			holes(type->fields[i].of);
}

static void no_member_is_forgotten(void **state)
{
	(void)state;
	holes(&qb_facts_type);
	holes(&qb_config_type);
}

static void documented(const struct qb_type *type)
{
	for (size_t i = 0; i < type->n_fields; i++) {
		const struct qb_field *f = &type->fields[i];

		if (!f->doc || !*f->doc || f->doc[strlen(f->doc) - 1] != '.')
			fail_msg("%s.%s: without a sentence", type->name, f->name);
		if (f->of)
			documented(f->of);
		for (const char *p = f->name; *p; p++)
			assert_true((*p >= 'a' && *p <= 'z') || (*p >= '0' && *p <= '9') ||
				    *p == '_');
		for (size_t j = 0; f->names && f->names[j]; j++)
			assert_int_equal(strspn(f->names[j], "abcdefghijklmnopqrstuvwxyz-"),
					 strlen(f->names[j]));
	}
}

static void keys_are_snake_case_and_documented(void **state)
{
	(void)state;
	documented(&qb_facts_type);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(facts_come_back_as_they_were),
		cmocka_unit_test(the_document_keeps_its_order_and_names),
		cmocka_unit_test(unknown_says_why),
		cmocka_unit_test(what_is_no_facts_document_is_refused),
		cmocka_unit_test(keys_to_come_are_passed_over),
		cmocka_unit_test(things_are_found_by_name),
		cmocka_unit_test(no_member_is_forgotten),
		cmocka_unit_test(keys_are_snake_case_and_documented),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
