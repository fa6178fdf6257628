/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

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

struct running {
	struct qb_proof_trial *trial;
	virStorageVolPtr volume;
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
};

/* What libvirt said last, printable. */
static char *complaint(void)
{
	virErrorPtr last = sym_virGetLastError();

	return qb_str_printable(last && last->message ? last->message : "no reason given");
}

/* A part of a volume's beginning to or from it. False: libvirt's last error says why. */
static bool transfer(virConnectPtr conn, virStorageVolPtr volume, bool up, unsigned char *data,
		     size_t len)
{
	virStreamPtr stream = sym_virStreamNew(conn, 0);
	int r = !stream ? -1
		: up    ? sym_virStorageVolUpload(volume, stream, 0, len, 0)
			: sym_virStorageVolDownload(volume, stream, 0, len, 0);
	size_t done = 0;

	while (r >= 0 && done < len) {
		char *at = (char *)data + done;

		r = up ? sym_virStreamSend(stream, at, len - done)
		       : sym_virStreamRecv(stream, at, len - done);
		if (r == 0)
			break;
		done += r > 0 ? (size_t)r : 0;
	}
	if (r >= 0)
		r = sym_virStreamFinish(stream);
	else if (stream)
		(void)sym_virStreamAbort(stream);
	if (stream)
		sym_virStreamFree(stream);
	return r >= 0 && done == len;
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
		    transfer(conn, list[i], false, disk, sizeof(disk)) &&
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

static bool make_volume(const struct run *run, struct running *guest)
{
	struct qb_proof_trial *t = guest->trial;
	_cleanup_free_ char *xml = qb_proof_volume_xml(t);
	virStoragePoolPtr pool = sym_virStoragePoolLookupByName(run->conn, t->pool);
	unsigned char disk[DISK_BYTES];

	guest->volume = pool ? sym_virStorageVolCreateXML(pool, xml, 0) : NULL;
	qb_proof_disk(t, disk);
	t->made = guest->volume && transfer(run->conn, guest->volume, true, disk, sizeof(disk));
	if (!t->made)
		t->volume_error = complaint();
	if (pool)
		sym_virStoragePoolFree(pool);
	return t->made;
}

static void read_label(struct running *guest)
{
	virSecurityLabel label = {0};

	if (sym_virDomainGetSecurityLabel(guest->domain, &label) == 0 && label.label[0])
		guest->trial->label = qb_str_printable(label.label);
}

/* It ends with this connection. Its label is looked at before it can have ended by itself. */
static bool start_guest(const struct run *run, struct running *guest)
{
	struct qb_proof_trial *t = guest->trial;
	_cleanup_free_ char *xml = qb_proof_domain_xml(run->proof, t);

	guest->domain = sym_virDomainCreateXML(
		run->conn, xml, VIR_DOMAIN_START_PAUSED | VIR_DOMAIN_START_AUTODESTROY);
	if (guest->domain)
		read_label(guest);
	t->started = guest->domain && sym_virDomainResume(guest->domain) == 0;
	if (!t->started)
		t->start_error = complaint();
	return t->started;
}

static void finish(struct run *run, struct running *guest)
{
	struct qb_proof_trial *t = guest->trial;
	unsigned char disk[DISK_BYTES];

	if (guest->domain && !t->ended)
		(void)sym_virDomainDestroy(guest->domain);
	if (t->started && transfer(run->conn, guest->volume, false, disk, sizeof(disk)))
		memcpy(t->result, disk + QB_GUEST_RESULT * QB_GUEST_SECTOR, sizeof(t->result));
	else if (t->started)
		t->result_error = complaint();
	if (guest->volume && sym_virStorageVolDelete(guest->volume, 0) < 0 && !t->volume_error)
		t->volume_error = complaint();
	if (guest->domain)
		sym_virDomainFree(guest->domain);
	if (guest->volume)
		sym_virStorageVolFree(guest->volume);
	t->duration_us = qb_now_us() - guest->begun_us;
	if (run->events->end)
		run->events->end(run->events->data, t);
}

static void begin(struct run *run, struct qb_proof_trial *t)
{
	struct running guest = {.trial = t, .begun_us = qb_now_us()};

	if (run->events->begin)
		run->events->begin(run->events->data, t);
	if (make_volume(run, &guest) && start_guest(run, &guest))
		run->guests[run->n++] = guest;
	else
		finish(run, &guest);
}

/* Those that have ended, and those whose time is over. */
static void take_ended(struct run *run, bool all)
{
	for (size_t i = 0; i < run->n;) {
		struct running *guest = &run->guests[i];
		uint64_t ms = (qb_now_us() - guest->begun_us) / 1000;

		/* One that is transient is unknown then. */
		guest->trial->ended = sym_virDomainIsActive(guest->domain) != 1;
		guest->trial->waited_ms = (unsigned)ms;
		if (!guest->trial->ended && ms < run->ctx->timeout_ms && !all) {
			i++;
			continue;
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
	size_t next = 0;

	while (next < run->proof->n_trials || run->n) {
		bool stop = is_stopped(run);

		if (!stop && next < run->proof->n_trials && run->n < AT_ONCE)
			begin(run, &run->proof->trials[next++]);
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
	unsigned limit_ms = OWN_MS + (unsigned)proof->n_trials * (ctx->timeout_ms + OWN_MS / 6);
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
	qb_guard_end(&guard);
	return r;
}
