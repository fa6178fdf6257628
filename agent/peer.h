/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "agent/base/root.h"

/*
 * The address of the ssh client in whose session this process runs, as sshd(8) tells it in
 * SSH_CONNECTION: of this process or of one that it descends from, since sudo drops it. NULL: none,
 * or not to be told. The caller frees it.
 */
char *qb_session_peer(const struct qb_root *root);
