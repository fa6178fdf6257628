/* SPDX-License-Identifier: Apache-2.0 */
/* How systemd lets libvirt's daemons grow, and who gets in. */
#include "checks/judging.h"

#include <inttypes.h>

enum {
	/* As libvirt's own unit files have it, for 4096 guests: two files, eight tasks each. */
	FILES_LEAST = 8192,
	TASKS_LEAST = 32768,
};

#define UNIT(dir, daemon) dir "/systemd/system/" daemon ".service"
#define DROPINS(dir, daemon) UNIT(dir, daemon) ".d/*.conf"
#define LAYERS(daemon)                                                                             \
	UNIT("/usr/lib", daemon), UNIT("/etc", daemon), DROPINS("/usr/lib", daemon),               \
		DROPINS("/etc", daemon)

/* A daemon's unit and what changes it, the strongest last: systemd.unit(5). */
static const char *const monolithic[] = {LAYERS("libvirtd"), NULL};
static const char *const modular[] = {LAYERS("virtqemud"), NULL};

struct limit {
	const char *key, *what;
	uint64_t least, per_guest;
};

static unsigned shift_of(char suffix)
{
	static const char suffixes[] = "KMGT";
	const char *at = strchr(suffixes, suffix);

	return at ? 10 * (unsigned)(at - suffixes + 1) : 0;
}

/* "SOFT:HARD" or one for both; the daemon raises itself to the hard one. False: no number. */
static bool parse_limit(const char *value, uint64_t *ret)
{
	const char *hard = strchr(value, ':');
	_cleanup_free_ char *digits = NULL;
	unsigned shift;
	size_t n;

	hard = hard ? hard + 1 : value;
	if (qb_streq(hard, "infinity")) {
		*ret = UINT64_MAX;
		return true;
	}
	/* systemd.exec(5): K, M, G... to the base of 1024. */
	n = strspn(hard, "0123456789");
	shift = !hard[n] || hard[n + 1] ? 0 : shift_of(hard[n]);
	digits = qb_strndup(hard, n);
	if (qb_parse_u64(digits, ret) < 0 || (hard[n] && !shift))
		return false;
	*ret = *ret > UINT64_MAX >> shift ? UINT64_MAX : *ret << shift;
	return true;
}

static void weigh_limit(struct qb_result *r, const struct limit *limit, const char *value,
			const char *source, struct qb_tally *t)
{
	uint64_t n;

	qb_evidence(r, limit->key, source, "%s", value && *value ? value : "not set");
	/* Without one systemd's default, which is higher; or "80%" of what the kernel allows. */
	if (!value || !parse_limit(value, &n) || n >= limit->least)
		t->good++;
	else
		qb_tally_bad(t,
			     "libvirt may have %" PRIu64 " %s, enough for some %" PRIu64 " guests",
			     n, limit->what, n / limit->per_guest);
}

/* False where no unit is known: the verdict is given then. */
static bool is_known(const struct qb_check_input *in, struct qb_result *r,
		     const char *const *layers)
{
	bool any = false;

	for (size_t i = 0; layers[i]; i++) {
		const struct qb_reading *x = qb_facts_reading(in->facts, layers[i]);

		any |= x && x->value;
		if (strchr(layers[i], '*') || (x && (x->value || x->absent)))
			continue;
		qb_unknown(r, "%s could not be read: %s", layers[i], qb_read_why(x));
		return false;
	}
	if (!any)
		qb_unknown(r, "there is neither %s nor %s", layers[0], layers[1]);
	return any;
}

/* What the last of the files that names it says of a key, and which. Caller frees; NULL: none. */
static char *look_up(const struct qb_check_input *in, const char *const *layers, const char *key,
		     const char **ret_source)
{
	char *value = NULL;

	*ret_source = layers[0];
	for (size_t i = 0; layers[i]; i++) {
		bool many = strchr(layers[i], '*');
		const struct qb_reading *x = many ? qb_read_next(in, layers[i], NULL)
						  : qb_facts_reading(in->facts, layers[i]);

		for (; x; x = many ? qb_read_next(in, layers[i], x) : NULL) {
			char *found = x->value ? qb_conf_value(x->value, key) : NULL;

			if (!found)
				continue;
			free(value);
			value = found;
			*ret_source = x->path;
		}
	}
	return value;
}

static void unit_limits(const struct qb_check_input *in, struct qb_result *r)
{
	static const struct limit limits[] = {
		{"LimitNOFILE", "open files", FILES_LEAST, 2},
		{"TasksMax", "tasks", TASKS_LEAST, 8},
	};
	const struct qb_libvirt_facts *v = &in->facts->libvirt;
	const char *const *layers = v->flavour == QB_VIR_MODULAR ? modular : monolithic;
	struct qb_tally t = {0};

	if (qb_not_installed(in, r) || !is_known(in, r, layers))
		return;
	for (size_t i = 0; i < QB_ARRAY_SIZE(limits); i++) {
		const char *source;
		_cleanup_free_ char *value = look_up(in, layers, limits[i].key, &source);

		weigh_limit(r, &limits[i], value, source, &t);
	}
	qb_tally_end(&t, r, "systemd lets libvirt's daemon grow with its guests", "");
}

#define POLKITD "/usr/lib/polkit-1/polkitd"
#define OLD_POLKITD "/usr/libexec/polkitd"
#define GROUP "/etc/group"
#define LIBVIRTD_CONF "/etc/libvirt/libvirtd.conf"
#define VIRTQEMUD_CONF "/etc/libvirt/virtqemud.conf"

/* The members of group libvirt, whom the rule that comes with libvirt lets in. */
static void tell_members(const struct qb_check_input *in, struct qb_result *r)
{
	const struct qb_reading *x = qb_facts_reading(in->facts, GROUP);
	const char *line = x && x->value ? x->value : NULL;
	size_t len;

	for (; line && !qb_startswith(line, "libvirt:"); line += line != NULL) {
		line = strchr(line, '\n');
		if (!line)
			return;
	}
	if (!line)
		return;
	len = strcspn(line, "\n");
	while (len && line[len - 1] != ':')
		len--;
	line += len;
	len = strcspn(line, "\n");
	qb_evidence(r, "group libvirt", GROUP, "%.*s", len ? (int)len : 4, len ? line : "none");
}

static void users(const struct qb_check_input *in, struct qb_result *r)
{
	const struct qb_libvirt_facts *v = &in->facts->libvirt;
	const char *path = v->flavour == QB_VIR_MODULAR ? VIRTQEMUD_CONF : LIBVIRTD_CONF;
	const struct qb_reading *conf = qb_facts_reading(in->facts, path);
	const struct qb_reading *polkit = qb_facts_reading(in->facts, POLKITD);
	_cleanup_free_ char *auth = NULL;

	if (qb_not_installed(in, r))
		return;
	if (!conf || !(conf->value || conf->absent)) {
		qb_unknown(r, "%s could not be read: %s", path, qb_read_why(conf));
		return;
	}
	auth = conf->value ? qb_conf_value(conf->value, "auth_unix_rw") : NULL;
	qb_evidence(r, "auth_unix_rw", path, "%s", auth ? auth : "not set");
	tell_members(in, r);
	if (auth && strcmp(auth, "polkit") != 0) {
		qb_pass(r, "libvirt asks with %s who it is", auth);
		return;
	}
	if (!polkit || polkit->absent)
		polkit = qb_facts_reading(in->facts, OLD_POLKITD);
	if (polkit && polkit->mode) {
		qb_evidence(r, "polkit", polkit->path, "there");
		qb_pass(r, "polkit decides who beside root may use libvirt");
	} else if (polkit && polkit->absent) {
		qb_evidence(r, "polkit", POLKITD, "not there");
		qb_fail(r, "libvirt asks polkit, which is not installed: only root gets in");
	} else {
		qb_unknown(r, "%s could not be read: %s", POLKITD, qb_read_why(polkit));
	}
}

static const struct qb_check table[] = {
	{
		.id = "libvirt.unit-limits",
		.title = "libvirt's daemon may have many guests",
		.severity = QB_RECOMMENDED,
		.looks = "LimitNOFILE and TasksMax of virtqemud.service or libvirtd.service and "
			 "its drop-ins: not below 8192 and 32768, as libvirt's own units have it.",
		.why = "At the limit no further guest starts (\"Too many open files\"), while the "
		       "host has memory and CPUs for it.",
		.remedy = "systemctl cat virtqemud libvirtd | grep -nE '^#|LimitNOFILE|TasksMax'\n"
			  "# Remove the line from the drop-in, then:\n"
			  "systemctl daemon-reload && systemctl try-restart virtqemud libvirtd",
		.reads = (const char *const[]){LAYERS("libvirtd"), LAYERS("virtqemud"), NULL},
		.judge = unit_limits,
	},
	{
		.id = "libvirt.users",
		.title = "Others than root can be let in",
		.severity = QB_INFORMATIONAL,
		.looks = "How libvirt's socket asks who it is (auth_unix_rw), whether polkit is "
			 "there when it is to decide, and who is in the group libvirt.",
		.why = "Without polkit every user but root gets \"no polkit agent available\", "
		       "whatever group he is in. Members of the group are as good as root.",
		.remedy = "dnf install polkit && systemctl start polkit\n"
			  "# To let somebody in: usermod -aG libvirt NAME",
		.reads = (const char *const[]){LIBVIRTD_CONF, VIRTQEMUD_CONF, POLKITD, OLD_POLKITD,
					       GROUP, NULL},
		.judge = users,
	},
};

QB_CHECK_GROUP_PART(qb_libvirt_units_checks, libvirt, table);
