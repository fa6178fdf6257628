/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/host/libvirt_conn.h"

#include <errno.h>
#include <stdarg.h>

#include "agent/base/str.h"
#include "agent/base/thread.h"

static void silent(void *data, virErrorPtr error)
{
	(void)data, (void)error;
}

/* Of a thread of its own. Whoever comes last frees it: one that hangs is left behind. */
struct opening {
	pthread_mutex_t lock;
	pthread_cond_t ended;
	bool done, abandoned;
	char *uri;
	virConnectPtr conn;
	int r;
	struct qb_error err;
};

static void opening_free(struct opening *o)
{
	if (o->conn)
		sym_virConnectClose(o->conn);
	pthread_mutex_destroy(&o->lock);
	pthread_cond_destroy(&o->ended);
	free(o->uri);
	free(o);
}

static void *open_it(void *data)
{
	struct opening *o = data;
	bool abandoned;

	o->conn = sym_virConnectOpen(o->uri);
	if (!o->conn)
		o->r = qb_vir_error(&o->err, "%s: cannot connect to libvirt", o->uri);
	pthread_mutex_lock(&o->lock);
	o->done = true;
	abandoned = o->abandoned;
	pthread_cond_signal(&o->ended);
	pthread_mutex_unlock(&o->lock);
	if (abandoned)
		opening_free(o);
	return NULL;
}

int qb_vir_open(const char *uri, unsigned timeout_ms, virConnectPtr *ret, struct qb_error *err)
{
	struct timespec deadline = qb_deadline(timeout_ms);
	struct opening *o;
	pthread_t thread;
	bool done;
	int r = qb_vir_load(err);

	if (r < 0)
		return r;
	sym_virSetErrorFunc(NULL, silent);
	o = qb_alloc(1, sizeof(*o));
	pthread_mutex_init(&o->lock, NULL);
	qb_cond_init(&o->ended);
	o->uri = qb_strdup(uri);
	r = qb_thread_start(open_it, o, &thread);
	if (r) {
		opening_free(o);
		return qb_error_errno(err, r, "%s: no thread to ask libvirt", uri);
	}
	pthread_mutex_lock(&o->lock);
	while (!o->done && pthread_cond_timedwait(&o->ended, &o->lock, &deadline) == 0)
		;
	done = o->done;
	o->abandoned = !done;
	pthread_mutex_unlock(&o->lock);
	(void)!(done ? pthread_join(thread, NULL) : pthread_detach(thread));
	if (!done)
		return qb_error_set(err, ETIMEDOUT, "%s: libvirt gave no answer within %u ms", uri,
				    timeout_ms);
	*ret = QB_TAKE_PTR(o->conn);
	r = o->r < 0 ? qb_error_set(err, o->r, "%s", o->err.msg) : 0;
	opening_free(o);
	return r;
}

static int code_of(int vir_code)
{
	static const struct {
		int vir, code;
	} codes[] = {
		{VIR_ERR_NO_NETWORK, ENOENT},       {VIR_ERR_NO_STORAGE_POOL, ENOENT},
		{VIR_ERR_OPERATION_DENIED, EPERM},  {VIR_ERR_AUTH_FAILED, EPERM},
		{VIR_ERR_AUTH_UNAVAILABLE, EPERM},  {VIR_ERR_NO_SUPPORT, EOPNOTSUPP},
		{VIR_ERR_NO_CONNECT, ECONNREFUSED}, {VIR_ERR_SYSTEM_ERROR, ECONNREFUSED},
		{VIR_ERR_OPERATION_INVALID, EBUSY}, {VIR_ERR_XML_ERROR, EINVAL},
		{VIR_ERR_XML_DETAIL, EINVAL},
	};

	for (size_t i = 0; i < QB_ARRAY_SIZE(codes); i++)
		if (codes[i].vir == vir_code)
			return codes[i].code;
	return EIO;
}

int qb_vir_error(struct qb_error *err, const char *fmt, ...)
{
	virErrorPtr last = sym_virGetLastError();
	_cleanup_free_ char *said = qb_str_printable(last ? last->message : "no reason given");
	_cleanup_free_ char *context = NULL;
	va_list ap;

	va_start(ap, fmt);
	context = qb_vasprintf(fmt, ap);
	va_end(ap);
	return qb_error_set(err, code_of(last ? last->code : VIR_ERR_OK), "%s: %s", context, said);
}
