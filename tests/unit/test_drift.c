/* SPDX-License-Identifier: Apache-2.0 */
/* What plan says of a bridge that is there and not as wanted, key by key. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "agent/base/schema.h"
#include "agent/plan.h"
#include "net/drift.h"
#include "net/keyfile.h"
#include "net/link_fields.h"

#define ADDRESS(a) "{address: " a ", scope: global, flags: 128}"
#define ETH0(rest)                                                                                 \
	"{name: eth0, ifindex: 2, mac: 00:00:5e:00:53:01, permanent_mac: 00:00:5e:00:53:01, "      \
	"path: pci-0000:01:00.0" rest "}"
#define ETH0_IN ETH0(", mtu: 1500, up: true, master: br0")
#define BR0(rest) "{name: br0, ifindex: 7, kind: bridge" rest "}"
#define BR0_AS_WANTED                                                                              \
	BR0(", mac: 00:00:5e:00:53:01, mtu: 1500, up: true, stp: false, addresses: [" ADDRESS(     \
		"192.0.2.10/24") "]")
#define BR0_LIKE(mac, mtu, up, stp)                                                                \
	BR0(", mac: 00:00:5e:00:53:" mac ", mtu: " mtu ", up: " up ", stp: " stp                   \
	    ", addresses: [" ADDRESS("192.0.2.10/24") "]")
#define DEFAULT(dev)                                                                               \
	"routes: [{family: inet, dst: default, gateway: 192.0.2.1, dev: " dev                      \
	", type: unicast, proto: static, scope: global, table: 254, metric: 100, "                 \
	"n_nexthops: 1}]\n"
#define HOST(links, rest) "known: true\nlinks: [" links "]\n" rest

struct setup {
	struct qb_net net;
	struct qb_plan plan;
	struct qb_port_match port;
	struct qb_bridge_config config;
	struct qb_ledger_entry entry;
	struct qb_ledger ledger;
};

static void load(struct setup *s, const char *yaml)
{
	_cleanup_diags_ struct qb_diags diags = {0};

	*s = (struct setup){.port = {.name = (char *)"eth0"}};
	if (qb_schema_load(&qb_net_type, yaml, strlen(yaml), QB_LOAD_STRICT, &s->net, NULL,
			   &diags) < 0)
		fail_msg("%s\n%s", diags.v[0].msg, yaml);
	s->config =
		(struct qb_bridge_config){.name = (char *)"br0", .ports = &s->port, .n_ports = 1};
}

/* An earlier run made the bridge, with this MAC and MTU. */
static void made_by_us(struct setup *s, const char *mac, int mtu)
{
	json_t *args = json_pack("{s:s, s:i, s:[{s:s, s:s, s:s*, s:s}]}", "mac", mac, "mtu", mtu,
				 "ports", "match", "name eth0", "name", "eth0", "kind",
				 qb_net_link(&s->net, "eth0")->kind, "mac", "00:00:5e:00:53:01");

	s->entry = (struct qb_ledger_entry){
		.kind = (char *)"net.bridge", .target = (char *)"br0", .args = args, .done = true};
	assert_non_null(s->entry.args);
	s->ledger = (struct qb_ledger){.entries = &s->entry, .n_entries = 1};
}

static void done(struct setup *s)
{
	qb_net_done(&s->net);
	qb_plan_done(&s->plan);
	json_decref(s->entry.args);
}

static void plan(struct setup *s)
{
	qb_plan_done(&s->plan);
	qb_bridge_plan(&s->net, &s->config, 1, "0123456789abcdef0123456789abcdef", &s->ledger,
		       &s->plan);
	if (s->plan.n_refused)
		fail_msg("%s", s->plan.refused[0].reasons[0].evidence);
}

/* "key|is|wanted|source" of each difference, a line each. */
static char *lines_of(const json_t *list)
{
	struct qb_buf b = {0};
	static const char *const members[] = {"key", "is", "wanted", "source"};
	json_t *d;
	size_t i;

	qb_buf_puts(&b, "");
	json_array_foreach (list, i, d) {
		assert_int_equal(json_object_size(d), QB_ARRAY_SIZE(members));
		for (size_t j = 0; j < QB_ARRAY_SIZE(members); j++) {
			const json_t *value = json_object_get(d, members[j]);

			assert_true(json_is_string(value) || json_is_null(value));
			qb_buf_printf(&b, "%s%s", j ? "|" : "",
				      json_is_null(value) ? "" : json_string_value(value));
		}
		qb_buf_puts(&b, "\n");
	}
	return b.s ? b.s : qb_strdup("");
}

static void assert_differs(struct setup *s, const char *kind, const char *wanted)
{
	_cleanup_free_ char *got = NULL;

	plan(s);
	if (!*wanted) {
		assert_int_equal(s->plan.n_steps, 0);
		return;
	}
	assert_int_equal(s->plan.n_steps, 1);
	assert_string_equal(s->plan.steps[0].kind, kind);
	got = lines_of(s->plan.steps[0].differences);
	assert_string_equal(got, wanted);
}

static const struct {
	const char *host, *differences;
} rows[] = {
	{HOST(ETH0_IN ", " BR0_AS_WANTED, ""), ""},
	{HOST(ETH0_IN ", " BR0_LIKE("01", "1500", "false", "false"), ""), "up|false|true|kernel\n"},
	{HOST(ETH0_IN ", " BR0_LIKE("01", "1500", "true", "true"), ""), "stp|true|false|kernel\n"},
	{HOST(ETH0_IN ", " BR0(", mac: 00:00:5e:00:53:01, mtu: 1500, up: true"), ""),
	 "stp|unknown|false|kernel\n"},
	{HOST(ETH0_IN ", " BR0_LIKE("01", "1400", "true", "false"), ""), "mtu|1400|1500|kernel\n"},
	{HOST(ETH0_IN ", " BR0_LIKE("01", "9000", "true", "false"), ""), "mtu|9000|1500|kernel\n"},
	{HOST(ETH0_IN ", " BR0_LIKE("77", "1500", "true", "false"), ""),
	 "mac|00:00:5e:00:53:77|00:00:5e:00:53:01|kernel\n"},
	{HOST(ETH0(", mtu: 1500, up: true") ", " BR0_AS_WANTED, ""),
	 "ports.eth0.master||br0|kernel\n"},
	{HOST(ETH0(", mtu: 1500, master: br0") ", " BR0_AS_WANTED, ""),
	 "ports.eth0.up|false|true|kernel\n"},
	/* What went to the port goes back to the bridge. */
	{HOST(ETH0(", mtu: 1500, up: true, master: br0, addresses: [" ADDRESS(
		      "192.0.2.11/24") ", {address: fe80::1/64, scope: link, flags: "
				       "128}]") ", " BR0_AS_WANTED,
	      DEFAULT("eth0")),
	 "addresses||192.0.2.11/24|kernel\n"
	 "routes||default via 192.0.2.1 metric 100|kernel\n"
	 "ports.eth0.addresses|192.0.2.11/24||kernel\n"
	 "ports.eth0.routes|default via 192.0.2.1 metric 100||kernel\n"},
	/* All at once, in this order. */
	{HOST(ETH0(", mtu: 1500") ", " BR0_LIKE("77", "1400", "false", "true"), ""),
	 "up|false|true|kernel\n"
	 "stp|true|false|kernel\n"
	 "mtu|1400|1500|kernel\n"
	 "mac|00:00:5e:00:53:77|00:00:5e:00:53:01|kernel\n"
	 "ports.eth0.master||br0|kernel\n"
	 "ports.eth0.up|false|true|kernel\n"},
};

static void every_key_is_told(void **state)
{
	(void)state;
	for (size_t i = 0; i < QB_ARRAY_SIZE(rows); i++) {
		struct setup s;

		load(&s, rows[i].host);
		made_by_us(&s, "00:00:5e:00:53:01", 1500);
		assert_differs(&s, "net.bridge", rows[i].differences);
		done(&s);
	}
}

static void what_the_configuration_gives_and_is_missing(void **state)
{
	char *addresses[] = {(char *)"192.0.2.10/24", (char *)"192.0.2.12/24"};
	struct setup s;

	(void)state;
	load(&s, HOST(ETH0_IN ", " BR0_AS_WANTED, ""));
	s.config.ipv4 = (struct qb_ip_config){
		.mode = QB_IP_STATIC, .addresses = {addresses, 2}, .gateway = (char *)"192.0.2.1"};
	assert_differs(&s, "net.bridge",
		       "addresses||192.0.2.12/24|kernel\nroutes||default via 192.0.2.1|kernel\n");
	done(&s);
}

/* What it is to be that makes the difference: also what others made, and what it was before. */
static void mac_and_mtu_are_those_it_was_given(void **state)
{
	static const struct {
		const char *host, *mac, *differences;
		int mtu; /* recorded; 0: nothing is */
	} cases[] = {
		/* Its owner made it narrower than its port, or gave it another MAC. */
		{HOST(ETH0_IN ", " BR0_LIKE("77", "1400", "true", "false"), ""), NULL, "", 0},
		/* Nobody makes it wider. */
		{HOST(ETH0_IN ", " BR0_LIKE("01", "1600", "true", "false"), ""), NULL,
		 "mtu|1600|1500|kernel\n", 0},
		/* It was narrower when a run of ours had to do with it. */
		{HOST(ETH0_IN ", " BR0_LIKE("01", "1400", "true", "false"), ""),
		 "00:00:5e:00:53:01", "", 1400},
		/* Until a port is in it has what the kernel made up. */
		{HOST(ETH0(", mtu: 9000, up: true") ", " BR0_LIKE("77", "1500", "true", "false"),
		      ""),
		 NULL,
		 "mtu|1500|9000|kernel\nmac|00:00:5e:00:53:77|00:00:5e:00:53:01|kernel\n"
		 "ports.eth0.master||br0|kernel\n",
		 0},
		/* The bond took its MAC from the card that it has no more of. */
		{HOST("{name: eth0, ifindex: 2, kind: bond, mac: 00:00:5e:00:53:02, mtu: 1500, "
		      "up: true, master: br0}, {name: p0, ifindex: 3, mac: 00:00:5e:00:53:01, "
		      "permanent_mac: 00:00:5e:00:53:01, master: eth0}, " BR0_LIKE("01", "1500",
										   "true", "false"),
		      ""),
		 "00:00:5e:00:53:01", "", 1500},
		/* Another card of this host has the recorded one. */
		{HOST(ETH0_IN ", {name: eth1, ifindex: 3, mac: 00:00:5e:00:53:55}, " BR0_LIKE(
			      "55", "1500", "true", "false"),
		      ""),
		 "00:00:5e:00:53:55", "mac|00:00:5e:00:53:55|00:00:5e:00:53:01|kernel\n", 1500},
	};

	(void)state;
	for (size_t i = 0; i < QB_ARRAY_SIZE(cases); i++) {
		struct setup s;

		load(&s, cases[i].host);
		if (cases[i].mtu)
			made_by_us(&s, cases[i].mac, cases[i].mtu);
		assert_differs(&s, "net.bridge", cases[i].differences);
		done(&s);
	}
}

static void keys_of_profiles_are_told(void **state)
{
	static const char dir[] = "/etc/NetworkManager/system-connections";
	_cleanup_keyfiles_ struct qb_keyfiles files = {0};
	_cleanup_move_ struct qb_move move = {0};
	const struct qb_link *eth0;
	struct setup s;

	(void)state;
	load(&s, HOST(ETH0_IN ", " BR0_AS_WANTED, "networkmanager_installed: true\n"));
	made_by_us(&s, "00:00:5e:00:53:01", 1500);
	eth0 = qb_net_link(&s.net, "eth0");
	qb_move_plan(&s.net, &s.config, &eth0, 1, &s.plan, &move);
	qb_keyfile_plan(&s.net, &s.config, &move, &files);
	for (size_t i = 0; i < files.n; i++) {
		struct qb_keyfile *file = QB_APPEND(s.net.keyfiles, s.net.n_keyfiles);

		file->path = qb_strdup(files.v[i].path);
		file->text = qb_strdup(files.v[i].text);
	}
	assert_differs(&s, "net.persist", "");
	/* Of a key that stands there twice NetworkManager takes the last. */
	free(s.net.keyfiles[0].text);
	s.net.keyfiles[0].text = qb_asprintf("%s\n[bridge]\nstp=yes\x1b[2J\n", files.v[0].text);
	free(s.net.keyfiles[1].text);
	s.net.keyfiles[1].text = qb_strdup(strstr(files.v[1].text, "[connection]"));
	*strstr(s.net.keyfiles[1].text, "slave-type") = '#';
	{
		_cleanup_free_ char *wanted = qb_asprintf(
			"bridge.stp|yes\\x1b[2J|false|%s/qubi-br0.nmconnection\n"
			"connection.slave-type||bridge|%s/qubi-br0-port-1.nmconnection\n",
			dir, dir);

		assert_differs(&s, "net.persist", wanted);
	}
	assert_non_null(strstr(s.plan.steps[0].why, "qubi-br0.nmconnection is not as wanted"));
	/* One that is not there at all. */
	s.net.n_keyfiles = 1;
	plan(&s);
	{
		_cleanup_free_ char *got = lines_of(s.plan.steps[0].differences);

		assert_non_null(strstr(got, "profile||qubi-br0-port-1.nmconnection|/etc/"));
	}
	s.net.n_keyfiles = 2;
	done(&s);
}

static void add_profile(struct setup *s, const char *name, const char *text)
{
	struct qb_keyfile *file = QB_APPEND(s->net.keyfiles, s->net.n_keyfiles);

	file->path = qb_asprintf("/etc/NetworkManager/system-connections/%s.nmconnection", name);
	file->text = qb_strdup(text);
}

/* They would make a port of it again. */
static void profiles_of_former_ports_go(void **state)
{
	static const char dir[] = "/etc/NetworkManager/system-connections";
	static const char port[] = "[connection]\nmaster=1\n";
	_cleanup_free_ char *wanted = NULL;
	const json_t *files, *last;
	struct setup s;

	(void)state;
	load(&s, HOST(ETH0_IN ", " BR0_AS_WANTED, "networkmanager_installed: true\n"));
	made_by_us(&s, "00:00:5e:00:53:01", 1500);
	plan(&s);
	assert_int_equal(s.plan.n_steps, 1);
	files = json_object_get(s.plan.steps[0].args, "files");
	for (size_t i = 0; i < 2; i++) {
		struct qb_keyfile *file = QB_APPEND(s.net.keyfiles, s.net.n_keyfiles);
		const json_t *is = json_array_get(files, i);

		file->path = qb_strdup(json_string_value(json_object_get(is, "path")));
		file->text = qb_strdup(json_string_value(json_object_get(is, "text")));
	}
	/* Other bridges, and what is of them. */
	add_profile(&s, "qubi-br0-port-3", "[connection]\ntype=bridge\n");
	add_profile(&s, "qubi-br0-port-3-port-1", port);
	add_profile(&s, "qubi-br00-port-1", port);
	add_profile(&s, "qubi-br0-x-port-1", port);
	plan(&s);
	assert_int_equal(s.plan.n_steps, 0);
	add_profile(&s, "qubi-br0-port-2", port);
	add_profile(&s, "qubi-br0-port-2-1", port);
	wanted = qb_asprintf("profile|qubi-br0-port-2.nmconnection||%s\n"
			     "profile|qubi-br0-port-2-1.nmconnection||%s\n",
			     dir, dir);
	assert_differs(&s, "net.persist", wanted);
	files = json_object_get(s.plan.steps[0].args, "files");
	assert_int_equal(json_array_size(files), 4);
	last = json_array_get(files, 3);
	assert_non_null(strstr(json_string_value(json_object_get(last, "path")), "port-2-1"));
	assert_true(json_is_null(json_object_get(last, "text")));
	done(&s);
}

static void a_plan_reads_well_in_80_columns(void **state)
{
	_cleanup_buf_ struct qb_buf out = {0};
	json_auto_t *json = NULL;
	const json_t *list;
	struct setup s;

	(void)state;
	load(&s, HOST(ETH0(", mtu: 1500, up: true, master: br0, addresses: [" ADDRESS(
			      "192.0.2.11/24") "]") ", " BR0_LIKE("01", "1400", "true", "true"),
		      ""));
	made_by_us(&s, "00:00:5e:00:53:01", 1500);
	plan(&s);
	qb_plan_text(&s.plan, NULL, false, false, 80, &out);
	assert_string_equal(
		out.s,
		"Plan: 1 step, 0 refused.\n"
		"\n"
		" 1. br0  [net.bridge, undo exact]\n"
		"    the bridge is not as wanted: put eth0 under it, with 192.0.2.11/24 and 0\n"
		"    routes; it lasts until the next boot, and for good after systemctl enable\n"
		"    qubi-agent-network.service\n"
		"    - stp: true, and false is wanted (kernel)\n"
		"    - mtu: 1400, and 1500 is wanted (kernel)\n"
		"    - addresses: 192.0.2.11/24 is missing (kernel)\n"
		"    - ports.eth0.addresses: 192.0.2.11/24 is not wanted there (kernel)\n");
	json = qb_plan_to_json(&s.plan);
	list = json_object_get(json_array_get(json_object_get(json, "steps"), 0), "differences");
	assert_int_equal(json_array_size(list), 4);
	done(&s);
	/* Nothing is compared with what is not there. */
	load(&s, HOST(ETH0(", mtu: 1500, up: true"), ""));
	plan(&s);
	json_decref(json);
	json = qb_plan_to_json(&s.plan);
	assert_null(
		json_object_get(json_array_get(json_object_get(json, "steps"), 0), "differences"));
	done(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_key_is_told),
		cmocka_unit_test(what_the_configuration_gives_and_is_missing),
		cmocka_unit_test(mac_and_mtu_are_those_it_was_given),
		cmocka_unit_test(keys_of_profiles_are_told),
		cmocka_unit_test(profiles_of_former_ports_go),
		cmocka_unit_test(a_plan_reads_well_in_80_columns),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
