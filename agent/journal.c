/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/journal.h"

#include <errno.h>
#include <fcntl.h>
#include <time.h>

#include "agent/noted.h"

#define JOURNAL_DIR "/var/lib/qubi-agent/journal"
#define ADOPTED "/var/lib/qubi-agent/adopted.json"

/* What it tells of is gone with the next boot. */
#define RUN_DIR "/run/qubi-agent"

enum {
	JOURNAL_MAX = 64 << 20,
	BOOT = 0, /* in place of the number of a run */
};

static char *path_of(unsigned id)
{
	return id == BOOT ? qb_strdup(RUN_DIR "/boot.jsonl")
			  : qb_asprintf(JOURNAL_DIR "/%06u.jsonl", id);
}

static void run_done(struct qb_run *run)
{
	for (size_t i = 0; i < run->n_steps; i++) {
		free(run->steps[i].kind);
		free(run->steps[i].target);
		free(run->steps[i].error);
		json_decref(run->steps[i].args);
		json_decref(run->steps[i].before);
	}
	free(run->steps);
	json_decref(run->config);
}

void qb_runs_done(struct qb_runs *runs)
{
	for (size_t i = 0; i < runs->n; i++)
		run_done(&runs->v[i]);
	free(runs->v);
	json_decref(runs->adopted);
	*runs = (struct qb_runs){0};
}

static void read_config(json_t *record, struct qb_run *run)
{
	json_decref(run->config);
	run->config = json_incref(json_object_get(record, "config"));
}

static int read_begin(json_t *record, struct qb_run *run)
{
	json_t *steps, *step, *args;
	json_int_t time_s;
	size_t i;

	if (json_unpack(record, "{s:I, s:{s:o}}", "time", &time_s, "plan", "steps", &steps) < 0 ||
	    !json_is_array(steps))
		return -EINVAL;
	run->time_s = time_s;
	read_config(record, run);
	json_array_foreach (steps, i, step) {
		const char *kind, *target;
		struct qb_run_step *s;

		if (json_unpack(step, "{s:s, s:s, s:o}", "kind", &kind, "target", &target, "args",
				&args) < 0)
			return -EINVAL;
		s = QB_APPEND(run->steps, run->n_steps);
		s->kind = qb_strdup(kind);
		s->target = qb_strdup(target);
		s->args = json_incref(args);
	}
	return 0;
}

static const struct {
	const char *name;
	enum qb_run_state state;
} results[] = {
	{"done", QB_RUN_DONE},
	{"continued", QB_RUN_CONTINUED},
	{"undone", QB_RUN_UNDONE},
	{"stuck", QB_RUN_STUCK},
};

static int read_end(json_t *record, struct qb_run *run)
{
	const char *result;

	if (json_unpack(record, "{s:s}", "result", &result) < 0)
		return -EINVAL;
	for (size_t i = 0; i < QB_ARRAY_SIZE(results); i++) {
		if (!strcmp(result, results[i].name)) {
			run->state = results[i].state;
			return 0;
		}
	}
	return -EINVAL;
}

static int read_step(json_t *record, const char *event, struct qb_run *run)
{
	struct qb_run_step *step;
	json_int_t i;

	if (json_unpack(record, "{s:I}", "step", &i) < 0 || i < 0 || (size_t)i >= run->n_steps)
		return -EINVAL;
	step = &run->steps[i];
	step->undoing = !strcmp(event, "undoing");
	if (step->undoing || !strcmp(event, "kept"))
		return 0;
	if (!strcmp(event, "intent")) {
		json_decref(step->before);
		step->before = json_incref(json_object_get(record, "before"));
		step->state = QB_STEP_INTENT;
	} else if (!strcmp(event, "done")) {
		step->state = QB_STEP_DONE;
	} else if (!strcmp(event, "skipped")) {
		step->state = QB_STEP_SKIPPED;
	} else if (!strcmp(event, "undone")) {
		step->state = QB_STEP_UNDONE;
	} else if (!strcmp(event, "failed")) {
		qb_strset(&step->error, json_string_value(json_object_get(record, "error")));
	} else {
		return -EINVAL;
	}
	return 0;
}

static int read_record(json_t *record, bool first, struct qb_run *run)
{
	const char *event;

	if (json_unpack(record, "{s:s}", "event", &event) < 0)
		return -EINVAL;
	if (first != !strcmp(event, "begin"))
		return -EINVAL;
	if (first)
		return read_begin(record, run);
	if (!strcmp(event, "end"))
		return read_end(record, run);
	if (!strcmp(event, "config")) {
		read_config(record, run);
		return 0;
	}
	return read_step(record, event, run);
}

/* *ret_len: of the whole records, without what a crash tore. damaged: NULL for an error. */
static int read_run(const struct qb_root *root, const char *path, struct qb_strs *damaged,
		    struct qb_run *run, size_t *ret_len, struct qb_error *err)
{
	_cleanup_free_ char *text = NULL;
	size_t len, at = 0;
	int r = qb_root_read(root, path, JOURNAL_MAX, &text, &len);

	if (r < 0)
		return qb_error_errno(err, r, "%s: cannot read the journal", path);
	for (unsigned line = 1; at < len; line++) {
		const char *end = memchr(text + at, '\n', len - at);
		json_auto_t *record = NULL;

		if (!end)
			break;
		record = json_loadb(text + at, (size_t)(end - (text + at)), 0, NULL);
		r = record ? read_record(record, line == 1, run) : -EINVAL;
		if (r < 0 && !damaged)
			return qb_error_set(
				err, EBADMSG,
				"%s:%u: damaged record; move the file away when the host "
				"is as you want it",
				path, line);
		if (r < 0)
			qb_strs_addf(damaged, "%s:%u: damaged record", path, line);
		if (r < 0 && line == 1)
			break;
		at = (size_t)(end - text) + 1;
	}
	*ret_len = at;
	return 0;
}

static int read_all(const struct qb_root *root, struct qb_strs *damaged, struct qb_runs *ret,
		    struct qb_error *err)
{
	_cleanup_strs_ struct qb_strs names = {0};
	_cleanup_runs_ struct qb_runs runs = {0};
	int r = qb_root_list(root, JOURNAL_DIR, &names);

	if (r < 0 && r != -ENOENT)
		return qb_error_errno(err, r, "%s: cannot read", JOURNAL_DIR);
	r = qb_state_read(root, ADOPTED,
			  "remove it, and the hardware of bridges that were adopted is noted anew",
			  &runs.adopted, err);
	if (r == -EBADMSG && damaged) {
		qb_strs_addf(damaged, "%s: damaged", ADOPTED);
		r = 0;
	}
	if (r < 0)
		return r;
	for (size_t i = 0; i < names.n; i++) {
		_cleanup_free_ char *path = NULL;
		struct qb_run *run;
		unsigned id;
		size_t len;
		int end = 0;

		if (sscanf(names.v[i], "%6u.jsonl%n", &id, &end) != 1 || names.v[i][end])
			continue;
		run = QB_APPEND(runs.v, runs.n);
		run->id = id;
		path = path_of(id);
		r = read_run(root, path, damaged, run, &len, err);
		if (r < 0)
			return r;
		/* Nothing was announced, so nothing was done. */
		if (!len)
			run->state = QB_RUN_UNDONE;
	}
	*ret = runs;
	runs = (struct qb_runs){0};
	return 0;
}

int qb_journal_read(const struct qb_root *root, struct qb_runs *ret, struct qb_error *err)
{
	return read_all(root, NULL, ret, err);
}

int qb_journal_read_rest(const struct qb_root *root, struct qb_strs *damaged, struct qb_runs *ret,
			 struct qb_error *err)
{
	return read_all(root, damaged, ret, err);
}

bool qb_run_step_stands(const struct qb_run_step *step)
{
	return step->state == QB_STEP_INTENT || step->state == QB_STEP_DONE;
}

void qb_runs_ledger(const struct qb_runs *runs, struct qb_ledger *ret)
{
	const char *bridge;
	json_t *args;

	*ret = (struct qb_ledger){0};
	json_object_foreach (runs->adopted, bridge, args)
		*QB_APPEND(ret->entries, ret->n_entries) =
			(struct qb_ledger_entry){.kind = qb_strdup("net.bind"),
						 .target = qb_strdup(bridge),
						 .args = json_incref(args),
						 .done = true};
	for (size_t i = 0; i < runs->n; i++) {
		const struct qb_run *run = &runs->v[i];

		if (run->state == QB_RUN_DONE && run->config) {
			json_decref(ret->config);
			ret->config = json_incref(run->config);
		}
		for (size_t j = 0; j < run->n_steps; j++) {
			const struct qb_run_step *step = &run->steps[j];
			struct qb_ledger_entry *entry;

			if (!qb_run_step_stands(step))
				continue;
			entry = QB_APPEND(ret->entries, ret->n_entries);
			entry->kind = qb_strdup(step->kind);
			entry->target = qb_strdup(step->target);
			entry->args = json_incref(step->args);
			entry->before = json_incref(step->before);
			/* What a later run completed is done, whoever recorded it: a step that
			 * ended just before the run was killed is not begun again. */
			entry->done = step->state == QB_STEP_DONE || run->state == QB_RUN_DONE ||
				      run->state == QB_RUN_CONTINUED;
			entry->undoing = step->undoing;
		}
	}
	qb_ledger_index(ret);
}

int qb_journal_adopt(const struct qb_root *root, const struct qb_runs *runs, json_t *adopted,
		     struct qb_error *err)
{
	json_auto_t *all = runs->adopted ? json_copy(runs->adopted) : json_object();
	_cleanup_free_ char *text = NULL;
	const char *target;
	json_t *what;
	void *next;

	json_object_update(all, adopted);
	json_object_foreach_safe (all, next, target, what)
		if (json_is_null(what))
			json_object_del(all, target);
	if (runs->adopted ? json_equal(all, runs->adopted) : !json_object_size(all))
		return 0;
	text = json_dumps(all, JSON_INDENT(1) | JSON_SORT_KEYS);
	return qb_root_write(root, ADOPTED, 0600, text, strlen(text), err);
}

/* The runs before end, back to the one that came to an end of its own. */
static struct qb_runs since_last_end(const struct qb_runs *runs, size_t end)
{
	size_t first = end;

	while (first > 0 && runs->v[first - 1].state != QB_RUN_DONE &&
	       runs->v[first - 1].state != QB_RUN_STUCK)
		first--;
	return (struct qb_runs){.v = runs->v + first, .n = end - first};
}

struct qb_runs qb_runs_broken_off(const struct qb_runs *runs)
{
	return since_last_end(runs, runs->n);
}

struct qb_runs qb_runs_change(const struct qb_runs *runs)
{
	struct qb_runs change;
	size_t last = runs->n;

	while (last > 0 && runs->v[last - 1].state == QB_RUN_UNDONE)
		last--;
	if (!last)
		return (struct qb_runs){0};
	change = since_last_end(runs, last - 1);
	change.n++;
	return change;
}

int qb_journal_begin(const struct qb_root *root, const struct qb_runs *runs, json_t *plan,
		     json_t *config, struct qb_journal *ret, struct qb_error *err)
{
	unsigned id = !runs ? BOOT : runs->n ? runs->v[runs->n - 1].id + 1 : 1;
	const char *place = id == BOOT ? RUN_DIR : JOURNAL_DIR;
	int how = id == BOOT ? O_TRUNC : O_EXCL;
	_cleanup_journal_ struct qb_journal journal = {-1, id};
	_cleanup_free_ char *path = path_of(id);
	_cleanup_close_ int dir = -1;
	int r = qb_root_mkdir(root, place, 0700, err);

	if (r < 0)
		return r;
	journal.fd = qb_root_openat(root, path, O_WRONLY | O_CREAT | O_APPEND | how, 0600);
	if (journal.fd < 0)
		return qb_error_errno(err, journal.fd, "%s: cannot start the journal", path);
	dir = qb_root_openat(root, place, O_RDONLY | O_DIRECTORY, 0);
	if (dir < 0 || fsync(dir) < 0)
		return qb_error_errno(err, dir < 0 ? dir : errno, "%s: cannot sync", place);
	r = qb_journal_write(&journal,
			     json_pack("{s:s, s:I, s:s, s:O, s:O*}", "event", "begin", "time",
				       (json_int_t)time(NULL), "version", QB_VERSION, "plan", plan,
				       "config", config),
			     err);
	if (r < 0)
		return r;
	*ret = journal;
	journal.fd = -1;
	return 0;
}

int qb_journal_reopen(const struct qb_root *root, unsigned id, struct qb_journal *ret,
		      struct qb_error *err)
{
	_cleanup_journal_ struct qb_journal journal = {-1, id};
	_cleanup_free_ char *path = path_of(id);
	struct qb_run run = {0};
	size_t len;
	int r = read_run(root, path, NULL, &run, &len, err);

	run_done(&run);
	if (r < 0)
		return r;
	journal.fd = qb_root_openat(root, path, O_WRONLY | O_APPEND, 0);
	if (journal.fd < 0)
		return qb_error_errno(err, journal.fd, "%s: cannot open the journal", path);
	if (ftruncate(journal.fd, (off_t)len) < 0)
		return qb_error_errno(err, errno, "%s: cannot cut off a torn record", path);
	*ret = journal;
	journal.fd = -1;
	return 0;
}

int qb_journal_put(struct qb_journal *journal, json_t *record, struct qb_error *err)
{
	_cleanup_free_ char *text = json_dumps(record, JSON_COMPACT), *line = NULL;
	size_t len;
	ssize_t n;

	json_decref(record);
	if (!text)
		return qb_error_set(err, EINVAL, "journal: a record that is no JSON");
	line = qb_asprintf("%s\n", text);
	len = strlen(line);
	n = write(journal->fd, line, len);
	if (n < 0 || (size_t)n < len)
		return qb_error_errno(err, n < 0 ? errno : ENOSPC,
				      "journal of run %u: cannot write", journal->id);
	return 0;
}

int qb_journal_write(struct qb_journal *journal, json_t *record, struct qb_error *err)
{
	int r = qb_journal_put(journal, record, err);

	if (r == 0 && fsync(journal->fd) < 0)
		r = qb_error_errno(err, errno, "journal of run %u: cannot write", journal->id);
	return r;
}

int qb_journal_end(struct qb_journal *journal, enum qb_run_state state, struct qb_error *err)
{
	const char *result = NULL;

	for (size_t i = 0; i < QB_ARRAY_SIZE(results); i++)
		if (results[i].state == state)
			result = results[i].name;
	return qb_journal_write(journal, json_pack("{s:s, s:s}", "event", "end", "result", result),
				err);
}

int qb_journal_complete(const struct qb_root *root, const struct qb_runs *runs,
			enum qb_run_state state, struct qb_error *err)
{
	int r = 0;

	for (size_t i = runs->n; r == 0 && i-- > 0;) {
		_cleanup_journal_ struct qb_journal journal = QB_JOURNAL_INIT;
		const struct qb_run *run = &runs->v[i];

		if (run->state == QB_RUN_UNDONE)
			continue;
		if (run->state == QB_RUN_OPEN) {
			r = qb_journal_reopen(root, run->id, &journal, err);
			if (r == 0)
				r = qb_journal_end(&journal, state, err);
		}
		state = QB_RUN_CONTINUED;
	}
	return r;
}

int qb_journal_configure(const struct qb_root *root, const struct qb_runs *runs, json_t *config,
			 struct qb_error *err)
{
	_cleanup_journal_ struct qb_journal journal = QB_JOURNAL_INIT;
	size_t i = runs->n;
	int r;

	while (i > 0 &&
	       (runs->v[i - 1].state == QB_RUN_UNDONE || runs->v[i - 1].state == QB_RUN_STUCK))
		i--;
	if (!i || json_equal(runs->v[i - 1].config, config))
		return 0;
	r = qb_journal_reopen(root, runs->v[i - 1].id, &journal, err);
	return r < 0 ? r
		     : qb_journal_write(
			       &journal,
			       json_pack("{s:s, s:O}", "event", "config", "config", config), err);
}

void qb_journal_done(struct qb_journal *journal)
{
	if (journal->fd >= 0)
		close(journal->fd);
	*journal = (struct qb_journal)QB_JOURNAL_INIT;
}
