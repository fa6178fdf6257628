/* SPDX-License-Identifier: Apache-2.0 */
#include "net/probe.h"

#include <errno.h>

#include "net/nl_probe.h"
#include "net/nl_vlans.h"
#include "net/sys_probe.h"

void qb_net_probe(const struct qb_root *root, struct qb_net *ret)
{
	_cleanup_nl_sock_ struct nl_sock *sock = NULL;
	struct qb_error err = QB_ERROR_INIT;
	struct qb_net net = {0};
	int r;

	if (!root->live) {
		qb_tri_unknown(&net.known, "not a live host");
		qb_net_sys_probe(root, &net);
		*ret = net;
		return;
	}
	r = qb_nl_open(&sock, &err);
	if (r == 0)
		r = qb_nl_links(sock, &net, &err);
	if (r == 0)
		r = qb_nl_vlans(sock, &net, &err);
	if (r == 0)
		r = qb_nl_routes(sock, &net, &err);
	if (r < 0) {
		/* Half a snapshot would be taken for a host without routes. */
		qb_net_done(&net);
		qb_tri_unknown(&net.known, "%s", err.msg);
	} else {
		qb_tri_set(&net.known, true);
	}
	qb_net_sys_probe(root, &net);
	*ret = net;
}

int qb_net_probe_known(const struct qb_root *root, struct qb_net *ret, struct qb_error *err)
{
	qb_net_probe(root, ret);
	if (qb_is(&ret->known))
		return 0;
	qb_error_set(err, EIO, "links and routes: %s", ret->known.why ? ret->known.why : "unknown");
	qb_net_done(ret);
	return -EIO;
}
