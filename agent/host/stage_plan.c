/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/host/stage.h"

#include "agent/host/host.h"
#include "agent/host/module.h"

static void add(struct qb_stage *stage, const char *path, char *text)
{
	*QB_APPEND(stage->files, stage->n_files) = (struct qb_stage_file){path, text};
}

static void add_modules(const struct qb_facts *facts, const struct qb_config *config,
			struct qb_stage *stage)
{
	const char *vendor = qb_facts_vendor_module(facts);
	_cleanup_buf_ struct qb_buf text = {0};

	if (vendor)
		qb_buf_printf(&text, "%s\n", vendor);
	for (size_t i = 0; i < config->kvm.modules.n; i++)
		if (!qb_streq(config->kvm.modules.v[i], vendor))
			qb_buf_printf(&text, "%s\n", config->kvm.modules.v[i]);
	if (text.len)
		add(stage, QB_MODULES_LOAD_FILE, qb_asprintf(QB_OURS_HEADER "%s", text.s));
}

/* For either vendor: a disk may come to another machine. */
static void add_nested(const struct qb_config *config, struct qb_stage *stage)
{
	int nested = qb_is(&config->kvm.nested);

	if (config->kvm.nested.state != QB_UNKNOWN)
		add(stage, QB_MODPROBE_FILE,
		    qb_asprintf(QB_OURS_HEADER "options kvm_amd nested=%d\n"
					       "options kvm_intel nested=%d\n",
				nested, nested));
}

/* By their [Install] sections they bring their sockets, those of virtlogd and of virtlockd. */
static void add_units(const struct qb_facts *facts, struct qb_stage *stage)
{
	static const char *const modular[] = {"virtqemud.service",     "virtnetworkd.service",
					      "virtstoraged.service",  "virtnodedevd.service",
					      "virtsecretd.service",   "virtproxyd.service",
					      "virtnwfilterd.service", "virtinterfaced.service"};

	if (facts->libvirt.flavour == QB_VIR_MONOLITHIC)
		qb_strs_add(&stage->units, "libvirtd.service");
	for (size_t i = 0; facts->libvirt.flavour == QB_VIR_MODULAR && i < QB_ARRAY_SIZE(modular);
	     i++)
		qb_strs_add(&stage->units, modular[i]);
	qb_strs_add(&stage->units, QB_FIRST_BOOT_UNIT);
}

void qb_stage_refuse(const struct qb_facts *facts, const struct qb_config *config,
		     struct qb_plan *plan)
{
	/* Of its users and its memory. */
	static const char *const known[] = {"no-match", "no-room"};
	_cleanup_plan_ struct qb_plan host = {0};

	qb_host_plan(facts, config, NULL, &host);
	for (size_t i = 0; i < host.n_refused; i++)
		for (size_t j = 0; j < host.refused[i].n_reasons; j++)
			for (size_t k = 0; k < QB_ARRAY_SIZE(known); k++)
				if (qb_streq(host.refused[i].reasons[j].code, known[k]))
					qb_plan_refuse(plan, host.refused[i].target, known[k], "%s",
						       host.refused[i].reasons[j].evidence);
	if (facts->libvirt.flavour == QB_VIR_NONE)
		qb_plan_refuse(plan, "libvirt", "libvirt-unreachable",
			       "there is no libvirt daemon installed; install libvirt-daemon-kvm");
}

void qb_stage_plan(const struct qb_facts *facts, const struct qb_config *config,
		   struct qb_stage *ret)
{
	struct qb_host_file files[QB_HOST_FILES];

	*ret = (struct qb_stage){0};
	add_modules(facts, config, ret);
	add_nested(config, ret);
	qb_host_files(config, files);
	for (size_t i = 0; i < QB_HOST_FILES; i++) {
		if (files[i].lines)
			add(ret, files[i].path, qb_asprintf(QB_OURS_HEADER "%s", files[i].lines));
		free(files[i].lines);
	}
	add_units(facts, ret);
}

void qb_stage_done(struct qb_stage *stage)
{
	for (size_t i = 0; i < stage->n_files; i++)
		free(stage->files[i].text);
	free(stage->files);
	qb_strs_done(&stage->units);
	*stage = (struct qb_stage){0};
}
