/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/prepare.h"

#include <errno.h>
#include <unistd.h>

#include "agent/base/log.h"
#include "agent/base/text.h"
#include "agent/host/hardware.h"
#include "agent/host/host.h"
#include "agent/lock.h"
#include "agent/noted.h"

static int load_runs_of_boot(const struct qb_invocation *inv, struct qb_prepared *ret)
{
	_cleanup_strs_ struct qb_strs damaged = {0};
	struct qb_error err = QB_ERROR_INIT;
	int r = qb_journal_read_rest(&inv->root, &damaged, &ret->runs, &err);

	for (size_t i = 0; i < damaged.n; i++)
		qb_log(QB_LOG_ERROR, "%s; made is what the rest of the journal says", damaged.v[i]);
	if (r < 0)
		qb_log(QB_LOG_ERROR, "%s", err.msg);
	ret->damaged = damaged.n;
	return r;
}

static int load_runs(const struct qb_invocation *inv, struct qb_runs *ret)
{
	struct qb_error err = QB_ERROR_INIT;
	int r;

	if (inv->opt.facts)
		return 0;
	r = qb_journal_read(&inv->root, ret, &err);
	if (r == -EACCES && geteuid() != 0) {
		qb_log(QB_LOG_WARNING, "%s; the plan is made without it: run as root", err.msg);
		return 0;
	}
	if (r < 0)
		qb_log(QB_LOG_ERROR, "%s", err.msg);
	return r;
}

static int prepare_boot(struct qb_prepared *ret)
{
	struct qb_error err = QB_ERROR_INIT;
	int r = qb_boot_config(&ret->ledger, &ret->config, &err);

	if (r < 0) {
		qb_log(QB_LOG_ERROR, "%s", err.msg);
		return r;
	}
	/* A card that is called otherwise since the boot has the host's addresses no less. */
	ret->plan.bound = true;
	/* Another program makes them, from what was written for it. */
	if (qb_net_keeper(&ret->facts.net) == QB_KEEPER_AGENT)
		qb_net_plan(&ret->facts, &ret->config, &ret->ledger, &ret->plan);
	qb_plan_drop_refused(&ret->plan);
	return 0;
}

/* Whoever repairs wants to hear of it, though not to be kept from it. */
static void tell_hardware(const struct qb_invocation *inv, struct qb_prepared *ret)
{
	struct qb_error err = QB_ERROR_INIT;
	json_auto_t *was = NULL;

	if (qb_noted_read(&inv->root, &was, &err) < 0)
		qb_log(QB_LOG_WARNING, "%s", err.msg);
	qb_hardware_plan(was, &ret->facts, &ret->plan);
}

int qb_prepare_again(const struct qb_invocation *inv, const struct qb_config *config,
		     struct qb_prepared *ret)
{
	/* libvirt is started after the network, and cannot answer yet. */
	unsigned without = ret->mode == QB_MODE_BOOT ? QB_FACTS_ALL & ~QB_FACTS_NET : 0;
	_cleanup_strs_ struct qb_strs reads = {0};
	int r;

	if (ret->mode != QB_MODE_BOOT)
		qb_host_reads(config, &reads);
	/* Facts first: they are asked for by processes, which a long journal need not be part of.
	 */
	r = qb_invocation_facts(inv, config, &reads, without, &ret->facts);
	if (r == 0)
		r = ret->mode == QB_MODE_BOOT ? load_runs_of_boot(inv, ret)
					      : load_runs(inv, &ret->runs);
	if (r < 0)
		return r;
	qb_runs_ledger(&ret->runs, &ret->ledger);
	if (ret->mode == QB_MODE_BOOT)
		return prepare_boot(ret);
	qb_plan_make(&ret->facts, config, &ret->ledger, ret->mode == QB_MODE_REPAIR, &ret->plan);
	if (ret->mode == QB_MODE_REPAIR)
		tell_hardware(inv, ret);
	return 0;
}

/* Nobody was there to hear it from the run itself. What came before it has been told. */
static void tell_broken_off(const struct qb_runs *runs)
{
	const struct qb_run *run = runs->n ? &runs->v[runs->n - 1] : NULL;

	for (size_t i = 0; run && run->state == QB_RUN_OPEN && i < run->n_steps; i++) {
		_cleanup_free_ char *target = qb_str_printable(run->steps[i].target);
		_cleanup_free_ char *error = qb_str_printable(run->steps[i].error);

		if (run->steps[i].error)
			qb_log(QB_LOG_WARNING, "run %u was broken off, %s: %s", run->id, target,
			       error);
	}
}

int qb_prepare(const struct qb_invocation *inv, struct qb_prepared *ret)
{
	int r = ret->mode == QB_MODE_BOOT ? 0 : qb_invocation_config(inv, &ret->config);

	if (r == 0)
		r = qb_prepare_again(inv, &ret->config, ret);
	if (r == 0)
		tell_broken_off(&ret->runs);
	return r;
}

void qb_prepared_done(struct qb_prepared *p)
{
	qb_plan_done(&p->plan);
	qb_ledger_done(&p->ledger);
	qb_runs_done(&p->runs);
	qb_facts_done(&p->facts);
	qb_config_done(&p->config);
}

struct qb_step_ctx qb_step_context(const struct qb_invocation *inv, const struct qb_facts *facts)
{
	return (struct qb_step_ctx){
		.root = &inv->root,
		.connect_uri = inv->opt.connect,
		.timeout_ms = inv->opt.timeout_ms,
		.machine_id = facts->system.machine_id,
	};
}

int qb_enter_run(const struct qb_invocation *inv, int *ret_lock)
{
	struct qb_error err = QB_ERROR_INIT;
	int r;

	if (geteuid() != 0) {
		qb_log(QB_LOG_ERROR, "changing this host needs root; run it with sudo");
		return QB_EXIT_USAGE;
	}
	r = qb_lock(&inv->root, ret_lock, &err);
	if (r < 0)
		qb_log(QB_LOG_ERROR, "%s", err.msg);
	return r == -EWOULDBLOCK ? QB_EXIT_LOCKED : r < 0 ? QB_EXIT_FAILED : QB_EXIT_OK;
}

bool qb_reports_text(const struct qb_invocation *inv)
{
	return inv->opt.format == QB_FORMAT_TEXT && !inv->opt.quiet;
}

void qb_show(const struct qb_invocation *inv, const struct qb_buf *what)
{
	/* Whether the report can be written is told by the last line of it. */
	if (qb_reports_text(inv))
		(void)!qb_print_text(what);
}

int qb_consent(const struct qb_invocation *inv, const struct qb_buf *what, const char *question)
{
	char answer[16];

	if (inv->opt.yes)
		return QB_EXIT_OK;
	if (!isatty(STDIN_FILENO) || !isatty(STDERR_FILENO)) {
		qb_log(QB_LOG_ERROR, "nothing was done: there is no terminal to ask on, and --yes "
				     "was not given");
		return QB_EXIT_USAGE;
	}
	if (!qb_reports_text(inv) || !isatty(STDOUT_FILENO))
		fputs(what->s, stderr);
	fprintf(stderr, "%s [y/N] ", question);
	if (fgets(answer, sizeof(answer), stdin) && (answer[0] == 'y' || answer[0] == 'Y'))
		return QB_EXIT_OK;
	qb_log(QB_LOG_INFO, "nothing was done");
	return QB_EXIT_USAGE;
}

void qb_progress_begin(void *data, size_t i, size_t n, const char *target, bool undo)
{
	const struct qb_invocation *inv = data;
	_cleanup_free_ char *safe = qb_str_printable(target);

	if (!qb_reports_text(inv) || !isatty(STDOUT_FILENO))
		return;
	printf("%s[%zu/%zu] %s ...\r", undo ? "undo " : "", i + 1, n, safe);
	fflush(stdout);
}

static void progress_line(const struct qb_invocation *inv, size_t i, size_t n,
			  const struct qb_outcome_step *step, const char *target)
{
	static const enum qb_colour colours[] = {QB_GREY, QB_GREEN,  QB_GREY,
						 QB_RED,  QB_YELLOW, QB_RED};
	_cleanup_buf_ struct qb_buf line = {0};

	qb_buf_printf(&line, "[%zu/%zu] %s: ", i + 1, n, target);
	qb_text_colour(&line, qb_invocation_colour(inv), colours[step->status],
		       qb_outcome_status_name(step->status));
	if (step->status == QB_OUTCOME_DONE) {
		qb_buf_puts(&line, " (");
		qb_text_duration(&line, step->duration_us);
		qb_buf_puts(&line, ")");
	}
	/* On a terminal: over what begin wrote, and clear the rest of the line. */
	printf("%s%s\n", isatty(STDOUT_FILENO) ? "\r\033[K" : "", line.s);
	fflush(stdout);
}

void qb_progress_end(void *data, size_t i, size_t n, const struct qb_outcome_step *step,
		     const char *error)
{
	const struct qb_invocation *inv = data;
	_cleanup_free_ char *safe = qb_str_printable(step->target);

	if (qb_reports_text(inv))
		progress_line(inv, i, n, step, safe);
	if (error)
		qb_log(QB_LOG_ERROR, "%s: %s", safe, error);
}
