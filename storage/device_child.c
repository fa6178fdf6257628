/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A few processes, the readers, take one disk after the other. What they find comes back as two
 * documents a disk: its contents, and its temperature, which must not keep the first one waiting.
 * One process begins them and hears them: a reader that has said nothing for a moment waits for its
 * disk, not for a CPU, and another takes over the rest. So a disk that hangs costs its own answer.
 */
#include "storage/probe_parts.h"

#include <errno.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <sys/mman.h>

#include "agent/base/clock.h"
#include "storage/disk_fields.h"

enum {
	PATIENCE_MS = 20,
	READERS_PER_CPU = 2,
};

/* What a reader says: what it read, of the struct's members that reading fills. */
struct answer {
	uint64_t at; /* of which disk */
	struct qb_tri readable, exclusive;
	struct qb_signature *signatures;
	size_t n_signatures;
	struct qb_partition *partitions;
	size_t n_partitions;
	struct qb_mark mark;
	bool ambiguous, nonzero;
	uint64_t nonzero_at;
	char *error, *table_fault;
};

static const struct qb_field answer_fields[] = {
	QB_F(answer, at, "disk", U64),
	QB_F(answer, readable, "readable", TRI),
	QB_F(answer, exclusive, "exclusive", TRI),
	QB_F_LIST(answer, signatures, "signatures", &qb_signature_type),
	QB_F_LIST(answer, partitions, "partitions", &qb_partition_type),
	QB_F(answer, mark, "mark", OBJECT, .of = &qb_mark_type),
	QB_F(answer, ambiguous, "ambiguous", BOOL),
	QB_F(answer, nonzero, "nonzero", BOOL),
	QB_F(answer, nonzero_at, "nonzero_at", U64),
	QB_F(answer, error, "error", STR),
	QB_F(answer, table_fault, "table_fault", STR),
};

static const struct qb_type answer_type = {
	.name = "answer",
	.size = sizeof(struct answer),
	.fields = answer_fields,
	.n_fields = QB_ARRAY_SIZE(answer_fields),
};

struct sensor {
	uint64_t at;
	struct qb_tri sensor;
	int64_t celsius, limit;
	bool too_hot;
};

static const struct qb_field sensor_fields[] = {
	QB_F(sensor, at, "disk", U64),          QB_F(sensor, sensor, "sensor", TRI),
	QB_F(sensor, celsius, "celsius", I64),  QB_F(sensor, limit, "limit", I64),
	QB_F(sensor, too_hot, "too_hot", BOOL),
};

static const struct qb_type sensor_type = {
	.name = "sensor",
	.size = sizeof(struct sensor),
	.fields = sensor_fields,
	.n_fields = QB_ARRAY_SIZE(sensor_fields),
};

static void exchange_sensor(struct sensor *s, struct qb_disk *disk)
{
	QB_SWAP(s->sensor, disk->sensor);
	QB_SWAP(s->celsius, disk->celsius);
	QB_SWAP(s->limit, disk->celsius_limit);
	QB_SWAP(s->too_hot, disk->too_hot);
}

static void exchange(struct answer *a, struct qb_disk *disk, struct qb_disk_raw *raw)
{
	QB_SWAP(a->readable, disk->readable);
	QB_SWAP(a->exclusive, raw->exclusive);
	QB_SWAP(a->signatures, disk->signatures);
	QB_SWAP(a->n_signatures, disk->n_signatures);
	QB_SWAP(a->partitions, disk->partitions);
	QB_SWAP(a->n_partitions, disk->n_partitions);
	QB_SWAP(a->mark, disk->mark);
	QB_SWAP(a->ambiguous, raw->contents.ambiguous);
	QB_SWAP(a->nonzero, raw->contents.nonzero);
	QB_SWAP(a->nonzero_at, raw->contents.nonzero_at);
	QB_SWAP(a->error, disk->error);
	QB_SWAP(a->table_fault, raw->contents.table_fault);
}

/* What all readers share, and who waits for them. */
struct qb_device_reading_queue {
	atomic_size_t next;
	uint64_t began_ms[]; /* of each that was taken */
};

static size_t queue_size(const struct qb_device_reading *r)
{
	return sizeof(*r->queue) + r->n * sizeof(r->queue->began_ms[0]);
}

static void say(int fd, const struct qb_type *type, void *obj)
{
	json_t *document = qb_schema_to_json(type, obj);

	qb_child_say(fd, document);
	json_decref(document);
	qb_schema_done(type, obj);
}

static void no_answer(struct qb_disk *disk, const char *why)
{
	if (disk->readable.state == QB_UNKNOWN && !disk->readable.why)
		qb_tri_unknown(&disk->readable, "%s: %s", disk->path, why);
	if (disk->sensor.state == QB_UNKNOWN && !disk->sensor.why)
		qb_tri_unknown(&disk->sensor, "%s: %s", disk->path, why);
}

static void read_one(int fd, const struct qb_device_reading *r, size_t at)
{
	struct qb_disk *disk = &r->disks->disks[at];
	_cleanup_close_ int held = qb_child_hold_name(disk->name);
	struct answer a = {.at = at};
	struct sensor s = {.at = at};

	if (held == -EBUSY)
		no_answer(disk, "earlier looks still wait for an answer");
	else
		qb_device_probe(r->machine_id, disk, &r->raw[at]);
	exchange(&a, disk, &r->raw[at]);
	say(fd, &answer_type, &a);
	if (held != -EBUSY)
		qb_sensor_probe(r->root, disk);
	exchange_sensor(&s, disk);
	say(fd, &sensor_type, &s);
}

static void read_disks(int fd, void *data)
{
	const struct qb_device_reading *r = data;

	qb_child_keep_files(fd, r->root->fd);
	for (size_t i; (i = atomic_fetch_add(&r->queue->next, 1)) < r->n;) {
		r->queue->began_ms[i] = qb_now_ms();
		read_one(fd, r, r->which[i]);
	}
}

static size_t count_busy(const struct qb_child *readers, size_t n)
{
	uint64_t now = qb_now_ms();
	size_t busy = 0;

	for (size_t i = 0; i < n; i++)
		busy += readers[i].fd >= 0 && now - readers[i].heard_ms < PATIENCE_MS;
	return busy;
}

/* Whole lines only: those of several readers go the same way. */
static void pass_on(int fd, struct qb_child *reader)
{
	struct qb_buf *text = &reader->text;
	const char *end = text->len ? memrchr(text->s, '\n', text->len) : NULL;
	size_t len = end ? (size_t)(end + 1 - text->s) : 0;

	if (!len)
		return;
	dprintf(fd, "%.*s", (int)len, text->s);
	text->len -= len;
	memmove(text->s, text->s + len, text->len);
}

static void keep_reading(int fd, void *data)
{
	const struct qb_device_reading *r = data;
	struct qb_child *readers = qb_alloc(r->n, sizeof(*readers));
	size_t n = 0, most = (size_t)sysconf(_SC_NPROCESSORS_ONLN) * READERS_PER_CPU;

	do {
		for (size_t i = 0; i < n; i++)
			pass_on(fd, &readers[i]);
		/* Each takes one at least, so there are never more than disks. */
		while (n < r->n && atomic_load(&r->queue->next) < r->n &&
		       count_busy(readers, n) < most &&
		       qb_child_begin(read_disks, data, &readers[n]) == 0)
			n++;
	} while (qb_children_hear(readers, n, qb_now_ms() + PATIENCE_MS));
	free(readers);
}

void qb_device_reading_begin(struct qb_device_reading *r, struct qb_child *ret)
{
	void *shared = r->n ? mmap(NULL, queue_size(r), PROT_READ | PROT_WRITE,
				   MAP_SHARED | MAP_ANONYMOUS, -1, 0)
			    : MAP_FAILED;

	if (shared == MAP_FAILED)
		return;
	r->queue = shared;
	if (qb_child_begin(keep_reading, r, ret) < 0)
		qb_child_done(ret);
}

/* A line of what they said. What came is taken as a whole, or not at all. */
static void take_line(const char *line, size_t len, struct qb_device_reading *r)
{
	_cleanup_diags_ struct qb_diags diags = {0};
	json_auto_t *document = json_loadb(line, len, 0, NULL);
	struct answer a = {0};
	struct sensor s = {0};

	if (json_object_get(document, "readable")) {
		if (qb_schema_load_json(&answer_type, document, 0, &a, &diags) == 0)
			exchange(&a, &r->disks->disks[a.at], &r->raw[a.at]);
	} else if (document) {
		if (qb_schema_load_json(&sensor_type, document, 0, &s, &diags) == 0)
			exchange_sensor(&s, &r->disks->disks[s.at]);
	}
	qb_schema_done(&answer_type, &a);
	qb_schema_done(&sensor_type, &s);
}

static char *why_not(const struct qb_device_reading *r, size_t i, const struct qb_child *child,
		     uint64_t deadline_ms)
{
	if (!r->queue || (atomic_load(&r->queue->next) <= i && !child->late))
		return qb_strdup("there was no process to read it");
	if (atomic_load(&r->queue->next) <= i)
		return qb_strdup("no time was left to read it");
	if (!child->late)
		return qb_strdup("the process that read it ended early");
	return qb_asprintf("no answer within %" PRIu64 " ms", deadline_ms - r->queue->began_ms[i]);
}

void qb_device_reading_end(struct qb_device_reading *r, struct qb_child *child,
			   uint64_t deadline_ms)
{
	const char *text = child->text.s ? child->text.s : "";

	for (const char *end; (end = strchr(text, '\n')); text = end + 1)
		take_line(text, (size_t)(end - text), r);
	for (size_t i = 0; i < r->n; i++) {
		_cleanup_free_ char *why = why_not(r, i, child, deadline_ms);

		no_answer(&r->disks->disks[r->which[i]], why);
	}
	if (r->queue)
		munmap(r->queue, queue_size(r));
	qb_child_done(child);
}
