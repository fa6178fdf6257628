#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What a bridge may stand on: nothing, a VLAN, a bond, a NIC of which it lets some VLANs through.

Each is made, is as wanted the second time, and is gone after a rollback, field by field of what
ip(8) and bridge(8) tell. Where the kernel has no VLANs or bonds their cases are skipped.
"""

import json
import os
import subprocess

import qb
import netstate


def ip_says():
    return netstate.of(lambda *words: qb.run(*words).out)


def can_make(*words):
    """Tried in a network namespace of its own."""
    code = subprocess.run(["unshare", "-n", "sh", "-c", "ip link add try0 type veth peer name try1"
                           " && ip link add " + " ".join(words)], check=False,
                          stderr=subprocess.DEVNULL).returncode
    if code:
        raise qb.Skip(f"this kernel cannot make: {' '.join(words)}")


def there_and_back(config, check):
    """check: looks at the host while all is as configured."""
    qb.configure(config)
    before = ip_says()
    qb.agent("apply", "--yes")
    check()
    r = qb.agent("plan", "--format", "json")
    qb.same(r.json()["steps"], [], "steps of a second plan")
    made = ip_says()
    qb.agent("apply", "--yes")
    qb.same(netstate.difference(made, ip_says()), [], "what a second apply changed")
    qb.agent("rollback", "--yes")
    qb.same(netstate.difference(before, ip_says()), [], "not as before")
    for address in ("192.0.2.1", "2001:db8::1"):
        qb.assert_reaches(address)


@qb.case
def a_bridge_without_a_port():
    def check():
        link = json.loads(qb.run("ip", "-j", "-d", "addr", "show", "br0").out)[0]
        qb.same(int(link["address"][:2], 16) & 3, 2, "kind of the MAC address " + link["address"])
        qb.same([a["local"] for a in link["addr_info"] if a["scope"] == "global"],
                ["198.51.100.1", "2001:db8:2::1"], "addresses")
        qb.same(qb.libvirt()["net guests"]["info"][0], "Active: yes", "the network over it")
        macs.add(link["address"])

    macs = set()
    config = """\
version: 1
bridges:
  - name: br0
    ports: []
    ipv4: {addresses: 198.51.100.1/24}
    ipv6: {addresses: "2001:db8:2::1/64"}
    libvirt-network: guests
"""
    there_and_back(config, check)
    there_and_back(config, check)
    qb.same(len(macs), 1, f"MAC addresses of one bridge: {macs}")


def master_of(link):
    return json.loads(qb.run("ip", "-j", "link", "show", link).out)[0].get("master")


@qb.case(disks="blank")
def without_a_tap():
    """Frames of the moment in which the NIC becomes a port may be lost, and nothing else."""
    # In this sandbox's own mounts: the node itself is the machine's.
    qb.run("/bin/mount", "-t", "tmpfs", "none", "/dev/net")
    assert not os.path.exists("/dev/net/tun")

    def check():
        link = json.loads(qb.run("ip", "-j", "addr", "show", "inner").out)[0]
        qb.same([(a["local"], a.get("tentative")) for a in link["addr_info"]
                 if a["scope"] == "global"],
                [("198.51.100.1", None), ("2001:db8:2::1", None)], "addresses")
        qb.same(qb.links()["uplink0"]["master"], "br0", "bridge of the NIC")
        # The kernel takes up to a second to notice the port of a bridge that was on before it.
        assert qb.until(lambda: "state UP" in qb.run("ip", "link", "show", "br0").out, 5)
        for address in ("192.0.2.1", "2001:db8::1"):
            qb.assert_reaches(address)

    there_and_back(qb.BRIDGE_ONLY + """\
  - name: inner
    ports: []
    ipv4: {addresses: 198.51.100.1/24}
    ipv6: {addresses: "2001:db8:2::1/64"}
""", check)


@qb.case
def a_vlan_and_a_bond_are_made_for_a_bridge():
    can_make("link try0 name try2 type vlan id 5")
    can_make("try2 type bond")
    for i in range(2):
        qb.run("ip", "link", "add", f"free{i}", "type", "veth", "peer", "name", f"far{i}")
        qb.run("ip", "link", "set", f"far{i}", "addrgenmode", "none", "up")
        # One that was never on has no queue, which the kernel does not take back.
        qb.run("ip", "link", "set", f"free{i}", "up")
        qb.run("ip", "link", "set", f"free{i}", "down")

    def check():
        qb.same(master_of("free0"), "bond0", "master of a NIC")
        qb.same(master_of("guests"), "br0", "master of the VLAN")

    there_and_back("""\
version: 1
bonds: [{name: bond0, ports: [{name: free0}, {name: free1}]}]
vlans: [{name: guests, id: 5, link: bond0}]
bridges: [{name: br0, ports: [{name: guests}]}]
""", check)


@qb.case
def a_bridge_on_the_nic_and_one_on_its_vlan():
    can_make("link try0 name try2 type vlan id 5")

    def check():
        qb.same(master_of("uplink0"), "br0", "master of the NIC")
        qb.same(master_of("guests"), "br5", "master of its VLAN")
        qb.assert_reaches("192.0.2.1")

    there_and_back("""\
version: 1
vlans: [{name: guests, id: 5, link: {match: default-route}}]
bridges:
  - {name: br0, ports: {match: default-route}}
  - {name: br5, ports: {name: guests}}
""", check)


@qb.case
def a_bridge_that_filters_vlans():
    can_make("try2 type bridge vlan_filtering 1")

    def check():
        vlans = {v["ifname"]: v["vlans"] for v in json.loads(qb.run("bridge", "-j", "vlan").out)}
        qb.same([v["vlan"] for v in vlans["uplink0"]], [1, 10, *range(20, 31)],
                "VLANs of the port")
        qb.assert_reaches("192.0.2.1")

    there_and_back("""\
version: 1
bridges:
  - name: br0
    vlan-filtering: true
    ports: [{match: default-route, tagged: [10, 20-30]}]
""", check)


@qb.case
def what_cannot_be_is_refused_before_anything_is_done():
    before = ip_says()
    qb.configure("version: 1\nbonds: [{name: bond0, ports: {match: default-route}}]\n")
    r = qb.agent("apply", "--yes", code=qb.REFUSED)
    qb.contains(r.out + r.err, ["in-use", "uplink0 has 192.0.2.10/24"], "what is said")
    qb.configure("version: 1\nbridges: [{name: br0, ports: [], ipv4: dhcp}]\n")
    r = qb.agent("apply", "--yes", code=qb.USAGE)
    qb.contains(r.out + r.err, "dhcp asks through a port", "what is said")
    qb.same(netstate.difference(before, ip_says()), [], "what was done")


if __name__ == "__main__":
    qb.main()
