/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/probe_parts.h"

#include <errno.h>
#include <jansson.h>

#include "agent/base/clock.h"
#include "agent/base/exec.h"
#include "storage/disk_fields.h"

#define LVM "/usr/sbin/lvm"
/* A setting, since the option --nohints is as new as the hints. */
#define NO_HINTS "devices{hints=\"none\"}"

enum {
	LVM_TIMEOUT_MS = 10000,
};

static bool is_pv(const char *type)
{
	return type && qb_startswith(type, "LVM");
}

static bool lists(const json_t *report, const char *path)
{
	const json_t *pvs =
		json_object_get(json_array_get(json_object_get(report, "report"), 0), "pv");
	size_t i;
	json_t *pv;

	json_array_foreach (pvs, i, pv)
		if (qb_streq(json_string_value(json_object_get(pv, "pv_name")), path))
			return true;
	return false;
}

/* One listed PV beside one that is not would still be one that is foreign. */
static void compare(const struct qb_disk *disk, const json_t *report, struct qb_tri *ret)
{
	bool all = true;

	for (size_t i = 0; i < disk->n_signatures; i++)
		if (is_pv(disk->signatures[i].type))
			all &= lists(report, disk->path);
	for (size_t i = 0; i < disk->n_partitions; i++)
		if (is_pv(disk->partitions[i].fs_type))
			all &= lists(report, disk->partitions[i].path);
	qb_tri_set(ret, all);
}

static bool has_pv(const struct qb_disk *disk)
{
	for (size_t i = 0; i < disk->n_signatures; i++)
		if (is_pv(disk->signatures[i].type))
			return true;
	for (size_t i = 0; i < disk->n_partitions; i++)
		if (is_pv(disk->partitions[i].fs_type))
			return true;
	return false;
}

static void ask(struct qb_disks *disks, struct qb_disk_raw *raw, const bool *asked)
{
	/* No locks and no hints: a look must leave no file behind. */
	static const char *const argv[] = {
		LVM,  "pvs",     "--nolocking",    "--readonly", "--config", NO_HINTS,
		"-o", "pv_name", "--reportformat", "json",       NULL};
	_cleanup_exec_ struct qb_exec_result result = {0};
	struct qb_error err = QB_ERROR_INIT;
	json_t *report = NULL;
	int r;

	if (access(LVM, X_OK) < 0)
		r = qb_error_set(&err, ENOENT, "no %s here", LVM);
	else
		r = qb_exec(argv, LVM_TIMEOUT_MS, &result, &err);
	if (r == 0 && (result.status || !(report = json_loads(result.out, 0, NULL))))
		r = qb_error_set(&err, EIO, "%s pvs gave %d", LVM, result.status);
	for (size_t i = 0; i < disks->n_disks; i++) {
		if (asked[i] && r < 0)
			qb_tri_unknown(&raw[i].pv_listed, "%s", err.msg);
		else if (asked[i])
			compare(&disks->disks[i], report, &raw[i].pv_listed);
	}
	json_decref(report);
}

void qb_lvm_probe(struct qb_disks *disks, struct qb_disk_raw *raw)
{
	bool *asked = qb_alloc(disks->n_disks, sizeof(*asked)), any = false;

	for (size_t i = 0; i < disks->n_disks; i++) {
		if (!has_pv(&disks->disks[i]))
			continue;
		/* What is active here is known here; LVM takes its time to say so. */
		if (disks->disks[i].holders.n)
			qb_tri_set(&raw[i].pv_listed, true);
		else
			any = asked[i] = true;
	}
	if (any)
		ask(disks, raw, asked);
	free(asked);
}

/*
 * No locks, no hints, and nothing said to the kernel: --readonly reads what is written on the
 * disks, as lvm(8) has it. So a RAID's health is not known ("unknown"), which the kernel
 * is asked for; that a part of it is missing is. Rows that nobody wants are deselected: they grow
 * with the volumes.
 */
static const char *const fullreport[] = {
	LVM,
	"fullreport",
	"--nolocking",
	"--readonly",
	"--config",
	NO_HINTS,
	"--reportformat",
	"json",
	"--units",
	"b",
	"--nosuffix",
	"--configreport",
	"vg",
	"-o",
	"vg_name,vg_missing_pv_count,vg_tags,lv_count,vg_size,vg_free,vg_extent_size",
	"--configreport",
	"pv",
	"-o",
	"pv_name,pv_uuid,pv_size,pe_start,pv_mda_count,pv_mda_size",
	"--configreport",
	"lv",
	"-o",
	"lv_name,lv_health_status,lv_size,lv_tags",
	"-S",
	"lv_health_status!=\"\" || lv_tags!=\"\"",
	"--configreport",
	"pvseg",
	"-o",
	"pvseg_start",
	"-S",
	"pvseg_size=0",
	"--configreport",
	"seg",
	"-o",
	"seg_start",
	"-S",
	"seg_size=0",
	NULL,
};

static const char *text_of(const json_t *row, const char *key)
{
	const char *text = json_string_value(json_object_get(row, key));

	return text ? text : "";
}

/* What lvs(8) names health of a volume that is whole: nothing; of one that was not asked. */
static bool is_damage(const char *health)
{
	return *health && !qb_streq(health, "unknown") && !qb_streq(health, "writemostly");
}

static void add_tags(const char *text, struct qb_strs *ret)
{
	_cleanup_free_ char *tags = qb_strdup(text);
	char *rest = tags, *tag;

	while (rest && (tag = strsep(&rest, ",")))
		if (*tag)
			qb_strs_add(ret, tag);
}

/* A row is there for its health, its tags, or both. */
static bool add_volume(const json_t *row, struct qb_volume_group *g)
{
	_cleanup_free_ char *text =
		qb_asprintf("%s (%s)", text_of(row, "lv_name"), text_of(row, "lv_health_status"));
	struct qb_logical_volume *volume;
	uint64_t size;

	if (is_damage(text_of(row, "lv_health_status")))
		qb_strs_add(&g->damaged, text);
	if (!*text_of(row, "lv_tags"))
		return true;
	if (qb_parse_u64(text_of(row, "lv_size"), &size) < 0)
		return false;
	volume = QB_APPEND(g->tagged, g->n_tagged);
	volume->name = qb_str_printable(text_of(row, "lv_name"));
	volume->size_bytes = size;
	add_tags(text_of(row, "lv_tags"), &volume->tags);
	return true;
}

/* One that is missing is "[unknown]". */
static bool add_physical_volume(const json_t *row, struct qb_volume_group *g)
{
	const char *path = text_of(row, "pv_name");
	struct qb_physical_volume *volume;
	uint64_t start, size, areas, area, behind = 0;

	if (!qb_startswith(path, "/")) {
		qb_strs_add(&g->missing_uuids, text_of(row, "pv_uuid"));
		return true;
	}
	if (qb_parse_u64(text_of(row, "pe_start"), &start) < 0 ||
	    qb_parse_u64(text_of(row, "pv_size"), &size) < 0 ||
	    qb_parse_u64(text_of(row, "pv_mda_count"), &areas) < 0 ||
	    qb_parse_u64(text_of(row, "pv_mda_size"), &area) < 0)
		return false;
	/* The first one lies before the extents. */
	if ((areas > 1 && __builtin_mul_overflow(areas - 1, area, &behind)) ||
	    __builtin_add_overflow(start, size, &size) ||
	    __builtin_add_overflow(size, behind, &size))
		return false;
	qb_strs_add(&g->physical_volumes, path);
	volume = QB_APPEND(g->sizes, g->n_sizes);
	volume->path = qb_str_printable(path);
	volume->taken_bytes = size;
	/* LVM leaves out areas of which it cannot read the text. */
	volume->unread = !areas;
	return true;
}

static bool add_group(const json_t *report, struct qb_disks *disks)
{
	const json_t *vg = json_array_get(json_object_get(report, "vg"), 0), *row;
	struct qb_volume_group *g;
	uint64_t missing, volumes, size, unused, extent;
	bool ok = true;
	size_t i;

	/* PVs that are in no group stand in a report without one. */
	if (!vg || !*text_of(vg, "vg_name"))
		return true;
	if (qb_parse_u64(text_of(vg, "vg_missing_pv_count"), &missing) < 0 ||
	    qb_parse_u64(text_of(vg, "lv_count"), &volumes) < 0 ||
	    qb_parse_u64(text_of(vg, "vg_size"), &size) < 0 ||
	    qb_parse_u64(text_of(vg, "vg_free"), &unused) < 0 ||
	    qb_parse_u64(text_of(vg, "vg_extent_size"), &extent) < 0)
		return false;
	g = QB_APPEND(disks->groups, disks->n_groups);
	g->name = qb_str_printable(text_of(vg, "vg_name"));
	g->missing = missing;
	g->volumes = volumes;
	g->size_bytes = size;
	g->free_bytes = unused;
	g->extent_bytes = extent;
	add_tags(text_of(vg, "vg_tags"), &g->tags);
	json_array_foreach (json_object_get(report, "pv"), i, row)
		ok = ok && add_physical_volume(row, g);
	json_array_foreach (json_object_get(report, "lv"), i, row)
		ok = ok && add_volume(row, g);
	return ok;
}

bool qb_groups_parse(const char *text, struct qb_disks *disks)
{
	json_t *document = json_loads(text, 0, NULL), *report;
	const json_t *reports = json_object_get(document, "report");
	bool ok = json_is_array(reports);
	size_t i;

	json_array_foreach (reports, i, report)
		ok = ok && add_group(report, disks);
	json_decref(document);
	return ok;
}

void qb_groups_ask(unsigned timeout_ms, struct qb_disks *disks)
{
	_cleanup_exec_ struct qb_exec_result result = {0};
	struct qb_error err = QB_ERROR_INIT;
	int r;

	if (access(LVM, X_OK) < 0)
		r = qb_error_set(&err, ENOENT, "no %s here", LVM);
	else
		r = qb_exec(fullreport, timeout_ms, &result, &err);
	if (r == 0 && result.status)
		r = qb_error_set(&err, EIO, "%s fullreport gave %d", LVM, result.status);
	else if (r == 0 && !qb_groups_parse(result.out, disks))
		r = qb_error_set(&err, EIO, "%s fullreport gave no report", LVM);
	if (r < 0)
		qb_tri_unknown(&disks->lvm, "%s", err.msg);
	else
		qb_tri_set(&disks->lvm, true);
}

/* What a child says of LVM. */
struct groups {
	struct qb_tri lvm;
	struct qb_volume_group *groups;
	size_t n_groups;
};

static const struct qb_field groups_fields[] = {
	QB_F(groups, lvm, "lvm", TRI),
	QB_F_LIST(groups, groups, "volume_groups", &qb_volume_group_type),
};

static const struct qb_type groups_type = {
	.name = "groups",
	.size = sizeof(struct groups),
	.fields = groups_fields,
	.n_fields = QB_ARRAY_SIZE(groups_fields),
};

static void tell_groups(int fd, void *data)
{
	const unsigned *timeout_ms = data;
	struct qb_disks disks = {0};
	struct groups said;
	json_t *document;

	qb_groups_ask(*timeout_ms, &disks);
	/* Begun where volumes are active. */
	if (qb_is(&disks.lvm))
		qb_groups_ask_status(*timeout_ms, &disks);
	said = (struct groups){disks.lvm, disks.groups, disks.n_groups};
	document = qb_schema_to_json(&groups_type, &said);
	qb_child_say(fd, document);
	json_decref(document);
	qb_schema_done(&groups_type, &said);
}

/* LVM reads every device that may be its own, and would wait for one that is suspended. */
static bool is_in_the_way(struct qb_disks *disks)
{
	for (size_t i = 0; i < disks->n_mappings; i++) {
		const struct qb_mapping *m = &disks->mappings[i];

		if (!qb_is(&m->suspended))
			continue;
		qb_tri_unknown(&disks->lvm, "%s is suspended: LVM might wait until it is resumed",
			       m->dm_name ? m->dm_name : m->name);
		return true;
	}
	return false;
}

void qb_groups_begin(const struct qb_blocks *blocks, unsigned timeout_ms, struct qb_disks *disks,
		     struct qb_child *ret)
{
	bool active = false;
	int r;

	for (size_t i = 0; i < blocks->n; i++)
		active |= blocks->v[i].dm_uuid && qb_startswith(blocks->v[i].dm_uuid, "LVM-");
	if (!active || is_in_the_way(disks))
		return;
	r = qb_child_begin_named("lvm", tell_groups, &timeout_ms, ret);
	if (r < 0)
		qb_tri_unknown(&disks->lvm, "no process to ask it: %s",
			       r == -EBUSY ? "earlier ones still wait for an answer"
					   : strerror(-r));
}

/* Yes, no, or unknown where a disk could not be read: a PV may be on it. */
static enum qb_tri_state has_any_pv(const struct qb_disks *disks, const struct qb_disk_raw *raw)
{
	bool unread = false;

	for (size_t i = 0; i < disks->n_disks; i++) {
		if (has_pv(&disks->disks[i]))
			return QB_YES;
		unread |= !raw[i].hidden && qb_disk_is_unread(disks, &disks->disks[i]);
	}
	for (size_t i = 0; i < disks->n_mappings; i++)
		if (disks->mappings[i].lvm)
			return QB_YES;
	return unread ? QB_UNKNOWN : QB_NO;
}

static void take_groups(const struct qb_buf *text, struct qb_disks *disks)
{
	_cleanup_diags_ struct qb_diags diags = {0};
	struct groups said = {0};

	if (qb_schema_load(&groups_type, text->s ? text->s : "", text->len, 0, &said, NULL,
			   &diags) == 0) {
		QB_SWAP(said.lvm, disks->lvm);
		QB_SWAP(said.groups, disks->groups);
		QB_SWAP(said.n_groups, disks->n_groups);
	} else {
		qb_tri_unknown(&disks->lvm, "the process that asked it ended early");
	}
	qb_schema_done(&groups_type, &said);
}

void qb_groups_end(struct qb_child *child, unsigned timeout_ms, uint64_t deadline_ms,
		   const struct qb_disk_raw *raw, struct qb_disks *disks)
{
	uint64_t now = qb_now_ms();

	if (child->pid > 0 && child->late) {
		qb_tri_unknown(&disks->lvm, "%s: no answer within %u ms", LVM, timeout_ms);
	} else if (child->pid > 0) {
		take_groups(&child->text, disks);
	} else if (!disks->lvm.why) {
		enum qb_tri_state any = has_any_pv(disks, raw);

		if (any == QB_NO)
			qb_tri_set(&disks->lvm, false);
		else if (any == QB_UNKNOWN)
			qb_tri_unknown(&disks->lvm, "a disk that could not be read may be LVM's");
		else if (now >= deadline_ms)
			qb_tri_unknown(&disks->lvm, "no time was left to ask it");
		else if (!is_in_the_way(disks))
			qb_groups_ask((unsigned)(deadline_ms - now), disks);
	}
	qb_child_done(child);
}
