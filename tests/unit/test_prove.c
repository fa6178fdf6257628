/* SPDX-License-Identifier: Apache-2.0 */
/* What prove tries, what its guests are made of, and what is made of what they show. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "agent/host/prove.h"
#include "agent/host/prove_frame.h"
#include "tests/unit/libvirt_schema.h"

#define MACHINE_ID "0123456789abcdef0123456789abcdef"

static const char facts_text[] =
	"{\"schema\": \"qubi-agent/facts/1\","
	" \"system\": {\"machine_id\": \"" MACHINE_ID "\", \"selinux_enabled\": true},"
	" \"kvm\": {\"guest_ran\": true},"
	" \"links\": [{\"ifindex\": 2, \"name\": \"eno1\", \"up\": true, \"carrier\": true,"
	"             \"master\": \"br0\"},"
	"            {\"ifindex\": 3, \"name\": \"br0\", \"kind\": \"bridge\","
	"             \"addresses\": [{\"address\": \"192.0.2.10/24\"}]},"
	"            {\"ifindex\": 4, \"name\": \"vnet0\", \"kind\": \"tun\", \"master\": \"br0\"},"
	"            {\"ifindex\": 5, \"name\": \"br1\", \"kind\": \"bridge\"},"
	"            {\"ifindex\": 6, \"name\": \"virbr0\", \"kind\": \"bridge\","
	"             \"addresses\": [{\"address\": \"2001:db8:1::1/64\"},"
	"                           {\"address\": \"198.51.100.1/24\"}]}],"
	" \"routes\": [{\"family\": \"inet\", \"dst\": \"default\", \"gateway\": \"192.0.2.1\","
	"              \"dev\": \"br0\", \"table\": 254}],"
	" \"libvirt\": {\"networks\": [{\"name\": \"default\", \"bridge\": \"virbr0\"}]}}";

static const char config_text[] = "version: 1\n"
				  "bridges:\n"
				  "  - {name: br0, ports: [{name: eno1}], libvirt-network: host}\n"
				  "  - {name: br1, ports: []}\n"
				  "networks:\n"
				  "  - {name: default, forward: nat, subnet: 198.51.100.0/24}\n"
				  "pools:\n"
				  "  - {name: iso, type: dir, target: /srv/iso}\n"
				  "  - {name: \"a&b\", type: dir, target: /srv/ab}\n";

struct world {
	struct qb_facts facts;
	struct qb_config config;
	struct qb_proof proof;
};

static int setup(void **state)
{
	struct world *w = qb_alloc(1, sizeof(*w));
	_cleanup_diags_ struct qb_diags diags = {0};

	if (qb_facts_load(facts_text, strlen(facts_text), &w->facts, &diags) < 0 ||
	    qb_config_parse(config_text, strlen(config_text), &w->config, &diags) < 0) {
		print_error("%s\n", diags.n ? diags.v[0].msg : "?");
		return -1;
	}
	qb_proof_plan(&w->facts, &w->config, false, "salt", &w->proof);
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	struct world *w = *state;

	qb_proof_done(&w->proof);
	qb_facts_done(&w->facts);
	qb_config_done(&w->config);
	free(w);
	return 0;
}

static void each_pool_with_each_bridge_and_network(void **state)
{
	static const struct {
		const char *pool, *net, *peer;
		bool gateway;
	} wanted[] = {
		{"iso", "br0", "192.0.2.1", true},
		{"iso", "br1", NULL, false},
		{"iso", "default", "198.51.100.1", false},
		{"a&b", "br0", "192.0.2.1", true},
		{"a&b", "br1", NULL, false},
		{"a&b", "default", "198.51.100.1", false},
	};
	const struct qb_proof *p = &((struct world *)*state)->proof;

	assert_int_equal(p->n_trials, QB_ARRAY_SIZE(wanted));
	for (size_t i = 0; i < p->n_trials; i++) {
		const struct qb_proof_trial *t = &p->trials[i];

		assert_string_equal(t->pool, wanted[i].pool);
		assert_string_equal(t->net->name, wanted[i].net);
		assert_true(qb_streq(t->net->peer, wanted[i].peer) ||
			    t->net->peer == wanted[i].peer);
		assert_int_equal(t->net->is_gateway, wanted[i].gateway);
		assert_true(qb_startswith(t->name, QB_PROVE_PREFIX));
		for (size_t k = 0; k < i; k++) {
			assert_string_not_equal(t->name, p->trials[k].name);
			assert_memory_not_equal(t->mark, p->trials[k].mark, sizeof(t->mark));
			assert_memory_not_equal(t->mac, p->trials[k].mac, sizeof(t->mac));
		}
	}
	/* Taps of guests lead nowhere. */
	assert_int_equal(p->nets[0].ports.n, 1);
	assert_string_equal(p->nets[0].ports.v[0], "eno1");
	assert_true(p->nets[0].leads_out);
	assert_false(p->nets[1].leads_out);
}

static void without_bridges_the_pools_are_left(void **state)
{
	struct world *w = *state;

	qb_proof_done(&w->proof);
	w->config.n_bridges = w->config.n_networks = 0;
	qb_proof_plan(&w->facts, &w->config, true, "salt", &w->proof);
	w->config.n_bridges = 2;
	w->config.n_networks = 1;
	assert_int_equal(w->proof.n_trials, 2);
	assert_null(w->proof.trials[1].net);
	assert_string_equal(w->proof.trials[1].pool, "a&b");
}

/* Of the guest of n trials from the one at `from` on. */
static char *domain_xml(struct world *w, size_t from, size_t n)
{
	const struct qb_proof_trial *trials[QB_PROOF_TOGETHER];

	for (size_t i = 0; i < n; i++)
		trials[i] = &w->proof.trials[from + i];
	return qb_proof_domain_xml(&w->proof, trials, n);
}

static void one_guest_has_the_disks_and_the_nics_of_several(void **state)
{
	struct world *w = *state;
	_cleanup_free_ char *domain = domain_xml(w, 0, w->proof.n_trials);
	unsigned char disk[QB_GUEST_SECTORS * QB_GUEST_SECTOR];

	assert_valid(domain, "domain");
	for (size_t i = 0; i < w->proof.n_trials; i++) {
		const struct qb_proof_trial *t = &w->proof.trials[i];
		_cleanup_free_ char *volume = qb_asprintf("volume=\"%s\"", t->name);
		_cleanup_free_ char *order = qb_asprintf("<boot order=\"%zu\"/>", i + 1);
		const char *at = strstr(domain, volume);

		assert_non_null(at);
		assert_non_null(strstr(at, order));
	}
	w->proof.trials[3].nic = 3;
	qb_proof_disk(&w->proof.trials[3], disk);
	assert_int_equal(disk[QB_GUEST_GIVEN * QB_GUEST_SECTOR + QB_GUEST_GIVEN_NIC], 3);
}

/* What a guest of several has not shown is tried alone; that nobody answers is no reason. */
static void what_a_guest_of_several_left_open(void **state)
{
	struct qb_proof_trial *t = &((struct world *)*state)->proof.trials[0];

	assert_true(qb_proof_is_open(t));
	memcpy(t->result, t->mark, sizeof(t->mark));
	t->result[QB_GUEST_RESULT_STAGE] = QB_GUEST_STARTED;
	t->on_bridge = true;
	assert_true(qb_proof_is_open(t));
	t->result[QB_GUEST_RESULT_STAGE] = QB_GUEST_SENT;
	assert_false(qb_proof_is_open(t));
	t->on_bridge = false;
	assert_true(qb_proof_is_open(t));
	t->net = NULL;
	assert_false(qb_proof_is_open(t));
}

static void what_libvirt_is_told_is_valid(void **state)
{
	struct world *w = *state;

	for (size_t i = 0; i < w->proof.n_trials; i++) {
		_cleanup_free_ char *domain = domain_xml(w, i, 1);
		_cleanup_free_ char *volume = qb_proof_volume_xml(&w->proof.trials[i]);

		assert_non_null(strstr(domain, "<domain type=\"kvm\">"));
		assert_non_null(strstr(domain, i % 3 == 1 ? "<source bridge=\"br1\"/>"
					       : i % 3    ? "<source network=\"default\"/>"
							  : "<source network=\"host\"/>"));
		assert_non_null(strstr(domain, i < 3 ? "pool=\"iso\"" : "pool=\"a&amp;b\""));
		assert_valid(domain, "domain");
		assert_valid(volume, "storagevol");
	}
	w->proof.emulated = true;
	w->proof.trials[0].net = NULL;
	{
		_cleanup_free_ char *domain = domain_xml(w, 0, 1);

		assert_non_null(strstr(domain, "<domain type=\"qemu\">"));
		assert_null(strstr(domain, "<interface"));
		assert_valid(domain, "domain");
	}
}

static void the_disk_begins_as_firmware_wants_it(void **state)
{
	const struct qb_proof_trial *t = &((struct world *)*state)->proof.trials[0];
	unsigned char disk[QB_GUEST_SECTORS * QB_GUEST_SECTOR];
	const unsigned char *given = disk + QB_GUEST_GIVEN * QB_GUEST_SECTOR;

	qb_proof_disk(t, disk);
	assert_int_equal(disk[510], 0x55);
	assert_int_equal(disk[511], 0xaa);
	assert_memory_equal(given, t->mark, sizeof(t->mark));
	assert_memory_equal(given + QB_GUEST_GIVEN_MAC, t->mac, sizeof(t->mac));
	assert_int_equal(given[QB_GUEST_GIVEN_LENGTH], 60);
	/* The mark is not there before the guest has written it. */
	assert_memory_not_equal(disk + QB_GUEST_RESULT * QB_GUEST_SECTOR, t->mark, sizeof(t->mark));
	assert_true(qb_proof_is_disk(disk));
	disk[3]++;
	assert_false(qb_proof_is_disk(disk));
}

static void questions_are_what_the_standards_say(void **state)
{
	static const unsigned char mac[6] = {0x52, 0x54, 0x00, 0x00, 0x53, 0x01};
	static const unsigned char arp[] = {
		0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x52, 0x54, 0x00, 0x00, 0x53, 0x01, 0x08, 0x06,
		0x00, 0x01, 0x08, 0x00, 0x06, 0x04, 0x00, 0x01, 0x52, 0x54, 0x00, 0x00, 0x53, 0x01,
		0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0xc0, 0x00, 0x02, 0x01};
	/* From fe80::5054:ff:fe00:5301 to ff02::1:ff00:1, with the checksum of another program. */
	static const unsigned char solicitation[] = {
		0x33, 0x33, 0xff, 0x00, 0x00, 0x01, 0x52, 0x54, 0x00, 0x00, 0x53, 0x01, 0x86,
		0xdd, 0x60, 0x00, 0x00, 0x00, 0x00, 0x20, 0x3a, 0xff, 0xfe, 0x80, 0x00, 0x00,
		0x00, 0x00, 0x00, 0x00, 0x50, 0x54, 0x00, 0xff, 0xfe, 0x00, 0x53, 0x01, 0xff,
		0x02, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x01, 0xff, 0x00,
		0x00, 0x01, 0x87, 0x00, 0x05, 0xb8, 0x00, 0x00, 0x00, 0x00, 0x20, 0x01, 0x0d,
		0xb8, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x01,
		0x01, 0x01, 0x52, 0x54, 0x00, 0x00, 0x53, 0x01};
	unsigned char frame[QB_PROOF_FRAME_MAX];

	(void)state;
	assert_int_equal(qb_proof_frame(mac, "192.0.2.1", frame), 60);
	assert_memory_equal(frame, arp, sizeof(arp));
	assert_int_equal(qb_proof_frame(mac, "2001:db8::1", frame), sizeof(solicitation));
	assert_memory_equal(frame, solicitation, sizeof(solicitation));
	assert_int_equal(qb_proof_frame(mac, NULL, frame), 60);
	assert_int_equal(frame[12] << 8 | frame[13], 0x8035);
}

static void only_an_answer_of_whom_it_asked_is_one(void **state)
{
	static const unsigned char mac[6] = {0x52, 0x54, 0x00, 0x00, 0x53, 0x01};
	unsigned char frame[QB_PROOF_FRAME_MAX];

	(void)state;
	(void)qb_proof_frame(mac, "192.0.2.1", frame);
	assert_false(qb_proof_is_answer(frame, 60, "192.0.2.1"));
	frame[21] = 2;
	memcpy(frame + 28, (const unsigned char[]){192, 0, 2, 1}, 4);
	assert_true(qb_proof_is_answer(frame, 60, "192.0.2.1"));
	assert_false(qb_proof_is_answer(frame, 41, "192.0.2.1"));
	assert_false(qb_proof_is_answer(frame, 60, "192.0.2.2"));
	assert_false(qb_proof_is_answer(frame, 60, "2001:db8::1"));
	assert_false(qb_proof_is_answer(frame, 60, NULL));
	(void)qb_proof_frame(mac, "2001:db8::1", frame);
	assert_false(qb_proof_is_answer(frame, 86, "2001:db8::1"));
	frame[54] = 136;
	assert_true(qb_proof_is_answer(frame, 86, "2001:db8::1"));
	assert_false(qb_proof_is_answer(frame, 77, "2001:db8::1"));
	assert_false(qb_proof_is_answer(frame, 86, "2001:db8::2"));
}

/* As the guest on br0 leaves it when all went well. */
static void make_whole(struct qb_proof_trial *t)
{
	unsigned char *result = t->result;

	t->made = t->started = t->ended = t->on_bridge = true;
	qb_strset(&t->label, "system_u:system_r:svirt_t:s0:c1,c2");
	qb_strset(&t->left_by, "eno1");
	memcpy(result, t->mark, sizeof(t->mark));
	result[QB_GUEST_RESULT_STAGE] = QB_GUEST_ANSWERED;
	result[QB_GUEST_RESULT_LENGTH] = 60;
	(void)qb_proof_frame(t->mac, t->net->peer, result + QB_GUEST_RESULT_FRAME);
	result[QB_GUEST_RESULT_FRAME + 21] = 2;
	memcpy(result + QB_GUEST_RESULT_FRAME + 28, (const unsigned char[]){192, 0, 2, 1}, 4);
}

enum fault {
	NO_KVM,
	NO_VOLUME,
	NO_START,
	NO_LABEL,
	NO_MARK,
	UNREADABLE,
	NO_DEVICE,
	NO_FRAME,
	NO_PORT,
	PORT_DOWN,
	NO_REPLY,
	OTHER_REPLY,
	N_FAULTS
};

static void break_it(struct world *w, struct qb_proof_trial *t, enum fault fault)
{
	switch (fault) {
	case NO_KVM:
		qb_tri_set(&w->facts.kvm.guest_ran, false);
		qb_strset(&w->facts.kvm.guest_detail, "there is no /dev/kvm");
		break;
	case NO_VOLUME:
		t->made = false;
		qb_strset(&t->volume_error, "Read-only file system");
		break;
	case NO_START:
		t->started = false;
		qb_strset(&t->start_error, "Permission denied");
		break;
	case NO_LABEL:
		qb_strset(&t->label, "system_u:system_r:virtd_t:s0");
		break;
	case NO_MARK:
		t->ended = false;
		t->waited_ms = 3000;
		memset(t->result, 0, sizeof(t->result));
		break;
	case UNREADABLE:
		qb_strset(&t->result_error, "Input/output error");
		break;
	case NO_DEVICE:
		t->on_bridge = false;
		t->result[QB_GUEST_RESULT_STAGE] = QB_GUEST_STARTED;
		break;
	case NO_FRAME:
		t->on_bridge = false;
		break;
	case NO_PORT:
		qb_strs_done(&w->proof.nets[0].ports);
		break;
	case PORT_DOWN:
		qb_strset(&t->left_by, NULL);
		qb_tri_set(&w->facts.net.links[0].carrier, false);
		break;
	case NO_REPLY:
		t->result[QB_GUEST_RESULT_STAGE] = QB_GUEST_SENT;
		break;
	case OTHER_REPLY:
		t->result[QB_GUEST_RESULT_FRAME + 31] = 99;
		break;
	case N_FAULTS:
		break;
	}
}

static void the_first_link_that_broke_is_named(void **state)
{
	static const struct {
		enum qb_proof_link link;
		const char *says;
	} wanted[N_FAULTS] = {
		[NO_KVM] = {QB_PROOF_KVM, "there is no /dev/kvm"},
		[NO_VOLUME] = {QB_PROOF_VOLUME, "Read-only file system"},
		[NO_START] = {QB_PROOF_START, "Permission denied"},
		[NO_LABEL] = {QB_PROOF_LABEL, "its process is system_u:system_r:virtd_t:s0"},
		[NO_MARK] = {QB_PROOF_MARK,
			     "it ran for 3000 ms, and its mark is not in the volume"},
		[UNREADABLE] = {QB_PROOF_MARK, "cannot be read back: Input/output error"},
		[NO_DEVICE] = {QB_PROOF_FRAME, "found no network device"},
		[NO_FRAME] = {QB_PROOF_FRAME, "none came by br0"},
		[NO_PORT] = {QB_PROOF_PORT, "br0 has no port that leads out"},
		[PORT_DOWN] = {QB_PROOF_PORT, "no frame of it left by eno1 (no carrier)"},
		[NO_REPLY] = {QB_PROOF_REPLY, "192.0.2.1 answers this host, and not the guest"},
		[OTHER_REPLY] = {QB_PROOF_REPLY, "192.0.2.1 answers this host, and not the guest"},
	};
	struct qb_proof_verdict v[QB_PROOF_LINKS];

	teardown(state);
	for (enum fault fault = NO_KVM; fault <= N_FAULTS; fault++) {
		struct qb_proof_trial *t;
		struct world *w;
		bool whole;

		assert_int_equal(setup(state), 0);
		w = *state;
		t = &w->proof.trials[0];
		qb_tri_set(&w->proof.nets[0].answers_host, true);
		make_whole(t);
		break_it(w, t, fault);
		whole = qb_proof_judge(&w->proof, &w->facts, t, v);
		assert_int_equal(whole, fault == N_FAULTS);
		for (int i = 0; i < QB_PROOF_LINKS; i++)
			assert_int_equal(v[i].state,
					 fault == N_FAULTS || i < (int)wanted[fault].link
						 ? QB_PROOF_HOLDS
					 : i > (int)wanted[fault].link ? QB_PROOF_NOT_REACHED
								       : QB_PROOF_BROKEN);
		if (fault != N_FAULTS && !strstr(v[wanted[fault].link].says, wanted[fault].says))
			fail_msg("fault %d: %s", (int)fault, v[wanted[fault].link].says);
		qb_proof_verdicts_done(v);
		teardown(state);
	}
	assert_int_equal(setup(state), 0);
}

/* Nobody can be blamed for it, or it cannot be looked at: said, and no proof against the host. */
static void what_cannot_be_judged_is_said(void **state)
{
	struct qb_proof_verdict v[QB_PROOF_LINKS];
	struct world *w = *state;
	struct qb_proof_trial *t = &w->proof.trials[0];

	make_whole(t);
	t->result[QB_GUEST_RESULT_STAGE] = QB_GUEST_SENT;
	qb_tri_set(&w->proof.nets[0].answers_host, false);
	qb_tri_set(&w->facts.system.selinux_enabled, false);
	qb_strset(&t->label, NULL);
	w->proof.emulated = true;
	assert_true(qb_proof_judge(&w->proof, &w->facts, t, v));
	assert_int_equal(v[QB_PROOF_KVM].state, QB_PROOF_UNJUDGED);
	assert_int_equal(v[QB_PROOF_LABEL].state, QB_PROOF_UNJUDGED);
	assert_int_equal(v[QB_PROOF_REPLY].state, QB_PROOF_UNJUDGED);
	assert_non_null(strstr(v[QB_PROOF_REPLY].says, "does not answer this host either"));
	qb_proof_verdicts_done(v);
	/* Of a network of libvirt's the host itself is asked, and nothing is to leave it. */
	t = &w->proof.trials[2];
	memcpy(t->result, t->mark, sizeof(t->mark));
	t->made = t->started = t->on_bridge = true;
	t->result[QB_GUEST_RESULT_STAGE] = QB_GUEST_SENT;
	assert_false(qb_proof_judge(&w->proof, &w->facts, t, v));
	assert_int_equal(v[QB_PROOF_PORT].state, QB_PROOF_UNJUDGED);
	assert_int_equal(v[QB_PROOF_REPLY].state, QB_PROOF_BROKEN);
	assert_non_null(strstr(v[QB_PROOF_REPLY].says, "this host, 198.51.100.1, did not answer"));
	qb_proof_verdicts_done(v);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(each_pool_with_each_bridge_and_network),
		T(without_bridges_the_pools_are_left),
		T(one_guest_has_the_disks_and_the_nics_of_several),
		T(what_a_guest_of_several_left_open),
		T(what_libvirt_is_told_is_valid),
		T(the_disk_begins_as_firmware_wants_it),
		cmocka_unit_test(questions_are_what_the_standards_say),
		cmocka_unit_test(only_an_answer_of_whom_it_asked_is_one),
		T(the_first_link_that_broke_is_named),
		T(what_cannot_be_judged_is_said),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
