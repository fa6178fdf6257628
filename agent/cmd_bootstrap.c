/* SPDX-License-Identifier: Apache-2.0 */
/*
 * On a live host this is apply. In an installation, or for an image, what can be written is written
 * and the first boot is armed: nothing of the machine that this runs on is touched.
 */
#include <errno.h>
#include <sys/stat.h>

#include "agent/base/exec.h"
#include "agent/base/log.h"
#include "agent/host/host.h"
#include "agent/host/libvirt_units.h"
#include "agent/host/stage.h"
#include "agent/prepare.h"

#define SYSTEMCTL "/usr/bin/systemctl"
#define MOTD "/run/motd.d/qubi-agent"

/*
 * The kernel's first process has another root, as in %post of a kickstart. Where that cannot be
 * seen nobody mounted /proc, as no host that runs does without.
 */
static bool is_chroot(void)
{
	struct stat own, first;

	return stat("/", &own) < 0 || stat("/proc/1/root/", &first) < 0 ||
	       own.st_dev != first.st_dev || own.st_ino != first.st_ino;
}

static bool is_refused(const struct qb_facts *facts, const struct qb_config *config)
{
	_cleanup_plan_ struct qb_plan plan = {0};

	qb_stage_refuse(facts, config, &plan);
	for (size_t i = 0; i < plan.n_refused; i++)
		for (size_t j = 0; j < plan.refused[i].n_reasons; j++)
			qb_log(QB_LOG_ERROR, "%s: %s", plan.refused[i].target,
			       plan.refused[i].reasons[j].evidence);
	return plan.n_refused;
}

/* It needs no systemd that runs. */
static int enable(const struct qb_invocation *inv, const struct qb_strs *units,
		  struct qb_error *err)
{
	const char *const words[] = {SYSTEMCTL, "--root", inv->opt.root, "--no-reload", "enable"};
	_cleanup_free_ const char **argv =
		qb_alloc(QB_ARRAY_SIZE(words) + units->n + 1, sizeof(*argv));
	size_t n = QB_ARRAY_SIZE(words);

	memcpy(argv, words, sizeof(words));
	for (size_t i = 0; i < units->n; i++)
		if (qb_unit_is_installed(&inv->root, units->v[i]))
			argv[n++] = units->v[i];
	return qb_exec_check(argv, inv->opt.timeout_ms, err);
}

static int arm(const struct qb_invocation *inv, const struct qb_stage *stage, struct qb_error *err)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < stage->n_files; i++) {
		const struct qb_stage_file *f = &stage->files[i];

		r = qb_root_write(&inv->root, f->path, 0644, f->text, strlen(f->text), err);
		if (r == 0)
			qb_log(QB_LOG_DEBUG, "wrote %s", f->path);
	}
	if (r == 0)
		r = enable(inv, &stage->units, err);
	/* Last: it is what the unit goes by. */
	if (r == 0)
		r = qb_root_mkdir(&inv->root, "/var/lib/qubi-agent", 0700, err);
	return r < 0 ? r : qb_root_write(&inv->root, QB_FIRST_BOOT_FILE, 0600, "", 0, err);
}

static int stage(const struct qb_invocation *inv)
{
	_cleanup_config_ struct qb_config config = {0};
	_cleanup_facts_ struct qb_facts facts = {0};
	_cleanup_stage_ struct qb_stage staged = {0};
	_cleanup_strs_ struct qb_strs reads = {0};
	struct qb_error err = QB_ERROR_INIT;

	if (geteuid() != 0) {
		qb_log(QB_LOG_ERROR, "changing a host to be needs root");
		return QB_EXIT_USAGE;
	}
	if (qb_invocation_config(inv, &config) < 0)
		return QB_EXIT_USAGE;
	qb_host_reads(&config, &reads);
	if (qb_invocation_facts(inv, &config, &reads, QB_FACTS_ALL, &facts) < 0)
		return QB_EXIT_FAILED;
	qb_vir_units_probe(&inv->root, &facts.libvirt);
	if (is_refused(&facts, &config)) {
		qb_log(QB_LOG_ERROR, "nothing was written: this configuration cannot be applied");
		return QB_EXIT_REFUSED;
	}
	qb_stage_plan(&facts, &config, &staged);
	if (arm(inv, &staged, &err) < 0) {
		qb_log(QB_LOG_ERROR, "%s; the first boot is not armed", err.msg);
		return QB_EXIT_FAILED;
	}
	if (inv->opt.format == QB_FORMAT_JSON)
		return qb_print_json(json_pack("{s:s, s:s, s:i}", "schema",
					       "qubi-agent/bootstrap/1", "result", "armed", "files",
					       (int)staged.n_files)) < 0
			       ? QB_EXIT_FAILED
			       : QB_EXIT_OK;
	printf("qubi-agent: the configuration is valid, %zu file%s written; the first boot does "
	       "the "
	       "rest, and journalctl -u " QB_FIRST_BOOT_UNIT " will tell of it\n",
	       staged.n_files, staged.n_files == 1 ? "" : "s");
	return QB_EXIT_OK;
}

/* Whoever logs in is to see it; the next boot tries again. */
static void tell(const struct qb_invocation *inv, int status)
{
	_cleanup_free_ char *text =
		qb_asprintf("qubi-agent: this host is not set up yet (exit status %d): see "
			    "journalctl -u " QB_FIRST_BOOT_UNIT "; the next boot, or qubi-agent "
			    "bootstrap, tries again\n",
			    status);
	struct qb_error err = QB_ERROR_INIT;
	int r = status == QB_EXIT_OK
			? qb_root_unlink(&inv->root, MOTD, &err)
			: qb_root_write(&inv->root, MOTD, 0644, text, strlen(text), &err);

	if (r < 0 && r != -ENOENT)
		qb_log(QB_LOG_WARNING, "%s", err.msg);
}

static int run(struct qb_invocation *inv)
{
	struct qb_error err = QB_ERROR_INIT;
	bool armed;
	int r;

	if (!inv->root.live || is_chroot())
		return stage(inv);
	armed = qb_root_exists(&inv->root, QB_FIRST_BOOT_FILE);
	r = qb_run_plan(inv, QB_MODE_APPLY);
	if (!armed || r == QB_EXIT_LOCKED)
		return r;
	if (r == QB_EXIT_OK && qb_root_unlink(&inv->root, QB_FIRST_BOOT_FILE, &err) < 0) {
		qb_log(QB_LOG_ERROR, "%s", err.msg);
		r = QB_EXIT_FAILED;
	}
	tell(inv, r);
	return r;
}

const struct qb_command qb_cmd_bootstrap = {
	.name = "bootstrap",
	.summary = "for a kickstart: write what can be written, and arm the first boot",
	.help = "On a live host the same as apply. In a chroot, as %post of a kickstart is, and\n"
		"with --root: validates the configuration, writes what is to be loaded and set\n"
		"at boot, enables libvirt's daemons and qubi-agent-first-boot.service, which\n"
		"does the rest once. Disks, the kernel and the network of the machine that it\n"
		"runs on are not touched. A first boot that failed is tried again at the next.",
	.takes = QB_TAKES_ROOT | QB_TAKES_CONSENT | QB_TAKES_PARTIAL,
	.run = run,
};
