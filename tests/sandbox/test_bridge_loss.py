#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Probes at 1 kHz while the host's own NIC moves under a bridge: none may be lost."""

import json
import os
import subprocess
import time

import qb

COUNT = 10000


def lost_during_apply(targets, at_gateway):
    qb.configure(qb.BRIDGE_ONLY)
    qb.agent("plan", code=qb.PENDING)  # libvirt has looked at QEMU by then, which takes a while
    probes = {a: qb.probing(a, COUNT, at_gateway) for a in targets}
    time.sleep(0.5)
    with subprocess.Popen([qb.AGENT, "apply", "--yes"], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, encoding="utf-8") as apply:
        moved = qb.until(lambda: os.path.exists("/sys/class/net/uplink0/master"), 4)
        during = moved and all(p.poll() is None for p in probes.values())
        out = apply.communicate(timeout=60)[0]
    qb.same(apply.returncode, 0, f"apply: {out}")
    lost = {}
    for address, p in probes.items():
        found = json.loads(p.communicate()[0])
        family = "IPv6" if ":" in address else "IPv4"
        where = "gateway to host" if at_gateway else "host to gateway"
        print(f"lost {len(found['lost'])} of {COUNT} {family} probes, {where}, in "
              f"{found['seconds']:.1f} s; the slowest took {found['worst_ms']} ms")
        lost[address] = found["lost"]
        assert found["seconds"] < COUNT / 1000 * 1.2, "that was no probe a millisecond"
    assert during, "the NIC did not move while the probes ran"
    qb.same(lost, {a: [] for a in targets}, "numbers of the probes that were lost")


@qb.case(alone=True, disks="blank")
def none_is_lost_from_the_host():
    lost_during_apply(("192.0.2.1", "2001:db8::1"), False)


@qb.case(alone=True, disks="blank")
def none_is_lost_to_the_host():
    lost_during_apply(("192.0.2.10", "2001:db8::10"), True)


@qb.case(disks="blank")
def probes_notice_a_gap():
    """The measure itself: an interruption of 20 ms is seen as about 20 lost probes."""
    p = qb.probing("192.0.2.1", 1000)
    time.sleep(0.4)
    # Answers are dropped where they would be sent from; the link stays up.
    qb.run(*qb.gateway("/usr/sbin/ip", "address", "del", "192.0.2.1/24", "dev", "port0"))
    time.sleep(0.02)
    qb.run(*qb.gateway("/usr/sbin/ip", "address", "add", "192.0.2.1/24", "dev", "port0"))
    found = json.loads(p.communicate()[0])
    assert 10 <= len(found["lost"]) < 500, found


if __name__ == "__main__":
    qb.main()
