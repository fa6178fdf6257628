/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who reads the disks. What is read from one is made up here: no disk can be made to hang without
 * root, and the lab has one that does.
 */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "agent/base/clock.h"
#include "storage/disk_raw.h"
#include "storage/probe_parts.h"

enum {
	SHORT_MS = 300,
	LONG_MS = 20000, /* nobody is to wait for as long */
};

struct disks {
	struct qb_root root;
	struct qb_disks disks;
	struct qb_disk_raw raw[1000];
	size_t which[1000];
};

static int lock = -1;

/* In the place of the real one: says by whom the disk was read, and whether that one has lock. */
void qb_device_probe(const char *machine_id, struct qb_disk *disk, struct qb_disk_raw *raw)
{
	struct stat st;

	(void)machine_id;
	if (qb_startswith(disk->name, "hangs"))
		pause();
	if (qb_startswith(disk->name, "kills"))
		_exit(1);
	qb_tri_set(&disk->readable, true);
	/* The number may be another file's by now. */
	raw->contents.nonzero = lock >= 0 && fstat(lock, &st) == 0 && S_ISCHR(st.st_mode);
	raw->contents.nonzero_at = (uint64_t)getpid();
}

static int setup(void **state)
{
	struct disks *d = qb_alloc(1, sizeof(*d));

	*state = d;
	return qb_root_open("/", &d->root, NULL);
}

static int teardown(void **state)
{
	struct disks *d = *state;

	for (size_t i = 0; i < d->disks.n_disks; i++)
		qb_disk_raw_done(&d->raw[i]);
	qb_disks_done(&d->disks);
	qb_root_done(&d->root);
	free(d);
	return 0;
}

/* Names are the kernel's for as long as somebody waits below them: they are of this test alone. */
static void add(struct disks *d, const char *what, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct qb_disk *disk = QB_APPEND(d->disks.disks, d->disks.n_disks);

		disk->name = qb_asprintf("%s-%d-%zu", what, getpid(), d->disks.n_disks);
		disk->path = qb_asprintf("/dev/%s", disk->name);
	}
}

static void read_all(struct disks *d, uint64_t timeout_ms)
{
	struct qb_device_reading reading = {.root = &d->root,
					    .disks = &d->disks,
					    .raw = d->raw,
					    .which = d->which,
					    .n = d->disks.n_disks};
	struct qb_child child = QB_CHILD_INIT;
	uint64_t deadline_ms = qb_now_ms() + timeout_ms;

	for (size_t i = 0; i < reading.n; i++)
		d->which[i] = i;
	qb_device_reading_begin(&reading, &child);
	qb_children_wait(&child, 1, deadline_ms);
	qb_device_reading_end(&reading, &child, deadline_ms);
}

static size_t cpus(void)
{
	return (size_t)sysconf(_SC_NPROCESSORS_ONLN);
}

static void a_few_read_them_all(void **state)
{
	struct disks *d = *state;
	size_t readers = 0;

	add(d, "well", 8 * cpus() < 1000 ? 8 * cpus() : 1000);
	read_all(d, LONG_MS);
	for (size_t i = 0; i < d->disks.n_disks; i++) {
		bool known = false;

		assert_true(qb_is(&d->disks.disks[i].readable));
		assert_true(qb_is_not(&d->disks.disks[i].sensor));
		for (size_t j = 0; j < i; j++)
			known |= d->raw[j].contents.nonzero_at == d->raw[i].contents.nonzero_at;
		readers += !known;
	}
	/* Two a CPU, and some in the place of those that this machine kept waiting. */
	assert_true(readers <= 4 * cpus());
}

/* One that hangs for good would hold on to what this process has locked. */
static void they_keep_no_file_of_ours(void **state)
{
	struct disks *d = *state;

	lock = open("/dev/null", O_RDONLY | O_CLOEXEC);
	assert_true(lock >= 0);
	add(d, "well", 1);
	read_all(d, LONG_MS);
	close(lock);
	lock = -1;
	assert_true(qb_is(&d->disks.disks[0].readable));
	assert_false(d->raw[0].contents.nonzero);
}

static void those_that_hang_cost_their_own_answer(void **state)
{
	struct disks *d = *state;
	size_t hung = 2 * cpus() + 1;

	add(d, "hangs", hung);
	add(d, "well", 20);
	read_all(d, 1000);
	for (size_t i = 0; i < hung; i++) {
		assert_int_equal(d->disks.disks[i].readable.state, QB_UNKNOWN);
		assert_non_null(strstr(d->disks.disks[i].readable.why, "no answer within"));
		assert_non_null(strstr(d->disks.disks[i].sensor.why, "no answer within"));
	}
	for (size_t i = hung; i < d->disks.n_disks; i++)
		assert_true(qb_is(&d->disks.disks[i].readable));
}

static void one_that_ends_its_reader_costs_its_own_answer(void **state)
{
	struct disks *d = *state;

	add(d, "kills", 1);
	add(d, "well", 1);
	add(d, "kills", 2 * cpus());
	add(d, "well", 1);
	read_all(d, LONG_MS);
	assert_non_null(strstr(d->disks.disks[0].readable.why, "ended early"));
	assert_true(qb_is(&d->disks.disks[1].readable));
	assert_true(qb_is(&d->disks.disks[d->disks.n_disks - 1].readable));
}

static void what_nobody_came_to_is_unknown(void **state)
{
	struct disks *d = *state;

	add(d, "hangs", 999);
	add(d, "well", 1);
	read_all(d, SHORT_MS);
	assert_int_equal(d->disks.disks[999].readable.state, QB_UNKNOWN);
	assert_non_null(strstr(d->disks.disks[999].readable.why, "no time was left"));
}

static void earlier_looks_are_not_joined_by_more(void **state)
{
	struct disks *d = *state;
	int held[64];
	size_t n = 0;

	/* A name of its own: readers of the tests before may not be gone yet. */
	add(d, "hangs-still", 1);
	add(d, "well", 1);
	while (n < 64 && (held[n] = qb_child_hold_name(d->disks.disks[0].name)) >= 0)
		n++;
	assert_true(n > 1 && n < 64);
	read_all(d, LONG_MS);
	assert_non_null(strstr(d->disks.disks[0].readable.why, "earlier looks still wait"));
	assert_non_null(strstr(d->disks.disks[0].sensor.why, "earlier looks still wait"));
	assert_true(qb_is(&d->disks.disks[1].readable));
	while (n)
		close(held[--n]);
}

#define disks_test(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		disks_test(a_few_read_them_all),
		disks_test(they_keep_no_file_of_ours),
		disks_test(those_that_hang_cost_their_own_answer),
		disks_test(one_that_ends_its_reader_costs_its_own_answer),
		disks_test(what_nobody_came_to_is_unknown),
		disks_test(earlier_looks_are_not_joined_by_more),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
