/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/base/log.h"
#include "agent/command.h"
#include "checks/check.h"

static int run(struct qb_invocation *inv)
{
	_cleanup_strs_ struct qb_strs names = {0};
	_cleanup_buf_ struct qb_buf text = {0};
	const struct qb_text_style style = {
		.colour = qb_invocation_colour(inv),
		.width = qb_terminal_width(),
	};
	struct qb_error err = QB_ERROR_INIT;
	const struct qb_check *check;
	int r;

	if (inv->n_args != 1) {
		qb_log(QB_LOG_ERROR, "explain: name one check; qubi-agent check --list names them "
				     "all");
		return QB_EXIT_USAGE;
	}
	qb_strs_add(&names, inv->args[0]);
	check = qb_check_find(inv->args[0]);
	/* Only ids are good for --ignore and for explain alike. */
	if (!check) {
		r = qb_check_names(NULL, &names, &err);
		qb_log(QB_LOG_ERROR, "explain: %s", r < 0 ? err.msg : "");
		return QB_EXIT_USAGE;
	}
	if (inv->opt.format == QB_FORMAT_JSON) {
		r = qb_print_json(qb_check_explain_json(check));
	} else {
		qb_check_explain_text(check, &style, &text);
		r = qb_print_text(&text);
	}
	return r < 0 ? QB_EXIT_FAILED : QB_EXIT_OK;
}

const struct qb_command qb_cmd_explain = {
	.name = "explain",
	.args = "ID",
	.summary = "one check: what it looks at, why it matters, how to mend it",
	.help = "Explains a check. qubi-agent check --list names them all.",
	.takes = QB_TAKES_ARGS,
	.run = run,
};
