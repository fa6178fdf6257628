/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <cmocka.h>

#include "agent/host/config.h"

static int parse(const char *text, struct qb_config *config, struct qb_diags *diags)
{
	return qb_config_parse(text, strlen(text), config, diags);
}

/* What the table refuses, each with the value as the one thing that is wrong. */
static void bad_values_are_refused(void **state)
{
	static const struct {
		const char *before, *after; /* around the value */
		const char *bad[16], *good[6];
	} cases[] = {
		{"version: 1\nbridges: [{name: \"",
		 "\", ports: {match: default-route}}]\n",
		 {"", ".", "..", "a b", "a/b", "a:b", "br%d", "0123456789abcdef", "all", "default",
		  "br\\x1b", "br\\u00e4"},
		 {"br0", "0123456789abcde", "br-lan.5"}},
		{"version: 1\nbridges: [{name: br0, ports: []}, {name: \"",
		 "\", ports: []}]\n",
		 {"br0-port-1", "br0-port-12", "br0-port-1-2"},
		 {"br0-1", "br0-port", "br0-port-x", "br0-port-1-x", "br0x-port-1", "br0-port1"}},
		{"version: 1\nbridges: [{name: br0, ports: [{mac: \"",
		 "\"}]}]\n",
		 {"", "00:00:5e:00:53", "00:00:5e:00:53:0g", "00-00-5e-00-53-01",
		  "01:00:5e:00:53:01", "00:00:00:00:00:00", "00:00:5e:00:53:01:02"},
		 {"00:00:5e:00:53:01", "00:00:5E:00:53:AF"}},
		{"version: 1\nbridges: [{name: br0, ports: [{match: \"",
		 "\"}]}]\n",
		 {"", "default", "Default-Route"},
		 {"default-route"}},
		{"version: 1\nbridges: [{name: br0, ports: [{path: \"",
		 "\"}]}]\n",
		 {"", "a b", "a\\n"},
		 {"pci-0000:01:00.0"}},
		{"version: 1\nbridges: [{name: br0, ports: [{speed: \"",
		 "\"}]}]\n",
		 {"", "10", "10g", "10 G", "0G", "10Gbit", "1.2G", "2.5M"},
		 {"100M", "1G", "2.5G", "100G"}},
		{"version: 1\nbridges: [{name: br0, vlan-filtering: true, ports: [{name: a, pvid: "
		 "0, "
		 "tagged: [\"",
		 "\"]}]}]\n",
		 {"", "0", "4095", "10-", "-10", "30-20", "10-4095", "10 20", "1,2", "010", "x",
		  "5 pvid untagged"},
		 {"1", "4094", "20-30", "5-5"}},
		{"version: 1\nbonds: [{name: b, ports: [{name: eth0}], mode: \"",
		 "\"}]\n",
		 {"balance-rr", "balance-alb", "1"},
		 {"active-backup", "802.3ad"}},
		{"version: 1\nbridges: [{name: br0, ports: [{driver: \"",
		 "\"}]}]\n",
		 {"", "a/b", "e1000e "},
		 {"e1000e", "virtio_net"}},
		{"version: 1\nbridges: [{name: br0, ports: [{match: default-route}], ipv4: "
		 "{addresses: \"",
		 "\"}}]\n",
		 {"", "192.0.2.10", "192.0.2.10/33", "192.0.2.10/", "192.0.2.10/024",
		  "192.0.2.10/0", "192.0.2.0/24", "192.0.2.255/24", "127.0.0.1/8", "0.0.0.0/8",
		  "224.0.0.1/24", "192.0.2/24", "192.0.2.010/24", "2001:db8::1/64", "x"},
		 {"192.0.2.10/24", "192.0.2.1/32", "192.0.2.0/31", "192.0.2.255/16"}},
		{"version: 1\nbridges: [{name: br0, ports: [{match: default-route}], ipv6: "
		 "{addresses: \"",
		 "\"}}]\n",
		 {"", "2001:db8::1", "2001:db8::1/129", "::/64", "::1/128", "ff02::1/64",
		  "192.0.2.1/24"},
		 {"2001:db8::10/64", "2001:db8::/64", "fe80::5/64"}},
		{"version: 1\nnetworks: [{name: n, subnet: \"",
		 "\"}]\n",
		 {"", "192.168.122.0", "192.168.122.1/24", "192.168.122.0/31", "10.0.0.0/7",
		  "2001:db8::/64", "127.0.0.0/8", "240.0.0.0/8", "192.168.122.0/+24"},
		 {"192.168.122.0/24", "10.0.0.0/8", "192.0.2.4/30"}},
		{"version: 1\nnetworks: [{forward: isolated, name: \"",
		 "\"}]\n",
		 {"", "a/b", ".", "..", " a", "a\\nb", "a\\x7f", "a\\u202e"},
		 {"default", "my network", "Gäste"}},
		{"version: 1\nnetworks: [{name: n, subnet: 192.0.2.0/24, bridge: \"",
		 "\"}]\n",
		 {"", "a b", "0123456789abcdef", "all"},
		 {"virbr7", "guests0"}},
		{"version: 1\nnetworks: [{name: n, subnet: 192.0.2.0/24, domain: \"",
		 "\"}]\n",
		 {"", ".", "a..b", "a.", "-a", "a-", "a_b", "a b", "g\\u00e4ste",
		  "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"},
		 {"lan", "guests.example.com", "1and1.example",
		  "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcde"}},
		{"version: 1\nnetworks: [{name: n, subnet: 192.0.2.0/24, dhcp: {hosts: {mac: "
		 "\"00:00:5e:00:53:01\", ip: 192.0.2.9, name: \"",
		 "\"}}}]\n",
		 {"", "1st", "a_b", "-a", "a/b"},
		 {"web", "web.example.com", "w1"}},
		{"version: 1\nnetworks: [{name: n, subnet: 192.0.2.0/24, dhcp: {hosts: {ip: "
		 "192.0.2.9, mac: \"",
		 "\"}}}]\n",
		 {"", "00:00:5e:00:53", "01:00:5e:00:53:01"},
		 {"00:00:5e:00:53:01", "00:00:5E:00:53:AF"}},
		{"version: 1\nnetworks: [{name: n, subnet: 192.0.2.0/24, dhcp: {hosts: {mac: "
		 "\"00:00:5e:00:53:01\", ip: \"",
		 "\"}}}]\n",
		 {"", "192.0.2", "192.0.2.0", "192.0.2.1", "192.0.2.255", "192.0.3.2",
		  "192.0.1.255", "2001:db8::5", "192.0.2.9/24"},
		 {"192.0.2.2", "192.0.2.254"}},
		{"version: 1\nnetworks: [{name: n, subnet: 192.0.2.0/24, dhcp: {ranges: {end: "
		 "192.0.2.254, start: \"",
		 "\"}}}]\n",
		 {"", "192.0.2.0", "192.0.2.1", "192.0.2.255", "192.0.3.2", "2001:db8::5"},
		 {"192.0.2.2", "192.0.2.254"}},
		{"version: 1\nnetworks: [{name: n, subnet: 192.0.2.0/24, dns: {forwarders: \"",
		 "\"}}]\n",
		 {"", "dns.example", "192.0.2.1/24", "ff02::1"},
		 {"192.0.2.53", "2001:db8::53"}},
		{"version: 1\nnetworks: [{name: n, subnet: 192.0.2.0/24, dns: {hosts: {ip: "
		 "192.0.2.1, names: \"",
		 "\"}}}]\n",
		 {"", "a_b", "a b"},
		 {"db", "db.example.com"}},
		{"version: 1\nnetworks: [{name: n, subnet: 192.0.2.0/24, dhcp: \"",
		 "\"}]\n",
		 {"none", "yes"},
		 {NULL}},
		{"version: 1\npools: [{name: p, type: dir, target: \"",
		 "\"}]\n",
		 {"", "srv", "/srv/../etc", "/srv/./a", "//srv", "/srv/", "/srv//a", "/srv/a\\n",
		  "/", "/etc/iso", "/var/lib", "/usr", "/dev/shm/x", "/boot"},
		 {"/srv/iso", "/var/lib/libvirt/images", "/srv/..a", "/etcetera", "/home/images"}},
		{"version: 1\npools: [{name: p, type: fs, target: /srv/p, disks: {path: \"",
		 "\"}}]\n",
		 {"", "/srv/disk", "/dev/../srv/x", "sda", "/dev/", "/device"},
		 {"/dev/sda", "/dev/disk/by-path/pci-0000:00:1f.2-ata-1"}},
		{"version: 1\npools: [{name: p, type: fs, target: /srv/p, disks: {wwid: \"",
		 "\"}}]\n",
		 {"", " a", "a ", "a\\tb"},
		 {"eui.0025388b00000001", "t10.ATA     QEMU HARDDISK   QB0001"}},
		{"version: 1\npools: [{type: fs, target: /srv/p, disks: {serial: QB0001}, name: \"",
		 "\"}]\n",
		 {"", "a b", "-a", ".a", "g\\u00e4ste", "a/b", "0123456789abcdef01234567", "a:b"},
		 {"images", "0123456789abcdef0123456", "a.b_c+d-e"}},
		{"version: 1\npools: [{name: p, type: fs, target: /srv/p, disks: {match: "
		 "{transport: \"",
		 "\"}}}]\n",
		 {"", "s ata"},
		 {"nvme"}},
		{"version: 1\nkvm: {modules: [\"",
		 "\"]}\n",
		 {"", "../evil", "a b", "kvm.ko", "kvm\\n",
		  "0123456789012345678901234567890123456789012345678901234567"},
		 {"vhost_net", "vhost-net"}},
		{"version: 1\nchecks: {ignore: \"",
		 "\"}\n",
		 {"", "iommu", "iommu.", ".enabled", "iommu.Enabled", "iommu.a--b", "iommu.-a",
		  "iommu.a-", "a b.c", "a.b.c"},
		 {"iommu.enabled", "cpu.virtualization", "kvm.guest-run"}},
		{"version: 1\ndomains: \"",
		 "\"\n",
		 {"", "domains.d", "/etc/../x"},
		 {"/etc/qubi-agent/domains.d"}},
	};

	(void)state;
	for (size_t i = 0; i < QB_ARRAY_SIZE(cases); i++) {
		for (size_t j = 0; j < QB_ARRAY_SIZE(cases[i].bad) && cases[i].bad[j]; j++) {
			_cleanup_diags_ struct qb_diags diags = {0};
			_cleanup_config_ struct qb_config c = {0};
			_cleanup_free_ char *text = qb_asprintf("%s%s%s", cases[i].before,
								cases[i].bad[j], cases[i].after);
			const char *line = strchr(cases[i].before, '\n') + 1;

			if (parse(text, &c, &diags) != -EINVAL)
				fail_msg("accepted: %s", text);
			if (diags.n != 1)
				fail_msg("%zu errors: %s\n%s", diags.n, text, diags.v[1].msg);
			assert_int_equal(diags.v[0].line, 2);
			/* At the value; of a list of texts, where the list stands. */
			assert_in_range(diags.v[0].column, 1, strlen(line));
		}
		for (size_t j = 0; j < QB_ARRAY_SIZE(cases[i].good) && cases[i].good[j]; j++) {
			_cleanup_diags_ struct qb_diags diags = {0};
			_cleanup_config_ struct qb_config c = {0};
			_cleanup_free_ char *text = qb_asprintf("%s%s%s", cases[i].before,
								cases[i].good[j], cases[i].after);

			if (parse(text, &c, &diags) < 0)
				fail_msg("%s: %s", text, diags.v[0].msg);
		}
	}
}

/* The first line is "version: 1"; the text begins in line 2. */
static void parts_that_do_not_go_together(void **state)
{
	static const struct {
		const char *text;
		unsigned line, column;
		const char *msg;
	} cases[] = {
		{"bridges:\n- {name: br0, ports: [{mac: '00:00:5e:00:53:01', name: a}]}\n", 3, 23,
		 "a port is named by exactly one of match, mac, path, name, driver and speed; mac "
		 "and name are here"},
		{"bridges:\n- {name: br0, ports: [{}]}\n", 3, 23,
		 "a port is named by exactly one of match, mac, path, name, driver and speed; none "
		 "is "
		 "here"},
		{"bridges:\n- {name: br0, ports: {name: a}, pvid: 5}\n", 3, 39,
		 "\"pvid\" means something on a bridge with vlan-filtering: true"},
		{"bridges:\n- {name: br0, ports: {name: a, tagged: [10]}}\n", 3, 32,
		 "\"tagged\" means something on a bridge with vlan-filtering: true"},
		{"bridges:\n- {name: br0, ports: {name: a, pvid: 0}}\n", 3, 38,
		 "\"pvid\" means something on a bridge with vlan-filtering: true"},
		{"bridges:\n- {name: br0, vlan-filtering: true, ports: {name: a, pvid: 5, "
		 "tagged: [4-6]}}\n",
		 3, 63,
		 "VLAN 5 is the one of frames without a tag there (pvid), and cannot be tagged, "
		 "too"},
		{"bridges:\n- {name: br0, vlan-filtering: true, pvid: 5, ports: {name: a, "
		 "tagged: 5}}\n",
		 3, 71,
		 "VLAN 5 is the one of frames without a tag there (pvid), and cannot be tagged, "
		 "too"},
		{"bonds:\n- {name: b, ports: {name: a, pvid: 5}}\n", 3, 30,
		 "unknown key \"pvid\"; what can stand here: match, mac, path, name, driver and "
		 "speed"},
		{"bonds:\n- {name: b, ports: []}\n", 3, 13, "a bond needs at least one port"},
		{"bonds:\n- {name: b, ports: {name: a}}\nbridges:\n- {name: b, ports: []}\n", 3, 10,
		 "b is a bridge of this file, too"},
		{"bonds:\n- {name: b, ports: {name: a}}\nvlans:\n"
		 "- {name: b, id: 5, link: c}\n",
		 5, 10, "the link name \"b\" is taken already in line 3"},
		{"bonds:\n- {name: b, ports: {name: a}}\nbridges:\n"
		 "- {name: br0, ports: {name: a}}\n",
		 3, 27, "the NIC by name \"a\" is taken already in line 5"},
		{"bonds:\n- {name: b, ports: {name: a}}\n- {name: c, ports: {name: b}}\n", 4, 27,
		 "a bond is made of NICs, and b is a link that this file makes"},
		{"bonds:\n- {name: b, ports: {speed: 10G}}\n- {name: c, ports: {speed: 10G}}\n", 4,
		 28, "the NIC by speed \"10G\" is taken already in line 3"},
		{"vlans:\n- {name: v, id: 5, link: a}\n- {name: w, id: 6, link: v}\n", 4, 26,
		 "a VLAN stands on a NIC or on a bond, and v is another link of this file"},
		{"vlans:\n- {name: v, id: 5, link: a}\n- {name: w, id: 5, link: {name: a}}\n", 4,
		 17, "that VLAN is v of this file already"},
		{"vlans:\n- {name: v, id: 5, link: {name: a, driver: d}}\n", 3, 20,
		 "a port is named by exactly one of match, mac, path, name, driver and speed; name "
		 "and driver are here"},
		{"vlans:\n- {name: v, id: 0, link: a}\n", 3, 17,
		 "\"id\" must be from 1 to 4094, not 0"},
		{"vlans:\n- {name: v, id: 4095, link: a}\n", 3, 17,
		 "\"id\" must be from 1 to 4094, not 4095"},
		{"vlans:\n- {name: br0, id: 5, link: a}\nbridges:\n- {name: br0, ports: []}\n", 3,
		 10, "br0 is a bridge of this file, too"},
		{"bridges:\n- {name: br0, ports: [], ipv4: dhcp}\n", 3, 32,
		 "dhcp asks through a port, and this bridge has none"},
		{"bridges:\n- {name: br0, ports: [], ipv4: {addresses: [192.0.2.1/24], "
		 "gateway: 192.0.2.2}}\n",
		 3, 69,
		 "the gateway 192.0.2.2 is reached through a port, and this bridge has none"},
		{"bridges:\n- name: br0\n", 3, 3, "bridges[0]: \"ports\" is missing"},
		{"bridges:\n- {name: br0, ports: {name: a}}\n- {name: br1, ports: {name: a}}\n", 4,
		 29, "the NIC by name \"a\" is taken already in line 3"},
		{"bridges:\n- {name: br0, ports: [{mac: '00:00:5e:00:53:0a'},\n"
		 "    {mac: '00:00:5E:00:53:0A'}]}\n",
		 4, 11, "the NIC by mac \"00:00:5E:00:53:0A\" is taken already in line 3"},
		{"bridges:\n- {name: br0, ports: {match: default-route}}\n"
		 "- {name: br1, ports: {match: default-route}}\n",
		 4, 30, "the NIC by match \"default-route\" is taken already in line 3"},
		{"bridges:\n- {name: br0, ports: {path: p}}\n- {name: br1, ports: {path: p}}\n", 4,
		 29, "the NIC by path \"p\" is taken already in line 3"},
		{"bridges:\n- {name: br0, ports: {driver: d}}\n- {name: br1, ports: {driver: d}}\n",
		 4, 31, "the NIC by driver \"d\" is taken already in line 3"},
		{"bridges:\n- {name: br0, ports: {name: a}}\n- {name: br0, ports: {name: b}}\n", 4,
		 10, "the bridge name \"br0\" is taken already in line 3"},
		{"bridges:\n- {name: br0, ports: {name: a}}\n- {name: br0-port-1, ports: []}\n", 4,
		 10, "br0-port-1 would have the same file as a port of br0: give it another name"},
		{"bonds:\n- {name: b, ports: {name: a}}\nvlans:\n- {name: b-1, id: 5, link: c}\n",
		 5, 10, "b-1 would have the same file as a port of b: give it another name"},
		{"bridges:\n- {name: br0, ports: {name: a}}\n- {name: br1, ports: {name: br0}}\n",
		 4, 29, "br0 is a bridge of this file, not a NIC"},
		{"bridges:\n- {name: br0, ports: {name: a}, libvirt-network: x}\n"
		 "networks:\n- {name: x, forward: isolated}\n",
		 5, 10, "the libvirt network name \"x\" is taken already in line 3"},
		{"networks:\n- {name: x, forward: isolated}\n- {name: x, forward: isolated}\n", 4,
		 10, "the libvirt network name \"x\" is taken already in line 3"},
		{"bridges:\n- {name: br0, ports: {name: a},\n   ipv4: static}\n", 4, 10,
		 "\"ipv4\" has no addresses: write ipv4: {addresses: [192.0.2.10/24], gateway: "
		 "192.0.2.1}"},
		{"bridges:\n- {name: br0, ports: {name: a},\n   ipv6: {gateway: '2001:db8::1'}}\n",
		 4, 4,
		 "\"ipv6\" has no addresses: write ipv6: {addresses: [\"2001:db8::10/64\"], "
		 "gateway: \"2001:db8::1\"}"},
		{"bridges:\n- {name: br0, ports: {name: a},\n   ipv4: {addresses: "
		 "['2001:db8::10/64']}}\n",
		 4, 11, "2001:db8::10/64 is not an IPv4 address"},
		{"bridges:\n- {name: br0, ports: {name: a},\n   ipv4: {addresses: "
		 "[192.0.2.10/24],\n"
		 "   gateway: 198.51.100.1}}\n",
		 5, 13, "the gateway 198.51.100.1 is in none of the networks of the addresses"},
		{"bridges:\n- {name: br0, ports: {name: a},\n   ipv4: {addresses: "
		 "[192.0.2.10/24],\n"
		 "   gateway: 192.0.2.10}}\n",
		 5, 13, "the gateway 192.0.2.10 is the host's own address"},
		{"bridges:\n- {name: br0, ports: {name: a},\n   ipv4: {addresses: "
		 "[192.0.2.10/24],\n"
		 "   gateway: 'fe80::1'}}\n",
		 5, 13, "the gateway fe80::1 is not an IPv4 address"},
		{"bridges:\n- {name: br0, ports: {name: a}, ipv4: {addresses: 192.0.2.10/24}}\n"
		 "- {name: br1, ports: {name: b},\n   ipv4: {addresses: 192.0.2.10/24}}\n",
		 5, 22, "the address \"192.0.2.10/24\" is taken already in line 3"},
		{"networks:\n- name: x\n", 3, 3,
		 "a network with forward: nat needs a subnet, like 192.168.122.0/24"},
		{"networks:\n- {name: x, forward: route}\n", 3, 3,
		 "a network with forward: route needs a subnet, like 192.168.122.0/24"},
		{"networks:\n- {name: x, forward: open}\n", 3, 3,
		 "a network with forward: open needs a subnet, like 192.168.122.0/24"},
		{"networks:\n- {name: x, subnet: 10.0.0.0/8}\n- {name: y, subnet: 10.1.0.0/16}\n",
		 4, 21, "the subnet 10.1.0.0/16 overlaps with 10.0.0.0/8 in line 3"},
		{"bridges:\n- {name: br0, ports: {name: a}, ipv4: {addresses: 192.0.2.10/24}}\n"
		 "networks:\n- {name: x, subnet: 192.0.0.0/16}\n",
		 5, 21,
		 "the subnet 192.0.0.0/16 overlaps with the bridge address 192.0.2.10/24 in line "
		 "3"},
		{"networks:\n- {name: x, forward: isolated, dhcp: true}\n", 3, 38,
		 "\"dhcp\" is served from the host's address on the network, which needs a "
		 "subnet"},
		{"networks:\n- {name: x, subnet: 192.0.2.0/24, dhcp: none}\n", 3, 41,
		 "\"enabled\" must be true or false, not \"none\""},
		{"networks:\n- {name: x, forward: isolated,\n   domain: x.example}\n", 4, 12,
		 "\"domain\" is served from the host's address on the network, which needs a "
		 "subnet"},
		{"networks:\n- {name: x, forward: isolated,\n   dns: {forwarders: []}}\n", 4, 4,
		 "\"dns\" is served from the host's address on the network, which needs a subnet"},
		{"networks:\n- {name: x, subnet: 192.0.2.0/24,\n   dhcp: {ranges: [{start: "
		 "192.0.2.1, end: 192.0.2.9}]}}\n",
		 4, 28, "192.0.2.1 is the host's own address on the network"},
		{"networks:\n- {name: x, subnet: 192.0.2.0/24,\n   dhcp: {ranges: [{start: "
		 "192.0.2.2, end: 192.0.2.255}]}}\n",
		 4, 44, "192.0.2.255 is the broadcast address of the subnet 192.0.2.0/24"},
		{"networks:\n- {name: x, subnet: 192.0.2.0/24,\n   dhcp: {ranges: [{start: "
		 "192.0.2.0, end: 192.0.2.9}]}}\n",
		 4, 28, "192.0.2.0 is the network's own address of the subnet 192.0.2.0/24"},
		{"networks:\n- {name: x, subnet: 192.0.2.0/24,\n   dhcp: {ranges: [{start: "
		 "192.0.2.2, end: 192.0.3.9}]}}\n",
		 4, 44, "192.0.3.9 is not in the subnet 192.0.2.0/24"},
		{"networks:\n- {name: x, subnet: 192.0.2.0/24,\n   dhcp: {ranges: [{start: "
		 "192.0.2.9, end: 192.0.2.8}]}}\n",
		 4, 44, "the range ends at 192.0.2.8, before it begins"},
		{"networks:\n- {name: x, subnet: 192.0.2.0/24,\n   dhcp: {ranges: [{start: "
		 "192.0.2.5, end: 192.0.2.9},\n     {start: 192.0.2.9, end: 192.0.2.12}]}}\n",
		 5, 14, "the range overlaps with that in line 4"},
		{"networks:\n- {name: x, subnet: 192.0.2.0/24,\n   dhcp: {ranges: [{start: "
		 "192.0.2.5}]}}\n",
		 4, 20, "ranges[0]: \"end\" is missing"},
		{"networks:\n- {name: x, subnet: 192.0.2.0/24,\n   dhcp: {hosts: [{mac: "
		 "'00:00:5e:00:53:0a', ip: 192.0.2.9},\n     {mac: '00:00:5E:00:53:0A', ip: "
		 "192.0.2.8}]}}\n",
		 5, 12, "the MAC \"00:00:5E:00:53:0A\" is taken already in line 4"},
		{"networks:\n- {name: x, subnet: 192.0.2.0/24,\n   dhcp: {hosts: [{mac: "
		 "'00:00:5e:00:53:01', ip: 192.0.2.9},\n     {mac: '00:00:5e:00:53:02', ip: "
		 "192.0.2.9}]}}\n",
		 5, 37, "the address \"192.0.2.9\" is taken already in line 4"},
		{"networks:\n- {name: x, subnet: 192.0.2.0/24,\n   dhcp: {hosts: [{mac: "
		 "'00:00:5e:00:53:01', ip: 192.0.2.9, name: web},\n     {mac: "
		 "'00:00:5e:00:53:02', ip: 192.0.2.8, name: Web}]}}\n",
		 5, 54, "the name \"Web\" is taken already in line 4"},
		{"networks:\n- {name: x, subnet: 192.0.2.0/24,\n   dhcp: {hosts: [{ip: "
		 "192.0.2.9}]}}\n",
		 4, 19, "hosts[0]: \"mac\" is missing"},
		{"networks:\n- {name: x, subnet: 192.0.2.0/24,\n   dns: {hosts: [{ip: "
		 "'2001:db8::1', names: a},\n     {ip: '2001:db8:0::1', names: b}]}}\n",
		 5, 11, "the address \"2001:db8::1\" is taken already in line 4"},
		{"networks:\n- {name: x, subnet: 192.0.2.0/24,\n   dns: {hosts: [{ip: 192.0.2.5, "
		 "names: [a, b]},\n     {ip: 192.0.2.6, names: [c, b]}]}}\n",
		 5, 22, "the name \"b\" is taken already in line 4"},
		{"networks:\n- {name: x, subnet: 192.0.2.0/24,\n   dns: {hosts: [{ip: 192.0.2.5, "
		 "names: []}]}}\n",
		 4, 34, "an address needs at least one name"},
		{"networks:\n- {name: x, subnet: 192.0.2.0/24,\n   dns: {forwarders: [192.0.2.5,\n"
		 "     192.0.2.5]}}\n",
		 5, 6, "the forwarder 192.0.2.5 is listed twice"},
		{"networks:\n- {name: x, subnet: 192.0.2.0/24, domain: {local-only: true}}\n", 3,
		 35, "domain: \"name\" is missing"},
		{"networks:\n- {name: x, subnet: 192.0.2.0/24, bridge: b}\n"
		 "- {name: y, subnet: 198.51.100.0/24, bridge: b}\n",
		 4, 46, "the bridge name \"b\" is taken already in line 3"},
		{"bridges:\n- {name: br0, ports: {name: a}}\n"
		 "networks:\n- {name: y, subnet: 198.51.100.0/24, bridge: br0}\n",
		 5, 46, "the bridge name \"br0\" is taken already in line 3"},
		{"bonds:\n- {name: bond0, ports: [{name: a}]}\n"
		 "networks:\n- {name: y, subnet: 198.51.100.0/24, bridge: bond0}\n",
		 5, 46, "bond0 is a link that this file makes, too"},
		{"vlans:\n- {name: v, link: {name: a}, id: 7}\n"
		 "networks:\n- {name: y, subnet: 198.51.100.0/24, bridge: v}\n",
		 5, 46, "v is a link that this file makes, too"},
		{"pools:\n- {name: p, type: dir}\n", 3, 3,
		 "a pool of type dir needs a target, its directory"},
		{"pools:\n- {name: p, type: dir, target: /srv/p, disks: {serial: QB0001}}\n", 3, 40,
		 "a pool of type dir takes no disks; use fs or logical"},
		{"pools:\n- {name: p, type: fs, disks: {serial: QB0001}}\n", 3, 3,
		 "a pool of type fs needs a target, the directory it is mounted on"},
		{"pools:\n- {name: p, type: fs, target: /srv/p}\n", 3, 3,
		 "a pool of type fs needs a disk: disks: {wwid: ...}"},
		{"pools:\n- {name: p, type: fs, target: /srv/p, disks: []}\n", 3, 3,
		 "a pool of type fs needs a disk: disks: {wwid: ...}"},
		{"pools:\n- {name: p, type: fs, target: /srv/p,\n   disks: [{serial: QB0001}, "
		 "{serial: "
		 "QB0002}]}\n",
		 4, 4, "a pool of type fs stands on one disk; use logical for more"},
		{"pools:\n- {name: p, type: fs, target: /srv/p,\n   disks: {match: {min-size: 1}, "
		 "count: 2}}\n",
		 4, 4, "a pool of type fs stands on one disk; use logical for more"},
		{"pools:\n- {name: p, type: fs, target: /srv/p, disks: {serial: QB0001},\n"
		 "   volume-group: g}\n",
		 4, 18, "only a pool of type logical has a volume group"},
		{"pools:\n- {name: p, type: dir, target: /srv/p,\n   format: ext4}\n", 4, 12,
		 "only a pool of type fs has a format"},
		{"pools:\n- {name: p, type: dir, target: /srv/p,\n   mode: 1777}\n", 4, 10,
		 "\"mode\": \"1777\" is not an octal mode up to 0777, like 0711"},
		{"pools:\n- {name: p, type: dir, target: /srv/p,\n   owner: 4294967295}\n", 4, 11,
		 "\"owner\": \"4294967295\" is not the number of a user or group, like 107"},
		{"pools:\n- {name: p, type: logical,\n   group: 36}\n", 4, 11,
		 "a pool of type logical has no target, and so no mode, owner or group of it"},
		{"pools:\n- {name: p, type: logical,\n   volume-group: .g}\n", 4, 18,
		 "the name of a volume group has at most 127 letters, digits and _ . + -, and does "
		 "not begin with - or ."},
		{"pools:\n- {name: g, type: logical}\n- {name: q, type: logical,\n"
		 "   volume-group: g}\n",
		 5, 18, "the volume group \"g\" is taken already in line 3"},
		{"pools:\n- {name: p, type: dir, target: /srv/p,\n   volumes: [{name: v, size: "
		 "1GiB, target: /srv/v}]}\n",
		 4, 4, "only a pool of type logical has volumes"},
		{"pools:\n- name: p\n  type: logical\n  volumes:\n  - {name: v, size: 50%, target: "
		 "/srv/v}\n",
		 6, 21,
		 "\"size\": \"50%\" is not a size: 100GiB, 50%VG of the group, or 100%FREE of what "
		 "is free in it"},
		{"pools:\n- name: p\n  type: logical\n  volumes:\n  - {name: v, size: 299MiB, "
		 "target: /srv/v}\n",
		 6, 21, "an XFS needs at least 300 MiB"},
		{"pools:\n- name: p\n  type: logical\n  volumes:\n  - {name: v, size: 60%VG, "
		 "target: /srv/v}\n  - {name: w, size: 60%VG, target: /srv/w}\n",
		 7, 21, "the volumes have 120% of the group by now"},
		{"pools:\n- name: p\n  type: logical\n  volumes:\n  - {name: v, size: 100%FREE, "
		 "target: /srv/v}\n  - {name: w, size: 1GiB, target: /srv/w}\n",
		 7, 21, "the volume v takes all that is left before (line 6)"},
		{"pools:\n- name: p\n  type: logical\n  volumes:\n  - {name: \"-v\", size: 1GiB, "
		 "target: /srv/v}\n",
		 6, 12,
		 "the name of a volume has letters, digits and _ . + - only, does not begin with "
		 "-, ., snapshot or pvmove, and has no ending that LVM uses, such as _mlog"},
		{"pools:\n- name: p\n  type: logical\n  volumes:\n  - {name: \".v\", size: 1GiB, "
		 "target: /srv/v}\n",
		 6, 12,
		 "the name of a volume has letters, digits and _ . + - only, does not begin with "
		 "-, ., snapshot or pvmove, and has no ending that LVM uses, such as _mlog"},
		{"pools:\n- name: p\n  type: logical\n  volumes:\n  - {name: \"a b\", size: 1GiB, "
		 "target: /srv/v}\n",
		 6, 12,
		 "the name of a volume has letters, digits and _ . + - only, does not begin with "
		 "-, ., snapshot or pvmove, and has no ending that LVM uses, such as _mlog"},
		{"pools:\n- name: p\n  type: logical\n  volumes:\n  - {name: \"snapshot1\", size: "
		 "1GiB, target: /srv/v}\n",
		 6, 12,
		 "the name of a volume has letters, digits and _ . + - only, does not begin with "
		 "-, ., snapshot or pvmove, and has no ending that LVM uses, such as _mlog"},
		{"pools:\n- name: p\n  type: logical\n  volumes:\n  - {name: \"pvmove0\", size: "
		 "1GiB, target: /srv/v}\n",
		 6, 12,
		 "the name of a volume has letters, digits and _ . + - only, does not begin with "
		 "-, ., snapshot or pvmove, and has no ending that LVM uses, such as _mlog"},
		{"pools:\n- name: p\n  type: logical\n  volumes:\n  - {name: \"v_mlog\", size: "
		 "1GiB, target: /srv/v}\n",
		 6, 12,
		 "the name of a volume has letters, digits and _ . + - only, does not begin with "
		 "-, ., snapshot or pvmove, and has no ending that LVM uses, such as _mlog"},
		{"pools:\n- name: p\n  type: logical\n  volumes:\n  - {name: \"v_rimage_0\", size: "
		 "1GiB, target: /srv/v}\n",
		 6, 12,
		 "the name of a volume has letters, digits and _ . + - only, does not begin with "
		 "-, ., snapshot or pvmove, and has no ending that LVM uses, such as _mlog"},
		{"pools:\n- name: p\n  type: logical\n  volumes:\n  - {name: "
		 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa---------------------"
		 "------------, size: 1GiB, target: /srv/v}\n",
		 6, 12,
		 "with that of its group the name has 128 characters, hyphens counted twice; the "
		 "kernel takes 127"},
		{"pools:\n- name: p\n  type: logical\n  volumes:\n  - {name: v, size: 1GiB, "
		 "target: /srv/v}\n  - {name: v, size: 1GiB, target: /srv/w}\n",
		 7, 12, "the volume \"v\" is taken already in line 6"},
		{"pools:\n- name: p\n  type: logical\n  volumes:\n  - {name: v, size: 1GiB, "
		 "target: /srv/v}\n  - {name: w, size: 1GiB, target: /srv/v}\n",
		 7, 35, "the mount point \"/srv/v\" is taken already in line 6"},
		{"pools:\n- name: p\n  type: logical\n  volumes:\n  - {name: v, size: 1GiB, "
		 "target: /srv/v}\n  - {name: w, size: 1GiB, target: /srv/v/w}\n",
		 7, 35, "it and /srv/v lie one in the other"},
		{"pools:\n- name: p\n  type: logical\n  volumes:\n  - {name: v, size: 1GiB, "
		 "target: /usr/v}\n",
		 6, 35, "/usr/v belongs to the system; a pool needs a directory of its own"},
		{"pools:\n- name: p\n  type: logical\n  volumes:\n  - {name: v, size: 1GiB, "
		 "target: srv}\n",
		 6, 35,
		 "\"target\": \"srv\" is not an absolute path without \"//\", \".\" and \"..\""},
		{"pools:\n- name: p\n  type: logical\n  volumes:\n  - {name: v, size: 1GiB, "
		 "target: /srv/p/v}\n- {name: d, type: dir, target: /srv/p}\n",
		 6, 35, "it and the target /srv/p (line 7) hide or hold one another"},
		{"pools:\n- name: p\n  type: logical\n  volumes:\n  - {name: v, size: 1GiB, "
		 "target: /srv/v}\n- {name: d, type: fs, disks: {serial: QB0001}, target: "
		 "/srv/v}\n",
		 6, 35, "it and the target /srv/v (line 7) hide or hold one another"},
		{"pools:\n- {name: p, type: logical, disks: {serial: QB0001},\n   target: "
		 "/srv/p}\n",
		 4, 12, "a pool of type logical has no target; its volumes are devices"},
		{"pools:\n- name: p\n  target: /srv/p\n", 3, 3, "pools[0]: \"type\" is missing"},
		{"pools:\n- {name: p, type: logical,\n   disks: [{serial: QB0001, wwid: naa.5}]}\n",
		 4, 12,
		 "a disk is named by exactly one of wwid, serial, path and match; wwid and serial "
		 "are here"},
		{"pools:\n- {name: p, type: logical,\n   disks: [{}]}\n", 4, 12,
		 "a disk is named by exactly one of wwid, serial, path and match; none is here"},
		{"pools:\n- {name: p, type: logical,\n   disks: [{serial: QB0001, count: 1}]}\n", 4,
		 36, "count goes with match only"},
		{"pools:\n- {name: p, type: logical,\n   disks: [{match: {}}]}\n", 4, 13,
		 "a match names at least one of min-size, max-size, rotational, transport, "
		 "model and slot"},
		{"pools:\n- {name: p, type: logical,\n   disks: [{match: {min-size: 2GiB,\n"
		 "     max-size: 1GiB}}]}\n",
		 5, 16, "max-size is less than min-size"},
		{"pools:\n- {name: p, type: logical,\n   disks: {match: {min-size: 1}, count: "
		 "0}}\n",
		 4, 41, "\"count\": \"0\" is not a number from 1 to 1000, or all"},
		{"pools:\n- {name: p, type: logical, disks: {wwid: naa.5a}}\n"
		 "- {name: q, type: logical, disks: {wwid: naa.5A}}\n",
		 4, 42, "the disk by wwid \"naa.5A\" is taken already in line 3"},
		{"pools:\n- {name: p, type: logical, disks: [{serial: QB0001},\n   {serial: "
		 "QB0001}]}\n",
		 4, 13, "the disk by serial \"QB0001\" is taken already in line 3"},
		{"pools:\n- {name: p, type: logical, disks: {path: /dev/vdb}}\n"
		 "- {name: q, type: logical, disks: {path: /dev/vdb}}\n",
		 4, 42, "the disk by path \"/dev/vdb\" is taken already in line 3"},
		{"pools:\n- {name: p, type: dir, target: /srv/p}\n"
		 "- {name: p, type: dir, target: /srv/q}\n",
		 4, 10, "the pool name \"p\" is taken already in line 3"},
		{"pools:\n- {name: p, type: dir, target: /srv/p}\n"
		 "- {name: q, type: dir, target: /srv/p}\n",
		 4, 32, "the target \"/srv/p\" is taken already in line 3"},
		{"pools:\n- {name: p, type: dir, target: /srv/p/q}\n"
		 "- {name: q, type: dir, target: /srv/p}\n",
		 4, 32, "the targets /srv/p and /srv/p/q (line 3) lie one in the other"},
		{"pools:\n- {name: p, type: dir, target: /srv/p}\n"
		 "- {name: q, type: dir, target: /srv/p/q}\n",
		 4, 32, "the targets /srv/p/q and /srv/p (line 3) lie one in the other"},
		{"pools:\n- {name: p, type: dir, target: /etc/p}\n", 3, 32,
		 "/etc/p belongs to the system; a pool needs a directory of its own"},
		{"kvm:\n  modules: [vhost_net, vhost-net]\n", 3, 3,
		 "module \"vhost-net\" is listed twice"},
		{"bridges:\n- {name: br0, ports: {name: a}, ipv6: {addresses: "
		 "[\"2001:db8::10/64\", \"2001:db8:0::10/64\"]}}\n",
		 3, 40, "the address \"2001:db8::10/64\" is taken already in line 3"},
		{"poools: []\n", 2, 1, "unknown key \"poools\"; did you mean \"pools\"?"},
		/* What seems to be missing is only misspelt. */
		{"pools:\n- {name: p, type: dir, targte: /srv/p}\n", 3, 24,
		 "unknown key \"targte\"; did you mean \"target\"?"},
		{"bridges:\n- {name: br0, ports: [{nmae: a}]}\n", 3, 24,
		 "unknown key \"nmae\"; did you mean \"name\"?"},
		{"networks:\n- {name: x, sbunet: 10.0.0.0/8}\n", 3, 13,
		 "unknown key \"sbunet\"; did you mean \"subnet\"?"},
		/* A value that is refused is not missing. */
		{"pools:\n- {name: p, type: dir, target: 5}\n", 3, 32,
		 "\"target\": \"5\" is not an absolute path without \"//\", \".\" and \"..\""},
		{"pools:\n- {name: p, type: drr, target: /srv/p}\n", 3, 19,
		 "\"type\": \"drr\" is not known; did you mean \"dir\"?"},
		{"networks:\n- {name: x, forward: isolatde}\n", 3, 22,
		 "\"forward\": \"isolatde\" is not known; did you mean \"isolated\"?"},
		{"bridges:\n- {name: br0, ports: {name: a}, ipv4: dhpc}\n", 3, 39,
		 "\"mode\": \"dhpc\" is not known; did you mean \"dhcp\"?"},
	};

	(void)state;
	for (size_t i = 0; i < QB_ARRAY_SIZE(cases); i++) {
		_cleanup_config_ struct qb_config c = {0};
		_cleanup_diags_ struct qb_diags diags = {0};
		_cleanup_free_ char *text = qb_asprintf("version: 1\n%s", cases[i].text);

		assert_int_equal(parse(text, &c, &diags), -EINVAL);
		if (diags.n != 1 || strcmp(diags.v[0].msg, cases[i].msg) != 0 ||
		    diags.v[0].line != cases[i].line || diags.v[0].column != cases[i].column)
			fail_msg("%s\n%zu errors; %u:%u: %s\nwanted %u:%u: %s", text, diags.n,
				 diags.v[0].line, diags.v[0].column, diags.v[0].msg, cases[i].line,
				 cases[i].column, cases[i].msg);
	}
}

/* One spelling, the kernel's: names and addresses are compared with facts as they stand. */
static void spellings_become_one(void **state)
{
	static const char text[] =
		"version: 1\nkvm: {modules: [vhost-net]}\nbridges:\n"
		"- name: br0\n  ports: {mac: \"00:00:5E:00:53:0A\"}\n"
		"  ipv6: {addresses: [\"2001:DB8:0::10/64\"], gateway: \"2001:db8:0:0::0001\"}\n";
	_cleanup_diags_ struct qb_diags diags = {0};
	_cleanup_config_ struct qb_config c = {0};

	(void)state;
	assert_int_equal(parse(text, &c, &diags), 0);
	assert_string_equal(c.kvm.modules.v[0], "vhost_net");
	assert_string_equal(c.bridges[0].ports[0].mac, "00:00:5e:00:53:0a");
	assert_string_equal(c.bridges[0].ipv6.addresses.v[0], "2001:db8::10/64");
	assert_string_equal(c.bridges[0].ipv6.gateway, "2001:db8::1");
}

/* A key that is not given is not compared with what libvirt has, one that says "none" is. */
static void what_is_given_is_known(void **state)
{
	static const struct {
		const char *text;
		bool ranges, hosts, forwarders, records;
	} cases[] = {
		{"", false, false, false, false},
		{", dhcp: false", true, true, false, false},
		{", dhcp: true", true, false, false, false},
		{", dhcp: {}", false, false, false, false},
		{", dhcp: {ranges: []}", true, false, false, false},
		{", dhcp: {hosts: []}", false, true, false, false},
		{", dns: {forwarders: []}", false, false, true, false},
		{", dns: {hosts: []}", false, false, false, true},
	};

	(void)state;
	for (size_t i = 0; i < QB_ARRAY_SIZE(cases); i++) {
		_cleanup_diags_ struct qb_diags diags = {0};
		_cleanup_config_ struct qb_config c = {0};
		_cleanup_free_ char *text =
			qb_asprintf("version: 1\nnetworks: [{name: n, subnet: 192.0.2.0/24%s}]\n",
				    cases[i].text);

		assert_int_equal(parse(text, &c, &diags), 0);
		assert_int_equal(c.networks[0].dhcp.has_ranges, cases[i].ranges);
		assert_int_equal(c.networks[0].dhcp.has_hosts, cases[i].hosts);
		assert_int_equal(c.networks[0].dns.has_forwarders, cases[i].forwarders);
		assert_int_equal(c.networks[0].dns.has_hosts, cases[i].records);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bad_values_are_refused),
		cmocka_unit_test(parts_that_do_not_go_together),
		cmocka_unit_test(spellings_become_one),
		cmocka_unit_test(what_is_given_is_known),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
