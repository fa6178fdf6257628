# SPDX-License-Identifier: Apache-2.0
"""Bonds, VLANs, and bridges that filter VLANs or have no port: made, owned by NetworkManager after a
reboot, with traffic over each, and gone after a rollback. First, what the kernel that ran the unit
tests may have lacked."""
import json
import time

import cabling
import host
import image
import lab
import netstate
import vm
from lab import expect, expect_status

CONFIG = """\
version: 1
bonds:
  - name: bond0
    mode: 802.3ad
    ports: [{mac: "%s"}, {mac: "%s"}]
  - name: bond1
    ports: [{mac: "%s"}, {mac: "%s"}]
vlans:
  - {name: guests, id: 5, link: bond0}
bridges:
  - name: br0
    ports: {match: default-route}
  - name: br1
    vlan-filtering: true
    pvid: 10
    ports: {name: bond1, pvid: 0, tagged: [10, 20-30]}
    ipv4: none
    ipv6: {addresses: "2001:db8:1::10/64", gateway: "2001:db8:1::1"}
  - name: br5
    ports: {name: guests}
    ipv4: {addresses: 198.51.100.10/25}
    ipv6: none
  - name: inner
    ports: []
    ipv4: {addresses: 198.51.100.129/25}
    ipv6: none
    libvirt-network: inner
""" % tuple(map(cabling.near, range(1, 5)))

# At the other ends a bond that speaks LACP, with VLAN 5, and a switch that has the host's router in
# VLAN 10.
FAR = """\
link add bond0 type bond mode 802.3ad miimon 100
link set far1 master bond0
link set far2 master bond0
link set bond0 up
link add link bond0 name guests type vlan id 5
link set guests up
address add 198.51.100.1/25 dev guests
link add switch type bridge
link set far3 master switch up
link set far4 master switch up
link set switch up
link add link switch name router type vlan id 10
link set router up
address add 2001:db8:1::1/64 dev router nodad"""
ANSWER = ("198.51.100.1", "2001:db8:1::1")


# Two of the NICs have a profile of their own, and are connected.
SPARE = """[connection]
id=spare%d
type=ethernet

[ethernet]
mac-address=%s

[ipv4]
method=disabled

[ipv6]
method=link-local
"""
NETWORKMANAGER = """[main]
no-auto-default=*
"""


def expect_unit(machine):
    """The unit tests that need VLANs, bonds or bridges that filter, with none skipped."""
    for source in sorted((lab.TREE / "tests/unit").glob("test_*.c")):
        if '"test_ports_ns.h"' not in source.read_text():
            continue
        program, stripped = lab.TREE / "build/unit" / source.stem, machine.work / source.stem
        expect(program.exists(), "it is built: make lab", program)
        image.run(["strip", "-o", stripped, program])
        machine.put("/root/unit", stripped, mode=0o755)
        done = machine.run("/root/unit", check=False)
        told = done.out + done.err
        lab.say(f"{source.stem}: {told.count('[       OK ]')} passed in {done.seconds:.1f} s")
        for line in told.splitlines():
            if line.startswith(("seeds ", "IPv")):
                lab.say(f"figure: {line}")
        expect(done.status == 0 and "[       OK ]" in told and "SKIPPED" not in told,
               "all its cases pass here", done)


def links(machine):
    return {link["ifname"]: link for link in json.loads(machine.run("ip", "-d", "-j", "link").out)}


def names(machine):
    """Of the cables' near ends, by number."""
    by_mac = {link.get("permaddr", link["address"]): name for name, link in links(machine).items()
              if "info_kind" not in link.get("linkinfo", {})}
    return [by_mac[cabling.near(number)] for number in range(1, 5)]


def data(link):
    return link["linkinfo"]["info_data"]


def expect_made(machine, uplink):
    uplink.expect_moved(machine, also=[(ANSWER[1], "br1")])
    nics, there = names(machine), links(machine)
    for port, master in zip((*nics, "bond1", "guests"), ("bond0", "bond0", "bond1", "bond1",
                                                         "br1", "br5")):
        expect(there[port].get("master") == master, f"{port} is a port of {master}", there[port])
    bond0, bond1 = data(there["bond0"]), data(there["bond1"])
    expect((bond0["mode"], bond0["ad_info"]["num_ports"]) == ("802.3ad", 2),
           "both NICs are in one aggregator", bond0)
    expect(bond0["ad_info"]["partner_mac"] != "00:00:00:00:00:00", "its partner speaks LACP", bond0)
    expect((bond1["mode"], bond1["active_slave"] in nics[2:]) == ("active-backup", True),
           "one NIC is active", bond1)
    expect((there["guests"]["link"], data(there["guests"])["id"]) == ("bond0", 5),
           "the VLAN is on the bond", there["guests"])
    vlans = {link["ifname"]: link["vlans"]
             for link in json.loads(machine.run("bridge", "-j", "vlan").out)}
    expect(vlans["bond1"] == [{"vlan": v} for v in (10, *range(20, 31))], "VLANs of the port",
           vlans["bond1"])
    expect(vlans["br1"] == [{"vlan": 10, "flags": ["PVID", "Egress Untagged"]}],
           "VLAN of the host", vlans["br1"])
    for address in ANSWER:
        expect_status(machine.run("ping", "-n", "-c", "3", "-i", "0.2", "-w", "15", address,
                                  check=False), 0, f"{address} answers")
    route = json.loads(machine.run("ip", "-6", "-j", "route", "get", "2001:db8:ffff::1").out)[0]
    expect((route["dev"], route["gateway"]) == ("br1", ANSWER[1]), "the way out is over a bond",
           route)
    expect(host.info(machine, "net", "inner")["Active"] == "yes", "the network inside is active")
    status, plan = lab.agent_json(machine, "plan")
    expect((status, plan["steps"], plan["refused"]) == (0, [], []), "the plan is empty",
           f"exit {status}: {json.dumps(plan)}")


def expect_owned(machine, wanted):
    rows = [row.split(":", 2) for row in machine.run(
        "nmcli", "-t", "-f", "DEVICE,STATE,CONNECTION", "device").out.splitlines()]
    for device, state, profile in rows:
        if device in wanted:
            expect(state == "connected" and profile.startswith("qubi-"),
                   f"{device} is NetworkManager's, by our profile", (state, profile))
    expect(set(wanted) <= {row[0] for row in rows}, "NetworkManager knows each", rows)


# Numbers that the kernel gives in turn, and what NetworkManager does its own way: it adds the route
# to a network itself, and looks for duplicates of an address.
NUMBERS = {"ifindex", "id", "no", "designated_port", "cost", "tso_max_size", "noprefixroute", "nodad"}


def says(machine, also=()):
    state = netstate.of(lambda *words: machine.run(*words).out, NUMBERS | set(also))
    # Where a link has no IPv6 at all depends on who made it, and so do the metrics of networks.
    routes = "ip -j -d -6 route show table all"
    state[routes] = netstate.by_name(
        {k: v for k, v in row.items() if k != "metric" or row["protocol"] != "kernel"}
        for row in state[routes].values() if row["type"] != "multicast")
    # NetworkManager takes a bridge that does not filter out of VLAN 1.
    state["bridge -j vlan"].pop("br5", None)
    return state


def wait_for_state(machine, wanted, what, also=()):
    """NetworkManager is not through when it says so."""
    end = time.monotonic() + 60
    while True:
        differs = netstate.difference(wanted, says(machine, also))
        if not differs:
            return
        expect(time.monotonic() < end, what, "\n".join(differs))
        time.sleep(1)


def files():
    profiles = "/etc/NetworkManager/system-connections"
    # The way out of IPv6 is to be another.
    (path, uplink), = vm.static_address().items()
    return {path: uplink.replace(f"/64,{vm.GATEWAY6}", "/64"),
            "/etc/NetworkManager/conf.d/lab.conf": NETWORKMANAGER,
            **{f"{profiles}/spare{n}.nmconnection": SPARE % (n, cabling.near(n)) for n in (1, 3)},
            **cabling.far_files()}


def test_ports(test):
    machine = test.machine(nics=[vm.Nic(), *cabling.cables(4)], files=files())
    machine.boot()
    cabling.make_far_side(machine, FAR)
    expect_unit(machine)
    uplink = host.Uplink(machine)
    lab.install(machine)
    host.configure(machine, CONFIG)
    # Which metric a NIC gets that its owner activates anew depends on what else is active.
    before = says(machine, ["metric"])
    applied = expect_status(lab.agent(machine, "apply", "--yes"), 0, "one apply does it")
    lab.say(applied.out.rstrip())
    expect_made(machine, uplink)
    # What stands on links made just now is NetworkManager's from the next boot on.
    expect_owned(machine, ("br0", "inner", uplink.nic))
    made = says(machine)

    machine.reboot()
    cabling.make_far_side(machine, FAR)
    expect_made(machine, uplink)
    expect_owned(machine, ("br0", "br1", "br5", "inner", uplink.nic, "bond0", "bond1", "guests",
                           *names(machine)))
    wait_for_state(machine, made, "all is as before the reboot")
    expect_status(lab.agent(machine, "rollback", "--yes"), 0, "all is taken apart")
    wait_for_state(machine, before, "all is as before", ["metric"])
    uplink.expect_reachable(machine)


if __name__ == "__main__":
    lab.main()
