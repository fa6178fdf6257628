/* SPDX-License-Identifier: Apache-2.0 */
/* What NetworkManager's profiles say of the bridges against what the kernel has. */
#include "checks/profile.h"

#include "net/names.h"

#define NM_CONF                                                                                    \
	"/etc/NetworkManager/NetworkManager.conf", "/etc/NetworkManager/conf.d/*.conf",            \
		"/run/NetworkManager/conf.d/*.conf", "/usr/lib/NetworkManager/conf.d/*.conf"

/* One bridge, and the profile of which NetworkManager would make it. */
struct pair {
	const struct qb_check_input *in;
	const struct qb_link *l;
	const struct qb_profiles *all;
	const struct qb_profile *p;
	struct qb_tally *t;
	struct qb_result *r;
};

/* NULL where there is none, or where two have the same right to it: then the one that was used
 * last counts, which no file tells. */
static const struct qb_profile *profile_of(const struct qb_profiles *all, const char *bridge)
{
	const struct qb_profile *best = NULL;
	bool tie = false;

	for (size_t i = 0; i < all->n; i++) {
		const struct qb_profile *p = &all->v[i];

		if (!qb_profile_is_bridge(p, bridge) || !p->automatic || p->open)
			continue;
		if (!best || p->priority > best->priority) {
			best = p;
			tie = false;
		} else if (p->priority == best->priority) {
			tie = true;
		}
	}
	return tie ? NULL : best;
}

static void differs(const struct pair *x, const char *key, const char *value, const char *is)
{
	qb_evidence(x->r, key, x->p->path, "%s", value);
	qb_tally_bad(x->t, "%s has %s=%s, and %s %s", x->p->file, key, value, x->l->name, is);
}

/* On unless it is switched off: bridge.stp of nm-settings-nmcli(5). */
static void weigh_stp(const struct pair *x)
{
	_cleanup_free_ char *value = qb_ini_value(x->p->text, "bridge", "stp");
	bool on = !qb_streq(value, "false") && !qb_streq(value, "0");

	if (x->l->stp.state == QB_UNKNOWN)
		qb_tally_unsure(x->t, "whether %s runs STP is unknown: %s", x->l->name,
				qb_why(&x->l->stp));
	else if (qb_is(&x->l->stp) != on)
		differs(x, value ? "stp" : "stp (by default)", on ? "true" : "false",
			on ? "runs without" : "runs with it");
}

/* Words such as "preserve", "random" and "stable" name no address. */
static bool is_mac(const char *value)
{
	unsigned char m[6];
	char end;

	return value && sscanf(value, "%2hhx:%2hhx:%2hhx:%2hhx:%2hhx:%2hhx%c", &m[0], &m[1], &m[2],
			       &m[3], &m[4], &m[5], &end) == 6;
}

static void weigh_mac(const struct pair *x)
{
	_cleanup_free_ char *cloned = qb_profile_value(x->p, "ethernet", "cloned-mac-address");
	_cleanup_free_ char *own = qb_ini_value(x->p->text, "bridge", "mac-address");
	const char *value = cloned ? cloned : own;
	_cleanup_free_ char *is = NULL;

	if (!is_mac(value) || !x->l->mac || !strcasecmp(value, x->l->mac))
		return;
	is = qb_asprintf("has %s", x->l->mac);
	differs(x, cloned ? "cloned-mac-address" : "mac-address", value, is);
}

static bool has_address(const struct qb_link *l, const struct qb_ip *wanted, bool with_prefix)
{
	for (size_t i = 0; i < l->n_addresses; i++) {
		struct qb_ip ip;

		if (qb_ip_parse(l->addresses[i].address, &ip) == 0 && ip.family == wanted->family &&
		    !memcmp(ip.bytes, wanted->bytes, ip.len) &&
		    (!with_prefix || ip.prefix == wanted->prefix))
			return true;
	}
	return false;
}

/* The keys "address", "addresses", "address1" and so on: "192.0.2.10/24,192.0.2.1", the gateway
 * being optional. What has another form is for NetworkManager to read. */
static void weigh_family(const struct pair *x, const char *section)
{
	_cleanup_free_ char *method = qb_ini_value(x->p->text, section, "method");

	if (!qb_streq(method, "manual"))
		return;
	for (int i = -1; i < 100; i++) {
		_cleanup_free_ char *key = i < 0    ? qb_strdup("addresses")
					   : i == 0 ? qb_strdup("address")
						    : qb_asprintf("address%d", i);
		_cleanup_free_ char *value = qb_ini_value(x->p->text, section, key);
		_cleanup_free_ char *one = NULL;
		struct qb_ip ip;

		one = value ? qb_strndup(value, strcspn(value, ",; \t")) : NULL;
		if (!one || qb_ip_parse(one, &ip) < 0 ||
		    has_address(x->l, &ip, strchr(one, '/') != NULL))
			continue;
		differs(x, key, one, "lacks it");
	}
}

static bool is_port_profile(const struct pair *x, const struct qb_profile *p)
{
	_cleanup_free_ char *master = qb_ini_value(p->text, "connection", "master");
	_cleanup_free_ char *controller = qb_ini_value(p->text, "connection", "controller");
	const char *of = controller ? controller : master;

	return of && (qb_streq(of, x->p->uuid) || qb_streq(of, x->l->name)) && !p->open;
}

static bool is_ifcfg_port(const struct pair *x, const struct qb_link *port)
{
	for (const struct qb_reading *f = NULL; (f = qb_read_next(x->in, QB_IFCFG, f));) {
		_cleanup_free_ char *bridge = f->value ? qb_conf_value(f->value, "BRIDGE") : NULL;

		if (bridge && qb_ifcfg_is_for(f, port->name))
			return true;
	}
	return false;
}

static bool says_one(const char *text, const char *prefix)
{
	static const char *const keys[] = {"autoconnect-ports", "autoconnect-slaves"};
	bool one = false;

	for (size_t i = 0; text && i < QB_ARRAY_SIZE(keys); i++) {
		_cleanup_free_ char *key = qb_asprintf("%s%s", prefix, keys[i]);
		_cleanup_free_ char *value = qb_ini_value(text, "connection", key);

		one |= qb_streq(value, "1");
	}
	return one;
}

/* The bridge's profile starts those of its ports, whatever they say of themselves; one that leaves
 * it open does what NetworkManager.conf(5) has for all. */
static bool starts_ports(const struct pair *x)
{
	static const char *const patterns[] = {NM_CONF};
	_cleanup_free_ char *ports = qb_ini_value(x->p->text, "connection", "autoconnect-ports");
	_cleanup_free_ char *slaves = qb_ini_value(x->p->text, "connection", "autoconnect-slaves");
	bool starts = says_one(x->p->text, ""),
	     open = !qb_streq(ports, "0") && !qb_streq(slaves, "0");

	for (size_t i = 0; open && i < QB_ARRAY_SIZE(patterns); i++)
		for (const struct qb_reading *f = NULL; (f = qb_read_next(x->in, patterns[i], f));)
			starts |= says_one(f->value, "connection.");
	return starts;
}

static bool is_for_nic(const struct qb_profile *p, const struct qb_link *port)
{
	return (!p->type || qb_streq(p->type, "ethernet") || qb_streq(p->type, "802-3-ethernet")) &&
	       qb_profile_is_for(p, port);
}

/* Whether NetworkManager would start p for the port by itself. */
static void weigh_start(const struct pair *x, const struct qb_profile *p,
			const struct qb_link *port)
{
	if (starts_ports(x))
		return;
	if (!p->automatic)
		qb_tally_bad(x->t, "%s is a port of %s by %s, which nothing starts", port->name,
			     x->l->name, p->file);
	for (size_t i = 0; p->automatic && i < x->all->n; i++) {
		const struct qb_profile *q = &x->all->v[i];

		if (q->automatic && !q->open && q->priority > p->priority && is_for_nic(q, port) &&
		    !is_port_profile(x, q)) {
			qb_evidence(x->r, port->name, q->path, "no port, and of a priority of %ld",
				    q->priority);
			qb_tally_bad(x->t, "%s goes before %s: at the next start %s is no port",
				     q->file, p->file, port->name);
			return;
		}
	}
}

/* The one that NetworkManager would take of those that make the NIC a port; NULL: there is none. */
static const struct qb_profile *port_profile(const struct pair *x, const struct qb_link *port)
{
	const struct qb_profile *best = NULL;

	for (size_t i = 0; i < x->all->n; i++) {
		const struct qb_profile *p = &x->all->v[i];

		if (is_port_profile(x, p) && qb_profile_is_for(p, port) &&
		    (!best || p->automatic > best->automatic ||
		     (p->automatic == best->automatic && p->priority > best->priority)))
			best = p;
	}
	return best;
}

static void weigh_port(const struct pair *x, const struct qb_link *port)
{
	const struct qb_profile *p = port_profile(x, port);

	if (p) {
		qb_evidence(x->r, port->name, p->path, "a port of %s", x->l->name);
		weigh_start(x, p, port);
		return;
	}
	if (is_ifcfg_port(x, port))
		return;
	if (x->all->why) {
		qb_tally_unsure(x->t, "%s", x->all->why);
		return;
	}
	qb_evidence(x->r, port->name, "/etc/NetworkManager/system-connections",
		    "no profile makes it a port");
	qb_tally_bad(x->t, "%s is a port of %s, and no profile makes it one", port->name,
		     x->l->name);
}

static void weigh_bridge(const struct pair *x)
{
	const struct qb_net *net = &x->in->facts->net;
	size_t bad = x->t->bad.n, unsure = x->t->unsure.n;

	qb_evidence(x->r, x->l->name, x->p->path, "%s", x->p->uuid ? x->p->uuid : "no UUID");
	weigh_stp(x);
	weigh_mac(x);
	weigh_family(x, "ipv4");
	weigh_family(x, "ipv6");
	for (const struct qb_link *l = NULL; (l = qb_net_port(net, x->l->name, l));) {
		if (!l->kind && !l->loopback)
			weigh_port(x, l);
	}
	if (x->t->bad.n == bad && x->t->unsure.n == unsure)
		x->t->good++;
}

static void agrees(const struct qb_check_input *in, struct qb_result *r)
{
	_cleanup_profiles_ struct qb_profiles profiles = {0};
	struct qb_tally t = {0};

	if (qb_no_config(in, r))
		return;
	if (in->config->n_bridges && qb_no_links(in->facts, r))
		return;
	qb_profiles_read(in, &profiles);
	for (size_t i = 0; i < in->config->n_bridges; i++) {
		const char *name = in->config->bridges[i].name;
		struct pair x = {.in = in, .all = &profiles, .t = &t, .r = r};

		x.l = qb_net_link(&in->facts->net, name);
		x.p = profile_of(&profiles, name);
		if (qb_is_bridge(x.l) && x.p)
			weigh_bridge(&x);
		else if (qb_is_bridge(x.l) && profiles.why)
			qb_tally_unsure(&t, "%s", profiles.why);
	}
	qb_tally_end(&t, r, "the bridges are as their profiles say",
		     "no configured bridge that is there has one profile of NetworkManager");
}

static const struct qb_check table[] = {
	{
		.id = "net.profile-agrees",
		.title = "The bridges are as their profiles say",
		.severity = QB_RECOMMENDED,
		.looks = "Of every configured bridge with a profile of NetworkManager: STP, the "
			 "addresses of method manual and the MAC address against the kernel's, "
			 "and for each NIC that is a port a profile that NetworkManager starts.",
		.why = "What was changed by hand holds until the next restart; then the host has "
		       "another address, or guests wait for STP.",
		.remedy = "nmcli -f NAME,DEVICE,FILENAME connection\n"
			  "# Whichever is right: nmcli connection modify PROFILE KEY VALUE; or, at "
			  "the next quiet hour, nmcli connection up PROFILE.",
		.reads = (const char *const[]){QB_PROFILES, QB_IFCFG, NM_CONF, NULL},
		.judge = agrees,
	},
};

QB_CHECK_GROUP_PART(qb_net_profile_checks, net, table);
