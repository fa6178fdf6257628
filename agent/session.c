/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/command.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "agent/base/log.h"

enum {
	FACTS_MAX = 64 << 20,
	CONFIG_MAX = 1 << 20,
	WIDTH_MIN = 40
};

static void print_diags(const struct qb_diags *diags)
{
	for (size_t i = 0; i < diags->n; i++) {
		const struct qb_diag *d = &diags->v[i];

		if (d->line)
			qb_log(QB_LOG_ERROR, "%s:%u:%u: %s", diags->file, d->line, d->column,
			       d->msg);
		else
			qb_log(QB_LOG_ERROR, "%s: %s", diags->file, d->msg);
	}
}

/* Another host's own file commands nobody here: to whom it belongs does not matter. */
static int load_captured(const struct qb_root *root, const char *path, struct qb_config *ret,
			 struct qb_diags *diags, struct qb_error *err)
{
	_cleanup_free_ char *text = NULL;
	size_t len;
	int r = qb_root_read(root, path, CONFIG_MAX, &text, &len);

	if (r < 0)
		return qb_error_errno(err, r, "%s: cannot be read", diags->file);
	return qb_config_parse(text, len, ret, diags);
}

static int load_config(const struct qb_invocation *inv, bool optional, struct qb_config *ret)
{
	bool captured = !inv->opt.config_given && !inv->root.live;
	_cleanup_diags_ struct qb_diags diags = {
		.file = qb_asprintf("%s%s", captured ? inv->opt.root : "", inv->opt.config)};
	struct qb_error err = QB_ERROR_INIT;
	int r = captured ? load_captured(&inv->root, inv->opt.config, ret, &diags, &err)
			 : qb_config_load(inv->opt.config, ret, &diags, &err);

	if (r == -ENOENT && optional)
		return r;
	if (r == -ENOENT)
		qb_log(QB_LOG_ERROR,
		       "%s: no configuration there; write one or name it with --config",
		       diags.file);
	else if (r < 0 && !diags.n)
		qb_log(QB_LOG_ERROR, "%s", err.msg);
	print_diags(&diags);
	return r;
}

int qb_invocation_config(const struct qb_invocation *inv, struct qb_config *ret)
{
	if (inv->opt.facts && !inv->opt.config_given) {
		qb_log(QB_LOG_ERROR,
		       "the configuration of this host says nothing about the one "
		       "that %s is of; name that one's with --config",
		       inv->opt.facts);
		return -EINVAL;
	}
	return load_config(inv, false, ret);
}

int qb_invocation_config_if_any(const struct qb_invocation *inv, struct qb_config *ret,
				const char **ret_unknown)
{
	int r;

	if (inv->opt.config_given)
		return load_config(inv, false, ret);
	if (inv->opt.facts)
		return 1;
	r = load_config(inv, true, ret);
	if (r == -EACCES)
		*ret_unknown = "this user may not read it";
	return r == -ENOENT || r == -EACCES ? 1 : r;
}

/* --facts FILE, "-" for standard input. */
static int load_facts(const char *path, struct qb_facts *ret)
{
	_cleanup_diags_ struct qb_diags diags = {.file = qb_strdup(path)};
	_cleanup_close_ int fd = strcmp(path, "-") != 0
					 ? open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY)
					 : fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3);
	_cleanup_buf_ struct qb_buf text = {0};
	char chunk[65536];
	ssize_t n = -1;
	int r;

	while (fd >= 0 && (n = read(fd, chunk, sizeof(chunk))) > 0 && text.len <= FACTS_MAX)
		qb_buf_add(&text, chunk, (size_t)n);
	if (fd < 0 || n < 0) {
		r = -errno;
		qb_log(QB_LOG_ERROR, "%s: cannot read the facts: %s", path, strerror(errno));
		return r;
	}
	if (text.len > FACTS_MAX) {
		qb_log(QB_LOG_ERROR, "%s: more than %d MiB, this is no facts document", path,
		       FACTS_MAX >> 20);
		return -EFBIG;
	}
	r = qb_facts_load(text.s ? text.s : "", text.len, ret, &diags);
	print_diags(&diags);
	return r;
}

int qb_invocation_facts(const struct qb_invocation *inv, const struct qb_config *config,
			const struct qb_strs *reads, unsigned without, struct qb_facts *ret)
{
	if (inv->opt.facts)
		return load_facts(inv->opt.facts, ret);
	qb_facts_probe(
		&(struct qb_probe_options){
			.root = &inv->root,
			.connect_uri = inv->opt.connect,
			.timeout_ms = inv->opt.timeout_ms,
			.config = config,
			.reads = reads,
			.without = without,
		},
		ret);
	return 0;
}

static int print_done(void)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return 0;
	qb_log(QB_LOG_ERROR, "cannot write to standard output: %s", strerror(errno));
	return -EIO;
}

int qb_print_json(json_t *document)
{
	if (json_dumpf(document, stdout, JSON_INDENT(2)) == 0)
		putchar('\n');
	json_decref(document);
	return print_done();
}

int qb_print_text(const struct qb_buf *text)
{
	if (text->len)
		fwrite(text->s, 1, text->len, stdout);
	return print_done();
}

bool qb_invocation_colour(const struct qb_invocation *inv)
{
	const char *no = getenv("NO_COLOR"), *term = getenv("TERM");

	return !inv->opt.no_color && !(no && *no) && term && strcmp(term, "dumb") != 0 &&
	       isatty(STDOUT_FILENO);
}

unsigned qb_terminal_width(void)
{
	struct winsize size;

	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) < 0 || size.ws_col == 0)
		return 80;
	return size.ws_col < WIDTH_MIN ? WIDTH_MIN : size.ws_col;
}
