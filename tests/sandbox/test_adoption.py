#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A bridge that somebody made by hand, and libvirt's network over it, are left as they are."""

import os

import qb
import netstate

ADOPTED = "/var/lib/qubi-agent/adopted.json"
HARDWARE = "/var/lib/qubi-agent/hardware.json"
CONFIG = """\
version: 1
bridges:
  - name: qubibr0
    ports:
      - match: default-route
    libvirt-network: qubinet
"""

BY_HAND = """\
link add qubibr0 address 00:00:5e:00:53:01 type bridge
link set qubibr0 up
link set uplink0 master qubibr0
address del 192.0.2.10/24 dev uplink0
address del 2001:db8::10/64 dev uplink0
address add 192.0.2.10/24 dev qubibr0
address add 2001:db8::10/64 dev qubibr0 nodad
route add default via 192.0.2.1
route add default via 2001:db8::1
"""

NETWORK = """<network><name>qubinet</name><forward mode='bridge'/>
<bridge name='qubibr0'/></network>"""


@qb.case(disks="blank")
def what_is_as_wanted_is_left_alone():
    qb.configure(CONFIG)
    qb.run("/usr/sbin/ip", "-6", "route", "del", "default")
    with open("/tmp/by-hand", "w", encoding="utf-8") as f:
        f.write(BY_HAND)
    qb.run("/usr/sbin/ip", "-batch", "/tmp/by-hand")
    with open("/tmp/network.xml", "w", encoding="utf-8") as f:
        f.write(NETWORK)
    qb.virsh("net-define", "/tmp/network.xml")
    qb.virsh("net-start", "qubinet")
    qb.virsh("net-autostart", "qubinet")
    before, noted = qb.host_state(), None
    plan = qb.agent("plan", "--format", "json").json()
    qb.same((plan["steps"], plan["refused"]), ([], []), "the plan")
    for command in ("apply", "repair", "apply"):
        qb.same(qb.agent(command, "--yes", "--format", "json").json()["result"], "in-sync", command)
        kept = qb.tree("/var/lib/qubi-agent"), os.stat(ADOPTED).st_ino
        qb.same(kept, noted or kept, f"what is noted, after {command}")
        noted = kept
    qb.same(sorted(noted[0]), [ADOPTED, HARDWARE], "all that is noted")
    with open(ADOPTED, encoding="utf-8") as f:
        qb.contains(f.read(), ["qubibr0", "default-route", "00:00:5e:00:53:01"], ADOPTED)
    qb.same(netstate.difference(before, qb.host_state()), [], "what changed")
    qb.assert_reaches("192.0.2.1")
    # Neither wanted nor there: forgotten by the next apply.
    qb.configure("version: 1\n")
    qb.agent("apply", "--yes")
    qb.same((qb.tree("/var/lib/qubi-agent"), os.stat(ADOPTED).st_ino), noted, "what is noted")
    qb.run("/usr/sbin/ip", "link", "delete", "qubibr0")
    qb.agent("apply", "--yes")
    with open(ADOPTED, encoding="utf-8") as f:
        qb.same(f.read(), "{}", ADOPTED)


if __name__ == "__main__":
    qb.main()
