/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/host/cpu.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

#include "agent/host/probing.h"

#define MSR "/dev/cpu/0/msr"

enum {
	CPUINFO_MAX = 64 << 20 /* 8,192 CPUs come to some 20 MiB */
};

/* The value of the line "key : value" when line, of len bytes, is one. */
static const char *line_value(const char *line, size_t len, const char *key, size_t *ret_len)
{
	const char *colon = memchr(line, ':', len), *end = line + len;
	size_t n = strlen(key), key_len;

	if (!colon)
		return NULL;
	key_len = (size_t)(colon - line);
	while (key_len && strchr(" \t", line[key_len - 1]))
		key_len--;
	if (key_len != n || memcmp(line, key, n) != 0)
		return NULL;
	for (colon++; colon < end && strchr(" \t", *colon); colon++)
		;
	*ret_len = (size_t)(end - colon);
	return colon;
}

static void add_words(const char *text, size_t len, struct qb_strs *ret)
{
	for (size_t i = 0, n; i < len; i += n + 1) {
		_cleanup_free_ char *word = NULL;

		for (n = 0; i + n < len && !strchr(" \t\r", text[i + n]); n++)
			;
		word = qb_strndup(text + i, n);
		if (n)
			qb_strs_add(ret, word);
	}
}

static void take(const char *line, size_t len, const char *key, char **ret)
{
	size_t n;
	const char *v = *ret ? NULL : line_value(line, len, key, &n);

	if (v)
		*ret = qb_strndup(v, n);
}

/* What the kernel found wrong with, or switched off in, the CPU is missing from these flags. */
static void virt_flags(struct qb_cpu_facts *ret)
{
	bool vmx = qb_strs_has(&ret->flags, "vmx"), svm = qb_strs_has(&ret->flags, "svm");

	qb_tri_set(&ret->flag_vmx, vmx);
	qb_tri_set(&ret->flag_svm, svm);
	/* Since 5.11 on a line of its own ("vmx flags"), before that among the others. */
	qb_tri_set(&ret->ept,
		   vmx && (qb_strs_has(&ret->flags, "ept") || qb_strs_has(&ret->vmx_flags, "ept")));
	qb_tri_set(&ret->npt, svm && qb_strs_has(&ret->flags, "npt"));
	qb_tri_set(&ret->hypervisor, qb_strs_has(&ret->flags, "hypervisor"));
}

/* What tells one CPU's kind from another's: pieces of the text. */
enum {
	FAMILY,
	MODEL,
	STEPPING,
	MICROCODE,
	PART, /* of arm64 */
	N_PIECES
};

struct kind {
	const char *v[N_PIECES];
	int len[N_PIECES];
};

static void add_kind(struct kind *k, struct qb_strs *ret)
{
	_cleanup_free_ char *raw = NULL, *text = NULL;

	if (k->v[FAMILY] && k->v[MODEL] && k->v[STEPPING])
		raw = qb_asprintf("family %.*s model %.*s stepping %.*s%s%.*s", k->len[FAMILY],
				  k->v[FAMILY], k->len[MODEL], k->v[MODEL], k->len[STEPPING],
				  k->v[STEPPING], k->v[MICROCODE] ? ", microcode " : "",
				  k->len[MICROCODE], k->v[MICROCODE] ? k->v[MICROCODE] : "");
	else if (k->v[PART])
		raw = qb_asprintf("part %.*s", k->len[PART], k->v[PART]);
	*k = (struct kind){0};
	if (!raw)
		return;
	text = qb_str_printable(raw);
	if (!qb_strs_has(ret, text))
		qb_strs_add(ret, text);
}

/* One line of a CPU; the empty one ends it. */
static void kind_line(const char *line, size_t len, struct kind *k, struct qb_strs *ret)
{
	static const char *const keys[N_PIECES] = {"cpu family", "model", "stepping", "microcode",
						   "CPU part"};
	enum {
		PIECE_MAX = 32
	};
	const char *v;
	size_t n;

	for (size_t i = 0; i < N_PIECES; i++) {
		v = line_value(line, len, keys[i], &n);
		if (v) {
			k->v[i] = v;
			k->len[i] = n < PIECE_MAX ? (int)n : PIECE_MAX;
			return;
		}
	}
	if (!len)
		add_kind(k, ret);
}

void qb_cpuinfo_parse(const char *text, struct qb_cpu_facts *ret)
{
	struct kind kind = {0};
	bool have_flags = false;

	for (const char *line = text, *next; *line; line = next) {
		size_t len = strcspn(line, "\n"), n;
		const char *v;

		/* The kernel ends every line: what follows this half of one is not known, nor
		 * whether the other CPUs are like these. */
		if (!line[len]) {
			ret->online = 0;
			kind = (struct kind){0};
			qb_strs_done(&ret->kinds);
			break;
		}
		next = line + len + 1;
		if (line_value(line, len, "processor", &n))
			ret->online++;
		take(line, len, "vendor_id", &ret->vendor);
		take(line, len, "model name", &ret->model);
		kind_line(line, len, &kind, &ret->kinds);
		if (have_flags)
			continue;
		v = line_value(line, len, "vmx flags", &n);
		if (v && !ret->vmx_flags.n)
			add_words(v, n, &ret->vmx_flags);
		/* "Features" is what arm64 calls them. */
		if (!ret->flags.n) {
			v = line_value(line, len, "flags", &n);
			if (!v)
				v = line_value(line, len, "Features", &n);
			if (v)
				add_words(v, n, &ret->flags);
		}
		/* The first CPU ends at the first empty line. */
		have_flags = !len && ret->flags.n;
	}
	add_kind(&kind, &ret->kinds);
	if (ret->flags.n)
		virt_flags(ret);
}

static void flags_unknown(struct qb_cpu_facts *ret, const char *why)
{
	struct qb_tri *const all[] = {&ret->flag_vmx, &ret->flag_svm, &ret->ept, &ret->npt,
				      &ret->hypervisor};

	for (size_t i = 0; i < QB_ARRAY_SIZE(all); i++)
		qb_tri_unknown(all[i], "%s", why);
}

/* The instruction answers for the machine this runs on, which a captured root is not. */
static void cpuid(const struct qb_root *root, struct qb_cpu_facts *ret)
{
	struct qb_cpuid id = {0};

	if (!root->live || !qb_cpuid_read(&id)) {
		const char *why = root->live ? "this architecture has no CPUID" : "not a live host";

		qb_tri_unknown(&ret->cpuid_vmx, "%s", why);
		qb_tri_unknown(&ret->cpuid_svm, "%s", why);
		return;
	}
	qb_tri_set(&ret->cpuid_vmx, id.vmx);
	qb_tri_set(&ret->cpuid_svm, id.svm);
	qb_tri_set(&ret->hypervisor, id.hypervisor);
	if (id.svm)
		qb_tri_set(&ret->npt, id.npt);
	qb_strset(&ret->vendor, id.vendor);
	if (id.hypervisor)
		ret->hypervisor_vendor = qb_str_printable(qb_strip(id.hypervisor_vendor));
}

/* Counts a list as in /sys/devices/system/cpu/online: "0-3,5". 0 when it is none. */
static uint64_t count_list(const char *text)
{
	uint64_t n = 0, first, last;
	char *end;

	while (*text) {
		first = last = strtoull(text, &end, 10);
		if (end == text)
			return 0;
		if (*end == '-') {
			text = end + 1;
			last = strtoull(text, &end, 10);
			if (end == text || last < first)
				return 0;
		}
		n += last - first + 1;
		if (*end && *end != ',')
			return 0;
		text = end + (*end == ',');
	}
	return n;
}

static void online(const struct qb_root *root, struct qb_cpu_facts *ret)
{
	_cleanup_free_ char *text = NULL;
	uint64_t n = qb_root_read_value(root, "/sys/devices/system/cpu/online", &text) == 0
			     ? count_list(text)
			     : 0;

	if (n)
		ret->online = n;
}

/*
 * Linux, Documentation/ABI/testing/sysfs-devices-system-cpu, admin-guide/hw-vuln and
 * arch/x86/kernel/cpu/bugs.c. Of what begins with "KVM:" cpu.guest-mitigations judges the rest;
 * "Processor vulnerable" is the same file of a kernel without KVM, whose guests are the danger.
 * What runs under a hypervisor has no microcode of its own that could be old.
 */
enum qb_weakness qb_weakness_of(const char *text)
{
	static const char *const closed[] = {
		"Not affected",    "Mitigation:",          "KVM: Mitigation:",
		"KVM: Vulnerable", "Processor vulnerable", "Unknown: running under hypervisor"};

	if (qb_startswith(text, "Vulnerable"))
		return QB_WEAKNESS_OPEN;
	for (size_t i = 0; i < QB_ARRAY_SIZE(closed); i++)
		if (qb_startswith(text, closed[i]))
			return QB_WEAKNESS_CLOSED;
	return QB_WEAKNESS_UNDECIDED;
}

/* One file of them; what it leaves open goes into ret_open. */
static void weakness(const struct qb_root *root, const char *dir, const char *name,
		     struct qb_cpu_facts *ret, struct qb_strs *ret_open)
{
	_cleanup_free_ char *path = qb_asprintf("%s/%s", dir, name), *text = NULL, *clause = NULL;
	int r = qb_root_read_value(root, path, &text);

	if (r < 0) {
		clause = qb_asprintf("%s: %s", path, strerror(-r));
	} else if (qb_weakness_of(text) == QB_WEAKNESS_OPEN) {
		qb_strs_add(&ret->vulnerable, name);
	} else if (qb_weakness_of(text) == QB_WEAKNESS_UNDECIDED) {
		_cleanup_free_ char *printable = qb_str_printable(text);

		clause = qb_asprintf("%s says \"%.80s\"", name, printable);
	}
	if (clause)
		qb_strs_add(ret_open, clause);
}

static void vulnerabilities(const struct qb_root *root, struct qb_cpu_facts *ret)
{
	static const char dir[] = "/sys/devices/system/cpu/vulnerabilities";
	_cleanup_strs_ struct qb_strs names = {0}, open = {0};
	_cleanup_free_ char *why = NULL;
	int r = qb_root_list(root, dir, &names);

	if (r < 0) {
		qb_tri_unknown(&ret->vulnerabilities_known, "%s: %s", dir, strerror(-r));
		return;
	}
	for (size_t i = 0; i < names.n; i++)
		weakness(root, dir, names.v[i], ret, &open);
	why = qb_strs_sentence(&open);
	if (open.n)
		qb_tri_unknown(&ret->vulnerabilities_known, "%s", why);
	else
		qb_tri_set(&ret->vulnerabilities_known, true);
}

/*
 * Intel SDM volume 3D, 23.7: bit 0 locks the register, bit 2 allows VMX outside SMX. AMD APM volume
 * 2, 15.30.1: bit 4 is SVMDIS. The file is there where the driver msr is; none is loaded for it.
 */
static void firmware_lock(const struct qb_root *root, struct qb_cpu_facts *ret)
{
	bool intel = qb_streq(ret->vendor, "GenuineIntel");
	bool amd = qb_streq(ret->vendor, "AuthenticAMD") || qb_streq(ret->vendor, "HygonGenuine");
	_cleanup_close_ int fd = -1;
	uint64_t value;

	if (!root->live || (!intel && !amd)) {
		qb_tri_unknown(&ret->firmware_lock, "%s",
			       root->live ? "not of Intel or AMD" : "not a live host");
		return;
	}
	fd = qb_root_openat(root, MSR, O_RDONLY, 0);
	if (fd < 0)
		qb_tri_unknown(&ret->firmware_lock, "%s: %s", MSR, strerror(-fd));
	else if (pread(fd, &value, sizeof(value), intel ? 0x3a : 0xc0010114) !=
		 (ssize_t)sizeof(value))
		qb_tri_unknown(&ret->firmware_lock, "%s: %s", MSR, strerror(errno));
	else
		qb_tri_set(&ret->firmware_lock, intel ? (value & 5) == 1 : (value & 1 << 4) != 0);
}

void qb_cpu_probe(const struct qb_root *root, struct qb_cpu_facts *ret)
{
	_cleanup_free_ char *text = NULL, *why = NULL;
	int r = qb_root_read(root, "/proc/cpuinfo", CPUINFO_MAX, &text, NULL);

	*ret = (struct qb_cpu_facts){0};
	if (r == 0)
		qb_cpuinfo_parse(text, ret);
	if (!ret->flags.n) {
		why = r < 0 ? qb_asprintf("/proc/cpuinfo: %s", strerror(-r))
			    : qb_strdup("/proc/cpuinfo has no line of flags");
		flags_unknown(ret, why);
	}
	online(root, ret);
	cpuid(root, ret);
	firmware_lock(root, ret);
	vulnerabilities(root, ret);
}
