#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What somebody changed by hand is told key by key, and apply puts it right."""

import qb
import netstate

STATIC = """\
version: 1
bridges:
  - name: br0
    ports:
      - name: uplink0
    ipv4: {addresses: [192.0.2.10/24, 192.0.2.12/24], gateway: 192.0.2.1}
"""

# What is done by hand, and the differences: key, is, wanted.
DRIFTS = [
    (["link", "set", "br0", "mtu", "1400"], [("mtu", "1400", "1500")]),
    (["link", "set", "br0", "address", "00:00:5e:00:53:77"],
     [("mac", "00:00:5e:00:53:77", "00:00:5e:00:53:01")]),
    (["link", "set", "br0", "type", "bridge", "stp_state", "1"], [("stp", "true", "false")]),
    (["link", "set", "uplink0", "nomaster"], [("ports.uplink0.master", None, "br0")]),
    (["address", "del", "192.0.2.12/24", "dev", "br0"], [("addresses", None, "192.0.2.12/24")]),
    (["route", "del", "default"], [("routes", None, "default via 192.0.2.1")]),
]


@qb.case(disks="blank", seconds=600)
def what_was_changed_is_told_and_put_right():
    qb.configure(STATIC)
    qb.agent("apply", "--yes")
    wanted = qb.host_state()
    for command, differences in DRIFTS:
        qb.run("/usr/sbin/ip", *command)
        step, = qb.agent("plan", "--format", "json", code=qb.PENDING).json()["steps"]
        qb.same([(d["key"], d["is"], d["wanted"]) for d in step["differences"]], differences,
                " ".join(command))
        text = qb.agent("plan", code=qb.PENDING).out
        qb.contains(text, [f"- {differences[0][0]}: ", "(kernel)"], "as text")
        assert max(map(len, text.splitlines())) <= 80, text
        qb.agent("apply", "--yes")
        qb.agent("plan")
        qb.same(netstate.difference(wanted, qb.host_state()), [], " ".join(command))
        qb.assert_reaches("192.0.2.1")


@qb.case(disks="blank", seconds=600)
def a_gateway_that_did_not_answer_can_be_asked_at_once_by_others():
    """The kernel asks three times, once a second, and then fails all who sent there meanwhile."""
    qb.configure(STATIC)
    qb.agent("apply", "--yes")
    qb.run("/usr/sbin/ip", "link", "set", "br0", "mtu", "1400")
    qb.run("/usr/sbin/ip", "neigh", "flush", "dev", "br0")
    qb.run(*qb.gateway("/usr/sbin/ip", "link", "set", "port0", "arp", "off"))
    qb.agent("apply", "--yes")
    qb.same(qb.run("/usr/sbin/ip", "neigh", "show", "192.0.2.1", "dev", "br0").out, "",
            "what is known of the gateway")
    qb.run(*qb.gateway("/usr/sbin/ip", "link", "set", "port0", "arp", "on"))
    lost, worst, _ = qb.probe("192.0.2.1", 3, 0.02)
    assert not lost and worst < 1, (lost, worst)


if __name__ == "__main__":
    qb.main()
