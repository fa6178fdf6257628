/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/host/kmod_lib.h"
#include "agent/host/module.h"

#include <errno.h>
#include <fcntl.h>

enum {
	TEXT_MAX = 4 << 20
};

/* What the kernel and its directory of modules tell, read once for all modules. */
struct sources {
	const struct qb_root *root;
	char *loaded;  /* /proc/modules; NULL: this kernel loads none */
	int loaded_r;  /* why not */
	char *dir;     /* /lib/modules/RELEASE */
	char *builtin; /* its modules.builtin */
	int dir_fd;    /* keeps the path that kmod was given */
	struct kmod_ctx *kmod;
	char *no_index; /* why kmod is NULL */
	bool no_dir;    /* because the running kernel has no such directory, others may */
};

static void sources_done(struct sources *s)
{
	qb_kmod_unrefp(&s->kmod);
	qb_closep(&s->dir_fd);
	free(s->loaded);
	free(s->dir);
	free(s->builtin);
	free(s->no_index);
}

/*
 * libkmod takes a path. That of an fd opened below the root cannot lead out of it; its files could
 * be links that do, which depmod never makes.
 */
static int index_open(struct sources *s)
{
	static const char *const no_config[] = {NULL};
	_cleanup_free_ char *index = qb_asprintf("%s/modules.dep.bin", s->dir), *path = NULL;
	struct stat st;
	int r;

	s->dir_fd = qb_root_openat(s->root, s->dir, O_PATH | O_DIRECTORY, 0);
	if (s->dir_fd < 0)
		return s->dir_fd;
	r = qb_root_stat(s->root, index, false, &st);
	if (r < 0)
		return r;
	if (!S_ISREG(st.st_mode))
		return -ELOOP;
	r = qb_kmod_load(NULL);
	if (r < 0)
		return r;
	path = qb_asprintf("/proc/self/fd/%d", s->dir_fd);
	s->kmod = sym_kmod_new(path, no_config);
	if (!s->kmod)
		return -ENOMEM;
	/* It would write to stderr what the facts tell. */
	sym_kmod_set_log_priority(s->kmod, 0);
	return 0;
}

/* Of some kernel: a root that was captured without any says nothing of what was not there. */
static bool has_modules(const struct qb_root *root)
{
	_cleanup_strs_ struct qb_strs names = {0};

	return qb_root_list(root, "/lib/modules", &names) == 0 && names.n;
}

static void sources_read(const struct qb_root *root, struct sources *s)
{
	_cleanup_free_ char *release = NULL, *builtin = NULL;
	int r;

	*s = (struct sources){.root = root, .dir_fd = -1};
	s->loaded_r = qb_root_read(root, "/proc/modules", TEXT_MAX, &s->loaded, NULL);
	r = qb_root_read_value(root, "/proc/sys/kernel/osrelease", &release);
	if (r < 0) {
		s->no_index = qb_asprintf("/proc/sys/kernel/osrelease: %s", strerror(-r));
		return;
	}
	s->dir = qb_asprintf("/lib/modules/%s", release);
	builtin = qb_asprintf("%s/modules.builtin", s->dir);
	/* Without it a module that is built in is still seen in /sys/module, where it shows. */
	(void)!qb_root_read(root, builtin, TEXT_MAX, &s->builtin, NULL);
	r = index_open(s);
	s->no_dir = r == -ENOENT && (root->live || has_modules(root));
	if (r < 0)
		s->no_index = qb_asprintf("%s/modules.dep.bin: %s", s->dir, strerror(-r));
}

/* Whether a line of /proc/modules begins with name as a whole word. */
static bool is_loaded(const char *text, const char *name)
{
	size_t n = strlen(name);

	for (const char *line = text; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (!strncmp(line, name, n) && line[n] == ' ')
			return true;
	}
	return false;
}

/* Lines such as kernel/virt/kvm/kvm-amd.ko */
static bool is_builtin(const char *text, const char *name)
{
	_cleanup_free_ char *copy = qb_module_name(text), *file = qb_asprintf("/%s.ko\n", name);

	return copy && strstr(copy, file);
}

/* True when the kernel itself shows the module. */
static bool state_in_kernel(const struct sources *s, struct qb_module *m)
{
	_cleanup_free_ char *dir = qb_asprintf("/sys/module/%s", m->name);
	_cleanup_free_ char *path = qb_asprintf("%s/initstate", dir), *state = NULL;
	int r = qb_root_read_value(s->root, path, &state);

	if (r == 0 && strcmp(state, "live") != 0) {
		m->why = qb_asprintf("%s: %s", path, state);
		return true;
	}
	if (r == 0 || (s->loaded && is_loaded(s->loaded, m->name)))
		m->state = QB_MODULE_LOADED;
	else if (r == -ENOENT && qb_root_exists(s->root, dir))
		/* Only what was loaded from a file has an initstate. */
		m->state = QB_MODULE_BUILTIN;
	else if (s->builtin && is_builtin(s->builtin, m->name))
		m->state = QB_MODULE_BUILTIN;
	return m->state != QB_MODULE_UNKNOWN;
}

/* Whether the index names a file for it, and that is there. */
static void state_in_index(const struct sources *s, struct qb_module *m)
{
	_cleanup_module_ struct kmod_module *mod = NULL;
	_cleanup_free_ char *file = NULL;
	const char *path;
	int r = sym_kmod_module_new_from_name(s->kmod, m->name, &mod);

	if (r < 0) {
		m->why = qb_asprintf("libkmod: %s", strerror(-r));
		return;
	}
	path = sym_kmod_module_get_path(mod);
	m->state = QB_MODULE_MISSING;
	if (!path)
		return;
	/* Outside of the directory only where depmod was told to look elsewhere, too. */
	file = qb_startswith(path, sym_kmod_get_dirname(s->kmod))
		       ? qb_asprintf("%s%s", s->dir, path + strlen(sym_kmod_get_dirname(s->kmod)))
		       : qb_strdup(path);
	if (qb_root_exists(s->root, file))
		m->state = QB_MODULE_AVAILABLE;
	else
		m->why = qb_asprintf("modules.dep names %s, which is not there", file);
}

static void state(const struct sources *s, struct qb_module *m)
{
	if (state_in_kernel(s, m))
		return;
	if (s->loaded_r == -ENOENT && qb_root_exists(s->root, "/proc/sys/kernel"))
		m->why = qb_strdup("this kernel has no support for modules");
	else if (s->loaded_r < 0)
		m->why = qb_asprintf("/proc/modules: %s", strerror(-s->loaded_r));
	else if (s->kmod)
		state_in_index(s, m);
	else if (s->no_dir)
		m->state = QB_MODULE_MISSING;
	if (!s->kmod && !m->why)
		m->why = qb_strdup(s->no_index);
}

static void persisted(const struct qb_module_conf *conf, struct qb_module *m)
{
	if (qb_strs_has(&conf->boot_named, m->name) ||
	    (qb_strs_has(&conf->boot, m->name) && !m->blacklisted))
		qb_tri_set(&m->persisted, true);
	else if (conf->unknown)
		qb_tri_unknown(&m->persisted, "%s", conf->unknown);
	else
		qb_tri_set(&m->persisted, false);
}

void qb_modules_probe(const struct qb_root *root, const struct qb_strs *names,
		      struct qb_module **ret, size_t *ret_n)
{
	QB_CLEANUP(sources_done) struct sources s;
	_cleanup_module_conf_ struct qb_module_conf conf;
	_cleanup_strs_ struct qb_strs seen = {0};
	size_t n_names;
	struct qb_module *list = NULL;
	size_t n = 0;

	sources_read(root, &s);
	qb_module_conf_read(root, &conf);
	/* What is to be loaded at boot is looked at, too. */
	n_names = names->n + conf.boot.n;
	for (size_t i = 0; i < n_names; i++) {
		_cleanup_free_ char *name =
			qb_module_name(i < names->n ? names->v[i] : conf.boot.v[i - names->n]);
		struct qb_module *m;

		if (qb_strs_has(&seen, name))
			continue;
		qb_strs_add(&seen, name);
		m = QB_APPEND(list, n);
		m->name = QB_TAKE_PTR(name);
		m->blacklisted_by = qb_strdup(qb_module_conf_blacklists(&conf, m->name));
		m->blacklisted = m->blacklisted_by != NULL;
		m->blocked_by = qb_strdup(qb_module_conf_blocks(&conf, m->name));
		m->install_blocked = m->blocked_by != NULL;
		m->at_boot = qb_strs_has(&conf.boot, m->name);
		qb_module_conf_options(&conf, m);
		persisted(&conf, m);
		state(&s, m);
	}
	*ret = list;
	*ret_n = n;
}
