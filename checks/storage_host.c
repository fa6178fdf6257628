/* SPDX-License-Identifier: Apache-2.0 */
/* The host's disks and what is on them, as the kernel tells. */
#include "checks/judging.h"

#include <inttypes.h>
#include <stdio.h>

/* The name after a prefix of a path. Caller frees. */
static char *name_after(const char *path, const char *prefix)
{
	path += strlen(prefix);
	return qb_strndup(path, strcspn(path, "/"));
}

/* No optical drive, no loop or RAM disk, nothing that is made of others. */
static bool is_disk(const char *name)
{
	static const char *const kinds[] = {"sd", "nvme", "vd", "xvd", "mmcblk", "dasd", "hd"};

	for (size_t i = 0; i < QB_ARRAY_SIZE(kinds); i++)
		if (qb_startswith(name, kinds[i]))
			return true;
	return false;
}

/* With nothing counted: that it could not be read is unknown, that there is none is for skip. */
static void unless_absent(const struct qb_check_input *in, const char *pattern, struct qb_tally *t)
{
	const struct qb_reading *none = qb_facts_reading(in->facts, pattern);

	if (!t->good && !t->bad.n && !t->unsure.n && !(none && none->absent) &&
	    !qb_read_next(in, pattern, NULL))
		qb_tally_unsure(t, "%s could not be read: %s", pattern, qb_read_why(none));
}

#define SCSI_STATE "/sys/block/*/device/state"
#define NVME_STATE "/sys/class/nvme/*/state"

/* drivers/scsi/scsi_sysfs.c: sdev_states; drivers/nvme/host/sysfs.c: nvme_sysfs_show_state(). */
static bool is_state(const char *word)
{
	static const char *const states[] = {
		"created", "running",           "cancel",     "deleted",         "quiesce",
		"offline", "transport-offline", "blocked",    "created-blocked", "new",
		"live",    "resetting",         "connecting", "deleting",        "deleting (no IO)",
		"dead",    "reconnecting",
	};

	for (size_t i = 0; i < QB_ARRAY_SIZE(states); i++)
		if (qb_streq(word, states[i]))
			return true;
	return false;
}

static void weigh_state(struct qb_result *r, const struct qb_reading *x, const char *name,
			const char *good, struct qb_tally *t)
{
	if (!x->value) {
		if (!x->absent)
			qb_tally_unsure(t, "%s could not be read: %s", x->path, qb_read_why(x));
		return;
	}
	qb_evidence(r, name, x->path, "%s", *x->value ? x->value : "(empty)");
	if (!*x->value)
		qb_tally_unsure(t, "%s is empty", x->path);
	else if (qb_streq(x->value, good))
		t->good++;
	else if (is_state(x->value))
		qb_tally_bad(t, "%s is %s", name, x->value);
	else
		qb_tally_unsure(t, "%s holds \"%.40s\", which is no state", x->path, x->value);
}

static void disk_state(const struct qb_check_input *in, struct qb_result *r)
{
	struct qb_tally t = {0};

	for (const struct qb_reading *x = NULL; (x = qb_read_next(in, SCSI_STATE, x));) {
		_cleanup_free_ char *name = name_after(x->path, "/sys/block/");

		/* Of an NVMe namespace it is the controller's, which is read below. */
		if (is_disk(name) && !qb_startswith(name, "nvme"))
			weigh_state(r, x, name, "running", &t);
	}
	for (const struct qb_reading *x = NULL; (x = qb_read_next(in, NVME_STATE, x));) {
		_cleanup_free_ char *name = name_after(x->path, "/sys/class/nvme/");

		weigh_state(r, x, name, "live", &t);
	}
	unless_absent(in, SCSI_STATE, &t);
	qb_tally_end(&t, r, "every disk is in service", "no disk here tells of its state");
}

#define EXT4_ERRORS "/sys/fs/ext4/*/errors_count"
#define BTRFS_ERRORS "/sys/fs/btrfs/*/devinfo/*/error_stats"

/* Lines of a name and a number: Documentation/ABI/testing/sysfs-fs-btrfs. False: not so. */
static bool btrfs_errors(const char *text, uint64_t *ret)
{
	bool any = false;

	*ret = 0;
	for (const char *line = text; line && *line; line = strchr(line, '\n')) {
		uint64_t n;

		line += *line == '\n';
		if (sscanf(line, "%*[a-z_] %" SCNu64, &n) != 1)
			return false;
		*ret += n;
		any = true;
	}
	return any;
}

static void weigh_errors(struct qb_result *r, const struct qb_reading *x, const char *name,
			 bool known, uint64_t errors, struct qb_tally *t)
{
	if (!known) {
		qb_tally_unsure(t, "%s could not be read: %s", x->path,
				x->value ? "it holds no number" : qb_read_why(x));
		return;
	}
	qb_evidence(r, name, x->path, "%" PRIu64, errors);
	if (errors)
		qb_tally_bad(t, "the file system on %s met %" PRIu64 " errors", name, errors);
	else
		t->good++;
}

static void fs_errors(const struct qb_check_input *in, struct qb_result *r)
{
	struct qb_tally t = {0};
	uint64_t n = 0;

	for (const struct qb_reading *x = NULL; (x = qb_read_next(in, EXT4_ERRORS, x));) {
		_cleanup_free_ char *name = name_after(x->path, "/sys/fs/ext4/");
		bool known = x->value && qb_parse_u64(x->value, &n) == 0;

		/* /sys/fs/ext4/features is none. */
		if (!x->absent)
			weigh_errors(r, x, name, known, n, &t);
	}
	for (const struct qb_reading *x = NULL; (x = qb_read_next(in, BTRFS_ERRORS, x));) {
		_cleanup_free_ char *name = name_after(x->path, "/sys/fs/btrfs/");
		bool known = x->value && btrfs_errors(x->value, &n);

		if (!x->absent)
			weigh_errors(r, x, name, known, n, &t);
	}
	unless_absent(in, EXT4_ERRORS, &t);
	qb_tally_end(&t, r, "no file system has met an error",
		     "there is no file system here that counts its errors");
}

#define DEGRADED "/sys/block/md*/md/degraded"
#define SYNC_ACTION "/sys/block/md*/md/sync_action"

/* Documentation/admin-guide/md.rst. */
static void raid_degraded(const struct qb_check_input *in, struct qb_result *r)
{
	struct qb_tally t = {0};

	for (const struct qb_reading *x = NULL; (x = qb_read_next(in, DEGRADED, x));) {
		_cleanup_free_ char *name = name_after(x->path, "/sys/block/");
		_cleanup_free_ char *path = qb_asprintf("/sys/block/%s/md/sync_action", name);
		_cleanup_free_ char *word = qb_shell_word(name);
		const struct qb_reading *action = qb_facts_reading(in->facts, path);
		uint64_t missing;

		/* One without redundancy has no such file. */
		if (x->absent)
			continue;
		if (!x->value || qb_parse_u64(x->value, &missing) < 0) {
			qb_tally_unsure(&t, "%s could not be read: %s", x->path,
					x->value ? "it holds no number" : qb_read_why(x));
			continue;
		}
		qb_evidence(r, name, x->path, "%" PRIu64, missing);
		if (!missing) {
			t.good++;
			continue;
		}
		qb_tally_bad(&t, "%s lacks %" PRIu64 " of its disks%s", name, missing,
			     action && qb_streq(action->value, "recover") ? ", and is being rebuilt"
									  : "");
		qb_remedy(r,
			  "cat /proc/mdstat\nmdadm --detail /dev/%s\n"
			  "# With the disk that replaces it: mdadm /dev/%s --add DISK",
			  word, word);
	}
	unless_absent(in, DEGRADED, &t);
	qb_tally_end(&t, r, "every software RAID is complete", "there is no software RAID");
}

#define SUSPENDED "/sys/block/dm-*/dm/suspended"
#define DM_NAME "/sys/block/dm-*/dm/name"

/* Documentation/ABI/testing/sysfs-block-dm. */
static void suspended(const struct qb_check_input *in, struct qb_result *r)
{
	struct qb_tally t = {0};

	for (const struct qb_reading *x = NULL; (x = qb_read_next(in, SUSPENDED, x));) {
		_cleanup_free_ char *kernel = name_after(x->path, "/sys/block/");
		_cleanup_free_ char *path = qb_asprintf("/sys/block/%s/dm/name", kernel);
		const struct qb_reading *named = qb_facts_reading(in->facts, path);
		const char *name = named && named->value ? named->value : kernel;
		_cleanup_free_ char *word = qb_shell_word(name);
		uint64_t is;

		if (!x->value || qb_parse_u64(x->value, &is) < 0) {
			qb_tally_unsure(&t, "%s could not be read: %s", x->path,
					x->value ? "it holds no number" : qb_read_why(x));
			continue;
		}
		qb_evidence(r, name, x->path, "%" PRIu64, is);
		if (is) {
			qb_tally_bad(&t, "%s is suspended: whoever uses it waits", name);
			qb_remedy(r,
				  "# When nothing is at work on it (lvs, multipath -ll):\n"
				  "dmsetup resume %s",
				  word);
		} else {
			t.good++;
		}
	}
	unless_absent(in, SUSPENDED, &t);
	qb_tally_end(&t, r, "no mapped device is suspended", "there are no mapped devices");
}

#define SCHEDULER "/sys/block/*/queue/scheduler"
#define ROTATIONAL "/sys/block/*/queue/rotational"

/*
 * "Setting the disk scheduler" of RHEL's documentation: none, kyber or mq-deadline for what is
 * fast; bfq is for desktops. Disks that turn, or say so, are not judged.
 */
static void scheduler(const struct qb_check_input *in, struct qb_result *r)
{
	struct qb_tally t = {0};

	for (const struct qb_reading *x = NULL; (x = qb_read_next(in, SCHEDULER, x));) {
		_cleanup_free_ char *name = name_after(x->path, "/sys/block/");
		_cleanup_free_ char *path = qb_asprintf("/sys/block/%s/queue/rotational", name);
		const struct qb_reading *turns = qb_facts_reading(in->facts, path);
		_cleanup_free_ char *mode = x->value ? qb_bracketed(x->value) : NULL;

		if (!is_disk(name) || (turns && qb_streq(turns->value, "1")))
			continue;
		if (!turns || !turns->value) {
			qb_tally_unsure(&t, "whether %s turns could not be read: %s", name,
					qb_read_why(turns));
		} else if (x->value && (mode || qb_streq(x->value, "none"))) {
			const char *is = mode ? mode : "none";

			qb_evidence(r, name, x->path, "%s", is);
			if (qb_streq(is, "bfq") || qb_streq(is, "cfq")) {
				qb_tally_bad(&t, "%s, which does not turn, is scheduled by %s",
					     name, is);
				qb_remedy(r,
					  "echo mq-deadline >%s\n"
					  "# To stay: elevator= of TuneD's profile, or a rule of "
					  "udev.",
					  x->path);
			} else {
				t.good++;
			}
		} else {
			qb_tally_unsure(&t, "%s could not be read: %s", x->path,
					x->value ? "it names no scheduler" : qb_read_why(x));
		}
	}
	unless_absent(in, SCHEDULER, &t);
	qb_tally_end(&t, r, "disks that do not turn are scheduled as such",
		     "every disk turns, or says so");
}

#define DISCARD "/sys/block/*/queue/discard_max_bytes"
#define TIMERS "/etc/systemd/system/timers.target.wants"
#define VENDOR_TIMERS "/usr/lib/systemd/system/timers.target.wants"
#define MOUNTS "/proc/self/mounts"

static bool names_fstrim(const struct qb_check_input *in, struct qb_result *r, const char *dir)
{
	const struct qb_reading *x = qb_facts_reading(in->facts, dir);

	if (!x || !x->value || !strstr(x->value, "fstrim.timer"))
		return false;
	qb_evidence(r, "fstrim.timer", dir, "enabled");
	return true;
}

/* Whether a line of /proc/self/mounts has the option discard. */
static bool mounted_with_discard(const char *mounts)
{
	for (const char *at = mounts; (at = strstr(at, "discard")); at += strlen("discard"))
		if (at > mounts && (at[-1] == ',' || at[-1] == ' ') &&
		    strchr(", =", at[strlen("discard")]))
			return true;
	return false;
}

static void discard(const struct qb_check_input *in, struct qb_result *r)
{
	const struct qb_reading *none = qb_facts_reading(in->facts, DISCARD), *timers, *mounts;
	const struct qb_reading *unread = NULL;
	size_t takers = 0;
	uint64_t most;

	for (const struct qb_reading *x = NULL; (x = qb_read_next(in, DISCARD, x));) {
		_cleanup_free_ char *name = name_after(x->path, "/sys/block/");

		if (!is_disk(name) || x->absent)
			continue;
		if (!x->value || qb_parse_u64(x->value, &most) < 0) {
			unread = x;
			continue;
		}
		if (!most)
			continue;
		qb_evidence(r, name, x->path, "%" PRIu64, most);
		takers++;
	}
	timers = qb_facts_reading(in->facts, TIMERS);
	mounts = qb_facts_reading(in->facts, MOUNTS);
	if (!takers && !qb_read_next(in, DISCARD, NULL) && !(none && none->absent))
		qb_unknown(r, "%s could not be read: %s", DISCARD, qb_read_why(none));
	else if (!takers && unread)
		qb_unknown(r, "%s could not be read: %s", unread->path,
			   unread->value ? "it holds no number" : qb_read_why(unread));
	else if (!takers)
		qb_skip(r, "no disk wants to be told what is free");
	else if (names_fstrim(in, r, TIMERS) || names_fstrim(in, r, VENDOR_TIMERS))
		qb_pass(r, "disks are told every week what is free");
	else if (mounts && mounts->value && mounted_with_discard(mounts->value))
		qb_pass(r, "file systems are mounted so that disks are told what is free");
	else if (!timers || !(timers->value || timers->absent))
		qb_unknown(r, "%s could not be read: %s", TIMERS, qb_read_why(timers));
	else if (!mounts || !mounts->value)
		qb_unknown(r, "%s could not be read: %s", MOUNTS, qb_read_why(mounts));
	else
		qb_fail(r, "nothing tells disks what is free");
}

static const struct qb_check table[] = {
	{
		.id = "storage.disk-state",
		.title = "Every disk is in service",
		.severity = QB_RECOMMENDED,
		.looks = "The state that the kernel gives to each SCSI or SATA disk (running) and "
			 "to each NVMe controller (live).",
		.why = "A disk that is offline or dead answers nothing any more; what is on it, "
		       "guests and all, fails at the next access.",
		.remedy = "journalctl -k -g 'sd[a-z]|nvme' | tail -n 40\n"
			  "lsblk -o NAME,STATE,TRAN,MODEL,SERIAL",
		.reads = (const char *const[]){SCSI_STATE, NVME_STATE, NULL},
		.judge = disk_state,
	},
	{
		.id = "storage.fs-errors",
		.title = "No file system has met errors",
		.severity = QB_RECOMMENDED,
		.looks = "The errors that each mounted ext4 counts since its last check, and btrfs "
			 "for each of its disks.",
		.why = "The count stays when the message has long gone from the log: something on "
		       "it is damaged, or its disk begins to fail.",
		.remedy = "journalctl -k -g 'EXT4-fs error|BTRFS' | tail -n 40\n"
			  "# ext4: unmount it and run e2fsck -f; btrfs: btrfs scrub start.",
		.reads = (const char *const[]){EXT4_ERRORS, BTRFS_ERRORS, NULL},
		.judge = fs_errors,
	},
	{
		.id = "storage.raid-degraded",
		.title = "Every software RAID is complete",
		.severity = QB_RECOMMENDED,
		.looks = "The number of disks that each md array lacks.",
		.why = "The next disk that fails takes the data of all guests along.",
		.remedy = "cat /proc/mdstat",
		.reads = (const char *const[]){DEGRADED, SYNC_ACTION, NULL},
		.judge = raid_degraded,
	},
	{
		.id = "storage.suspended",
		.title = "No mapped device is suspended",
		.severity = QB_RECOMMENDED,
		.looks = "Whether a device of LVM, multipath or encryption is suspended.",
		.why = "Nothing fails, and nothing answers: guests on it hang, and so does "
		       "whatever looks at it. Mostly a tool died between suspend and resume.",
		.remedy = "dmsetup info",
		.reads = (const char *const[]){SUSPENDED, DM_NAME, NULL},
		.judge = suspended,
	},
	{
		.id = "storage.scheduler",
		.title = "Fast disks have no slow scheduler",
		.severity = QB_INFORMATIONAL,
		.looks = "The scheduler of each disk that does not turn: not bfq or cfq.",
		.why = "Those trade throughput for fairness between programs of a desktop; guests "
		       "schedule their own requests already.",
		.remedy = "grep . /sys/block/*/queue/scheduler",
		.reads = (const char *const[]){SCHEDULER, ROTATIONAL, NULL},
		.judge = scheduler,
	},
	{
		.id = "storage.discard",
		.title = "Disks are told what is free",
		.severity = QB_INFORMATIONAL,
		.looks = "Where a disk takes discards (SSDs, thin volumes): fstrim.timer enabled, "
			 "or a file system mounted with discard.",
		.why = "An SSD that does not know what is free gets slower with every image that "
		       "is deleted, and a thin volume stays full.",
		.remedy = "systemctl enable --now fstrim.timer",
		.reads = (const char *const[]){DISCARD, TIMERS, VENDOR_TIMERS, MOUNTS, NULL},
		.judge = discard,
	},
};

QB_CHECK_GROUP_PART(qb_storage_host_checks, storage, table);
