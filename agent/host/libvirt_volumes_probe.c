/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the volumes of pools promise. libvirt looks at each file for that, and where one hangs, a
 * worker of its daemon hangs with it, for good, at every look: so a pool is asked only where its
 * directory is of this host, and has answered to this process before.
 */
#include "agent/host/libvirt_volumes.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/vfs.h>

#include "agent/host/libvirt_lib.h"

enum {
	VOLUMES_MAX = 1000, /* a pool; each is a question of its own */
	BLOCK = 4096,
};

static const struct qb_field volumes_fields[] = {
	QB_F(qb_vir_pool, name, "name", STR),
	QB_F(qb_vir_pool, volumes_known, "known", TRI),
	QB_F(qb_vir_pool, volumes, "volumes", U64),
	QB_F(qb_vir_pool, volumes_capacity_bytes, "capacity", U64),
	QB_F(qb_vir_pool, volumes_allocation_bytes, "allocation", U64),
};

/* A pool, as far as its volumes tell of it. */
static const struct qb_type volumes_type = {
	.name = "volumes",
	.size = sizeof(struct qb_vir_pool),
	.fields = volumes_fields,
	.n_fields = QB_ARRAY_SIZE(volumes_fields),
};

struct all_volumes {
	struct qb_vir_pool *pools;
	size_t n_pools;
};

static const struct qb_field all_fields[] = {
	QB_F_LIST(all_volumes, pools, "pools", &volumes_type),
};

static const struct qb_type all_type = {
	.name = "volumes",
	.size = sizeof(struct all_volumes),
	.fields = all_fields,
	.n_fields = QB_ARRAY_SIZE(all_fields),
};

static bool is_remote(const struct statfs *fs)
{
	static const unsigned long types[] = {
		NFS_SUPER_MAGIC,  SMB_SUPER_MAGIC,  CIFS_SUPER_MAGIC,
		SMB2_SUPER_MAGIC, CEPH_SUPER_MAGIC, FUSE_SUPER_MAGIC,
		V9FS_MAGIC,       AFS_SUPER_MAGIC,  OCFS2_SUPER_MAGIC};

	for (size_t i = 0; i < QB_ARRAY_SIZE(types); i++)
		if ((unsigned long)fs->f_type == types[i])
			return true;
	return false;
}

/* A block from the disk, not from a cache: this hangs where libvirt would. */
static void read_a_file(const char *target)
{
	_cleanup_closedir_ DIR *dir = opendir(target);
	struct dirent *entry;

	while (dir && (entry = readdir(dir))) {
		_cleanup_close_ int fd = -1;
		char *block = NULL;
		struct stat st;

		if (fstatat(dirfd(dir), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
		    !S_ISREG(st.st_mode) || st.st_size < BLOCK)
			continue;
		fd = openat(dirfd(dir), entry->d_name,
			    O_RDONLY | O_DIRECT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
		if (fd >= 0 && posix_memalign((void **)&block, BLOCK, BLOCK) == 0)
			(void)!pread(fd, block, BLOCK, 0);
		free(block);
		return;
	}
}

/* False: it is not to be asked, and why is said. */
static bool may_be_asked(struct qb_vir_pool *pool)
{
	struct statfs fs;

	if (!pool->active || !pool->target ||
	    (!qb_streq(pool->type, "dir") && !qb_streq(pool->type, "fs"))) {
		qb_tri_set(&pool->volumes_known, false);
		return false;
	}
	if (statfs(pool->target, &fs) < 0) {
		qb_tri_unknown(&pool->volumes_known, "%s: %s", pool->target, strerror(errno));
		return false;
	}
	if (is_remote(&fs)) {
		qb_tri_set(&pool->volumes_known, false);
		return false;
	}
	read_a_file(pool->target);
	return true;
}

static bool ask_volume(virStorageVolPtr volume, struct qb_vir_pool *pool)
{
	virStorageVolInfo info;

	/* One that was deleted since the list was made is none any more. */
	if (sym_virStorageVolGetInfo(volume, &info) < 0)
		return sym_virGetLastErrorCode() == VIR_ERR_NO_STORAGE_VOL;
	if (info.type == VIR_STORAGE_VOL_FILE || info.type == VIR_STORAGE_VOL_BLOCK) {
		pool->volumes++;
		pool->volumes_capacity_bytes += info.capacity;
		pool->volumes_allocation_bytes += info.allocation;
	}
	return true;
}

static void ask_pool(virConnectPtr conn, struct qb_vir_pool *pool)
{
	virStoragePoolPtr p = sym_virStoragePoolLookupByName(conn, pool->name);
	virStorageVolPtr *list = NULL;
	int n = p ? sym_virStoragePoolListAllVolumes(p, &list, 0) : -1;
	bool ok = n >= 0;

	for (int i = 0; i < n; i++) {
		if (n <= VOLUMES_MAX)
			ok = ok && ask_volume(list[i], pool);
		sym_virStorageVolFree(list[i]);
	}
	free(list);
	if (p)
		sym_virStoragePoolFree(p);
	if (n > VOLUMES_MAX) {
		qb_tri_unknown(&pool->volumes_known, "%d volumes are too many to ask each", n);
	} else if (!ok) {
		virErrorPtr last = sym_virGetLastError();
		_cleanup_free_ char *why =
			qb_str_printable(last && last->message ? last->message : "no reason given");

		qb_tri_unknown(&pool->volumes_known, "%s", why);
	} else {
		qb_tri_set(&pool->volumes_known, true);
	}
}

void qb_vir_volumes_ask(virConnectPtr conn, struct qb_libvirt_facts *f, json_t **ret)
{
	struct all_volumes all = {f->pools, f->n_pools};

	for (size_t i = 0; i < f->n_pools; i++)
		if (may_be_asked(&f->pools[i]))
			ask_pool(conn, &f->pools[i]);
	*ret = qb_schema_to_json(&all_type, &all);
}

void qb_vir_volumes_take(const char *text, size_t len, const char *why, struct qb_libvirt_facts *f)
{
	_cleanup_diags_ struct qb_diags diags = {0};
	struct all_volumes all = {0};

	if (text && qb_schema_load(&all_type, text, len, 0, &all, NULL, &diags) < 0)
		qb_schema_done(&all_type, &all);
	for (size_t i = 0; i < f->n_pools; i++) {
		struct qb_vir_pool *pool = &f->pools[i];

		qb_tri_unknown(&pool->volumes_known, "%s", why);
		for (size_t k = 0; k < all.n_pools; k++) {
			if (!qb_streq(all.pools[k].name, pool->name))
				continue;
			QB_SWAP(pool->volumes_known, all.pools[k].volumes_known);
			pool->volumes = all.pools[k].volumes;
			pool->volumes_capacity_bytes = all.pools[k].volumes_capacity_bytes;
			pool->volumes_allocation_bytes = all.pools[k].volumes_allocation_bytes;
			break;
		}
	}
	qb_schema_done(&all_type, &all);
}
