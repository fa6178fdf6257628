#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A host of systemd-networkd's on which something goes wrong: it hangs, an undoing ends half-way,
files are damaged, power fails between two of them.

systemd-networkd and the kernel are real. What a boot does to files and kernel is done by hand.
"""

import glob
import os
import shutil
import signal
import time

import networkd
import nm
import qb
import netstate
from asked import Asked
from networkd import UNITS, given_back, state

BRIDGE_UNIT = f"{UNITS}/0-qubi-br0.network"
PORT_UNIT = f"{UNITS}/0-qubi-br0-port-1.network"
BOTH_PORTS = """\
version: 1
bridges:
  - name: br0
    ports: [{name: uplink0}, {name: spare0}]
"""


def bars():
    return sorted(os.path.basename(p) for p in glob.glob("/run/systemd/network/0-barred-*"))


def spare():
    """A second NIC, on a wire of its own."""
    for words in ("link add spare1 type veth peer name spare0", "link set spare1 netns gateway",
                  "-n gateway link set spare1 up"):
        qb.run("/usr/sbin/ip", *words.split())
    qb.run("/usr/bin/udevadm", "trigger", "-s", "net", "-c", "add")
    qb.run("/usr/bin/udevadm", "settle")


def edit(path, old, new):
    with open(path, encoding="utf-8") as f:
        text = f.read()
    qb.contains(text, old, path)
    with open(path, "w", encoding="utf-8") as f:
        f.write(text.replace(old, new))


@qb.case(disks="ext4", seconds=200)
def while_it_hangs_nothing_is_taken_back():
    """It would give the NIC what it knows of the port: nothing."""
    process = networkd.host(networkd.STATIC)
    before = state()
    qb.agent("apply", "--yes")
    networkd.owned()
    process.send_signal(signal.SIGSTOP)
    told = qb.agent("rollback", "--yes", "--timeout", "3", code=qb.UNDO_FAILED)
    qb.contains(told.out + told.err, "who has it does not answer", "what it says")
    process.send_signal(signal.SIGCONT)
    networkd.owned()
    qb.agent("plan")
    qb.agent("rollback", "--yes")
    given_back()
    qb.same(netstate.difference(before, state()), [], "after the rollback")


@qb.case(disks="ext4", seconds=200)
def a_run_in_which_it_hangs_is_undone():
    process = networkd.host(networkd.STATIC)
    before = state()
    process.send_signal(signal.SIGSTOP)
    told = qb.agent("apply", "--yes", "--timeout", "3", code=None)
    assert told.code in (qb.FAILED, qb.UNDO_FAILED), told
    qb.same(netstate.difference(before, state()), [], "while it hangs")
    for gateway in nm.GATEWAYS:
        qb.assert_reaches(gateway)
    process.send_signal(signal.SIGCONT)
    nm.wait_for("the NIC's own unit", lambda: networkd.unit_of("uplink0") == networkd.OWN)
    qb.run("/usr/bin/networkctl", "reload")
    given_back()
    qb.same(netstate.difference(before, state()), [], "after it went on")


@qb.case(disks="ext4", seconds=200)
def what_it_takes_away_once_it_goes_on_is_put_back():
    """It hung while the NIC left the bridge, and has it by the unit of a port until it is told."""
    process = networkd.host(networkd.STATIC)
    before = state()
    for wait_s in (0, 5):
        asked = Asked("--confirm", "2", "--timeout", "3").until_asked()
        process.send_signal(signal.SIGSTOP)
        code, seen = asked.end()
        qb.same(code, qb.UNDO_FAILED, f"exit status: {seen}")
        qb.contains(seen, "networkctl reload", "what it says")
        for gateway in nm.GATEWAYS:
            qb.assert_reaches(gateway)
        time.sleep(wait_s)
        process.send_signal(signal.SIGCONT)
        given_back()
        qb.same(netstate.difference(before, state()), [], "after it went on")
        qb.agent("rollback", "--yes")


@qb.case(disks="ext4", seconds=300)
def an_undoing_that_ends_half_way_is_told_and_completed():
    """The bridge is still there, and held back from its owner."""
    networkd.host(networkd.STATIC)
    before, seen = state(), 0
    for number in range(16, 80):
        qb.agent("apply", "--yes")
        networkd.owned()
        told = qb.traced("-qq", "-o", "/dev/null", "-e", "trace=sendmsg", "-e",
                         f"inject=sendmsg:error=EPERM:when={number}", qb.AGENT, "rollback", "--yes",
                         code=None)
        if bars() and "br0" in qb.links():
            seen += 1
            qb.same(told.code, qb.UNDO_FAILED, f"exit status at {number}: {told.err}")
            planned = qb.agent("plan", code=None)
            assert planned.code in (qb.REFUSED, qb.PENDING), planned
            held = networkd.unit_of("uplink0")[1] == "unmanaged"
            qb.contains(planned.out, "0-barred-" if held else "0-qubi-br0", "what plan says")
        if told.code != qb.OK:
            qb.agent("rollback", "--yes")
        given_back()
        qb.same(netstate.difference(before, state()), [], f"after an error at {number}")
        if seen == 3:
            break
    assert seen == 3, f"it ended half-way {seen} times"


@qb.case(disks="ext4", seconds=200)
def what_is_held_back_is_taken_up_again():
    networkd.host(networkd.DYNAMIC)
    qb.agent("apply", "--yes")
    networkd.owned()
    qb.agent("plan")
    with open("/run/systemd/network/0-barred-br0.network", "w", encoding="utf-8") as f:
        f.write("[Match]\nName=br0\n[Link]\nUnmanaged=yes\n")
    qb.run("/usr/bin/networkctl", "reload")
    nm.wait_for("it lets go", lambda: networkd.unit_of("br0")[1] == "unmanaged")
    told = qb.agent("plan", code=qb.PENDING)
    qb.contains(told.out, "br0 is held back from systemd-networkd", "what plan says")
    qb.agent("apply", "--yes")
    networkd.owned()
    qb.same(bars(), [], "what bars a link")
    nm.ready(link="br0")  # also by the lease, which had ended
    qb.agent("plan")


@qb.case(disks="ext4", seconds=300)
def power_may_fail_between_any_two_files():
    """The host has each of its addresses once, by the wire that leads to its gateway."""
    spare()
    process = networkd.host(networkd.STATIC)
    qb.configure(BOTH_PORTS)
    qb.agent("apply", "--yes")
    order = ("0-qubi-br0.netdev", "0-qubi-br0.network", "0-qubi-br0-port-1.network",
             "0-qubi-br0-port-2.network")
    qb.same(sorted(os.path.basename(p) for p in glob.glob(f"{UNITS}/0-*")), sorted(order), "units")
    for n in range(len(order), -1, -1):
        for name in order[n:]:
            if os.path.exists(f"{UNITS}/{name}"):
                os.unlink(f"{UNITS}/{name}")
        process = networkd.boot(process)
        has, other = ("br0", "uplink0") if n >= 3 else ("uplink0", "br0")
        nm.wait_for(f"addresses, with {n} units",
                    lambda: len(qb.links().get(has, {"addresses": []})["addresses"]) == 2)
        nm.wait_for("its unit", lambda: networkd.unit_of(has)[1] == "configured")
        qb.same(qb.links().get(other, {"addresses": []})["addresses"], [], f"{other} with {n}")
        for gateway in nm.GATEWAYS:
            nm.wait_for(gateway, lambda: not qb.probe(gateway, 1)[0])


@qb.case(disks="ext4", seconds=200)
def damaged_units_are_seen_and_mended():
    """A boot by them would leave the host without an address, or its NIC with a second one."""
    process = networkd.host(networkd.STATIC)
    qb.agent("apply", "--yes")
    networkd.owned()
    with open(BRIDGE_UNIT, encoding="utf-8") as f:
        whole = f.read()
    edit(BRIDGE_UNIT, whole[whole.index("[Address]"):], "")
    edit(PORT_UNIT, "[Network]\n", "[Network]\nAddress=203.0.113.7/24\nDHCP=yes\n")
    told = qb.agent("plan", code=qb.PENDING)
    for word in ("192.0.2.10/24", "2001:db8::10/64", "203.0.113.7/24", "DHCP"):
        qb.contains(told.out, word, "what differs")
    qb.agent("apply", "--yes")
    networkd.owned()
    networkd.boot(process)
    nm.wait_for("the bridge",
                lambda: len(qb.links().get("br0", {"addresses": []})["addresses"]) == 2)
    networkd.owned()
    for gateway in nm.GATEWAYS:
        nm.wait_for(gateway, lambda: not qb.probe(gateway, 1)[0])
    qb.agent("plan")


@qb.case(disks="ext4", seconds=200)
def what_an_administrator_adds_by_hand_is_no_damage():
    """A second address, such as of a service that fails over, is not made to last."""
    networkd.host(networkd.STATIC)
    qb.agent("apply", "--yes")
    networkd.owned()
    qb.run("/usr/sbin/ip", "address", "add", "192.0.2.99/32", "dev", "br0")
    qb.agent("plan")


@qb.case(disks="ext4", seconds=200)
def a_port_less_is_confirmed_in_the_boot_of_the_first_confirmation():
    spare()
    networkd.unit("20-spare.network", "[Match]\nName=spare0\n[Network]\nLLDP=yes\n")
    networkd.host(networkd.STATIC)
    qb.configure(BOTH_PORTS)
    for n in (2, 1):
        asked = Asked("--confirm", "60").until_asked()
        os.write(asked.master, b"y\n")
        code, seen = asked.end()
        qb.same(code, qb.OK, f"exit status: {seen}")
        qb.agent("plan")
        if n == 2:
            qb.configure(qb.BRIDGE_ONLY)
            qb.run("/usr/sbin/ip", "-n", "gateway", "link", "delete", "spare1")
    left = glob.glob(f"{UNITS}/0-*-port-2*") + glob.glob("/run/systemd/network/*port-2*")
    qb.same(left, [], "units of the port that went")


@qb.case(disks="ext4", seconds=200)
def a_port_that_is_not_named_any_more_is_taken_out_as_plan_says():
    spare()
    networkd.unit("20-spare.network", "[Match]\nName=spare0\n[Network]\nLLDP=yes\n")
    networkd.host(networkd.STATIC)
    qb.configure(BOTH_PORTS)
    qb.agent("apply", "--yes")
    qb.configure(qb.BRIDGE_ONLY.replace("match: default-route", "name: uplink0"))
    told = " ".join(qb.agent("plan", code=qb.REFUSED).out.split())
    way_out = told[told.index("rm -f"):].split(";")[0]
    qb.contains(told, f"{way_out}; networkctl reload", "what plan says")
    qb.run("/bin/rm", *way_out.split()[1:])
    qb.run("/usr/bin/networkctl", "reload")
    nm.wait_for("its own unit",
                lambda: networkd.unit_of("spare0") == ("20-spare.network", "configured"))
    qb.same(qb.links()["spare0"]["master"], None, "the bridge of spare0")
    qb.agent("plan")


@qb.case(disks="ext4", seconds=200)
def what_a_host_keeps_without_a_carrier_it_keeps_on_the_bridge():
    """And an address that looks as if the kernel had made it; and drop-ins are read as they are."""
    for directory, name, text in (
            ("/etc/systemd/network", "a.conf", None),
            ("/run/systemd/network", "a.conf", "[Network]\nDNS=203.0.113.1\n"),
            ("/usr/local/lib/systemd/network", "b.conf", "[Network]\nDNS=203.0.113.2\n")):
        os.makedirs(f"{directory}/10-uplink.network.d", exist_ok=True)
        path = f"{directory}/10-uplink.network.d/{name}"
        if text is None:
            os.symlink("/dev/null", path)
        else:
            with open(path, "w", encoding="utf-8") as f:
                f.write(text)
    process = networkd.host(networkd.STATIC, "Address=fe80::77/64\nConfigureWithoutCarrier=yes\n")
    qb.agent("apply", "--yes")
    networkd.owned()
    with open(BRIDGE_UNIT, encoding="utf-8") as f:
        text = f.read()
    qb.contains(text, "DNS=203.0.113.2", "a drop-in of the administrator's")
    assert "203.0.113.1\n" not in text, f"a drop-in that is masked: {text}"
    shutil.rmtree("/run/systemd/network/10-uplink.network.d")
    networkd.boot(process)
    nm.wait_for("the bridge",
                lambda: len(qb.links().get("br0", {"addresses": []})["addresses"]) == 2)
    networkd.owned()
    qb.contains(qb.run("/usr/sbin/ip", "address", "show", "dev", "br0").out, "fe80::77/64", "br0")
    addresses = qb.links()["br0"]["addresses"]
    qb.run("/usr/sbin/ip", "-n", "gateway", "link", "set", "port0", "down")
    nm.wait_for("it sees that", lambda: networkd.row("br0", "CARRIER_STATE") == "no-carrier")
    qb.run("/usr/bin/networkctl", "reload")
    qb.same(qb.links()["br0"]["addresses"], addresses, "addresses without a carrier")


@qb.case(disks="ext4", seconds=200)
def a_boot_does_not_wait_for_what_has_no_carrier():
    networkd.host(networkd.STATIC)
    qb.configure(qb.BRIDGE_ONLY + "  - name: br1\n    ports: []\n")
    qb.agent("apply", "--yes")
    networkd.owned()
    qb.run("/lib/systemd/systemd-networkd-wait-online", "--timeout=20")
    for link, waits in (("br0", "yes"), ("br1", "no"), ("uplink0", "no")):
        qb.same(networkd.row(link, "REQUIRED_FOR_ONLINE"), waits, f"whether a boot waits for {link}")


if __name__ == "__main__":
    qb.main()
