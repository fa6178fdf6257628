#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""NetworkManager's profiles of a bridge: what comes of them at any time, and when more follow.

NetworkManager, dnsmasq and the kernel are real. What a boot does to files and kernel is done by
hand here.
"""

import re

import nm
import qb
import netstate

TWO_PORTS = qb.BRIDGE_ONLY + "      - name: spare0\n"
SPARE = """\
[connection]
id=spare
type=ethernet
interface-name=spare0
[ipv4]
method=disabled
[ipv6]
method=disabled
"""


def spare_nic():
    qb.run("/usr/sbin/ip", "link", "add", "spare0", "address", "00:00:5e:00:53:33", "type", "veth",
           "peer", "name", "far0")
    qb.run("/usr/sbin/ip", "link", "set", "far0", "addrgenmode", "none", "up")


def in_order(call, *command):
    """The profiles that the agent renames into their place, or unlinks."""
    qb.traced("-f", "-z", "-qq", "-o", "/tmp/calls", "-e", f"trace={call}", qb.AGENT, *command)
    with open("/tmp/calls", encoding="utf-8") as f:
        names = (re.search(r'"([^".][^"]*\.nmconnection)"[^"]*$', line) for line in f)
        return [m[1] for m in names if m]


def cut_at_every_file(method, more=""):
    spare_nic()
    process = nm.host(method, more)
    qb.configure(TWO_PORTS)
    written = in_order("renameat", "apply", "--yes")
    qb.same(len(written), 3, f"profiles written: {written}")
    texts = {}
    for name in written:
        with open(f"{nm.PROFILES}/{name}", encoding="utf-8") as f:
            texts[name] = f.read()
    qb.same(in_order("unlinkat", "rollback", "--yes"), written[::-1], "profiles removed")
    for n in range(len(written) + 1):
        for name in written[:n]:
            nm.profile(name.removesuffix(".nmconnection"), texts[name])
        process = nm.boot(process)
        nm.wait_for(f"the gateways, after {written[:n]}", nm.reached)
        qb.same(nm.active("uplink0"),
                ("uplink" if n < len(written) else "qubi-br0-port-1", "connected"),
                f"the NIC's profile after {written[:n]}")
        if n < len(written):
            qb.agent("plan", code=qb.PENDING)


@qb.case(disks="ext4", seconds=300)
def power_may_fail_between_the_files_of_fixed_addresses():
    # The NIC's own profile comes before others, but not before ours.
    cut_at_every_file(nm.STATIC, "[connection]\nautoconnect-priority=998\n")


@qb.case(disks="ext4", seconds=300)
def power_may_fail_between_the_files_of_leased_addresses():
    cut_at_every_file(nm.DYNAMIC)


@qb.case(disks="ext4")
def a_port_that_came_later_goes_alone():
    spare_nic()
    nm.profile("spare", SPARE)
    nm.host(nm.STATIC)
    qb.agent("apply", "--yes")
    nm.owned()
    before = qb.links(), qb.routes(), qb.tree(nm.PROFILES)
    qb.same(nm.active("spare0"), ("spare", "connected"), "spare0 and its own profile")
    qb.configure(TWO_PORTS)
    qb.agent("apply", "--yes")
    qb.same(nm.active("spare0"), ("qubi-br0-port-2", "connected"), "spare0 as a port")
    probes = qb.probing(nm.GATEWAYS[0], 3000)
    qb.agent("rollback", "--yes")
    qb.same(probes.communicate()[0].split(",")[0], '{"lost": []', "probes lost meanwhile")
    assert "connection-removed" not in nm.words(), f"it took the port out itself: {nm.words()}"
    nm.wait_for("its own profile", lambda: nm.active("spare0") == ("spare", "connected"))
    nm.owned()
    qb.same(netstate.difference(before[0], qb.links()), [], "links")
    qb.same((qb.routes(), qb.tree(nm.PROFILES)), before[1:], "routes and profiles")


STATIC = """\
version: 1
bridges:
  - name: br0
    ports: [{match: default-route}]
    ipv4: {addresses: [192.0.2.10/24, 198.51.100.10/24, 192.0.2.30/24], gateway: 192.0.2.1}
    ipv6:
      addresses: ["2001:db8::30/64", "2001:db8::10/64", "2001:db8:1::10/64"]
      gateway: "2001:db8::1"
"""


@qb.case(disks="ext4")
def addresses_of_the_configuration():
    process = nm.host(nm.STATIC)
    qb.configure(STATIC)
    qb.agent("apply", "--yes")
    for when in ("at once", "after a boot"):
        nm.owned()
        qb.agent("plan")
        qb.same(len(qb.links()["br0"]["addresses"]), 6, f"addresses {when}")
        nm.wait_for("the gateways", nm.reached)
        process = nm.boot(process)
    qb.agent("rollback", "--yes")
    nm.wait_for("its own profile", lambda: nm.active("uplink0") == ("uplink", "connected"))
    nm.ready()


if __name__ == "__main__":
    qb.main()
