/* SPDX-License-Identifier: Apache-2.0 */
/* What libvirt is to be told, from what it has and what is wanted. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "agent/base/uuid.h"
#include "agent/host/plan.h"

#define TEXT(s) ((char *)(uintptr_t)(s))

static struct qb_network_config nat = {.name = TEXT("guests"),
				       .forward = QB_FORWARD_NAT,
				       .subnet = TEXT("198.51.100.0/24"),
				       .autostart = true};
static struct qb_bridge_config bridge = {.name = TEXT("br0"),
					 .libvirt_network = TEXT("host-bridge")};
static struct qb_pool_config iso = {
	.name = TEXT("iso"), .type = QB_POOL_DIR, .target = TEXT("/srv/iso")};

struct want {
	bool nat, bridge, iso;
};

static void plan(struct qb_facts *facts, struct want want, struct qb_plan *ret)
{
	struct qb_config config = {
		.networks = &nat,
		.n_networks = want.nat,
		.bridges = &bridge,
		.n_bridges = want.bridge,
		.pools = &iso,
		.n_pools = want.iso,
	};

	facts->system.machine_id = TEXT("00005e005300492e8d3a715b2cafe001");
	qb_daemon_plan(facts, &config, ret);
	qb_libvirt_plan(facts, &config, ret);
}

static void the_same_plan_twice_is_the_same(void **state)
{
	struct qb_facts facts = {.libvirt = {.connected = {QB_YES, NULL}}};
	_cleanup_plan_ struct qb_plan a = {0}, b = {0};

	(void)state;
	plan(&facts, (struct want){true, true, true}, &a);
	plan(&facts, (struct want){true, true, true}, &b);
	assert_int_equal(a.n_steps, 3);
	for (size_t i = 0; i < a.n_steps; i++)
		assert_true(json_equal(a.steps[i].args, b.steps[i].args));
}

static void another_pool_is_refused(void **state)
{
	struct qb_vir_pool is = {.persistent = true,
				 .name = TEXT("iso"),
				 .type = TEXT("netfs"),
				 .target = TEXT("/mnt"),
				 .active = true,
				 .autostart = true};
	struct qb_facts facts = {
		.libvirt = {.connected = {QB_YES, NULL}, .pools = &is, .n_pools = 1}};
	_cleanup_plan_ struct qb_plan p = {0};

	(void)state;
	plan(&facts, (struct want){.iso = true}, &p);
	assert_int_equal(p.n_steps, 0);
	assert_int_equal(p.n_refused, 1);
	assert_int_equal(p.refused[0].n_reasons, 2);
}

static void a_logical_pool_is_known_by_its_group(void **state)
{
	struct qb_pool_config vms = {.name = TEXT("vms"), .type = QB_POOL_LOGICAL};
	struct qb_vir_pool is = {.persistent = true,
				 .name = TEXT("vms"),
				 .type = TEXT("logical"),
				 .target = TEXT("/dev/vms"),
				 .source_name = TEXT("vms"),
				 .active = true,
				 .autostart = true};
	struct qb_volume_group group = {.name = TEXT("vms"), .size_bytes = 2000};
	struct qb_facts facts = {
		.system = {.machine_id = TEXT("m")},
		.libvirt = {.connected = {QB_YES, NULL}, .pools = &is, .n_pools = 1}};
	struct qb_config config = {.pools = &vms, .n_pools = 1};
	_cleanup_plan_ struct qb_plan same = {0}, other = {0}, none = {0};

	(void)state;
	qb_libvirt_plan(&facts, &config, &same);
	assert_int_equal(same.n_steps + same.n_refused, 0);
	/* Larger, by what grew or was added; smaller, by what was taken back. */
	facts.disks.groups = &group;
	facts.disks.n_groups = 1;
	for (is.capacity_bytes = 1000; is.capacity_bytes <= 3000; is.capacity_bytes += 1000) {
		_cleanup_plan_ struct qb_plan p = {0};

		qb_libvirt_plan(&facts, &config, &p);
		assert_int_equal(qb_plan_has(&p, "libvirt.refresh"), is.capacity_bytes != 2000);
	}
	is.source_name = TEXT("old");
	qb_libvirt_plan(&facts, &config, &other);
	assert_string_equal(other.refused[0].reasons[0].code, "definition-differs");
	assert_non_null(strstr(other.refused[0].reasons[0].evidence, "volume group old"));
	facts.libvirt.n_pools = 0;
	qb_libvirt_plan(&facts, &config, &none);
	assert_int_equal(none.n_steps, 1);
	assert_string_equal(qb_arg(none.steps[0].args, "target"), "/dev/vms");
	assert_string_equal(qb_arg(none.steps[0].args, "group"), "vms");
}

/* It could not be autostarted, which would come out only at the last step. */
/* What is known of a target is the pool's own only where that is mounted. */
static void a_target_gets_what_it_lacks(void **state)
{
	static const struct {
		const char *mode, *owner, *group; /* wanted */
		const char *is;                   /* its mode; it is 107's and 36's */
		bool planned;
	} cases[] = {
		{NULL, NULL, NULL, "0755", false},   {"755", "107", "36", "0755", false},
		{"0755", NULL, NULL, "2755", false}, {"0711", NULL, NULL, "0755", true},
		{NULL, "0", NULL, "0755", true},     {NULL, NULL, "107", "0755", true},
		{"0711", "107", NULL, NULL, true},
	};

	(void)state;
	for (size_t i = 0; i < QB_ARRAY_SIZE(cases); i++) {
		_cleanup_plan_ struct qb_plan p = {0};
		struct qb_vir_pool is = {.persistent = true,
					 .name = TEXT("iso"),
					 .type = TEXT("dir"),
					 .target = TEXT("/srv/iso"),
					 .active = true,
					 .autostart = true};
		struct qb_target at = {.path = TEXT("/srv/iso"),
				       .mode = TEXT(cases[i].is),
				       .owner = 107,
				       .group = 36};
		struct qb_pool_config pool = {.name = TEXT("iso"),
					      .type = QB_POOL_DIR,
					      .target = TEXT("/srv/iso"),
					      .mode = TEXT(cases[i].mode),
					      .owner = TEXT(cases[i].owner),
					      .group = TEXT(cases[i].group)};
		struct qb_config config = {.pools = &pool, .n_pools = 1};
		const struct qb_facts facts = {
			.libvirt = {.connected = {QB_YES, NULL}, .pools = &is, .n_pools = 1},
			.targets = &at,
			.n_targets = 1};

		qb_libvirt_plan(&facts, &config, &p);
		assert_int_equal(p.n_refused, 0);
		if (p.n_steps != cases[i].planned)
			fail_msg("case %zu: %zu steps", i, p.n_steps);
		if (cases[i].planned)
			assert_string_equal(p.steps[0].kind, "libvirt.target");
	}
}

static void a_transient_object_is_refused(void **state)
{
	struct qb_vir_network network = {
		.name = TEXT("guests"),
		.now = {.forward = TEXT("nat"), .address = TEXT("198.51.100.1/24")},
		.active = true};
	struct qb_vir_pool pool = {.name = TEXT("iso"),
				   .type = TEXT("dir"),
				   .target = TEXT("/srv/iso"),
				   .active = true};
	struct qb_facts facts = {.libvirt = {.connected = {QB_YES, NULL},
					     .networks = &network,
					     .n_networks = 1,
					     .pools = &pool,
					     .n_pools = 1}};
	_cleanup_plan_ struct qb_plan p = {0};

	(void)state;
	plan(&facts, (struct want){.nat = true, .iso = true}, &p);
	assert_int_equal(p.n_steps, 0);
	assert_int_equal(p.n_refused, 2);
	for (size_t i = 0; i < p.n_refused; i++)
		assert_string_equal(p.refused[i].reasons[0].code, "transient");
	assert_non_null(strstr(p.refused[0].reasons[0].evidence, "virsh net-define"));
	assert_non_null(strstr(p.refused[1].reasons[0].evidence, "virsh pool-define"));
}

/* A mount hides what lies beneath: what the target holds is asked before a disk is carved. */
static void a_target_that_is_taken_is_refused(void **state)
{
	static const struct {
		enum qb_tri_state mounted, empty;
		bool own, active;
		const char *code; /* NULL: not refused */
	} cases[] = {
		{QB_NO, QB_YES, false, false, NULL},
		{QB_NO, QB_NO, false, false, "target-not-empty"},
		{QB_NO, QB_NO, false, true, NULL},
		{QB_NO, QB_UNKNOWN, false, false, "target-unknown"},
		{QB_YES, QB_UNKNOWN, false, false, "target-mounted"},
		{QB_YES, QB_UNKNOWN, true, false, NULL},
	};

	(void)state;
	for (size_t i = 0; i < QB_ARRAY_SIZE(cases); i++) {
		char *mounts[] = {TEXT("/srv/images")};
		struct qb_disk disk = {
			.wwid = TEXT("naa.5000"),
			.mark = {.state = QB_MARK_READY, .ours = true, .pool = TEXT("images")},
			.mountpoints = {mounts, cases[i].own}};
		struct qb_target at = {.path = TEXT("/srv/images"),
				       .mounted = {cases[i].mounted, NULL},
				       .empty = {cases[i].empty, NULL},
				       .holds = TEXT("notes")};
		struct qb_vir_pool is = {.persistent = true,
					 .name = TEXT("images"),
					 .type = TEXT("fs"),
					 .target = TEXT("/srv/images"),
					 .active = true,
					 .autostart = true};
		struct qb_pool_config pool = {
			.name = TEXT("images"), .type = QB_POOL_FS, .target = TEXT("/srv/images")};
		struct qb_config config = {.pools = &pool, .n_pools = 1};
		struct qb_facts facts = {.system = {.machine_id = TEXT("m")},
					 .disks = {.disks = &disk, .n_disks = 1},
					 .targets = &at,
					 .n_targets = 1,
					 .libvirt = {.connected = {QB_YES, NULL},
						     .pools = &is,
						     .n_pools = cases[i].active}};
		_cleanup_plan_ struct qb_plan p = {0};
		char uuid[37];

		is.source_device = qb_pool_source(&facts.disks, &pool, "m", NULL, uuid);
		qb_libvirt_plan(&facts, &config, &p);
		free(is.source_device);
		if (!cases[i].code) {
			assert_int_equal(p.n_refused, 0);
			continue;
		}
		assert_int_equal(p.n_steps, 0);
		assert_int_equal(p.n_refused, 1);
		assert_string_equal(p.refused[0].target, "pool images");
		assert_string_equal(p.refused[0].reasons[0].code, cases[i].code);
	}
}

/* libvirt asks how large a file system is when a pool is started, and not again by itself. */
static void a_pool_that_grew_is_looked_at_anew(void **state)
{
	static const struct {
		uint64_t capacity, size;
		bool active, mounted, grows;
		bool planned;
	} cases[] = {
		{1000, 1000, true, true, false, false}, {1000, 2000, true, true, false, true},
		{1000, 1000, true, true, true, true},   {1000, 2000, false, true, true, false},
		{1000, 2000, true, false, true, false}, {0, 2000, true, true, false, false},
		{1000, 0, true, true, false, false},
	};

	(void)state;
	for (size_t i = 0; i < QB_ARRAY_SIZE(cases); i++) {
		struct qb_disk_selector selector = {.serial = TEXT("QB0001")};
		struct qb_pool_config pool = {.name = TEXT("images"),
					      .type = QB_POOL_FS,
					      .disks = &selector,
					      .n_disks = 1,
					      .target = TEXT("/srv/images")};
		struct qb_disk disk = {
			.serial = TEXT("QB0001"),
			.mark = {.state = QB_MARK_READY, .pool = TEXT("images"), .ours = true}};
		struct qb_vir_pool is = {.persistent = true,
					 .name = TEXT("images"),
					 .type = TEXT("fs"),
					 .target = TEXT("/srv/images"),
					 .active = cases[i].active,
					 .autostart = true,
					 .capacity_bytes = cases[i].capacity};
		struct qb_space space = {.path = TEXT("/srv/images"), .size_bytes = cases[i].size};
		struct qb_facts facts = {
			.system = {.machine_id = TEXT("m")},
			.disks = {.disks = &disk, .n_disks = 1},
			.libvirt = {.connected = {QB_YES, NULL}, .pools = &is, .n_pools = 1},
			.spaces = &space,
			.n_spaces = 1};
		struct qb_config config = {.pools = &pool, .n_pools = 1};
		_cleanup_plan_ struct qb_plan p = {0};
		char uuid[QB_UUID_LEN];

		if (cases[i].mounted)
			qb_strs_add(&disk.mountpoints, "/srv/images");
		is.source_device = qb_pool_source(&facts.disks, &pool, "m", NULL, uuid);
		if (cases[i].grows)
			qb_plan_step(
				&p, "storage.grow", QB_UNDO_NONE,
				json_pack("{s:s, s:s}", "pool", "images", "identity", "QB0001"),
				"pool images");
		qb_libvirt_plan(&facts, &config, &p);
		if (qb_plan_has(&p, "libvirt.refresh") != cases[i].planned)
			fail_msg("case %zu", i);
		free(is.source_device);
		qb_strs_done(&disk.mountpoints);
	}
}

/* What was planned for a target before something refused it is not done, not even in part. */
static void steps_of_a_refused_target_are_dropped(void **state)
{
	_cleanup_plan_ struct qb_plan p = {0};

	(void)state;
	qb_plan_step(&p, "storage.carve", QB_UNDO_NONE, json_object(), "pool images");
	qb_plan_step(&p, "libvirt.pool", QB_UNDO_NONE, json_object(), "pool iso");
	qb_plan_refuse(&p, "pool images", "target-not-empty", "it holds something");
	qb_plan_drop_refused(&p);
	assert_int_equal(p.n_steps, 1);
	assert_string_equal(p.steps[0].target, "pool iso");
}

static void nothing_is_planned_over_a_refused_bridge(void **state)
{
	struct qb_config config = {.bridges = &bridge, .n_bridges = 1};
	struct qb_facts facts = {.libvirt = {.connected = {QB_YES, NULL}}};
	_cleanup_plan_ struct qb_plan p = {0};

	(void)state;
	qb_plan_refuse(&p, "br0", "wireless", "wlan0");
	qb_libvirt_plan(&facts, &config, &p);
	assert_int_equal(p.n_steps, 0);
}

static void a_daemon_that_does_not_answer_is_started_where_systemd_can(void **state)
{
	static const struct {
		struct qb_libvirt_facts v;
		enum qb_tri_state systemd;
		size_t steps; /* the daemon, and the network after it */
		const char *evidence;
	} cases[] = {
		{{.connected = {QB_NO, NULL}, .flavour = QB_VIR_MODULAR}, QB_YES, 2, NULL},
		{{.connected = {QB_NO, NULL}, .flavour = QB_VIR_MODULAR},
		 QB_NO,
		 0,
		 "no systemd to start it"},
		{{.connected = {QB_NO, NULL}, .flavour = QB_VIR_NONE},
		 QB_YES,
		 0,
		 "install libvirt-daemon-kvm"},
		{{.connected = {QB_UNKNOWN, TEXT("a captured host")}},
		 QB_YES,
		 0,
		 "whether it answers is unknown: a captured host"},
	};

	(void)state;
	for (size_t i = 0; i < QB_ARRAY_SIZE(cases); i++) {
		struct qb_facts facts = {.libvirt = cases[i].v,
					 .system = {.systemd = {cases[i].systemd, NULL}}};
		_cleanup_plan_ struct qb_plan p = {0};

		plan(&facts, (struct want){.nat = true}, &p);
		assert_int_equal(p.n_steps, cases[i].steps);
		if (!cases[i].evidence) {
			assert_string_equal(p.steps[0].kind, "libvirt.daemon");
			continue;
		}
		assert_int_equal(p.n_refused, 1);
		assert_string_equal(p.refused[0].target, "libvirt");
		assert_string_equal(p.refused[0].reasons[0].code, "libvirt-unreachable");
		assert_non_null(strstr(p.refused[0].reasons[0].evidence, cases[i].evidence));
	}
}

static void a_daemon_that_answers_is_enabled_for_the_next_boot(void **state)
{
	static const struct {
		enum qb_tri_state enabled, systemd;
		enum qb_vir_flavour flavour;
		size_t steps;
	} cases[] = {
		{QB_NO, QB_YES, QB_VIR_MODULAR, 1},      {QB_YES, QB_YES, QB_VIR_MODULAR, 0},
		{QB_UNKNOWN, QB_YES, QB_VIR_MODULAR, 0}, {QB_NO, QB_NO, QB_VIR_MONOLITHIC, 0},
		{QB_NO, QB_YES, QB_VIR_NONE, 0},
	};

	(void)state;
	for (size_t i = 0; i < QB_ARRAY_SIZE(cases); i++) {
		struct qb_facts facts = {.libvirt = {.connected = {QB_YES, NULL},
						     .enabled = {cases[i].enabled, NULL},
						     .flavour = cases[i].flavour},
					 .system = {.systemd = {cases[i].systemd, NULL}}};
		_cleanup_plan_ struct qb_plan p = {0};

		plan(&facts, (struct want){0}, &p);
		assert_int_equal(p.n_refused, 0);
		assert_int_equal(p.n_steps, cases[i].steps);
		if (!p.n_steps)
			continue;
		assert_string_equal(p.steps[0].kind, "libvirt.daemon");
		assert_non_null(strstr(p.steps[0].why, "nothing starts it at boot"));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_same_plan_twice_is_the_same),
		cmocka_unit_test(another_pool_is_refused),
		cmocka_unit_test(a_logical_pool_is_known_by_its_group),
		cmocka_unit_test(a_target_gets_what_it_lacks),
		cmocka_unit_test(a_transient_object_is_refused),
		cmocka_unit_test(a_target_that_is_taken_is_refused),
		cmocka_unit_test(a_pool_that_grew_is_looked_at_anew),
		cmocka_unit_test(steps_of_a_refused_target_are_dropped),
		cmocka_unit_test(nothing_is_planned_over_a_refused_bridge),
		cmocka_unit_test(a_daemon_that_does_not_answer_is_started_where_systemd_can),
		cmocka_unit_test(a_daemon_that_answers_is_enabled_for_the_next_boot),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
