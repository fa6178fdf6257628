/* SPDX-License-Identifier: Apache-2.0 */
/* What a host is set up with beside KVM: the plan, and its steps on a tree of files. */
#include "agent/host/host.h"
#include "agent/steps.h"
#include "tests/unit/tree.h"

#define SWAPPINESS "/proc/sys/vm/swappiness"
#define DOTTED "/proc/sys/net/ipv4/conf/eno1.10/rp_filter"
#define PAGES "/sys/devices/system/node/node1/hugepages/hugepages-1048576kB/nr_hugepages"
#define KSM "/sys/kernel/mm/ksm/run"

static const char config_text[] = "version: 1\n"
				  "host:\n"
				  "  hugepages: {size: 1GiB, count: 4, node: 1}\n"
				  "  ksm: true\n"
				  "  sysctl:\n"
				  "    - {name: vm.swappiness, value: 10}\n"
				  "    - {name: net.ipv4.conf.eno1/10.rp_filter, value: 2}\n"
				  "  default-uri: qemu:///system\n"
				  "  libvirt-group: [alice, bob]\n";

struct world {
	struct tree *tree;
	struct qb_config config;
	struct qb_facts facts;
	struct qb_plan plan;
	struct qb_ledger ledger;
};

static void configure(struct world *w, const char *text)
{
	_cleanup_diags_ struct qb_diags diags = {0};

	qb_config_done(&w->config);
	w->config = (struct qb_config){0};
	if (qb_config_parse(text, strlen(text), &w->config, &diags) < 0)
		fail_msg("%s", diags.v[0].msg);
}

/* A host where nothing of that is so yet. */
static int setup_host(void **state)
{
	struct world *w = qb_alloc(1, sizeof(*w));
	void *tree = NULL;

	if (tree_setup(&tree) < 0)
		return -1;
	w->tree = tree;
	tree_put(w->tree, SWAPPINESS, "60\n");
	tree_put(w->tree, DOTTED, "0\n");
	tree_put(w->tree, PAGES, "0\n");
	tree_put(w->tree, KSM, "0\n");
	tree_put(w->tree, "/etc/passwd",
		 "root:x:0:0::/:/bin/sh\nalice:x:1:1::/:/bin/sh\nbob:x:2:2::/:/x\n");
	tree_put(w->tree, "/etc/group", "root:x:0:\nlibvirt:x:36:bobby,bob\nalice:x:1:\n");
	configure(w, config_text);
	*state = w;
	return 0;
}

static int teardown_host(void **state)
{
	struct world *w = *state;
	void *tree = w->tree;

	qb_plan_done(&w->plan);
	qb_ledger_done(&w->ledger);
	qb_facts_done(&w->facts);
	qb_config_done(&w->config);
	free(w);
	return tree_teardown(&tree);
}

static void plan(struct world *w)
{
	_cleanup_strs_ struct qb_strs reads = {0};

	qb_plan_done(&w->plan);
	qb_facts_done(&w->facts);
	w->plan = (struct qb_plan){0};
	w->facts = (struct qb_facts){0};
	w->facts.system.memory_bytes = 64ull << 30;
	qb_host_reads(&w->config, &reads);
	qb_readings_probe(&w->tree->root, &reads, &w->facts.readings, &w->facts.n_readings);
	qb_host_plan(&w->facts, &w->config, &w->ledger, &w->plan);
}

/* Executes what is planned, but for members, of which a tree has no program. */
static void apply(struct world *w, bool undo)
{
	struct qb_step_ctx ctx = {.root = &w->tree->root};

	for (size_t i = 0; i < w->plan.n_steps; i++) {
		const struct qb_step *s = &w->plan.steps[i];
		const struct qb_step_kind *kind = qb_step_kind_find(s->kind);
		json_auto_t *before = NULL;
		struct qb_error err = QB_ERROR_INIT;
		enum qb_observed observed;

		if (qb_streq(s->kind, "host.member"))
			continue;
		if (kind->observe(&ctx, s->args, &observed, &before, &err) < 0 ||
		    kind->apply(&ctx, s->args, before, &err) < 0 ||
		    kind->verify(&ctx, s->args, before, &err) < 0 ||
		    (undo && kind->undo(&ctx, s->args, before, &err) < 0))
			fail_msg("%s: %s", s->target, err.msg);
		if (!undo)
			*QB_APPEND(w->ledger.entries, w->ledger.n_entries) =
				(struct qb_ledger_entry){.kind = qb_strdup(s->kind),
							 .target = qb_strdup(s->target),
							 .args = json_incref(s->args),
							 .done = true};
	}
}

static void assert_file(struct world *w, const char *path, const char *wanted)
{
	_cleanup_free_ char *text = NULL;
	int r = qb_root_read(&w->tree->root, path, 4096, &text, NULL);

	if (!wanted) {
		assert_int_equal(r, -ENOENT);
		return;
	}
	assert_int_equal(r, 0);
	assert_string_equal(text, wanted);
}

/* The kernel's files have no newline of ours. */
static void assert_value(struct world *w, const char *path, const char *wanted)
{
	_cleanup_free_ char *value = NULL;

	assert_int_equal(qb_root_read_value(&w->tree->root, path, &value), 0);
	assert_string_equal(value, wanted);
}

static void assert_refused(struct world *w, const char *target, const char *code,
			   const char *evidence)
{
	for (size_t i = 0; i < w->plan.n_refused; i++)
		if (qb_streq(w->plan.refused[i].target, target) &&
		    qb_streq(w->plan.refused[i].reasons[0].code, code) &&
		    strstr(w->plan.refused[i].reasons[0].evidence, evidence))
			return;
	fail_msg("%zu refusals, the first: %s", w->plan.n_refused,
		 w->plan.n_refused ? w->plan.refused[0].reasons[0].evidence : "none");
}

static void all_is_set_now_and_for_each_boot_and_undone(void **state)
{
	struct world *w = *state;

	plan(w);
	assert_int_equal(w->plan.n_refused, 0);
	/* Four settings, three files, and a user. */
	assert_int_equal(w->plan.n_steps, 8);
	assert_string_equal(w->plan.steps[7].target, "user alice");
	apply(w, true);
	assert_value(w, SWAPPINESS, "60");
	assert_file(w, QB_TMPFILES_FILE, NULL);
	apply(w, false);
	assert_value(w, SWAPPINESS, "10");
	assert_value(w, DOTTED, "2");
	assert_value(w, PAGES, "4");
	assert_value(w, KSM, "1");
	assert_file(w, QB_SYSCTL_FILE,
		    "# Written by qubi-agent; changes here are overwritten.\n"
		    "vm.swappiness = 10\nnet.ipv4.conf.eno1/10.rp_filter = 2\n");
	assert_file(w, QB_TMPFILES_FILE,
		    "# Written by qubi-agent; changes here are overwritten.\n"
		    "w " PAGES " - - - - 4\nw " KSM " - - - - 1\n");
	assert_file(w, QB_URI_FILE,
		    "# Written by qubi-agent; changes here are overwritten.\n"
		    "LIBVIRT_DEFAULT_URI='qemu:///system'\nexport LIBVIRT_DEFAULT_URI\n");
	/* Once more there is only the user left. */
	plan(w);
	assert_int_equal(w->plan.n_steps, 1);
}

static void what_is_not_configured_any_more_leaves_its_file(void **state)
{
	struct world *w = *state;

	plan(w);
	apply(w, false);
	configure(w, "version: 1\nhost: {sysctl: {name: vm.swappiness, value: 10}}\n");
	plan(w);
	assert_int_equal(w->plan.n_steps, 3);
	apply(w, false);
	assert_file(w, QB_TMPFILES_FILE, NULL);
	assert_file(w, QB_URI_FILE, NULL);
	assert_file(w, QB_SYSCTL_FILE,
		    "# Written by qubi-agent; changes here are overwritten.\nvm.swappiness = 10\n");
	plan(w);
	assert_int_equal(w->plan.n_steps, 0);
	configure(w, "version: 1\n");
	plan(w);
	assert_int_equal(w->plan.n_steps, 1);
	apply(w, false);
	assert_file(w, QB_SYSCTL_FILE, NULL);
	/* Somebody else's is his. */
	tree_put(w->tree, QB_SYSCTL_FILE, "vm.swappiness = 1\n");
	plan(w);
	assert_int_equal(w->plan.n_steps, 0);
}

static void what_this_host_does_not_have_is_refused(void **state)
{
	struct world *w = *state;
	struct qb_error err = QB_ERROR_INIT;

	assert_int_equal(qb_root_unlink(&w->tree->root, PAGES, &err), 0);
	tree_put(w->tree, "/etc/passwd", "root:x:0:0::/:/bin/sh\n");
	plan(w);
	assert_refused(w, "hugepages", "unsupported", "this host has no " PAGES);
	assert_refused(w, "user alice", "no-match", "no user alice");
	tree_put(w->tree, "/etc/group", "root:x:0:\n");
	tree_put(w->tree, "/etc/passwd", "alice:x:1:1::/:/bin/sh\n");
	plan(w);
	assert_refused(w, "user alice", "no-match", "no group libvirt");
	configure(w, "version: 1\nhost: {hugepages: [{size: 1GiB, count: 65}]}\n");
	plan(w);
	assert_refused(w, "hugepages", "no-room", "would take 65 GiB, and this host has 64 GiB");
}

static void bad_settings_are_refused_where_they_stand(void **state)
{
	static const struct {
		const char *host, *msg;
	} cases[] = {
		{"hugepages: [{size: 3MiB, count: 1}]", "no page has such a size"},
		{"hugepages: [{size: 2MiB, count: 1}, {size: 2MiB, count: 2}]", "counted twice"},
		{"hugepages: [{size: 2MiB, count: 1}, {size: 2MiB, count: 2, node: 0}]",
		 "for each node, or for all of them together"},
		{"hugepages: [{size: 2MiB, count: -1}]", "count"},
		{"sysctl: [{name: a.b, value: 1}, {name: a.b, value: 2}]", "is taken already"},
		{"sysctl: [{name: ../../etc, value: 1}]", "is not the name of a sysctl"},
		{"sysctl: [{name: a..b, value: 1}]", "is not the name of a sysctl"},
		{"default-uri: \"qemu:///system'; rm\"", "is not the URI of a libvirt"},
		{"libvirt-group: [-r]", "is not the name of a user"},
		{"hugepage: []", "hugepages"},
	};

	(void)state;
	for (size_t i = 0; i < QB_ARRAY_SIZE(cases); i++) {
		_cleanup_free_ char *text = qb_asprintf("version: 1\nhost: {%s}\n", cases[i].host);
		_cleanup_diags_ struct qb_diags diags = {0};
		_cleanup_config_ struct qb_config config = {0};

		assert_int_equal(qb_config_parse(text, strlen(text), &config, &diags), -EINVAL);
		if (diags.v[0].line != 2 || !strstr(diags.v[0].msg, cases[i].msg))
			fail_msg("%s: %s", cases[i].host, diags.v[0].msg);
	}
}

/* What a journal or a plan from elsewhere names. */
static void steps_write_no_other_files(void **state)
{
	static const struct {
		const struct qb_step_kind *kind;
		const char *args;
	} cases[] = {
		{&qb_setting_step, "{\"path\": \"/etc/passwd\", \"value\": \"1\"}"},
		{&qb_setting_step, "{\"path\": \"/proc/sys/../../etc/passwd\", \"value\": \"1\"}"},
		{&qb_setting_step, "{\"path\": \"/proc/sys/vm/swappiness\"}"},
		{&qb_host_persist_step, "{\"path\": \"/etc/passwd\", \"text\": \"1\"}"},
		{&qb_host_persist_step, "{\"path\": \"/etc/passwd\"}"},
		{&qb_member_step, "{\"user\": \"-r\", \"group\": \"libvirt\"}"},
	};
	struct world *w = *state;
	struct qb_step_ctx ctx = {.root = &w->tree->root};

	for (size_t i = 0; i < QB_ARRAY_SIZE(cases); i++) {
		json_auto_t *args = json_loads(cases[i].args, 0, NULL), *before = NULL;
		struct qb_error err = QB_ERROR_INIT;
		enum qb_observed observed;

		assert_int_equal(cases[i].kind->observe(&ctx, args, &observed, &before, &err),
				 -EINVAL);
	}
}

static void what_the_kernel_does_not_take_is_said(void **state)
{
	struct world *w = *state;
	struct qb_step_ctx ctx = {.root = &w->tree->root};
	json_auto_t *args = json_pack("{s:s, s:s}", "path", PAGES, "value", "4");
	struct qb_error err = QB_ERROR_INIT;

	tree_put(w->tree, PAGES, "3\n");
	assert_int_equal(qb_setting_step.verify(&ctx, args, NULL, &err), -EIO);
	assert_non_null(
		strstr(err.msg, "is 3 after 4 was written to it: memory is too fragmented"));
}

static void values_are_compared_as_words(void **state)
{
	static const struct {
		const char *a, *b;
		bool same;
	} cases[] = {
		{"4096\t87380\t6291456\n", "4096 87380 6291456", true},
		{"1", "10", false},
		{"10", "1", false},
		{"1 2", "1", false},
		{"", "", true},
		{"", "1", false},
	};

	(void)state;
	for (size_t i = 0; i < QB_ARRAY_SIZE(cases); i++)
		if (qb_host_same_value(cases[i].a, cases[i].b) != cases[i].same)
			fail_msg("case %zu", i);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup_host, teardown_host)
	const struct CMUnitTest tests[] = {
		T(all_is_set_now_and_for_each_boot_and_undone),
		T(what_is_not_configured_any_more_leaves_its_file),
		T(what_this_host_does_not_have_is_refused),
		cmocka_unit_test(bad_settings_are_refused_where_they_stand),
		T(steps_write_no_other_files),
		T(what_the_kernel_does_not_take_is_said),
		cmocka_unit_test(values_are_compared_as_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
