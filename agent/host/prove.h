/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Proving a host: on each configured pool, behind each configured bridge and network, a guest of
 * our own is run through libvirt (agent/host/prove_guest.h). What is to be tried, what a guest is
 * made of and what its run has shown are pure; agent/host/prove_run.c acts.
 */
#pragma once

#include "agent/host/config.h"
#include "agent/host/facts.h"
#include "agent/host/prove_guest.h"

#define QB_PROVE_PREFIX "qubi-prove-"

/* What a guest is connected to. */
struct qb_proof_net {
	const char *name;    /* the bridge's or the network's; borrowed from the configuration */
	const char *network; /* libvirt's; NULL: it has none, and guests name the bridge */
	const char *bridge;  /* the device; NULL: it is not known */
	bool leads_out;      /* ports are configured */
	struct qb_strs ports;
	/* Who is to answer the guest: the gateway behind the bridge, else the host itself; NULL:
	 * nobody is known. */
	char *peer;
	bool is_gateway;
	struct qb_tri answers_host; /* the gateway did so just now */
};

/* The links of the chain from the CPU to the gateway, in their order. */
enum qb_proof_link {
	QB_PROOF_KVM,    /* the kernel runs a guest */
	QB_PROOF_VOLUME, /* libvirt makes a volume in the pool */
	QB_PROOF_START,  /* libvirt starts a guest on it */
	QB_PROOF_LABEL,  /* which is confined */
	QB_PROOF_MARK,   /* it writes to the volume */
	QB_PROOF_FRAME,  /* what it sends comes to the bridge */
	QB_PROOF_PORT,   /* and leaves by one of its ports */
	QB_PROOF_REPLY,  /* and the answer to that comes back to the guest */
	QB_PROOF_LINKS
};

enum qb_proof_state {
	QB_PROOF_NOT_REACHED, /* a link before it broke */
	QB_PROOF_HOLDS,
	QB_PROOF_BROKEN,
	QB_PROOF_UNJUDGED, /* there is nothing to be judged, or it could not be */
};

enum {
	QB_PROOF_TOGETHER = 8, /* trials in one guest, at most: each takes two slots of its bus */
};

/* A part of a guest: a volume, a network device, and what was seen of it. */
struct qb_proof_trial {
	const char *pool;               /* borrowed */
	const struct qb_proof_net *net; /* NULL: it has no network */
	char *name; /* of its volume, and of the guest that it is the first of */
	size_t nic; /* which of the guest's network devices is its own */
	unsigned char mark[QB_GUEST_MARK_BYTES], mac[6];
	/* Each NULL where it went well; else what libvirt said. */
	char *volume_error, *start_error, *result_error;
	bool made, started, ended; /* ended by itself */
	char *label;               /* of the process; NULL: it has none */
	unsigned char result[QB_GUEST_SECTOR];
	bool on_bridge;
	char *left_by; /* the port its frame left by; NULL: none */
	unsigned waited_ms;
	uint64_t duration_us;
};

struct qb_proof {
	bool emulated; /* by QEMU, without KVM */
	struct qb_proof_net *nets;
	size_t n_nets;
	struct qb_proof_trial *trials; /* each pool with each net */
	size_t n_trials;
};

struct qb_proof_verdict {
	enum qb_proof_state state;
	char *says; /* what a person can verify; never NULL but where it was not reached */
};

/* "kvm", "volume" and so on; "holds", "broken", "not-judged", "not-reached". */
const char *qb_proof_link_name(enum qb_proof_link link);
const char *qb_proof_state_name(enum qb_proof_state state);

/*
 * What is to be tried. machine_id and salt, which is another for each run, are what names, marks
 * and MAC addresses are made of. *ret refers to the configuration and the facts.
 */
void qb_proof_plan(const struct qb_facts *facts, const struct qb_config *config, bool emulated,
		   const char *salt, struct qb_proof *ret);
void qb_proof_done(struct qb_proof *proof);
#define _cleanup_proof_ QB_CLEANUP(qb_proof_done)

/* What all guests of this machine are called by; what is left of a run that was killed, too. */
char *qb_proof_prefix(const char *machine_id);

/* Libvirt's XML of the guest of these trials, and of a volume; the caller frees it. */
char *qb_proof_domain_xml(const struct qb_proof *proof, const struct qb_proof_trial *const *trials,
			  size_t n);
char *qb_proof_volume_xml(const struct qb_proof_trial *trial);
/* The sectors that its volume begins with. */
void qb_proof_disk(const struct qb_proof_trial *trial,
		   unsigned char ret[QB_GUEST_SECTORS * QB_GUEST_SECTOR]);
/* Whether that is such a volume, of whatever run. */
bool qb_proof_is_disk(const unsigned char *disk);

/*
 * A guest of several trials has not shown that it works: what broke is seen by one of its own.
 */
bool qb_proof_is_open(const struct qb_proof_trial *trial);
/* verdicts: one for each link; their sentences are the caller's. Returns whether it is proven. */
bool qb_proof_judge(const struct qb_proof *proof, const struct qb_facts *facts,
		    const struct qb_proof_trial *trial,
		    struct qb_proof_verdict ret[QB_PROOF_LINKS]);
void qb_proof_verdicts_done(struct qb_proof_verdict verdicts[QB_PROOF_LINKS]);

/* Told as things happen. Each may be NULL. */
struct qb_proof_events {
	void (*begin)(void *data, const struct qb_proof_trial *trial);
	void (*end)(void *data, const struct qb_proof_trial *trial);
	bool (*stop)(void *data); /* whether to begin no more, and to end what runs */
	void *data;
};

struct qb_proof_ctx {
	const struct qb_root *root;
	const char *connect_uri, *machine_id;
	unsigned timeout_ms; /* for each trial */
};

/*
 * Runs all trials, several in one guest, and what that leaves open each in a guest of its own; and
 * removes guests and volumes, what an earlier run that was killed has left first. When this process
 * is killed another one removes them. What went wrong with a guest stands in its trial; an error is
 * what concerns all, and -EINTR a stop.
 */
QB_MUST_CHECK int qb_proof_run(const struct qb_proof_ctx *ctx, struct qb_proof *proof,
			       const struct qb_proof_events *events, struct qb_error *err);
