/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One file that stands alone: no script, nothing from elsewhere. The verdict first, then what
 * needs attention, then the host, and the rest folded.
 */
#include "checks/check.h"

#include <inttypes.h>

#include "agent/base/text.h"
#include "checks/judging.h"
#include "checks/report.h"

static const char style[] =
	":root{--bg:#fff;--fg:#1b1f24;--muted:#57606a;--line:#d0d7de;--card:#f6f8fa;"
	"--pass:#1a7f37;--warn:#8a5a00;--fail:#c0202c;--unknown:#6639ba;--skip:#57606a}\n"
	"@media screen and "
	"(prefers-color-scheme:dark){:root{--bg:#0d1117;--fg:#e6edf3;--muted:#9aa4af;"
	"--line:#3a424c;--card:#161b22;--pass:#4cc268;--warn:#e0a93b;--fail:#ff7b72;"
	"--unknown:#bd9cf5;--skip:#9aa4af}}\n"
	"*{box-sizing:border-box}\n"
	"body{margin:0 auto;max-width:60rem;padding:1rem;background:var(--bg);color:var(--fg);"
	"font:1rem/1.5 system-ui,sans-serif;overflow-wrap:anywhere}\n"
	"h1,h2,h3,h4,p,pre,dl,figure{margin:0}\n"
	"h1{font-size:1.9rem;line-height:1.2}\n"
	"h2{font-size:1.25rem;margin:2rem 0 .75rem}\n"
	"h3{font-size:1rem;margin:1.25rem 0 .5rem;color:var(--muted)}\n"
	"h4{font-size:1rem;font-weight:600}\n"
	".pass{--c:var(--pass)}.warn{--c:var(--warn)}.fail{--c:var(--fail)}"
	".unknown{--c:var(--unknown)}.skip{--c:var(--skip)}\n"
	"header,article{border:1px solid var(--line);border-left:.35rem solid var(--c);"
	"border-radius:.4rem;background:var(--card)}\n"
	"header{padding:1.25rem}header h1{color:var(--c)}\n"
	"article{padding:.75rem 1rem;margin:.75rem 0;break-inside:avoid}\n"
	".muted{color:var(--muted);font-size:.875rem}\n"
	".status{color:var(--c);font-weight:600;margin-right:.5rem}\n"
	"article>*+*,header>*+*{margin-top:.4rem}\n"
	"pre{padding:.6rem .75rem;border:1px solid var(--line);border-radius:.3rem;"
	"background:var(--bg);white-space:pre-wrap}\n"
	"pre,code{font:.875rem/1.5 ui-monospace,monospace}\n"
	"dl{display:grid;grid-template-columns:fit-content(45%) 1fr;gap:.15rem 1rem;"
	"font-size:.875rem}\n"
	"dt{color:var(--muted)}dd{margin:0}\n"
	".host{font-size:1rem}\n"
	"details{border:1px solid var(--line);border-radius:.4rem;padding:.5rem 1rem;"
	"margin:.75rem 0}\n"
	"summary{cursor:pointer;font-weight:600}\n"
	"ul{list-style:none;margin:.75rem 0;padding:0}li{padding:.3rem 0;break-inside:avoid}\n"
	".pictures{display:grid;gap:1.5rem;margin-top:1.25rem;"
	"grid-template-columns:repeat(auto-fit,minmax(min(100%,22rem),1fr))}\n"
	"figcaption{font-weight:600;margin-bottom:.4rem}\n"
	"figure{max-width:30rem;break-inside:avoid}svg{display:block;width:100%;height:auto}\n"
	"svg text{font:11px system-ui,sans-serif;fill:var(--fg)}\n"
	"svg .name{font-weight:600}svg .detail,svg .column{font-size:10px;fill:var(--muted)}\n"
	"svg rect{fill:var(--card);stroke:var(--muted)}svg .off rect{stroke-dasharray:4 3}\n"
	"svg path{fill:none;stroke:var(--pass);stroke-width:1.5}\n"
	"svg path.off{stroke:var(--muted);stroke-dasharray:4 3}\n"
	"@media print{:root{color-scheme:light;font-size:12px}body{max-width:none;padding:0}"
	"header,article,pre,svg rect{background:none}summary{list-style:none}"
	"h2,h3{break-after:avoid}details::details-content{content-visibility:visible;"
	"display:block;height:auto}}\n";

static const struct {
	const char *title, *meaning, *class;
} verdicts[] = {
	[QB_READY] = {"Ready", "Nothing that is required or recommended is amiss.", "pass"},
	[QB_DEGRADED] = {"Degraded", "Something that is recommended did not pass.", "warn"},
	[QB_NOT_READY] = {"Not ready", "Something that is required failed.", "fail"},
	[QB_VERDICT_UNKNOWN] =
		{"Unknown",
		 "Something that is required could not be judged, and nothing that is "
		 "required failed.",
		 "unknown"},
};

static bool needs_attention(const struct qb_result *r)
{
	return r->status != QB_PASS && r->status != QB_SKIP;
}

static const char *or_unknown(const char *s)
{
	return s ? s : "unknown";
}

static void head(const struct qb_report *report, const struct qb_report_about *about,
		 struct qb_buf *out)
{
	const char *host = about->facts->system.hostname;
	_cleanup_free_ char *title =
		qb_asprintf("%s: %s", or_unknown(host), qb_verdict_name(report->verdict));
	_cleanup_free_ char *counts = qb_report_counts(report);
	_cleanup_free_ char *time = qb_report_time(about->time_s);
	_cleanup_buf_ struct qb_buf duration = {0};
	_cleanup_free_ char *line = NULL;

	qb_text_duration(&duration, about->duration_us);
	line = qb_asprintf("%s UTC, in %s, by qubi-agent " QB_VERSION, time, duration.s);
	qb_buf_puts(out, "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n"
			 "<meta name=\"viewport\" content=\"width=device-width, "
			 "initial-scale=1\"/>\n"
			 "<meta name=\"color-scheme\" content=\"light dark\"/>\n"
			 "<meta http-equiv=\"Content-Security-Policy\" "
			 "content=\"default-src 'none'; style-src 'unsafe-inline'\"/>\n");
	qb_xml_element(out, "title", NULL, title);
	qb_buf_printf(out, "<style>\n%s</style>\n</head>\n<body>\n<header class=\"%s\">\n", style,
		      verdicts[report->verdict].class);
	qb_xml_element(out, "p", NULL, or_unknown(host));
	qb_xml_element(out, "h1", NULL, verdicts[report->verdict].title);
	qb_xml_element(out, "p", NULL, verdicts[report->verdict].meaning);
	qb_xml_element(out, "p", NULL, counts);
	qb_xml_element(out, "p", "muted", line);
	qb_buf_puts(out, "</header>\n");
}

static void row(struct qb_buf *out, const char *name, const char *value)
{
	qb_xml_element(out, "dt", NULL, name);
	qb_xml_element(out, "dd", NULL, value);
}

static void evidence(const struct qb_result *r, struct qb_buf *out)
{
	if (!r->n_evidence)
		return;
	qb_buf_puts(out, "<dl>\n");
	for (size_t i = 0; i < r->n_evidence; i++) {
		const struct qb_evidence *e = &r->evidence[i];

		qb_xml_element(out, "dt", NULL, e->key);
		qb_buf_puts(out, "<dd>");
		qb_xml_text(out, e->value);
		qb_buf_puts(out, " <span class=\"muted\">(");
		qb_xml_text(out, e->source);
		qb_buf_puts(out, ")</span></dd>\n");
	}
	qb_buf_puts(out, "</dl>\n");
}

static void finding(const struct qb_result *r, struct qb_buf *out)
{
	const char *mend = qb_result_remedy(r);
	_cleanup_free_ char *line = qb_asprintf(
		"%s, %s: %s", r->check->id, r->ignored ? "ignored" : qb_severity_name(r->severity),
		r->check->title);

	qb_buf_printf(out, "<article class=\"%s\">\n", qb_status_name(r->status));
	qb_buf_puts(out, "<h4>");
	qb_xml_element(out, "span", "status", qb_status_name(r->status));
	qb_xml_text(out, r->message);
	qb_buf_puts(out, "</h4>\n");
	qb_xml_element(out, "p", "muted", line);
	evidence(r, out);
	qb_xml_element(out, "p", NULL, r->check->why);
	if (mend && !r->ignored) {
		qb_buf_puts(out, "<p class=\"muted\">Remedy</p>\n<pre>");
		qb_xml_lines(out, mend);
		qb_buf_puts(out, "</pre>\n");
	}
	if (r->fix && !r->ignored && !(mend && strstr(mend, "qubi-agent apply")))
		qb_buf_puts(out, "<p><code>qubi-agent apply</code> mends this.</p>\n");
	qb_buf_puts(out, "</article>\n");
}

static void findings(const struct qb_report *report, struct qb_buf *out)
{
	_cleanup_free_ const struct qb_result **order = qb_report_order(report);
	const char *group = NULL;

	for (size_t i = 0; i < report->n_results; i++) {
		const struct qb_result *r = order[i];
		const char *its = qb_check_group_of(r->check);

		if (!needs_attention(r))
			continue;
		if (!group)
			qb_buf_puts(out, "<section>\n<h2>What needs attention</h2>\n");
		if (!qb_streq(group, its))
			qb_xml_element(out, "h3", NULL, its);
		group = its;
		finding(r, out);
	}
	if (group)
		qb_buf_puts(out, "</section>\n");
}

static void folded(const struct qb_report *report, enum qb_status status, const char *word,
		   struct qb_buf *out)
{
	if (!report->counts[status])
		return;
	qb_buf_printf(out, "<details class=\"%s\">\n<summary>%zu %s</summary>\n<ul>\n",
		      qb_status_name(status), report->counts[status], word);
	for (size_t i = 0; i < report->n_results; i++) {
		const struct qb_result *r = &report->results[i];

		if (r->status != status)
			continue;
		qb_buf_puts(out, "<li>\n");
		qb_xml_element(out, "h4", NULL, r->check->title);
		qb_xml_element(out, "p", NULL, r->message);
		evidence(r, out);
		qb_xml_element(out, "p", "muted", r->check->id);
		qb_buf_puts(out, "</li>\n");
	}
	qb_buf_puts(out, "</ul>\n</details>\n");
}

static void host(const struct qb_facts *f, struct qb_buf *out)
{
	const struct qb_system_facts *s = &f->system;
	_cleanup_free_ char *system = qb_asprintf("%s, kernel %s, %s", or_unknown(s->os_name),
						  or_unknown(s->kernel), or_unknown(s->arch));
	_cleanup_free_ char *cpu =
		qb_asprintf("%s, %" PRIu64 " online", or_unknown(f->cpu.model), f->cpu.online);
	_cleanup_free_ char *size = qb_format_size(s->memory_bytes);
	_cleanup_buf_ struct qb_buf guest = {0};

	if (qb_is(&f->kvm.guest_ran)) {
		qb_buf_puts(&guest, "ran in ");
		qb_text_duration(&guest, f->kvm.guest_duration_us);
	} else if (qb_is_not(&f->kvm.guest_ran)) {
		qb_buf_puts(&guest, "did not run");
	} else {
		qb_buf_printf(&guest, "unknown: %s", qb_why(&f->kvm.guest_ran));
	}
	qb_buf_puts(out, "<section>\n<h2>The host</h2>\n<dl class=\"host\">\n");
	row(out, "System", system);
	row(out, "CPU", cpu);
	row(out, "Memory", s->memory_bytes ? size : "unknown");
	row(out, "Guest for proof", guest.s);
	row(out, "libvirt",
	    qb_is(&f->libvirt.connected) ? or_unknown(f->libvirt.version) : qb_libvirt_why(f));
	qb_buf_puts(out, "</dl>\n<div class=\"pictures\">\n");
	qb_report_picture(f, out);
	qb_buf_puts(out, "</div>\n</section>\n");
}

void qb_report_html(const struct qb_report *report, const struct qb_report_about *about,
		    struct qb_buf *out)
{
	head(report, about, out);
	findings(report, out);
	host(about->facts, out);
	if (report->counts[QB_PASS] || report->counts[QB_SKIP])
		qb_buf_puts(out, "<h2>The rest</h2>\n");
	folded(report, QB_PASS, "passed", out);
	folded(report, QB_SKIP, "skipped", out);
	qb_buf_puts(out, "</body>\n</html>\n");
}
