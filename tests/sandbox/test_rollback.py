#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""After rollback the host is as it was before apply."""

import os

import qb
import netstate


@qb.case
def everything_goes_back():
    qb.configure()
    before = qb.host_state()
    qb.agent("apply", "--yes")
    assert netstate.difference(before, qb.host_state()), "apply did nothing"
    qb.agent("rollback", "--yes")
    after = qb.host_state()
    # What is on the disk is kept: somebody may have put a guest there since.
    for state in (before, after):
        del state["QB_BLANK"]
    qb.same(netstate.difference(before, after), [], "not as before")
    assert "br0" not in qb.links(), "the bridge is still there"
    for address in ("192.0.2.1", "2001:db8::1"):
        qb.assert_reaches(address)


@qb.case
def apply_after_rollback_comes_to_the_same():
    qb.configure()
    qb.agent("apply", "--yes")
    wanted = qb.host_state()
    qb.agent("rollback", "--yes")
    qb.agent("apply", "--yes")
    qb.same(netstate.difference(wanted, qb.host_state()), [], "second time")
    qb.agent("plan")


@qb.case
def nothing_to_roll_back_is_said():
    before = qb.host_state()
    r = qb.agent("rollback", "--yes", code=None)
    qb.same(r.code, qb.OK, f"exit status ({r})")
    assert r.out.strip() or r.err.strip(), "it says nothing"
    qb.same(netstate.difference(before, qb.host_state()), [], "what changed")
    qb.same(os.path.exists("/var/lib/qubi-agent/journal"), False, "a journal")


PORT = """<networkport>
  <uuid>00005e00-5300-4000-8000-000000000002</uuid>
  <owner><name>guest</name><uuid>00005e00-5300-4000-8000-000000000001</uuid></owner>
  <mac address='00:00:5e:00:53:42'/>
</networkport>"""


@qb.case
def a_network_that_a_guest_uses_stays():
    qb.configure()
    qb.agent("apply", "--yes")
    with open("/tmp/port.xml", "w", encoding="utf-8") as f:
        f.write(PORT)
    qb.virsh("net-port-create", "default", "/tmp/port.xml")
    r = qb.agent("rollback", "--yes", code=qb.UNDO_FAILED)
    qb.contains(r.out + r.err, ["network default", "running guests use it"], "what is said")
    qb.same(qb.libvirt()["net default"]["info"], ["Active: yes", "Persistent: yes",
                                                  "Autostart: yes"], "the network")


if __name__ == "__main__":
    qb.main()
