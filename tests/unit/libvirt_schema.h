/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "agent/base/exec.h"
#include "tests/unit/scratch.h"

/* libvirt's own schema is the judge, where it is installed. */
static void assert_valid(const char *xml, const char *schema)
{
	_cleanup_exec_ struct qb_exec_result r = {0};
	char path[SCRATCH_MAX];
	int fd = mkstemp(scratch(path));

	assert_true(fd >= 0);
	assert_int_equal(write(fd, xml, strlen(xml)), strlen(xml));
	close(fd);
	assert_int_equal(
		qb_exec((const char *const[]){"/usr/bin/virt-xml-validate", path, schema, NULL},
			20000, &r, NULL),
		0);
	unlink(path);
	if (r.status == 127)
		skip();
	if (r.status)
		print_error("%s%s%s", xml, r.out, r.err);
	assert_int_equal(r.status, 0);
}
