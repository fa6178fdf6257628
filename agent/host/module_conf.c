/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/host/module.h"

#include <errno.h>
#include <fnmatch.h>

enum {
	CONF_MAX = 1 << 20
};

char *qb_module_name(const char *name)
{
	char *copy = qb_strdup(name);

	for (char *c = copy; c && *c; c++)
		if (*c == '-')
			*c = '_';
	return copy;
}

static void add_name(struct qb_strs *to, const char *name)
{
	_cleanup_free_ char *plain = qb_module_name(name);

	qb_strs_add(to, plain);
}

static void add_blacklist(struct qb_module_conf *conf, const char *file, const char *name)
{
	struct qb_modprobe_blacklist *b = QB_APPEND(conf->blacklist, conf->n_blacklist);

	b->module = qb_module_name(name);
	b->file = qb_strdup(file);
}

static void parse_line(const char *path, char *line, struct qb_module_conf *conf)
{
	char *rest = NULL, *word = strtok_r(line, " \t", &rest);
	char *name = word ? strtok_r(NULL, " \t", &rest) : NULL;
	char *value = name ? qb_strip(rest) : NULL;

	if (!name || *word == '#')
		return;
	if (!strcmp(word, "blacklist")) {
		add_blacklist(conf, path, name);
	} else if (!strcmp(word, "install") && *value) {
		struct qb_modprobe_install *i = QB_APPEND(conf->installs, conf->n_installs);

		i->pattern = qb_module_name(name);
		i->file = qb_strdup(path);
		i->command = qb_strdup(value);
	} else if (!strcmp(word, "options") && *value) {
		struct qb_modprobe_options *o = QB_APPEND(conf->options, conf->n_options);

		o->module = qb_module_name(name);
		o->file = qb_strdup(path);
		o->options = qb_strdup(value);
	}
}

void qb_modprobe_parse(const char *path, const char *text, struct qb_module_conf *conf)
{
	_cleanup_buf_ struct qb_buf line = {0};

	for (const char *at = text; *at;) {
		size_t len = strcspn(at, "\n");
		/* A backslash at its end continues a line. */
		bool more = len && at[len - 1] == '\\' && at[len];

		qb_buf_add(&line, at, len - more);
		at += len + (at[len] == '\n');
		if (more)
			continue;
		parse_line(path, line.s, conf);
		line.len = 0;
	}
	if (line.len)
		parse_line(path, line.s, conf);
}

static void parse_boot(const char *text, struct qb_strs *ret)
{
	_cleanup_free_ char *copy = qb_strdup(text);
	char *rest = NULL;

	for (char *line = strtok_r(copy, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
		line = qb_strip(line);
		if (*line && !strchr("#;", *line))
			add_name(ret, line);
	}
}

/* A list "a,b" that follows key in a word of the command line. */
static void parse_list(const char *word, const char *key, struct qb_strs *ret)
{
	_cleanup_free_ char *copy = NULL;
	char *rest = NULL;

	if (!qb_startswith(word, key))
		return;
	copy = qb_strdup(word + strlen(key));
	for (char *name = strtok_r(copy, ",", &rest); name; name = strtok_r(NULL, ",", &rest))
		add_name(ret, name);
}

static void parse_cmdline(char *text, struct qb_module_conf *conf)
{
	_cleanup_strs_ struct qb_strs blacklist = {0};
	char *rest = NULL;

	for (char *word = strtok_r(text, " \t\n", &rest); word;
	     word = strtok_r(NULL, " \t\n", &rest)) {
		parse_list(word, "modprobe.blacklist=", &blacklist);
		parse_list(word, "module_blacklist=", &conf->forbidden);
		parse_list(word, "modules_load=", &conf->boot);
		parse_list(word, "modules-load=", &conf->boot);
	}
	for (size_t i = 0; i < blacklist.n; i++)
		add_blacklist(conf, QB_CMDLINE, blacklist.v[i]);
}

/* Our own drop-in: what stands after "modprobe -a". */
static void parse_unit(const char *text, struct qb_strs *ret)
{
	const char *at = strstr(text, "modprobe -a ");
	_cleanup_free_ char *names = NULL;
	char *rest = NULL;

	if (!at)
		return;
	at += strlen("modprobe -a ");
	names = qb_strndup(at, strcspn(at, "\n"));
	for (char *name = strtok_r(names, " ", &rest); name; name = strtok_r(NULL, " ", &rest))
		add_name(ret, name);
}

static void unsure(struct qb_module_conf *conf, const char *path, int r)
{
	if (!conf->unknown)
		conf->unknown = qb_asprintf("%s: %s", path, strerror(-r));
}

typedef void conf_parser(const char *path, const char *text, struct qb_module_conf *conf);

static void parse_load_file(const char *path, const char *text, struct qb_module_conf *conf)
{
	(void)path;
	parse_boot(text, &conf->boot);
}

static int by_file_name(const void *a, const void *b)
{
	const char *const *x = a, *const *y = b;

	return strcmp(strrchr(*x, '/'), strrchr(*y, '/'));
}

/*
 * The *.conf files below the directories, in the order of their names wherever they are, a name in
 * an earlier directory hiding that in a later one: as libkmod and systemd read them. A link to
 * /dev/null, the usual way to hide one, is no file that could be read: it hides.
 */
static void read_conf(const struct qb_root *root, const char *const *dirs, const char *sub,
		      conf_parser *parse, struct qb_module_conf *conf)
{
	_cleanup_strs_ struct qb_strs seen = {0}, paths = {0};

	for (size_t d = 0; dirs[d]; d++) {
		_cleanup_free_ char *dir = qb_asprintf("%s/%s", dirs[d], sub);
		_cleanup_strs_ struct qb_strs names = {0};
		int r = qb_root_list(root, dir, &names);

		if (r < 0 && r != -ENOENT)
			unsure(conf, dir, r);
		for (size_t i = 0; i < names.n; i++) {
			_cleanup_free_ char *path = qb_asprintf("%s/%s", dir, names.v[i]);

			if (!qb_endswith(names.v[i], ".conf") || qb_strs_has(&seen, names.v[i]))
				continue;
			qb_strs_add(&seen, names.v[i]);
			qb_strs_add(&paths, path);
		}
	}
	if (paths.n)
		qsort(paths.v, paths.n, sizeof(*paths.v), by_file_name);
	for (size_t i = 0; i < paths.n; i++) {
		_cleanup_free_ char *text = NULL;
		int r = qb_root_read(root, paths.v[i], CONF_MAX, &text, NULL);

		if (r == 0)
			parse(paths.v[i], text, conf);
		else if (r != -EINVAL && r != -ENOENT)
			unsure(conf, paths.v[i], r);
	}
}

void qb_module_conf_read(const struct qb_root *root, struct qb_module_conf *ret)
{
	static const char *const dirs[] = {"/etc",     "/run", "/usr/local/lib",
					   "/usr/lib", "/lib", NULL};
	_cleanup_free_ char *cmdline = NULL, *unit = NULL;

	*ret = (struct qb_module_conf){0};
	if (!qb_root_exists(root, "/etc"))
		unsure(ret, "/etc", -ENOENT);
	read_conf(root, dirs, "modprobe.d", qb_modprobe_parse, ret);
	read_conf(root, dirs, "modules-load.d", parse_load_file, ret);
	if (qb_root_read(root, QB_CMDLINE, CONF_MAX, &cmdline, NULL) == 0)
		parse_cmdline(cmdline, ret);
	if (qb_root_read(root, QB_MODULES_UNIT_FILE, CONF_MAX, &unit, NULL) == 0)
		parse_unit(unit, &ret->boot_named);
}

void qb_module_conf_done(struct qb_module_conf *conf)
{
	for (size_t i = 0; i < conf->n_blacklist; i++) {
		free(conf->blacklist[i].module);
		free(conf->blacklist[i].file);
	}
	for (size_t i = 0; i < conf->n_installs; i++) {
		free(conf->installs[i].pattern);
		free(conf->installs[i].file);
		free(conf->installs[i].command);
	}
	for (size_t i = 0; i < conf->n_options; i++) {
		free(conf->options[i].module);
		free(conf->options[i].file);
		free(conf->options[i].options);
	}
	free(conf->blacklist);
	free(conf->installs);
	free(conf->options);
	free(conf->unknown);
	qb_strs_done(&conf->forbidden);
	qb_strs_done(&conf->boot);
	qb_strs_done(&conf->boot_named);
	*conf = (struct qb_module_conf){0};
}

const char *qb_module_conf_blacklists(const struct qb_module_conf *conf, const char *name)
{
	for (size_t i = 0; i < conf->n_blacklist; i++)
		if (!strcmp(conf->blacklist[i].module, name))
			return conf->blacklist[i].file;
	return NULL;
}

const char *qb_module_conf_blocks(const struct qb_module_conf *conf, const char *name)
{
	if (qb_strs_has(&conf->forbidden, name))
		return QB_CMDLINE;
	/* The first that matches counts, as in libkmod. */
	for (size_t i = 0; i < conf->n_installs; i++)
		if (fnmatch(conf->installs[i].pattern, name, 0) == 0)
			return strstr(conf->installs[i].command, "modprobe")
				       ? NULL
				       : conf->installs[i].file;
	return NULL;
}

void qb_module_conf_options(const struct qb_module_conf *conf, struct qb_module *m)
{
	for (size_t i = 0; i < conf->n_options; i++) {
		struct qb_module_options *o;

		if (strcmp(conf->options[i].module, m->name) != 0)
			continue;
		o = QB_APPEND(m->options, m->n_options);
		o->file = qb_strdup(conf->options[i].file);
		o->options = qb_strdup(conf->options[i].options);
	}
}
