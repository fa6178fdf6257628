/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/facts_text.h"

#include <inttypes.h>

#include "agent/base/text.h"
#include "agent/disks_text.h"
#include "agent/table_lib.h"

/* A table under way; cells are made printable. Only the last column gives way to the width. */
struct table {
	struct libscols_table *t;
	struct libscols_line *line;
	size_t column;
};

static void table_begin(struct table *t, unsigned width, const char *const *headings)
{
	t->t = sym_scols_new_table();
	if (!t->t)
		abort();
	sym_scols_table_set_termforce(t->t, SCOLS_TERMFORCE_ALWAYS);
	sym_scols_table_set_termwidth(t->t, width);
	for (size_t i = 0; headings[i]; i++)
		if (!sym_scols_table_new_column(t->t, headings[i], 0,
						!headings[i + 1] ? SCOLS_FL_WRAP : 0))
			abort();
}

static void table_line(struct table *t)
{
	t->line = sym_scols_table_new_line(t->t, NULL);
	if (!t->line)
		abort();
	t->column = 0;
}

static void cell(struct table *t, const char *text)
{
	_cleanup_free_ char *safe = qb_str_printable(text ? text : "-");

	if (sym_scols_line_set_data(t->line, t->column++, *safe ? safe : "-") < 0)
		abort();
}

static void table_end(struct table *t, struct qb_buf *out)
{
	char *text = NULL;

	if (sym_scols_print_table_to_string(t->t, &text) < 0)
		abort();
	qb_buf_puts(out, text);
	qb_buf_puts(out, "\n");
	free(text);
	sym_scols_unref_table(t->t);
}

static void heading(const char *text, bool colour, struct qb_buf *out)
{
	if (out->len)
		qb_buf_puts(out, "\n");
	qb_text_colour(out, colour, QB_BOLD, text);
	qb_buf_puts(out, "\n");
}

QB_PRINTF(4, 5)
static void row(struct qb_buf *out, unsigned width, const char *name, const char *fmt, ...)
{
	va_list ap;
	char *text;

	va_start(ap, fmt);
	text = qb_vasprintf(fmt, ap);
	va_end(ap);
	qb_buf_printf(out, "%-12s", name);
	qb_text_wrap(out, 12, 12, width, text);
	free(text);
}

static const char *tri(const struct qb_tri *t)
{
	return qb_is(t) ? "yes" : qb_is_not(t) ? "no" : "unknown";
}

/* "unknown: why" */
static char *tri_why(const struct qb_tri *t)
{
	return t->state == QB_UNKNOWN && t->why ? qb_asprintf("unknown: %s", t->why)
						: qb_strdup(tri(t));
}

static void cpu_text(const struct qb_facts *f, bool colour, unsigned width, struct qb_buf *out)
{
	_cleanup_free_ char *memory = qb_format_size(f->system.memory_bytes);
	_cleanup_free_ char *guest = tri_why(&f->kvm.guest_ran);

	heading("HOST", colour, out);
	row(out, width, "name", "%s", f->system.hostname ? f->system.hostname : "-");
	row(out, width, "system", "%s, kernel %s, %s",
	    f->system.os_name ? f->system.os_name : "unknown",
	    f->system.kernel ? f->system.kernel : "unknown",
	    f->system.arch ? f->system.arch : "unknown");
	row(out, width, "cpu", "%s (%s), %" PRIu64 " online",
	    f->cpu.model ? f->cpu.model : "unknown",
	    f->cpu.vendor ? f->cpu.vendor : "unknown vendor", f->cpu.online);
	row(out, width, "memory", "%s", memory);
	row(out, width, "vmx, svm", "cpuinfo %s, %s; CPUID %s, %s; hypervisor %s%s%s",
	    tri(&f->cpu.flag_vmx), tri(&f->cpu.flag_svm), tri(&f->cpu.cpuid_vmx),
	    tri(&f->cpu.cpuid_svm), tri(&f->cpu.hypervisor), f->cpu.hypervisor_vendor ? " " : "",
	    f->cpu.hypervisor_vendor ? f->cpu.hypervisor_vendor : "");
	row(out, width, "/dev/kvm", "%s", tri(&f->kvm.device));
	if (qb_is(&f->kvm.guest_ran))
		row(out, width, "guest ran", "yes, in %" PRIu64 " µs%s%s", f->kvm.guest_duration_us,
		    f->kvm.guest_detail ? ": " : "",
		    f->kvm.guest_detail ? f->kvm.guest_detail : "");
	else
		row(out, width, "guest ran", "%s%s%s", guest, f->kvm.guest_detail ? ": " : "",
		    f->kvm.guest_detail ? f->kvm.guest_detail : "");
}

static void modules_text(const struct qb_facts *f, bool colour, unsigned width, struct qb_buf *out)
{
	static const char *const states[] = {"unknown", "loaded", "builtin", "available",
					     "missing"};

	if (f->n_modules)
		heading("MODULES", colour, out);
	for (size_t i = 0; i < f->n_modules; i++) {
		const struct qb_module *m = &f->modules[i];

		row(out, width, m->name, "%s%s%s%s%s", states[m->state], m->why ? ": " : "",
		    m->why ? m->why : "", m->blacklisted ? ", blacklisted" : "",
		    qb_is(&m->persisted) ? ", loaded at boot" : "");
	}
}

static void links_text(const struct qb_facts *f, bool colour, unsigned width, struct qb_buf *out)
{
	static const char *const headings[] = {"NAME",   "KIND",   "STATE",     "MAC",
					       "MASTER", "DRIVER", "ADDRESSES", NULL};
	_cleanup_free_ char *known = tri_why(&f->net.known);
	struct table t;

	heading("LINKS", colour, out);
	if (!qb_is(&f->net.known)) {
		row(out, width, "snapshot", "%s", known);
		return;
	}
	table_begin(&t, width, headings);
	for (size_t i = 0; i < f->net.n_links; i++) {
		const struct qb_link *l = &f->net.links[i];
		struct qb_strs addresses = {0};
		_cleanup_free_ char *text = NULL;

		for (size_t j = 0; j < l->n_addresses; j++)
			qb_strs_add(&addresses, l->addresses[j].address);
		text = qb_strs_sentence(&addresses);
		qb_strs_done(&addresses);
		table_line(&t);
		cell(&t, l->name);
		cell(&t, l->loopback ? "loopback" : l->kind);
		cell(&t, !l->up ? "down" : qb_is_not(&l->carrier) ? "no carrier" : "up");
		cell(&t, l->mac);
		cell(&t, l->master);
		cell(&t, l->driver);
		cell(&t, text);
	}
	table_end(&t, out);
	for (size_t i = 0; i < f->net.n_routes; i++) {
		const struct qb_route *r = &f->net.routes[i];

		if (qb_streq(r->dst, "default") && r->table == 254)
			row(out, width, "default", "%s via %s dev %s", r->family ? r->family : "-",
			    r->gateway ? r->gateway : "-", r->dev ? r->dev : "-");
	}
}

static void disks_text(const struct qb_facts *f, bool colour, unsigned width, struct qb_buf *out)
{
	_cleanup_free_ char *known = tri_why(&f->disks.known);

	heading("DISKS", colour, out);
	if (qb_is(&f->disks.known))
		qb_disks_text(&f->disks, NULL, colour, width, out);
	else
		row(out, width, "disks", "%s", known);
}

static void libvirt_text(const struct qb_facts *f, bool colour, unsigned width, struct qb_buf *out)
{
	const struct qb_libvirt_facts *v = &f->libvirt;
	_cleanup_free_ char *connected = tri_why(&v->connected);

	heading("LIBVIRT", colour, out);
	row(out, width, "connected", "%s%s%s", connected, v->version ? ", version " : "",
	    v->version ? v->version : "");
	for (size_t i = 0; i < v->n_networks; i++)
		row(out, width, "network", "%s: %s%s%s, %s%s", v->networks[i].name,
		    v->networks[i].now.forward ? v->networks[i].now.forward : "isolated",
		    v->networks[i].now.bridge ? " on " : "",
		    v->networks[i].now.bridge ? v->networks[i].now.bridge : "",
		    v->networks[i].active ? "active" : "inactive",
		    v->networks[i].autostart ? ", autostart" : "");
	for (size_t i = 0; i < v->n_pools; i++)
		row(out, width, "pool", "%s: %s at %s, %s%s", v->pools[i].name, v->pools[i].type,
		    v->pools[i].target ? v->pools[i].target : "-",
		    v->pools[i].active ? "active" : "inactive",
		    v->pools[i].autostart ? ", autostart" : "");
}

int qb_facts_text(const struct qb_facts *facts, bool colour, unsigned width, struct qb_buf *out,
		  struct qb_error *err)
{
	int r = qb_scols_load(err);

	if (r < 0)
		return r;
	cpu_text(facts, colour, width, out);
	modules_text(facts, colour, width, out);
	links_text(facts, colour, width, out);
	disks_text(facts, colour, width, out);
	libvirt_text(facts, colour, width, out);
	return 0;
}
