/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libvirt's own protocol: messages as in https://libvirt.org/kbase/internals/rpc.html, what is in
 * them in XDR (RFC 4506), numbers of procedures as in its src/remote/remote_protocol.x.
 *
 * Loading the library takes several times as long as all that a report asks it, and more memory
 * than everything else. libvirt calls the protocol internal; it has kept it since 2007, for its
 * clients speak it to daemons of any version. Should it change all the same, an answer is not what
 * it has to be, and whoever asked turns to the library.
 */
#pragma once

#include <errno.h>

#include "agent/host/facts.h"

struct qb_wire {
	int fd;
	int r; /* the first thing that went wrong; then there are no more calls and answers */
	uint32_t serial;
	struct qb_buf call, answer;
	size_t at; /* how far answer was read */
};

#define QB_WIRE_INIT                                                                               \
	{                                                                                          \
		.fd = -1, .r = -ENOTCONN                                                           \
	}

/* To a socket for reading only, whoever this process runs as. -errno of connect(2). */
QB_MUST_CHECK int qb_wire_open(const char *path, struct qb_wire *ret);
/* Takes leave where libvirt still answers: it logs an error when somebody just goes. */
void qb_wire_close(struct qb_wire *w);
#define _cleanup_wire_ QB_CLEANUP(qb_wire_close)

/* The arguments of the next call, in their order. */
void qb_wire_put_u32(struct qb_wire *w, uint32_t value);
void qb_wire_put_text(struct qb_wire *w, const char *s);
void qb_wire_put_raw(struct qb_wire *w, const char *data, size_t len);
/*
 * Calls, and waits for the answer, however long that takes. -EREMOTEIO: libvirt answered with an
 * error. -EPROTO: that was no answer; also when one is read that holds less than asked for.
 * -EBADMSG is for the caller to set: an answer, but not to that question.
 */
int qb_wire_call(struct qb_wire *w, uint32_t procedure);
/* The values of the answer, in their order; 0 and NULL when there is none. */
uint32_t qb_wire_u32(struct qb_wire *w);
uint64_t qb_wire_u64(struct qb_wire *w);
char *qb_wire_text(struct qb_wire *w); /* the caller frees it */
void qb_wire_skip(struct qb_wire *w, size_t len);
void qb_wire_skip_text(struct qb_wire *w);

/*
 * What libvirt has, and what makes it run QEMU to find out; of to, uri is given. Less than 0: not
 * all could be asked in this way, and to is filled in part. That any answer is an error is enough,
 * such as for an object that went away meanwhile: the library tells why.
 */
QB_MUST_CHECK int qb_wire_objects(struct qb_wire *w, struct qb_libvirt_facts *to);
QB_MUST_CHECK int qb_wire_hypervisor(struct qb_wire *w, struct qb_libvirt_facts *to);
