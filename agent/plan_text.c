/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/base/text.h"
#include "agent/disks_text.h"
#include "agent/plan.h"

void qb_plan_changes_text(const struct qb_plan *plan, bool colour, unsigned width,
			  struct qb_buf *out)
{
	qb_text_colour(out, colour, QB_BOLD,
		       plan->n_changes ? "Hardware that changed since the last success:"
				       : "No hardware has changed since the last success.");
	qb_buf_puts(out, "\n");
	for (size_t i = 0; i < plan->n_changes; i++) {
		qb_buf_puts(out, "  - ");
		qb_text_wrap(out, 4, 4, width, plan->changes[i].why);
	}
	qb_buf_puts(out, "\n");
}

static void heading(const struct qb_plan *plan, bool colour, struct qb_buf *out)
{
	_cleanup_free_ char *text = NULL;

	if (!plan->n_steps && !plan->n_refused)
		text = qb_strdup("Nothing to do: this host is as the configuration wants it.");
	else
		text = qb_asprintf("Plan: %zu step%s, %zu refused.", plan->n_steps,
				   plan->n_steps == 1 ? "" : "s", plan->n_refused);
	qb_text_colour(out, colour, QB_BOLD, text);
	qb_buf_puts(out, "\n");
}

/* "mtu: 1400, and 1500 is wanted (kernel)" */
static void differences_text(const json_t *list, unsigned width, struct qb_buf *out)
{
	const json_t *d;
	size_t i;

	json_array_foreach (list, i, d) {
		const char *key = json_string_value(json_object_get(d, "key"));
		const char *is = json_string_value(json_object_get(d, "is"));
		const char *wanted = json_string_value(json_object_get(d, "wanted"));
		const char *source = json_string_value(json_object_get(d, "source"));
		_cleanup_free_ char *text = NULL;

		text = is && wanted ? qb_asprintf("%s: %s, and %s is wanted (%s)", key, is, wanted,
						  source)
		       : is ? qb_asprintf("%s: %s is not wanted there (%s)", key, is, source)
			    : qb_asprintf("%s: %s is missing (%s)", key, wanted, source);
		qb_buf_puts(out, "    - ");
		qb_text_wrap(out, 6, 6, width, text);
	}
}

static void step_text(const struct qb_step *step, size_t number, bool colour, bool verbose,
		      unsigned width, struct qb_buf *out)
{
	_cleanup_free_ char *name = qb_asprintf("%2zu. %s", number, step->target);

	qb_buf_puts(out, "\n");
	qb_text_colour(out, colour, QB_BOLD, name);
	qb_buf_printf(out, "  [%s, undo %s]\n    ", step->kind, qb_undo_name(step->undo));
	qb_text_wrap(out, 4, 4, width, step->why);
	differences_text(step->differences, width, out);
	if (verbose) {
		_cleanup_free_ char *args = json_dumps(step->args, JSON_COMPACT);

		qb_buf_puts(out, "    ");
		qb_text_wrap(out, 4, 4, width, args);
	}
}

static bool is_about_disks(const struct qb_plan *plan)
{
	for (size_t i = 0; i < plan->n_refused; i++)
		if (qb_startswith(plan->refused[i].target, "pool "))
			return true;
	for (size_t i = 0; i < plan->n_steps; i++)
		if (qb_startswith(plan->steps[i].kind, "storage."))
			return true;
	return false;
}

/* Whether the table of disks has this reason against the disk that it is about. */
static bool is_in_table(const struct qb_disks *disks, const struct qb_reason *reason)
{
	for (size_t i = 0; disks && i < disks->n_disks; i++) {
		const struct qb_disk *d = &disks->disks[i];
		size_t len = d->path ? strlen(d->path) : 0;

		if (!len || strncmp(reason->evidence, d->path, len) != 0 ||
		    !qb_startswith(reason->evidence + len, ": "))
			continue;
		for (size_t k = 0; k < d->n_reasons; k++)
			if (qb_streq(d->reasons[k].code, reason->code) &&
			    qb_streq(d->reasons[k].evidence, reason->evidence + len + 2))
				return true;
	}
	return false;
}

static void refusal_text(const struct qb_refusal *refusal, const struct qb_disks *disks,
			 unsigned width, struct qb_buf *out)
{
	size_t told = 0;

	for (size_t i = 0; i < refusal->n_reasons; i++)
		told += is_in_table(disks, &refusal->reasons[i]);
	for (size_t i = 0; i < refusal->n_reasons; i++) {
		const struct qb_reason *reason = &refusal->reasons[i];
		_cleanup_free_ char *text = qb_asprintf("%s: %s", reason->code, reason->evidence);

		/* Of many disks none will do; of one that was named it is said here, too. */
		if (told < refusal->n_reasons && is_in_table(disks, reason))
			continue;
		qb_buf_puts(out, "  - ");
		qb_text_wrap(out, 4, 4, width, text);
	}
}

static void refused_text(const struct qb_plan *plan, const struct qb_disks *disks, bool colour,
			 unsigned width, struct qb_buf *out)
{
	for (size_t i = 0; i < plan->n_refused; i++) {
		_cleanup_free_ char *name = qb_asprintf("refused: %s", plan->refused[i].target);

		qb_buf_puts(out, "\n");
		qb_text_colour(out, colour, QB_RED, name);
		qb_buf_puts(out, "\n");
		refusal_text(&plan->refused[i], disks, width, out);
	}
}

void qb_plan_text(const struct qb_plan *plan, const struct qb_disks *disks, bool colour,
		  bool verbose, unsigned width, struct qb_buf *out)
{
	if (disks && (!qb_is(&disks->known) || !is_about_disks(plan)))
		disks = NULL;
	heading(plan, colour, out);
	if (disks) {
		qb_buf_puts(out, "\n");
		qb_disks_text(disks, plan, colour, width, out);
	}
	for (size_t i = 0; i < plan->n_steps; i++)
		step_text(&plan->steps[i], i + 1, colour, verbose, width, out);
	refused_text(plan, disks, colour, width, out);
}
