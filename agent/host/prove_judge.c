/* SPDX-License-Identifier: Apache-2.0 */
#include <endian.h>
#include <stdarg.h>

#include "agent/host/prove.h"
#include "agent/host/prove_frame.h"

static const char *const links[] = {"kvm",  "volume", "start", "label",
				    "mark", "frame",  "port",  "reply"};
static const char *const states[] = {"not-reached", "holds", "broken", "not-judged"};

const char *qb_proof_link_name(enum qb_proof_link link)
{
	return links[link];
}

const char *qb_proof_state_name(enum qb_proof_state state)
{
	return states[state];
}

/* What a judge of one link looks at, and says. */
struct judging {
	const struct qb_proof *proof;
	const struct qb_facts *facts;
	const struct qb_proof_trial *trial;
	struct qb_proof_verdict *verdict;
};

QB_PRINTF(3, 4)
static void say(const struct judging *j, enum qb_proof_state state, const char *fmt, ...)
{
	_cleanup_free_ char *text = NULL;
	va_list ap;

	va_start(ap, fmt);
	text = qb_vasprintf(fmt, ap);
	va_end(ap);
	j->verdict->state = state;
	j->verdict->says = qb_str_printable(text);
}

static const unsigned char *result_of(const struct qb_proof_trial *t)
{
	return memcmp(t->result, t->mark, sizeof(t->mark)) == 0 ? t->result : NULL;
}

static unsigned stage_of(const struct qb_proof_trial *t)
{
	return result_of(t) ? t->result[QB_GUEST_RESULT_STAGE] : 0;
}

static void kvm(const struct judging *j)
{
	const struct qb_kvm_facts *k = &j->facts->kvm;

	if (j->proof->emulated)
		say(j, QB_PROOF_UNJUDGED, "QEMU emulates the guest, which proves nothing of KVM");
	else if (qb_is(&k->guest_ran))
		say(j, QB_PROOF_HOLDS, "/dev/kvm runs a guest");
	else if (qb_is_not(&k->guest_ran) || qb_is_not(&k->device))
		say(j, QB_PROOF_BROKEN, "%s",
		    k->guest_detail ? k->guest_detail : "there is no /dev/kvm");
	else
		say(j, QB_PROOF_UNJUDGED, "whether /dev/kvm runs a guest is unknown%s%s",
		    k->guest_ran.why ? ": " : "", k->guest_ran.why ? k->guest_ran.why : "");
}

static void volume(const struct judging *j)
{
	if (j->trial->volume_error)
		say(j, QB_PROOF_BROKEN, "%s", j->trial->volume_error);
	else if (j->trial->made)
		say(j, QB_PROOF_HOLDS, "libvirt made the volume %s", j->trial->name);
}

static void start(const struct judging *j)
{
	if (j->trial->start_error)
		say(j, QB_PROOF_BROKEN, "%s", j->trial->start_error);
	else if (j->trial->started)
		say(j, QB_PROOF_HOLDS, "libvirt started the guest");
}

static void label(const struct judging *j)
{
	const struct qb_tri *selinux = &j->facts->system.selinux_enabled;
	const char *is = j->trial->label;

	if (!qb_is(selinux) && is)
		say(j, QB_PROOF_HOLDS, "its process is %s", is);
	else if (qb_is_not(selinux))
		say(j, QB_PROOF_UNJUDGED, "nothing confines guests here: SELinux is not enabled");
	else if (!qb_is(selinux))
		say(j, QB_PROOF_UNJUDGED, "whether SELinux is enabled is unknown");
	else if (is && strstr(is, ":svirt"))
		say(j, QB_PROOF_HOLDS, "its process is %s", is);
	else
		say(j, QB_PROOF_BROKEN,
		    "SELinux is enabled, and its process is %s: nothing keeps "
		    "one guest from another",
		    is ? is : "without a label");
}

static void mark(const struct judging *j)
{
	const struct qb_proof_trial *t = j->trial;

	if (t->result_error)
		say(j, QB_PROOF_BROKEN, "its volume cannot be read back: %s", t->result_error);
	else if (result_of(t))
		say(j, QB_PROOF_HOLDS, "it wrote its mark to the volume");
	else if (t->ended)
		say(j, QB_PROOF_BROKEN, "it ended without its mark in the volume");
	else
		say(j, QB_PROOF_BROKEN, "it ran for %u ms, and its mark is not in the volume",
		    t->waited_ms);
}

static void frame(const struct judging *j)
{
	const struct qb_proof_net *net = j->trial->net;
	const unsigned char *m = j->trial->mac;

	if (!net)
		say(j, QB_PROOF_UNJUDGED, "no bridge and no network is configured");
	else if (j->trial->on_bridge)
		say(j, QB_PROOF_HOLDS, "a frame from %02x:%02x:%02x:%02x:%02x:%02x came by %s",
		    m[0], m[1], m[2], m[3], m[4], m[5], net->bridge);
	else if (stage_of(j->trial) < QB_GUEST_SENT)
		say(j, QB_PROOF_BROKEN,
		    "it came no further than its volume: it found no network "
		    "device that it could use");
	else if (!net->bridge)
		say(j, QB_PROOF_UNJUDGED, "which bridge the network %s has is unknown", net->name);
	else
		say(j, QB_PROOF_BROKEN, "it sent frames, and none came by %s", net->bridge);
}

/* "eno1 (no carrier)" of each. */
static char *ports_text(const struct judging *j)
{
	_cleanup_strs_ struct qb_strs list = {0};
	const struct qb_strs *ports = &j->trial->net->ports;

	for (size_t i = 0; i < ports->n; i++) {
		const struct qb_link *link = qb_net_link(&j->facts->net, ports->v[i]);

		qb_strs_addf(&list, "%s%s", ports->v[i],
			     !link                       ? ""
			     : !link->up                 ? " (down)"
			     : qb_is_not(&link->carrier) ? " (no carrier)"
							 : "");
	}
	return qb_strs_sentence(&list);
}

static void port(const struct judging *j)
{
	const struct qb_proof_net *net = j->trial->net;
	_cleanup_free_ char *ports = net ? ports_text(j) : NULL;

	if (!net || !net->leads_out)
		say(j, QB_PROOF_UNJUDGED, "no port is configured that would lead out of this host");
	else if (!net->ports.n)
		say(j, QB_PROOF_BROKEN, "%s has no port that leads out of this host", net->bridge);
	else if (j->trial->left_by)
		say(j, QB_PROOF_HOLDS, "it left by %s", j->trial->left_by);
	else
		say(j, QB_PROOF_BROKEN, "no frame of it left by %s", ports);
}

static bool is_answered(const struct qb_proof_trial *t)
{
	size_t len;
	uint16_t le;

	if (stage_of(t) != QB_GUEST_ANSWERED)
		return false;
	memcpy(&le, t->result + QB_GUEST_RESULT_LENGTH, sizeof(le));
	len = le16toh(le);
	return qb_proof_is_answer(t->result + QB_GUEST_RESULT_FRAME,
				  len < QB_GUEST_FRAME_MAX ? len : QB_GUEST_FRAME_MAX,
				  t->net->peer);
}

static void reply(const struct judging *j)
{
	const struct qb_proof_net *net = j->trial->net;
	const char *peer = net ? net->peer : NULL;

	if (!peer)
		say(j, QB_PROOF_UNJUDGED,
		    "there is neither a gateway nor an address of this host "
		    "that could answer it");
	else if (is_answered(j->trial))
		say(j, QB_PROOF_HOLDS, "%s %s answered it",
		    net->is_gateway ? "the gateway" : "this host,", peer);
	else if (net->is_gateway && !qb_is(&net->answers_host))
		say(j, QB_PROOF_UNJUDGED, "the gateway %s %s", peer,
		    qb_is_not(&net->answers_host) ? "does not answer this host either"
						  : "was not asked by this host");
	else if (net->is_gateway)
		say(j, QB_PROOF_BROKEN,
		    "the gateway %s answers this host, and not the guest: does something between "
		    "them let no other MAC through than this host's (port security, the virtual "
		    "switch of an outer hypervisor)?",
		    peer);
	else
		say(j, QB_PROOF_BROKEN, "this host, %s, did not answer it by %s", peer,
		    net->bridge);
}

bool qb_proof_is_open(const struct qb_proof_trial *trial)
{
	return stage_of(trial) < (trial->net ? QB_GUEST_SENT : QB_GUEST_STARTED) ||
	       (trial->net && trial->net->bridge && !trial->on_bridge);
}

bool qb_proof_judge(const struct qb_proof *proof, const struct qb_facts *facts,
		    const struct qb_proof_trial *trial, struct qb_proof_verdict ret[QB_PROOF_LINKS])
{
	static void (*const judges[])(const struct judging *) = {kvm,  volume, start, label,
								 mark, frame,  port,  reply};
	bool whole = true;

	for (size_t i = 0; i < QB_PROOF_LINKS; i++) {
		ret[i] = (struct qb_proof_verdict){0};
		if (whole)
			judges[i](&(struct judging){proof, facts, trial, &ret[i]});
		whole = whole && ret[i].state > QB_PROOF_NOT_REACHED &&
			ret[i].state != QB_PROOF_BROKEN;
	}
	return whole;
}

void qb_proof_verdicts_done(struct qb_proof_verdict verdicts[QB_PROOF_LINKS])
{
	for (size_t i = 0; i < QB_PROOF_LINKS; i++)
		free(verdicts[i].says);
}
