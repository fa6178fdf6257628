/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Each disk is read by a process of its own, and what it found comes back as two documents: its
 * contents, and its temperature, which must not keep the first one waiting.
 */
#include "storage/probe_parts.h"

#include <errno.h>

#include "storage/disk_fields.h"

/* What a child says: what it read, of the struct's members that reading fills. */
struct answer {
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
	struct qb_tri sensor;
	int64_t celsius, limit;
	bool too_hot;
};

static const struct qb_field sensor_fields[] = {
	QB_F(sensor, sensor, "sensor", TRI),
	QB_F(sensor, celsius, "celsius", I64),
	QB_F(sensor, limit, "limit", I64),
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

struct reading {
	const struct qb_root *root;
	const char *machine_id;
	struct qb_disk *disk;
	struct qb_disk_raw *raw;
};

static void say(int fd, const struct qb_type *type, void *obj)
{
	json_t *document = qb_schema_to_json(type, obj);

	qb_child_say(fd, document);
	json_decref(document);
	qb_schema_done(type, obj);
}

static void tell(int fd, void *data)
{
	const struct reading *reading = data;
	struct answer a = {0};
	struct sensor s = {0};

	qb_device_probe(reading->machine_id, reading->disk, reading->raw);
	exchange(&a, reading->disk, reading->raw);
	say(fd, &answer_type, &a);
	qb_sensor_probe(reading->root, reading->disk);
	exchange_sensor(&s, reading->disk);
	say(fd, &sensor_type, &s);
}

void qb_device_child_begin(const struct qb_root *root, const char *machine_id, struct qb_disk *disk,
			   struct qb_disk_raw *raw, struct qb_child *ret)
{
	struct reading reading = {root, machine_id, disk, raw};
	int r = qb_child_begin_named(disk->name, tell, &reading, ret);
	_cleanup_free_ char *why = r == -EBUSY
					   ? qb_strdup("earlier looks still wait for an answer")
					   : qb_asprintf("no process to read it: %s", strerror(-r));

	if (r < 0) {
		qb_tri_unknown(&disk->readable, "%s: %s", disk->path, why);
		qb_tri_unknown(&disk->sensor, "%s: %s", disk->path, why);
	}
}

/* A line of what it said. What came is taken as a whole, or not at all. */
static bool take_line(const char **text, const struct qb_type *type, void *ret)
{
	_cleanup_diags_ struct qb_diags diags = {0};
	const char *end = *text ? strchr(*text, '\n') : NULL;
	json_auto_t *document = NULL;

	if (!end)
		return false;
	document = json_loadb(*text, (size_t)(end - *text), 0, NULL);
	*text = end + 1;
	return document && qb_schema_load_json(type, document, 0, ret, &diags) == 0;
}

void qb_device_child_end(struct qb_child *child, unsigned timeout_ms, struct qb_disk *disk,
			 struct qb_disk_raw *raw)
{
	_cleanup_free_ char *why =
		child->late ? qb_asprintf("%s: no answer within %u ms", disk->path, timeout_ms)
			    : qb_asprintf("%s: the process that read it ended early", disk->path);
	const char *text = child->text.s;
	struct answer a = {0};
	struct sensor s = {0};

	if (take_line(&text, &answer_type, &a))
		exchange(&a, disk, raw);
	else
		qb_tri_unknown(&disk->readable, "%s", why);
	if (take_line(&text, &sensor_type, &s))
		exchange_sensor(&s, disk);
	else
		qb_tri_unknown(&disk->sensor, "%s", why);
	qb_schema_done(&answer_type, &a);
	qb_schema_done(&sensor_type, &s);
	qb_child_done(child);
}
