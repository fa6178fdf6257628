/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of disks, as facts and plan show it, against texts in tests/data/report.
 * build/unit/test_disks_text --write writes them anew; look at what changed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "agent/disks_text.h"
#include "agent/plan.h"

#define DATA QB_TESTS "/data/report/"
#define DEEP                                                                                       \
	"/devices/pci0000:80/0000:80:03.0/0000:83:00.0/host11/session2/target11:0:0/11:0:0:1/"     \
	"block/"

enum {
	WIDTH = 80,
	MANY = 30,
};

static struct qb_disk *add(struct qb_disks *disks, const char *transport, uint64_t gib,
			   const char *identity, const char *name)
{
	struct qb_disk *d = QB_APPEND(disks->disks, disks->n_disks);

	d->name = qb_strdup(name);
	d->path = qb_asprintf("/dev/%s", name);
	d->size_bytes = gib << 30;
	d->transport = qb_strdup(transport);
	d->wwid = qb_strdup(identity);
	d->available = true;
	return d;
}

/* A disk of each kind; names and identities as long as they come. */
static void a_few(struct qb_disks *disks)
{
	struct qb_disk *d;

	qb_tri_set(&disks->known, true);
	d = add(disks, "loop", 1, NULL, "loop0");
	d->backing = qb_strdup("/srv/images/of/somebody/a disk \033[2J.img");
	qb_disk_reason(d, "virtual", "%s is not hardware: %s", d->name, d->backing);
	d = add(disks, "nvme", 3577, "eui.0025388b91d0f3a7", "nvme10n1");
	d->mark = (struct qb_mark){.state = QB_MARK_READY,
				   .pool = qb_strdup("images"),
				   .uuid = qb_strdup("00000000-0000-5000-8000-000000000001"),
				   .ours = true};
	qb_disk_reason(d, "mounted", "/dev/nvme10n1p1 on /var/lib/libvirt/images");
	qb_disk_reason(d, "partitions", "it has nvme10n1p1");
	add(disks, "sata", 1863,
	    "t10.ATA     Samsung SSD 860 EVO 2TB                 S3YVNB0K812345V", "sda");
	d = add(disks, "iscsi", 500, "naa.600508b1001c4d5e6f708192a3b4c5d6e", "sdb");
	qb_disk_reason(d, "remote", "it is reached through iSCSI (" DEEP "sdb)");
	qb_disk_reason(d, "open", "qemu-system-x86_64 (pid 4711) has it open");
	add(disks, NULL, 0, NULL, "a-name-that-no-kernel-gives")->available = false;
}

static void many(struct qb_disks *disks)
{
	qb_tri_set(&disks->known, true);
	for (size_t i = 0; i < MANY; i++) {
		char name[] = {'s', 'd', i < 26 ? (char)('a' + i) : 'a',
			       i < 26 ? '\0' : (char)('a' + i - 26), '\0'};
		_cleanup_free_ char *wwid = qb_asprintf("naa.5000c500a1b2c3%02zx", i);
		struct qb_disk *d = add(disks, "sas", 3726, wwid, name);

		if (i % 5 == 1)
			qb_disk_reason(d, "holder", "dm-%zu (data-lv%zu) is made of it", i, i);
		if (i % 5 == 1 || i == 2)
			qb_disk_reason(d, "signature", "LVM2_member (raid) at byte 536");
		if (i == 3)
			qb_disk_reason(d, "probe-error",
				       "its contents are unknown: reading its end: Input/output "
				       "error");
	}
}

/* A pool on two of them, one of which had no place in it, and a pool that gets none. */
static void plan_for(const struct qb_disks *disks, struct qb_plan *plan)
{
	json_t *members = json_array();

	for (size_t i = 4; i < 6; i++)
		json_array_append_new(members, json_pack("{s:s}", "disk", disks->disks[i].path));
	qb_step_why(qb_plan_step(plan, "storage.group", QB_UNDO_BEST_EFFORT,
				 json_pack("{s:s, s:o}", "pool", "vms", "members", members),
				 "pool vms"),
		    "blank: /dev/sde and /dev/sdf");
	qb_plan_refuse(plan, "pool images", "no-match",
		       "1 disk: none of the %zu disks here will do", disks->n_disks);
	qb_plan_refuse(plan, "pool images", "signature",
		       "/dev/sdc: LVM2_member (raid) at byte 536");
	qb_plan_refuse(plan, "pool images", "claimed", "/dev/sde: it is for pool vms");
	qb_plan_refuse(plan, "pool iso", "signature", "/dev/sdc: LVM2_member (raid) at byte 536");
}

static const struct {
	const char *file;
	void (*fill)(struct qb_disks *disks);
	bool plan;
} goldens[] = {{"disks.txt", a_few, false},
	       {"disks-many.txt", many, false},
	       {"disks-plan.txt", many, true}};

static char *golden(size_t i, bool colour)
{
	struct qb_disks disks = {0};
	_cleanup_plan_ struct qb_plan plan = {0};
	struct qb_buf out = {0};

	goldens[i].fill(&disks);
	if (goldens[i].plan) {
		plan_for(&disks, &plan);
		qb_plan_text(&plan, &disks, colour, false, WIDTH, &out);
	} else {
		qb_disks_text(&disks, NULL, colour, WIDTH, &out);
	}
	qb_disks_done(&disks);
	return out.s;
}

static char *read_file(const char *name)
{
	_cleanup_free_ char *path = qb_asprintf(DATA "%s", name);
	_cleanup_fclose_ FILE *f = fopen(path, "re");
	struct qb_buf b = {0};
	char chunk[4096];
	size_t n;

	qb_buf_puts(&b, "");
	while (f && (n = fread(chunk, 1, sizeof(chunk), f)) > 0)
		qb_buf_add(&b, chunk, n);
	return b.s;
}

static int write_anew(void)
{
	for (size_t i = 0; i < QB_ARRAY_SIZE(goldens); i++) {
		_cleanup_free_ char *text = golden(i, false);
		_cleanup_free_ char *path = qb_asprintf(DATA "%s", goldens[i].file);
		_cleanup_fclose_ FILE *f = fopen(path, "we");

		if (!f || fputs(text, f) < 0 || fflush(f) != 0) {
			perror(path);
			return 1;
		}
	}
	return 0;
}

static void each_is_as_it_was(void **state)
{
	(void)state;
	for (size_t i = 0; i < QB_ARRAY_SIZE(goldens); i++) {
		_cleanup_free_ char *text = golden(i, false), *wanted = read_file(goldens[i].file);

		if (strcmp(text, wanted) != 0)
			fail_msg("tests/data/report/%s is another text; "
				 "build/unit/test_disks_text --write writes it anew",
				 goldens[i].file);
	}
}

static void no_line_is_longer_than_the_terminal(void **state)
{
	(void)state;
	for (size_t i = 0; i < QB_ARRAY_SIZE(goldens); i++) {
		_cleanup_free_ char *text = golden(i, false);
		char *rest = text, *line;

		assert_true(qb_is_text(text, strlen(text)));
		while ((line = strsep(&rest, "\n")))
			assert_in_range(strlen(line), 0, WIDTH);
	}
}

/* Every blank of it counts where it is copied into a configuration. */
static void an_identity_is_whole(void **state)
{
	struct qb_disks disks = {0};
	_cleanup_buf_ struct qb_buf out = {0};

	(void)state;
	a_few(&disks);
	qb_disks_text(&disks, NULL, false, 200, &out);
	assert_non_null(strstr(out.s, disks.disks[2].wwid));
	qb_disks_done(&disks);
}

static void a_plan_that_is_not_about_disks_shows_none(void **state)
{
	struct qb_disks disks = {0};
	_cleanup_plan_ struct qb_plan plan = {0};
	_cleanup_buf_ struct qb_buf out = {0};

	(void)state;
	a_few(&disks);
	qb_plan_text(&plan, &disks, false, false, WIDTH, &out);
	assert_null(strstr(out.s, "sda"));
	qb_plan_refuse(&plan, "pool images", "no-match", "none");
	qb_plan_text(&plan, &disks, false, false, WIDTH, &out);
	assert_non_null(strstr(out.s, "sda"));
	qb_disks_done(&disks);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_is_as_it_was),
		cmocka_unit_test(no_line_is_longer_than_the_terminal),
		cmocka_unit_test(an_identity_is_whole),
		cmocka_unit_test(a_plan_that_is_not_about_disks_shows_none),
	};

	if (argc == 2 && !strcmp(argv[1], "--write"))
		return write_anew();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
