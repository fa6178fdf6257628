/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/host/libvirt_units.h"

#include <errno.h>

static const char *const unit_dirs[] = {"/etc/systemd/system", "/run/systemd/system",
					"/usr/local/lib/systemd/system", "/usr/lib/systemd/system",
					"/lib/systemd/system"};

/* A unit that a link to /dev/null masks is none: systemctl(1), mask. */
bool qb_unit_is_installed(const struct qb_root *root, const char *unit)
{
	for (size_t i = 0; i < QB_ARRAY_SIZE(unit_dirs); i++) {
		_cleanup_free_ char *path = qb_asprintf("%s/%s", unit_dirs[i], unit);
		_cleanup_free_ char *target = NULL;
		struct stat st;

		if (qb_root_stat(root, path, false, &st) == 0)
			return qb_root_readlink(root, path, &target) < 0 ||
			       strcmp(target, "/dev/null") != 0;
	}
	return false;
}

/* Whether a target wants it, as enabling makes it so: TARGET.wants/UNIT. */
static bool wanted_in(const struct qb_root *root, const char *dir, const char *unit)
{
	_cleanup_strs_ struct qb_strs names = {0};
	bool found = false;

	if (qb_root_list(root, dir, &names) < 0)
		return false;
	for (size_t i = 0; i < names.n && !found; i++) {
		_cleanup_free_ char *link = qb_asprintf("%s/%s/%s", dir, names.v[i], unit);
		struct stat st;

		found = (qb_endswith(names.v[i], ".wants") ||
			 qb_endswith(names.v[i], ".requires")) &&
			qb_root_stat(root, link, false, &st) == 0;
	}
	return found;
}

static bool enabled(const struct qb_root *root, const char *unit)
{
	bool found = false;

	for (size_t i = 0; i < QB_ARRAY_SIZE(unit_dirs) && !found; i++)
		/* What /run holds is gone at the next boot. */
		found = !qb_startswith(unit_dirs[i], "/run/") &&
			wanted_in(root, unit_dirs[i], unit);
	return found && qb_unit_is_installed(root, unit);
}

static bool enabled_either(const struct qb_root *root, const char *daemon)
{
	_cleanup_free_ char *socket = qb_asprintf("%s.socket", daemon);
	_cleanup_free_ char *service = qb_asprintf("%s.service", daemon);

	return enabled(root, socket) || enabled(root, service);
}

/*
 * What listens decides; then what will listen after a restart; then what could. The modular
 * virtproxyd listens on the monolithic daemon's socket, so the modular one is asked for first.
 */
static enum qb_vir_flavour flavour(const struct qb_root *root)
{
	if (qb_root_exists(root, "/run/libvirt/virtqemud-sock"))
		return QB_VIR_MODULAR;
	if (qb_root_exists(root, "/run/libvirt/libvirt-sock"))
		return QB_VIR_MONOLITHIC;
	if (enabled_either(root, "virtqemud"))
		return QB_VIR_MODULAR;
	if (enabled_either(root, "libvirtd"))
		return QB_VIR_MONOLITHIC;
	if (qb_unit_is_installed(root, "virtqemud.socket"))
		return QB_VIR_MODULAR;
	return qb_unit_is_installed(root, "libvirtd.service") ? QB_VIR_MONOLITHIC : QB_VIR_NONE;
}

/*
 * Sockets alone start a daemon when somebody connects, and not at boot what is to start with it:
 * guests, networks and pools. So the services count.
 */
static bool all_enabled(const struct qb_root *root, enum qb_vir_flavour kind)
{
	static const char *const modular[] = {"virtqemud.service", "virtnetworkd.service",
					      "virtstoraged.service"};

	if (kind == QB_VIR_MONOLITHIC)
		return enabled(root, "libvirtd.service");
	for (size_t i = 0; i < QB_ARRAY_SIZE(modular); i++)
		if (qb_unit_is_installed(root, modular[i]) && !enabled(root, modular[i]))
			return false;
	return qb_unit_is_installed(root, modular[0]);
}

void qb_vir_units_probe(const struct qb_root *root, struct qb_libvirt_facts *ret)
{
	_cleanup_strs_ struct qb_strs names = {0};
	int r = qb_root_list(root, "/etc/systemd/system", &names);

	ret->flavour = flavour(root);
	if (ret->flavour == QB_VIR_NONE)
		qb_tri_set(&ret->enabled, false);
	else if (r < 0)
		qb_tri_unknown(&ret->enabled, "/etc/systemd/system: %s", strerror(-r));
	else
		qb_tri_set(&ret->enabled, all_enabled(root, ret->flavour));
}
