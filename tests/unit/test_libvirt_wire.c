/* SPDX-License-Identifier: Apache-2.0 */
/* libvirt's protocol, as a daemon would speak it that is broken, hostile or of another age. */
#include <endian.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>
#include <sys/socket.h>
#include <cmocka.h>

#include "agent/host/libvirt_wire.h"

enum {
	PROCEDURE = 7,
	WORDS = 7, /* of a header */
};

/* What a right answer to the first call begins with. */
static const uint32_t right[WORDS] = {28, 0x20008086, 1, PROCEDURE, 1, 1, 0};

/* A connection, and its other end in *ret_daemon. */
static struct qb_wire connected(int *ret_daemon)
{
	struct qb_wire w = {0};
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	w.fd = fds[0];
	*ret_daemon = fds[1];
	return w;
}

static void say(int daemon, const uint32_t *header, const void *values, size_t len)
{
	uint32_t be[WORDS];

	for (size_t i = 0; i < WORDS; i++)
		be[i] = htobe32(header[i]);
	assert_int_equal(write(daemon, be, sizeof(be)), sizeof(be));
	assert_int_equal(write(daemon, values, len), len);
}

static void say_right(int daemon, const void *values, size_t len)
{
	uint32_t header[WORDS];

	memcpy(header, right, sizeof(right));
	header[0] += (uint32_t)len;
	say(daemon, header, values, len);
}

static void values_come_as_they_were_sent(void **state)
{
	static const char wanted[] = "\0\0\0\x28\x20\0\x80\x86\0\0\0\1\0\0\0\x07\0\0\0\0\0\0\0\1"
				     "\0\0\0\0\0\0\0\5\0\0\0\1x\0\0\0";
	static const char values[] = "\0\0\0\5abcde\0\0\0\0\0\0\0\0\0\0\1\0\0\0\2\xff\xff\xff\xff";
	char called[sizeof(wanted)];
	_cleanup_free_ char *text = NULL, *empty = NULL;
	int daemon;
	struct qb_wire w = connected(&daemon);

	(void)state;
	say_right(daemon, values, sizeof(values) - 1);
	qb_wire_put_u32(&w, 5);
	qb_wire_put_text(&w, "x");
	assert_int_equal(qb_wire_call(&w, PROCEDURE), 0);
	assert_int_equal(read(daemon, called, sizeof(called)), sizeof(wanted) - 1);
	assert_memory_equal(called, wanted, sizeof(wanted) - 1);
	text = qb_wire_text(&w);
	assert_string_equal(text, "abcde");
	empty = qb_wire_text(&w);
	assert_string_equal(empty, "");
	assert_true(qb_wire_u64(&w) == 0x100000002);
	assert_true(qb_wire_u32(&w) == 0xffffffff);
	assert_int_equal(w.r, 0);
	close(daemon);
	qb_wire_close(&w);
}

static void what_is_no_answer_ends_the_talk(void **state)
{
	static const struct {
		size_t word;
		uint32_t value;
		int r;
	} rows[] = {
		{0, 27, -EPROTO}, {0, 0xffffffff, -EPROTO}, {1, 0x20008087, -EPROTO},
		{2, 2, -EPROTO},  {3, 8, -EPROTO},          {4, 2, -EPROTO},
		{5, 2, -EPROTO},  {6, 2, -EPROTO},          {6, 1, -EREMOTEIO},
		{0, 32, -EPROTO}, /* it ends before that */
	};

	(void)state;
	for (size_t i = 0; i < QB_ARRAY_SIZE(rows); i++) {
		uint32_t header[WORDS];
		char called[64];
		int daemon;
		struct qb_wire w = connected(&daemon);

		memcpy(header, right, sizeof(right));
		header[rows[i].word] = rows[i].value;
		say(daemon, header, "", 0);
		assert_int_equal(shutdown(daemon, SHUT_WR), 0);
		assert_int_equal(qb_wire_call(&w, PROCEDURE), rows[i].r);
		assert_int_equal(read(daemon, called, sizeof(called)), 28);
		assert_int_equal(qb_wire_call(&w, PROCEDURE), rows[i].r);
		assert_int_equal(recv(daemon, called, sizeof(called), MSG_DONTWAIT), -1);
		assert_int_equal(qb_wire_u32(&w), 0);
		close(daemon);
		qb_wire_close(&w);
	}
}

/* A length that leads beyond the answer, also by so much that it would come round. */
static void an_answer_holds_less_than_it_says(void **state)
{
	static const char *const lengths[] = {"\0\0\0\5", "\0\0\0\4", "\xff\xff\xff\xff",
					      "\xff\xff\xff\xfd"};

	(void)state;
	for (size_t i = 0; i < QB_ARRAY_SIZE(lengths); i++) {
		char values[7] = "...."
				 "abc";
		int daemon;
		struct qb_wire w = connected(&daemon);

		memcpy(values, lengths[i], 4);
		say_right(daemon, values, sizeof(values));
		assert_int_equal(qb_wire_call(&w, PROCEDURE), 0);
		assert_null(qb_wire_text(&w));
		assert_int_equal(w.r, -EPROTO);
		close(daemon);
		qb_wire_close(&w);
	}
}

static void nobody_listens(void **state)
{
	struct qb_wire w;
	char path[200];

	(void)state;
	assert_int_equal(qb_wire_open("/nonexistent/socket", &w), -ENOENT);
	assert_int_equal(qb_wire_call(&w, PROCEDURE), -ENOTCONN);
	qb_wire_close(&w);
	memset(path, 'x', sizeof(path) - 1);
	path[sizeof(path) - 1] = '\0';
	assert_int_equal(qb_wire_open(path, &w), -ENAMETOOLONG);
}

/* All that a report asks, of a daemon that says there are four thousand million networks, and
 * tells one and a half. */
static void a_list_without_end(void **state)
{
	static const char networks[] = "\xff\xff\xff\xff\0\0\0\3net\0"
				       "0123456789abcdef\0\0\0\3n";
	struct qb_libvirt_facts f = {.uri = qb_strdup("qemu:///system")};
	uint32_t header[WORDS];
	int daemon;
	struct qb_wire w = connected(&daemon);

	(void)state;
	memcpy(header, right, sizeof(right));
	header[3] = 1;
	say(daemon, header, "", 0);
	header[0] = 36, header[3] = 157, header[5] = 2;
	say(daemon, header, "\0\0\0\0\0\x89\x54\x40", 8);
	header[0] = 28 + sizeof(networks) - 1, header[3] = 283, header[5] = 3;
	say(daemon, header, networks, sizeof(networks) - 1);
	assert_int_equal(qb_wire_objects(&w, &f), -EPROTO);
	assert_string_equal(f.version, "9.0.0");
	assert_int_equal(f.n_networks, 0);
	assert_int_equal(f.connected.state, QB_UNKNOWN);
	qb_schema_done(&qb_libvirt_type, &f);
	close(daemon);
	qb_wire_close(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(values_come_as_they_were_sent),
		cmocka_unit_test(what_is_no_answer_ends_the_talk),
		cmocka_unit_test(an_answer_holds_less_than_it_says),
		cmocka_unit_test(nobody_listens),
		cmocka_unit_test(a_list_without_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
