/* SPDX-License-Identifier: Apache-2.0 */
/* What disks tell of how they are. */
#include "checks/judging.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define SCSI_ERRORS "/sys/block/sd*/device/ioerr_cnt"
#define SCSI_REQUESTS "/sys/block/sd*/device/iorequest_cnt"
#define SCSI_STAT "/sys/block/sd*/stat"

enum {
	ERRORS_LEAST = 100,
	REQUESTS_PER_ERROR = 1000,
	AER_NONFATAL_LEAST = 10,
};

/* drivers/scsi/scsi_sysfs.c: show_iostat_counter() writes them in hexadecimal. */
static bool hex_at(const struct qb_facts *f, const char *name, const char *file, uint64_t *ret)
{
	_cleanup_free_ char *path = qb_asprintf("/sys/block/%s/%s", name, file);
	const struct qb_reading *x = qb_facts_reading(f, path);

	return x && x->value && sscanf(x->value, "%" SCNx64, ret) == 1;
}

/* Reads, writes, discards and flushes that ended: Documentation/block/stat.rst. */
static bool transfers(const struct qb_facts *f, const char *name, uint64_t *ret)
{
	_cleanup_free_ char *path = qb_asprintf("/sys/block/%s/stat", name);
	const struct qb_reading *x = qb_facts_reading(f, path);
	const char *at = x && x->value ? x->value : "";
	size_t fields = 0;

	*ret = 0;
	for (char *end; *at; at = end, fields++) {
		uint64_t n = strtoull(at, &end, 10);

		if (end == at)
			return false;
		if (fields == 0 || fields == 4 || fields == 11 || fields == 15)
			*ret += n;
	}
	return fields > 4;
}

/*
 * Every command that does not simply succeed counts as an error: also a question that the disk does
 * not know, and each answer of SMART that comes by way of sense data (scsi_complete() in
 * drivers/scsi/scsi_lib.c). What tools ask is in the requests and not in stat. So errors beyond
 * those requests were reads or writes; retries, which are requests, too, are forgiven with them.
 * The counters have 32 bits (iocounterbits).
 */
static uint64_t failed_transfers(uint64_t errors, uint64_t requests, uint64_t done)
{
	int32_t others = (int32_t)(uint32_t)(requests - done);

	if (others < 0)
		others = 0;
	return errors > (uint64_t)others ? errors - (uint64_t)others : 0;
}

/* A path of a SAN that was gone for a while has lost some: hence a share, too. */
static void weigh_scsi(const struct qb_check_input *in, struct qb_result *r,
		       const struct qb_reading *x, struct qb_tally *t)
{
	_cleanup_free_ char *name = qb_strndup(x->path + strlen("/sys/block/"),
					       strcspn(x->path + strlen("/sys/block/"), "/"));
	_cleanup_free_ char *word = qb_shell_word(name);
	uint64_t errors, requests, done, failed;

	if (x->absent)
		return;
	if (!x->value || !hex_at(in->facts, name, "device/ioerr_cnt", &errors)) {
		qb_tally_unsure(t, "%s could not be read: %s", x->path,
				x->value ? "it holds no number" : qb_read_why(x));
		return;
	}
	if (!hex_at(in->facts, name, "device/iorequest_cnt", &requests) ||
	    !transfers(in->facts, name, &done)) {
		qb_tally_unsure(t, "how many requests %s got could not be read", name);
		return;
	}
	failed = failed_transfers(errors, requests, done);
	qb_evidence(r, name, x->path,
		    "%" PRIu64 " errors in %" PRIu64 " requests; %" PRIu64 " reads and writes",
		    errors, requests, done);
	if (failed >= ERRORS_LEAST && failed >= done / REQUESTS_PER_ERROR) {
		qb_tally_bad(t, "%s failed at least %" PRIu64 " of %" PRIu64 " reads and writes",
			     name, failed, done);
		qb_remedy(r, "journalctl -k -g %s | tail -n 40\nsmartctl -a /dev/%s", word, word);
	} else {
		t->good++;
	}
}

#define AER_FATAL "/sys/class/nvme/*/device/aer_dev_fatal"
#define AER_NONFATAL "/sys/class/nvme/*/device/aer_dev_nonfatal"

/* A line "word number" of Documentation/ABI/testing/sysfs-bus-pci-devices-aer_stats. */
static bool aer_count(const char *text, const char *word, uint64_t *ret)
{
	size_t len = strlen(word);

	for (const char *line = text; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (!strncmp(line, word, len) && line[len] == ' ')
			return sscanf(line + len, " %" SCNu64, ret) == 1;
	}
	return false;
}

static void weigh_aer(struct qb_result *r, const struct qb_reading *x, const char *total,
		      uint64_t least, struct qb_tally *t)
{
	static const char prefix[] = "/sys/class/nvme/";
	const char *at = x->path + strlen(prefix);
	_cleanup_free_ char *name = qb_strndup(at, strcspn(at, "/"));
	uint64_t n, unknown = 0;

	/* Not on PCI, or the firmware keeps AER to itself. */
	if (x->absent)
		return;
	if (!x->value || !aer_count(x->value, total, &n)) {
		qb_tally_unsure(t, "%s could not be read: %s", x->path,
				x->value ? "it holds no total" : qb_read_why(x));
		return;
	}
	/* To be asked for what it does not have (UnsupReq) is no fault of a device. */
	if (aer_count(x->value, "UnsupReq", &unknown) && unknown <= n)
		n -= unknown;
	qb_evidence(r, name, x->path, "%" PRIu64 " errors, and %" PRIu64 " unknown requests", n,
		    unknown);
	if (n >= least)
		qb_tally_bad(t, "the PCIe link of %s met %" PRIu64 " %s errors", name, n,
			     least == 1 ? "fatal" : "uncorrectable");
	else
		t->good++;
}

static void disk_errors(const struct qb_check_input *in, struct qb_result *r)
{
	const struct qb_reading *none = qb_facts_reading(in->facts, SCSI_ERRORS);
	struct qb_tally t = {0};

	for (const struct qb_reading *x = NULL; (x = qb_read_next(in, SCSI_ERRORS, x));)
		weigh_scsi(in, r, x, &t);
	for (const struct qb_reading *x = NULL; (x = qb_read_next(in, AER_FATAL, x));)
		weigh_aer(r, x, "TOTAL_ERR_FATAL", 1, &t);
	for (const struct qb_reading *x = NULL; (x = qb_read_next(in, AER_NONFATAL, x));)
		weigh_aer(r, x, "TOTAL_ERR_NONFATAL", AER_NONFATAL_LEAST, &t);
	if (!t.good && !t.bad.n && !t.unsure.n && !(none && none->absent) &&
	    !qb_read_next(in, SCSI_ERRORS, NULL))
		qb_tally_unsure(&t, "%s could not be read: %s", SCSI_ERRORS, qb_read_why(none));
	qb_tally_end(&t, r, "no disk fails reads or writes", "no disk here counts its errors");
}

enum {
	LIMIT_LEAST = 40, /* below it is no limit of a disk, but a table that it left empty */
};

static void disk_temperature(const struct qb_check_input *in, struct qb_result *r)
{
	const struct qb_disks *d = &in->facts->disks;
	struct qb_tally t = {0};

	if (qb_no_disks(in->facts, r))
		return;
	for (size_t i = 0; i < d->n_disks; i++) {
		const struct qb_disk *disk = &d->disks[i];
		bool limited = disk->celsius_limit >= LIMIT_LEAST;

		if (disk->sensor.state == QB_UNKNOWN)
			qb_tally_unsure(&t, "the temperature of %s is unknown: %s", disk->name,
					qb_why(&disk->sensor));
		if (!qb_is(&disk->sensor))
			continue;
		if (limited)
			qb_evidence(r, disk->name, "hwmon", "%" PRId64 " C, at most %" PRId64 " C",
				    disk->celsius, disk->celsius_limit);
		else
			qb_evidence(r, disk->name, "hwmon", "%" PRId64 " C", disk->celsius);
		if (limited && disk->celsius >= disk->celsius_limit)
			qb_tally_bad(&t, "%s has %" PRId64 " C, and stands at most %" PRId64 " C",
				     disk->name, disk->celsius, disk->celsius_limit);
		else if (disk->too_hot)
			qb_tally_bad(&t, "%s has %" PRId64 " C, and warns of that", disk->name,
				     disk->celsius);
		else
			t.good++;
	}
	qb_tally_end(&t, r, "no disk is too hot", "no disk here tells its temperature");
}

#define READ_ONLY "/sys/block/*/ro"
#define MOUNTS "/proc/self/mounts"

/* A path of the disk, of a partition, or of what is made of it. */
static bool is_on(const struct qb_disks *d, const struct qb_disk *disk, const char *path)
{
	if (!path)
		return false;
	if (qb_streq(disk->path, path) || qb_strs_has(&disk->links, path))
		return true;
	for (size_t i = 0; i < disk->n_partitions; i++)
		if (qb_streq(disk->partitions[i].path, path))
			return true;
	for (size_t i = 0; i < d->n_mappings; i++) {
		const struct qb_mapping *m = &d->mappings[i];
		bool is = qb_streq(m->path, path) ||
			  (qb_startswith(path, "/dev/mapper/") && qb_streq(m->dm_name, path + 12));

		if (is && qb_strs_has(&m->disks, disk->name))
			return true;
	}
	return false;
}

/* A line "source target type options 0 0" with the option rw, of something on the disk. */
static char *mounted_for_writing(const struct qb_disks *d, const struct qb_disk *disk,
				 const char *mounts)
{
	for (const char *line = mounts; line; line = strchr(line, '\n')) {
		_cleanup_free_ char *source = NULL, *target = NULL, *options = NULL;

		line += *line == '\n';
		if (sscanf(line, "%ms %ms %*s %ms", &source, &target, &options) == 3 &&
		    (qb_streq(options, "rw") || qb_startswith(options, "rw,")) &&
		    (is_on(d, disk, source) || qb_strs_has(&disk->mountpoints, target)))
			return QB_TAKE_PTR(target);
	}
	return NULL;
}

static bool group_is_on(const struct qb_disks *d, const struct qb_disk *disk, const char *group)
{
	for (size_t i = 0; i < d->n_groups; i++)
		for (size_t k = 0; k < d->groups[i].physical_volumes.n; k++)
			if (qb_streq(d->groups[i].name, group) &&
			    is_on(d, disk, d->groups[i].physical_volumes.v[k]))
				return true;
	return false;
}

/* The name of a pool that is to be on the disk, or is; NULL for none. */
static const char *pool_on(const struct qb_check_input *in, const struct qb_disk *disk)
{
	const struct qb_libvirt_facts *v = &in->facts->libvirt;
	const struct qb_disks *d = &in->facts->disks;

	for (size_t i = 0; in->config && i < in->config->n_pools; i++)
		if (disk->mark.state != QB_MARK_NONE && disk->mark.ours &&
		    qb_streq(in->config->pools[i].name, disk->mark.pool))
			return disk->mark.pool;
	for (size_t i = 0; i < v->n_pools; i++)
		if (v->pools[i].active && (is_on(d, disk, v->pools[i].source_device) ||
					   (qb_streq(v->pools[i].type, "logical") &&
					    group_is_on(d, disk, v->pools[i].source_name))))
			return v->pools[i].name;
	return NULL;
}

static void weigh_read_only(const struct qb_check_input *in, const struct qb_disk *disk,
			    struct qb_tally *t)
{
	const struct qb_reading *mounts = qb_facts_reading(in->facts, MOUNTS);
	const char *text = mounts ? mounts->value : NULL, *pool = pool_on(in, disk);
	_cleanup_free_ char *at = mounted_for_writing(&in->facts->disks, disk, text);
	_cleanup_free_ char *where = at ? qb_str_printable(at) : NULL;

	if (where)
		qb_tally_bad(t, "%s takes no writes, and %s on it is mounted for writing",
			     disk->name, where);
	else if (disk->swap)
		qb_tally_bad(t, "%s takes no writes, and has swap in use", disk->name);
	else if (pool)
		qb_tally_bad(t, "%s takes no writes, and is the disk of the pool %s", disk->name,
			     pool);
	else if (!text)
		qb_tally_unsure(t, "%s takes no writes, and %s could not be read: %s", disk->name,
				MOUNTS, qb_read_why(mounts));
	else
		t->good++;
}

static void disk_read_only(const struct qb_check_input *in, struct qb_result *r)
{
	const struct qb_disks *d = &in->facts->disks;
	struct qb_tally t = {0};

	if (qb_no_disks(in->facts, r))
		return;
	for (size_t i = 0; i < d->n_disks; i++) {
		const struct qb_disk *disk = &d->disks[i];
		_cleanup_free_ char *path = qb_asprintf("/sys/block/%s/ro", disk->name);
		const struct qb_reading *x = qb_facts_reading(in->facts, path);
		uint64_t is;

		if (!x || !x->value || qb_parse_u64(x->value, &is) < 0) {
			qb_tally_unsure(&t, "%s could not be read: %s", path,
					x && x->value ? "it holds no number" : qb_read_why(x));
			continue;
		}
		qb_evidence(r, disk->name, path, "%" PRIu64, is);
		if (is)
			weigh_read_only(in, disk, &t);
		else
			t.good++;
	}
	qb_tally_end(&t, r, "every disk that is written to takes writes", "there are no disks");
}

static const struct qb_check table[] = {
	{
		.id = "storage.disk-errors",
		.title = "No disk fails reads or writes",
		.severity = QB_RECOMMENDED,
		.looks = "Of each SCSI or SATA disk the requests that failed, without those of "
			 "tools such as smartctl: fewer than 100, or than one in 1000. Of each "
			 "NVMe disk the errors of its PCIe link: none fatal, fewer than 10 others.",
		.why = "A disk, cable or slot that begins to fail is retried in silence at first: "
		       "guests get slow, then they get errors.",
		.remedy = "journalctl -k -g 'I/O error|medium error|AER|nvme' | tail -n 40\n"
			  "lsblk -o NAME,TRAN,MODEL,SERIAL\n"
			  "# Then smartctl -a on the disk; when it is well: the cable or the slot.",
		.reads = (const char *const[]){SCSI_ERRORS, SCSI_REQUESTS, SCSI_STAT, AER_FATAL,
					       AER_NONFATAL, NULL},
		.judge = disk_errors,
	},
	{
		.id = "storage.disk-temperature",
		.title = "No disk is too hot",
		.severity = QB_RECOMMENDED,
		.looks = "The temperature of each NVMe disk, and of SATA disks where the module "
			 "drivetemp is loaded: below the disk's own limit, and no warning by it.",
		.why = "A disk that is too hot slows itself down, and then switches itself off; "
		       "above its limit it loses data.",
		.remedy = "grep . /sys/class/hwmon/hwmon*/temp1_input\n"
			  "# Look after the fans and the way of the air.",
		.judge = disk_temperature,
	},
	{
		.id = "storage.disk-read-only",
		.title = "Disks that are written to take writes",
		.severity = QB_RECOMMENDED,
		.looks = "Whether the kernel takes a disk for read-only that has a file system "
			 "mounted for writing, swap, or a pool.",
		.why = "A disk that has worn out or was write-protected on the storage takes no "
		       "writes any more; guests see errors, and file systems shut down.",
		.remedy = "lsblk -o NAME,RO,TYPE,MOUNTPOINT\n"
			  "journalctl -k -g 'write protect|read-only' | tail -n 40",
		.reads = (const char *const[]){READ_ONLY, MOUNTS, NULL},
		.judge = disk_read_only,
	},
};

QB_CHECK_GROUP_PART(qb_storage_health_checks, storage, table);
