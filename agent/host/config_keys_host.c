/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/host/config_keys.h"
#include "agent/host/config_valid.h"

enum {
	NODES_MAX = 1023,
	PAGES_MAX = 1 << 30,
	PAGE_MIN = 4096,
};

static void hugepages_init(void *obj)
{
	((struct qb_hugepages_config *)obj)->node = -1;
}

static const struct qb_field hugepages_fields[] = {
	QB_F(qb_hugepages_config, size, "size", SIZE, .flags = QB_FIELD_REQUIRED, .min = PAGE_MIN,
	     .max = INT64_MAX, .doc = "The size of a page: 2MiB, 1GiB."),
	QB_F(qb_hugepages_config, count, "count", I64, .flags = QB_FIELD_REQUIRED, .max = PAGES_MAX,
	     .doc = "How many."),
	QB_F(qb_hugepages_config, node, "node", I64, .max = NODES_MAX,
	     .doc = "The NUMA node they are to be on. Where not given the kernel spreads them."),
};

static const struct qb_type hugepages_type = {
	.name = "hugepages",
	.size = sizeof(struct qb_hugepages_config),
	.fields = hugepages_fields,
	.n_fields = QB_ARRAY_SIZE(hugepages_fields),
	.init = hugepages_init,
	.doc = "Huge pages that are kept for guests.",
};

static const struct qb_field sysctl_fields[] = {
	QB_F(qb_sysctl_config, name, "name", STR, .valid = qb_valid_sysctl,
	     .flags = QB_FIELD_REQUIRED, .doc = "As sysctl(8) names it: vm.swappiness."),
	QB_F(qb_sysctl_config, value, "value", STR, .valid = qb_valid_line,
	     .flags = QB_FIELD_REQUIRED, .doc = "What it is set to."),
};

static const struct qb_type sysctl_type = {
	.name = "sysctl",
	.size = sizeof(struct qb_sysctl_config),
	.fields = sysctl_fields,
	.n_fields = QB_ARRAY_SIZE(sysctl_fields),
	.doc = "A parameter of the kernel.",
};

static const struct qb_field host_fields[] = {
	QB_F_LIST(
		qb_host_config, hugepages, "hugepages", &hugepages_type,
		.flags = QB_FIELD_ONE_IS_LIST, .max = QB_ITEMS_MAX,
		.doc = "Huge pages, now and at each boot. Given up in the configuration they stay "
		       "until the next boot."),
	QB_F_LIST(qb_host_config, sysctl, "sysctl", &sysctl_type, .flags = QB_FIELD_ONE_IS_LIST,
		  .max = QB_ITEMS_MAX, .doc = "Parameters of the kernel, now and at each boot."),
	QB_F(qb_host_config, ksm, "ksm", TRI,
	     .doc = "Whether the kernel looks for equal pages of guests to keep them once. Left as "
		    "it is where not given."),
	QB_F(qb_host_config, default_uri, "default-uri", STR, .valid = qb_valid_uri,
	     .doc = "The libvirt that its programs speak to in a login shell, where they are not "
		    "told another: qemu:///system."),
	QB_F(qb_host_config, members, "libvirt-group", STRS, .valid = qb_valid_user,
	     .flags = QB_FIELD_ONE_IS_LIST, .max = QB_ITEMS_MAX,
	     .doc = "Users that may use libvirt as members of the group libvirt. Others that are "
		    "in it stay."),
};

const struct qb_type qb_host_config_type = {
	.name = "host-settings",
	.size = sizeof(struct qb_host_config),
	.fields = host_fields,
	.n_fields = QB_ARRAY_SIZE(host_fields),
	.doc = "What else a host for guests is set up with.",
};
