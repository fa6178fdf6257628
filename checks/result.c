/* SPDX-License-Identifier: Apache-2.0 */
#include "checks/check.h"

#include <assert.h>

#include "checks/judging.h"

static void give(struct qb_result *r, enum qb_status status, const char *fmt, va_list ap)
{
	/* One verdict: a second one is a judge that forgot to return. */
	assert(!r->message);
	r->message = qb_vasprintf(fmt, ap);
	r->status = status;
	if (status != QB_FAIL && status != QB_WARN)
		r->fix = NULL;
}

#define GIVE(status)                                                                               \
	do {                                                                                       \
		va_list ap;                                                                        \
                                                                                                   \
		va_start(ap, fmt);                                                                 \
		give(r, (status), fmt, ap);                                                        \
		va_end(ap);                                                                        \
	} while (0)

void qb_pass(struct qb_result *r, const char *fmt, ...)
{
	GIVE(QB_PASS);
}

void qb_fail(struct qb_result *r, const char *fmt, ...)
{
	GIVE(r->severity == QB_REQUIRED ? QB_FAIL : QB_WARN);
}

void qb_unknown(struct qb_result *r, const char *fmt, ...)
{
	GIVE(QB_STATUS_UNKNOWN);
}

void qb_skip(struct qb_result *r, const char *fmt, ...)
{
	GIVE(QB_SKIP);
}

void qb_remedy(struct qb_result *r, const char *fmt, ...)
{
	va_list ap;

	free(r->remedy);
	va_start(ap, fmt);
	r->remedy = qb_vasprintf(fmt, ap);
	va_end(ap);
}

void qb_evidence(struct qb_result *r, const char *key, const char *source, const char *fmt, ...)
{
	struct qb_evidence *e = QB_APPEND(r->evidence, r->n_evidence);
	va_list ap;

	e->key = qb_strdup(key);
	e->source = qb_strdup(source);
	va_start(ap, fmt);
	e->value = qb_vasprintf(fmt, ap);
	va_end(ap);
}

const char *qb_result_remedy(const struct qb_result *r)
{
	switch (r->status) {
	case QB_WARN:
	case QB_FAIL:
		return r->remedy ? r->remedy : r->check->remedy;
	case QB_STATUS_UNKNOWN:
		return r->remedy;
	case QB_PASS:
	case QB_SKIP:
		return NULL;
	}
	return NULL;
}

const char *qb_why(const struct qb_tri *t)
{
	return t->why ? t->why : "nobody looked";
}

void qb_evidence_tri(struct qb_result *r, const char *key, const char *source,
		     const struct qb_tri *t)
{
	if (t->state == QB_UNKNOWN)
		qb_evidence(r, key, source, "unknown: %s", qb_why(t));
	else
		qb_evidence(r, key, source, "%s", qb_is(t) ? "yes" : "no");
}

void qb_evidence_kernel(struct qb_result *r, const struct qb_facts *facts)
{
	for (size_t i = 0; i < facts->kvm.kernel_says.n; i++)
		qb_evidence(r, "kernel", "dmesg", "%s", facts->kvm.kernel_says.v[i]);
}

bool qb_no_config(const struct qb_check_input *in, struct qb_result *r)
{
	if (in->config)
		return false;
	if (in->config_unknown)
		qb_unknown(r, "the configuration could not be read: %s", in->config_unknown);
	else
		qb_skip(r, "there is no configuration to hold the host against");
	return true;
}

const struct qb_thresholds_config *qb_thresholds(const struct qb_check_input *in)
{
	return in->config ? &in->config->checks.thresholds : &qb_thresholds_default;
}

const char *qb_libvirt_why(const struct qb_facts *facts)
{
	const struct qb_libvirt_facts *v = &facts->libvirt;

	if (v->error)
		return v->error;
	return qb_is_not(&v->connected) ? "it is not reachable" : qb_why(&v->connected);
}

bool qb_no_libvirt(const struct qb_facts *facts, struct qb_result *r)
{
	if (qb_is(&facts->libvirt.connected))
		return false;
	/* One check tells the whole cause; many that repeat it would hide it. */
	if (qb_is_not(&facts->libvirt.connected))
		qb_unknown(r, "libvirt does not answer; libvirt.connection tells why");
	else
		qb_unknown(r, "libvirt could not be asked: %s", qb_libvirt_why(facts));
	return true;
}

char *qb_shell_word(const char *s)
{
	static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				    "0123456789_@%+=:,./-";
	/* A line break in a name would end the comment or the command it stands in. */
	_cleanup_free_ char *clean = qb_str_printable(s);
	struct qb_buf b = {0};

	if (*clean && !clean[strspn(clean, plain)])
		return QB_TAKE_PTR(clean);
	qb_buf_puts(&b, "'");
	for (const char *p = clean; *p; p++) {
		if (*p == '\'')
			qb_buf_puts(&b, "'\\''");
		else
			qb_buf_add(&b, p, 1);
	}
	qb_buf_puts(&b, "'");
	return b.s;
}

static void tally_add(struct qb_strs *list, const char *fmt, va_list ap)
{
	char *s;

	s = qb_vasprintf(fmt, ap);
	*QB_APPEND(list->v, list->n) = s;
}

void qb_tally_bad(struct qb_tally *t, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	tally_add(&t->bad, fmt, ap);
	va_end(ap);
}

void qb_tally_unsure(struct qb_tally *t, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	tally_add(&t->unsure, fmt, ap);
	va_end(ap);
}

/* A message stays a sentence, also on a host with a thousand bridges. */
#define MAX_CLAUSES 6

static char *clauses(const struct qb_strs *list)
{
	struct qb_buf b = {0};

	for (size_t i = 0; i < list->n && i < MAX_CLAUSES; i++)
		qb_buf_printf(&b, "%s%s", i ? "; " : "", list->v[i]);
	if (list->n > MAX_CLAUSES)
		qb_buf_printf(&b, "; and %zu more", list->n - MAX_CLAUSES);
	return b.s;
}

void qb_tally_end(struct qb_tally *t, struct qb_result *r, const char *pass, const char *skip)
{
	const struct qb_strs *list = t->bad.n ? &t->bad : &t->unsure;
	_cleanup_free_ char *text = clauses(list);

	if (t->bad.n)
		qb_fail(r, "%s", text);
	else if (t->unsure.n)
		qb_unknown(r, "%s", text);
	else if (t->good)
		qb_pass(r, "%s", pass);
	else
		qb_skip(r, "%s", skip);
	qb_strs_done(&t->bad);
	qb_strs_done(&t->unsure);
	t->good = 0;
}
