/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/blocks.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/sysmacros.h>

enum {
	STACK_MAX = 16, /* dm on md on dm...: deeper is a loop in what we read */
};

static void not_known(struct qb_block *block, const char *path, int r)
{
	if (!block->unknown)
		block->unknown = qb_asprintf("%s: %s", path, strerror(-r));
}

static struct qb_block *block_read(const struct qb_root *root, const char *name, const char *disk,
				   struct qb_blocks *blocks)
{
	_cleanup_free_ char *dir = disk ? qb_asprintf("/sys/block/%s/%s", disk, name)
					: qb_asprintf("/sys/block/%s", name);
	struct qb_block *block = QB_APPEND(blocks->v, blocks->n);
	const struct {
		const char *file;
		char **value;
	} values[] = {
		{"dev", &block->devno}, {"dm/name", &block->dm_name}, {"dm/uuid", &block->dm_uuid}};
	const struct {
		const char *sub;
		struct qb_strs *list;
	} lists[] = {{"slaves", &block->slaves}, {"holders", &block->holders}};

	block->name = qb_strdup(name);
	block->disk = qb_strdup(disk);
	for (size_t i = 0; i < QB_ARRAY_SIZE(values); i++) {
		_cleanup_free_ char *path = qb_asprintf("%s/%s", dir, values[i].file);
		int r = qb_root_read_value(root, path, values[i].value);

		if (r < 0 && r != -ENOENT)
			not_known(block, path, r);
	}
	for (size_t i = 0; i < QB_ARRAY_SIZE(lists); i++) {
		_cleanup_free_ char *path = qb_asprintf("%s/%s", dir, lists[i].sub);
		int r = qb_root_list(root, path, lists[i].list);

		/* A partition has no slaves; and what was captured may lack what is empty. */
		if (r < 0 && r != -ENOENT)
			not_known(block, path, r);
	}
	return block;
}

int qb_blocks_partitions(const struct qb_root *root, const char *disk, struct qb_strs *ret)
{
	_cleanup_free_ char *dir = qb_asprintf("/sys/block/%s", disk);
	_cleanup_strs_ struct qb_strs subs = {0};
	int r = qb_root_list(root, dir, &subs);

	for (size_t i = 0; r == 0 && i < subs.n; i++) {
		_cleanup_free_ char *mark = qb_asprintf("%s/%s/partition", dir, subs.v[i]);
		struct stat st;

		/* The kernel names them after their disk. */
		if (!qb_startswith(subs.v[i], disk))
			continue;
		r = qb_root_stat(root, mark, true, &st);
		if (r == 0)
			qb_strs_add(ret, subs.v[i]);
		else if (r == -ENOENT || r == -ENOTDIR)
			r = 0;
	}
	return r;
}

static int by_name(const void *a, const void *b)
{
	return strcmp((*(struct qb_block *const *)a)->name, (*(struct qb_block *const *)b)->name);
}

static const char *devno_of(const struct qb_block *block)
{
	return block->devno ? block->devno : "";
}

static int by_devno(const void *a, const void *b)
{
	return strcmp(devno_of(*(struct qb_block *const *)a),
		      devno_of(*(struct qb_block *const *)b));
}

typedef int compare_fn(const void *, const void *);

static struct qb_block **sorted(const struct qb_blocks *blocks, compare_fn *compare)
{
	struct qb_block **index = qb_alloc(blocks->n, sizeof(struct qb_block *));

	for (size_t i = 0; i < blocks->n; i++)
		index[i] = &blocks->v[i];
	qsort(index, blocks->n, sizeof(struct qb_block *), compare);
	return index;
}

static const struct qb_block *find(const struct qb_blocks *blocks, struct qb_block **index,
				   const struct qb_block *like, compare_fn *compare)
{
	struct qb_block **at =
		blocks->n ? bsearch(&like, index, blocks->n, sizeof(struct qb_block *), compare)
			  : NULL;

	return at ? *at : NULL;
}

void qb_blocks_read(const struct qb_root *root, struct qb_blocks *ret)
{
	_cleanup_strs_ struct qb_strs names = {0};
	int r = qb_root_list(root, "/sys/block", &names);

	*ret = (struct qb_blocks){0};
	if (r < 0)
		ret->unknown = qb_asprintf("/sys/block: %s", strerror(-r));
	for (size_t i = 0; i < names.n; i++) {
		_cleanup_strs_ struct qb_strs parts = {0};
		struct qb_block *disk = block_read(root, names.v[i], NULL, ret);

		r = qb_blocks_partitions(root, names.v[i], &parts);
		if (r < 0)
			not_known(disk, "its partitions", r);
		for (size_t j = 0; j < parts.n; j++)
			(void)block_read(root, parts.v[j], names.v[i], ret);
	}
	ret->by_name = sorted(ret, by_name);
	ret->by_devno = sorted(ret, by_devno);
}

void qb_blocks_done(struct qb_blocks *blocks)
{
	for (size_t i = 0; i < blocks->n; i++) {
		struct qb_block *b = &blocks->v[i];

		free(b->name);
		free(b->devno);
		free(b->disk);
		free(b->dm_name);
		free(b->dm_uuid);
		free(b->unknown);
		qb_strs_done(&b->slaves);
		qb_strs_done(&b->holders);
	}
	free(blocks->v);
	free(blocks->by_name);
	free(blocks->by_devno);
	free(blocks->unknown);
	*blocks = (struct qb_blocks){0};
}

const struct qb_block *qb_blocks_by_name(const struct qb_blocks *blocks, const char *name)
{
	const struct qb_block like = {.name = (char *)name};

	return find(blocks, blocks->by_name, &like, by_name);
}

const struct qb_block *qb_blocks_by_devno(const struct qb_blocks *blocks, const char *devno)
{
	const struct qb_block like = {.devno = (char *)devno};

	return find(blocks, blocks->by_devno, &like, by_devno);
}

static const struct qb_block *by_dm_name(const struct qb_blocks *blocks, const char *name)
{
	for (size_t i = 0; i < blocks->n; i++)
		if (blocks->v[i].dm_name && qb_streq(blocks->v[i].dm_name, name))
			return &blocks->v[i];
	return NULL;
}

const struct qb_block *qb_blocks_by_path(const struct qb_blocks *blocks, const struct qb_root *root,
					 const char *path)
{
	_cleanup_free_ char *target = NULL;
	const struct qb_block *block;
	const char *base;
	struct stat st;

	if (!path || !qb_startswith(path, "/dev/"))
		return NULL;
	/* A node says it best. A captured root has none, there the names have to do. */
	if (root->live && qb_root_stat(root, path, true, &st) == 0 && S_ISBLK(st.st_mode)) {
		_cleanup_free_ char *devno =
			qb_asprintf("%u:%u", major(st.st_rdev), minor(st.st_rdev));

		return qb_blocks_by_devno(blocks, devno);
	}
	base = strrchr(path, '/') + 1;
	if (qb_startswith(path, "/dev/mapper/") && (block = by_dm_name(blocks, base)))
		return block;
	if (qb_root_readlink(root, path, &target) == 0) {
		base = strrchr(target, '/');
		base = base ? base + 1 : target;
	}
	return qb_blocks_by_name(blocks, base);
}

static void disks_under(const struct qb_blocks *blocks, const char *name, unsigned depth,
			struct qb_strs *ret)
{
	const struct qb_block *block = qb_blocks_by_name(blocks, name);

	if (!block || depth > STACK_MAX)
		return;
	for (size_t i = 0; i < block->slaves.n; i++)
		disks_under(blocks, block->slaves.v[i], depth + 1, ret);
	if (block->disk)
		disks_under(blocks, block->disk, depth + 1, ret);
	else if (!block->slaves.n && !qb_strs_has(ret, name))
		qb_strs_add(ret, name);
}

void qb_blocks_disks_under(const struct qb_blocks *blocks, const char *name, struct qb_strs *ret)
{
	disks_under(blocks, name, 0, ret);
}
