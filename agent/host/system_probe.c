/* SPDX-License-Identifier: Apache-2.0 */
#include <ctype.h>
#include <errno.h>
#include <sys/timex.h>
#include <sys/utsname.h>

#include "agent/host/facts.h"
#include "agent/host/probing.h"

enum {
	TEXT_MAX = 1 << 20,
	MACHINE_ID_LEN = 32,
	MAXERROR_US = 1000000,
};

/* One value of a file, or NULL. */
static char *value(const struct qb_root *root, const char *path)
{
	char *text = NULL;

	if (qb_root_read_value(root, path, &text) < 0 || !*text ||
	    !qb_is_text(text, strlen(text))) {
		free(text);
		return NULL;
	}
	return text;
}

/* The value of a line KEY=value of os-release(5), without its quotes. */
static char *os_release_value(const char *text, const char *key)
{
	size_t n = strlen(key);

	for (const char *line = text; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (strncmp(line, key, n) == 0 && line[n] == '=') {
			const char *v = line + n + 1;
			size_t len = strcspn(v, "\n");

			if (len >= 2 && (*v == '"' || *v == '\'') && v[len - 1] == *v) {
				v++;
				len -= 2;
			}
			return qb_strndup(v, len);
		}
	}
	return NULL;
}

static void os_release(const struct qb_root *root, struct qb_system_facts *ret)
{
	_cleanup_free_ char *text = NULL;

	if (qb_root_read(root, "/etc/os-release", TEXT_MAX, &text, NULL) < 0 &&
	    qb_root_read(root, "/usr/lib/os-release", TEXT_MAX, &text, NULL) < 0)
		return;
	ret->os_id = os_release_value(text, "ID");
	ret->os_version = os_release_value(text, "VERSION_ID");
	ret->os_name = os_release_value(text, "PRETTY_NAME");
}

/* "uninitialized" is what an image has in the place of an id: machine-id(5). */
char *qb_machine_id_read(const struct qb_root *root)
{
	_cleanup_free_ char *id = value(root, "/etc/machine-id");

	if (!id || strlen(id) != MACHINE_ID_LEN)
		return NULL;
	for (const char *c = id; *c; c++)
		if (!isxdigit((unsigned char)*c))
			return NULL;
	return QB_TAKE_PTR(id);
}

/* Captured kernels before 6.1 show their architecture nowhere but in the release string of EL and
 * Debian. */
static char *arch(const struct qb_root *root, const char *kernel)
{
	static const struct {
		const char *ending, *arch;
	} known[] = {
		{"x86_64", "x86_64"},        {"aarch64", "aarch64"}, {"ppc64le", "ppc64le"},
		{"s390x", "s390x"},          {"-amd64", "x86_64"},   {"-arm64", "aarch64"},
		{"-powerpc64le", "ppc64le"},
	};
	char *text = value(root, "/proc/sys/kernel/arch");
	struct utsname self;

	if (text)
		return text;
	if (root->live && uname(&self) == 0)
		return qb_strdup(self.machine);
	for (size_t i = 0; kernel && i < QB_ARRAY_SIZE(known); i++)
		if (qb_endswith(kernel, known[i].ending))
			return qb_strdup(known[i].arch);
	return NULL;
}

/* False when there is no whole line "KEY: N kB". */
static bool meminfo_bytes(const char *text, const char *key, uint64_t *ret)
{
	const char *at = strstr(text, key);
	char *end = NULL;

	if (at)
		*ret = strtoull(at + strlen(key), &end, 10) * 1024;
	return end && qb_startswith(end, " kB\n");
}

static void memory(const struct qb_root *root, struct qb_system_facts *ret)
{
	_cleanup_free_ char *text = NULL;
	uint64_t total = 0, available = 0;

	if (qb_root_read(root, "/proc/meminfo", TEXT_MAX, &text, NULL) < 0)
		return;
	if (!meminfo_bytes(text, "MemTotal:", &total) ||
	    !meminfo_bytes(text, "MemAvailable:", &available))
		return;
	ret->memory_bytes = total;
	ret->memory_available_bytes = available;
}

static void time_synchronised(const struct qb_root *root, struct qb_tri *ret)
{
	struct timex t = {0};
	int state;

	if (!root->live) {
		qb_tri_unknown(ret, "not a live host");
		return;
	}
	state = adjtimex(&t);
	if (state < 0)
		qb_tri_unknown(ret, "adjtimex: %s", strerror(errno));
	else
		/* chronyd without rtcsync keeps STA_UNSYNC, so that the kernel leaves the RTC
		 * alone, and says how good the time is; when nobody does, that is the kernel's
		 * NTP_PHASE_LIMIT. */
		qb_tri_set(ret, (state != TIME_ERROR && !(t.status & STA_UNSYNC)) ||
					t.maxerror < MAXERROR_US);
}

static void iommu(const struct qb_root *root, struct qb_tri *ret)
{
	_cleanup_strs_ struct qb_strs names = {0};
	int r = qb_root_list(root, "/sys/class/iommu", &names);

	if (r == 0)
		qb_tri_set(ret, names.n > 0);
	else
		qb_tri_absent(root, "/sys/class/iommu", "/sys/class", r, ret);
}

/* Without a configuration there is no policy, as libselinux has it: is_selinux_enabled(3). */
static void selinux(const struct qb_root *root, struct qb_system_facts *ret)
{
	qb_tri_exists(root, "/sys/fs/selinux/enforce", "/sys/fs", &ret->selinux_enabled);
	if (qb_is(&ret->selinux_enabled))
		qb_tri_exists(root, "/etc/selinux/config", "/etc", &ret->selinux_enabled);
	if (qb_is(&ret->selinux_enabled))
		qb_tri_flag(root, "/sys/fs/selinux/enforce", "/sys/fs", &ret->selinux_enforcing);
	else if (qb_is_not(&ret->selinux_enabled))
		qb_tri_set(&ret->selinux_enforcing, false);
	else
		qb_tri_unknown(&ret->selinux_enforcing, "%s", ret->selinux_enabled.why);
}

/* Lines of "name hierarchy cgroups enabled", the first one a comment: cgroups(7). */
static void cgroup_v1(const struct qb_root *root, struct qb_strs *ret)
{
	_cleanup_free_ char *text = NULL;
	char *rest = NULL;
	size_t len;

	/* The kernel ends every line: of one cut short the rest is not known. */
	if (qb_root_read(root, "/proc/cgroups", TEXT_MAX, &text, &len) < 0 || !len ||
	    text[len - 1] != '\n' || !qb_is_text(text, len))
		return;
	for (char *line = text ? strtok_r(text, "\n", &rest) : NULL; line;
	     line = strtok_r(NULL, "\n", &rest)) {
		char name[64];
		int enabled;

		if (sscanf(line, "%63s %*d %*d %d", name, &enabled) == 2 && *name != '#' && enabled)
			qb_strs_add(ret, name);
	}
}

/* Names of letters and "_". */
static bool is_controllers(const char *text)
{
	return !text[strspn(text, "abcdefghijklmnopqrstuvwxyz_ ")];
}

static void cgroup(const struct qb_root *root, struct qb_system_facts *ret)
{
	static const char path[] = "/sys/fs/cgroup/cgroup.controllers";
	_cleanup_free_ char *text = NULL;
	char *rest = NULL;
	int r;

	qb_tri_exists(root, path, "/sys/fs/cgroup", &ret->cgroup_v2);
	if (qb_is_not(&ret->cgroup_v2))
		cgroup_v1(root, &ret->cgroup_controllers);
	if (!qb_is(&ret->cgroup_v2))
		return;
	/* An empty one is an answer: the kernel offers none. */
	r = qb_root_read_value(root, path, &text);
	if (r == 0 && !is_controllers(text))
		r = -EILSEQ;
	if (r < 0) {
		qb_tri_unknown(&ret->cgroup_v2, "%s: %s", path, strerror(-r));
		return;
	}
	for (char *word = text ? strtok_r(text, " ", &rest) : NULL; word;
	     word = strtok_r(NULL, " ", &rest))
		qb_strs_add(&ret->cgroup_controllers, word);
}

void qb_system_probe(const struct qb_root *root, struct qb_system_facts *ret)
{
	*ret = (struct qb_system_facts){0};
	ret->hostname = value(root, "/proc/sys/kernel/hostname");
	if (!ret->hostname)
		ret->hostname = value(root, "/etc/hostname");
	ret->kernel = value(root, "/proc/sys/kernel/osrelease");
	ret->arch = arch(root, ret->kernel);
	os_release(root, ret);
	ret->machine_id = qb_machine_id_read(root);
	ret->chassis_vendor = value(root, "/sys/class/dmi/id/sys_vendor");
	ret->product = value(root, "/sys/class/dmi/id/product_name");
	memory(root, ret);
	qb_tri_exists(root, "/run/systemd/system", "/run", &ret->systemd);
	selinux(root, ret);
	time_synchronised(root, &ret->time_synchronised);
	/* Without br_netfilter the file is not there, and bridged frames pass no iptables. */
	qb_tri_flag(root, "/proc/sys/net/bridge/bridge-nf-call-iptables", "/proc/sys/net",
		    &ret->bridge_nf_call);
	qb_tri_flag(root, "/proc/sys/net/ipv4/ip_forward", NULL, &ret->ipv4_forwarding);
	iommu(root, &ret->iommu);
	cgroup(root, ret);
}
