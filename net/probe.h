/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "agent/base/root.h"
#include "net/link.h"

/*
 * Reads links, addresses and routes by netlink, and what files say of them. A captured root has no
 * netlink: its snapshot is part of the facts document, and net->known says that it is missing.
 * Never fails: what could not be read is unknown in *ret.
 */
void qb_net_probe(const struct qb_root *root, struct qb_net *ret);
/* The same for who can do nothing without: -EIO and why, and *ret is empty then. */
QB_MUST_CHECK int qb_net_probe_known(const struct qb_root *root, struct qb_net *ret,
				     struct qb_error *err);
