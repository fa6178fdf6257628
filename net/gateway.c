/* SPDX-License-Identifier: Apache-2.0 */
#include "net/gateway.h"

#include <errno.h>

#include "net/echo.h"
#include "net/neigh.h"

#define BEFORE_MS 1000
#define AFTER_MS 3500 /* the kernel asks three times, once a second */
#define ECHO_BEFORE_MS 300
#define PEER_BEFORE_MS 900 /* it may be at the other end of the world */
#define ECHO_AFTER_MS 3000
#define PEER_BYTES 64
#define GATEWAYS_MAX 16 /* of one route; more are moved, but not asked */

static bool is_default(const struct qb_route *r)
{
	return !strcmp(r->dst, "default") && r->table == RT_TABLE_MAIN;
}

static void set(json_t *noted, const char *list, const char *key, json_t *value)
{
	if (!json_object_get(noted, list))
		json_object_set_new(noted, list, json_object());
	json_object_set_new(json_object_get(noted, list), key, value);
}

static void note_whole(const struct qb_net *net, const struct qb_route *route, const char *dev,
		       const char *gateway, json_t *noted)
{
	const struct qb_link *link = qb_net_link(net, dev);
	int64_t bytes = link ? link->mtu : 0;

	if (route->mtu && route->mtu < bytes)
		bytes = route->mtu;
	if (!json_object_get(json_object_get(noted, "whole"), gateway) && bytes > 0 &&
	    qb_echo_answers(dev, gateway, (size_t)bytes, ECHO_BEFORE_MS))
		set(noted, "whole", gateway, json_integer(bytes));
}

void qb_peer_note(const char *address, json_t *noted)
{
	set(noted, "peer", address,
	    json_boolean(qb_echo_answers(NULL, address, PEER_BYTES, PEER_BEFORE_MS)));
}

/* The gateways of a route by dev: its own, or those of its next hops. */
static size_t gateways_of(const struct qb_route *route, const char *dev, const char **ret,
			  size_t max)
{
	size_t n = 0;

	if (route->gateway && qb_streq(route->dev, dev))
		ret[n++] = route->gateway;
	for (size_t i = 0; i < route->n_hops && n < max; i++)
		if (route->hops[i].gateway && qb_streq(route->hops[i].dev, dev))
			ret[n++] = route->hops[i].gateway;
	return n;
}

static int note_gateway(struct nl_sock *sock, const struct qb_net *net,
			const struct qb_route *route, const char *dev, const char *gateway,
			json_t *noted, struct qb_error *err)
{
	json_t *gateways = json_object_get(noted, "gateways");
	bool answers;
	int r;

	if (!json_object_get(gateways, gateway)) {
		r = qb_neigh_answers(sock, dev, gateway, false, BEFORE_MS, &answers, err);
		if (r < 0)
			return r;
		json_object_set_new(gateways, gateway, json_boolean(answers));
	}
	if (is_default(route) && json_is_true(json_object_get(gateways, gateway))) {
		json_object_set_new(json_object_get(noted, "defaults"), route->family,
				    json_string(gateway));
		note_whole(net, route, dev, gateway, noted);
	}
	return 0;
}

int qb_gateways_note(struct nl_sock *sock, const struct qb_net *net, const char *dev, json_t *noted,
		     struct qb_error *err)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < net->n_routes; i++) {
		const char *gateways[GATEWAYS_MAX];
		size_t n = gateways_of(&net->routes[i], dev, gateways, GATEWAYS_MAX);

		for (size_t j = 0; r == 0 && j < n; j++)
			r = note_gateway(sock, net, &net->routes[i], dev, gateways[j], noted, err);
	}
	return r;
}

/* The first gateway of the default route by dev that is taken first. */
static const char *default_gateway(const struct qb_net *net, const char *dev, const char *family)
{
	const struct qb_route *best = NULL;
	const char *gateway = NULL, *one;

	for (size_t i = 0; i < net->n_routes; i++) {
		const struct qb_route *r = &net->routes[i];

		if (!is_default(r) || !qb_streq(r->family, family) ||
		    (best && r->metric >= best->metric) || !gateways_of(r, dev, &one, 1))
			continue;
		best = r;
		gateway = one;
	}
	return gateway;
}

static int verify_defaults(struct nl_sock *sock, const struct qb_net *net, const char *dev,
			   const json_t *noted, struct qb_error *err)
{
	const json_t *gateways = json_object_get(noted, "gateways");
	const char *family;
	json_t *before;

	json_object_foreach (json_object_get(noted, "defaults"), family, before) {
		const char *gateway = default_gateway(net, dev, family);
		bool answers;
		int r;

		if (!gateway)
			return qb_error_set(err, EHOSTUNREACH,
					    "%s: there is no %s default route by it any more", dev,
					    family);
		/* It was the first before, too, and silent. */
		if (json_is_false(json_object_get(gateways, gateway)))
			continue;
		r = qb_neigh_answers(sock, dev, gateway, true, AFTER_MS, &answers, err);
		if (r < 0)
			return r;
		if (!answers)
			return qb_error_set(err, EHOSTUNREACH,
					    "%s: default gateway %s does not answer; before, %s "
					    "answered",
					    dev, gateway, json_string_value(before));
	}
	return 0;
}

static bool is_used(const struct qb_net *net, const char *dev, const char *gateway)
{
	for (size_t i = 0; i < net->n_routes; i++) {
		const char *gateways[GATEWAYS_MAX];
		size_t n = gateways_of(&net->routes[i], dev, gateways, GATEWAYS_MAX);

		for (size_t j = 0; j < n; j++)
			if (!strcmp(gateways[j], gateway))
				return true;
	}
	return false;
}

static int verify_whole(const struct qb_net *net, const char *dev, const json_t *noted,
			struct qb_error *err)
{
	const char *address;
	json_t *bytes;

	json_object_foreach (json_object_get(noted, "whole"), address, bytes) {
		size_t n = (size_t)json_integer_value(bytes);

		if (is_used(net, dev, address) && !qb_echo_answers(dev, address, n, ECHO_AFTER_MS))
			return qb_error_set(err, EHOSTUNREACH,
					    "%s: gateway %s answered packets of %zu bytes before "
					    "and does not now",
					    dev, address, n);
	}
	return 0;
}

static int verify_peer(const json_t *noted, struct qb_error *err)
{
	const char *address;
	json_t *answered;

	json_object_foreach (json_object_get(noted, "peer"), address, answered)
		if (json_is_true(answered) &&
		    !qb_echo_answers(NULL, address, PEER_BYTES, ECHO_AFTER_MS))
			return qb_error_set(err, EHOSTUNREACH,
					    "%s, from where somebody has logged in, answered "
					    "before and does not now",
					    address);
	return 0;
}

int qb_gateways_verify(const struct qb_net *net, const char *dev, const json_t *noted,
		       struct qb_error *err)
{
	_cleanup_nl_sock_ struct nl_sock *sock = NULL;
	const char *address;
	json_t *answered;
	int r = qb_nl_open(&sock, err);

	json_object_foreach (json_object_get(noted, "gateways"), address, answered) {
		bool answers;

		if (r < 0 || !json_is_true(answered) || !is_used(net, dev, address))
			continue;
		r = qb_neigh_answers(sock, dev, address, true, AFTER_MS, &answers, err);
		if (r == 0 && !answers)
			r = qb_error_set(err, EHOSTUNREACH,
					 "%s: gateway %s answered before and does not now", dev,
					 address);
	}
	if (r == 0)
		r = verify_defaults(sock, net, dev, noted, err);
	if (r == 0)
		r = verify_whole(net, dev, noted, err);
	return r < 0 ? r : verify_peer(noted, err);
}
