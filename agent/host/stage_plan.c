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
}

void qb_stage_done(struct qb_stage *stage)
{
	for (size_t i = 0; i < stage->n_files; i++)
		free(stage->files[i].text);
	free(stage->files);
	*stage = (struct qb_stage){0};
}
