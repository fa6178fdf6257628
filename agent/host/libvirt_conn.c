/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/host/libvirt_conn.h"

#include <errno.h>
#include <libvirt/virterror.h>
#include <stdarg.h>

#include "agent/base/str.h"

static void silent(void *data, virErrorPtr error)
{
	(void)data, (void)error;
}

int qb_vir_open(const char *uri, virConnectPtr *ret, struct qb_error *err)
{
	virConnectPtr conn;

	virSetErrorFunc(NULL, silent);
	conn = virConnectOpen(uri);
	if (!conn)
		return qb_vir_error(err, "%s: cannot connect to libvirt", uri);
	*ret = conn;
	return 0;
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
	virErrorPtr last = virGetLastError();
	_cleanup_free_ char *said = qb_str_printable(last ? last->message : "no reason given");
	_cleanup_free_ char *context = NULL;
	va_list ap;

	va_start(ap, fmt);
	context = qb_vasprintf(fmt, ap);
	va_end(ap);
	return qb_error_set(err, code_of(last ? last->code : VIR_ERR_OK), "%s: %s", context, said);
}
