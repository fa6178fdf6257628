/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/probe_parts.h"

#include <errno.h>
#include <jansson.h>

#include "agent/base/exec.h"

#define LVM "/usr/sbin/lvm"

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
	static const char *const argv[] = {LVM,  "pvs",     "--nolocking",    "--readonly",
					   "-o", "pv_name", "--reportformat", "json",
					   NULL};
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
