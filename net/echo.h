/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "agent/base/error.h"

/*
 * Whether address answers an echo request (RFC 792, RFC 4443) in a packet of so many bytes, IP
 * header included, that nobody on the way may cut. It is asked three times in timeout_ms. dev: the
 * link to send by; NULL leaves it to the routes. Where no socket for it can be had, nobody answers.
 */
bool qb_echo_answers(const char *dev, const char *address, size_t bytes, unsigned timeout_ms);
