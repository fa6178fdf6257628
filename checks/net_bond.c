/* SPDX-License-Identifier: Apache-2.0 */
/* Bonds: each link, and what the switch makes of them. */
#include "checks/judging.h"

#define BONDS "/proc/net/bonding/*"

/* What stands behind the name in the first such line of text, before end; NULL for none. */
static const char *field(const char *text, const char *end, const char *name)
{
	const char *at = strstr(text, name);

	return at && (!end || at < end) ? at + strlen(name) : NULL;
}

/* Documentation/networking/bonding.rst, mode 802.3ad: who is not in the active aggregator, or has
 * a partner that says nothing, carries no frames, though its link is up. */
static void weigh_lacp(const struct qb_reading *x, const char *bond, struct qb_tally *t)
{
	static const char head[] = "\nSlave Interface: ";
	const char *slave = strstr(x->value, head);
	const char *active = field(x->value, slave, "Aggregator ID: ");
	const char *partner = field(x->value, slave, "Partner Mac Address: ");

	if (!slave || !strstr(x->value, "Bonding Mode: IEEE 802.3ad") || !active)
		return;
	if (partner && qb_startswith(partner, "00:00:00:00:00:00")) {
		qb_tally_bad(t, "the switch does not speak LACP to %s", bond);
		return;
	}
	while (slave) {
		const char *name = slave + strlen(head), *next = strstr(name, head);
		const char *id = field(name, next, "Aggregator ID: ");

		slave = next;
		if (id && strtoul(id, NULL, 10) != strtoul(active, NULL, 10))
			qb_tally_bad(t, "%.*s of %s is in another aggregator",
				     (int)strcspn(name, "\n"), name, bond);
	}
}

static void weigh_bond(const struct qb_reading *x, struct qb_tally *t, struct qb_result *r)
{
	static const char head[] = "\nSlave Interface: ";
	const char *bond = strrchr(x->path, '/') + 1;
	const char *slave = x->value ? strstr(x->value, head) : NULL;
	size_t n_bad = t->bad.n;

	if (!x->value || !field(x->value, slave, "MII Status: ")) {
		qb_tally_unsure(t, "%s could not be read: %s", x->path,
				x->value ? "it tells no status" : qb_read_why(x));
		return;
	}
	/* Loading the module makes a bond0 that nobody uses. */
	if (!slave)
		qb_evidence(r, bond, x->path, "no slaves");
	while (slave) {
		const char *name = slave + strlen(head), *next = strstr(name, head);
		const char *status = field(name, next, "MII Status: ");
		int name_len = (int)strcspn(name, "\n"), len;

		slave = next;
		if (!status) {
			qb_tally_unsure(t, "%s tells no status of %.*s", x->path, name_len, name);
			return;
		}
		len = (int)strcspn(status, "\n");
		qb_evidence(r, bond, x->path, "%.*s %.*s", name_len, name, len, status);
		if (len != 2 || strncmp(status, "up", 2) != 0)
			qb_tally_bad(t, "%.*s of %s is %.*s", name_len, name, bond, len, status);
	}
	weigh_lacp(x, bond, t);
	if (t->bad.n == n_bad)
		t->good++;
}

static void bonds(const struct qb_check_input *in, struct qb_result *r)
{
	const struct qb_reading *none = qb_facts_reading(in->facts, BONDS);
	struct qb_tally t = {0};
	bool any = false;

	for (const struct qb_reading *x = NULL; (x = qb_read_next(in, BONDS, x)); any = true)
		weigh_bond(x, &t, r);
	if (!any && !qb_is_absent(in, BONDS))
		qb_tally_unsure(&t, "bonds could not be read: %s", qb_read_why(none));
	qb_tally_end(&t, r, "every link of the bonds is up", "there is no bond");
}

static const struct qb_check table[] = {
	{
		.id = "net.bonds",
		.title = "Every link of the bonds is up",
		.severity = QB_RECOMMENDED,
		.looks = "The MII status of every slave in /proc/net/bonding; with LACP also that "
			 "they are in one aggregator, and that the switch answers.",
		.why = "A bond hides that a link of it is down, or carries nothing, until the last "
		       "one goes.",
		.remedy = "grep -E 'Interface|Status|Failure|Aggregator|Partner' "
			  "/proc/net/bonding/*\n"
			  "# Look at the cable and the switch port of the link that is down.",
		.reads = (const char *const[]){BONDS, NULL},
		.judge = bonds,
	},
};

QB_CHECK_GROUP_PART(qb_net_bond_checks, net, table);
