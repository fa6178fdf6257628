/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/base/text.h"
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

void qb_plan_refused_text(const struct qb_plan *plan, bool colour, unsigned width,
			  struct qb_buf *out)
{
	for (size_t i = 0; i < plan->n_refused; i++) {
		const struct qb_refusal *refusal = &plan->refused[i];
		_cleanup_free_ char *name = qb_asprintf("refused: %s", refusal->target);

		qb_buf_puts(out, "\n");
		qb_text_colour(out, colour, QB_RED, name);
		qb_buf_puts(out, "\n");
		for (size_t j = 0; j < refusal->n_reasons; j++) {
			const struct qb_reason *reason = &refusal->reasons[j];
			_cleanup_free_ char *text =
				qb_asprintf("%s: %s", reason->code, reason->evidence);

			qb_buf_puts(out, "  - ");
			qb_text_wrap(out, 4, 4, width, text);
		}
	}
}

void qb_plan_text(const struct qb_plan *plan, bool colour, bool verbose, unsigned width,
		  struct qb_buf *out)
{
	heading(plan, colour, out);
	for (size_t i = 0; i < plan->n_steps; i++)
		step_text(&plan->steps[i], i + 1, colour, verbose, width, out);
	qb_plan_refused_text(plan, colour, width, out);
}
