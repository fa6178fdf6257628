/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/host/libvirt_xml.h"

#include "agent/host/xml.h"
#include "storage/vg.h"

char *qb_pool_path(const struct qb_pool_config *pool)
{
	return pool->type == QB_POOL_LOGICAL ? qb_asprintf("/dev/%s", qb_vg_name(pool))
					     : qb_strdup(pool->target);
}

static void add_target(struct qb_xml *to, const struct qb_pool_config *pool, const char *path)
{
	const struct {
		const char *name, *value;
	} given[] = {{"mode", pool->mode}, {"owner", pool->owner}, {"group", pool->group}};
	struct qb_xml *permissions = NULL;

	qb_xml_add(to, "path", path);
	for (size_t i = 0; i < QB_ARRAY_SIZE(given); i++) {
		if (!given[i].value)
			continue;
		if (!permissions)
			permissions = qb_xml_add(to, "permissions", NULL);
		qb_xml_add(permissions, given[i].name, given[i].value);
	}
}

char *qb_pool_xml(const struct qb_pool_config *pool, const char *uuid, const char *source_device)
{
	static const char *const types[] = {"dir", "fs", "logical"};
	struct qb_xml *root = qb_xml_add(NULL, "pool", NULL), *source;
	_cleanup_free_ char *target = NULL;
	char *text;

	qb_xml_set(root, "type", types[pool->type]);
	qb_xml_add(root, "name", pool->name);
	qb_xml_add(root, "uuid", uuid);
	if (source_device) {
		source = qb_xml_add(root, "source", NULL);
		qb_xml_set(qb_xml_add(source, "device", NULL), "path", source_device);
		qb_xml_set(qb_xml_add(source, "format", NULL), "type",
			   qb_file_systems[pool->format].name);
	}
	if (pool->type == QB_POOL_LOGICAL) {
		source = qb_xml_add(root, "source", NULL);
		qb_xml_add(source, "name", qb_vg_name(pool));
		qb_xml_set(qb_xml_add(source, "format", NULL), "type", "lvm2");
	}
	target = qb_pool_path(pool);
	add_target(qb_xml_add(root, "target", NULL), pool, target);
	text = qb_xml_write(root);
	qb_xml_free(root);
	return text;
}
