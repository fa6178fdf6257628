/* SPDX-License-Identifier: Apache-2.0 */
/* What libvirt's XML tells. Read without network access and without entities. */
#pragma once

#include "agent/host/facts.h"

/*
 * Each returns -EINVAL when the text is no such document. What is not in the XML (active,
 * autostart, what it is started with next...) is left as it is. Strings belong to the caller.
 */
QB_MUST_CHECK int qb_vir_network_parse(const char *xml, struct qb_vir_network *ret);
QB_MUST_CHECK int qb_vir_pool_parse(const char *xml, struct qb_vir_pool *ret);
/* The definition alone. */
QB_MUST_CHECK int qb_vir_definition_parse(const char *xml, struct qb_vir_definition *ret);
/*
 * What a domain uses, under its name: block devices, each once, and interfaces while it runs. The
 * text is its definition, or the state that libvirt's driver keeps of one that runs.
 */
QB_MUST_CHECK int qb_vir_domain_parse(const char *xml, const char *name,
				      struct qb_libvirt_facts *to);
/*
 * What a domain's disks have of a pool: a volume, by the pool's name, or a path below dir (NULL:
 * that does not count). *ret is NULL where there is none; the caller frees it.
 */
QB_MUST_CHECK int qb_vir_domain_volume(const char *xml, const char *pool, const char *dir,
				       char **ret);
/* Whether capabilities offer <domain type='kvm'>. */
QB_MUST_CHECK int qb_vir_capabilities_parse(const char *xml, bool *ret_kvm);
/* "9.0.0" of 9000000; the caller frees it. */
char *qb_vir_version_text(uint64_t version);
