/* SPDX-License-Identifier: Apache-2.0 */
#include <sys/random.h>

#include "agent/base/clock.h"
#include "agent/base/log.h"
#include "agent/base/text.h"
#include "agent/host/prove.h"
#include "agent/prepare.h"
#include "agent/running.h"
#include "net/neigh.h"

enum {
	GATEWAY_MS = 1000
};

struct proving {
	struct qb_invocation *inv;
	struct qb_config config;
	struct qb_facts facts;
	struct qb_proof proof;
	struct qb_signals signals;
	size_t n_begun, n_proven;
};

/* "pool images on br0" */
static char *title_of(const struct qb_proof_trial *t)
{
	_cleanup_free_ char *title = t->net ? qb_asprintf("pool %s on %s", t->pool, t->net->name)
					    : qb_asprintf("pool %s", t->pool);

	return qb_str_printable(title);
}

static void add_chain(const struct proving *p, const struct qb_proof_verdict *verdicts,
		      struct qb_buf *out)
{
	static const enum qb_colour colours[] = {QB_GREY, QB_GREEN, QB_RED, QB_YELLOW};
	static const char *const words[] = {"", "holds", "BROKEN", "not judged"};

	for (int i = 0; i < QB_PROOF_LINKS && verdicts[i].state != QB_PROOF_NOT_REACHED; i++) {
		qb_buf_printf(out, "  %-7s ", qb_proof_link_name((enum qb_proof_link)i));
		qb_text_colour(out, qb_invocation_colour(p->inv), colours[verdicts[i].state],
			       words[verdicts[i].state]);
		qb_buf_printf(out, ": %s\n", verdicts[i].says);
	}
}

static void begin(void *data, const struct qb_proof_trial *t)
{
	struct proving *p = data;
	_cleanup_free_ char *title = title_of(t);

	p->n_begun++;
	if (!qb_reports_text(p->inv) || !isatty(STDOUT_FILENO))
		return;
	printf("\r\033[K[%zu/%zu] %s ...", p->n_begun, p->proof.n_trials, title);
	fflush(stdout);
}

static void end(void *data, const struct qb_proof_trial *t)
{
	struct proving *p = data;
	struct qb_proof_verdict verdicts[QB_PROOF_LINKS];
	_cleanup_free_ char *title = title_of(t);
	_cleanup_buf_ struct qb_buf text = {0};
	bool whole = qb_proof_judge(&p->proof, &p->facts, t, verdicts);

	p->n_proven += whole;
	if (qb_reports_text(p->inv)) {
		qb_buf_printf(&text, "%s%s: ", isatty(STDOUT_FILENO) ? "\r\033[K" : "", title);
		qb_text_colour(&text, qb_invocation_colour(p->inv), whole ? QB_GREEN : QB_RED,
			       !whole              ? "not proven"
			       : p->proof.emulated ? "works, emulated"
						   : "proven");
		qb_buf_puts(&text, " (");
		qb_text_duration(&text, t->duration_us);
		qb_buf_puts(&text, ")\n");
		if (!whole || p->inv->opt.verbose)
			add_chain(p, verdicts, &text);
		(void)!qb_print_text(&text);
	}
	qb_proof_verdicts_done(verdicts);
}

static bool stop(void *data)
{
	const struct proving *p = data;

	return qb_signals_came(&p->signals);
}

static json_t *trial_json(const struct proving *p, const struct qb_proof_trial *t)
{
	struct qb_proof_verdict verdicts[QB_PROOF_LINKS];
	bool whole = qb_proof_judge(&p->proof, &p->facts, t, verdicts);
	json_t *chain = json_array();

	for (int i = 0; i < QB_PROOF_LINKS; i++)
		json_array_append_new(chain,
				      json_pack("{s:s, s:s, s:s*}", "link",
						qb_proof_link_name((enum qb_proof_link)i), "state",
						qb_proof_state_name(verdicts[i].state), "evidence",
						verdicts[i].says));
	qb_proof_verdicts_done(verdicts);
	return json_pack("{s:s, s:s*, s:b, s:o, s:I}", "pool", t->pool, "network",
			 t->net ? t->net->name : NULL, "whole", whole, "chain", chain,
			 "duration_us", (json_int_t)t->duration_us);
}

static const char *verdict_of(const struct proving *p)
{
	return p->n_proven < p->proof.n_trials ? "not-proven"
	       : p->proof.emulated             ? "emulated"
					       : "proven";
}

static int report(const struct proving *p, uint64_t start_us)
{
	bool whole = p->n_proven == p->proof.n_trials;
	uint64_t duration_us = qb_now_us() - start_us;
	_cleanup_buf_ struct qb_buf text = {0};
	int r;

	if (p->inv->opt.format == QB_FORMAT_JSON) {
		json_t *trials = json_array();

		for (size_t i = 0; i < p->proof.n_trials; i++)
			json_array_append_new(trials, trial_json(p, &p->proof.trials[i]));
		r = qb_print_json(json_pack(
			"{s:s, s:s, s:s, s:o, s:I}", "schema", "qubi-agent/prove/1", "verdict",
			verdict_of(p), "accelerator", p->proof.emulated ? "tcg" : "kvm", "trials",
			trials, "duration_us", (json_int_t)duration_us));
	} else {
		qb_buf_printf(&text, "%zu of %zu %s (", p->n_proven, p->proof.n_trials,
			      p->proof.emulated ? "worked; emulated that is no proof of KVM"
						: "proven");
		qb_text_duration(&text, duration_us);
		qb_buf_puts(&text, ").\n");
		r = qb_print_text(&text);
	}
	return r < 0 || !whole ? QB_EXIT_FAILED : QB_EXIT_OK;
}

/* Where a gateway is silent to the host, too, a guest cannot be blamed for it. */
static void ask_gateways(struct proving *p)
{
	_cleanup_nl_sock_ struct nl_sock *sock = NULL;
	struct qb_error err = QB_ERROR_INIT;
	int r = qb_nl_open(&sock, &err);

	for (size_t i = 0; i < p->proof.n_nets; i++) {
		struct qb_proof_net *net = &p->proof.nets[i];
		bool answers;

		if (!net->is_gateway)
			continue;
		if (r == 0)
			r = qb_neigh_answers(sock, net->bridge, net->peer, true, GATEWAY_MS,
					     &answers, &err);
		if (r == 0)
			qb_tri_set(&net->answers_host, answers);
		else
			qb_tri_unknown(&net->answers_host, "%s", err.msg);
	}
}

/* What no guest has to be run for. */
static bool is_hopeless(const struct proving *p)
{
	struct qb_proof_verdict verdicts[QB_PROOF_LINKS];
	bool broken;

	qb_proof_judge(&p->proof, &p->facts, &p->proof.trials[0], verdicts);
	broken = verdicts[QB_PROOF_KVM].state == QB_PROOF_BROKEN;
	qb_proof_verdicts_done(verdicts);
	return broken;
}

static int prove(struct proving *p)
{
	uint64_t start_us = qb_now_us();
	struct qb_proof_ctx ctx = {
		.root = &p->inv->root,
		.connect_uri = p->inv->opt.connect,
		.machine_id = p->facts.system.machine_id,
		.timeout_ms = p->inv->opt.timeout_ms,
	};
	struct qb_proof_events events = {.begin = begin, .end = end, .stop = stop, .data = p};
	struct qb_error err = QB_ERROR_INIT;
	int r = 0;

	if (is_hopeless(p)) {
		for (size_t i = 0; i < p->proof.n_trials; i++)
			end(p, &p->proof.trials[i]);
		return report(p, start_us);
	}
	ask_gateways(p);
	qb_signals_hold(&p->signals);
	r = qb_proof_run(&ctx, &p->proof, &events, &err);
	qb_signals_release(&p->signals);
	if (r < 0) {
		qb_log(QB_LOG_ERROR, "%s", err.msg);
		return QB_EXIT_FAILED;
	}
	return report(p, start_us);
}

static int plan(struct proving *p)
{
	unsigned char random[16];
	char salt[33];

	if (getrandom(random, sizeof(random), 0) != sizeof(random))
		return QB_EXIT_FAILED;
	for (size_t i = 0; i < sizeof(random); i++)
		snprintf(salt + 2 * i, 3, "%02x", random[i]);
	qb_proof_plan(&p->facts, &p->config, p->inv->opt.emulate, salt, &p->proof);
	if (p->proof.n_trials)
		return QB_EXIT_OK;
	qb_log(QB_LOG_ERROR, "there is nothing to prove: the configuration has no pool");
	return QB_EXIT_USAGE;
}

static int run(struct qb_invocation *inv)
{
	struct proving p = {.inv = inv};
	_cleanup_close_ int lock = -1;
	int r;

#if !defined(__x86_64__)
	qb_log(QB_LOG_ERROR, "prove has no guest for this architecture yet");
	return QB_EXIT_FAILED;
#endif
	r = qb_enter_run(inv, &lock);
	if (r != QB_EXIT_OK)
		return r;
	r = qb_invocation_config(inv, &p.config) < 0 ? QB_EXIT_USAGE : QB_EXIT_OK;
	if (r == QB_EXIT_OK && qb_invocation_facts(inv, &p.config, NULL, 0, &p.facts) < 0)
		r = QB_EXIT_FAILED;
	if (r == QB_EXIT_OK)
		r = plan(&p);
	if (r == QB_EXIT_OK)
		r = prove(&p);
	qb_proof_done(&p.proof);
	qb_facts_done(&p.facts);
	qb_config_done(&p.config);
	return r;
}

const struct qb_command qb_cmd_prove = {
	.name = "prove",
	.summary = "run a guest of our own on each configured pool and bridge",
	.help = "For each configured pool, and with it each bridge and network, libvirt makes a\n"
		"volume, and starts a guest on them: one of this program, of one and a half KiB,\n"
		"that writes a mark to each and asks for the gateway. Each link of that chain is\n"
		"judged: /dev/kvm, the volume, the start, the confinement, the mark, the frame on\n"
		"the bridge, the frame on its port, and the answer. Guests and volumes are "
		"removed\n"
		"again, also when this program is killed.\n\n"
		"With --emulate QEMU runs the guests without KVM; that is no proof of it.",
	.takes = QB_TAKES_EMULATE,
	.run = run,
};
