/* SPDX-License-Identifier: Apache-2.0 */
#include "net/networkd.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "agent/base/bus_lib.h"
#include "agent/base/clock.h"
#include "net/unit.h"

#define FILE_MAX (1 << 20)
#define UNITS_RUN "/run/systemd/network"
#define LINKS "/run/systemd/netif/links"
#define LEASES "/run/systemd/netif/leases"
#define NETWORKD "org.freedesktop.network1"
#define RELOADING NETWORKD ".Reloading" /* newer ones do one at a time */
#define POLL_MS 20
#define RFC4361 "ff" /* of a DHCP client id: an IAID and a DUID follow */

/* The value of a line KEY=value; NULL: there is none. */
static char *value_of(const char *text, const char *key)
{
	_cleanup_free_ char *copy = qb_strdup(text);
	size_t len = strlen(key);
	char *save = NULL;

	for (char *l = strtok_r(copy, "\n", &save); l; l = strtok_r(NULL, "\n", &save))
		if (!strncmp(l, key, len) && l[len] == '=')
			return qb_strdup(l + len + 1);
	return NULL;
}

static char *read_of(const struct qb_root *root, const char *dir, int64_t ifindex)
{
	_cleanup_free_ char *path = qb_asprintf("%s/%lld", dir, (long long)ifindex);
	char *text = NULL;
	size_t len;

	return qb_root_read(root, path, FILE_MAX, &text, &len) == 0 ? text : NULL;
}

/* What it is to a DHCP server follows from its name where its unit does not say it. */
static void read_identity(const struct qb_root *root, const char *state, struct qb_link *link)
{
	_cleanup_free_ char *lease = read_of(root, LEASES, link->ifindex);
	_cleanup_free_ char *id = lease ? value_of(lease, "CLIENTID") : NULL;
	_cleanup_free_ char *iaid6 = value_of(state, "DHCP6_CLIENT_IAID");

	if (id && qb_startswith(id, RFC4361) && strlen(id) >= 10) {
		_cleanup_free_ char *iaid = qb_strndup(id + 2, 8);

		qb_strs_addf(&link->dhcp_identity, "DHCPv4.IAID=%lu", strtoul(iaid, NULL, 16));
	}
	if (iaid6)
		qb_strs_addf(&link->dhcp_identity, "DHCPv6.IAID=%lu", strtoul(iaid6, NULL, 0));
}

/*
 * Of drop-ins of one name the first directory's counts, and has none where it is a link to
 * /dev/null; they are read by name.
 */
static void read_drop_ins(const struct qb_root *root, const char *unit, struct qb_buf *text)
{
	static const char *const dirs[] = {QB_UNITS, UNITS_RUN, "/usr/local/lib/systemd/network",
					   "/usr/lib/systemd/network"};
	_cleanup_strs_ struct qb_strs all = {0};

	for (size_t i = 0; i < QB_ARRAY_SIZE(dirs); i++) {
		_cleanup_free_ char *dir = qb_asprintf("%s/%s.d", dirs[i], unit);
		_cleanup_strs_ struct qb_strs names = {0};

		if (qb_root_list(root, dir, &names) < 0)
			continue;
		for (size_t j = 0; j < names.n; j++)
			if (qb_endswith(names.v[j], ".conf") && !qb_strs_has(&all, names.v[j]))
				qb_strs_add(&all, names.v[j]);
	}
	qb_strs_sort(&all);
	for (size_t j = 0; j < all.n; j++) {
		bool there = false;

		for (size_t i = 0; !there && i < QB_ARRAY_SIZE(dirs); i++) {
			_cleanup_free_ char *path =
				qb_asprintf("%s/%s.d/%s", dirs[i], unit, all.v[j]);
			_cleanup_free_ char *more = NULL;
			size_t len;

			struct stat st;

			there = qb_root_stat(root, path, false, &st) == 0;
			if (there && qb_root_read(root, path, FILE_MAX, &more, &len) == 0)
				qb_buf_printf(text, "\n%s", more);
		}
	}
}

static void read_link(const struct qb_root *root, struct qb_link *link)
{
	_cleanup_free_ char *state = read_of(root, LINKS, link->ifindex), *admin = NULL;
	_cleanup_free_ char *text = NULL;
	struct qb_buf all = {0};
	size_t len;

	if (!state)
		return;
	admin = value_of(state, "ADMIN_STATE");
	link->networkd = admin && qb_startswith(admin, "configur"); /* "configuring" */
	link->barred = qb_streq(admin, "unmanaged") && qb_networkd_is_barred(root, link->name);
	if (!link->networkd)
		return;
	link->unit_path = value_of(state, "NETWORK_FILE");
	if (!link->unit_path || !strrchr(link->unit_path, '/') ||
	    qb_root_read(root, link->unit_path, FILE_MAX, &text, &len) < 0)
		return;
	qb_buf_puts(&all, text);
	read_drop_ins(root, strrchr(link->unit_path, '/') + 1, &all);
	link->unit_text = all.s;
	read_identity(root, state, link);
}

void qb_networkd_probe(const struct qb_root *root, struct qb_net *net)
{
	_cleanup_strs_ struct qb_strs names = {0};

	for (size_t i = 0; qb_root_exists(root, LINKS) && i < net->n_links; i++)
		read_link(root, &net->links[i]);
	if (qb_root_list(root, QB_UNITS, &names) < 0)
		return;
	for (size_t i = 0; i < names.n; i++) {
		_cleanup_free_ char *path = qb_asprintf(QB_UNITS "/%s", names.v[i]), *text = NULL;
		struct qb_keyfile *file;
		size_t len;

		if (!qb_startswith(names.v[i], QB_UNIT_PREFIX) ||
		    qb_root_read(root, path, FILE_MAX, &text, &len) < 0)
			continue;
		file = QB_APPEND(net->keyfiles, net->n_keyfiles);
		file->path = QB_TAKE_PTR(path);
		file->text = QB_TAKE_PTR(text);
	}
}

static void pause_briefly(void)
{
	nanosleep(&(struct timespec){.tv_nsec = POLL_MS * 1000000L}, NULL);
}

/* 1: it does so for somebody else. */
static int reload(sd_bus *bus, struct qb_error *err)
{
	_cleanup_message_ sd_bus_message *reply = NULL;
	_cleanup_bus_error_ sd_bus_error e = SD_BUS_ERROR_NULL;
	int r = sym_sd_bus_call_method(bus, NETWORKD, "/org/freedesktop/network1",
				       NETWORKD ".Manager", "Reload", &e, &reply, NULL);

	if (r < 0 && sym_sd_bus_error_has_name(&e, RELOADING))
		return 1;
	return r < 0 ? qb_bus_error(r, &e, err, "systemd-networkd, reading its units") : 0;
}

int qb_networkd_reload(unsigned timeout_ms, struct qb_error *err)
{
	uint64_t end = qb_now_ms() + timeout_ms;
	_cleanup_bus_ sd_bus *bus = NULL;
	int r = qb_bus_open("systemd-networkd", timeout_ms, &bus, err);

	if (r < 0)
		return r;
	while ((r = reload(bus, err)) == 1) {
		if (qb_now_ms() >= end)
			return qb_error_set(err, ETIMEDOUT,
					    "systemd-networkd reads its units for somebody else, "
					    "and has not ended in %u ms",
					    timeout_ms);
		pause_briefly();
	}
	return r;
}

int qb_networkd_answers(unsigned timeout_ms, struct qb_error *err)
{
	_cleanup_message_ sd_bus_message *reply = NULL;
	_cleanup_bus_error_ sd_bus_error e = SD_BUS_ERROR_NULL;
	_cleanup_bus_ sd_bus *bus = NULL;
	int r = qb_bus_open("systemd-networkd", timeout_ms, &bus, err);

	if (r < 0)
		return r;
	r = sym_sd_bus_call_method(bus, NETWORKD, "/org/freedesktop/network1",
				   "org.freedesktop.DBus.Peer", "Ping", &e, &reply, NULL);
	return r < 0 ? qb_bus_error(r, &e, err, "systemd-networkd") : 0;
}

struct qb_networkd_word qb_networkd_word(const struct qb_root *root, const struct qb_link *link)
{
	_cleanup_free_ char *path = qb_asprintf(LINKS "/%lld", (long long)link->ifindex);
	struct stat st;

	if (qb_root_stat(root, path, false, &st) < 0)
		return (struct qb_networkd_word){0};
	return (struct qb_networkd_word){st.st_ino, st.st_mtim};
}

static bool has_spoken(const struct qb_root *root, const struct qb_link *link,
		       const struct qb_networkd_word *before)
{
	struct qb_networkd_word now = qb_networkd_word(root, link);

	return !before || now.inode != before->inode ||
	       now.written.tv_sec != before->written.tv_sec ||
	       now.written.tv_nsec != before->written.tv_nsec;
}

/* 1: it is so; 0: not yet. */
static int is_by(const struct qb_root *root, const struct qb_link *link, const char *unit,
		 struct qb_error *err)
{
	_cleanup_free_ char *state = read_of(root, LINKS, link->ifindex);
	_cleanup_free_ char *admin = state ? value_of(state, "ADMIN_STATE") : NULL;
	_cleanup_free_ char *path = state ? value_of(state, "NETWORK_FILE") : NULL;

	if (!unit)
		return !admin || !strcmp(admin, "unmanaged");
	if (!qb_streq(path, unit))
		return 0;
	if (qb_streq(admin, "failed"))
		return qb_error_set(err, EIO, "systemd-networkd could not configure %s by %s",
				    link->name, unit);
	return qb_streq(admin, "configured");
}

int qb_networkd_wait(const struct qb_root *root, const struct qb_link *link, const char *unit,
		     const struct qb_networkd_word *before, unsigned timeout_ms,
		     struct qb_error *err)
{
	uint64_t end = qb_now_ms() + timeout_ms;

	for (;;) {
		int r = has_spoken(root, link, before) ? is_by(root, link, unit, err) : 0;

		if (r != 0)
			return r < 0 ? r : 0;
		if (qb_now_ms() >= end)
			return qb_error_set(err, ETIMEDOUT,
					    unit ? "systemd-networkd did not configure %s by %s in "
						   "%u ms"
						 : "systemd-networkd did not let %s go (%s) in "
						   "%u ms",
					    link->name, unit ? unit : "it has no unit", timeout_ms);
		pause_briefly();
	}
}

static char *bar_path(const char *link)
{
	return qb_asprintf(QB_UNIT_BAR "%s.network", link);
}

int qb_networkd_bar(const struct qb_root *root, const char *link, struct qb_error *err)
{
	_cleanup_free_ char *path = bar_path(link);
	_cleanup_free_ char *text =
		qb_asprintf("# Made by qubi-agent while the link changes hands.\n"
			    "[Match]\nName=%s\n\n[Link]\nUnmanaged=yes\n",
			    link);

	return qb_root_write(root, path, 0644, text, strlen(text), err);
}

bool qb_networkd_is_barred(const struct qb_root *root, const char *link)
{
	_cleanup_free_ char *path = bar_path(link);

	return qb_root_exists(root, path);
}

int qb_networkd_unbar(const struct qb_root *root, const char *link, struct qb_error *err)
{
	_cleanup_free_ char *path = bar_path(link);

	return qb_root_unlink(root, path, err);
}
