/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "agent/base/clock.h"
#include "agent/base/guard.h"
#include "agent/host/libvirt_conn.h"
#include "agent/host/prove_watch.h"

enum {
	AT_ONCE = 4,
	LOOK_MS = 50,
	OWN_MS = 60000, /* for all that is not waiting for a guest */
	DISK_BYTES = QB_GUEST_SECTORS * QB_GUEST_SECTOR,
};

/* A guest, and the trials that it is made of. */
struct running {
	struct qb_proof_trial *trials[QB_PROOF_TOGETHER];
	virStorageVolPtr volumes[QB_PROOF_TOGETHER]; /* of each */
	size_t n;
	virDomainPtr domain;
	uint64_t begun_us;
};

struct run {
	const struct qb_proof_ctx *ctx;
	struct qb_proof *proof;
	const struct qb_proof_events *events;
	struct qb_proof_watch *watch;
	virConnectPtr conn;
	struct running guests[AT_ONCE];
	size_t n;
	struct qb_proof_trial **alone; /* those that are yet to have a guest of their own */
	size_t n_alone;
};

/* What libvirt said last, printable. */
static char *complaint(void)
{
	virErrorPtr last = sym_virGetLastError();

	return qb_str_printable(last && last->message ? last->message : "no reason given");
}

static int open_volume(virStorageVolPtr volume, int flags, struct qb_error *err)
{
	_cleanup_free_ char *path = sym_virStorageVolGetPath(volume), *said = NULL;
	int fd;

	if (!path) {
		said = complaint();
		return qb_error_set(err, EIO, "%s", said);
	}
	/* A volume of LVM's is a link by udev; of a file nobody is to have made one. */
	fd = open(path, flags | O_CLOEXEC | (qb_startswith(path, "/dev/") ? 0 : O_NOFOLLOW));
	return fd < 0 ? qb_error_errno(err, errno, "%s", path) : fd;
}

/*
 * The beginning of a volume, to or from it: by its path, for libvirt would start a program for
 * each. QEMU has it through the same cache.
 */
static int transfer(virStorageVolPtr volume, bool up, unsigned char *data, size_t len,
		    struct qb_error *err)
{
	_cleanup_close_ int fd = open_volume(volume, up ? O_RDWR : O_RDONLY, err);
	ssize_t n;

	if (fd < 0)
		return fd;
	n = up ? pwrite(fd, data, len, 0) : pread(fd, data, len, 0);
	if (n == (ssize_t)len)
		return 0;
	return qb_error_errno(err, n < 0 ? errno : EIO, "%s: cannot %s it",
			      sym_virStorageVolGetName(volume), up ? "write" : "read");
}

/* --- what is to be gone ---------------------------------------------------------------------- */

static void end_guests(virConnectPtr conn, const char *prefix)
{
	virDomainPtr *list = NULL;
	int n = sym_virConnectListAllDomains(conn, &list, VIR_CONNECT_LIST_DOMAINS_TRANSIENT);

	for (int i = 0; i < n; i++) {
		if (qb_startswith(sym_virDomainGetName(list[i]), prefix))
			(void)sym_virDomainDestroy(list[i]);
		sym_virDomainFree(list[i]);
	}
	free(list);
}

/* Ours, or not yet written when its run was killed. */
static bool is_left_over(const unsigned char *disk, size_t len)
{
	return qb_proof_is_disk(disk) || (!disk[0] && !memcmp(disk, disk + 1, len - 1));
}

/* By its name and by what is in it: a volume of that name could be somebody's. */
static void remove_volumes(virConnectPtr conn, const char *pool_name, const char *prefix)
{
	virStoragePoolPtr pool = sym_virStoragePoolLookupByName(conn, pool_name);
	virStorageVolPtr *list = NULL;
	int n = pool ? sym_virStoragePoolListAllVolumes(pool, &list, 0) : 0;

	for (int i = 0; i < n; i++) {
		unsigned char disk[QB_GUEST_CODE_SECTORS * QB_GUEST_SECTOR];

		if (qb_startswith(sym_virStorageVolGetName(list[i]), prefix) &&
		    transfer(list[i], false, disk, sizeof(disk), NULL) == 0 &&
		    is_left_over(disk, sizeof(disk)))
			(void)sym_virStorageVolDelete(list[i], 0);
		sym_virStorageVolFree(list[i]);
	}
	free(list);
	if (pool)
		sym_virStoragePoolFree(pool);
}

static void sweep(virConnectPtr conn, const struct qb_proof *proof, const char *machine_id)
{
	_cleanup_free_ char *prefix = qb_proof_prefix(machine_id);

	end_guests(conn, prefix);
	for (size_t i = 0; i < proof->n_trials; i++)
		if (!i || !qb_streq(proof->trials[i].pool, proof->trials[i - 1].pool))
			remove_volumes(conn, proof->trials[i].pool, prefix);
}

/* In the guard, after this process was killed. */
static void clean_up(void *data, enum qb_guard_why why)
{
	const struct run *run = data;
	_cleanup_vir_conn_ virConnectPtr conn = NULL;

	(void)why;
	if (qb_vir_open(run->ctx->connect_uri, QB_VIR_PATIENCE_MS, &conn, NULL) == 0)
		sweep(conn, run->proof, run->ctx->machine_id);
}

/* --- one guest -------------------------------------------------------------------------------- */

static virStorageVolPtr make_volume(const struct run *run, struct qb_proof_trial *t)
{
	_cleanup_free_ char *xml = qb_proof_volume_xml(t);
	virStoragePoolPtr pool = sym_virStoragePoolLookupByName(run->conn, t->pool);
	virStorageVolPtr volume = pool ? sym_virStorageVolCreateXML(pool, xml, 0) : NULL;
	struct qb_error err = QB_ERROR_INIT;
	unsigned char disk[DISK_BYTES];

	qb_proof_disk(t, disk);
	t->made = volume && transfer(volume, true, disk, sizeof(disk), &err) == 0;
	if (!t->made)
		t->volume_error = volume ? qb_str_printable(err.msg) : complaint();
	if (pool)
		sym_virStoragePoolFree(pool);
	return volume;
}

static void remove_volume(struct qb_proof_trial *t, virStorageVolPtr volume)
{
	if (!volume)
		return;
	if (sym_virStorageVolDelete(volume, 0) < 0 && !t->volume_error)
		t->volume_error = complaint();
	sym_virStorageVolFree(volume);
}

static void read_label(struct running *guest)
{
	virSecurityLabel label = {0};

	if (sym_virDomainGetSecurityLabel(guest->domain, &label) < 0 || !label.label[0])
		return;
	for (size_t i = 0; i < guest->n; i++)
		guest->trials[i]->label = qb_str_printable(label.label);
}

/* It ends with this connection. Its label is looked at before it can have ended by itself. */
static bool start_guest(const struct run *run, struct running *guest)
{
	const struct qb_proof_trial *const *trials = (void *)guest->trials;
	_cleanup_free_ char *xml = qb_proof_domain_xml(run->proof, trials, guest->n), *why = NULL;
	bool started;

	guest->domain = sym_virDomainCreateXML(
		run->conn, xml, VIR_DOMAIN_START_PAUSED | VIR_DOMAIN_START_AUTODESTROY);
	if (guest->domain)
		read_label(guest);
	started = guest->domain && sym_virDomainResume(guest->domain) == 0;
	if (!started)
		why = complaint();
	for (size_t i = 0; i < guest->n; i++) {
		guest->trials[i]->started = started;
		guest->trials[i]->start_error = qb_strdup(why);
	}
	return started;
}

static void end_trial(const struct run *run, struct qb_proof_trial *t, uint64_t begun_us)
{
	t->duration_us = qb_now_us() - begun_us;
	if (run->events->end)
		run->events->end(run->events->data, t);
}

/* As if it had not been tried: a guest of its own tells what broke. */
static void try_alone(struct run *run, struct qb_proof_trial *t)
{
	free(QB_TAKE_PTR(t->start_error));
	free(QB_TAKE_PTR(t->result_error));
	free(QB_TAKE_PTR(t->label));
	free(QB_TAKE_PTR(t->left_by));
	t->made = t->started = t->ended = t->on_bridge = false;
	memset(t->result, 0, sizeof(t->result));
	*QB_APPEND(run->alone, run->n_alone) = t;
}

static void finish(struct run *run, struct running *guest)
{
	unsigned char disk[DISK_BYTES];

	if (guest->domain && !guest->trials[0]->ended)
		(void)sym_virDomainDestroy(guest->domain);
	if (guest->domain)
		sym_virDomainFree(guest->domain);
	for (size_t i = 0; i < guest->n; i++) {
		struct qb_proof_trial *t = guest->trials[i];
		struct qb_error err = QB_ERROR_INIT;

		if (t->started && transfer(guest->volumes[i], false, disk, sizeof(disk), &err) == 0)
			memcpy(t->result, disk + QB_GUEST_RESULT * QB_GUEST_SECTOR,
			       sizeof(t->result));
		else if (t->started)
			t->result_error = qb_str_printable(err.msg);
		remove_volume(t, guest->volumes[i]);
		if (guest->n > 1 && !t->volume_error && qb_proof_is_open(t))
			try_alone(run, t);
		else
			end_trial(run, t, guest->begun_us);
	}
}

/* A guest of those of the n trials whose volumes can be made. */
static void begin(struct run *run, struct qb_proof_trial *const *trials, size_t n)
{
	struct running guest = {.begun_us = qb_now_us()};

	for (size_t i = 0; i < n; i++) {
		virStorageVolPtr volume;

		trials[i]->nic = guest.n;
		volume = make_volume(run, trials[i]);
		if (trials[i]->made) {
			guest.volumes[guest.n] = volume;
			guest.trials[guest.n++] = trials[i];
			continue;
		}
		remove_volume(trials[i], volume);
		end_trial(run, trials[i], guest.begun_us);
	}
	if (guest.n && start_guest(run, &guest))
		run->guests[run->n++] = guest;
	else if (guest.n)
		finish(run, &guest);
}

static size_t begin_together(struct run *run, size_t next)
{
	struct qb_proof_trial *trials[QB_PROOF_TOGETHER];
	size_t n = 0;

	for (; n < QB_PROOF_TOGETHER && next + n < run->proof->n_trials; n++) {
		trials[n] = &run->proof->trials[next + n];
		if (run->events->begin)
			run->events->begin(run->events->data, trials[n]);
	}
	begin(run, trials, n);
	return next + n;
}

/* Those that have ended, and those whose time is over. */
static void take_ended(struct run *run, bool all)
{
	for (size_t i = 0; i < run->n;) {
		struct running *guest = &run->guests[i];
		uint64_t ms = (qb_now_us() - guest->begun_us) / 1000;
		/* One that is transient is unknown then. */
		bool ended = sym_virDomainIsActive(guest->domain) != 1;

		if (!ended && ms < guest->n * run->ctx->timeout_ms && !all) {
			i++;
			continue;
		}
		for (size_t k = 0; k < guest->n; k++) {
			guest->trials[k]->ended = ended;
			guest->trials[k]->waited_ms = (unsigned)ms;
		}
		/* What it sent last may be on its way yet. */
		qb_proof_watch(run->watch, run->proof, 0);
		finish(run, guest);
		*guest = run->guests[--run->n];
	}
}

static bool is_stopped(const struct run *run)
{
	return run->events->stop && run->events->stop(run->events->data);
}

static int run_all(struct run *run, struct qb_error *err)
{
	size_t next = 0, alone = 0;

	while (next < run->proof->n_trials || alone < run->n_alone || run->n) {
		bool stop = is_stopped(run), room = !stop && run->n < AT_ONCE;

		if (room && next < run->proof->n_trials)
			next = begin_together(run, next);
		else if (room && alone < run->n_alone)
			begin(run, &run->alone[alone++], 1);
		else
			qb_proof_watch(run->watch, run->proof, LOOK_MS);
		take_ended(run, stop);
		if (stop)
			return qb_error_set(err, EINTR,
					    "stopped by a signal; all guests were removed");
	}
	return 0;
}

int qb_proof_run(const struct qb_proof_ctx *ctx, struct qb_proof *proof,
		 const struct qb_proof_events *events, struct qb_error *err)
{
	_cleanup_watch_ struct qb_proof_watch *watch = NULL;
	struct run run = {.ctx = ctx, .proof = proof, .events = events};
	struct qb_guard guard = QB_GUARD_INIT;
	/* Each trial is run twice at most. */
	unsigned limit_ms = OWN_MS + 2 * (unsigned)proof->n_trials * (ctx->timeout_ms + OWN_MS / 6);
	int r = qb_guard_begin(clean_up, &run, limit_ms, &guard, err);

	if (r == 0)
		r = qb_vir_open(ctx->connect_uri, QB_VIR_PATIENCE_MS, &run.conn, err);
	if (r == 0)
		r = qb_proof_watch_begin(proof, &watch, err);
	if (r == 0) {
		run.watch = watch;
		sweep(run.conn, proof, ctx->machine_id);
		r = run_all(&run, err);
	}
	if (run.conn)
		sym_virConnectClose(run.conn);
	free(run.alone);
	qb_guard_end(&guard);
	return r;
}
