/* SPDX-License-Identifier: Apache-2.0 */
/* What the formats of a report share; for checks/ only. */
#pragma once

#include "checks/check.h"

/*
 * The results as people read them: groups with one that keeps the host from being ready first, else
 * in the order of the registry. As many pointers as there are results; the caller frees the array.
 */
const struct qb_result **qb_report_order(const struct qb_report *report);

/* Lines of ours around text that was read on the host: each made printable. Caller frees. */
char *qb_report_lines(const char *s);
/* "2026-01-02T03:04:05", UTC. Caller frees. */
char *qb_report_time(int64_t time_s);

/* Adds text as it may stand in an element or a quoted attribute of XML and HTML, made printable.
 * NULL adds nothing. */
void qb_xml_text(struct qb_buf *out, const char *text);
/* The same, of lines of ours. */
void qb_xml_lines(struct qb_buf *out, const char *text);
/* <NAME class="CLASS">TEXT</NAME>; class may be NULL. */
void qb_xml_element(struct qb_buf *out, const char *name, const char *class, const char *text);
/* Adds NAME="TEXT" and a space before it. */
void qb_xml_attribute(struct qb_buf *out, const char *name, const char *text);

/* Disks and the pools on them, NICs and what is reached by them, as SVG in figures of HTML. */
void qb_report_picture(const struct qb_facts *facts, struct qb_buf *out);
