/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/host/config.h"
#include "agent/host/facts.h"

#include <errno.h>
#include <sys/sysmacros.h>

#include "agent/host/kvm.h"
#include "agent/host/libvirt_probe.h"
#include "agent/host/libvirt_units.h"
#include "net/probe.h"
#include "storage/probe.h"

#define CAPTURED_FACTS "/qubi-agent/facts.json"

enum {
	CAPTURED_MAX = 64 << 20
};

/* Beside those that are configured: what checks and the plan ask about. */
static void modules(const struct qb_probe_options *options, struct qb_facts *ret)
{
	static const char *const always[] = {"kvm", "kvm_amd",   "kvm_intel",
					     "tun", "vhost_net", "vhost_vsock"};
	_cleanup_strs_ struct qb_strs names = {0};

	for (size_t i = 0; i < QB_ARRAY_SIZE(always); i++)
		qb_strs_add(&names, always[i]);
	for (size_t i = 0; options->config && i < options->config->kvm.modules.n; i++)
		qb_strs_add(&names, options->config->kvm.modules.v[i]);
	qb_modules_probe(options->root, &names, &ret->modules, &ret->n_modules);
}

static void targets(const struct qb_probe_options *options, struct qb_facts *ret)
{
	_cleanup_strs_ struct qb_strs paths = {0};

	for (size_t i = 0; options->config && i < options->config->n_pools; i++)
		if (options->config->pools[i].target)
			qb_strs_add(&paths, options->config->pools[i].target);
	for (size_t i = 0; options->config && i < options->config->n_pools; i++)
		for (size_t k = 0; k < options->config->pools[i].n_volumes; k++)
			if (options->config->pools[i].volumes[k].target)
				qb_strs_add(&paths, options->config->pools[i].volumes[k].target);
	for (size_t i = 0; i < ret->libvirt.n_pools; i++)
		if (ret->libvirt.pools[i].target)
			qb_strs_add(&paths, ret->libvirt.pools[i].target);
	qb_targets_probe(options->root, &paths, options->timeout_ms, ret);
}

/* Where a host for guests grows, and where it stops when nothing is left. */
static void spaces(const struct qb_probe_options *options, struct qb_facts *ret)
{
	static const char *const always[] = {"/", "/var", "/var/log", "/var/lib/libvirt"};
	_cleanup_strs_ struct qb_strs paths = {0};

	if (!(options->without & QB_FACTS_SPACE))
		for (size_t i = 0; i < QB_ARRAY_SIZE(always); i++)
			qb_strs_add(&paths, always[i]);
	qb_spaces_probe(options->root, &paths, options->timeout_ms, ret);
}

static void targets_spaces(const struct qb_probe_options *options, struct qb_facts *ret)
{
	_cleanup_strs_ struct qb_strs paths = {0};

	for (size_t i = 0; i < ret->n_targets; i++)
		qb_strs_add(&paths, ret->targets[i].path);
	qb_spaces_probe(options->root, &paths, options->timeout_ms, ret);
}

/* The name of the disk that a device number belongs to: of a partition, the disk it is on. */
static char *disk_of(const struct qb_root *root, dev_t dev)
{
	_cleanup_free_ char *path = qb_asprintf("/sys/dev/block/%u:%u", major(dev), minor(dev));
	_cleanup_free_ char *target = NULL;
	const char *name;

	if (qb_root_readlink(root, path, &target) < 0)
		return NULL;
	name = strstr(target, "/block/");
	if (!name)
		return NULL;
	name += strlen("/block/");
	return qb_strndup(name, strcspn(name, "/"));
}

/* Guests name their disks by any link; where it leads somewhere, that counts. False: nowhere. */
static bool claim_by_number(const struct qb_root *root, const struct qb_vir_disk *used,
			    struct qb_disks *disks)
{
	_cleanup_free_ char *name = NULL;
	struct stat st;

	if (qb_root_stat(root, used->device, true, &st) < 0 || !S_ISBLK(st.st_mode))
		return false;
	name = disk_of(root, st.st_rdev);
	for (size_t i = 0; name && i < disks->n_disks; i++)
		if (qb_streq(disks->disks[i].name, name)) {
			qb_disks_claim(disks, disks->disks[i].path, used->domain);
			return true;
		}
	return false;
}

static void claim_all(const struct qb_root *root, const struct qb_libvirt_facts *used,
		      struct qb_disks *disks)
{
	for (size_t i = 0; i < used->n_guest_disks; i++) {
		const struct qb_vir_disk *disk = &used->guest_disks[i];

		if (!root->live || !claim_by_number(root, disk, disks))
			qb_disks_claim(disks, disk->device, disk->domain);
	}
}

/* A libvirt that does not answer has guests all the same. */
static void claim_by_files(const struct qb_root *root, struct qb_disks *disks)
{
	struct qb_libvirt_facts used = {0};
	_cleanup_free_ char *unread = NULL;

	qb_guest_files_probe(root, &used, &unread);
	claim_all(root, &used, disks);
	for (size_t i = 0; unread && i < disks->n_disks; i++)
		qb_disk_reason(&disks->disks[i], "open", "whether a guest uses it is unknown: %s",
			       unread);
	qb_schema_done(&qb_libvirt_type, &used);
}

static void readings(const struct qb_probe_options *options, struct qb_facts *ret)
{
	if (options->reads)
		qb_readings_probe(options->root, options->reads, &ret->readings, &ret->n_readings);
}

/* The log's thousands of lines are for where something may be amiss: not where a guest ran, nor
 * where the CPU has nothing that could be. */
static void kvm_end(struct qb_kvm_inquiry *kvm, struct qb_facts *ret)
{
	bool well, nothing;

	qb_kvm_inquiry_end(kvm, &ret->kvm);
	well = qb_is(&ret->kvm.guest_ran) && qb_is(&ret->kvm.long_mode);
	nothing = qb_is_not(&ret->cpu.cpuid_vmx) && qb_is_not(&ret->cpu.cpuid_svm) &&
		  !qb_is(&ret->kvm.device);
	if (!well && !nothing)
		qb_kernel_says(&ret->kvm.kernel_says);
}

static void live(const struct qb_probe_options *options, struct qb_facts *ret)
{
	const struct qb_root *root = options->root;
	unsigned parts = QB_FACTS_ALL & ~options->without;
	struct qb_disks_inquiry *disks = NULL;
	struct qb_vir_inquiry *vir = NULL;
	_cleanup_free_ char *machine_id = NULL;
	struct qb_kvm_inquiry kvm;

	/* What takes long, and may hang, answers while the others read. */
	if (parts & QB_FACTS_LIBVIRT)
		vir = qb_vir_inquiry_begin(options->connect_uri, options->timeout_ms);
	if (parts & QB_FACTS_DISKS) {
		machine_id = qb_machine_id_read(root);
		disks = qb_disks_inquiry_begin(root, machine_id, parts & QB_FACTS_REASONS,
					       options->timeout_ms);
	}
	/*
	 * A guest that comes and goes makes work for udev, which the disks wait for: so it comes
	 * behind them, though on a host where udev is busy it waits with them.
	 */
	if (parts & QB_FACTS_KVM)
		qb_kvm_inquiry_begin(root, &kvm, &ret->kvm);
	qb_system_probe(root, &ret->system);
	qb_cpu_probe(root, &ret->cpu);
	if (parts & QB_FACTS_MODULES)
		modules(options, ret);
	if (parts & QB_FACTS_NET)
		qb_net_probe(root, &ret->net);
	readings(options, ret);
	if (parts & QB_FACTS_KVM)
		kvm_end(&kvm, ret);
	if (disks)
		qb_disks_inquiry_end(disks, &ret->disks);
	spaces(options, ret);
	if (vir) {
		qb_vir_inquiry_end(vir, &ret->libvirt);
		qb_vir_units_probe(root, &ret->libvirt);
		targets(options, ret);
		targets_spaces(options, ret);
		qb_volumes_probe(root, options->timeout_ms, &ret->libvirt);
	}
}

/* What only the live host could tell, from the document that was captured with its files. */
static int take_captured(const struct qb_root *root, struct qb_facts *ret)
{
	_cleanup_diags_ struct qb_diags diags = {.file = qb_strdup(CAPTURED_FACTS)};
	_cleanup_facts_ struct qb_facts captured = {0};
	_cleanup_free_ char *text = NULL;
	size_t len;
	int r = qb_root_read(root, CAPTURED_FACTS, CAPTURED_MAX, &text, &len);

	if (r == 0)
		r = qb_facts_load(text, len, &captured, &diags);
	if (r < 0) {
		const char *why = diags.n ? diags.v[0].msg : strerror(-r);

		if (r != -ENOENT) {
			qb_tri_unknown(&ret->net.known, "%s: %s", CAPTURED_FACTS, why);
			qb_tri_unknown(&ret->libvirt.connected, "%s: %s", CAPTURED_FACTS, why);
		}
		return r;
	}
	if (!ret->system.arch)
		QB_SWAP(ret->system.arch, captured.system.arch);
	QB_SWAP(ret->system.time_synchronised, captured.system.time_synchronised);
	QB_SWAP(ret->kvm, captured.kvm);
	QB_SWAP(ret->cpu.cpuid_vmx, captured.cpu.cpuid_vmx);
	QB_SWAP(ret->cpu.cpuid_svm, captured.cpu.cpuid_svm);
	QB_SWAP(ret->cpu.firmware_lock, captured.cpu.firmware_lock);
	QB_SWAP(ret->cpu.hypervisor, captured.cpu.hypervisor);
	QB_SWAP(ret->cpu.hypervisor_vendor, captured.cpu.hypervisor_vendor);
	QB_SWAP(ret->net, captured.net);
	if (captured.disks.n_disks)
		QB_SWAP(ret->disks, captured.disks);
	QB_SWAP(ret->libvirt, captured.libvirt);
	QB_SWAP(ret->targets, captured.targets);
	QB_SWAP(ret->n_targets, captured.n_targets);
	QB_SWAP(ret->spaces, captured.spaces);
	QB_SWAP(ret->n_spaces, captured.n_spaces);
	QB_SWAP(ret->readings, captured.readings);
	QB_SWAP(ret->n_readings, captured.n_readings);
	return 0;
}

static void captured(const struct qb_probe_options *options, struct qb_facts *ret)
{
	const struct qb_root *root = options->root;

	qb_system_probe(root, &ret->system);
	qb_cpu_probe(root, &ret->cpu);
	qb_kvm_probe(root, &ret->kvm);
	modules(options, ret);
	qb_disks_probe(root, ret->system.machine_id, options->timeout_ms, &ret->disks);
	qb_net_probe(root, &ret->net);
	qb_libvirt_probe(root, options->connect_uri, options->timeout_ms, &ret->libvirt);
	(void)!take_captured(root, ret);
	/* What was captured with the files may have been read with other rights. */
	if (!ret->n_readings)
		readings(options, ret);
	spaces(options, ret);
	targets_spaces(options, ret);
}

void qb_facts_probe(const struct qb_probe_options *options, struct qb_facts *ret)
{
	*ret = (struct qb_facts){0};
	qb_tri_set(&ret->live, options->root->live);
	if (options->root->live)
		live(options, ret);
	else
		captured(options, ret);
	if (qb_is(&ret->libvirt.connected))
		claim_all(options->root, &ret->libvirt, &ret->disks);
	else if (!(options->without & QB_FACTS_REASONS))
		claim_by_files(options->root, &ret->disks);
	qb_facts_index(ret);
}
