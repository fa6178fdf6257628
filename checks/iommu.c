/* SPDX-License-Identifier: Apache-2.0 */
#include "checks/judging.h"

static void enabled(const struct qb_check_input *in, struct qb_result *r)
{
	const struct qb_facts *f = in->facts;

	qb_evidence_tri(r, "iommu", "/sys/class/iommu", &f->system.iommu);
	if (qb_is(&f->system.iommu)) {
		qb_pass(r, "the kernel drives an IOMMU");
		return;
	}
	if (f->system.iommu.state == QB_UNKNOWN) {
		qb_unknown(r, "whether there is an IOMMU is unknown: %s", qb_why(&f->system.iommu));
		return;
	}
	if (qb_streq(f->cpu.vendor, "GenuineIntel"))
		qb_remedy(r, "# Switch VT-d on in the firmware setup, then:\n"
			     "grubby --update-kernel=ALL --args='intel_iommu=on iommu=pt'\n"
			     "# And restart the host.");
	qb_fail(r, "no IOMMU is in use: devices cannot be passed through to guests");
}

static const struct qb_check table[] = {
	{
		.id = "iommu.enabled",
		.title = "An IOMMU is in use",
		.severity = QB_RECOMMENDED,
		.looks = "Whether /sys/class/iommu has an entry.",
		.why = "It confines what a device can reach in memory. Only passing devices "
		       "through to guests needs it: a host without such guests may ignore this.",
		.remedy =
			"# Switch the IOMMU (AMD-Vi, VT-d) on in the firmware setup, and restart.",
		.judge = enabled,
	},
};

QB_CHECK_GROUP(iommu, table);
