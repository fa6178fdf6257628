/* SPDX-License-Identifier: Apache-2.0 */
/* SELinux's labels of what guests keep their data in. */
#include "checks/judging.h"

#define BOOLEANS "/sys/fs/selinux/booleans/"

/* False where SELinux is not in use, or nobody knows: the verdict is given then. */
static bool has_labels(const struct qb_facts *f, struct qb_result *r)
{
	const struct qb_tri *enabled = &f->system.selinux_enabled;

	if (qb_is_not(enabled))
		qb_skip(r, "SELinux is not enabled");
	else if (!qb_is(enabled))
		qb_unknown(r, "whether SELinux is enabled is unknown: %s", qb_why(enabled));
	return qb_is(enabled);
}

static bool is_one_of(const char *word, const char *const *words)
{
	while (*words && !qb_streq(*words, word))
		words++;
	return *words;
}

/* virt.fc of the policy, and what libvirt gives to images in use. */
static const char *const of_pools[] = {"virt_image_t", "virt_var_lib_t", "virt_content_t",
				       "svirt_image_t", NULL};

/* What has a use of its own, such as /root, /tmp and people's homes: another label would break
 * that. virt-install makes pools of such directories for an image that lies there. */
static const char *const of_others[] = {"admin_home_t",
					"user_home_t",
					"user_home_dir_t",
					"user_tmp_t",
					"tmp_t",
					"home_root_t",
					"root_t",
					"etc_t",
					"usr_t",
					"boot_t",
					"bin_t",
					"qemu_var_run_t",
					NULL};

/* File systems whose files have one type for all, and what lets guests use them: virt_selinux(8).
 */
static const struct {
	const char *type, *boolean;
} shared[] = {
	{"nfs_t", BOOLEANS "virt_use_nfs"},
	{"cifs_t", BOOLEANS "virt_use_samba"},
	{"fusefs_t", BOOLEANS "virt_use_fusefs"},
};

/* What switches it on; NULL where it is no such type. */
static const char *boolean_of(const char *type)
{
	for (size_t i = 0; i < QB_ARRAY_SIZE(shared); i++)
		if (qb_streq(shared[i].type, type))
			return shared[i].boolean;
	return NULL;
}

/* A file of booleans says what it is and what it will be: "1 1". */
static void weigh_boolean(const struct qb_check_input *in, struct qb_result *r,
			  const struct qb_space *s, const char *path, struct qb_tally *t)
{
	const struct qb_reading *x = qb_facts_reading(in->facts, path);
	const char *name = path + strlen(BOOLEANS);

	if (!x || !x->value) {
		qb_tally_unsure(t, "%s could not be read: %s", path, qb_read_why(x));
		return;
	}
	qb_evidence(r, name, path, "%s", x->value);
	if (*x->value == '1') {
		t->good++;
		return;
	}
	qb_remedy(r, "setsebool -P %s on", name);
	qb_tally_bad(t, "%s is of type %s, which guests may not use: %s is off", s->path,
		     s->selinux_type, name);
}

static void weigh_directory(const struct qb_check_input *in, struct qb_result *r,
			    const struct qb_space *s, struct qb_tally *t)
{
	const char *boolean = boolean_of(s->selinux_type);
	_cleanup_free_ char *word = qb_shell_word(s->path);

	if (!s->selinux_type) {
		qb_tally_unsure(t, "the label of %s is unknown", s->path);
		return;
	}
	qb_evidence(r, s->path, "security.selinux", "%s", s->selinux_type);
	if (boolean) {
		weigh_boolean(in, r, s, boolean, t);
	} else if (is_one_of(s->selinux_type, of_pools)) {
		t->good++;
	} else if (is_one_of(s->selinux_type, of_others)) {
		qb_remedy(r,
			  "virsh pool-list --all --details\n"
			  "# Move the images to a pool of their own, and undefine this one: %s is "
			  "labelled as it should be.",
			  s->path);
		qb_tally_bad(t, "%s, of type %s, is no place for images", s->path, s->selinux_type);
	} else {
		qb_remedy(r,
			  "semanage fcontext -a -t virt_image_t %s'(/.*)?'\n"
			  "restorecon -Rv %s",
			  word, word);
		qb_tally_bad(t, "%s is of type %s, not virt_image_t", s->path, s->selinux_type);
	}
}

static void pool_labels(const struct qb_check_input *in, struct qb_result *r)
{
	_cleanup_strs_ struct qb_strs targets = {0};
	struct qb_tally t = {0};
	const struct qb_space *s;

	if (!has_labels(in->facts, r))
		return;
	qb_pool_targets(in, true, &targets);
	for (size_t i = 0; i < targets.n; i++)
		if (qb_known_space(in, targets.v[i], &t, &s))
			weigh_directory(in, r, s, &t);
	qb_no_pools_known(in, &t);
	qb_tally_end(&t, r, "the pools' directories have the type that is for images",
		     "there is no pool with a directory");
}

/* What a file brings along that was moved here, or made before there were labels. */
static const char *const strays[] = {"user_home_t", "admin_home_t", "user_tmp_t", "tmp_t",
				     "default_t",   "unlabeled_t",  NULL};

static void image_labels(const struct qb_check_input *in, struct qb_result *r)
{
	_cleanup_strs_ struct qb_strs targets = {0};
	struct qb_tally t = {0};
	const struct qb_space *s;

	if (!has_labels(in->facts, r))
		return;
	qb_pool_targets(in, false, &targets);
	for (size_t i = 0; i < targets.n; i++) {
		_cleanup_free_ char *word = qb_shell_word(targets.v[i]), *types = NULL;
		bool bad = false;

		if (!qb_known_space(in, targets.v[i], &t, &s))
			continue;
		if (!s->selinux_type) {
			qb_tally_unsure(&t, "the labels in %s are unknown", s->path);
			continue;
		}
		types = qb_strs_sentence(&s->file_types);
		qb_evidence(r, s->path, "security.selinux", "%s",
			    s->file_types.n ? types : "no files with a label");
		for (size_t k = 0; k < s->file_types.n && !bad; k++) {
			/* Where the directory is of such a type restorecon changes nothing. */
			bad = is_one_of(s->file_types.v[k], strays) &&
			      !is_one_of(s->selinux_type, of_others);
			if (bad)
				qb_tally_bad(&t, "%s holds files of type %s", s->path,
					     s->file_types.v[k]);
		}
		if (bad)
			qb_remedy(r, "ls -Z %s\nrestorecon -Rv %s", word, word);
		t.good += !bad;
	}
	qb_no_pools_known(in, &t);
	qb_tally_end(&t, r, "no image brought a foreign type along",
		     "there is no pool with a directory of this host");
}

static const struct qb_check table[] = {
	{
		.id = "security.pool-labels",
		.title = "Pools are labelled for images",
		.severity = QB_RECOMMENDED,
		.looks = "SELinux's type of each directory of a pool: virt_image_t, virt_content_t "
			 "or virt_var_lib_t; for NFS, CIFS and FUSE the boolean that lets guests "
			 "use them.",
		.why = "Images made there take the directory's type. libvirt labels a disk when "
		       "its guest starts, but not what several guests share; they then get "
		       "\"Permission denied\", though owner and mode are right.",
		.remedy = "ls -Zd /var/lib/libvirt/images\nrestorecon -Rv /var/lib/libvirt/images",
		.reads = (const char *const[]){BOOLEANS "virt_use_nfs", BOOLEANS "virt_use_samba",
					       BOOLEANS "virt_use_fusefs", NULL},
		.judge = pool_labels,
	},
	{
		.id = "security.image-labels",
		.title = "Images have no label from elsewhere",
		.severity = QB_INFORMATIONAL,
		.looks = "SELinux's types of the first 256 files of each directory of a pool: none "
			 "of a home directory, of /tmp, or none at all (default_t, unlabeled_t).",
		.why = "mv keeps the label: an image that was moved here is denied to libvirt's "
		       "storage driver and, shared by guests, to them.",
		.remedy = "restorecon -Rv /var/lib/libvirt/images",
		.judge = image_labels,
	},
};

QB_CHECK_GROUP_PART(qb_security_labels_checks, security, table);
