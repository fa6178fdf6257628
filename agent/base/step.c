/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/base/step.h"

const char *qb_undo_name(enum qb_undo undo)
{
	switch (undo) {
	case QB_UNDO_EXACT:
		return "exact";
	case QB_UNDO_BEST_EFFORT:
		return "best-effort";
	case QB_UNDO_NONE:
		return "none";
	}
	return NULL;
}

const char *qb_arg(const json_t *object, const char *key)
{
	return json_string_value(json_object_get(object, key));
}

void qb_plan_adopt(struct qb_plan *plan, const char *target, json_t *what)
{
	if (!plan->adopted)
		plan->adopted = json_object();
	json_object_set_new(plan->adopted, target, what);
}

struct qb_step *qb_plan_step(struct qb_plan *plan, const char *kind, enum qb_undo undo,
			     json_t *args, const char *target)
{
	struct qb_step *step = QB_APPEND(plan->steps, plan->n_steps);

	step->kind = kind;
	step->undo = undo;
	step->args = args;
	step->target = qb_strdup(target);
	return step;
}

/* What a disk or a file is called is in these sentences, and they go to terminals and into JSON. */
static char *printable(const char *fmt, va_list ap)
{
	_cleanup_free_ char *raw = qb_vasprintf(fmt, ap);

	return qb_str_printable(raw);
}

void qb_step_why(struct qb_step *step, const char *fmt, ...)
{
	va_list ap;

	free(QB_TAKE_PTR(step->why));
	va_start(ap, fmt);
	step->why = printable(fmt, ap);
	va_end(ap);
}

void qb_step_differences(struct qb_step *step, json_t *list)
{
	if (json_array_size(list))
		step->differences = list;
	else
		json_decref(list);
}

void qb_difference(json_t *list, const char *key, const char *is, const char *wanted,
		   const char *source)
{
	_cleanup_free_ char *safe_key = qb_str_printable(key);
	_cleanup_free_ char *safe_is = is ? qb_str_printable(is) : NULL;
	_cleanup_free_ char *safe_wanted = wanted ? qb_str_printable(wanted) : NULL;
	_cleanup_free_ char *safe_source = qb_str_printable(source);

	json_array_append_new(list,
			      json_pack("{s:s, s:s?, s:s?, s:s}", "key", safe_key, "is", safe_is,
					"wanted", safe_wanted, "source", safe_source));
}

static struct qb_refusal *refusal_find(const struct qb_plan *plan, const char *target)
{
	for (size_t i = 0; i < plan->n_refused; i++)
		if (!strcmp(plan->refused[i].target, target))
			return &plan->refused[i];
	return NULL;
}

bool qb_plan_refuses(const struct qb_plan *plan, const char *target)
{
	return refusal_find(plan, target);
}

void qb_plan_refuse(struct qb_plan *plan, const char *target, const char *code, const char *fmt,
		    ...)
{
	struct qb_refusal *refusal = refusal_find(plan, target);
	struct qb_reason *reason;
	va_list ap;

	if (!refusal) {
		refusal = QB_APPEND(plan->refused, plan->n_refused);
		refusal->target = qb_strdup(target);
	}
	reason = QB_APPEND(refusal->reasons, refusal->n_reasons);
	reason->code = qb_strdup(code);
	va_start(ap, fmt);
	reason->evidence = printable(fmt, ap);
	va_end(ap);
}

static void step_done(struct qb_step *step)
{
	free(step->target);
	free(step->why);
	json_decref(step->args);
	json_decref(step->differences);
}

void qb_plan_change(struct qb_plan *plan, const char *target, const char *kind, json_t *was,
		    json_t *is, const char *fmt, ...)
{
	struct qb_change *change = QB_APPEND(plan->changes, plan->n_changes);
	va_list ap;

	change->kind = kind;
	change->target = qb_strdup(target);
	change->was = was;
	change->is = is;
	va_start(ap, fmt);
	change->why = printable(fmt, ap);
	va_end(ap);
}

void qb_change_why(struct qb_change *change, const char *fmt, ...)
{
	_cleanup_free_ char *first = change->why, *more = NULL;
	va_list ap;

	va_start(ap, fmt);
	more = printable(fmt, ap);
	va_end(ap);
	change->why = qb_asprintf("%s%s", first, more);
}

/* kind: NULL for what is refused. */
static void leave_out(struct qb_plan *plan, const char *kind)
{
	size_t kept = 0;

	for (size_t i = 0; i < plan->n_steps; i++) {
		struct qb_step *step = &plan->steps[i];

		if (kind ? !strcmp(step->kind, kind) : qb_plan_refuses(plan, step->target))
			step_done(step);
		else
			plan->steps[kept++] = *step;
	}
	plan->n_steps = kept;
}

void qb_plan_drop_refused(struct qb_plan *plan)
{
	leave_out(plan, NULL);
}

void qb_plan_leave_out(struct qb_plan *plan, const char *kind)
{
	leave_out(plan, kind);
}

bool qb_plan_has_for(const struct qb_plan *plan, const char *kind, const char *target)
{
	for (size_t i = 0; i < plan->n_steps; i++)
		if (!strcmp(plan->steps[i].kind, kind) && !strcmp(plan->steps[i].target, target))
			return true;
	return false;
}

bool qb_plan_has(const struct qb_plan *plan, const char *kind)
{
	for (size_t i = 0; i < plan->n_steps; i++)
		if (!strcmp(plan->steps[i].kind, kind))
			return true;
	return false;
}

void qb_plan_done(struct qb_plan *plan)
{
	for (size_t i = 0; i < plan->n_steps; i++)
		step_done(&plan->steps[i]);
	for (size_t i = 0; i < plan->n_refused; i++) {
		struct qb_refusal *refusal = &plan->refused[i];

		for (size_t j = 0; j < refusal->n_reasons; j++) {
			free(refusal->reasons[j].code);
			free(refusal->reasons[j].evidence);
		}
		free(refusal->reasons);
		free(refusal->target);
	}
	for (size_t i = 0; i < plan->n_changes; i++) {
		free(plan->changes[i].target);
		free(plan->changes[i].why);
		json_decref(plan->changes[i].was);
		json_decref(plan->changes[i].is);
	}
	free(plan->steps);
	free(plan->refused);
	free(plan->changes);
	json_decref(plan->adopted);
	*plan = (struct qb_plan){0};
}

/* By target, and the newest first. */
static int compare_entries(const void *va, const void *vb)
{
	const struct qb_ledger_entry *a = *(const struct qb_ledger_entry *const *)va;
	const struct qb_ledger_entry *b = *(const struct qb_ledger_entry *const *)vb;
	int r = strcmp(a->target, b->target);

	return r ? r : (a < b) - (a > b);
}

void qb_ledger_index(struct qb_ledger *ledger)
{
	free(ledger->order);
	ledger->order = qb_alloc(ledger->n_entries, sizeof(const struct qb_ledger_entry *));
	for (size_t i = 0; i < ledger->n_entries; i++)
		ledger->order[i] = &ledger->entries[i];
	qsort(ledger->order, ledger->n_entries, sizeof(ledger->order[0]), compare_entries);
}

static const struct qb_ledger_entry *find_ordered(const struct qb_ledger *ledger,
						  const char *target,
						  const struct qb_ledger_entry *before)
{
	size_t low = 0, high = ledger->n_entries;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int r = strcmp(ledger->order[middle]->target, target);

		if (r < 0 || (r == 0 && ledger->order[middle] >= before))
			low = middle + 1;
		else
			high = middle;
	}
	return low < ledger->n_entries && !strcmp(ledger->order[low]->target, target)
		       ? ledger->order[low]
		       : NULL;
}

const struct qb_ledger_entry *qb_ledger_newest(const struct qb_ledger *ledger, const char *target,
					       const struct qb_ledger_entry *before)
{
	if (!ledger || !ledger->n_entries)
		return NULL;
	if (!before)
		before = ledger->entries + ledger->n_entries;
	if (ledger->order)
		return find_ordered(ledger, target, before);
	while (before > ledger->entries)
		if (!strcmp((--before)->target, target))
			return before;
	return NULL;
}

void qb_ledger_done(struct qb_ledger *ledger)
{
	for (size_t i = 0; i < ledger->n_entries; i++) {
		free(ledger->entries[i].kind);
		free(ledger->entries[i].target);
		json_decref(ledger->entries[i].args);
		json_decref(ledger->entries[i].before);
	}
	free(ledger->entries);
	free(ledger->order);
	json_decref(ledger->config);
	*ledger = (struct qb_ledger){0};
}
