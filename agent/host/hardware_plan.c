/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/host/hardware.h"

#include "storage/pool.h"

enum {
	/* Of memory, what firmware and kernel keep for themselves differs from boot to boot. */
	MEMORY_SLACK = 256 << 20
};

static bool is_nic(const struct qb_link *link)
{
	return link->path && !link->kind && !link->loopback;
}

static const char *mac_of(const struct qb_link *link)
{
	return link->permanent_mac ? link->permanent_mac : link->mac;
}

static json_t *nics_json(const struct qb_net *net)
{
	json_t *nics = json_object();

	for (size_t i = 0; i < net->n_links; i++) {
		const struct qb_link *link = &net->links[i];

		if (is_nic(link) && mac_of(link))
			json_object_set_new(nics, mac_of(link),
					    json_pack("{s:s, s:s, s:s}", "name", link->name, "mac",
						      mac_of(link), "path", link->path));
	}
	return nics;
}

static json_t *disks_json(const struct qb_disks *disks)
{
	json_t *all = json_object();

	for (size_t i = 0; i < disks->n_disks; i++) {
		const struct qb_disk *disk = &disks->disks[i];
		const char *identity = qb_disk_identity(disk);

		/* Loop devices and the paths of a disk are none of their own. */
		if (identity && !disk->backing && !qb_disk_has_reason(disk, "nvme-path"))
			json_object_set_new(all, identity,
					    json_pack("{s:s, s:s*, s:I}", "path", disk->path,
						      "model", disk->model, "size_bytes",
						      (json_int_t)disk->size_bytes));
	}
	return all;
}

/* What KVM needs, or is much slower without. */
static json_t *features_json(const struct qb_cpu_facts *cpu)
{
	const struct {
		const char *name;
		const struct qb_tri *is;
	} features[] = {{"vmx", &cpu->flag_vmx},
			{"svm", &cpu->flag_svm},
			{"ept", &cpu->ept},
			{"npt", &cpu->npt}};
	json_t *list = json_array();

	for (size_t i = 0; i < QB_ARRAY_SIZE(features); i++)
		if (qb_is(features[i].is))
			json_array_append_new(list, json_string(features[i].name));
	return list;
}

json_t *qb_hardware_json(const struct qb_facts *facts)
{
	/* What could not be listed is not noted as absent. */
	json_t *disks = qb_is(&facts->disks.known) ? disks_json(&facts->disks) : NULL;
	json_t *nics = qb_is(&facts->net.known) ? nics_json(&facts->net) : NULL;

	return json_pack("{s:o*, s:o*, s:{s:s*, s:s*, s:o}, s:I, s:s*, s:s*}", "nics", nics,
			 "disks", disks, "cpu", "vendor", facts->cpu.vendor, "model",
			 facts->cpu.model, "features", features_json(&facts->cpu), "memory_bytes",
			 (json_int_t)facts->system.memory_bytes, "kernel", facts->system.kernel,
			 "machine_id", facts->system.machine_id);
}

/* The bridge that has it says so, and more. */
static bool is_told(const struct qb_plan *plan, const char *mac)
{
	for (size_t i = 0; i < plan->n_changes; i++)
		if (qb_streq(qb_arg(plan->changes[i].was, "mac"), mac) ||
		    qb_streq(qb_arg(plan->changes[i].is, "mac"), mac))
			return true;
	return false;
}

/* Calls each(key, was, is) of two objects; was or is is NULL where only the other has the key. */
static void compare(const json_t *was, const json_t *is, struct qb_plan *plan,
		    void (*each)(const char *key, json_t *was, json_t *is, struct qb_plan *plan))
{
	const char *key;
	json_t *value;

	if (!json_is_object(was) || !json_is_object(is))
		return;
	json_object_foreach ((json_t *)(uintptr_t)was, key, value)
		each(key, value, json_object_get(is, key), plan);
	json_object_foreach ((json_t *)(uintptr_t)is, key, value)
		if (!json_object_get(was, key))
			each(key, NULL, value, plan);
}

/* qb_plan_change() steals its objects, which stay where they are here. */
static json_t *copy_of(const json_t *object)
{
	return object ? json_copy((json_t *)(uintptr_t)object) : json_null();
}

static void compare_nic(const char *mac, json_t *was, json_t *is, struct qb_plan *plan)
{
	const char *name = qb_arg(is ? is : was, "name"), *path = qb_arg(is ? is : was, "path");
	_cleanup_free_ char *target = qb_asprintf("nic %s", name);

	if (is_told(plan, mac))
		return;
	if (!is)
		qb_plan_change(plan, target, "nic-gone", copy_of(was), json_null(),
			       "the NIC %s (%s, %s) is gone", name, mac, path);
	else if (!was)
		qb_plan_change(plan, target, "nic-new", json_null(), copy_of(is),
			       "the NIC %s (%s, %s) is new", name, mac, path);
	else if (!qb_streq(qb_arg(was, "path"), path))
		qb_plan_change(plan, target, "nic-moved", copy_of(was), copy_of(is),
			       "the NIC %s (%s) is in %s now, and was in %s", name, mac, path,
			       qb_arg(was, "path"));
	else if (!qb_streq(qb_arg(was, "name"), name))
		qb_plan_change(plan, target, "nic-renamed", copy_of(was), copy_of(is),
			       "the NIC with MAC %s is called %s now, and was %s", mac, name,
			       qb_arg(was, "name"));
}

static uint64_t bytes_of(const json_t *disk)
{
	json_int_t n = json_integer_value(json_object_get(disk, "size_bytes"));

	return n < 0 ? 0 : (uint64_t)n;
}

static void compare_disk(const char *identity, json_t *was, json_t *is, struct qb_plan *plan)
{
	const char *path = qb_arg(is ? is : was, "path");
	_cleanup_free_ char *target = qb_asprintf("disk %s", identity);
	_cleanup_free_ char *size = qb_format_size(bytes_of(is ? is : was));
	_cleanup_free_ char *old = was ? qb_format_size(bytes_of(was)) : NULL;

	if (!is)
		qb_plan_change(plan, target, "disk-gone", copy_of(was), json_null(),
			       "the disk %s (%s), which was %s, is gone", identity, size, path);
	else if (!was)
		qb_plan_change(plan, target, "disk-new", json_null(), copy_of(is),
			       "the disk %s (%s, %s) is new", path, size, identity);
	else if (bytes_of(was) != bytes_of(is))
		qb_plan_change(plan, target, "disk-resized", copy_of(was), copy_of(is),
			       "the disk %s (%s) has %s now, and had %s", path, identity, size,
			       old);
	else if (!qb_streq(qb_arg(was, "path"), path))
		qb_plan_change(plan, target, "disk-renamed", copy_of(was), copy_of(is),
			       "the disk %s is %s now, and was %s", identity, path,
			       qb_arg(was, "path"));
}

static bool has(const json_t *list, const char *word)
{
	const json_t *value;
	size_t i;

	json_array_foreach (list, i, value)
		if (qb_streq(json_string_value(value), word))
			return true;
	return false;
}

/* Of a, what b does not have: "svm and npt"; NULL for nothing. */
static char *without(const json_t *a, const json_t *b)
{
	_cleanup_strs_ struct qb_strs list = {0};
	const json_t *value;
	size_t i;

	json_array_foreach (a, i, value)
		if (!has(b, json_string_value(value)))
			qb_strs_add(&list, json_string_value(value));
	return list.n ? qb_strs_sentence(&list) : NULL;
}

static void compare_cpu(const json_t *was, const json_t *is, struct qb_plan *plan)
{
	const json_t *had = json_object_get(was, "features"),
		     *has_now = json_object_get(is, "features");
	_cleanup_free_ char *lost = without(had, has_now), *gained = without(has_now, had);
	const char *model = qb_arg(is, "model"), *old = qb_arg(was, "model");

	if (!qb_streq(qb_arg(was, "vendor"), qb_arg(is, "vendor")) || !qb_streq(old, model))
		qb_plan_change(plan, "cpu", "cpu-changed", copy_of(was), copy_of(is),
			       "the CPU is %s now, and was %s", model ? model : "unknown",
			       old ? old : "unknown");
	else if (lost || gained)
		qb_plan_change(
			plan, "cpu", "cpu-feature", copy_of(was), copy_of(is),
			"the CPU has %s%s%s%s%s: the firmware, or an outer hypervisor, says so",
			lost ? "lost " : "", lost ? lost : "", lost && gained ? " and " : "",
			gained ? "gained " : "", gained ? gained : "");
}

static void compare_memory(const json_t *was, const json_t *is, struct qb_plan *plan)
{
	json_int_t old = json_integer_value(json_object_get(was, "memory_bytes"));
	json_int_t now = json_integer_value(json_object_get(is, "memory_bytes"));
	_cleanup_free_ char *old_text = qb_format_size((uint64_t)old),
			    *now_text = qb_format_size((uint64_t)now);

	if (old <= 0 || now <= 0 || llabs(old - now) <= MEMORY_SLACK)
		return;
	qb_plan_change(plan, "memory", "memory-changed", json_pack("{s:I}", "memory_bytes", old),
		       json_pack("{s:I}", "memory_bytes", now),
		       "there are %s of memory now, and were %s", now_text, old_text);
}

static void compare_text(const json_t *was, const json_t *is, const char *key, const char *kind,
			 const char *noun, struct qb_plan *plan)
{
	const char *old = qb_arg(was, key), *now = qb_arg(is, key);

	if (old && now && !qb_streq(old, now))
		qb_plan_change(plan, noun, kind, json_pack("{s:s}", key, old),
			       json_pack("{s:s}", key, now), "the %s is %s now, and was %s", noun,
			       now, old);
}

void qb_hardware_plan(const json_t *was, const struct qb_facts *facts, struct qb_plan *plan)
{
	json_auto_t *is = qb_hardware_json(facts);

	if (!json_is_object(was))
		return;
	compare(json_object_get(was, "nics"), json_object_get(is, "nics"), plan, compare_nic);
	compare(json_object_get(was, "disks"), json_object_get(is, "disks"), plan, compare_disk);
	compare_cpu(json_object_get(was, "cpu"), json_object_get(is, "cpu"), plan);
	compare_memory(was, is, plan);
	compare_text(was, is, "kernel", "kernel-changed", "kernel", plan);
	compare_text(was, is, "machine_id", "machine-id-changed", "machine-id", plan);
}
