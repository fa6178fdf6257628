/* SPDX-License-Identifier: Apache-2.0 */
/* The way of a guest's frame: its tap, the bridge, the NIC, the wire. */
#include "checks/judging.h"

#include <errno.h>
#include <inttypes.h>

/* Hardware that guests or the host depend on: a port of a bridge or bond, or the way out. Others,
 * a BMC's above all, may be as slow as they like. */
static bool is_nic_in_use(const struct qb_net *net, const struct qb_link *l)
{
	const struct qb_route *route;

	if (l->kind || l->loopback || l->wireless || !l->up || !qb_is(&l->carrier))
		return false;
	route = l->master ? NULL : qb_default_route(net, NULL);
	return l->master || (route && qb_streq(route->dev, l->name));
}

static void weigh_carrier(const struct qb_net *net, const struct qb_link *bridge,
			  struct qb_tally *t, struct qb_result *r)
{
	_cleanup_strs_ struct qb_strs without = {0};
	_cleanup_free_ char *names = NULL;
	const struct qb_link *unsure = NULL;
	bool any = false;

	for (const struct qb_link *l = NULL; (l = qb_net_port(net, bridge->name, l));) {
		if (!qb_link_is_uplink(l))
			continue;
		if (!l->up)
			qb_evidence(r, l->name, "netlink", "down");
		else
			qb_evidence_tri(r, l->name, "IFLA_CARRIER", &l->carrier);
		any |= l->up && qb_is(&l->carrier);
		if (l->up && l->carrier.state == QB_UNKNOWN)
			unsure = l;
		qb_strs_add(&without, l->name);
	}
	names = qb_strs_sentence(&without);
	if (any)
		t->good++;
	else if (unsure)
		qb_tally_unsure(t, "whether %s has carrier is unknown: %s", unsure->name,
				qb_why(&unsure->carrier));
	else if (without.n)
		qb_tally_bad(t, "%s leads nowhere: %s %s no carrier", bridge->name, names,
			     without.n > 1 ? "have" : "has");
}

/* Runs weigh for every bridge. */
static void each_bridge(const struct qb_check_input *in, struct qb_tally *t, struct qb_result *r,
			void (*weigh)(const struct qb_net *, const struct qb_link *,
				      struct qb_tally *, struct qb_result *))
{
	const struct qb_net *net = &in->facts->net;

	for (size_t i = 0; i < net->n_links; i++)
		if (qb_is_bridge(&net->links[i]))
			weigh(net, &net->links[i], t, r);
}

static void carrier(const struct qb_check_input *in, struct qb_result *r)
{
	struct qb_tally t = {0};

	if (qb_no_links(in->facts, r))
		return;
	each_bridge(in, &t, r, weigh_carrier);
	qb_tally_end(&t, r, "every bridge with a NIC has carrier", "no bridge has a NIC");
}

/*
 * A bridge drops a frame that is longer than the port it leaves by allows, and tells nobody
 * (is_skb_forwardable() of net/core/dev.c): it does not fragment. So a port must not be smaller
 * than the bridge, nor a NIC smaller than a guest's tap. A bridge that is smaller than its ports
 * limits the host alone.
 */
static void weigh_mtu(const struct qb_net *net, const struct qb_link *bridge, struct qb_tally *t,
		      struct qb_result *r)
{
	const struct qb_link *nic = NULL;
	bool bad = false, any = false;

	for (const struct qb_link *l = NULL; (l = qb_net_port(net, bridge->name, l));) {
		if (!bridge->mtu || !l->mtu) {
			qb_tally_unsure(t, "the MTU of %s is unknown",
					bridge->mtu ? l->name : bridge->name);
			return;
		}
		if (!any)
			qb_evidence(r, bridge->name, "netlink", "MTU %" PRIi64, bridge->mtu);
		any = true;
		if (qb_link_is_uplink(l) && (!nic || l->mtu < nic->mtu))
			nic = l;
	}
	for (const struct qb_link *l = NULL; (l = qb_net_port(net, bridge->name, l));) {
		bool small = l->mtu < bridge->mtu;

		if (small || l == nic || (nic && l->mtu > nic->mtu))
			qb_evidence(r, l->name, "netlink", "MTU %" PRIi64, l->mtu);
		if (small)
			qb_tally_bad(t,
				     "%s (%" PRIi64 ") is smaller than its bridge %s (%" PRIi64 ")",
				     l->name, l->mtu, bridge->name, bridge->mtu);
		else if (nic && l->mtu > nic->mtu && !qb_link_is_uplink(l))
			qb_tally_bad(t, "%s (%" PRIi64 ") is larger than the NIC %s (%" PRIi64 ")",
				     l->name, l->mtu, nic->name, nic->mtu);
		else
			continue;
		bad = true;
	}
	if (any && !bad)
		t->good++;
}

static void mtu(const struct qb_check_input *in, struct qb_result *r)
{
	struct qb_tally t = {0};

	if (qb_no_links(in->facts, r))
		return;
	each_bridge(in, &t, r, weigh_mtu);
	qb_tally_end(&t, r, "no frame is too long for where it leaves a bridge",
		     "no bridge has a port");
}

#define STATE "/sys/class/net/*/brport/state"

/* BR_STATE_* of linux/if_bridge.h. */
static const char *const states[] = {"disabled", "listening", "learning", "forwarding", "blocking"};

enum {
	FORWARDING = 3
};

/* Of several ways to the same switches STP blocks all but one: one that forwards is enough. */
static void weigh_state(const struct qb_check_input *in, const struct qb_link *bridge,
			struct qb_tally *t, struct qb_result *r)
{
	const struct qb_net *net = &in->facts->net;
	_cleanup_strs_ struct qb_strs held = {0};
	_cleanup_free_ char *text = NULL, *unsure = NULL;
	bool any = false;

	for (const struct qb_link *l = NULL; (l = qb_net_port(net, bridge->name, l));) {
		_cleanup_free_ char *path = NULL;
		const struct qb_reading *x;
		uint64_t state;

		if (!qb_link_is_uplink(l) || !l->up || !qb_is(&l->carrier))
			continue;
		path = qb_asprintf("/sys/class/net/%s/brport/state", l->name);
		x = qb_facts_reading(in->facts, path);
		if (!x || !x->value || qb_parse_u64(x->value, &state) < 0 ||
		    state >= QB_ARRAY_SIZE(states)) {
			free(unsure);
			unsure = qb_asprintf("%s could not be read: %s", path,
					     x && x->value ? "it holds no state" : qb_read_why(x));
			continue;
		}
		qb_evidence(r, l->name, path, "%s", states[state]);
		any |= state == FORWARDING;
		qb_strs_addf(&held, "%s is %s", l->name, states[state]);
	}
	text = qb_strs_sentence(&held);
	if (any)
		t->good++;
	else if (unsure)
		qb_tally_unsure(t, "%s", unsure);
	else if (held.n)
		qb_tally_bad(t, "%s forwards nothing to the wire: %s", bridge->name, text);
}

static void port_state(const struct qb_check_input *in, struct qb_result *r)
{
	const struct qb_net *net = &in->facts->net;
	struct qb_tally t = {0};

	if (qb_no_links(in->facts, r))
		return;
	for (size_t i = 0; i < net->n_links; i++)
		if (qb_is_bridge(&net->links[i]))
			weigh_state(in, &net->links[i], &t, r);
	qb_tally_end(&t, r, "every bridge forwards to its NIC", "no bridge has a NIC with carrier");
}

#define DUPLEX "/sys/class/net/*/duplex"

static void duplex(const struct qb_check_input *in, struct qb_result *r)
{
	const struct qb_net *net = &in->facts->net;
	struct qb_tally t = {0};

	if (qb_no_links(in->facts, r))
		return;
	for (size_t i = 0; i < net->n_links; i++) {
		const struct qb_link *l = &net->links[i];
		_cleanup_free_ char *path = qb_asprintf("/sys/class/net/%s/duplex", l->name);
		const struct qb_reading *x = qb_facts_reading(in->facts, path);

		/* EINVAL is how the kernel says that the driver does not tell; a hypervisor's NIC
		 * has no wire to tell of. */
		if (!is_nic_in_use(net, l) ||
		    (x && (qb_streq(x->value, "unknown") || qb_streq(x->why, strerror(EINVAL)))))
			continue;
		if (x && x->value)
			qb_evidence(r, l->name, path, "%.20s", *x->value ? x->value : "(empty)");
		if (x && qb_streq(x->value, "full"))
			t.good++;
		else if (x && qb_streq(x->value, "half"))
			qb_tally_bad(&t, "%s runs at half duplex", l->name);
		else
			qb_tally_unsure(&t, "the duplex of %s could not be read: %s", l->name,
					x && x->value ? "neither full nor half" : qb_read_why(x));
	}
	qb_tally_end(&t, r, "the NICs in use run at full duplex",
		     "no NIC in use tells of a duplex");
}

enum {
	GIGABIT_MBPS = 1000,
};

static void speed(const struct qb_check_input *in, struct qb_result *r)
{
	const struct qb_net *net = &in->facts->net;
	struct qb_tally t = {0};

	if (qb_no_links(in->facts, r))
		return;
	for (size_t i = 0; i < net->n_links; i++) {
		const struct qb_link *l = &net->links[i];

		if (!is_nic_in_use(net, l) || l->speed_mbps <= 0)
			continue;
		qb_evidence(r, l->name, "/sys/class/net/*/speed", "%" PRIi64 " Mb/s",
			    l->speed_mbps);
		if (l->speed_mbps >= GIGABIT_MBPS)
			t.good++;
		else
			qb_tally_bad(&t, "%s runs at %" PRIi64 " Mb/s", l->name, l->speed_mbps);
	}
	qb_tally_end(&t, r, "the NICs in use run at a gigabit or more",
		     "no NIC in use tells of a speed");
}

#define DEV "/proc/net/dev"

enum {
	/*
	 * One frame in 10,000. IEEE 802.3 allows one wrong bit in 10^10 on 1000BASE-T and in 10^12
	 * on 10GBASE-T: of frames of 12,000 bits about one in a million.
	 */
	ERRORS_SHARE = 10000,
	ERRORS_LEAST = 100, /* some come with every cable that is plugged in */
};

static bool parse_dev(const char *text, const char *name, uint64_t *packets, uint64_t *errors)
{
	size_t len = strlen(name);

	for (const char *line = text; line; line = strchr(line, '\n')) {
		uint64_t rx, rx_errors, tx, tx_errors;

		line += strspn(line, " \t\n");
		if (strncmp(line, name, len) != 0 || line[len] != ':')
			continue;
		/* bytes packets errs drop fifo frame compressed multicast, then the same of tx. */
		if (sscanf(line + len + 1,
			   "%*u%" SCNu64 "%" SCNu64 "%*u%*u%*u%*u%*u%*u%" SCNu64 "%" SCNu64, &rx,
			   &rx_errors, &tx, &tx_errors) != 4)
			return false;
		*packets = rx + tx;
		*errors = rx_errors + tx_errors;
		return true;
	}
	return false;
}

/* Dropped ones are none: the kernel counts there also what is for a protocol or VLAN that nobody
 * here speaks (rx_dropped of include/uapi/linux/if_link.h). */
static void errors(const struct qb_check_input *in, struct qb_result *r)
{
	const struct qb_reading *dev = qb_facts_reading(in->facts, DEV);
	const struct qb_net *net = &in->facts->net;
	struct qb_tally t = {0};

	if (qb_no_links(in->facts, r))
		return;
	if (!dev || !dev->value) {
		qb_unknown(r, "%s could not be read: %s", DEV, qb_read_why(dev));
		return;
	}
	for (size_t i = 0; i < net->n_links; i++) {
		const struct qb_link *l = &net->links[i];
		uint64_t packets, bad;

		if (l->kind || l->loopback || l->wireless)
			continue;
		if (!parse_dev(dev->value, l->name, &packets, &bad)) {
			qb_tally_unsure(&t, "%s does not tell of %s", DEV, l->name);
			continue;
		}
		qb_evidence(r, l->name, DEV, "%" PRIu64 " errors, %" PRIu64 " packets", bad,
			    packets);
		if (bad < ERRORS_LEAST || bad < packets / ERRORS_SHARE)
			t.good++;
		else
			qb_tally_bad(&t, "%s had %" PRIu64 " errors in %" PRIu64 " packets",
				     l->name, bad, packets);
	}
	qb_tally_end(&t, r, "the NICs have next to no errors", "there is no NIC");
}

static const struct qb_check table[] = {
	{
		.id = "net.carrier",
		.title = "The bridges have carrier",
		.severity = QB_RECOMMENDED,
		.looks = "The carrier of NICs, bonds and VLANs that are ports of a bridge: one of "
			 "each bridge has it.",
		.why = "Without it guests reach each other and nothing else; the cable, the switch "
		       "port or the SFP is at fault.",
		.remedy = "bridge link\n"
			  "# Look at the cable and the switch port: ethtool PORT",
		.judge = carrier,
	},
	{
		.id = "net.bridge-mtu",
		.title = "Frames are not too long for their way",
		.severity = QB_RECOMMENDED,
		.looks = "The MTU of every port of a bridge: not smaller than the bridge's, and no "
			 "guest's larger than its NIC's.",
		.why = "A bridge drops what is too long for the port it leaves by, and tells "
		       "nobody: ping works, and large transfers hang.",
		.remedy = "ip -br link; bridge link\n"
			  "# Give all of them the same: ip link set dev PORT mtu MTU",
		.judge = mtu,
	},
	{
		.id = "net.port-state",
		.title = "The bridges forward to their NICs",
		.severity = QB_RECOMMENDED,
		.looks = "The state of the ports with carrier (brport/state): one of each bridge "
			 "forwards.",
		.why = "A port that STP holds back, or that was set so by hand, has carrier and "
		       "passes nothing.",
		.remedy = "bridge link\n"
			  "# After some 30 seconds it forwards, or another bridge is the root: "
			  "bridge -d link",
		.reads = (const char *const[]){STATE, NULL},
		.judge = port_state,
	},
	{
		.id = "net.duplex",
		.title = "NICs run at full duplex",
		.severity = QB_RECOMMENDED,
		.looks = "/sys/class/net/*/duplex of NICs with carrier that are ports of a bridge "
			 "or a bond, or have the default route.",
		.why = "Half duplex is what is left when one end has its speed fixed and the other "
		       "negotiates: collisions, and a small part of the throughput.",
		.remedy = "grep -s . /sys/class/net/*/duplex /sys/class/net/*/speed\n"
			  "# Negotiate on both ends: ethtool -s NIC autoneg on",
		.reads = (const char *const[]){DUPLEX, NULL},
		.judge = duplex,
	},
	{
		.id = "net.speed",
		.title = "NICs run at a gigabit or more",
		.severity = QB_INFORMATIONAL,
		.looks = "The speed of NICs with carrier that are ports of a bridge or a bond, or "
			 "have the default route: at least 1000 Mb/s.",
		.why = "A gigabit NIC at 100 Mb/s has a cable with a broken pair; all guests share "
		       "what is left.",
		.remedy = "grep -s . /sys/class/net/*/speed\n"
			  "# Try another cable and switch port.",
		.judge = speed,
	},
	{
		.id = "net.errors",
		.title = "NICs have next to no errors",
		.severity = QB_RECOMMENDED,
		.looks = "Errors of NICs since they were started, in /proc/net/dev: less than 100, "
			 "or than one in 10,000 packets.",
		.why = "A cable, SFP or switch port that goes bad makes TCP slow long before it "
		       "fails.",
		.remedy = "ip -s -s link\n"
			  "# Try another cable, SFP and switch port: ethtool -S NIC",
		.reads = (const char *const[]){DEV, NULL},
		.judge = errors,
	},
};

QB_CHECK_GROUP_PART(qb_net_path_checks, net, table);
