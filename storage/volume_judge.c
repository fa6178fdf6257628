/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/volume.h"

#include <errno.h>

int qb_volume_size_parse(const char *text, struct qb_volume_size *ret)
{
	const char *percent = strchr(text, '%');
	_cleanup_free_ char *number = NULL;
	struct qb_volume_size size = {0};
	uint64_t n;
	int r;

	if (!percent) {
		r = qb_parse_size(text, &size.bytes);
		if (r == 0 && !size.bytes)
			return -EINVAL;
	} else {
		number = qb_strndup(text, (size_t)(percent - text));
		r = qb_parse_u64(number, &n);
		if (r == 0 && (!n || n > 100))
			return -ERANGE;
		if (!strcmp(percent, "%VG"))
			size.percent_of_group = n;
		else if (!strcmp(percent, "%FREE"))
			size.percent_of_free = n;
		else
			return -EINVAL;
	}
	if (r == 0)
		*ret = size;
	return r;
}

void qb_volume_uuid(const char *machine_id, const char *pool, const char *volume,
		    char ret[QB_UUID_LEN])
{
	qb_uuid5((const char *const[]){"logical-volume", machine_id, pool, volume, NULL}, ret);
}

void qb_volume_tag(const char *uuid, char ret[QB_VOLUME_TAG_LEN])
{
	snprintf(ret, QB_VOLUME_TAG_LEN, "%s%s", QB_VOLUME_TAG, uuid);
}

static void add_doubled(struct qb_buf *name, const char *part)
{
	for (; *part; part++)
		qb_buf_printf(name, "%s%c", *part == '-' ? "-" : "", *part);
}

char *qb_volume_dm_name(const char *group, const char *volume)
{
	_cleanup_buf_ struct qb_buf name = {0};

	add_doubled(&name, group);
	qb_buf_puts(&name, "-");
	add_doubled(&name, volume);
	return QB_TAKE_PTR(name.s);
}

char *qb_volume_target(const struct qb_pool_config *pool, const struct qb_volume_config *volume)
{
	return qb_asprintf("volume %s/%s", qb_vg_name(pool), volume->name);
}

char *qb_volume_node(const char *group, const char *volume)
{
	return qb_asprintf("/dev/%s/%s", group, volume);
}

void qb_volume_look(const struct qb_disks *disks, const struct qb_pool_config *pool,
		    const char *volume, const char *machine_id, struct qb_volume_look *ret)
{
	const struct qb_volume_group *group = qb_vg_find(disks, pool, machine_id);
	char uuid[QB_UUID_LEN], tag[QB_VOLUME_TAG_LEN];
	_cleanup_free_ char *dm_name = NULL;

	*ret = (struct qb_volume_look){.group = group};
	if (!group)
		return;
	qb_volume_uuid(machine_id, pool->name, volume, uuid);
	qb_volume_tag(uuid, tag);
	dm_name = qb_volume_dm_name(group->name, volume);
	for (size_t i = 0; i < group->n_tagged; i++)
		if (qb_streq(group->tagged[i].name, volume) &&
		    qb_strs_has(&group->tagged[i].tags, tag))
			ret->ours = &group->tagged[i];
	for (size_t i = 0; i < disks->n_mappings; i++)
		if (qb_streq(disks->mappings[i].dm_name, dm_name))
			ret->mapping = &disks->mappings[i];
	if (ret->ours)
		ret->state = qb_strs_has(&ret->ours->tags, QB_VG_READY) ? QB_VOLUME_IS_READY
									: QB_VOLUME_IS_PENDING;
	else if (ret->mapping)
		ret->state = QB_VOLUME_IS_FOREIGN;
	ret->is_new = ret->ours && qb_strs_has(&ret->ours->tags, QB_VG_NEW);
}
