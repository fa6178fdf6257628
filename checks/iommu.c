/* SPDX-License-Identifier: Apache-2.0 */
#include "checks/judging.h"

#include <stdio.h>

static void enabled(const struct qb_check_input *in, struct qb_result *r)
{
	const struct qb_facts *f = in->facts;

	qb_evidence_tri(r, "iommu", "/sys/class/iommu", &f->system.iommu);
	if (qb_is(&f->system.iommu)) {
		qb_pass(r, "the kernel drives an IOMMU");
		return;
	}
	if (f->system.iommu.state == QB_UNKNOWN) {
		qb_unknown(r, "whether there is an IOMMU is unknown: %s", qb_why(&f->system.iommu));
		return;
	}
	if (qb_is(&f->cpu.hypervisor))
		qb_remedy(r, "# Have the outer host give this machine a virtual IOMMU:\n"
			     "# <iommu model='intel'/> or 'virtio' in libvirt's XML of it.");
	else if (qb_streq(f->cpu.vendor, "GenuineIntel"))
		qb_remedy(r, "# Switch VT-d on in the firmware setup, then:\n"
			     "grubby --update-kernel=ALL --args='intel_iommu=on iommu=pt'\n"
			     "# And restart the host.");
	qb_fail(r, "no IOMMU is in use: devices cannot be passed through to guests");
}

/* True where there is no IOMMU whose use could be judged; the verdict is given then. */
static bool no_iommu(const struct qb_facts *f, struct qb_result *r)
{
	if (qb_is(&f->system.iommu))
		return false;
	if (qb_is_not(&f->system.iommu))
		qb_skip(r, "no IOMMU is in use");
	else
		qb_unknown(r, "whether there is an IOMMU is unknown: %s", qb_why(&f->system.iommu));
	return true;
}

static bool is_x86(const struct qb_facts *f)
{
	return qb_streq(f->system.arch, "x86_64");
}

/* Whether word stands in text between white space. */
static bool has_word(const char *text, const char *word)
{
	size_t n = strlen(word);

	for (const char *at = text; (at = strstr(at, word)); at += n)
		if ((at == text || strchr(" \t\n", at[-1])) && (!at[n] || strchr(" \t\n", at[n])))
			return true;
	return false;
}

#define TABLES "/sys/firmware/acpi/tables"

static void described(const struct qb_check_input *in, struct qb_result *r)
{
	/* Intel's, AMD's and that of virtual machines. */
	static const char *const names[] = {"DMAR", "IVRS", "VIOT"};
	const struct qb_reading *x = qb_facts_reading(in->facts, TABLES);
	const struct qb_tri *used = &in->facts->system.iommu;

	if (qb_no_arch(in->facts, r))
		return;
	if (!is_x86(in->facts) || qb_is_absent(in, TABLES)) {
		qb_skip(r, "this platform has no ACPI tables that would describe an IOMMU");
		return;
	}
	for (size_t i = 0; x && x->value && i < QB_ARRAY_SIZE(names); i++)
		if (has_word(x->value, names[i])) {
			qb_evidence(r, "table", TABLES, "%s", names[i]);
			qb_pass(r, "the firmware describes an IOMMU (%s)", names[i]);
			return;
		}
	/* A hypervisor may offer one in a way of its own. */
	if (qb_is(used)) {
		qb_evidence_tri(r, "iommu", "/sys/class/iommu", used);
		qb_pass(r, "the kernel found an IOMMU");
	} else if (!x || !x->value || !*x->value) {
		qb_unknown(r, "%s could not be read: %s", TABLES,
			   x && x->value ? "it is empty" : qb_read_why(x));
	} else {
		qb_evidence(r, "tables", TABLES, "neither DMAR nor IVRS");
		qb_fail(r, "the firmware describes no IOMMU: it is switched off there, or absent");
	}
}

#define CMDLINE "/proc/cmdline"

static void command_line(const struct qb_check_input *in, struct qb_result *r)
{
	static const char *const off[] = {"iommu=off", "intel_iommu=off", "amd_iommu=off"};
	const char *vendor = in->facts->cpu.vendor, *text;
	bool intel = qb_streq(vendor, "GenuineIntel");

	if (qb_no_arch(in->facts, r))
		return;
	if (!is_x86(in->facts)) {
		qb_skip(r, "the words of the command line that count are those of x86");
		return;
	}
	if (!qb_read(in, r, CMDLINE, &text))
		return;
	for (size_t i = 0; i < QB_ARRAY_SIZE(off); i++)
		/* A word for the other vendor's does nothing. */
		if (has_word(text, off[i]) && (!vendor || intel == (*off[i] != 'a') || !i)) {
			qb_fail(r, "the kernel command line switches the IOMMU off (%s)", off[i]);
			return;
		}
	if (vendor && !intel && has_word(text, "intel_iommu=on") &&
	    !qb_is(&in->facts->system.iommu))
		qb_fail(r, "intel_iommu=on does nothing for a CPU of %.40s", vendor);
	else
		qb_pass(r, "the kernel command line does not switch the IOMMU off");
}

/* Of the timer, the keyboard, the clock and ACPI: one of them is always there. Their controller's
 * name begins with IR where interrupts are remapped (Linux, arch/x86/kernel/apic/io_apic.c). */
static const char *const chips[] = {"/sys/kernel/irq/0/chip_name", "/sys/kernel/irq/1/chip_name",
				    "/sys/kernel/irq/8/chip_name", "/sys/kernel/irq/9/chip_name",
				    NULL};

static void remapping(const struct qb_check_input *in, struct qb_result *r)
{
	if (qb_no_arch(in->facts, r))
		return;
	if (!is_x86(in->facts)) {
		qb_skip(r, "interrupts of a CPU of type %s are not remapped by the IOMMU",
			in->facts->system.arch);
		return;
	}
	if (no_iommu(in->facts, r))
		return;
	for (size_t i = 0; chips[i]; i++) {
		const struct qb_reading *x = qb_facts_reading(in->facts, chips[i]);

		if (!x || !x->value || !qb_endswith(x->value, "IO-APIC"))
			continue;
		qb_evidence(r, "chip_name", chips[i], "%s", x->value);
		if (qb_streq(x->value, "IR-IO-APIC"))
			qb_pass(r, "the IOMMU remaps interrupts");
		else
			qb_fail(r, "the IOMMU does not remap interrupts");
		return;
	}
	qb_unknown(r, "no interrupt of an IO-APIC could be read: %s",
		   qb_read_why(qb_facts_reading(in->facts, chips[0])));
}

#define UNSAFE "/sys/module/vfio_iommu_type1/parameters/allow_unsafe_interrupts"

static void unsafe_interrupts(const struct qb_check_input *in, struct qb_result *r)
{
	const char *text;

	if (qb_is_absent(in, UNSAFE)) {
		qb_skip(r, "no device can be passed through: vfio_iommu_type1 is not loaded");
		return;
	}
	if (!qb_read(in, r, UNSAFE, &text))
		return;
	if (qb_streq(text, "N"))
		qb_pass(r, "devices are passed through only where interrupts are remapped");
	else if (qb_streq(text, "Y"))
		qb_fail(r, "devices are passed through also where interrupts are not remapped");
	else
		qb_unknown(r, "%s holds \"%.40s\", which is neither Y nor N", UNSAFE, text);
}

#define VFIO "/dev/vfio/vfio"

static void vfio(const struct qb_check_input *in, struct qb_result *r)
{
	const struct qb_reading *x = qb_facts_reading(in->facts, VFIO);

	if (no_iommu(in->facts, r))
		return;
	if (x && x->mode) {
		qb_evidence(r, "mode", VFIO, "%04o", (unsigned)x->mode & 07777);
		qb_pass(r, "the kernel can hand devices to guests");
	} else if (x && x->absent) {
		qb_evidence(r, "device", VFIO, "not there");
		qb_fail(r, "there is no %s: the kernel cannot hand devices to guests", VFIO);
	} else {
		qb_unknown(r, "whether there is a %s is unknown: %s", VFIO, qb_read_why(x));
	}
}

#define GROUPS "/sys/kernel/iommu_groups/*/devices"
#define CLASSES "/sys/bus/pci/devices/*/class"

/* Base class and subclass (PCI code and ID assignment). */
enum {
	BRIDGES = 0x06,
	NETWORK = 0x02,
	DISPLAY = 0x03,
	NVME = 0x0108,
	NO_CLASS = -1,
};

static bool is_pci(const char *name)
{
	return strchr(name, ':') && strchr(name, '.');
}

static int class_of(const struct qb_check_input *in, const char *name)
{
	_cleanup_free_ char *path = qb_asprintf("/sys/bus/pci/devices/%s/class", name);
	const struct qb_reading *x = qb_facts_reading(in->facts, path);
	unsigned class;

	if (!x || !x->value || sscanf(x->value, "0x%6x", &class) != 1)
		return NO_CLASS;
	return (int)(class >> 8);
}

/* What people pass through to guests. */
static bool is_wanted(int class)
{
	return class >> 8 == NETWORK || class >> 8 == DISPLAY || class == NVME;
}

/* Functions of one card go to a guest together. Those on bus 0 are parts of the chipset. */
static bool is_same_card(const char *a, const char *b)
{
	size_t n = strcspn(a, ".");

	return strncmp(a, b, n + 1) == 0 && strncmp(strchr(a, ':'), ":00:", 4) != 0;
}

/* One group: a device that can be passed through, and one that would have to go with it. */
static void weigh_group(const struct qb_check_input *in, const struct qb_strs *devices,
			const char *group, struct qb_tally *t)
{
	for (size_t i = 0; i < devices->n; i++) {
		const char *name = devices->v[i];
		int class = class_of(in, name);

		if (devices->n > 1 && class == NO_CLASS) {
			qb_tally_unsure(t, "the class of %s could not be read", name);
			return;
		}
		for (size_t k = 0; is_wanted(class) && k < devices->n; k++) {
			int other = class_of(in, devices->v[k]);

			if (k == i || other == NO_CLASS || other >> 8 == BRIDGES ||
			    is_same_card(name, devices->v[k]))
				continue;
			qb_tally_bad(t, "%s and %s are both in group %s", name, devices->v[k],
				     group);
			return;
		}
	}
	t->good++;
}

static void groups(const struct qb_check_input *in, struct qb_result *r)
{
	struct qb_tally t = {0};
	size_t n = 0;

	if (no_iommu(in->facts, r))
		return;
	for (const struct qb_reading *x = NULL; (x = qb_read_next(in, GROUPS, x)); n++) {
		const char *number = x->path + strlen("/sys/kernel/iommu_groups/");
		_cleanup_free_ char *group = qb_strndup(number, strcspn(number, "/"));
		_cleanup_free_ char *copy = qb_strdup(x->value);
		_cleanup_strs_ struct qb_strs devices = {0};
		char *rest = NULL;

		if (!copy) {
			qb_tally_unsure(&t, "%s could not be read: %s", x->path, qb_read_why(x));
			continue;
		}
		for (char *name = strtok_r(copy, "\n", &rest); name;
		     name = strtok_r(NULL, "\n", &rest))
			if (is_pci(name))
				qb_strs_add(&devices, name);
		weigh_group(in, &devices, group, &t);
	}
	qb_evidence(r, "groups", "/sys/kernel/iommu_groups", "%zu", n);
	if (!n && qb_is_absent(in, GROUPS))
		qb_tally_bad(&t, "the IOMMU serves no device");
	else if (!n)
		qb_tally_unsure(&t, "the IOMMU's groups could not be read: %s",
				qb_read_why(qb_facts_reading(in->facts, GROUPS)));
	qb_tally_end(&t, r,
		     "network, graphics and NVMe devices can be passed through by themselves", "");
}

#define VFS_MOST "/sys/class/net/*/device/sriov_totalvfs"
#define VFS "/sys/class/net/*/device/sriov_numvfs"

/* Documentation/PCI/pci-iov-howto.rst. */
static void weigh_sriov(const struct qb_check_input *in, const struct qb_reading *x,
			struct qb_tally *t, struct qb_result *r)
{
	const char *name = x->path + strlen("/sys/class/net/");
	_cleanup_free_ char *nic = qb_strndup(name, strcspn(name, "/"));
	_cleanup_free_ char *path = qb_asprintf("/sys/class/net/%s/device/sriov_numvfs", nic);
	const struct qb_reading *now = qb_facts_reading(in->facts, path);
	const struct qb_tri *iommu = &in->facts->system.iommu;
	uint64_t most;

	/* Most links have no such file. */
	if (x->absent)
		return;
	if (!x->value || qb_parse_u64(x->value, &most) < 0) {
		qb_tally_unsure(t, "%s could not be read: %s", x->path,
				x->value ? "it holds no number" : qb_read_why(x));
		return;
	}
	if (!most)
		return;
	qb_evidence(r, nic, x->path, "%s of %s virtual functions are there",
		    now && now->value ? now->value : "an unknown number", x->value);
	if (qb_is(iommu))
		t->good++;
	else if (qb_is_not(iommu))
		qb_tally_bad(t, "%s offers virtual functions, and no IOMMU is in use", nic);
	else
		qb_tally_unsure(t, "whether there is an IOMMU is unknown: %s", qb_why(iommu));
}

static void sriov(const struct qb_check_input *in, struct qb_result *r)
{
	struct qb_tally t = {0};
	bool any = false;

	for (const struct qb_reading *x = NULL; (x = qb_read_next(in, VFS_MOST, x)); any = true)
		weigh_sriov(in, x, &t, r);
	if (!any && !qb_is_absent(in, VFS_MOST))
		qb_tally_unsure(&t, "NICs could not be read: %s",
				qb_read_why(qb_facts_reading(in->facts, VFS_MOST)));
	if (t.good)
		qb_evidence_tri(r, "iommu", "/sys/class/iommu", &in->facts->system.iommu);
	qb_tally_end(&t, r, "virtual functions of NICs can be given to guests",
		     "no NIC here offers virtual functions");
}

static const struct qb_check table[] = {
	{
		.id = "iommu.enabled",
		.title = "An IOMMU is in use",
		.severity = QB_INFORMATIONAL,
		.looks = "Whether /sys/class/iommu has an entry.",
		.why = "It confines what a device can reach in memory. Only passing devices "
		       "through to guests needs it.",
		.remedy =
			"# Switch the IOMMU (AMD-Vi, VT-d) on in the firmware setup, and restart.",
		.judge = enabled,
	},
	{
		.id = "iommu.firmware",
		.title = "The firmware describes an IOMMU",
		.severity = QB_INFORMATIONAL,
		.looks = "The names in /sys/firmware/acpi/tables: DMAR (Intel), IVRS (AMD) or "
			 "VIOT.",
		.why = "It tells the two causes of no IOMMU apart: switched off in the firmware, "
		       "or not used by the kernel.",
		.remedy = "dmesg | grep -iE 'dmar|amd-vi|iommu'\n# Switch VT-d (Intel) or the "
			  "IOMMU (AMD) on in the firmware setup, and restart. In a guest: have "
			  "the outer host offer one.",
		.reads = (const char *const[]){TABLES, NULL},
		.judge = described,
	},
	{
		.id = "iommu.command-line",
		.title = "The kernel is not told to leave the IOMMU",
		.severity = QB_INFORMATIONAL,
		.looks = "/proc/cmdline: iommu=off, intel_iommu=off or amd_iommu=off, and "
			 "intel_iommu=on where the CPU is not Intel's.",
		.why = "A word left over from a test, or meant for another machine, outlives every "
		       "setting of the firmware.",
		.remedy = "grubby --update-kernel=ALL --remove-args='iommu=off intel_iommu "
			  "amd_iommu'\n# For Intel: grubby --update-kernel=ALL "
			  "--args='intel_iommu=on iommu=pt'. Then restart.",
		.reads = (const char *const[]){CMDLINE, NULL},
		.judge = command_line,
	},
	{
		.id = "iommu.groups",
		.title = "Devices can be passed through one by one",
		.severity = QB_INFORMATIONAL,
		.looks = "The devices in each of /sys/kernel/iommu_groups: none for networks, "
			 "graphics or NVMe beside one of another card, bridges left aside.",
		.why = "Devices of one group can reach each other past the IOMMU, so all of them "
		       "go to one guest or none does.",
		.remedy =
			"grep . /sys/kernel/iommu_groups/*/type\n"
			"ls /sys/kernel/iommu_groups/*/devices\n"
			"# Put the card into another slot, or look for ACS in the firmware setup.",
		.reads = (const char *const[]){GROUPS, CLASSES, NULL},
		.judge = groups,
	},
	{
		.id = "iommu.interrupts",
		.title = "The IOMMU remaps interrupts",
		.severity = QB_INFORMATIONAL,
		.looks = "The name of the controller of interrupts 0, 1, 8 and 9: IR-IO-APIC.",
		.why = "Else a guest with a device of its own can raise any interrupt of the "
		       "host, and libvirt refuses to give it one.",
		.remedy =
			"dmesg | grep -iE 'remapping|x2apic'\n"
			"grubby --update-kernel=ALL --remove-args='intremap nointremap'\n"
			"# Else look for it, and for x2APIC, in the firmware setup. Then restart.",
		.reads = chips,
		.judge = remapping,
	},
	{
		.id = "iommu.unsafe-interrupts",
		.title = "Devices are passed through safely",
		.severity = QB_RECOMMENDED,
		.looks = "The parameter allow_unsafe_interrupts of vfio_iommu_type1: N.",
		.why = "With it a guest that has a device can raise any interrupt of the host, and "
		       "so take it over.",
		.remedy = "echo N >" UNSAFE "\ngrep -r allow_unsafe_interrupts /etc/modprobe.d\n# "
			  "Remove that option, also from the kernel command line.",
		.reads = (const char *const[]){UNSAFE, NULL},
		.judge = unsafe_interrupts,
	},
	{
		.id = "iommu.vfio",
		.title = "The kernel can hand devices to guests",
		.severity = QB_INFORMATIONAL,
		.looks = "Whether " VFIO " is there, where an IOMMU is in use.",
		.why = "libvirt gives a device to a guest through it.",
		.remedy = "modprobe vfio-pci\necho vfio-pci >>/etc/modules-load.d/guests.conf",
		.reads = (const char *const[]){VFIO, NULL},
		.judge = vfio,
	},
	{
		.id = "iommu.sriov",
		.title = "NICs' virtual functions can be used",
		.severity = QB_INFORMATIONAL,
		.looks = "sriov_totalvfs of NICs: where it is not 0, an IOMMU is in use.",
		.why = "A guest with a virtual function of the NIC goes past the bridge at full "
		       "speed; without an IOMMU it cannot be given one.",
		.remedy = "grep -s . /sys/class/net/*/device/sriov_*vfs\n"
			  "qubi-agent explain iommu.enabled",
		.reads = (const char *const[]){VFS_MOST, VFS, NULL},
		.judge = sriov,
	},
};

QB_CHECK_GROUP(iommu, table);
