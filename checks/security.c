/* SPDX-License-Identifier: Apache-2.0 */
#include "checks/judging.h"

static void selinux(const struct qb_check_input *in, struct qb_result *r)
{
	const struct qb_system_facts *s = &in->facts->system;

	qb_evidence_tri(r, "enabled", "/sys/fs/selinux", &s->selinux_enabled);
	if (qb_is(&s->selinux_enabled))
		qb_evidence_tri(r, "enforcing", "/sys/fs/selinux/enforce", &s->selinux_enforcing);

	if (s->selinux_enabled.state == QB_UNKNOWN)
		qb_unknown(r, "whether SELinux is on is unknown: %s", qb_why(&s->selinux_enabled));
	else if (qb_is_not(&s->selinux_enabled) && s->os_id && !qb_is_el(s))
		qb_skip(r, "%s does not come with SELinux", s->os_name ? s->os_name : s->os_id);
	else if (qb_is_not(&s->selinux_enabled))
		qb_fail(r, "SELinux is off");
	else if (qb_is(&s->selinux_enforcing))
		qb_pass(r, "SELinux is enforcing");
	else if (qb_is_not(&s->selinux_enforcing))
		qb_fail(r, "SELinux is permissive: it notes what it would forbid, and allows it");
	else
		qb_unknown(r, "whether SELinux is enforcing is unknown: %s",
			   qb_why(&s->selinux_enforcing));
}

static const struct qb_check table[] = {
	{
		.id = "security.selinux",
		.title = "SELinux is enforcing",
		.severity = QB_RECOMMENDED,
		.looks = "Whether SELinux is enabled and enforcing, on a system that comes with "
			 "it.",
		.why = "svirt gives each guest a label of its own: a guest that breaks out of "
		       "QEMU still cannot read another guest's disk.",
		.remedy = "sed -i 's/^SELINUX=.*/SELINUX=enforcing/' /etc/selinux/config\n"
			  "setenforce 1 || fixfiles onboot\n"
			  "# When SELinux was off: restart the host, which labels all files anew.",
		.judge = selinux,
	},
};

QB_CHECK_GROUP(security, table);
