/* SPDX-License-Identifier: Apache-2.0 */
/* Threads that ask what may never answer, and the waits for them. */
#pragma once

#include <pthread.h>
#include <time.h>

/* A thread that takes no signals: those are for the one that starts it. 0, or an errno. */
int qb_thread_start(void *(*run)(void *), void *data, pthread_t *ret);
/* A condition whose waits end by CLOCK_MONOTONIC. */
void qb_cond_init(pthread_cond_t *cond);
/* CLOCK_MONOTONIC in so many milliseconds. */
struct timespec qb_deadline(unsigned ms);
