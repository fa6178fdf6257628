/* SPDX-License-Identifier: Apache-2.0 */
/* What libvirt needs of the host, installed and enabled; what it meets on it. */
#include "checks/judging.h"

#include <sys/socket.h>

#include "agent/host/config_valid.h"

bool qb_not_installed(const struct qb_check_input *in, struct qb_result *r)
{
	const struct qb_libvirt_facts *v = &in->facts->libvirt;

	if (v->flavour != QB_VIR_NONE)
		return false;
	if (qb_is_not(&v->enabled))
		qb_skip(r, "libvirt is not installed");
	else
		qb_unknown(r, "whether libvirt is installed is unknown: %s", qb_why(&v->enabled));
	return true;
}

#define SOCKET_WANTS "/etc/systemd/system/sockets.target.wants"
#define SERVICE_WANTS "/etc/systemd/system/multi-user.target.wants"
#define MASKS(daemon)                                                                              \
	"/etc/systemd/system/" daemon ".socket", "/etc/systemd/system/" daemon ".service"

/* A whole line of a directory's reading. */
static bool has_line(const char *text, const char *line)
{
	size_t n = strlen(line);

	for (const char *at = text; at; at = strchr(at, '\n')) {
		at += *at == '\n';
		if (strncmp(at, line, n) == 0 && (at[n] == '\n' || !at[n]))
			return true;
	}
	return false;
}

/* Enabling makes a link in wants; masking, which outweighs it, one to /dev/null beside. */
static bool unit_starts(const struct qb_check_input *in, const char *wants, const char *unit)
{
	_cleanup_free_ char *path = qb_asprintf("/etc/systemd/system/%s", unit);
	const struct qb_reading *mask = qb_facts_reading(in->facts, path);

	return has_line(wants, unit) && !(mask && S_ISCHR(mask->mode));
}

static bool daemon_starts(const struct qb_check_input *in, const char *sockets,
			  const char *services, const char *daemon)
{
	_cleanup_free_ char *socket = qb_asprintf("%s.socket", daemon);
	_cleanup_free_ char *service = qb_asprintf("%s.service", daemon);

	return unit_starts(in, sockets, socket) || unit_starts(in, services, service);
}

/* What a guest's disk lies on has to be there before anybody asks for the pool. */
static bool mounts_at_boot(const struct qb_libvirt_facts *v)
{
	static const char *const types[] = {"fs", "netfs", "logical", "iscsi"};

	for (size_t i = 0; i < v->n_pools; i++)
		for (size_t k = 0; k < QB_ARRAY_SIZE(types); k++)
			if (v->pools[i].autostart && qb_streq(v->pools[i].type, types[k]))
				return true;
	return false;
}

/* As Enterprise Linux has it: the service that starts guests, and sockets for what those need. */
static bool starts_on_demand(const struct qb_check_input *in)
{
	const struct qb_reading *sockets = qb_facts_reading(in->facts, SOCKET_WANTS);
	const struct qb_reading *services = qb_facts_reading(in->facts, SERVICE_WANTS);

	return sockets && services && unit_starts(in, services->value, "virtqemud.service") &&
	       !mounts_at_boot(&in->facts->libvirt) &&
	       daemon_starts(in, sockets->value, services->value, "virtnetworkd") &&
	       daemon_starts(in, sockets->value, services->value, "virtstoraged");
}

static void enabled(const struct qb_check_input *in, struct qb_result *r)
{
	const struct qb_libvirt_facts *v = &in->facts->libvirt;

	if (qb_not_installed(in, r))
		return;
	qb_evidence_tri(r, "enabled", "/etc/systemd/system", &v->enabled);
	if (qb_is(&v->enabled)) {
		qb_pass(r, "systemd starts libvirt at boot");
	} else if (v->flavour == QB_VIR_MODULAR && starts_on_demand(in)) {
		qb_evidence(r, "virtqemud.service", SERVICE_WANTS, "enabled");
		qb_pass(r, "systemd starts guests at boot, their networks and pools on demand");
	} else if (qb_is_not(&v->enabled)) {
		if (v->flavour == QB_VIR_MONOLITHIC)
			qb_remedy(r, "systemctl enable libvirtd.service");
		qb_fail(r, "nothing starts libvirt at boot");
	} else {
		qb_unknown(r, "whether systemd starts libvirt at boot is unknown: %s",
			   qb_why(&v->enabled));
	}
}

/* https://libvirt.org/daemons.html: the two kinds cannot run beside each other. */
static void one_flavour(const struct qb_check_input *in, struct qb_result *r)
{
	static const char *const dirs[] = {SOCKET_WANTS, SERVICE_WANTS};
	const char *text[QB_ARRAY_SIZE(dirs)];
	bool monolithic, modular;

	if (qb_not_installed(in, r))
		return;
	for (size_t i = 0; i < QB_ARRAY_SIZE(dirs); i++) {
		const struct qb_reading *x = qb_facts_reading(in->facts, dirs[i]);

		if (!x || !(x->value || x->absent)) {
			qb_unknown(r, "%s could not be read: %s", dirs[i], qb_read_why(x));
			return;
		}
		text[i] = x->value ? x->value : "";
	}
	monolithic = daemon_starts(in, text[0], text[1], "libvirtd");
	modular = daemon_starts(in, text[0], text[1], "virtqemud");
	qb_evidence(r, "libvirtd", SOCKET_WANTS, "%s", monolithic ? "enabled" : "not enabled");
	qb_evidence(r, "virtqemud", SOCKET_WANTS, "%s", modular ? "enabled" : "not enabled");
	if (monolithic && modular)
		qb_fail(r, "both libvirtd and virtqemud are enabled; only one of them can run");
	else
		qb_pass(r, "one kind of libvirt's daemons is enabled at most");
}

#define EL_QEMU "/usr/libexec/qemu-kvm"
#define OLD_QEMU "/usr/bin/qemu-kvm"
#define X86_QEMU "/usr/bin/qemu-system-x86_64"
#define ARM_QEMU "/usr/bin/qemu-system-aarch64"

static void qemu(const struct qb_check_input *in, struct qb_result *r)
{
	const bool arm = qb_streq(in->facts->system.arch, "aarch64");
	const char *const paths[] = {EL_QEMU, OLD_QEMU, arm ? ARM_QEMU : X86_QEMU};
	const struct qb_reading *unread = NULL, *there = NULL;

	for (size_t i = 0; i < QB_ARRAY_SIZE(paths); i++) {
		const struct qb_reading *x = qb_facts_reading(in->facts, paths[i]);

		if (x && S_ISREG(x->mode)) {
			qb_evidence(r, "mode", x->path, "%04o", (unsigned)x->mode & 07777);
			if (x->mode & 0111) {
				qb_pass(r, "QEMU is there: %s", x->path);
				return;
			}
			there = x;
		} else if (!x || !x->absent) {
			unread = x;
			if (!x) {
				qb_unknown(r, "%s could not be read: nobody looked", paths[i]);
				return;
			}
		} else {
			qb_evidence(r, "QEMU", x->path, "not there");
		}
	}
	if (there)
		qb_fail(r, "%s cannot be run: its mode lacks that", there->path);
	else if (unread)
		qb_unknown(r, "%s could not be read: %s", unread->path, qb_read_why(unread));
	else if (!qb_no_arch(in->facts, r))
		qb_fail(r, "QEMU is not where distributions put it");
}

#define BACKENDS_EL "/usr/lib64/libvirt/storage-backend"
#define BACKENDS_DEBIAN "/usr/lib/*-linux-gnu/libvirt/storage-backend"
#define DRIVERS_EL "/usr/lib64/libvirt/connection-driver"
#define DRIVERS_DEBIAN "/usr/lib/*-linux-gnu/libvirt/connection-driver"

/* The names in the directory, by either path; NULL: the verdict is given. */
static const struct qb_reading *plugins(const struct qb_check_input *in, struct qb_result *r,
					const char *el, const char *debian)
{
	const struct qb_reading *x = qb_facts_reading(in->facts, el), *y = NULL;

	if (x && x->value)
		return x;
	while ((y = qb_read_next(in, debian, y)))
		if (y->value)
			return y;
	if (x && x->absent)
		qb_unknown(r, "libvirt's plugins are neither in %s nor in %s", el, debian);
	else
		qb_unknown(r, "%s could not be read: %s", el, qb_read_why(x));
	return NULL;
}

static void weigh_plugin(struct qb_result *r, const struct qb_reading *dir, const char *kind,
			 const char *name, struct qb_tally *t)
{
	_cleanup_free_ char *file = qb_asprintf("libvirt_%s_%s.so", kind, name);
	bool there = has_line(dir->value, file);

	qb_evidence(r, file, dir->path, "%s", there ? "there" : "not there");
	if (there)
		t->good++;
	else
		qb_tally_bad(t, "libvirt lacks its %s", file);
}

static void storage_backends(const struct qb_check_input *in, struct qb_result *r)
{
	const struct qb_reading *dir;
	struct qb_tally t = {0};
	bool logical = false;

	if (qb_not_installed(in, r))
		return;
	dir = plugins(in, r, BACKENDS_EL, BACKENDS_DEBIAN);
	if (!dir)
		return;
	for (size_t i = 0; in->config && i < in->config->n_pools; i++)
		logical |= in->config->pools[i].type == QB_POOL_LOGICAL;
	/* fs serves directories and NFS, too. */
	weigh_plugin(r, dir, "storage_backend", "fs", &t);
	if (logical)
		weigh_plugin(r, dir, "storage_backend", "logical", &t);
	qb_tally_end(&t, r, "libvirt has the backends for pools", "");
}

static void drivers(const struct qb_check_input *in, struct qb_result *r)
{
	const struct qb_reading *dir;
	struct qb_tally t = {0};

	if (qb_not_installed(in, r))
		return;
	dir = plugins(in, r, DRIVERS_EL, DRIVERS_DEBIAN);
	if (!dir)
		return;
	weigh_plugin(r, dir, "driver", "qemu", &t);
	weigh_plugin(r, dir, "driver", "network", &t);
	weigh_plugin(r, dir, "driver", "storage", &t);
	qb_tally_end(&t, r, "libvirt has the drivers for guests, networks and pools", "");
}

#define VIRTLOGD "/run/libvirt/virtlogd-sock"
#define QEMU_CONF "/etc/libvirt/qemu.conf"

static void log_daemon(const struct qb_check_input *in, struct qb_result *r)
{
	const struct qb_reading *x = qb_facts_reading(in->facts, VIRTLOGD);
	const struct qb_reading *conf = qb_facts_reading(in->facts, QEMU_CONF);
	_cleanup_free_ char *handler =
		conf && conf->value ? qb_conf_value(conf->value, "stdio_handler") : NULL;

	if (qb_not_installed(in, r))
		return;
	if (x && S_ISSOCK(x->mode)) {
		qb_evidence(r, "socket", VIRTLOGD, "there");
		qb_pass(r, "virtlogd takes what guests write");
	} else if (!x || !x->absent) {
		qb_unknown(r, "%s could not be read: %s", VIRTLOGD, qb_read_why(x));
	} else if (qb_streq(handler, "file")) {
		/* Guests then log without a daemon. */
		qb_skip(r, "QEMU writes its logs without a daemon (stdio_handler in %s)",
			QEMU_CONF);
	} else if (!conf || !(conf->value || conf->absent)) {
		qb_unknown(r, "virtlogd does not listen, and %s could not be read: %s", QEMU_CONF,
			   qb_read_why(conf));
	} else if (!qb_no_libvirt(in->facts, r)) {
		qb_evidence(r, "socket", VIRTLOGD, "not there");
		qb_fail(r, "virtlogd does not listen");
	}
}

/* IPv4, with its length or as one host. */
static bool parse_subnet(const char *text, struct qb_prefix *ret)
{
	return text && qb_prefix_parse(text, strchr(text, '/'), ret) && ret->family == AF_INET;
}

/* True where it collides, which is told then. */
static bool collides(const struct qb_net *net, const struct qb_vir_network *n,
		     const struct qb_prefix *subnet, struct qb_tally *t)
{
	struct qb_prefix other;

	for (size_t i = 0; i < net->n_links; i++) {
		const struct qb_link *l = &net->links[i];

		if (l->loopback || qb_streq(l->name, n->now.bridge))
			continue;
		for (size_t k = 0; k < l->n_addresses; k++) {
			if (!parse_subnet(l->addresses[k].address, &other) ||
			    !qb_prefix_overlaps(subnet, &other))
				continue;
			qb_tally_bad(t, "the network %s (%s) overlaps with %s on %s", n->name,
				     n->now.address, l->addresses[k].address, l->name);
			return true;
		}
	}
	for (size_t i = 0; i < net->n_routes; i++) {
		const struct qb_route *route = &net->routes[i];

		/* A wider route goes on beside it; one as narrow or narrower takes guests'
		 * packets elsewhere. */
		if (route->table != TABLE_MAIN || !route->dev ||
		    qb_streq(route->dev, n->now.bridge) || !parse_subnet(route->dst, &other) ||
		    !qb_prefix_contains(subnet, &other) || other.length < subnet->length)
			continue;
		qb_tally_bad(t, "the network %s (%s) overlaps with the route to %s by %s", n->name,
			     n->now.address, route->dst, route->dev);
		return true;
	}
	return false;
}

static void subnet_free(const struct qb_check_input *in, struct qb_result *r)
{
	const struct qb_facts *f = in->facts;
	struct qb_tally t = {0};

	if (qb_no_libvirt(f, r))
		return;
	if (!qb_is(&f->net.known)) {
		qb_unknown(r, "the links could not be read: %s", qb_why(&f->net.known));
		return;
	}
	for (size_t i = 0; i < f->libvirt.n_networks; i++) {
		const struct qb_vir_network *n = &f->libvirt.networks[i];
		struct qb_prefix subnet;

		if ((!n->active && !n->autostart) || !parse_subnet(n->now.address, &subnet))
			continue;
		qb_evidence(r, n->name, "libvirt", "%s", n->now.address);
		if (!collides(&f->net, n, &subnet, &t))
			t.good++;
	}
	qb_tally_end(&t, r, "no network of libvirt overlaps with another one of the host",
		     "no network of libvirt has an address");
}

static void guests_shutdown(const struct qb_check_input *in, struct qb_result *r)
{
	const char *text;

	if (qb_not_installed(in, r) || !qb_read(in, r, SERVICE_WANTS, &text))
		return;
	if (unit_starts(in, text, "libvirt-guests.service"))
		qb_pass(r, "guests are shut down before the host");
	else
		qb_fail(r, "when the host goes down running guests are cut off");
}

static const struct qb_check table[] = {
	{
		.id = "libvirt.enabled",
		.title = "libvirt starts with the host",
		.severity = QB_RECOMMENDED,
		.looks = "Whether the services of libvirt's daemons are enabled; for networks and "
			 "pools their sockets will do.",
		.why = "Guests that have autostart are started by the service, at boot; its socket "
		       "alone waits until somebody connects.",
		.remedy = "systemctl enable virtqemud.service virtnetworkd.service "
			  "virtstoraged.service",
		.fix = "libvirt.daemon",
		.reads = (const char *const[]){SOCKET_WANTS, SERVICE_WANTS, MASKS("virtqemud"),
					       MASKS("virtnetworkd"), MASKS("virtstoraged"), NULL},
		.judge = enabled,
	},
	{
		.id = "libvirt.one-flavour",
		.title = "Only one kind of libvirt is enabled",
		.severity = QB_RECOMMENDED,
		.looks = "Which of libvirtd (monolithic) and virtqemud (modular) is enabled, by "
			 "its socket or service.",
		.why = "Both want the same sockets and guests; which of them gets them differs "
		       "from boot to boot.",
		.remedy = "# To keep the modular daemons:\n"
			  "systemctl disable --now libvirtd.service libvirtd.socket "
			  "libvirtd-ro.socket libvirtd-admin.socket\n"
			  "systemctl restart virtqemud.socket virtnetworkd.socket "
			  "virtstoraged.socket",
		.reads = (const char *const[]){SOCKET_WANTS, SERVICE_WANTS, MASKS("libvirtd"),
					       MASKS("virtqemud"), NULL},
		.judge = one_flavour,
	},
	{
		.id = "libvirt.qemu",
		.title = "QEMU is installed and can be run",
		.severity = QB_RECOMMENDED,
		.looks = "/usr/libexec/qemu-kvm, /usr/bin/qemu-kvm or the qemu-system of this "
			 "architecture: there, with a mode that lets it run.",
		.why = "libvirt starts it for each guest; without it there are none.",
		.remedy = "dnf install qemu-kvm",
		.reads = (const char *const[]){EL_QEMU, OLD_QEMU, X86_QEMU, ARM_QEMU, NULL},
		.judge = qemu,
	},
	{
		.id = "libvirt.storage-backends",
		.title = "libvirt has the backends for pools",
		.severity = QB_RECOMMENDED,
		.looks = "libvirt's plugins for the types of pools: fs, and logical where the "
			 "configuration has such a pool.",
		.why = "They are packages of their own; without one its pools cannot be defined: "
		       "\"missing backend for pool type\".",
		.remedy = "dnf install libvirt-daemon-driver-storage-core "
			  "libvirt-daemon-driver-storage-logical\n"
			  "systemctl try-restart libvirtd virtstoraged",
		.reads = (const char *const[]){BACKENDS_EL, BACKENDS_DEBIAN, NULL},
		.judge = storage_backends,
	},
	{
		.id = "libvirt.drivers",
		.title = "libvirt has the drivers for guests",
		.severity = QB_RECOMMENDED,
		.looks = "libvirt's drivers for QEMU, networks and storage.",
		.why = "They are packages of their own; without one a daemon answers, and knows no "
		       "guests, networks or pools.",
		.remedy = "dnf install libvirt-daemon-driver-qemu libvirt-daemon-driver-network "
			  "libvirt-daemon-driver-storage\n"
			  "systemctl try-restart libvirtd virtqemud virtnetworkd virtstoraged",
		.reads = (const char *const[]){DRIVERS_EL, DRIVERS_DEBIAN, NULL},
		.judge = drivers,
	},
	{
		.id = "libvirt.log-daemon",
		.title = "virtlogd listens",
		.severity = QB_REQUIRED,
		.looks = "virtlogd's socket, unless stdio_handler of qemu.conf does without it.",
		.why = "QEMU's messages and consoles go through it: without it no guest starts.",
		.remedy = "systemctl enable --now virtlogd.socket",
		.reads = (const char *const[]){VIRTLOGD, QEMU_CONF, NULL},
		.judge = log_daemon,
	},
	{
		.id = "libvirt.subnet-free",
		.title = "Networks do not collide with the host's",
		.severity = QB_RECOMMENDED,
		.looks = "The addresses of libvirt's networks that are active or start by "
			 "themselves, against the host's other addresses and routes.",
		.why = "libvirt does not start a network whose subnet is there already; of one "
		       "that is part of another the host no longer reaches that part. It is "
		       "common where the host is a guest with the same default network above it.",
		.remedy = "ip -4 address\n"
			  "ip -4 route\n"
			  "# Give the network another subnet: virsh net-edit, net-destroy and "
			  "net-start.",
		.judge = subnet_free,
	},
	{
		.id = "libvirt.guests-shutdown",
		.title = "Guests are shut down before the host",
		.severity = QB_INFORMATIONAL,
		.looks = "Whether libvirt-guests.service is enabled.",
		.why = "At shutdown it lets guests end, or saves them; without it systemd ends "
		       "QEMU, which to a guest is a power failure.",
		.remedy = "systemctl enable --now libvirt-guests.service",
		.reads = (const char *const[]){SERVICE_WANTS, MASKS("libvirt-guests"), NULL},
		.judge = guests_shutdown,
	},
};

QB_CHECK_GROUP_PART(qb_libvirt_host_checks, libvirt, table);
