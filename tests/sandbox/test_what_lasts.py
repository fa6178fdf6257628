#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What changes on a bridge that is there: its owner's files say it, too, and it is so after a boot.

NetworkManager, systemd-networkd and the kernel are real. What a boot does to files and kernel is
done by hand here.
"""

import networkd
import nm
import qb

BRIDGE = """\
version: 1
bridges:
  - name: br0
    ports: [{{name: uplink0}}]
{more}"""
ONE = "    ipv4: {addresses: [192.0.2.10/24], gateway: 192.0.2.1}\n"
TWO = "    ipv4: {addresses: [192.0.2.10/24, 192.0.2.20/24], gateway: 192.0.2.1}\n"
OTHER_WAY = "    ipv4: {addresses: [192.0.2.10/24], gateway: 192.0.2.2}\n"
NO_WAY = "    ipv4: {addresses: [192.0.2.10/24]}\n"
INET6 = "    ipv6: {addresses: [2001:db8::10/64], gateway: 2001:db8::1}\n"
BRIDGE_UNIT = f"{networkd.UNITS}/0-qubi-br0.network"
PROFILE = f"{nm.PROFILES}/qubi-br0.nmconnection"


class Host:
    """With the bridge, by either owner."""

    def __init__(self, owner):
        self.owner = owner
        self.process = owner.host(owner.STATIC)
        qb.agent("apply", "--yes")
        owner.owned()

    def wants(self, more, *by_hand):
        """What the configuration does not name any more a person takes off, as plan says."""
        qb.configure(BRIDGE.format(more=more))
        for words in by_hand:
            qb.run("/usr/sbin/ip", *words.split())
        qb.agent("apply", "--yes")
        self.owner.owned()
        qb.agent("plan")

    def boots(self, addresses, gateways):
        self.process = self.owner.boot(self.process)
        nm.wait_for(f"{addresses} on br0", lambda: addresses == [
            a.split("/")[0] for a in qb.links().get("br0", {"addresses": []})["addresses"]])
        nm.wait_for(f"ways by {gateways}", lambda: gateways == sorted(
            r["gateway"] for r in qb.routes() if r["dst"] == "default"))
        qb.agent("plan")


def of_both(function):
    """The case once for each owner."""
    for owner in (networkd, nm):
        def run(owner=owner):
            function(Host(owner))
        run.__name__ = f"{function.__name__}_by_{owner.__name__}"
        qb.case(disks="ext4", seconds=200)(run)


BOTH = ["192.0.2.10", "2001:db8::10"]
WAYS = ["192.0.2.1", "2001:db8::1"]


@of_both
def an_address_more_of_a_family(host):
    """The other is inherited."""
    host.wants(TWO)
    host.boots(["192.0.2.10", "192.0.2.20", "2001:db8::10"], WAYS)


@of_both
def an_address_less(host):
    host.wants(TWO + INET6)
    host.wants(ONE + INET6, "address del 192.0.2.20/24 dev br0")
    host.boots(BOTH, WAYS)


@of_both
def another_gateway(host):
    host.wants(ONE)
    host.wants(OTHER_WAY, "route del default via 192.0.2.1 dev br0")
    host.boots(BOTH, ["192.0.2.2", "2001:db8::1"])


@of_both
def no_gateway(host):
    host.wants(ONE)
    host.wants(NO_WAY, "route del default via 192.0.2.1 dev br0")
    host.boots(BOTH, ["2001:db8::1"])


@qb.case(disks="ext4", seconds=200)
def who_renumbers_in_the_unit_is_not_undone():
    """The bridge inherits: what the host has is what holds, whatever else is wrong with the unit."""
    host = Host(networkd)
    with open(BRIDGE_UNIT, "w", encoding="utf-8") as f:
        f.write("[Match]\nName=br0 br7\n[Network]\nAddress=192.0.2.30/24\nGateway=192.0.2.1\n"
                "Address=2001:db8::30/64\nGateway=2001:db8::1\nIPv6AcceptRA=no\n")
    qb.run("/usr/bin/networkctl", "reload")
    wanted = ["192.0.2.30", "2001:db8::30"]
    nm.wait_for("it is renumbered", lambda: wanted == [
        a.split("/")[0] for a in qb.links()["br0"]["addresses"]])
    host.wants("")
    host.boots(wanted, WAYS)


@qb.case(disks="ext4", seconds=200)
def a_profile_that_lost_its_addresses_is_mended():
    host = Host(nm)
    with open(PROFILE, encoding="utf-8") as f:
        text = f.read()
    with open(PROFILE, "w", encoding="utf-8") as f:
        f.write(text[:text.index("[ipv4]")] + "[ipv4]\nmethod=disabled\n[ipv6]\nmethod=disabled\n")
    told = qb.agent("plan", code=qb.PENDING)
    for word in ("ipv4.method", "192.0.2.10/24", "ipv6.method", "2001:db8::10/64"):
        qb.contains(told.out, word, "what differs")
    qb.agent("apply", "--yes")
    host.boots(BOTH, WAYS)


@qb.case(disks="ext4", seconds=200)
def a_unit_that_is_gone_says_again_what_the_nic_s_had_said():
    host = Host(networkd)
    with open(BRIDGE_UNIT, encoding="utf-8") as f:
        text = f.read()
    qb.contains(text, "DNS=192.0.2.53", "the unit")
    qb.run("/bin/rm", BRIDGE_UNIT)
    qb.agent("plan", code=qb.PENDING)
    qb.agent("apply", "--yes")
    with open(BRIDGE_UNIT, encoding="utf-8") as f:
        qb.same(f.read(), text, "the unit")
    host.boots(BOTH, WAYS)


@qb.case(disks="ext4", seconds=200)
def an_mtu_that_is_back_as_usual_is_not_undone():
    """It was 9000 when the bridge was made, and switch and host have been changed since."""
    qb.run("/usr/sbin/ip", "-n", "gateway", "link", "set", "port0", "mtu", "9000")
    qb.run("/usr/sbin/ip", "link", "set", "uplink0", "mtu", "9000")
    host = Host(networkd)
    qb.same(qb.links()["br0"]["mtu"], 9000, "MTU of br0")
    for link in ("br0", "uplink0"):
        qb.run("/usr/sbin/ip", "link", "set", link, "mtu", "1500")
    qb.agent("apply", "--yes", code=None)
    qb.same([qb.links()[link]["mtu"] for link in ("br0", "uplink0")], [1500, 1500], "MTU")
    qb.agent("plan")
    host.boots(BOTH, WAYS)
    qb.same([qb.links()[link]["mtu"] for link in ("br0", "uplink0")], [1500, 1500], "MTU")


if __name__ == "__main__":
    qb.main()
