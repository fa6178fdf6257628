/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/host/host.h"

#define GROUP_FILE "/etc/group"
#define PASSWD_FILE "/etc/passwd"
#define LIBVIRT_GROUP "libvirt"
#define KSM "/sys/kernel/mm/ksm/run"

/* A file of one value, and what is to be in it. */
struct setting {
	const char *target; /* for a person: "hugepages", "sysctl vm.swappiness" */
	char *path, *value;
	bool sysctl;
};

struct settings {
	struct setting *v;
	size_t n;
};

static void settings_done(struct settings *all)
{
	for (size_t i = 0; i < all->n; i++) {
		free(all->v[i].path);
		free(all->v[i].value);
	}
	free(all->v);
}
#define _cleanup_settings_ QB_CLEANUP(settings_done)

/* "/proc/sys/net/ipv4/conf/eno1.10/rp_filter" of "net.ipv4.conf.eno1/10.rp_filter". */
static char *sysctl_path(const char *name)
{
	char *path = qb_asprintf("/proc/sys/%s", name);

	/* As sysctl.d(5) has it: where the first separator is a dot, dots and slashes change
	 * places. */
	if (name[strcspn(name, "./")] == '/')
		return path;
	for (char *s = path + strlen("/proc/sys/"); *s; s++)
		*s = *s == '.' ? '/' : *s == '/' ? '.' : *s;
	return path;
}

bool qb_host_same_value(const char *a, const char *b)
{
	static const char space[] = " \t\n";

	while (a && b) {
		size_t na, nb;

		a += strspn(a, space);
		b += strspn(b, space);
		na = strcspn(a, space);
		nb = strcspn(b, space);
		if (na != nb || strncmp(a, b, na) != 0)
			return false;
		if (!na)
			return true;
		a += na;
		b += nb;
	}
	return a == b;
}

static void add(struct settings *all, const char *target, char *path, char *value, bool sysctl)
{
	*QB_APPEND(all->v, all->n) = (struct setting){target, path, value, sysctl};
}

static char *pages_path(const struct qb_hugepages_config *pages)
{
	uintmax_t kib = pages->size >> 10;

	if (pages->node < 0)
		return qb_asprintf("/sys/kernel/mm/hugepages/hugepages-%jukB/nr_hugepages", kib);
	return qb_asprintf(
		"/sys/devices/system/node/node%jd/hugepages/hugepages-%jukB/nr_hugepages",
		(intmax_t)pages->node, kib);
}

static void settings_of(const struct qb_config *config, struct settings *ret)
{
	const struct qb_host_config *host = &config->host;

	for (size_t i = 0; i < host->n_hugepages; i++)
		add(ret, "hugepages", pages_path(&host->hugepages[i]),
		    qb_asprintf("%jd", (intmax_t)host->hugepages[i].count), false);
	if (host->ksm.state != QB_UNKNOWN)
		add(ret, "ksm", qb_strdup(KSM), qb_strdup(qb_is(&host->ksm) ? "1" : "0"), false);
	for (size_t i = 0; i < host->n_sysctl; i++)
		add(ret, host->sysctl[i].name, sysctl_path(host->sysctl[i].name),
		    qb_strdup(host->sysctl[i].value), true);
}

void qb_host_reads(const struct qb_config *config, struct qb_strs *reads)
{
	static const char *const files[] = {QB_TMPFILES_FILE, QB_SYSCTL_FILE, QB_URI_FILE};
	_cleanup_settings_ struct settings all = {0};

	settings_of(config, &all);
	for (size_t i = 0; i < all.n; i++)
		qb_strs_add(reads, all.v[i].path);
	for (size_t i = 0; i < QB_ARRAY_SIZE(files); i++)
		qb_strs_add(reads, files[i]);
	if (config->host.members.n) {
		qb_strs_add(reads, GROUP_FILE);
		qb_strs_add(reads, PASSWD_FILE);
	}
}

/* NULL, and refused with the reason, where it is not known what the file holds. */
static const char *value_of(const struct qb_facts *facts, const char *path, const char *target,
			    struct qb_plan *plan)
{
	const struct qb_reading *is = qb_facts_reading(facts, path);

	if (is && is->value)
		return is->value;
	if (is && is->absent)
		qb_plan_refuse(plan, target, "unsupported", "this host has no %s", path);
	else
		qb_plan_refuse(plan, target, "probe-error", "%s: %s", path,
			       is && is->why ? is->why : "nobody read it");
	return NULL;
}

/* More pages than there is memory can only fail. */
static void refuse_pages(const struct qb_facts *facts, const struct qb_config *config,
			 struct qb_plan *plan)
{
	uint64_t sum = 0, one;

	for (size_t i = 0; i < config->host.n_hugepages; i++) {
		const struct qb_hugepages_config *pages = &config->host.hugepages[i];

		if (__builtin_mul_overflow(pages->size, (uint64_t)pages->count, &one) ||
		    __builtin_add_overflow(sum, one, &sum))
			sum = UINT64_MAX;
	}
	if (facts->system.memory_bytes && sum > facts->system.memory_bytes) {
		_cleanup_free_ char *wanted = qb_format_size(sum),
				    *is = qb_format_size(facts->system.memory_bytes);

		qb_plan_refuse(plan, "hugepages", "no-room",
			       "they would take %s, and this host has %s of memory", wanted, is);
	}
}

static void plan_setting(const struct qb_facts *facts, const struct setting *s,
			 struct qb_plan *plan)
{
	_cleanup_free_ char *target =
		s->sysctl ? qb_asprintf("sysctl %s", s->target) : qb_strdup(s->target);
	const char *is = value_of(facts, s->path, target, plan);

	if (!is || qb_host_same_value(is, s->value))
		return;
	qb_step_why(qb_plan_step(plan, qb_setting_step.kind, QB_UNDO_EXACT,
				 json_pack("{s:s, s:s}", "path", s->path, "value", s->value),
				 target),
		    "%s is %s: it gets %s", s->path, *is ? is : "empty", s->value);
}

/* A run wrote it, and nobody has undone that. */
static bool is_ours(const struct qb_ledger *ledger, const char *path)
{
	const struct qb_ledger_entry *e = qb_ledger_newest(ledger, path, NULL);

	return e && qb_streq(e->kind, qb_host_persist_step.kind) && qb_arg(e->args, "text");
}

/*
 * What a file of ours is to hold; no lines where it is not to be there. One that somebody else
 * made, and that nothing is to be in, is left alone.
 */
static void plan_file(const struct qb_facts *facts, const struct qb_ledger *ledger,
		      const struct qb_host_file *file, struct qb_plan *plan)
{
	const char *path = file->path;
	const struct qb_reading *is = qb_facts_reading(facts, path);
	_cleanup_free_ char *text =
		file->lines ? qb_asprintf(QB_OURS_HEADER "%s", file->lines) : NULL;

	if (!is || (!is->value && !is->absent)) {
		if (text)
			(void)value_of(facts, path, path, plan);
		return;
	}
	/* Readings of /etc are without comments. */
	if (text ? is->value && qb_host_same_value(is->value, file->lines)
		 : is->absent || !is_ours(ledger, path))
		return;
	qb_step_why(qb_plan_step(plan, qb_host_persist_step.kind, QB_UNDO_EXACT,
				 json_pack("{s:s, s:s*}", "path", path, "text", text), path),
		    !text       ? "nothing is configured any more that would be in it"
		    : is->value ? "it does not say what is configured"
				: "a boot would not set what is configured");
}

void qb_host_files(const struct qb_config *config, struct qb_host_file ret[QB_HOST_FILES])
{
	_cleanup_settings_ struct settings all = {0};
	_cleanup_buf_ struct qb_buf tmpfiles = {0}, sysctl = {0}, uri = {0};

	settings_of(config, &all);
	for (size_t i = 0; i < all.n; i++)
		if (all.v[i].sysctl)
			qb_buf_printf(&sysctl, "%s = %s\n", all.v[i].target, all.v[i].value);
		else
			qb_buf_printf(&tmpfiles, "w %s - - - - %s\n", all.v[i].path,
				      all.v[i].value);
	if (config->host.default_uri)
		qb_buf_printf(&uri, "LIBVIRT_DEFAULT_URI='%s'\nexport LIBVIRT_DEFAULT_URI\n",
			      config->host.default_uri);
	ret[0] = (struct qb_host_file){QB_TMPFILES_FILE, QB_TAKE_PTR(tmpfiles.s)};
	ret[1] = (struct qb_host_file){QB_SYSCTL_FILE, QB_TAKE_PTR(sysctl.s)};
	ret[2] = (struct qb_host_file){QB_URI_FILE, QB_TAKE_PTR(uri.s)};
}

static void plan_files(const struct qb_facts *facts, const struct qb_config *config,
		       const struct qb_ledger *ledger, struct qb_plan *plan)
{
	struct qb_host_file files[QB_HOST_FILES];

	qb_host_files(config, files);
	for (size_t i = 0; i < QB_HOST_FILES; i++) {
		plan_file(facts, ledger, &files[i], plan);
		free(files[i].lines);
	}
}

/* A line "name:..." of /etc/passwd or /etc/group; NULL where there is none. */
static const char *line_of(const char *text, const char *name)
{
	size_t len = strlen(name);

	for (; text; text = strchr(text, '\n') ? strchr(text, '\n') + 1 : NULL)
		if (!strncmp(text, name, len) && text[len] == ':')
			return text;
	return NULL;
}

/* group(5): name, password, GID, and the members. */
static bool is_member(const char *group, const char *user)
{
	const char *s = group, *end = group + strcspn(group, "\n");
	size_t len = strlen(user);

	for (int i = 0; i < 3 && s < end; i++)
		s = memchr(s, ':', (size_t)(end - s))
			    ? (const char *)memchr(s, ':', (size_t)(end - s)) + 1
			    : end;
	for (; s < end; s += strcspn(s, ",\n") + 1)
		if (strcspn(s, ",\n") == len && !strncmp(s, user, len))
			return true;
	return false;
}

static void plan_member(const char *user, const char *groups, const char *users,
			struct qb_plan *plan)
{
	_cleanup_free_ char *target = qb_asprintf("user %s", user);
	const char *group = line_of(groups, LIBVIRT_GROUP);

	if (!line_of(users, user)) {
		qb_plan_refuse(plan, target, "no-match", "this host has no user %s in " PASSWD_FILE,
			       user);
		return;
	}
	if (!group) {
		qb_plan_refuse(plan, target, "no-match",
			       "this host has no group " LIBVIRT_GROUP ", which libvirt's packages "
			       "make");
		return;
	}
	if (!is_member(group, user))
		qb_step_why(
			qb_plan_step(plan, qb_member_step.kind, QB_UNDO_EXACT,
				     json_pack("{s:s, s:s}", "user", user, "group", LIBVIRT_GROUP),
				     target),
			"%s is not in the group " LIBVIRT_GROUP, user);
}

void qb_host_plan(const struct qb_facts *facts, const struct qb_config *config,
		  const struct qb_ledger *ledger, struct qb_plan *plan)
{
	_cleanup_settings_ struct settings all = {0};
	const char *groups, *users;

	settings_of(config, &all);
	refuse_pages(facts, config, plan);
	for (size_t i = 0; i < all.n; i++)
		plan_setting(facts, &all.v[i], plan);
	plan_files(facts, config, ledger, plan);
	if (!config->host.members.n)
		return;
	groups = value_of(facts, GROUP_FILE, "libvirt-group", plan);
	users = value_of(facts, PASSWD_FILE, "libvirt-group", plan);
	for (size_t i = 0; groups && users && i < config->host.members.n; i++)
		plan_member(config->host.members.v[i], groups, users, plan);
}
