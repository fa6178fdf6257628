/* SPDX-License-Identifier: Apache-2.0 */
/* What files set sysctls to, among each other and against the kernel. */
#include "checks/sysctl_conf.h"

static const char *file_of(const struct qb_sysctl *s)
{
	return strrchr(s->path, '/') + 1;
}

/* The last one of an administrator's files that sets the key of all->v[i] by its name; NULL where
 * that was told before. */
static const struct qb_sysctl *last_local(const struct qb_sysctls *all, size_t i)
{
	const struct qb_sysctl *s = &all->v[i], *last = s;

	if (!s->value || !qb_sysctl_is_local(s))
		return NULL;
	for (size_t k = 0; k < all->n; k++) {
		const struct qb_sysctl *other = &all->v[k];

		if (!other->value || !qb_sysctl_is_local(other) || !qb_streq(other->key, s->key))
			continue;
		if (k < i)
			return NULL;
		last = other;
	}
	return last;
}

/* Distributions link the one to the other. */
static bool is_one_file(const char *a, const char *b)
{
	static const char link[] = "/etc/sysctl.d/99-sysctl.conf", conf[] = "/etc/sysctl.conf";

	return qb_streq(a, b) || (qb_streq(a, link) && qb_streq(b, conf)) ||
	       (qb_streq(a, conf) && qb_streq(b, link));
}

static void weigh_key(const struct qb_sysctls *all, size_t i, struct qb_tally *t,
		      struct qb_result *r)
{
	const struct qb_sysctl *last = last_local(all, i);
	_cleanup_free_ char *name = NULL;

	if (!last)
		return;
	t->good++;
	for (size_t k = i; k < all->n; k++) {
		const struct qb_sysctl *s = &all->v[k];

		/* Of one file the last line counts, and whoever wrote it sees both. */
		if (!s->value || !qb_streq(s->key, last->key) || !qb_sysctl_is_local(s) ||
		    is_one_file(s->path, last->path) || qb_sysctl_same(s->value, last->value))
			continue;
		name = qb_sysctl_name(s->key);
		qb_evidence(r, name, s->path, "%s", *s->value ? s->value : "(empty)");
		qb_evidence(r, name, last->path, "%s", *last->value ? last->value : "(empty)");
		qb_tally_bad(t, "%s is %s in %s, and %s in %s, which comes later", name, s->value,
			     file_of(s), last->value, file_of(last));
		return;
	}
}

/* What could not be read of these; NULL when they are known. */
static char *unread(const struct qb_check_input *in, const char *const *patterns, size_t n)
{
	char *why = NULL;

	for (size_t i = 0; !why && i < n; i++)
		(void)qb_read_all(in, patterns[i], &why);
	return why;
}

static void contradicted(const struct qb_check_input *in, struct qb_result *r)
{
	static const char *const patterns[] = {QB_SYSCTL_CONF, QB_SYSCTL_ETC, QB_SYSCTL_RUN};
	_cleanup_free_ char *why = unread(in, patterns, QB_ARRAY_SIZE(patterns));
	_cleanup_sysctls_ struct qb_sysctls all = {0};
	struct qb_tally t = {0};

	qb_sysctls_read(in, &all);
	for (size_t i = 0; i < all.n; i++)
		weigh_key(&all, i, &t, r);
	if (t.good && !t.bad.n)
		qb_evidence(r, "sysctls", "/etc/sysctl.conf, /etc/sysctl.d, /run/sysctl.d",
			    "%zu are set, each to one value", t.good);
	if (why)
		qb_tally_unsure(&t, "%s", why);
	qb_tally_end(&t, r, "no two files set one sysctl to different values",
		     "no file of this host's own sets a sysctl");
}

#define PROC "/proc/sys/"
#define FORWARD "net/ipv4/ip_forward"

/* As another check reads it, so that it is read once. */
#define RP_FILTERS PROC "net/ipv4/conf/*/rp_filter"

/* Those on which guests depend, or by which the host has room for them. */
#define KEYS                                                                                       \
	X(FORWARD)                                                                                 \
	X("net/ipv4/neigh/default/gc_thresh3")                                                     \
	X("net/bridge/bridge-nf-call-iptables")                                                    \
	X("net/bridge/bridge-nf-call-ip6tables")                                                   \
	X("net/bridge/bridge-nf-call-arptables")                                                   \
	X("net/netfilter/nf_conntrack_max")                                                        \
	X("vm/swappiness")                                                                         \
	X("vm/overcommit_memory")                                                                  \
	X("vm/max_map_count")                                                                      \
	X("vm/nr_hugepages")                                                                       \
	X("fs/aio-max-nr")                                                                         \
	X("fs/inotify/max_user_instances")                                                         \
	X("kernel/pid_max")

#define X(key) key,
static const char *const keys[] = {KEYS "net/ipv4/conf/all/rp_filter"};
#undef X

/* Also where a file says so that another one overrides: that is for the check above. */
static bool any_says(const struct qb_sysctls *all, const char *key, const char *value)
{
	for (size_t i = 0; i < all->n; i++)
		if (all->v[i].value && qb_streq(all->v[i].key, key) &&
		    qb_sysctl_is_local(&all->v[i]) && qb_sysctl_same(all->v[i].value, value))
			return true;
	return false;
}

static void weigh_applied(const struct qb_check_input *in, const struct qb_sysctls *all,
			  const char *key, struct qb_tally *t, struct qb_result *r)
{
	_cleanup_free_ char *path = qb_asprintf(PROC "%s", key), *name = qb_sysctl_name(key);
	const struct qb_reading *x = qb_facts_reading(in->facts, path);
	const struct qb_sysctl *s = qb_sysctls_find(all, key);

	/* What a package sets TuneD and others change by design. What is not there belongs to a
	 * module that is not loaded. */
	if (!s || !qb_sysctl_is_local(s) || (x && x->absent))
		return;
	if (!x || !x->value) {
		qb_tally_unsure(t, "%s could not be read: %s", path, qb_read_why(x));
		return;
	}
	qb_evidence(r, name, path, "%s", *x->value ? x->value : "(empty)");
	if (qb_sysctl_same(s->value, x->value) || any_says(all, key, x->value)) {
		t->good++;
		return;
	}
	qb_evidence(r, name, s->path, "%s", *s->value ? s->value : "(empty)");
	qb_tally_bad(t, "%s is %s, and %s says %s", name, x->value, file_of(s), s->value);
	/* libvirt switches it on for its networks; the file would cut their guests off. */
	if (qb_streq(key, FORWARD) && qb_streq(x->value, "1"))
		qb_remedy(r, "grep -rs ip_forward /etc/sysctl.conf /etc/sysctl.d /run/sysctl.d\n"
			     "# Where guests are behind NAT: set it to 1 there, before anybody "
			     "runs sysctl --system.");
}

static void applied(const struct qb_check_input *in, struct qb_result *r)
{
	static const char *const patterns[] = {QB_SYSCTL_CONF, QB_SYSCTL_ETC, QB_SYSCTL_RUN,
					       QB_SYSCTL_LOCAL, QB_SYSCTL_LIB};
	_cleanup_free_ char *why = unread(in, patterns, QB_ARRAY_SIZE(patterns));
	_cleanup_sysctls_ struct qb_sysctls all = {0};
	struct qb_tally t = {0};

	if (why) {
		qb_unknown(r, "%s", why);
		return;
	}
	qb_sysctls_read(in, &all);
	for (size_t i = 0; i < QB_ARRAY_SIZE(keys); i++)
		weigh_applied(in, &all, keys[i], &t, r);
	qb_tally_end(&t, r, "what this host's files say of sysctls for guests is in force",
		     "no file of this host's own sets a sysctl on which guests depend");
}

static const struct qb_check table[] = {
	{
		.id = "system.sysctl-conflict",
		.title = "No two files set one sysctl",
		.severity = QB_RECOMMENDED,
		.looks = "The sysctls that the files of /etc/sysctl.d, /run/sysctl.d and "
			 "/etc/sysctl.conf set by their names: no two files to different values. "
			 "What a package's file says is there to be overridden.",
		.why = "The file whose name comes later counts; who changes the other one, even "
		       "an administrator in a hurry, changes nothing.",
		.remedy = "grep -rs . /etc/sysctl.conf /etc/sysctl.d /run/sysctl.d\n"
			  "# Take the line out of one of the two.",
		.reads = (const char *const[]){QB_SYSCTL_CONF, QB_SYSCTL_ETC, QB_SYSCTL_RUN, NULL},
		.judge = contradicted,
	},
	{
		.id = "system.sysctl-applied",
		.title = "Sysctls are as the files say",
		.severity = QB_INFORMATIONAL,
		.looks = "Sysctls on which guests depend (forwarding, bridge-nf-call, rp_filter, "
			 "swappiness, huge pages, limits): what this host's own files set is what "
			 "the kernel has.",
		.why = "What was set by hand, or before the module that brings it was loaded, is "
		       "another value after the next restart or sysctl --system.",
		.remedy =
			"grep -rs . /etc/sysctl.conf /etc/sysctl.d /run/sysctl.d\n"
			"# Where the files are right: sysctl --system. What a module brings needs "
			"it in /etc/modules-load.d: it is loaded before they are read.",
#define X(key) PROC key,
		.reads = (const char *const[]){QB_SYSCTL_CONF, QB_SYSCTL_ETC, QB_SYSCTL_RUN,
					       QB_SYSCTL_LOCAL, QB_SYSCTL_LIB, KEYS RP_FILTERS,
					       NULL},
#undef X
		.judge = applied,
	},
};

QB_CHECK_GROUP_PART(qb_sysctl_checks, system, table);
