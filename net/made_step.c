/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Step net.link: a bond or a VLAN. The journaled "before" holds:
 *   existed, up     the link as it was
 *   boot            the host was started anew since, if it is another now
 *   ports           its NICs, or the link below it, by which they are known if they are renamed
 *   add             NICs that are not in the bond yet
 *   on              NICs that were switched on, and the link below a VLAN
 *   managed         NICs that NetworkManager managed
 *   networkmanager  it runs
 */
#include "net/made.h"

#include <errno.h>
#include <time.h>
#include <net/if.h>
#include <linux/if_bonding.h>
#include <linux/if_link.h>

#include "agent/base/clock.h"
#include "net/boot.h"
#include "net/names.h"
#include "net/nl_made.h"
#include "net/nl_write.h"
#include "net/nm.h"
#include "net/probe.h"
#include "net/renamed.h"

#define POLL_MS 20
#define CARRIER_MS 3000 /* a bond looks every 100 ms, and LACP speaks once a second */

static bool is_bond(const json_t *args)
{
	return qb_streq(qb_arg(args, "kind"), "bond");
}

/* It is what it is to be, as far as that cannot be changed. */
static bool is_it(const struct qb_net *net, const struct qb_link *link, const json_t *args)
{
	_cleanup_free_ char *mode = NULL;
	const struct qb_link *lower;

	if (!qb_streq(link->kind, qb_arg(args, "kind")))
		return false;
	if (is_bond(args)) {
		mode = qb_asprintf("mode=%s", qb_arg(args, "mode"));
		return qb_strs_has(&link->bond, mode);
	}
	lower = qb_net_link_by_index(net, link->lower_ifindex);
	return link->vlan_id == json_integer_value(json_object_get(args, "id")) && lower &&
	       qb_streq(lower->name, qb_arg(args, "link"));
}

static int check_nic(const struct qb_net *net, const json_t *port, const char *bond,
		     struct qb_error *err)
{
	const char *name = qb_arg(port, "name");
	const struct qb_link *is = qb_net_link(net, name);

	if (!is || is->ifindex != json_integer_value(json_object_get(port, "ifindex")))
		return qb_error_set(err, ESTALE, "%s is not the NIC it was when planned", name);
	if (qb_streq(is->master, bond))
		return 0;
	if (!qb_streq(is->mac, qb_arg(port, "mac")))
		return qb_error_set(err, ESTALE, "%s is not the NIC it was when planned", name);
	if (is->master)
		return qb_error_set(err, ESTALE, "%s is a port of %s since", name, is->master);
	if (qb_link_carries_host(is))
		return qb_error_set(err, ESTALE, "%s has addresses since this was planned", name);
	return 0;
}

static bool is_done(const struct qb_net *net, const json_t *args)
{
	const char *name = qb_arg(args, "name");
	const struct qb_link *link = qb_net_link(net, name);
	const json_t *port;
	size_t i;

	if (!link || !link->up || !is_it(net, link, args))
		return false;
	json_array_foreach (json_object_get(args, "ports"), i, port) {
		const struct qb_link *nic = qb_net_link(net, qb_arg(port, "name"));

		if (!nic || !nic->up || !qb_streq(nic->master, name))
			return false;
	}
	return true;
}

static void note_on(const struct qb_link *link, json_t *on)
{
	if (link && link->up)
		json_array_append_new(on, json_string(link->name));
}

static void note_hardware(const struct qb_link *link, json_t *before)
{
	json_array_append_new(json_object_get(before, "ports"),
			      json_pack("{s:s, s:I, s:s*, s:s*, s:s*}", "name", link->name,
					"ifindex", (json_int_t)link->ifindex, "mac", link->mac,
					"permanent_mac", link->permanent_mac, "kind", link->kind));
}

static int note_nics(const struct qb_step_ctx *ctx, const struct qb_net *net, const json_t *args,
		     json_t *before, struct qb_error *err)
{
	const char *name = qb_arg(args, "name");
	const struct qb_link *lower = qb_net_link(net, qb_arg(args, "link"));
	json_t *on = json_object_get(before, "on");
	const json_t *port;
	size_t i;

	json_array_foreach (json_object_get(args, "ports"), i, port) {
		const char *nic = qb_arg(port, "name");
		bool managed = false;
		int r = check_nic(net, port, name, err);

		if (r == 0 && net->networkmanager_running)
			r = qb_nm_managed(nic, ctx->timeout_ms, &managed, err);
		if (r < 0)
			return r;
		if (managed)
			json_array_append_new(json_object_get(before, "managed"), json_string(nic));
		note_hardware(qb_net_link(net, nic), before);
		if (qb_streq(qb_net_link(net, nic)->master, name))
			continue;
		json_array_append_new(json_object_get(before, "add"), json_string(nic));
		note_on(qb_net_link(net, nic), on);
	}
	if (lower)
		note_hardware(lower, before);
	note_on(lower, on);
	return 0;
}

static int observe(const struct qb_step_ctx *ctx, const json_t *args, enum qb_observed *ret,
		   json_t **ret_before, struct qb_error *err)
{
	const char *name = qb_arg(args, "name"), *lower = qb_arg(args, "link");
	_cleanup_net_ struct qb_net net = {0};
	json_auto_t *before = NULL;
	const struct qb_link *link;
	int r = qb_net_probe_known(ctx->root, &net, err);

	if (r < 0)
		return r;
	link = qb_net_link(&net, name);
	if (link && !is_it(&net, link, args))
		return qb_error_set(err, ESTALE, "%s is there since, and is another link", name);
	if (lower && !qb_net_link(&net, lower))
		return qb_error_set(err, ESTALE, "%s is not there any more", lower);
	before = json_pack("{s:b, s:b, s:[], s:[], s:[], s:[], s:b}", "existed", link != NULL, "up",
			   link && link->up, "ports", "add", "on", "managed", "networkmanager",
			   (int)net.networkmanager_running);
	qb_boot_note(ctx->root, before);
	r = note_nics(ctx, &net, args, before, err);
	if (r < 0)
		return r;
	*ret = is_done(&net, args) ? QB_OBSERVED_DONE : QB_OBSERVED_NEEDED;
	*ret_before = QB_TAKE_PTR(before);
	return 0;
}

static int set_managed(const struct qb_step_ctx *ctx, const json_t *before, bool managed,
		       struct qb_error *err)
{
	const json_t *name;
	size_t i;
	int r = 0;

	json_array_foreach (json_object_get(before, "managed"), i, name) {
		if (r == 0)
			r = qb_nm_set_managed(json_string_value(name), managed, ctx->timeout_ms,
					      err);
	}
	return r;
}

static int make(const struct qb_step_ctx *ctx, struct nl_sock *sock, const json_t *args,
		const json_t *before, struct qb_error *err)
{
	const char *name = qb_arg(args, "name"), *mac = qb_arg(args, "mac");
	int64_t mtu = json_integer_value(json_object_get(args, "mtu"));
	unsigned char mode = qb_streq(qb_arg(args, "mode"), "802.3ad") ? BOND_MODE_8023AD
								       : BOND_MODE_ACTIVEBACKUP;
	int r = 0;

	if (!if_nametoindex(name)) {
		r = is_bond(args)
			    ? qb_nl_bond_make(sock, name, mode, mac, mtu, err)
			    : qb_nl_vlan_make(sock, name, qb_arg(args, "link"),
					      json_integer_value(json_object_get(args, "id")), err);
		/* It is for guests: the host takes no address there that a router offers. */
		if (r == 0)
			r = qb_nl_addr_gen_mode(sock, name, IN6_ADDR_GEN_MODE_NONE, err);
	}
	if (r == 0 && !json_is_true(json_object_get(before, "up")) &&
	    json_is_true(json_object_get(before, "networkmanager")))
		r = qb_nm_disown(name, ctx->timeout_ms, err);
	return r;
}

static int apply(const struct qb_step_ctx *ctx, const json_t *args, const json_t *before,
		 struct qb_error *err)
{
	const char *name = qb_arg(args, "name"), *lower = qb_arg(args, "link");
	_cleanup_nl_sock_ struct nl_sock *sock = NULL;
	const json_t *nic;
	size_t i;
	int r = qb_nl_open(&sock, err);

	if (r == 0)
		r = set_managed(ctx, before, false, err);
	if (r == 0)
		r = make(ctx, sock, args, before, err);
	json_array_foreach (json_object_get(before, "add"), i, nic) {
		/* A bond takes none that is switched on, and switches it on itself. */
		if (r == 0)
			r = qb_nl_link_up(sock, json_string_value(nic), false, err);
		if (r == 0)
			r = qb_nl_link_master(sock, json_string_value(nic), name, err);
	}
	if (r == 0 && lower)
		r = qb_nl_link_up(sock, lower, true, err);
	return r < 0 ? r : qb_nl_link_up(sock, name, true, err);
}

/* One of its NICs had a cable a moment ago. */
static bool may_have_carrier(const struct qb_net *net, const json_t *args)
{
	const json_t *port;
	size_t i;

	json_array_foreach (json_object_get(args, "ports"), i, port) {
		const struct qb_link *nic = qb_net_link(net, qb_arg(port, "name"));

		if (nic && qb_is(&nic->carrier))
			return true;
	}
	return false;
}

static int verify(const struct qb_step_ctx *ctx, const json_t *args, const json_t *before,
		  struct qb_error *err)
{
	const struct timespec pause = {.tv_nsec = POLL_MS * 1000000L};
	const char *name = qb_arg(args, "name");
	uint64_t end = qb_now_ms() + CARRIER_MS;

	(void)before;
	for (;;) {
		_cleanup_net_ struct qb_net net = {0};
		int r = qb_net_probe_known(ctx->root, &net, err);

		if (r < 0)
			return r;
		if (!is_done(&net, args))
			return qb_error_set(err, EIO, "%s is not up, or not as wanted", name);
		if (!may_have_carrier(&net, args) || qb_is(&qb_net_link(&net, name)->carrier))
			return 0;
		if (qb_now_ms() >= end)
			return qb_error_set(err, EIO, "%s has no carrier, though a NIC of it has",
					    name);
		nanosleep(&pause, NULL);
	}
}

/* Whoever uses it would be cut off. */
static int check_unused(const struct qb_net *net, const struct qb_link *link, struct qb_error *err)
{
	if (link->master)
		return qb_error_set(err, EBUSY, "%s is in use: it is a port of %s", link->name,
				    link->master);
	if (qb_link_carries_host(link))
		return qb_error_set(err, EBUSY, "%s is in use: it has addresses", link->name);
	for (size_t i = 0; i < net->n_links; i++)
		if (net->links[i].lower_ifindex == link->ifindex)
			return qb_error_set(err, EBUSY, "%s is in use: it carries %s", link->name,
					    net->links[i].name);
	return 0;
}

static int take_apart(struct nl_sock *sock, const struct qb_net *net, const json_t *args,
		      const json_t *before, struct qb_error *err)
{
	const char *name = qb_arg(args, "name");
	const struct qb_link *link = qb_net_link(net, name);
	const json_t *nic;
	size_t i;
	int r = 0;

	if (!link || !is_it(net, link, args))
		return 0;
	if (!json_is_true(json_object_get(before, "existed"))) {
		r = check_unused(net, link, err);
		return r < 0 ? r : qb_nl_link_delete(sock, name, err);
	}
	json_array_foreach (json_object_get(before, "add"), i, nic) {
		const struct qb_link *is = qb_net_link(net, json_string_value(nic));

		if (r == 0 && is && qb_streq(is->master, name))
			r = qb_nl_link_master(sock, is->name, NULL, err);
	}
	if (r == 0 && !json_is_true(json_object_get(before, "up")))
		r = qb_nl_link_up(sock, name, false, err);
	return r;
}

static bool was_on(const json_t *before, const char *name)
{
	const json_t *on;
	size_t i;

	json_array_foreach (json_object_get(before, "on"), i, on)
		if (qb_streq(json_string_value(on), name))
			return true;
	return false;
}

/* What a bond releases is off; below a VLAN it was switched on. */
static int undo_nics(struct nl_sock *sock, const json_t *args, const json_t *before,
		     struct qb_error *err)
{
	const char *lower = qb_arg(args, "link");
	const json_t *nic;
	size_t i;
	int r = 0;

	json_array_foreach (json_object_get(before, "add"), i, nic) {
		const char *name = json_string_value(nic);

		if (r == 0 && if_nametoindex(name))
			r = qb_nl_link_up(sock, name, was_on(before, name), err);
	}
	if (r == 0 && lower && !was_on(before, lower) && if_nametoindex(lower))
		r = qb_nl_link_up(sock, lower, false, err);
	return r;
}

static int undo(const struct qb_step_ctx *ctx, const json_t *args, const json_t *before,
		struct qb_error *err)
{
	json_auto_t *names = NULL, *args_now = NULL, *before_now = NULL;
	_cleanup_nl_sock_ struct nl_sock *sock = NULL;
	_cleanup_net_ struct qb_net net = {0};
	int r = qb_net_probe_known(ctx->root, &net, err);

	if (r == 0)
		r = qb_nl_open(&sock, err);
	if (r < 0)
		return r;
	names = qb_renamed_ports(&net, before, qb_boot_is_same(ctx->root, before));
	args_now = qb_renamed(args, names);
	before_now = qb_renamed(before, names);
	r = take_apart(sock, &net, args_now, before_now, err);
	if (r == 0)
		r = undo_nics(sock, args_now, before_now, err);
	return r < 0 ? r : set_managed(ctx, before_now, true, err);
}

const struct qb_step_kind qb_made_step = {
	.kind = "net.link",
	.observe = observe,
	.apply = apply,
	.verify = verify,
	.undo = undo,
	.guarded = true,
};
