/* SPDX-License-Identifier: Apache-2.0 */
/* Which gateways answer, before a change and after it. */
#pragma once

#include <jansson.h>

#include "net/link.h"
#include "net/nl.h"

/*
 * Asks the gateways of the routes by dev. Into noted goes
 *   gateways   {address: whether it answered}
 *   defaults   {family: a default gateway that answered}
 */
QB_MUST_CHECK int qb_gateways_note(struct nl_sock *sock, const struct qb_net *net, const char *dev,
				   json_t *noted, struct qb_error *err);
/*
 * -EHOSTUNREACH when one that answered and has a route by dev does not answer, or when the
 * default gateway of a family in which one answered is another one now that does not, or none.
 */
QB_MUST_CHECK int qb_gateways_verify(const struct qb_net *net, const char *dev, const json_t *noted,
				     struct qb_error *err);
