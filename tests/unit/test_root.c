/* SPDX-License-Identifier: Apache-2.0 */
/* Both ways of resolving are held to one table: the source is included to reach the fallback. */
#include "agent/base/root.c"
#include "tests/unit/scratch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <ftw.h>
#include <limits.h>

struct fixture {
	char top[SCRATCH_MAX];
	struct qb_root root;
};

static void put(const char *dir, const char *path, const char *text)
{
	_cleanup_free_ char *full = qb_asprintf("%s/%s", dir, path);
	FILE *f = fopen(full, "w");

	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static void make_link(const char *dir, const char *target, const char *path)
{
	_cleanup_free_ char *full = qb_asprintf("%s/%s", dir, path);

	assert_int_equal(symlink(target, full), 0);
}

static int setup(void **state)
{
	struct fixture *f = qb_alloc(1, sizeof(*f));
	char *inside = NULL, *sub, *absolute;

	scratch(f->top);
	assert_non_null(mkdtemp(f->top));
	put(f->top, "secret", "outside");
	inside = qb_asprintf("%s/root", f->top);
	sub = qb_asprintf("%s/etc", inside);
	absolute = qb_asprintf("%s/secret", f->top);
	assert_int_equal(mkdir(inside, 0755), 0);
	assert_int_equal(mkdir(sub, 0755), 0);
	for (const char *const *d = (const char *const[]){"deep", "deep/b", "deep/b/c", NULL}; *d;
	     d++) {
		_cleanup_free_ char *dir = qb_asprintf("%s/%s", inside, *d);

		assert_int_equal(mkdir(dir, 0755), 0);
	}
	put(inside, "etc/host", "inside\n");
	put(inside, "number", "42\n");
	make_link(inside, "/etc/host", "absolute-in");
	make_link(inside, "../../../../etc/host", "dots-in");
	make_link(inside, "../secret", "dots-out");
	/* As those in /sys/class are. */
	make_link(inside, "../../../etc/host", "deep/b/c/some-up");
	make_link(inside, ".././../b", "deep/b/c/two-up");
	make_link(inside, absolute, "absolute-out");
	make_link(inside, "/", "top");
	make_link(inside, "loop", "loop");
	make_link(inside, "..", "etc/up");
	make_link(inside, "/etc/passwd", "passwd");
	make_link(inside, "/proc/self/environ", "environ");
	assert_int_equal(qb_root_open(inside, &f->root, NULL), 0);
	free(inside);
	free(sub);
	free(absolute);
	*state = f;
	return 0;
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st, (void)type, (void)ftw;
	return remove(path);
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	qb_root_done(&f->root);
	nftw(f->top, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
	free(f);
	return 0;
}

static const struct {
	const char *path;
	int r;
} cases[] = {
	{"/etc/host", 0},
	{"etc//./host", 0},
	{"/../../etc/host", 0},
	{"/absolute-in", 0},
	{"/dots-in", 0},
	{"/top/etc/host", 0},
	{"/etc/up/etc/host", 0},
	{"/top/top/etc/up/dots-in", 0},
	{"/deep/b/c/some-up", 0},
	{"/deep/b/c/two-up/c/../c/some-up", 0},
	{"/deep/b/c/../../../etc/host", 0},
	{"/dots-out", -ENOENT},
	{"/absolute-out", -ENOENT},
	{"/passwd", -ENOENT},
	{"/environ", -ENOENT},
	{"/loop", -ELOOP},
	{"/loop/x", -ELOOP},
	{"/missing", -ENOENT},
	{"/etc/host/x", -ENOTDIR},
};

static void nothing_outside_is_reached(void **state)
{
	struct fixture *f = *state;

	for (size_t i = 0; i < QB_ARRAY_SIZE(cases); i++) {
		int by_kernel = qb_root_openat(&f->root, cases[i].path, O_RDONLY, 0);
		int by_walk = walk_openat(&f->root, cases[i].path, O_RDONLY, 0);

		for (int n = 0; n < 2; n++) {
			int fd = n ? by_walk : by_kernel;
			char text[16] = "";

			if (cases[i].r < 0) {
				assert_int_equal(fd, cases[i].r);
				continue;
			}
			assert_true(fd >= 0);
			assert_true(read(fd, text, sizeof(text) - 1) > 0);
			assert_string_equal(text, "inside\n");
			close(fd);
		}
	}
}

static void the_root_itself_is_opened(void **state)
{
	static const char *const paths[] = {"/", "", "//", "/top", "/etc/up/", "/.."};
	struct fixture *f = *state;
	struct stat root, st;

	assert_int_equal(fstat(f->root.fd, &root), 0);
	for (size_t i = 0; i < QB_ARRAY_SIZE(paths); i++) {
		_cleanup_close_ int fd = walk_openat(&f->root, paths[i], O_PATH | O_DIRECTORY, 0);

		assert_true(fd >= 0);
		assert_int_equal(fstat(fd, &st), 0);
		assert_int_equal(st.st_ino, root.st_ino);
	}
}

static void values(void **state)
{
	struct fixture *f = *state;
	_cleanup_free_ char *text = NULL, *target = NULL, *value = NULL;
	_cleanup_strs_ struct qb_strs names = {0};
	uint64_t number = 0;
	size_t len = 0;

	assert_int_equal(qb_root_read(&f->root, "/etc/host", 7, &text, &len), 0);
	assert_int_equal(len, 7);
	assert_int_equal(qb_root_read(&f->root, "/etc/host", 6, &text, &len), -EFBIG);
	assert_int_equal(qb_root_read(&f->root, "/etc", 6, &text, &len), -EISDIR);
	assert_int_equal(qb_root_read_value(&f->root, "/etc/host", &value), 0);
	assert_string_equal(value, "inside");
	assert_int_equal(qb_root_read_u64(&f->root, "/number", &number), 0);
	assert_int_equal(number, 42);
	assert_int_equal(qb_root_read_u64(&f->root, "/etc/host", &number), -EINVAL);
	assert_int_equal(qb_root_readlink(&f->root, "/absolute-in", &target), 0);
	assert_string_equal(target, "/etc/host");
	assert_int_equal(qb_root_readlink(&f->root, "/etc/host", &target), -EINVAL);
	assert_int_equal(qb_root_list(&f->root, "/etc", &names), 0);
	assert_int_equal(names.n, 2);
	assert_string_equal(names.v[0], "host");
}

static void a_write_replaces_as_a_whole_and_ignores_umask(void **state)
{
	struct fixture *f = *state;
	_cleanup_free_ char *text = NULL;
	_cleanup_strs_ struct qb_strs names = {0};
	mode_t old = umask(0777);
	struct stat st;

	assert_int_equal(qb_root_write(&f->root, "/a/b/c", 0600, "new", 3, NULL), 0);
	assert_int_equal(qb_root_write(&f->root, "/a/b/c", 0644, "newer", 5, NULL), 0);
	umask(old);
	assert_int_equal(qb_root_stat(&f->root, "/a/b/c", false, &st), 0);
	assert_int_equal(st.st_mode, S_IFREG | 0644);
	assert_int_equal(qb_root_stat(&f->root, "/a", false, &st), 0);
	assert_int_equal(st.st_mode, S_IFDIR | 0755);
	assert_int_equal(qb_root_read(&f->root, "/a/b/c", 99, &text, NULL), 0);
	assert_string_equal(text, "newer");
	assert_int_equal(qb_root_list(&f->root, "/a/b", &names), 0);
	assert_int_equal(names.n, 1);
	assert_int_equal(qb_root_unlink(&f->root, "/a/b/c", NULL), 0);
	assert_int_equal(qb_root_unlink(&f->root, "/a/b/c", NULL), 0);
	assert_int_equal(qb_root_unlink(&f->root, "/none/c", NULL), 0);
	assert_false(qb_root_exists(&f->root, "/a/b/c"));
}

/* A link at the place of the file is replaced, never written through. */
static void a_write_does_not_follow_a_link(void **state)
{
	struct fixture *f = *state;
	_cleanup_free_ char *text = NULL, *target = NULL;

	assert_int_equal(qb_root_write(&f->root, "/absolute-in", 0644, "mine", 4, NULL), 0);
	assert_int_equal(qb_root_readlink(&f->root, "/absolute-in", &target), -EINVAL);
	assert_int_equal(qb_root_read(&f->root, "/etc/host", 99, &text, NULL), 0);
	assert_string_equal(text, "inside\n");
}

static void only_the_real_root_is_live(void **state)
{
	struct fixture *f = *state;
	_cleanup_root_ struct qb_root live = QB_ROOT_INIT;
	struct qb_error err = QB_ERROR_INIT;

	assert_false(f->root.live);
	assert_int_equal(qb_root_open("/", &live, &err), 0);
	assert_true(live.live);
	assert_int_equal(qb_root_open("/no/such", &live, &err), -ENOENT);
	assert_string_equal(err.msg,
			    "/no/such: cannot open the root directory: No such file or directory");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(nothing_outside_is_reached, setup, teardown),
		cmocka_unit_test_setup_teardown(the_root_itself_is_opened, setup, teardown),
		cmocka_unit_test_setup_teardown(values, setup, teardown),
		cmocka_unit_test_setup_teardown(a_write_replaces_as_a_whole_and_ignores_umask,
						setup, teardown),
		cmocka_unit_test_setup_teardown(a_write_does_not_follow_a_link, setup, teardown),
		cmocka_unit_test_setup_teardown(only_the_real_root_is_live, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
