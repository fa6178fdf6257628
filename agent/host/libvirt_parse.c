/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/host/libvirt_parse.h"

#include <errno.h>
#include <inttypes.h>

#include "agent/host/xml.h"

/* libvirt keeps the slashes that somebody wrote at the end. */
static char *directory(const struct qb_xml *target)
{
	char *path = qb_strdup(qb_xml_content(qb_xml_child(target, "path")));
	size_t n = path ? strlen(path) : 0;

	while (n > 1 && path[n - 1] == '/')
		path[--n] = '\0';
	return path;
}

int qb_vir_pool_parse(const char *xml, struct qb_vir_pool *ret)
{
	_cleanup_xml_ struct qb_xml *root = qb_xml_read(xml, "pool");
	const struct qb_xml *source = qb_xml_child(root, "source");

	if (!qb_xml_content(qb_xml_child(root, "name")))
		return -EINVAL;
	ret->name = qb_strdup(qb_xml_content(qb_xml_child(root, "name")));
	ret->uuid = qb_strdup(qb_xml_content(qb_xml_child(root, "uuid")));
	ret->type = qb_strdup(qb_xml_value(root, "type"));
	ret->target = directory(qb_xml_child(root, "target"));
	ret->source_device = qb_strdup(qb_xml_value(qb_xml_child(source, "device"), "path"));
	ret->source_name = qb_strdup(qb_xml_content(qb_xml_child(source, "name")));
	return 0;
}

/* Those of one domain stand together, at the end. */
static bool uses(const struct qb_libvirt_facts *f, const char *domain, const char *device)
{
	for (size_t i = f->n_guest_disks; i-- > 0 && qb_streq(f->guest_disks[i].domain, domain);)
		if (qb_streq(f->guest_disks[i].device, device))
			return true;
	return false;
}

int qb_vir_domain_parse(const char *xml, const char *name, struct qb_libvirt_facts *to)
{
	_cleanup_xml_ struct qb_xml *root = qb_xml_read(xml, "domain");
	_cleanup_xml_ struct qb_xml *running = root ? NULL : qb_xml_read(xml, "domstatus");
	const struct qb_xml *domain = root ? root : qb_xml_child(running, "domain");
	const struct qb_xml *devices = qb_xml_child(domain, "devices");

	if (!domain)
		return -EINVAL;
	QB_XML_EACH (disk, devices, "disk") {
		const char *dev = qb_xml_value(qb_xml_child(disk, "source"), "dev");

		if (dev && qb_streq(qb_xml_value(disk, "type"), "block") && !uses(to, name, dev))
			*QB_APPEND(to->guest_disks, to->n_guest_disks) =
				(struct qb_vir_disk){qb_strdup(name), qb_strdup(dev)};
	}
	/* Only one that runs has an id. */
	if (!qb_xml_value(domain, "id"))
		return 0;
	QB_XML_EACH (nic, devices, "interface") {
		const struct qb_xml *source = qb_xml_child(nic, "source");

		*QB_APPEND(to->guest_interfaces, to->n_guest_interfaces) = (struct qb_vir_nic){
			.domain = qb_strdup(name),
			.network = qb_strdup(qb_xml_value(source, "network")),
			.bridge = qb_strdup(qb_xml_value(source, "bridge")),
			.link = qb_strdup(qb_xml_value(qb_xml_child(nic, "target"), "dev")),
		};
	}
	return 0;
}

static const char *path_below(const struct qb_xml *source, const char *dir)
{
	static const char *const names[] = {"file", "dev", "dir"};

	for (size_t i = 0; dir && i < QB_ARRAY_SIZE(names); i++) {
		const char *path = qb_xml_value(source, names[i]);

		if (path && qb_path_is_in(path, dir))
			return path;
	}
	return NULL;
}

int qb_vir_domain_volume(const char *xml, const char *pool, const char *dir, char **ret)
{
	_cleanup_xml_ struct qb_xml *domain = qb_xml_read(xml, "domain");

	if (!domain)
		return -EINVAL;
	*ret = NULL;
	QB_XML_EACH (disk, qb_xml_child(domain, "devices"), "disk") {
		const struct qb_xml *source = qb_xml_child(disk, "source");
		const char *path = path_below(source, dir);

		if (qb_streq(qb_xml_value(source, "pool"), pool))
			path = qb_xml_value(source, "volume");
		if (path) {
			*ret = qb_strdup(path);
			return 0;
		}
	}
	return 0;
}

int qb_vir_capabilities_parse(const char *xml, bool *ret_kvm)
{
	_cleanup_xml_ struct qb_xml *root = qb_xml_read(xml, "capabilities");

	if (!root)
		return -EINVAL;
	*ret_kvm = false;
	QB_XML_EACH (guest, root, "guest")
		QB_XML_EACH (domain, qb_xml_child(guest, "arch"), "domain")
			*ret_kvm |= qb_streq(qb_xml_value(domain, "type"), "kvm");
	return 0;
}

char *qb_vir_version_text(uint64_t version)
{
	return qb_asprintf("%" PRIu64 ".%" PRIu64 ".%" PRIu64, version / 1000000,
			   version / 1000 % 1000, version % 1000);
}
