/* SPDX-License-Identifier: Apache-2.0 */
#include "checks/judging.h"

#include <stdio.h>

static void connection(const struct qb_check_input *in, struct qb_result *r)
{
	const struct qb_libvirt_facts *v = &in->facts->libvirt;
	static const char *const flavours[] = {
		[QB_VIR_NONE] = "no daemon is installed",
		[QB_VIR_MONOLITHIC] = "monolithic (libvirtd)",
		[QB_VIR_MODULAR] = "modular (virtqemud and others)",
	};

	qb_evidence_tri(r, "connected", v->uri ? v->uri : "libvirt", &v->connected);
	qb_evidence(r, "daemons", "systemd", "%s", flavours[v->flavour]);
	if (qb_is(&v->connected)) {
		qb_pass(r, "libvirt answers at %s", v->uri ? v->uri : "its default address");
		return;
	}
	if (v->connected.state == QB_UNKNOWN) {
		qb_unknown(r, "libvirt could not be asked: %s", qb_libvirt_why(in->facts));
		return;
	}
	if (v->flavour == QB_VIR_NONE) {
		r->fix = NULL;
		qb_remedy(r, "dnf install libvirt-daemon-kvm libvirt-client\nqubi-agent apply");
		qb_fail(r, "libvirt is not installed");
	} else {
		if (v->flavour == QB_VIR_MONOLITHIC)
			qb_remedy(r, "systemctl enable --now libvirtd.socket\n"
				     "journalctl -u libvirtd -n 40");
		qb_fail(r, "libvirt does not answer: %s", qb_libvirt_why(in->facts));
	}
}

/* EL 8.10 ships 8.0, EL 9 at least 8.5: nothing older is tested. */
enum {
	MAJOR_FLOOR = 8
};

static void version(const struct qb_check_input *in, struct qb_result *r)
{
	const struct qb_libvirt_facts *v = &in->facts->libvirt;
	unsigned major, minor;

	if (qb_no_libvirt(in->facts, r))
		return;
	if (!v->version || sscanf(v->version, "%u.%u", &major, &minor) != 2) {
		qb_unknown(r, "libvirt did not tell its version");
		return;
	}
	qb_evidence(r, "libvirt", "virConnectGetLibVersion", "%s", v->version);
	if (v->hypervisor_version)
		qb_evidence(r, "QEMU", "virConnectGetVersion", "%s", v->hypervisor_version);
	if (major >= MAJOR_FLOOR)
		qb_pass(r, "libvirt is %s", v->version);
	else
		qb_fail(r, "libvirt is %s, older than %d.0", v->version, MAJOR_FLOOR);
}

static void kvm_domains(const struct qb_check_input *in, struct qb_result *r)
{
	const struct qb_libvirt_facts *v = &in->facts->libvirt;

	if (qb_no_libvirt(in->facts, r))
		return;
	qb_evidence_tri(r, "kvm domains", "virConnectGetCapabilities", &v->kvm_domains);
	if (qb_is(&v->kvm_domains)) {
		qb_pass(r, "libvirt offers domains of type kvm");
	} else if (qb_is_not(&v->kvm_domains)) {
		if (!qb_is(&in->facts->kvm.guest_ran))
			qb_remedy(r, "qubi-agent check kvm\n"
				     "# Mend that first.");
		qb_fail(r, "libvirt offers no domains of type kvm");
	} else {
		qb_unknown(r, "whether libvirt offers domains of type kvm is unknown: %s",
			   qb_why(&v->kvm_domains));
	}
}

/* One configured network: forward is what libvirt's XML says, bridge NULL where it is libvirt's. */
static void weigh_network(const struct qb_facts *f, const char *name, const char *forward,
			  const char *bridge, struct qb_tally *t, struct qb_result *r)
{
	const struct qb_vir_network *n = qb_facts_network(f, name);

	if (!n) {
		qb_evidence(r, name, "libvirt", "no such network");
		qb_tally_bad(t, "%s is not defined", name);
		return;
	}
	qb_evidence(r, name, "libvirt", "forward %s, bridge %s, %s",
		    n->now.forward ? n->now.forward : "none",
		    n->now.bridge ? n->now.bridge : "none", n->active ? "active" : "not active");
	/* An isolated network has no <forward> at all. */
	if (!qb_streq(n->now.forward, forward) &&
	    (n->now.forward || strcmp(forward, "isolated") != 0))
		qb_tally_bad(t, "%s has the forward mode %s, not %s", name,
			     n->now.forward ? n->now.forward : "none", forward);
	else if (bridge && !qb_streq(n->now.bridge, bridge))
		qb_tally_bad(t, "%s is on the bridge %s, not %s", name,
			     n->now.bridge ? n->now.bridge : "none", bridge);
	else if (!n->active)
		qb_tally_bad(t, "%s is not active", name);
	else
		t->good++;
}

static void networks_defined(const struct qb_check_input *in, struct qb_result *r)
{
	const struct qb_config *c = in->config;
	struct qb_tally t = {0};
	size_t wanted;

	if (qb_no_config(in, r))
		return;
	wanted = c->n_networks;
	for (size_t i = 0; i < c->n_bridges; i++)
		wanted += c->bridges[i].libvirt_network != NULL;
	if (wanted && qb_no_libvirt(in->facts, r))
		return;
	for (size_t i = 0; i < c->n_networks; i++)
		weigh_network(in->facts, c->networks[i].name,
			      qb_forward_name(c->networks[i].forward), NULL, &t, r);
	for (size_t i = 0; i < c->n_bridges; i++)
		if (c->bridges[i].libvirt_network)
			weigh_network(in->facts, c->bridges[i].libvirt_network, "bridge",
				      c->bridges[i].name, &t, r);
	qb_tally_end(&t, r, "every configured network is defined and active",
		     "the configuration names no networks");
}

static void networks_active(const struct qb_check_input *in, struct qb_result *r)
{
	const struct qb_libvirt_facts *v = &in->facts->libvirt;
	struct qb_tally t = {0};

	if (qb_no_libvirt(in->facts, r))
		return;
	for (size_t i = 0; i < v->n_networks; i++) {
		const struct qb_vir_network *n = &v->networks[i];
		_cleanup_free_ char *word = qb_shell_word(n->name);

		if (!n->autostart)
			continue;
		qb_evidence(r, n->name, "libvirt", "%s", n->active ? "active" : "not active");
		if (n->active) {
			t.good++;
			continue;
		}
		qb_tally_bad(&t, "%s is to start by itself, and is not active", n->name);
		qb_remedy(r, "virsh net-start %s", word);
	}
	qb_tally_end(&t, r, "every network that is to start by itself is active",
		     "no network is to start by itself");
}

static void pools_active(const struct qb_check_input *in, struct qb_result *r)
{
	const struct qb_libvirt_facts *v = &in->facts->libvirt;
	struct qb_tally t = {0};

	if (qb_no_libvirt(in->facts, r))
		return;
	for (size_t i = 0; i < v->n_pools; i++) {
		const struct qb_vir_pool *p = &v->pools[i];
		_cleanup_free_ char *word = qb_shell_word(p->name);

		if (!p->autostart)
			continue;
		qb_evidence(r, p->name, "libvirt", "%s", p->active ? "active" : "not active");
		if (p->active) {
			t.good++;
			continue;
		}
		qb_tally_bad(&t, "%s is to start by itself, and is not active", p->name);
		qb_remedy(r, "virsh pool-start %s", word);
	}
	qb_tally_end(&t, r, "every pool that is to start by itself is active",
		     "no pool is to start by itself");
}

static void weigh_autostart(struct qb_tally *t, struct qb_result *r, const char *what,
			    const char *name, bool persistent, bool starts)
{
	qb_evidence(r, name, "libvirt", "%s, %s", persistent ? "persistent" : "transient",
		    starts ? "autostart" : "no autostart");
	if (!persistent)
		qb_tally_bad(t, "the %s %s is gone when it stops", what, name);
	else if (!starts)
		qb_tally_bad(t, "the %s %s does not start by itself", what, name);
	else
		t->good++;
}

static void autostart(const struct qb_check_input *in, struct qb_result *r)
{
	const struct qb_config *c = in->config;
	struct qb_tally t = {0};

	if (qb_no_config(in, r) || qb_no_libvirt(in->facts, r))
		return;
	/* What is not defined at all is told by other checks. */
	for (size_t i = 0; i < c->n_networks + c->n_bridges; i++) {
		const char *name = i < c->n_networks
					   ? c->networks[i].name
					   : c->bridges[i - c->n_networks].libvirt_network;
		const struct qb_vir_network *n = name ? qb_facts_network(in->facts, name) : NULL;

		if (n && (i >= c->n_networks || c->networks[i].autostart))
			weigh_autostart(&t, r, "network", name, n->persistent, n->autostart);
	}
	if (!t.bad.n)
		r->fix = "libvirt.pool";
	for (size_t i = 0; i < c->n_pools; i++) {
		const struct qb_vir_pool *p = qb_facts_pool(in->facts, c->pools[i].name);

		if (p)
			weigh_autostart(&t, r, "pool", p->name, p->persistent, p->autostart);
	}
	qb_tally_end(&t, r, "configured networks and pools start with the host",
		     "no configured network or pool is defined yet");
}

static const struct qb_check table[] = {
	{
		.id = "libvirt.connection",
		.title = "libvirt answers",
		.severity = QB_REQUIRED,
		.looks = "Opens a read-only connection to libvirt, by the sockets of libvirtd or "
			 "of the modular daemons.",
		.why = "Everything that manages guests goes through it.",
		.remedy = "systemctl enable --now virtqemud.socket virtnetworkd.socket\n"
			  "systemctl enable --now virtstoraged.socket virtnodedevd.socket\n"
			  "journalctl -u virtqemud -n 40",
		.fix = "libvirt.daemon",
		.judge = connection,
	},
	{
		.id = "libvirt.version",
		.title = "libvirt is recent enough",
		.severity = QB_RECOMMENDED,
		.looks = "The version that libvirt tells: 8.0, that of EL 8.10, or later.",
		.why = "Nothing older was tested.",
		.remedy = "dnf upgrade 'libvirt*' 'qemu-kvm*'",
		.judge = version,
	},
	{
		.id = "libvirt.kvm-domains",
		.title = "libvirt offers KVM guests",
		.severity = QB_REQUIRED,
		.looks = "Whether libvirt's capabilities have a guest of domain type kvm.",
		.why = "/dev/kvm may work for root while libvirt found no QEMU, or one without "
		       "KVM: guests are then refused, or emulated.",
		.remedy = "dnf install qemu-kvm\n"
			  "rm -rf /var/cache/libvirt/qemu/capabilities\n"
			  "systemctl try-restart libvirtd virtqemud",
		.judge = kvm_domains,
	},
	{
		.id = "libvirt.networks-defined",
		.title = "The configured networks are there",
		.severity = QB_REQUIRED,
		.looks = "Every network of the configuration, those over bridges too: defined in "
			 "libvirt, with its forward mode and bridge, and active.",
		.why = "A guest whose network is not active does not start.",
		.remedy = "qubi-agent apply",
		.fix = "libvirt.network",
		.judge = networks_defined,
	},
	{
		.id = "libvirt.networks-active",
		.title = "Networks that start by themselves did",
		.severity = QB_RECOMMENDED,
		.looks = "Every network in libvirt that has autostart, and whether it is active.",
		.why = "An inactive one failed at boot or was stopped by hand; its guests do not "
		       "start.",
		.remedy = "virsh net-list --all",
		.judge = networks_active,
	},
	{
		.id = "libvirt.pools-active",
		.title = "Pools that start by themselves did",
		.severity = QB_RECOMMENDED,
		.looks = "Every storage pool in libvirt that has autostart, and whether it is "
			 "active.",
		.why = "An inactive one failed at boot or was stopped by hand; guests with "
		       "volumes in it do not start.",
		.remedy = "virsh pool-list --all",
		.judge = pools_active,
	},
	{
		.id = "libvirt.autostart",
		.title = "Networks and pools start with the host",
		.severity = QB_RECOMMENDED,
		.looks = "Whether the networks and pools that the configuration names are "
			 "persistent and have autostart.",
		.why = "Without it everything works until the next restart.",
		.remedy = "qubi-agent apply",
		.fix = "libvirt.network",
		.judge = autostart,
	},
};

QB_CHECK_GROUP(libvirt, table);
