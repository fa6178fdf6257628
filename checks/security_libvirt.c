/* SPDX-License-Identifier: Apache-2.0 */
/* What libvirt's settings open: to guests, to users of the host, to the network. */
#include "checks/judging.h"

#include <inttypes.h>
#include <sys/stat.h>

#define QEMU_CONF "/etc/libvirt/qemu.conf"

/* libvirt's settings of QEMU; NULL where there are none to judge: the verdict is given then. */
static const char *qemu_conf(const struct qb_check_input *in, struct qb_result *r)
{
	const struct qb_reading *x = qb_facts_reading(in->facts, QEMU_CONF);

	if (x && x->value)
		return x->value;
	if (qb_is_absent(in, QEMU_CONF))
		qb_skip(r, "libvirt's QEMU driver is not set up here: there is no %s", QEMU_CONF);
	else
		qb_unknown(r, "%s could not be read: %s", QEMU_CONF, qb_read_why(x));
	return NULL;
}

static void setting(struct qb_result *r, const char *path, const char *key, const char *value)
{
	qb_evidence(r, key, path, "%s", !value ? "not set" : *value ? value : "(empty)");
}

static void confinement(const struct qb_check_input *in, struct qb_result *r)
{
	_cleanup_free_ char *driver = NULL, *confined = NULL;
	const char *conf = qemu_conf(in, r);

	if (!conf)
		return;
	driver = qb_conf_value(conf, "security_driver");
	confined = qb_conf_value(conf, "security_default_confined");
	setting(r, QEMU_CONF, "security_driver", driver);
	setting(r, QEMU_CONF, "security_default_confined", confined);
	/* Quoted, or in a list. */
	if (driver && (qb_streq(driver, "none") || strstr(driver, "\"none\"")))
		qb_fail(r, "guests get no label: the security driver is none");
	else if (qb_streq(confined, "0"))
		qb_fail(r, "guests get no label unless they ask for one");
	else
		qb_pass(r, "libvirt confines guests by what the host offers");
}

static void qemu_user(const struct qb_check_input *in, struct qb_result *r)
{
	_cleanup_free_ char *user = NULL;
	const char *conf = qemu_conf(in, r);

	if (!conf)
		return;
	user = qb_conf_value(conf, "user");
	setting(r, QEMU_CONF, "user", user);
	/* "+0" is a number, and not the name of a user. */
	if (qb_streq(user, "root") || qb_streq(user, "0") || qb_streq(user, "+0"))
		qb_fail(r, "QEMU runs as root");
	else if (user && *user)
		qb_pass(r, "QEMU runs as %s", user);
	else
		qb_pass(r, "QEMU runs as the user that libvirt was built with, not as root");
}

static void weigh_display(const char *conf, const char *what, struct qb_tally *t,
			  struct qb_result *r)
{
	_cleanup_free_ char *listen_key = qb_asprintf("%s_listen", what);
	_cleanup_free_ char *tls_key = qb_asprintf("%s_tls", what);
	_cleanup_free_ char *sasl_key = qb_asprintf("%s_sasl", what);
	_cleanup_free_ char *address = qb_conf_value(conf, listen_key);
	bool tls = qb_conf_is_on(conf, tls_key), sasl = qb_conf_is_on(conf, sasl_key);

	setting(r, QEMU_CONF, listen_key, address);
	/* libvirt's default is 127.0.0.1. */
	if (!address || qb_startswith(address, "127.") || qb_streq(address, "::1") ||
	    qb_streq(address, "localhost")) {
		t->good++;
		return;
	}
	qb_evidence(r, tls_key, QEMU_CONF, "%s", tls ? "1" : "off");
	qb_evidence(r, sasl_key, QEMU_CONF, "%s", sasl ? "1" : "off");
	if (tls || sasl)
		t->good++;
	else
		qb_tally_bad(t, "guests' %s consoles listen on %s without TLS and SASL", what,
			     address);
}

static void displays(const struct qb_check_input *in, struct qb_result *r)
{
	const char *conf = qemu_conf(in, r);
	struct qb_tally t = {0};

	if (!conf)
		return;
	weigh_display(conf, "vnc", &t, r);
	weigh_display(conf, "spice", &t, r);
	qb_tally_end(&t, r, "guests' consoles are not open to the network", "");
}

#define LIBVIRTD_CONF "/etc/libvirt/libvirtd.conf"
#define VIRTPROXYD_CONF "/etc/libvirt/virtproxyd.conf"
#define VIRTQEMUD_CONF "/etc/libvirt/virtqemud.conf"
#define SOCKETS "/etc/systemd/system/sockets.target.wants"
#define LIBVIRTD_ARGS "/etc/sysconfig/libvirtd"

/* The text of a file that need not be there. False, and the tally is unsure, where it is not known
 * what it says. */
static bool optional(const struct qb_check_input *in, const char *path, struct qb_tally *t,
		     const char **ret)
{
	const struct qb_reading *x = qb_facts_reading(in->facts, path);

	*ret = x && x->value ? x->value : "";
	if ((x && x->value) || qb_is_absent(in, path))
		return true;
	qb_tally_unsure(t, "%s could not be read: %s", path, qb_read_why(x));
	return false;
}

static bool has_line(const char *text, const char *wanted)
{
	size_t len = strlen(wanted);

	for (const char *line = text; *line; line += *line == '\n') {
		size_t n = strcspn(line, "\n");

		if (n == len && !strncmp(line, wanted, n))
			return true;
		line += n;
	}
	return false;
}

/* Whether libvirtd itself listens, as it did before sockets were systemd's. */
static bool listens_itself(const char *conf, const char *sysconfig)
{
	_cleanup_free_ char *args = qb_conf_value(sysconfig, "LIBVIRTD_ARGS");

	return qb_conf_is_on(conf, "listen_tcp") && args &&
	       (strstr(args, "--listen") || strstr(args, "-l"));
}

/* TLS without certificates of clients, and without SASL, is encrypted and open to all. */
static void weigh_tls(const char *daemon, const char *path, const char *conf, bool listens,
		      struct qb_tally *t, struct qb_result *r)
{
	_cleanup_free_ char *auth = qb_conf_value(conf, "auth_tls");
	bool unchecked = qb_conf_is_on(conf, "tls_no_verify_certificate");

	if (!listens)
		return;
	setting(r, path, "auth_tls", auth);
	qb_evidence(r, "tls_no_verify_certificate", path, "%s", unchecked ? "1" : "off");
	if (unchecked && (!auth || qb_streq(auth, "none")))
		qb_tally_bad(t, "%s lets anybody in by its TLS port, without a certificate",
			     daemon);
}

static void weigh_tcp(const char *daemon, const char *path, const char *conf, bool listens,
		      struct qb_tally *t, struct qb_result *r)
{
	_cleanup_free_ char *auth = qb_conf_value(conf, "auth_tcp");

	qb_evidence(r, daemon, SOCKETS, "%s", listens ? "TCP at boot" : "no TCP at boot");
	if (listens)
		setting(r, path, "auth_tcp", auth);
	/* The default, sasl, encrypts what it carries. */
	if (listens && qb_streq(auth, "none"))
		qb_tally_bad(t, "%s gives whoever reaches its TCP port the rights of root", daemon);
	else
		t->good++;
}

static void tcp(const struct qb_check_input *in, struct qb_result *r)
{
	const char *sockets, *sysconfig, *libvirtd, *virtproxyd;
	struct qb_tally t = {0};

	if (optional(in, SOCKETS, &t, &sockets) && optional(in, LIBVIRTD_ARGS, &t, &sysconfig) &&
	    optional(in, LIBVIRTD_CONF, &t, &libvirtd) &&
	    optional(in, VIRTPROXYD_CONF, &t, &virtproxyd)) {
		weigh_tcp("libvirtd", LIBVIRTD_CONF, libvirtd,
			  has_line(sockets, "libvirtd-tcp.socket") ||
				  listens_itself(libvirtd, sysconfig),
			  &t, r);
		weigh_tcp("virtproxyd", VIRTPROXYD_CONF, virtproxyd,
			  has_line(sockets, "virtproxyd-tcp.socket"), &t, r);
		weigh_tls("libvirtd", LIBVIRTD_CONF, libvirtd,
			  has_line(sockets, "libvirtd-tls.socket"), &t, r);
		weigh_tls("virtproxyd", VIRTPROXYD_CONF, virtproxyd,
			  has_line(sockets, "virtproxyd-tls.socket"), &t, r);
	}
	qb_tally_end(&t, r, "nobody commands libvirt over the network unasked", "");
}

#define LIBVIRTD_SOCKET "/run/libvirt/libvirt-sock"
#define VIRTQEMUD_SOCKET "/run/libvirt/virtqemud-sock"

/* Where everybody may connect polkit has to ask who it is; that is the default of packages that
 * make such a socket. */
static void weigh_socket(const struct qb_check_input *in, const char *socket, const char *conf_path,
			 struct qb_tally *t, struct qb_result *r)
{
	const struct qb_reading *x = qb_facts_reading(in->facts, socket);
	_cleanup_free_ char *auth = NULL;
	const char *conf;

	if (qb_is_absent(in, socket))
		return;
	if (!x || !x->mode) {
		qb_tally_unsure(t, "the mode of %s is unknown: %s", socket, qb_read_why(x));
		return;
	}
	qb_evidence(r, "mode", socket, "%04" PRIo64, (uint64_t)x->mode & 07777);
	if (!(x->mode & S_IWOTH)) {
		t->good++;
		return;
	}
	if (!optional(in, conf_path, t, &conf))
		return;
	auth = qb_conf_value(conf, "auth_unix_rw");
	setting(r, conf_path, "auth_unix_rw", auth);
	if (qb_streq(auth, "none"))
		qb_tally_bad(t, "every user of the host may command libvirt by %s", socket);
	else
		t->good++;
}

static void sockets(const struct qb_check_input *in, struct qb_result *r)
{
	struct qb_tally t = {0};

	/* With modular daemons virtproxyd serves the old name, and hands on to virtqemud. */
	weigh_socket(in, LIBVIRTD_SOCKET,
		     qb_is_absent(in, VIRTQEMUD_SOCKET) ? LIBVIRTD_CONF : VIRTPROXYD_CONF, &t, r);
	weigh_socket(in, VIRTQEMUD_SOCKET, VIRTQEMUD_CONF, &t, r);
	qb_tally_end(&t, r, "libvirt asks who it is that commands it",
		     "libvirt has no socket here");
}

#define RESTART "systemctl try-restart virtqemud libvirtd"

static const struct qb_check table[] = {
	{
		.id = "security.confinement",
		.title = "libvirt confines guests (svirt)",
		.severity = QB_RECOMMENDED,
		.looks = "security_driver and security_default_confined in "
			 "/etc/libvirt/qemu.conf: not switched off.",
		.why = "Without a label of its own a guest that breaks out of QEMU reads and "
		       "writes what every other guest has.",
		.remedy = "sed -i -E '/^ *security_(driver|default_confined) *=/d' "
			  "/etc/libvirt/qemu.conf\n" RESTART
			  "\n# Guests that run get their label when they are started anew.",
		.reads = (const char *const[]){QEMU_CONF, NULL},
		.judge = confinement,
	},
	{
		.id = "security.qemu-user",
		.title = "QEMU does not run as root",
		.severity = QB_RECOMMENDED,
		.looks = "user in /etc/libvirt/qemu.conf.",
		.why = "It is often set to root to get around a wrong label or owner; then a guest "
		       "that breaks out of QEMU owns the host.",
		.remedy = "sed -i -E '/^ *(user|group) *=/d' /etc/libvirt/qemu.conf\n" RESTART
			  "\n# Guests' disks have to belong to the user then: ls -lZ "
			  "/var/lib/libvirt/images",
		.reads = (const char *const[]){QEMU_CONF, NULL},
		.judge = qemu_user,
	},
	{
		.id = "security.consoles",
		.title = "Consoles are not open to the network",
		.severity = QB_RECOMMENDED,
		.looks = "vnc_listen and spice_listen in /etc/libvirt/qemu.conf: this host alone, "
			 "or with TLS or SASL.",
		.why = "A VNC password is cut to 8 characters and everything else is in the clear: "
		       "who is in the network is at the guest's keyboard.",
		.remedy = "sed -i -E '/^ *(vnc|spice)_listen *=/d' /etc/libvirt/qemu.conf\n" RESTART
			  "\n# From afar: virt-viewer --connect qemu+ssh://HOST/system GUEST",
		.reads = (const char *const[]){QEMU_CONF, NULL},
		.judge = displays,
	},
	{
		.id = "security.libvirt-tcp",
		.title = "libvirt's TCP port asks who it is",
		.severity = QB_RECOMMENDED,
		.looks = "Whether libvirtd or virtproxyd listens on TCP at boot (the -tcp.socket, "
			 "or --listen), and auth_tcp: not none; with TLS that it wants clients' "
			 "certificates, or auth_tls.",
		.why = "Who commands libvirt is root of the host: a guest may be given any disk of "
		       "it.",
		.remedy = "systemctl disable --now libvirtd-tcp.socket virtproxyd-tcp.socket\n"
			  "# With TLS: remove tls_no_verify_certificate from virtproxyd.conf and "
			  "libvirtd.conf.\n"
			  "# From afar use ssh: virsh --connect qemu+ssh://HOST/system",
		.reads = (const char *const[]){SOCKETS, LIBVIRTD_ARGS, LIBVIRTD_CONF,
					       VIRTPROXYD_CONF, NULL},
		.judge = tcp,
	},
	{
		.id = "security.libvirt-socket",
		.title = "libvirt's socket asks who it is",
		.severity = QB_RECOMMENDED,
		.looks = "The mode of libvirt-sock and virtqemud-sock in /run/libvirt, and, where "
			 "all may connect, auth_unix_rw: not none.",
		.why = "Who commands libvirt is root of the host: every user and every service on "
		       "it then is.",
		.remedy = "sed -i -E '/^ *auth_unix_rw *=/d' /etc/libvirt/virtqemud.conf "
			  "/etc/libvirt/virtproxyd.conf /etc/libvirt/libvirtd.conf\n"
			  "systemctl try-restart virtqemud virtproxyd libvirtd",
		.reads = (const char *const[]){LIBVIRTD_SOCKET, VIRTQEMUD_SOCKET, LIBVIRTD_CONF,
					       VIRTPROXYD_CONF, VIRTQEMUD_CONF, NULL},
		.judge = sockets,
	},
};

QB_CHECK_GROUP_PART(qb_security_libvirt_checks, security, table);
