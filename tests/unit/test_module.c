/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/host/module.h"
#include "agent/host/plan.h"

#include "tests/unit/tree.h"

#define RELEASE "5.14.0-1.el9.x86_64"
#define MODULES "/lib/modules/" RELEASE

static void test_parse(void **state)
{
	_cleanup_module_conf_ struct qb_module_conf conf = {0};
	struct qb_module amd = {.name = "kvm_amd"}, other = {.name = "kvm"};

	(void)state;
	qb_modprobe_parse("/etc/modprobe.d/a.conf",
			  "# blacklist commented\n"
			  "  blacklist\tkvm-amd  \n"
			  "install kvm_intel /bin/false\n"
			  "install kvm_intel /sbin/modprobe --ignore-install kvm_intel\n"
			  "install usb-* /bin/true\n"
			  "install nfs /sbin/modprobe --ignore-install nfs\n"
			  "options kvm-amd \\\n  nested=1 \\\n  npt=1\n"
			  "options kvm_amd avic=1\n"
			  "options kvm_am nested=0\n"
			  "softdep a pre: b\n"
			  "blacklist",
			  &conf);
	assert_int_equal(conf.n_blacklist, 1);
	assert_string_equal(conf.blacklist[0].module, "kvm_amd");
	/* The first command that matches counts. */
	assert_true(qb_module_conf_blocks(&conf, "kvm_intel"));
	assert_true(qb_module_conf_blocks(&conf, "usb_storage"));
	assert_false(qb_module_conf_blocks(&conf, "nfs"));
	assert_false(qb_module_conf_blocks(&conf, "kvm_amd"));
	qb_module_conf_options(&conf, &amd);
	assert_int_equal(amd.n_options, 2);
	assert_non_null(strstr(amd.options[0].options, "nested=1"));
	assert_non_null(strstr(amd.options[0].options, "npt=1"));
	assert_string_equal(amd.options[1].options, "avic=1");
	assert_string_equal(amd.options[1].file, "/etc/modprobe.d/a.conf");
	qb_module_conf_options(&conf, &other);
	assert_int_equal(other.n_options, 0);
	for (size_t i = 0; i < amd.n_options; i++) {
		free(amd.options[i].file);
		free(amd.options[i].options);
	}
	free(amd.options);
}

static const struct qb_module *find(const struct qb_facts *f, const char *name)
{
	const struct qb_module *m = qb_facts_module(f, name);

	if (!m)
		fail_msg("no module %s", name);
	return m;
}

static void probe(struct tree *t, struct qb_facts *f)
{
	_cleanup_strs_ struct qb_strs names = {0};

	qb_strs_add(&names, "kvm");
	qb_strs_add(&names, "kvm-amd");
	qb_strs_add(&names, "kvm_amd"); /* the same one */
	qb_strs_add(&names, "vhost_net");
	qb_strs_add(&names, "tun");
	qb_strs_add(&names, "nowhere");
	qb_modules_probe(&t->root, &names, &f->modules, &f->n_modules);
	assert_int_equal(f->n_modules, 5);
}

static void capture(struct tree *t)
{
	tree_put(t, "/proc/sys/kernel/osrelease", RELEASE "\n");
	tree_put(t, "/proc/modules", "kvm_amd_not 1 0 - Live 0x0\nkvm 1 1 kvm_amd, Live 0x0\n");
	tree_put(t, "/etc/hostname", "test\n");
	tree_copy(t, QB_TESTS "/data/host/modules.dep.bin", MODULES "/modules.dep.bin");
	tree_put(t, MODULES "/modules.builtin", "kernel/drivers/net/tun.ko\n");
	tree_put(t, MODULES "/kernel/arch/x86/kvm/kvm-amd.ko", "");
	tree_put(t, MODULES "/kernel/arch/x86/kvm/kvm.ko", "");
}

static void test_states(void **state)
{
	struct tree *t = *state;
	_cleanup_facts_ struct qb_facts f = {0};

	capture(t);
	tree_mkdir(t, "/sys/module");
	probe(t, &f);
	assert_int_equal(find(&f, "kvm")->state, QB_MODULE_LOADED);
	assert_int_equal(find(&f, "kvm_amd")->state, QB_MODULE_AVAILABLE);
	assert_int_equal(find(&f, "tun")->state, QB_MODULE_BUILTIN);
	assert_int_equal(find(&f, "nowhere")->state, QB_MODULE_MISSING);
	/* In the index, and its file is gone. */
	assert_int_equal(find(&f, "vhost_net")->state, QB_MODULE_MISSING);
	assert_non_null(strstr(find(&f, "vhost_net")->why, "vhost_net.ko, which is not there"));
	assert_true(qb_is_not(&find(&f, "kvm")->persisted));
}

static void test_sysfs(void **state)
{
	struct tree *t = *state;
	_cleanup_facts_ struct qb_facts f = {0};

	capture(t);
	tree_put(t, "/proc/modules", "");
	tree_put(t, "/sys/module/kvm/parameters/x", "");
	tree_put(t, "/sys/module/kvm_amd/initstate", "live\n");
	tree_put(t, "/sys/module/vhost_net/initstate", "coming\n");
	probe(t, &f);
	assert_int_equal(find(&f, "kvm")->state, QB_MODULE_BUILTIN);
	assert_int_equal(find(&f, "kvm_amd")->state, QB_MODULE_LOADED);
	assert_int_equal(find(&f, "vhost_net")->state, QB_MODULE_UNKNOWN);
	assert_non_null(strstr(find(&f, "vhost_net")->why, "coming"));
}

/* As libkmod reads them: by the names of the files, whatever their directory; /etc only hides. */
static void test_options_order(void **state)
{
	struct tree *t = *state;
	_cleanup_facts_ struct qb_facts f = {0};
	const struct qb_module *m;
	const char *file;

	capture(t);
	tree_put(t, "/etc/modprobe.d/b.conf", "options kvm_amd nested=0\n");
	tree_put(t, "/usr/lib/modprobe.d/z.conf", "options kvm_amd nested=1\n");
	tree_put(t, "/usr/lib/modprobe.d/b.conf", "options kvm_amd hidden=1\n");
	tree_put(t, "/usr/lib/modprobe.d/a.conf", "options kvm_amd nested=0\n");
	probe(t, &f);
	m = find(&f, "kvm_amd");
	assert_int_equal(m->n_options, 3);
	assert_string_equal(m->options[0].file, "/usr/lib/modprobe.d/a.conf");
	assert_string_equal(m->options[1].file, "/etc/modprobe.d/b.conf");
	assert_int_equal(qb_module_nested_option(m, &file), QB_YES);
	assert_string_equal(file, "/usr/lib/modprobe.d/z.conf");
}

/* What cannot be known is said, with the cause: for the kernel, and for the captured tree. */
static void test_unknown(void **state)
{
	struct tree *t = *state;
	_cleanup_facts_ struct qb_facts without = {0}, uncaptured = {0};

	probe(t, &uncaptured);
	assert_int_equal(find(&uncaptured, "kvm")->state, QB_MODULE_UNKNOWN);
	assert_int_equal(find(&uncaptured, "kvm")->persisted.state, QB_UNKNOWN);
	tree_put(t, "/proc/sys/kernel/osrelease", RELEASE "\n");
	tree_mkdir(t, "/etc");
	probe(t, &without);
	assert_int_equal(find(&without, "kvm")->state, QB_MODULE_UNKNOWN);
	assert_non_null(strstr(find(&without, "kvm")->why, "no support for modules"));
	assert_int_equal(find(&without, "kvm")->persisted.state, QB_NO);
}

/* An index that is a link out of the tree is not read: here it would be this very index. */
static void test_index_link(void **state)
{
	struct tree *t = *state;
	_cleanup_facts_ struct qb_facts f = {0};

	tree_put(t, "/proc/sys/kernel/osrelease", RELEASE "\n");
	tree_put(t, "/proc/modules", "");
	tree_mkdir(t, MODULES);
	tree_put(t, MODULES "/kernel/arch/x86/kvm/kvm.ko", "");
	tree_link(t, QB_TESTS "/data/host/modules.dep.bin", MODULES "/modules.dep.bin");
	probe(t, &f);
	assert_int_equal(find(&f, "kvm")->state, QB_MODULE_UNKNOWN);
	assert_non_null(strstr(find(&f, "kvm")->why, "modules.dep.bin"));
}

static void test_modprobe_d(void **state)
{
	struct tree *t = *state;
	_cleanup_facts_ struct qb_facts f = {0};

	capture(t);
	tree_put(t, "/etc/modprobe.d/a.conf", "blacklist kvm_amd\n");
	tree_put(t, "/usr/lib/modprobe.d/a.conf", "blacklist kvm\n"); /* hidden by the first */
	tree_put(t, "/usr/lib/modprobe.d/b.conf", "install vhost_net /bin/true\n");
	tree_put(t, "/usr/lib/modprobe.d/c.txt", "blacklist kvm\n");
	tree_put(t, "/proc/cmdline", "ro modprobe.blacklist=tun,x module_blacklist=nowhere\n");
	probe(t, &f);
	assert_true(find(&f, "kvm_amd")->blacklisted);
	assert_false(find(&f, "kvm")->blacklisted);
	assert_true(find(&f, "tun")->blacklisted);
	assert_true(find(&f, "vhost_net")->install_blocked);
	assert_true(find(&f, "nowhere")->install_blocked);
	assert_false(find(&f, "kvm")->install_blocked);
	assert_string_equal(find(&f, "kvm_amd")->blacklisted_by, "/etc/modprobe.d/a.conf");
	assert_string_equal(find(&f, "tun")->blacklisted_by, "/proc/cmdline");
	assert_string_equal(find(&f, "vhost_net")->blocked_by, "/usr/lib/modprobe.d/b.conf");
	assert_string_equal(find(&f, "nowhere")->blocked_by, "/proc/cmdline");
	assert_null(find(&f, "kvm")->blacklisted_by);
	assert_null(find(&f, "kvm")->blocked_by);
}

static void test_persisted(void **state)
{
	struct tree *t = *state;
	_cleanup_facts_ struct qb_facts f = {0}, named = {0};

	capture(t);
	tree_put(t, "/etc/modprobe.d/a.conf", "blacklist kvm_amd\n");
	tree_put(t, "/etc/modules-load.d/q.conf", "# vhost_vsock\nkvm\nkvm-amd\n");
	tree_put(t, "/usr/lib/modules-load.d/t.conf", "tun\n");
	tree_link(t, "/dev/null", "/etc/modules-load.d/t.conf");
	probe(t, &f);
	assert_true(qb_is(&find(&f, "kvm")->persisted));
	/* systemd-modules-load leaves out what is blacklisted. */
	assert_true(qb_is_not(&find(&f, "kvm_amd")->persisted));
	assert_true(qb_is_not(&find(&f, "tun")->persisted));
	assert_true(find(&f, "kvm_amd")->at_boot && find(&f, "kvm_amd")->blacklisted);
	assert_false(find(&f, "tun")->at_boot);
	/* What is only named there is looked at, too. */
	tree_put(t, "/etc/modules-load.d/q.conf", "br-netfilter\n");
	tree_put(t, "/etc/modprobe.d/a.conf", "install br_netfilter /bin/false\n");
	qb_facts_done(&f);
	qb_modules_probe(&t->root, &(struct qb_strs){0}, &f.modules, &f.n_modules);
	assert_true(find(&f, "br_netfilter")->at_boot);
	assert_true(find(&f, "br_netfilter")->install_blocked);
	tree_put(t, "/etc/modprobe.d/a.conf", "blacklist kvm_amd\n");
	tree_put(t, "/etc/modules-load.d/q.conf", "kvm\nkvm-amd\n");
	tree_put(t, QB_MODULES_UNIT_FILE,
		 "[Service]\nExecStartPre=-/sbin/modprobe -a vhost_net kvm_amd\n");
	probe(t, &named);
	assert_true(qb_is(&find(&named, "kvm_amd")->persisted));
}

static struct qb_step_ctx context(struct tree *t)
{
	return (struct qb_step_ctx){.root = &t->root};
}

/* Observe, apply, verify, undo: afterwards the file, and its directory, are as before. */
static void persist(struct tree *t, const char *path, const char *before_text)
{
	const struct qb_step_kind *k = &qb_module_persist_step;
	json_auto_t *args = json_pack("{s:s, s:s}", "path", path, "text", "new\n");
	json_auto_t *before = NULL, *none = NULL;
	_cleanup_free_ char *text = NULL;
	struct qb_step_ctx ctx = context(t);
	struct qb_error err = QB_ERROR_INIT;
	enum qb_observed observed;

	assert_int_equal(k->observe(&ctx, args, &observed, &before, &err), 0);
	assert_int_equal(observed, QB_OBSERVED_NEEDED);
	assert_int_not_equal(k->verify(&ctx, args, before, &err), 0);
	assert_int_equal(k->apply(&ctx, args, before, &err), 0);
	assert_int_equal(k->verify(&ctx, args, before, &err), 0);
	assert_int_equal(k->observe(&ctx, args, &observed, &none, &err), 0);
	assert_int_equal(observed, QB_OBSERVED_DONE);
	assert_int_equal(k->undo(&ctx, args, before, &err), 0);
	if (before_text) {
		assert_int_equal(qb_root_read(&t->root, path, 4096, &text, NULL), 0);
		assert_string_equal(text, before_text);
	} else {
		assert_false(qb_root_exists(&t->root, path));
	}
	/* An undo after nothing was done. */
	assert_int_equal(k->undo(&ctx, args, before, &err), 0);
}

static void test_persist_step(void **state)
{
	struct tree *t = *state;
	struct stat st;

	tree_put(t, QB_MODULES_LOAD_FILE, "old\n");
	assert_int_equal(fchmodat(t->root.fd, &QB_MODULES_LOAD_FILE[1], 0600, 0), 0);
	persist(t, QB_MODULES_LOAD_FILE, "old\n");
	assert_int_equal(qb_root_stat(&t->root, QB_MODULES_LOAD_FILE, true, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	persist(t, QB_MODULES_UNIT_FILE, NULL);
	assert_false(
		qb_root_exists(&t->root, "/etc/systemd/system/systemd-modules-load.service.d"));
	tree_put(t, "/etc/modprobe.d/other.conf", "mine\n");
	persist(t, QB_MODPROBE_FILE, NULL);
	assert_true(qb_root_exists(&t->root, "/etc/modprobe.d/other.conf"));
}

static void refused(struct tree *t, const char *path, int error)
{
	json_auto_t *args = json_pack("{s:s, s:s}", "path", path, "text", "new\n");
	json_auto_t *before = NULL;
	struct qb_step_ctx ctx = context(t);
	struct qb_error err = QB_ERROR_INIT;
	enum qb_observed observed;

	assert_int_equal(qb_module_persist_step.observe(&ctx, args, &observed, &before, &err),
			 -error);
	assert_non_null(strstr(err.msg, path));
}

static void test_persist_refuses(void **state)
{
	struct tree *t = *state;

	refused(t, "/etc/passwd", EINVAL);
	tree_put(t, "/etc/modprobe.d/other.conf", "mine\n");
	tree_link(t, "other.conf", QB_MODPROBE_FILE);
	refused(t, QB_MODPROBE_FILE, ESTALE);
	tree_put(t, QB_MODULES_LOAD_FILE, "caf\xe9\n");
	refused(t, QB_MODULES_LOAD_FILE, EILSEQ);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse),    tree_test(test_states),
		tree_test(test_sysfs),           tree_test(test_unknown),
		tree_test(test_index_link),      tree_test(test_modprobe_d),
		tree_test(test_persisted),       tree_test(test_persist_step),
		tree_test(test_persist_refuses), tree_test(test_options_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
