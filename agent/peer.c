/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/peer.h"

#include "net/names.h"

enum {
	ANCESTORS_MAX = 64,
	ENVIRON_MAX = 2 << 20, /* what the kernel passes on at most, ARG_MAX */
};

/* "ADDRESS PORT ADDRESS PORT" of one process. */
static char *peer_of(const struct qb_root *root, long pid)
{
	static const char key[] = "SSH_CONNECTION=";
	_cleanup_free_ char *path = qb_asprintf("/proc/%ld/environ", pid);
	_cleanup_free_ char *text = NULL, *address = NULL;
	struct qb_ip ip;
	size_t len;

	if (qb_root_read(root, path, ENVIRON_MAX, &text, &len) < 0)
		return NULL;
	for (size_t at = 0; at < len && !address; at += strlen(text + at) + 1)
		if (qb_startswith(text + at, key))
			address = qb_strndup(text + at + strlen(key),
					     strcspn(text + at + strlen(key), " %"));
	return address && qb_ip_parse(address, &ip) == 0 ? QB_TAKE_PTR(address) : NULL;
}

/* proc_pid_stat(5): "pid (name) state ppid"; the name may hold anything. 0: none. */
static long parent_of(const struct qb_root *root, long pid)
{
	_cleanup_free_ char *path = qb_asprintf("/proc/%ld/stat", pid), *text = NULL;
	const char *end;
	long parent = 0;

	if (qb_root_read_value(root, path, &text) < 0)
		return 0;
	end = strrchr(text, ')');
	return end && sscanf(end + 1, " %*c %ld", &parent) == 1 ? parent : 0;
}

char *qb_session_peer(const struct qb_root *root)
{
	char *peer = NULL;
	long pid = getpid();

	for (int i = 0; root->live && !peer && pid > 1 && i < ANCESTORS_MAX; i++) {
		peer = peer_of(root, pid);
		pid = parent_of(root, pid);
	}
	return peer;
}
