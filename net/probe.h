/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "agent/base/root.h"
#include "net/link.h"

/*
 * Reads links, addresses and routes. On a live root by netlink; on a captured one from
 * /qubi-agent/net.json below it where the capture left it, else net->known says why not.
 * Never fails: what could not be read is unknown in *ret.
 */
void qb_net_probe(const struct qb_root *root, struct qb_net *ret);
