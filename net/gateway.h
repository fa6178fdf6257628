/* SPDX-License-Identifier: Apache-2.0 */
/* Who answers, before a change and after it. */
#pragma once

#include <jansson.h>

#include "net/link.h"
#include "net/nl.h"

/*
 * Asks the gateways of the routes by dev. Into noted goes
 *   gateways   {address: whether it answered}
 *   defaults   {family: a default gateway that answered}
 *   whole      {address of such a one: bytes of a packet that it answered in one piece}, of as many
 *              as the link takes; nothing where it does not answer echo requests
 */
QB_MUST_CHECK int qb_gateways_note(struct nl_sock *sock, const struct qb_net *net, const char *dev,
				   json_t *noted, struct qb_error *err);
/*
 * The same of one who is somewhere beyond them: whoever has logged in here, for one. Into noted
 * goes peer       {address: whether it answered an echo request}
 */
void qb_peer_note(const char *address, json_t *noted);
/*
 * -EHOSTUNREACH when one that answered and has a route by dev does not answer, or when the
 * default gateway of a family in which one answered is another one now that does not, or none;
 * when packets of that size do not come through any more; when the peer does not answer who did.
 */
QB_MUST_CHECK int qb_gateways_verify(const struct qb_net *net, const char *dev, const json_t *noted,
				     struct qb_error *err);
