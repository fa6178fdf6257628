/* SPDX-License-Identifier: Apache-2.0 */
/* What links and routes are found by with an index is what looking through all of them finds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "net/link.h"

#define LINKS 120

static char *word(const char *prefix, size_t i)
{
	return qb_asprintf("%s%zu", prefix, i);
}

/* Ports of eleven bridges, some of one MAC, some on top of others, in no order of their names. */
static void make(struct qb_net *net)
{
	for (size_t i = 0; i < LINKS; i++) {
		struct qb_link *l = QB_APPEND(net->links, net->n_links);
		struct qb_route *r = QB_APPEND(net->routes, net->n_routes);

		l->ifindex = (int64_t)((i * 7) % LINKS + 1);
		l->name = word("l", (i * 13) % LINKS);
		l->master = i % 3 ? word("br", i % 11) : NULL;
		l->lower_ifindex = i % 4 ? 0 : (int64_t)(i % 5 + 1);
		l->mac = i % 6 ? qb_asprintf("00:00:5e:00:53:%02zx", i % 40) : NULL;
		l->permanent_mac = i % 5 ? NULL : qb_asprintf("00:00:5E:00:53:%02zX", i % 16);
		if (i == 7)
			qb_strset(&l->mac, "00-00-5e-00-53-99");
		r->dst = i % 9 ? qb_asprintf("10.0.%zu.0/24", i % 17) : qb_strdup("default");
		r->dev = i % 5 ? word("l", i % 19) : NULL;
		if (i % 10 == 0) {
			qb_strs_add(&r->devs, "l3");
			qb_strs_add(&r->devs, "l4");
			qb_strs_add(&r->devs, "l3");
		}
	}
}

/* Every answer to what may be asked, as one text. */
static void ask_all(const struct qb_net *net, struct qb_buf *out)
{
	static const char *const macs[] = {"00:00:5e:00:53:05",
					   "00:00:5E:00:53:0A",
					   "00-00-5E-00-53-99",
					   "00:00:5e:00:53:ff",
					   "",
					   NULL};

	for (size_t i = 0; i <= LINKS + 1; i++) {
		_cleanup_free_ char *name = word("l", i), *bridge = word("br", i % 13);
		const struct qb_link *l = qb_net_link(net, name);
		const struct qb_route *r = NULL;

		qb_buf_printf(out, "\n%zu: %td", i, l ? l - net->links : -1);
		l = qb_net_link_by_index(net, (int64_t)i);
		qb_buf_printf(out, " %td ports", l ? l - net->links : -1);
		for (l = NULL; (l = qb_net_port(net, bridge, l));)
			qb_buf_printf(out, " %td", l - net->links);
		qb_buf_puts(out, " uppers");
		for (l = NULL; (l = qb_net_upper(net, (int64_t)i, l));)
			qb_buf_printf(out, " %td", l - net->links);
		qb_buf_puts(out, " macs");
		for (l = NULL; (l = qb_net_link_of_mac(net, macs[i % QB_ARRAY_SIZE(macs)], l));)
			qb_buf_printf(out, " %td", l - net->links);
		qb_buf_puts(out, " routes");
		for (r = NULL; (r = qb_net_route(net, i % 21 ? name : NULL, r));)
			qb_buf_printf(out, " %td", r - net->routes);
		qb_buf_puts(out, " to");
		for (r = NULL; (r = qb_net_route_to(net, i ? "10.0.5.0/24" : "default", r));)
			qb_buf_printf(out, " %td", r - net->routes);
	}
}

static void the_same_is_found(void **state)
{
	_cleanup_net_ struct qb_net net = {0};
	_cleanup_buf_ struct qb_buf scanned = {0}, indexed = {0};

	(void)state;
	make(&net);
	ask_all(&net, &scanned);
	qb_net_index(&net);
	ask_all(&net, &indexed);
	assert_string_equal(indexed.s, scanned.s);
	assert_non_null(strstr(scanned.s, "\n3: 111 "));
	assert_null(qb_net_link(&net, NULL));
	assert_null(qb_net_port(&net, NULL, NULL));
}

static void what_came_later_is_found(void **state)
{
	_cleanup_net_ struct qb_net net = {0};
	struct qb_link *l;

	(void)state;
	make(&net);
	qb_net_index(&net);
	assert_null(qb_net_link(&net, "late"));
	l = QB_APPEND(net.links, net.n_links);
	l->name = qb_strdup("late");
	assert_ptr_equal(qb_net_link(&net, "late"), l);
}

static void nothing_is_there(void **state)
{
	_cleanup_net_ struct qb_net net = {0};

	(void)state;
	qb_net_index(&net);
	assert_null(qb_net_link(&net, "l1"));
	assert_null(qb_net_link_by_index(&net, 1));
	assert_null(qb_net_route(&net, NULL, NULL));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_same_is_found),
		cmocka_unit_test(what_came_later_is_found),
		cmocka_unit_test(nothing_is_there),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
