/* SPDX-License-Identifier: Apache-2.0 */
/* The directories of pools. */
#include "checks/judging.h"

#include <inttypes.h>

void qb_pool_targets(const struct qb_check_input *in, bool remote, struct qb_strs *ret)
{
	const struct qb_libvirt_facts *v = &in->facts->libvirt;
	const struct qb_config *c = in->config;

	for (size_t i = 0; c && i < c->n_pools; i++)
		if (c->pools[i].target)
			qb_strs_add(ret, c->pools[i].target);
	for (size_t i = 0; i < v->n_pools; i++) {
		const struct qb_vir_pool *p = &v->pools[i];

		if (p->active && p->target && !qb_strs_has(ret, p->target) &&
		    (qb_streq(p->type, "dir") || qb_streq(p->type, "fs") ||
		     (remote && qb_streq(p->type, "netfs"))))
			qb_strs_add(ret, p->target);
	}
}

bool qb_known_space(const struct qb_check_input *in, const char *target, struct qb_tally *t,
		    const struct qb_space **ret)
{
	const struct qb_space *s = qb_facts_space(in->facts, target);

	*ret = s;
	/* Said once, by storage.pool-writable and storage.pool-mounted. */
	if (s && (s->absent || s->down))
		return false;
	if (s && s->read_only.state != QB_UNKNOWN)
		return true;
	qb_tally_unsure(t, "the room in %s is unknown: %s", target,
			s ? qb_why(&s->read_only) : "nobody looked");
	return false;
}

void qb_no_pools_known(const struct qb_check_input *in, struct qb_tally *t)
{
	if (!qb_is(&in->facts->libvirt.connected))
		qb_tally_unsure(t, "libvirt could not be asked for pools: %s",
				qb_is_not(&in->facts->libvirt.connected)
					? "libvirt.connection tells why"
					: qb_libvirt_why(in->facts));
}

/* The active pool whose directory it is, and nothing but that; NULL for none. */
static const struct qb_vir_pool *dir_pool_of(const struct qb_check_input *in, const char *target)
{
	const struct qb_libvirt_facts *v = &in->facts->libvirt;

	for (size_t i = 0; i < v->n_pools; i++)
		if (v->pools[i].active && qb_streq(v->pools[i].type, "dir") &&
		    qb_streq(v->pools[i].target, target))
			return &v->pools[i];
	return NULL;
}

/* True where there is nothing that could be written to. */
static bool weigh_gone(const struct qb_check_input *in, struct qb_result *r, const char *target,
		       struct qb_tally *t)
{
	const struct qb_space *s = qb_facts_space(in->facts, target);
	const struct qb_vir_pool *pool = s && s->absent ? dir_pool_of(in, target) : NULL;
	_cleanup_free_ char *word = qb_shell_word(target), *name = NULL;

	if (s && s->down) {
		qb_evidence(r, target, "stat", "%s", s->down);
		qb_tally_bad(t, "the file system of %s is down: %s", target, s->down);
		qb_remedy(r,
			  "journalctl -k -p err | tail -n 40\nfindmnt --target %s\n"
			  "# When the disk, or the server, is well: stop the guests on it, unmount "
			  "it,\n# check the file system, and mount it again.",
			  word);
		return true;
	}
	if (!pool)
		return false;
	name = qb_shell_word(pool->name);
	qb_evidence(r, target, "stat", "not there");
	qb_tally_bad(t, "the directory %s of the pool %s is not there", target, pool->name);
	qb_remedy(r,
		  "findmnt --target %s\nfindmnt --verify\n"
		  "# Mount what it was on, or restore it; then: virsh pool-refresh %s",
		  word, name);
	return true;
}

static void pool_writable(const struct qb_check_input *in, struct qb_result *r)
{
	_cleanup_strs_ struct qb_strs targets = {0}, ours = {0};
	struct qb_tally t = {0};
	const struct qb_space *s;

	qb_pool_targets(in, true, &targets);
	qb_pool_targets(in, false, &ours);
	for (size_t i = 0; i < targets.n; i++) {
		if (weigh_gone(in, r, targets.v[i], &t))
			continue;
		/* What comes from a server may be for reading only. */
		if (!qb_strs_has(&ours, targets.v[i]) || !qb_known_space(in, targets.v[i], &t, &s))
			continue;
		qb_evidence(r, s->path, "statvfs", "%s",
			    qb_is(&s->read_only) ? "read-only" : "can be written");
		if (qb_is(&s->read_only))
			qb_tally_bad(&t, "%s can only be read", s->path);
		else
			t.good++;
	}
	qb_no_pools_known(in, &t);
	qb_tally_end(&t, r, "every pool's directory can be written to",
		     "there is no pool with a directory of this host");
}

enum {
	FREE_INODES = 1000
};

static void pool_inodes(const struct qb_check_input *in, struct qb_result *r)
{
	_cleanup_strs_ struct qb_strs targets = {0};
	struct qb_tally t = {0};
	const struct qb_space *s;

	qb_pool_targets(in, false, &targets);
	for (size_t i = 0; i < targets.n; i++) {
		if (!qb_known_space(in, targets.v[i], &t, &s))
			continue;
		if (s->inodes)
			qb_evidence(r, s->path, "statvfs", "%" PRIu64 " of %" PRIu64 " inodes free",
				    s->inodes_available, s->inodes);
		else
			qb_evidence(r, s->path, "statvfs", "inodes are made as needed");
		if (s->inodes && s->inodes_available < FREE_INODES)
			qb_tally_bad(&t, "%s takes only %" PRIu64 " more files", s->path,
				     s->inodes_available);
		else
			t.good++;
	}
	qb_no_pools_known(in, &t);
	qb_tally_end(&t, r, "every pool's directory takes more files",
		     "there is no pool with a directory of this host");
}

static const struct qb_check table[] = {
	{
		.id = "storage.pool-writable",
		.title = "The pools can be written to",
		.severity = QB_RECOMMENDED,
		.looks = "Each directory of a pool is there, and its file system is neither down "
			 "nor read-only. A pool from a server may be read-only.",
		.why = "ext4 and XFS go read-only, or down, when the disk gives errors; running "
		       "guests are paused, and others do not start.",
		.remedy = "journalctl -k -p err | tail -n 40\n"
			  "findmnt -o TARGET,SOURCE,FSTYPE,OPTIONS -O ro\n"
			  "# When the disk is well: check the file system, and mount it again.",
		.judge = pool_writable,
	},
	{
		.id = "storage.pool-inodes",
		.title = "The pools take more files",
		.severity = QB_RECOMMENDED,
		.looks = "The free inodes of each directory of a pool: at least 1000.",
		.why = "Without one no volume can be made, though there is room left; the message "
		       "then says \"no space\", and df denies it.",
		.remedy = "df -i\n# Delete what is many and small.",
		.judge = pool_inodes,
	},
};

QB_CHECK_GROUP_PART(qb_storage_pools_checks, storage, table);
