/* SPDX-License-Identifier: Apache-2.0 */
/* Whose files make the bridges, at this start and at the next one. */
#include "checks/profile.h"

#include <inttypes.h>

/* Among QB_PROFILES_ETC. */
#define OURS "/etc/NetworkManager/system-connections/qubi-*.nmconnection"

/* nmstate.service(8): it applies these at boot, and is wanted by NetworkManager. */
#define NMSTATE "/etc/nmstate/*.y*ml"
#define NM_WANTS "/etc/systemd/system/NetworkManager.service.wants"

#define NETDEV_ETC "/etc/systemd/network/*.netdev"
#define NETDEV_RUN "/run/systemd/network/*.netdev"
#define NETDEV_LIB "/usr/lib/systemd/network/*.netdev"

static void claim(struct qb_strs *claims, const char *path)
{
	qb_strs_add(claims, strrchr(path, '/') + 1);
}

static void claims_of_ifcfg(const struct qb_check_input *in, const char *bridge,
			    struct qb_strs *claims)
{
	for (const struct qb_reading *x = NULL; (x = qb_read_next(in, QB_IFCFG, x));)
		if (qb_ifcfg_is_for(x, bridge))
			claim(claims, x->path);
}

/* A line "- name: br0" or "  name: br0" of a file that nmstate applies. */
static bool names_bridge(const char *text, const char *bridge)
{
	for (const char *line = text; line; line = strchr(line, '\n')) {
		_cleanup_free_ char *word = NULL;

		line += strspn(line, " \t\n-");
		if (!qb_startswith(line, "name:"))
			continue;
		line += strlen("name:");
		line += strspn(line, " \t\"'");
		word = qb_strndup(line, strcspn(line, " \t\r\n\"'#"));
		if (qb_streq(word, bridge))
			return true;
	}
	return false;
}

static void claims_of_nmstate(const struct qb_check_input *in, const char *bridge,
			      struct qb_strs *claims)
{
	const struct qb_reading *wants = qb_facts_reading(in->facts, NM_WANTS);

	if (!wants || !wants->value || !strstr(wants->value, "nmstate.service"))
		return;
	for (const struct qb_reading *x = NULL; (x = qb_read_next(in, NMSTATE, x));)
		if (x->value && names_bridge(x->value, bridge))
			claim(claims, x->path);
}

static void weigh_claims(const struct qb_check_input *in, const char *bridge, struct qb_tally *t,
			 struct qb_result *r)
{
	const struct qb_link *l = qb_net_link(&in->facts->net, bridge);
	_cleanup_strs_ struct qb_strs claims = {0};
	_cleanup_free_ char *text = NULL;

	/* Ours alone: of several profiles NetworkManager itself takes the one it is told to. */
	for (const struct qb_reading *x = NULL; (x = qb_read_next(in, OURS, x));) {
		const char *profile = x->value ? x->value : "";
		_cleanup_free_ char *name = qb_conf_value(profile, "interface-name");

		if (qb_streq(name, bridge))
			claim(&claims, x->path);
	}
	claims_of_ifcfg(in, bridge, &claims);
	claims_of_nmstate(in, bridge, &claims);
	if (l && l->networkd)
		qb_strs_add(&claims, "systemd-networkd");
	text = qb_strs_sentence(&claims);
	qb_evidence(r, bridge, "/etc, /run/systemd/netif", "%s",
		    claims.n ? text : "nobody's files");
	if (claims.n > 1)
		qb_tally_bad(t, "%s each claim %s", text, bridge);
	else
		t->good++;
}

/* Others' profiles do not matter to those who ask for ours alone. */
static bool read_ours(const struct qb_check_input *in, char **ret_why)
{
	if (qb_read_next(in, OURS, NULL))
		return qb_read_all(in, OURS, ret_why);
	return qb_read_next(in, QB_PROFILES_ETC, NULL) || qb_read_all(in, QB_PROFILES_ETC, ret_why);
}

static void one_manager(const struct qb_check_input *in, struct qb_result *r)
{
	_cleanup_free_ char *why = NULL;
	struct qb_tally t = {0};

	if (qb_no_config(in, r))
		return;
	if (in->config->n_bridges && qb_no_links(in->facts, r))
		return;
	if (in->config->n_bridges && read_ours(in, &why) && qb_read_all(in, QB_IFCFG, &why))
		(void)qb_read_all(in, NMSTATE, &why);
	if (why)
		qb_tally_unsure(&t, "%s", why);
	for (size_t i = 0; !why && i < in->config->n_bridges; i++)
		weigh_claims(in, in->config->bridges[i].name, &t, r);
	qb_tally_end(&t, r, "no two claim a configured bridge",
		     "the configuration names no bridges");
}

static void claims_of_networkd(const struct qb_check_input *in, const char *bridge,
			       struct qb_strs *claims)
{
	static const char *const patterns[] = {NETDEV_ETC, NETDEV_RUN, NETDEV_LIB};

	for (size_t i = 0; in->facts->net.networkd_running && i < QB_ARRAY_SIZE(patterns); i++)
		for (const struct qb_reading *x = NULL; (x = qb_read_next(in, patterns[i], x));) {
			const char *text = x->value ? x->value : "";
			_cleanup_free_ char *name = qb_ini_value(text, "NetDev", "Name");
			_cleanup_free_ char *kind = qb_ini_value(text, "NetDev", "Kind");

			if (qb_streq(name, bridge) && kind && !strcasecmp(kind, "bridge"))
				claim(claims, x->path);
		}
}

/* What could not be read of all that could make a bridge; NULL when it is known. */
static char *unread(const struct qb_check_input *in, const struct qb_profiles *profiles)
{
	static const char *const patterns[] = {QB_IFCFG, NMSTATE, NETDEV_ETC, NETDEV_RUN,
					       NETDEV_LIB};
	char *why = qb_strdup(profiles->why);

	for (size_t i = 0; !why && i < QB_ARRAY_SIZE(patterns); i++)
		(void)qb_read_all(in, patterns[i], &why);
	return why;
}

static void weigh_persisted(const struct qb_check_input *in, const struct qb_profiles *profiles,
			    const char *bridge, struct qb_tally *t, struct qb_result *r)
{
	_cleanup_strs_ struct qb_strs claims = {0};
	_cleanup_free_ char *text = NULL, *why = NULL;
	const struct qb_profile *left_out = NULL;

	for (size_t i = 0; i < profiles->n; i++) {
		const struct qb_profile *p = &profiles->v[i];

		if (!qb_profile_is_bridge(p, bridge))
			continue;
		if (p->automatic && !p->open)
			claim(&claims, p->path);
		else
			left_out = p;
	}
	claims_of_ifcfg(in, bridge, &claims);
	claims_of_nmstate(in, bridge, &claims);
	claims_of_networkd(in, bridge, &claims);
	if (qb_net_keeper(&in->facts->net) == QB_KEEPER_AGENT && in->facts->net.boot_unit)
		qb_strs_add(&claims, "qubi-agent-network.service, if qubi-agent made it");
	text = qb_strs_sentence(&claims);
	if (claims.n) {
		qb_evidence(r, bridge, "/etc, /run, /usr/lib", "%s", text);
		t->good++;
		return;
	}
	why = unread(in, profiles);
	if (why) {
		qb_tally_unsure(t, "%s", why);
		return;
	}
	if (qb_net_keeper(&in->facts->net) == QB_KEEPER_AGENT)
		r->fix = NULL;
	if (left_out)
		qb_evidence(r, bridge, left_out->path, "%s",
			    left_out->automatic ? "others may read it" : "autoconnect=false");
	else
		qb_evidence(r, bridge, "/etc, /run, /usr/lib", "in no file");
	if (left_out && left_out->automatic)
		qb_tally_bad(t, "NetworkManager leaves out %s, the only one with %s",
			     left_out->file, bridge);
	else
		qb_tally_bad(t, "nothing makes %s at the next start", bridge);
}

static void persisted(const struct qb_check_input *in, struct qb_result *r)
{
	const struct qb_facts *f = in->facts;
	_cleanup_profiles_ struct qb_profiles profiles = {0};
	struct qb_tally t = {0};

	if (qb_no_config(in, r))
		return;
	if (in->config->n_bridges && qb_no_links(f, r))
		return;
	/* ifupdown, netplan and others, which are not known here. */
	if (f->system.os_id && !qb_is_el(&f->system)) {
		qb_skip(r, "who makes bridges on %s is not known here",
			f->system.os_name ? f->system.os_name : f->system.os_id);
		return;
	}
	qb_profiles_read(in, &profiles);
	for (size_t i = 0; i < in->config->n_bridges; i++) {
		const char *name = in->config->bridges[i].name;

		if (qb_is_bridge(qb_net_link(&f->net, name)))
			weigh_persisted(in, &profiles, name, &t, r);
	}
	qb_tally_end(&t, r, "every configured bridge will be there after the next start",
		     "no configured bridge is there yet");
}

static void profile_private(const struct qb_check_input *in, struct qb_result *r)
{
	_cleanup_free_ char *why = NULL;
	struct qb_tally t = {0};

	for (const struct qb_reading *x = NULL; (x = qb_read_next(in, OURS, x));) {
		const char *name = strrchr(x->path, '/') + 1;

		if (!x->mode) {
			qb_tally_unsure(&t, "the mode of %s is unknown: %s", name, qb_read_why(x));
			continue;
		}
		qb_evidence(r, "mode", x->path, "%04" PRIo64, (uint64_t)x->mode & 07777);
		if (x->mode & 077)
			qb_tally_bad(&t, "%s has mode %04" PRIo64, name, (uint64_t)x->mode & 07777);
		else
			t.good++;
	}
	if (!t.good && !t.bad.n && !t.unsure.n && !read_ours(in, &why))
		qb_tally_unsure(&t, "%s", why);
	qb_tally_end(&t, r, "the bridges' profiles are root's alone",
		     "no profile of qubi-agent is there");
}

static const struct qb_check table[] = {
	{
		.id = "net.one-manager",
		.title = "One alone manages each bridge",
		.severity = QB_RECOMMENDED,
		.looks = "Who claims a configured bridge: the profile of qubi-agent, an ifcfg file "
			 "with ONBOOT, a file that nmstate applies at boot, systemd-networkd.",
		.why = "Which of two comes first at boot is chance: the host comes back with other "
		       "addresses, or without its bridge.",
		.remedy = "nmcli -f NAME,DEVICE,AUTOCONNECT,FILENAME connection\n"
			  "networkctl\n"
			  "# Switch one off: ONBOOT=no in the ifcfg file, Unmanaged=yes for "
			  "systemd-networkd, or move the file out of /etc/nmstate.",
		.reads = (const char *const[]){QB_PROFILES_ETC, QB_IFCFG, NMSTATE, NM_WANTS, NULL},
		.judge = one_manager,
	},
	{
		.id = "net.bridge-persisted",
		.title = "The bridges outlive a restart",
		.severity = QB_RECOMMENDED,
		.looks = "Of every configured bridge that is there: a profile of NetworkManager "
			 "that is started by itself, an ifcfg file with ONBOOT, a file that "
			 "nmstate applies at boot, or a .netdev of systemd-networkd; without any "
			 "of these qubi-agent-network.service. On RHEL and what is built from it.",
		.why = "A bridge that was made by hand is gone after a restart, and the guests' "
		       "network and the host's address with it.",
		.remedy = "nmcli -f NAME,DEVICE,AUTOCONNECT,FILENAME connection\nqubi-agent plan\n"
			  "# Where neither NetworkManager nor systemd-networkd is:\n"
			  "systemctl enable qubi-agent-network.service",
		.fix = "net.persist",
		.reads = (const char *const[]){QB_PROFILES, QB_IFCFG, NMSTATE, NM_WANTS, NETDEV_ETC,
					       NETDEV_RUN, NETDEV_LIB, NULL},
		.judge = persisted,
	},
	{
		.id = "net.profile-private",
		.title = "NetworkManager accepts our profiles",
		.severity = QB_RECOMMENDED,
		.looks = "The mode of /etc/NetworkManager/system-connections/qubi-*.nmconnection: "
			 "nobody but root may open them.",
		.why = "NetworkManager leaves out a profile that others may read: the bridge is "
		       "gone after the next start.",
		.remedy = "chmod 0600 /etc/NetworkManager/system-connections/qubi-*.nmconnection\n"
			  "nmcli connection reload",
		.reads = (const char *const[]){QB_PROFILES_ETC, NULL},
		.judge = profile_private,
	},
};

QB_CHECK_GROUP_PART(qb_net_owner_checks, net, table);
