/* SPDX-License-Identifier: Apache-2.0 */
/* What is made of disks, and what disks tell of themselves: listed, asked, left behind. */
#include "agent/base/clock.h"
#include "storage/probe.h"
#include "storage/probe_parts.h"
#include "tests/unit/tree.h"

#define VG "LVM-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define LV "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

static void block(struct tree *t, const char *name, const char *dm_name, const char *uuid,
		  const char *size, const char *suspended)
{
	_cleanup_free_ char *dir = qb_asprintf("/sys/block/%s", name);
	const struct {
		const char *file, *text;
	} files[] = {{"size", size},
		     {"dm/name", dm_name},
		     {"dm/uuid", uuid},
		     {"dm/suspended", suspended}};

	for (size_t i = 0; i < QB_ARRAY_SIZE(files); i++) {
		_cleanup_free_ char *path = qb_asprintf("%s/%s", dir, files[i].file);

		if (files[i].text)
			tree_put(t, path, files[i].text);
	}
}

static void list(struct tree *t, struct qb_disks *ret)
{
	_cleanup_blocks_ struct qb_blocks blocks = {0};

	qb_blocks_read(&t->root, &blocks);
	qb_mappings_list(&t->root, &blocks, ret);
}

static void what_is_listed(void **state)
{
	struct tree *t = *state;
	_cleanup_disks_ struct qb_disks d = {0};

	block(t, "sda", NULL, NULL, "2048\n", NULL);
	block(t, "dm-0", "vg-root\n", VG LV "\n", "2048\n", "0\n");
	tree_put(t, "/sys/block/dm-0/slaves/sda/x", "");
	tree_put(t, "/sys/block/dm-0/dev", "253:0\n");
	block(t, "dm-1", "vg-pool_tdata\n", VG LV "-tdata\n", "2048\n", "0\n");
	block(t, "dm-2", "mpatha\n", "mpath-3600\n", "2048\n", "1\n");
	block(t, "dm-3", "empty\n", NULL, "0\n", "0\n");
	block(t, "dm-4", "odd\n", NULL, "2048\n", NULL);
	block(t, "md127", NULL, NULL, "2048\n", NULL);
	block(t, "md126", NULL, NULL, "0\n", NULL);
	list(t, &d);
	assert_int_equal(d.n_mappings, 4);
	assert_string_equal(d.mappings[0].dm_name, "vg-root");
	assert_string_equal(d.mappings[0].devno, "253:0");
	assert_string_equal(d.mappings[0].path, "/dev/dm-0");
	assert_true(qb_strs_has(&d.mappings[0].disks, "sda"));
	assert_true(qb_is_not(&d.mappings[0].suspended));
	assert_non_null(strstr(d.mappings[0].readable.why, "captured"));
	assert_string_equal(d.mappings[1].dm_name, "mpatha");
	assert_true(qb_is(&d.mappings[1].suspended));
	assert_non_null(strstr(d.mappings[2].suspended.why, "dm-4/dm/suspended: No such file"));
	assert_string_equal(d.mappings[3].name, "md127");
	assert_true(qb_is_not(&d.mappings[3].suspended));
}

/* On a live host it would be asked, but for that. */
static void one_that_is_suspended_is_not_read(void **state)
{
	struct tree *t = *state;
	_cleanup_disks_ struct qb_disks d = {0};
	_cleanup_child_ struct qb_child child = QB_CHILD_INIT;

	block(t, "dm-0", "hung\n", NULL, "2048\n", "1\n");
	t->root.live = true;
	list(t, &d);
	t->root.live = false;
	assert_string_equal(d.mappings[0].readable.why,
			    "it is suspended: a read would wait until it is resumed");
	qb_mappings_begin(&d, &child);
	assert_int_equal(child.pid, 0);
}

static void add(struct qb_disks *d, const char *name, const char *path)
{
	struct qb_mapping *m = QB_APPEND(d->mappings, d->n_mappings);

	m->name = qb_strdup(name);
	m->path = qb_strdup(path);
}

/* Files in the place of devices: one that is well, one with a PV, one that gives an error, one that
 * is not there, and one that nobody ever answers for. */
static void each_answers_for_itself(void **state)
{
	struct tree *t = *state;
	_cleanup_disks_ struct qb_disks d = {0};
	_cleanup_free_ char *well = qb_asprintf("%s/well", t->top);
	_cleanup_free_ char *pv = qb_asprintf("%s/pv", t->top);
	_cleanup_free_ char *gone = qb_asprintf("%s/gone", t->top);
	_cleanup_free_ char *hung = qb_asprintf("%s/hung", t->top);
	struct qb_child child = QB_CHILD_INIT;
	char label[4096] = {0};
	uint64_t begin;

	tree_write(t, "/well", label, sizeof(label));
	memcpy(label + 512, "LABELONE", 8);
	memcpy(label + 512 + 24, "LVM2 001", 8);
	tree_write(t, "/pv", label, sizeof(label));
	assert_int_equal(mkfifo(hung, 0600), 0);
	add(&d, "dm-0", well);
	add(&d, "dm-1", pv);
	add(&d, "dm-2", "/proc/self/mem"); /* nothing is mapped at 0 */
	add(&d, "dm-3", gone);
	add(&d, "dm-4", hung);
	begin = qb_now_ms();
	qb_mappings_begin(&d, &child);
	qb_children_wait(&child, 1, begin + 300);
	qb_mappings_end(&child, 300, &d);
	assert_true(qb_now_ms() - begin <= 3000);
	assert_true(qb_is(&d.mappings[0].readable) && !d.mappings[0].lvm);
	assert_true(qb_is(&d.mappings[1].readable) && d.mappings[1].lvm);
	assert_true(qb_is_not(&d.mappings[2].readable));
	assert_string_equal(d.mappings[2].error, "reading its beginning: Input/output error");
	assert_non_null(strstr(d.mappings[3].readable.why, "gone: No such file"));
	assert_non_null(strstr(d.mappings[4].readable.why, "hung: no answer within 300 ms"));
}

static void sensor(struct tree *t, const char *name, struct qb_disk *ret)
{
	*ret = (struct qb_disk){.name = qb_strdup(name)};
	qb_sensor_probe(&t->root, ret);
}

static void temperatures(void **state)
{
	static const struct {
		const char *disk, *dir;
	} rows[] = {
		{"sda", "/sys/block/sda/device/hwmon/hwmon2"},
		{"nvme0n1", "/sys/block/nvme0n1/device/hwmon3"},
		{"nvme1n1", "/sys/block/nvme1n1/device/device/hwmon/hwmon4"},
		{"nvme2n1", "/sys/block/nvme2n1/device/nvme2/hwmon5"}, /* of a subsystem */
	};
	struct tree *t = *state;
	struct qb_disk disk;

	for (size_t i = 0; i < QB_ARRAY_SIZE(rows); i++) {
		_cleanup_free_ char *input = qb_asprintf("%s/temp1_input", rows[i].dir);
		_cleanup_free_ char *crit = qb_asprintf("%s/temp1_crit", rows[i].dir);
		_cleanup_free_ char *alarm = qb_asprintf("%s/temp1_alarm", rows[i].dir);

		tree_put(t, input, "41850\n");
		sensor(t, rows[i].disk, &disk);
		assert_true(qb_is(&disk.sensor) && disk.celsius == 41);
		assert_true(disk.celsius_limit == 0 && !disk.too_hot);
		qb_disk_done(&disk);
		tree_put(t, crit, "84850\n");
		tree_put(t, alarm, "1\n");
		tree_put(t, input, "-3000\n");
		sensor(t, rows[i].disk, &disk);
		assert_true(disk.celsius == -3 && disk.celsius_limit == 84 && disk.too_hot);
		qb_disk_done(&disk);
		tree_put(t, input, "warm\n");
		sensor(t, rows[i].disk, &disk);
		assert_non_null(strstr(disk.sensor.why, "temp1_input: Invalid argument"));
		qb_disk_done(&disk);
	}
	tree_put(t, "/sys/block/vda/device/vendor", "0x1af4\n");
	sensor(t, "vda", &disk);
	assert_true(qb_is_not(&disk.sensor));
	qb_disk_done(&disk);
}

/* As lvm 2.03 writes it, of a group that lacks a disk and of a PV that is in none. */
static void what_lvm_says(void **state)
{
	static const char text[] =
		"{\"report\": [{\"vg\": [{\"vg_name\":\"vg\", \"vg_missing_pv_count\":\"1\", "
		"\"lv_count\":\"2\", \"vg_tags\":\"a,qubi.state=ready\", "
		"\"vg_size\":\"1069547520\", \"vg_free\":\"8388608\", "
		"\"vg_extent_size\":\"4194304\"}],"
		"\"pv\": [{\"pv_name\":\"/dev/sda2\", \"pv_size\":\"1069547520\", "
		"\"pe_start\":\"1048576\", \"pv_mda_count\":\"2\", "
		"\"pv_mda_size\":\"1044480\"}, "
		"{\"pv_name\":\"[unknown]\"}],"
		"\"lv\": [{\"lv_name\":\"home\", \"lv_health_status\":\"partial\"},"
		"{\"lv_name\":\"mirror\", \"lv_health_status\":\"unknown\"},"
		"{\"lv_name\":\"images\", \"lv_health_status\":\"\", \"lv_size\":\"314572800\", "
		"\"lv_tags\":\"qubi.state=ready,qubi.volume=1\"}],"
		"\"pvseg\": [], \"seg\": []},"
		"{\"pv\": [{\"pv_name\":\"/dev/sdb\"}], \"pvseg\": [{\"pvseg_start\":\"0\"}]}]}";
	static const char *const bad[] = {
		"",
		"[]",
		"{}",
		"{\"report\": 1}",
		"{\"report\": [{\"vg\": [{\"vg_name\":\"a\", \"vg_missing_pv_count\":\"\"}]}]}",
		"{\"report\": [{\"vg\": [{\"vg_name\":\"a\", \"vg_missing_pv_count\":\"0\", "
		"\"lv_count\":\"0\", \"vg_size\":\"0\", \"vg_free\":\"0\", "
		"\"vg_extent_size\":\"4096\"}], \"pv\": [{\"pv_name\":\"/dev/sda2\"}]}]}"};
	_cleanup_disks_ struct qb_disks d = {0}, none = {0};

	(void)state;
	assert_true(qb_groups_parse(text, &d));
	assert_int_equal(d.n_groups, 1);
	assert_string_equal(d.groups[0].name, "vg");
	assert_int_equal(d.groups[0].missing, 1);
	assert_int_equal(d.groups[0].volumes, 2);
	assert_int_equal(d.groups[0].tags.n, 2);
	assert_string_equal(d.groups[0].tags.v[1], "qubi.state=ready");
	assert_int_equal(d.groups[0].size_bytes, 1069547520);
	assert_int_equal(d.groups[0].free_bytes, 8388608);
	assert_int_equal(d.groups[0].extent_bytes, 4194304);
	assert_int_equal(d.groups[0].n_tagged, 1);
	assert_string_equal(d.groups[0].tagged[0].name, "images");
	assert_int_equal(d.groups[0].tagged[0].size_bytes, 314572800);
	assert_int_equal(d.groups[0].tagged[0].tags.n, 2);
	assert_int_equal(d.groups[0].physical_volumes.n, 1);
	assert_string_equal(d.groups[0].physical_volumes.v[0], "/dev/sda2");
	assert_int_equal(d.groups[0].n_sizes, 1);
	assert_string_equal(d.groups[0].sizes[0].path, "/dev/sda2");
	assert_int_equal(d.groups[0].sizes[0].taken_bytes, 1071640576);
	assert_int_equal(d.groups[0].damaged.n, 1);
	assert_string_equal(d.groups[0].damaged.v[0], "home (partial)");
	assert_true(qb_groups_parse("{\"report\": []}", &none));
	for (size_t i = 0; i < QB_ARRAY_SIZE(bad); i++)
		assert_false(qb_groups_parse(bad[i], &none));
}

/* As the kernel's documents have it; what is no group's is not LVM's. */
static void what_the_kernel_says_of_volumes(void **state)
{
	static const char text[] =
		"my--vg-root: 0 8192 raid raid1 2 AA 8192/8192 idle 0 0 -\n"
		"my--vg-a--b: 0 8192 raid raid5_ls 3 ADA 8192/8192 idle 0 0 -\n"
		"my--vg-new: 0 8192 raid raid1 2 Aa 64/8192 resync 0 0 -\n"
		"my--vg-home: 0 8192 linear \n"
		"my--vg-p1-tpool: 0 8192 thin-pool 1 40/1024 3/128 - rw no_discard_passdown "
		"queue_if_no_space - 1024 \n"
		"my--vg-p2-tpool: 0 8192 thin-pool 1 40/1024 128/128 - out_of_data_space "
		"no_discard_passdown queue_if_no_space - 1024 \n"
		"my--vg-p3-tpool: 0 8192 thin-pool 1 40/1024 3/128 - ro no_discard_passdown "
		"queue_if_no_space needs_check 1024 \n"
		"my--vg-p4-tpool: 0 8192 thin-pool 1 40/1024 3/128 - rw no_discard_passdown "
		"error_if_no_space needs_check 1024 \n"
		"my--vg-p5-tpool: 0 8192 thin-pool Fail\n"
		"other-x: 0 8192 raid raid1 2 DA 8192/8192 idle 0 0 -\n"
		"nohyphen: 0 8192 thin-pool Fail\n"
		"my--vg: 0 1 raid\n"
		"No devices found\n";
	_cleanup_free_ char *copy = qb_strdup(text), *said = NULL;
	_cleanup_disks_ struct qb_disks d = {0};

	(void)state;
	QB_APPEND(d.groups, d.n_groups)->name = qb_strdup("my-vg");
	qb_groups_take_status(copy, &d);
	said = qb_strs_sentence(&d.groups[0].damaged);
	assert_string_equal(said, "a-b (a leg has failed), p2 (out of data space), p3 (read-only), "
				  "p4 (needs check) and p5 (failed)");
}

/* When LVM is asked at all: only where something of it was seen, and nothing is in its way. */
static void when_lvm_is_asked(void **state)
{
	struct qb_disk_raw raw[1] = {{0}};
	struct qb_child child = QB_CHILD_INIT;
	_cleanup_disks_ struct qb_disks d = {0};
	struct qb_disk *disk = QB_APPEND(d.disks, d.n_disks);

	(void)state;
	disk->size_bytes = 1 << 20;
	qb_tri_set(&disk->readable, true);
	qb_groups_end(&child, 100, 0, raw, &d);
	assert_true(qb_is_not(&d.lvm));
	qb_tri_unknown(&disk->readable, "it hangs");
	d.lvm.state = QB_UNKNOWN;
	qb_groups_end(&child, 100, 0, raw, &d);
	assert_non_null(strstr(d.lvm.why, "could not be read"));
	/* A drive without a medium has nothing, */
	disk->size_bytes = 0;
	qb_tri_set(&d.lvm, false);
	d.lvm.state = QB_UNKNOWN;
	qb_groups_end(&child, 100, 0, raw, &d);
	assert_true(qb_is_not(&d.lvm));
	disk->size_bytes = 1 << 20;
	/* and a hidden path has no contents of its own. */
	raw[0].hidden = true;
	qb_tri_set(&d.lvm, false);
	d.lvm.state = QB_UNKNOWN;
	qb_groups_end(&child, 100, 0, raw, &d);
	assert_true(qb_is_not(&d.lvm));
	add(&d, "dm-0", "/dev/dm-0");
	d.mappings[0].lvm = true;
	d.lvm.state = QB_UNKNOWN;
	qb_groups_end(&child, 100, 0, raw, &d);
	assert_string_equal(d.lvm.why, "no time was left to ask it");
	qb_tri_set(&d.mappings[0].suspended, true);
	qb_tri_set(&d.lvm, false);
	d.lvm.state = QB_UNKNOWN;
	qb_groups_end(&child, 100, UINT64_MAX, raw, &d);
	assert_non_null(strstr(d.lvm.why, "dm-0 is suspended"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		tree_test(what_is_listed),
		tree_test(one_that_is_suspended_is_not_read),
		tree_test(each_answers_for_itself),
		tree_test(temperatures),
		cmocka_unit_test(what_the_kernel_says_of_volumes),
		cmocka_unit_test(what_lvm_says),
		cmocka_unit_test(when_lvm_is_asked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
