#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A host whose network is NetworkManager's: it becomes the owner of the bridge, and nobody notices.

NetworkManager, dnsmasq and the kernel are real. What a boot does to files and kernel is done by
hand here; tests/lab reboots.
"""

import json
import os
import re
import signal
import statistics
import time

import nm
import qb

RUNS, BESIDE = 5, 3
COUNT = 3000
HAND_OVER_MAX = 5
GATEWAYS = ("192.0.2.1", "2001:db8::1")


def ready():
    """The NIC has its addresses, in use."""
    nm.wait_for("addresses", lambda: len(qb.links()["uplink0"]["addresses"]) == 2)
    nm.wait_for("no tentative address", lambda: "tentative" not in qb.run(
        "/usr/sbin/ip", "-6", "address", "show", "dev", "uplink0").out)
    for gateway in GATEWAYS:
        qb.assert_reaches(gateway)


def host(method):
    if method == nm.DYNAMIC:
        nm.dhcp_server()
    nm.start(method)
    ready()
    qb.configure(qb.BRIDGE_ONLY)
    qb.agent("plan", code=qb.PENDING)  # libvirt has looked at QEMU by then


def owned():
    """By NetworkManager, with our profiles."""
    qb.same(nm.active("br0"), ("qubi-br0", "connected"), "br0 and its profile")
    qb.same(nm.active("uplink0"), ("qubi-br0-port-1", "connected"), "uplink0 and its profile")


def back():
    qb.agent("rollback", "--yes")
    nm.wait_for("the NIC's own profile", lambda: nm.active("uplink0") == ("uplink", "connected"))
    assert "br0" not in qb.links(), qb.links()
    ready()


def lost(act):
    """What is lost of a probe a millisecond while act runs: by family."""
    probes = [qb.probing(gateway, COUNT) for gateway in GATEWAYS]
    time.sleep(0.5)
    act()
    found = [json.loads(p.communicate()[0]) for p in probes]
    for f in found:
        assert f["seconds"] < COUNT / 1000 * 1.2, "that was no probe a millisecond"
    return [len(f["lost"]) for f in found]


# What somebody does without us: the same bridge, by NetworkManager alone.
BRIDGE = """\
[connection]
id=br0
type=bridge
interface-name=br0
[ethernet]
cloned-mac-address=00:00:5e:00:53:01
[bridge]
stp=false
"""
PORT = """\
[connection]
id=port
type=ethernet
interface-name=uplink0
master=br0
slave-type=bridge
"""


def by_nmcli(method):
    ip = nm.UPLINK.format(**method)
    nm.profile("br0", BRIDGE + ip[ip.index("[ipv4]"):])
    nm.profile("port", PORT)
    nm.nmcli("connection", "reload")
    counts = lost(lambda: nm.nmcli("connection", "up", "port"))
    nm.nmcli("connection", "delete", "br0", "port")
    nm.nmcli("connection", "up", "uplink")
    ready()
    return counts


def measure(method, what):
    host(method)
    ours = []
    for _ in range(RUNS):
        ours.append(lost(lambda: qb.agent("apply", "--yes")))
        owned()
        qb.agent("plan")
        back()
    theirs = [by_nmcli(method) for _ in range(BESIDE)]
    totals = [sum(counts) for counts in ours]
    print(f"lost of {COUNT} IPv4 and {COUNT} IPv6 probes, {what}: {ours}, in total a median of "
          f"{statistics.median(totals)}; by nmcli con up: {theirs}")
    qb.same([counts[0] for counts in ours], [0] * RUNS, "IPv4 probes lost")
    assert statistics.median(totals) <= HAND_OVER_MAX, totals
    assert statistics.median(map(sum, theirs)) > statistics.median(totals), "nmcli lost less"


@qb.case(alone=True, disks="ext4", seconds=600)
def static_addresses_change_hands():
    measure(nm.STATIC, "addresses written down")


@qb.case(alone=True, disks="ext4", seconds=600)
def leased_addresses_change_hands():
    measure(nm.DYNAMIC, "addresses leased and announced")


def client_ids():
    """As the server logged them, of every request since it began."""
    with open("/tmp/dnsmasq.log", encoding="utf-8", errors="replace") as f:
        return re.findall(r"client-id\s+(\S+)", f.read())


def leases():
    with open("/tmp/leases", encoding="utf-8") as f:
        return [line.split()[2:] for line in f if line.split()[0].isdigit()]


def boot(process):
    """What is left of it all after one: files."""
    process.send_signal(signal.SIGKILL)
    process.wait()
    for words in ("link delete br0", "address flush dev uplink0", "link set uplink0 down"):
        qb.run("/usr/sbin/ip", *words.split())
    qb.run("/bin/sh", "-c", "rm -rf /run/NetworkManager/*")
    nm.restart()


@qb.case(disks="ext4", seconds=200)
def the_lease_stays_the_same():
    nm.dhcp_server()
    process = nm.start(nm.DYNAMIC)
    ready()
    before, addresses = leases(), qb.links()["uplink0"]["addresses"]
    qb.configure(qb.BRIDGE_ONLY)
    qb.agent("apply", "--yes")
    owned()
    qb.same(qb.links()["br0"]["addresses"], addresses, "addresses after the move")
    renewed = len(client_ids())
    nm.wait_for("NetworkManager asked for the lease", lambda: leases() == before)
    boot(process)
    nm.wait_for("the bridge", lambda: len(qb.links().get("br0", {"addresses": []})["addresses"]) == 2)
    owned()
    qb.same(qb.links()["br0"]["addresses"], addresses, "addresses after the boot")
    qb.same([l[:2] for l in leases()], [l[:2] for l in before], "leases: address, name")
    assert len(client_ids()) > renewed or not client_ids(), "it was asked for anew"
    qb.same(len(set(client_ids())), min(1, len(client_ids())), f"client ids {client_ids()}")
    for gateway in GATEWAYS:
        qb.assert_reaches(gateway)
    qb.agent("plan")


@qb.case(disks="ext4", seconds=300)
def killed_in_the_hand_over():
    """The guard gives the NIC back to its owner."""
    qb.adopt_orphans()
    host(nm.STATIC)
    before, undone, number = (qb.links(), qb.routes()), 0, 8
    while number < 200:
        r = qb.traced("-qq", "-o", "/dev/null", "-e", "trace=sendmsg", "-e",
                      f"inject=sendmsg:signal=KILL:when={number}", qb.AGENT, "apply", "--yes",
                      code=None)
        qb.wait_for_orphans(but=nm.started)
        if r.code == 0:
            break
        for gateway in GATEWAYS:
            qb.assert_reaches(gateway)
        told = qb.agent("plan", code=None)
        undone += "its guard undid it" in told.err
        # Between two steps nothing is half done, and nobody undoes what stands.
        qb.agent("rollback", "--yes")
        nm.wait_for("the NIC's own profile",
                    lambda: nm.active("uplink0") == ("uplink", "connected"))
        ready()
        qb.same(qb.difference(before, (qb.links(), qb.routes())), [], f"killed at {number}")
        number += 9
    print(f"figure: killed {(number - 8) // 9} times, {undone} times its guard undid a step")
    assert undone >= 4, f"its guard undid a step {undone} times"


if __name__ == "__main__":
    qb.main()
