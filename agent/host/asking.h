/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Questions about directories, each of which may never be answered: what is mounted there may be a
 * server that is gone. So a process of its own asks them, one after the other.
 */
#pragma once

#include "agent/base/child.h"

struct qb_asking {
	/* In that process: answers for the i-th with one line. */
	void (*tell)(int fd, size_t i, void *data);
	/* Takes the line; false when it is none. */
	bool (*take)(const char *line, size_t i, void *data);
	/* There is no answer for the i-th, and why. */
	void (*give_up)(size_t i, const char *why, void *data);
	void *data;
	int file; /* the only one that tell() finds open; -1: none */
};

/* Asks for those from begin up to n; each is taken or given up. timeout_ms is for all of them. */
void qb_ask_each(const struct qb_asking *asking, size_t begin, size_t n, unsigned timeout_ms);
