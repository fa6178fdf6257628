/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/host/asking.h"

#include "agent/base/clock.h"

enum {
	ANSWER_MS = 1000, /* a server that is there answers within some */
	HUNG_MAX = 3,     /* then the others are not asked any more */
};

struct inquiry {
	const struct qb_asking *asking;
	size_t begin, n;
	uint64_t end_ms; /* of qb_now_ms() */
};

static uint64_t earlier(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* A line each, so that what came before one that hangs is known. */
static void tell(int fd, void *data)
{
	const struct inquiry *q = data;

	qb_child_keep_files(fd, q->asking->file);
	for (size_t i = q->begin; i < q->n; i++)
		q->asking->tell(fd, i, q->asking->data);
}

/* The first of which nothing was told. */
static size_t take(const struct inquiry *q, const char *text)
{
	size_t i = q->begin;

	while (text && i < q->n && q->asking->take(text, i, q->asking->data)) {
		i++;
		text = strchr(text, '\n');
		text += text != NULL;
	}
	return i;
}

/* Returns the first that is not settled; one that hangs is. */
static size_t ask(const struct inquiry *q, bool *ret_hung)
{
	_cleanup_child_ struct qb_child child = QB_CHILD_INIT;
	_cleanup_free_ char *why = NULL;
	struct inquiry copy = *q;
	int r = qb_child_begin(tell, &copy, &child);
	size_t told;

	/* Each answer has its own time, all of them together that of the command. */
	while (r == 0 && qb_child_says_more(&child, earlier(qb_now_ms() + ANSWER_MS, q->end_ms)))
		;
	told = take(q, child.text.s);
	*ret_hung = child.late;
	if (told == q->n)
		return told;
	if (r < 0)
		why = qb_asprintf("no process to ask: %s", strerror(-r));
	else if (child.late)
		why = qb_asprintf("no answer within %d ms", ANSWER_MS);
	else
		why = qb_strdup("the process that asked ended early");
	q->asking->give_up(told, why, q->asking->data);
	return told + 1;
}

void qb_ask_each(const struct qb_asking *asking, size_t begin, size_t n, unsigned timeout_ms)
{
	struct inquiry q = {asking, begin, n, qb_now_ms() + timeout_ms};
	unsigned hung = 0;

	while (q.begin < n && hung < HUNG_MAX && qb_now_ms() < q.end_ms) {
		bool is_hung;

		q.begin = ask(&q, &is_hung);
		hung += is_hung;
	}
	for (; q.begin < n; q.begin++)
		asking->give_up(q.begin, hung < HUNG_MAX ? "no time is left" : "others hang",
				asking->data);
}
