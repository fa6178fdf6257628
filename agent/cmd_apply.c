/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/base/clock.h"
#include "agent/base/log.h"
#include "agent/base/text.h"
#include "agent/host/hardware.h"
#include "agent/noted.h"
#include "agent/peer.h"
#include "agent/prepare.h"

#define RESTORE "net.restore"
#define BRIDGE "net.bridge"

struct report {
	const char *result; /* the word in JSON */
	const char *text;   /* the sentence for a person */
	int exit;
};

static const struct report in_sync = {"in-sync", "Nothing to do", QB_EXIT_OK};
static const struct report done = {"done", "Done", QB_EXIT_OK};
static const struct report refused = {"refused", "Refused; nothing was done", QB_EXIT_REFUSED};
static const struct report partial = {"done", "Done, but for what was refused", QB_EXIT_REFUSED};
static const struct report undone = {"undone", "Failed, and everything was undone", QB_EXIT_FAILED};
static const struct report in_part = {"failed", "What failed was undone, and the rest is done",
				      QB_EXIT_FAILED};
static const struct report stuck = {"undo-failed",
				    "Failed, and not everything could be undone: look at the host",
				    QB_EXIT_UNDO_FAILED};
static const struct report remains = {
	"failed", "Done, but the host is not as wanted: see qubi-agent plan", QB_EXIT_FAILED};
static const struct report unseen = {
	"failed", "Done, but whether the host is as wanted is not known: see qubi-agent plan",
	QB_EXIT_FAILED};
static const struct report unclosed = {
	"failed", "Done, but the journal could not be closed: run qubi-agent apply again",
	QB_EXIT_FAILED};

static int report(const struct qb_invocation *inv, const struct report *what,
		  const struct qb_plan *plan, const struct qb_outcome *outcome, uint64_t start_us)
{
	uint64_t duration_us = qb_now_us() - start_us;
	_cleanup_buf_ struct qb_buf text = {0};
	char hash[QB_UUID_LEN];
	int r;

	if (inv->opt.format == QB_FORMAT_JSON) {
		json_t *changes = plan->rebind ? qb_plan_changes_json(plan) : NULL;

		qb_plan_hash(plan, hash);
		r = qb_print_json(json_pack(
			"{s:s, s:s, s:s, s:o*, s:o, s:o, s:I}", "schema", "qubi-agent/apply/1",
			"result", what->result, "hash", hash, "changes", changes, "steps",
			qb_outcome_steps_json(outcome), "refused", qb_plan_refused_json(plan),
			"duration_us", (json_int_t)duration_us));
		return r < 0 ? QB_EXIT_FAILED : what->exit;
	}
	qb_text_colour(&text, qb_invocation_colour(inv),
		       what->exit == QB_EXIT_OK ? QB_GREEN : QB_RED, what->text);
	qb_buf_puts(&text, " (");
	qb_text_duration(&text, duration_us);
	qb_buf_puts(&text, ").\n");
	r = qb_print_text(&text);
	return r < 0 ? QB_EXIT_FAILED : what->exit;
}

static void plan_text(const struct qb_invocation *inv, const struct qb_prepared *p,
		      struct qb_buf *out)
{
	qb_plan_text(&p->plan, &p->facts.disks, qb_invocation_colour(inv), inv->opt.verbose,
		     qb_terminal_width(), out);
	qb_buf_puts(out, "\n");
}

/* What the next boot is to make again; NULL where somebody else does that. A new reference. */
static json_t *boot_part(const struct qb_prepared *p)
{
	return p->mode != QB_MODE_BOOT && qb_net_keeper(&p->facts.net) == QB_KEEPER_AGENT
		       ? qb_boot_part(&p->config)
		       : NULL;
}

/* The host is as wanted, and no step may have told by what hardware. */
static void adopt(const struct qb_invocation *inv, const struct qb_prepared *p)
{
	struct qb_error err = QB_ERROR_INIT;

	if (p->plan.adopted && qb_journal_adopt(&inv->root, &p->runs, p->plan.adopted, &err) < 0)
		qb_log(QB_LOG_WARNING, "%s", err.msg);
}

/* So that the next boot brings back what is there, and not what the newest run made of it. */
static void configure(const struct qb_invocation *inv, const struct qb_prepared *p)
{
	struct qb_error err = QB_ERROR_INIT;
	json_auto_t *part = boot_part(p);

	if (part && qb_journal_configure(&inv->root, &p->runs, part, &err) < 0)
		qb_log(QB_LOG_WARNING, "%s", err.msg);
}

/* What repair compares with from now on. */
static void note_hardware(const struct qb_invocation *inv, const struct qb_prepared *p)
{
	struct qb_error err = QB_ERROR_INIT;
	json_auto_t *hardware = qb_hardware_json(&p->facts);

	if (qb_noted_write(&inv->root, hardware, &err) < 0)
		qb_log(QB_LOG_WARNING, "%s", err.msg);
}

/* What was done is looked at with fresh eyes: nothing may be left to do. */
static const struct report *look_again(const struct qb_invocation *inv, const struct qb_prepared *p)
{
	_cleanup_prepared_ struct qb_prepared after = {.mode = QB_MODE_APPLY};
	_cleanup_buf_ struct qb_buf text = {0};

	if (qb_prepare_again(inv, &p->config, &after) < 0)
		return &unseen;
	adopt(inv, &after);
	if (!after.plan.n_steps && !after.plan.n_refused)
		note_hardware(inv, &after);
	if (!after.plan.n_steps && after.plan.n_refused == p->plan.n_refused)
		return p->plan.n_refused ? &partial : &done;
	plan_text(inv, &after, &text);
	qb_show(inv, &text);
	return &remains;
}

/*
 * What a run was to complete is done or undone with it: to the one who called apply it is one
 * change. A boot completes nothing.
 */
static const struct report *close_run(const struct qb_invocation *inv, const struct qb_prepared *p,
				      const struct qb_step_ctx *ctx,
				      const struct qb_apply_events *events,
				      struct qb_outcome *outcome)
{
	struct qb_runs broken_off = qb_runs_broken_off(&p->runs);
	struct qb_error err = QB_ERROR_INIT;
	bool boot = p->mode == QB_MODE_BOOT;

	if (outcome->state == QB_RUN_UNDONE && !boot)
		qb_rollback(ctx, &broken_off, events, outcome);
	if (outcome->error)
		qb_log(QB_LOG_ERROR, "%s", outcome->error);
	if (outcome->state != QB_RUN_DONE)
		return outcome->state == QB_RUN_STUCK ? &stuck : boot ? &in_part : &undone;
	if (boot)
		return p->plan.n_refused ? &partial : &done;
	if (!outcome->error &&
	    qb_journal_complete(&inv->root, &p->runs, QB_RUN_CONTINUED, &err) < 0)
		qb_log(QB_LOG_WARNING, "%s", err.msg);
	return outcome->error ? &unclosed : look_again(inv, p);
}

/* The run itself, once it is agreed on. NULL: nothing was done, and why is said. */
static const struct report *execute(struct qb_invocation *inv, struct qb_prepared *p,
				    struct qb_outcome *outcome)
{
	_cleanup_journal_ struct qb_journal journal = QB_JOURNAL_INIT;
	struct qb_apply_events events = {
		.begin = qb_progress_begin,
		.end = qb_progress_end,
		.confirm = inv->opt.confirm_ms ? qb_confirm : NULL,
		.confirm_ms = inv->opt.confirm_ms,
		/* What a NIC has again it keeps when its bridge cannot be made: the host is reached
		 * by it. Nor does one bridge stand for another. */
		.each = p->mode == QB_MODE_BOOT,
		.data = inv,
	};
	_cleanup_free_ char *peer = qb_session_peer(&inv->root);
	struct qb_step_ctx ctx = qb_step_context(inv, &p->facts);
	json_auto_t *document = qb_plan_to_json(&p->plan), *part = boot_part(p);
	struct qb_error err = QB_ERROR_INIT;
	/* What a boot makes again is the change of the run that made it first. */
	const struct qb_runs *runs = p->mode == QB_MODE_BOOT ? NULL : &p->runs;
	int r = qb_journal_begin(&inv->root, runs, document, part, &journal, &err);

	if (r < 0) {
		qb_log(QB_LOG_ERROR, "nothing was done: %s", err.msg);
		return NULL;
	}
	ctx.peer = peer;
	ctx.provisional = events.confirm != NULL;
	qb_apply(&ctx, &p->plan, &journal, &events, outcome);
	return close_run(inv, p, &ctx, &events, outcome);
}

static int execute_and_report(struct qb_invocation *inv, struct qb_prepared *p, uint64_t start_us)
{
	_cleanup_outcome_ struct qb_outcome outcome = {0};
	const struct report *what = execute(inv, p, &outcome);

	return what ? report(inv, what, &p->plan, &outcome, start_us) : QB_EXIT_FAILED;
}

int qb_run_plan(struct qb_invocation *inv, enum qb_mode mode)
{
	static const struct qb_outcome nothing = {0};
	_cleanup_prepared_ struct qb_prepared p = {.mode = mode};
	_cleanup_buf_ struct qb_buf text = {0};
	struct qb_error err = QB_ERROR_INIT;
	_cleanup_close_ int lock = -1;
	uint64_t start_us = qb_now_us();
	int r = qb_enter_run(inv, &lock);

	if (r == QB_EXIT_OK)
		r = qb_can_confirm(inv);
	if (r != QB_EXIT_OK)
		return r;
	r = qb_prepare(inv, &p);
	if (r < 0)
		return QB_EXIT_USAGE;
	if (mode == QB_MODE_REPAIR)
		qb_plan_changes_text(&p.plan, qb_invocation_colour(inv), qb_terminal_width(),
				     &text);
	if (!p.plan.n_steps && !p.plan.n_refused) {
		if (qb_journal_complete(&inv->root, &p.runs, QB_RUN_DONE, &err) < 0)
			qb_log(QB_LOG_WARNING, "%s", err.msg);
		adopt(inv, &p);
		configure(inv, &p);
		note_hardware(inv, &p);
		qb_show(inv, &text);
		return report(inv, &in_sync, &p.plan, &nothing, start_us);
	}
	plan_text(inv, &p, &text);
	qb_show(inv, &text);
	if (!p.plan.n_steps || (p.plan.n_refused && !inv->opt.allow_partial))
		return report(inv, &refused, &p.plan, &nothing, start_us);
	r = qb_consent(inv, &text, "Apply this plan?");
	return r != QB_EXIT_OK ? r : execute_and_report(inv, &p, start_us);
}

static int run(struct qb_invocation *inv)
{
	return qb_run_plan(inv, QB_MODE_APPLY);
}

const struct qb_command qb_cmd_apply = {
	.name = "apply",
	.summary = "do it, verify each step, undo on failure",
	.help = "Prints the plan, asks, and executes it. Each step is observed, applied and\n"
		"verified; when one fails, it and all before it are undone. When any part of the\n"
		"plan is refused nothing is done, unless --allow-partial is given. A run that was\n"
		"killed is completed by running apply again, and undone with it if that fails.\n\n"
		"A change of the network is undone when what answered before it does not after "
		"it,\n"
		"also when the agent is killed in it. With --confirm it is undone as well, and "
		"with\n"
		"it the run, unless somebody answers \"y\" in time: who cannot, has been cut off.\n"
		"A power cycle before the answer brings the network back as it was, too.",
	.takes = QB_TAKES_CONSENT | QB_TAKES_PARTIAL | QB_TAKES_CONFIRM,
	.run = run,
};

/*
 * What ports had is given back to them first, once those are made that are, and p is prepared anew
 * then: a NIC that is switched on gives itself addresses, and what a bridge takes over is to be as
 * it was planned.
 */
static int restore_ports(struct qb_invocation *inv, struct qb_prepared *p)
{
	_cleanup_prepared_ struct qb_prepared first = {0};
	_cleanup_outcome_ struct qb_outcome outcome = {0};
	_cleanup_buf_ struct qb_buf text = {0};

	if (!qb_plan_has(&p->plan, RESTORE))
		return QB_EXIT_OK;
	QB_SWAP(first, *p);
	p->mode = first.mode;
	qb_plan_leave_out(&first.plan, BRIDGE);
	plan_text(inv, &first, &text);
	qb_show(inv, &text);
	if (!execute(inv, &first, &outcome))
		return QB_EXIT_FAILED;
	return qb_prepare(inv, p) < 0 ? QB_EXIT_FAILED : QB_EXIT_OK;
}

static int run_boot(struct qb_invocation *inv)
{
	static const struct qb_outcome nothing = {0};
	_cleanup_prepared_ struct qb_prepared p = {.mode = QB_MODE_BOOT};
	_cleanup_buf_ struct qb_buf text = {0};
	_cleanup_close_ int lock = -1;
	uint64_t start_us = qb_now_us();
	int r = qb_enter_run(inv, &lock);

	if (r == QB_EXIT_OK && qb_prepare(inv, &p) < 0)
		r = QB_EXIT_FAILED;
	if (r == QB_EXIT_OK)
		r = restore_ports(inv, &p);
	if (r != QB_EXIT_OK)
		return r;
	if (p.plan.n_steps || p.plan.n_refused)
		plan_text(inv, &p, &text);
	qb_show(inv, &text);
	if (!p.plan.n_steps)
		r = report(inv, p.plan.n_refused ? &refused : &in_sync, &p.plan, &nothing,
			   start_us);
	else
		r = execute_and_report(inv, &p, start_us);
	return r == QB_EXIT_OK && p.damaged ? QB_EXIT_FAILED : r;
}

const struct qb_command qb_cmd_boot = {
	.name = "boot",
	.summary = "after the host has started: make bridges again that nobody else does",
	.help = "For qubi-agent-network.service. On a host without NetworkManager and without\n"
		"systemd-networkd a boot leaves nothing of the bridges, bonds and VLANs that runs\n"
		"made: they are made again as apply last had them configured, with what ports\n"
		"have then, or where nobody gave them an address, with what they had. The\n"
		"configuration file is not read and libvirt not asked. It is no run of its own:\n"
		"rollback undoes the one that made them.",
	.run = run_boot,
};
