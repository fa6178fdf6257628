#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Another NIC under a bridge that is there: apply refuses, repair says what changed and goes on.

The NICs here are veths, which have no slot: they are told by their name where the configuration
goes by it. What goes by slots is in tests/unit/test_repair.c.
"""

import os

import qb
import netstate

BY_NAME = qb.BRIDGE_ONLY.replace("match: default-route", "name: uplink0")
OLD, NEW = "00:00:5e:00:53:01", "00:00:5e:00:53:09"
NOTHING = "No hardware has changed since the last success."


def ip(*words):
    return qb.run("/usr/sbin/ip", *words).out


def replace_nic(mac=NEW):
    """What is left when a card was taken out and another one put in."""
    ip("-n", "gateway", "link", "del", "port0")
    ip("-n", "gateway", "link", "add", "port0", "address", "00:00:5e:00:53:ff", "type", "veth",
       "peer", "name", "uplink0", "address", mac)
    ip("-n", "gateway", "link", "set", "uplink0", "netns", str(os.getpid()))
    ip("-n", "gateway", "address", "add", "192.0.2.1/24", "dev", "port0")
    ip("-n", "gateway", "address", "add", "2001:db8::1/64", "dev", "port0", "nodad")
    ip("-n", "gateway", "link", "set", "port0", "up")


def rename_nic(name):
    ip("link", "set", "uplink0", "down")
    ip("link", "set", "uplink0", "name", name)
    ip("link", "set", name, "up")


def assert_in_sync():
    """Nothing to say and nothing to do, for all that may be asked."""
    r = qb.agent("repair", "--yes")
    qb.contains(r.out, [NOTHING, "Nothing to do"], "a second repair")
    document = qb.agent("repair", "--yes", "--format", "json").json()
    qb.same((document["result"], document["changes"]), ("in-sync", []), "a third, in JSON")
    qb.agent("plan")
    qb.agent("apply", "--yes")


def assert_reached():
    for address in ("192.0.2.1", "2001:db8::1"):
        qb.assert_reaches(address)


@qb.case(disks="blank")
def without_a_change_it_is_apply():
    qb.configure(qb.BRIDGE_ONLY)
    r = qb.agent("repair", code=qb.USAGE)
    qb.contains(r.out + r.err, [NOTHING, "[net.bridge, undo exact]", "--yes"], "without consent")
    assert "br0" not in qb.links(), "it did something without consent"
    qb.agent("repair", "--yes")
    qb.same(qb.links()["uplink0"]["master"], "br0", "its master")
    assert_in_sync()
    assert_reached()


@qb.case(disks="blank")
def a_replaced_nic():
    qb.configure(BY_NAME)
    qb.agent("apply", "--yes")
    replace_nic()
    before = qb.host_state()
    for command in (["plan"], ["apply", "--yes"]):
        r = qb.agent(*command, code=qb.REFUSED)
        qb.contains(r.out, ["nic-missing", OLD, NEW, "qubi-agent repair"], command[0])
    r = qb.agent("repair", code=qb.USAGE)
    qb.contains(r.out, ["Hardware that changed", OLD, NEW, "into no other host",
                        "[net.bridge, undo exact]"], "without consent")
    qb.same(netstate.difference(before, qb.host_state()), [], "what changed so far")

    document = qb.agent("repair", "--yes", "--format", "json").json()
    qb.same(document["result"], "done", "result")
    change, = document["changes"]
    qb.same([change["kind"], change["target"], change["was"]["mac"], change["is"]["mac"]],
            ["nic-replaced", "br0", OLD, NEW], "what changed")
    links = qb.links()
    qb.same((links["uplink0"]["master"], links["uplink0"]["up"]), ("br0", True), "the new NIC")
    qb.same(links["br0"]["address"], OLD, "the bridge's MAC")
    assert_reached()
    assert_in_sync()

    qb.agent("rollback", "--yes")
    qb.same(qb.links()["uplink0"]["master"], None, "its master after rollback")
    # The old card is the one it is bound to again.
    qb.contains(qb.agent("plan", code=qb.REFUSED).out, ["nic-missing"], "plan after rollback")


@qb.case(disks="blank")
def a_repair_that_was_killed_is_as_if_it_had_not_been():
    qb.configure(BY_NAME)
    qb.agent("apply", "--yes")
    replace_nic()
    qb.adopt_orphans()
    # The journal's directory, its beginning, and the intent of the first step.
    qb.traced("-qq", "-o", "/dev/null", "-e", "trace=fsync", "-e",
              "inject=fsync:signal=KILL:when=3", qb.AGENT, "repair", "--yes", code=None)
    qb.wait_for_orphans()
    with open("/var/lib/qubi-agent/journal/000002.jsonl", encoding="utf-8") as f:
        qb.contains(f.read(), '"event":"intent"', "what it had come to")
    qb.same(qb.links()["uplink0"]["master"], None, "the new NIC's master")
    qb.agent("apply", "--yes", code=qb.REFUSED)
    qb.agent("repair", "--yes")
    assert_reached()
    assert_in_sync()


def renamed(config, refused):
    qb.configure(config)
    qb.agent("apply", "--yes")
    rename_nic("lan0")
    before = qb.host_state()
    r = qb.agent("plan", code=qb.REFUSED if refused else qb.OK)
    if refused:
        qb.contains(r.out, ["nic-renamed", "lan0", "qubi-agent repair"], "plan")
        qb.agent("apply", "--yes", code=qb.REFUSED)
    document = qb.agent("repair", "--yes", "--format", "json").json()
    qb.same([c["kind"] for c in document["changes"]], ["nic-renamed"], "what changed")
    qb.same([(s["kind"], s["status"]) for s in document["steps"]], [("net.bind", "done")], "steps")
    qb.same(netstate.difference(before, qb.host_state()), [], "what it changed")
    assert_in_sync()
    assert_reached()
    qb.agent("rollback", "--yes")
    qb.agent("plan", code=qb.REFUSED if refused else qb.OK)
    qb.same(netstate.difference(before, qb.host_state()), [], "what rollback changed")
    qb.agent("rollback", "--yes")
    links = qb.links()
    qb.same(links["lan0"]["addresses"], ["192.0.2.10/24 global", "2001:db8::10/64 global"],
            "addresses of the NIC after a rollback of the first run")
    assert "br0" not in links, links
    assert_reached()


@qb.case(disks="blank")
def a_renamed_nic_matters_to_who_goes_by_the_name():
    renamed(BY_NAME, True)


@qb.case(disks="blank")
def a_renamed_nic_is_the_same_nic_to_others():
    renamed(qb.BRIDGE_ONLY, False)


@qb.case(disks="blank")
def a_nic_that_is_gone_is_not_replaced_by_any_other():
    qb.configure(qb.BRIDGE_ONLY)
    qb.agent("apply", "--yes")
    ip("-n", "gateway", "link", "del", "port0")
    ip("link", "add", "spare0", "address", "00:00:5e:00:53:33", "type", "veth", "peer", "name",
       "spare1")
    before = qb.host_state()
    for command in ("apply", "repair"):
        r = qb.agent(command, "--yes", code=qb.REFUSED)
        qb.contains(r.out, ["nic-missing", OLD, "not in use are", "spare0 (00:00:5e:00:53:33)"],
                    command)
    qb.same(netstate.difference(before, qb.host_state()), [], "what changed")
    # Named, it is another port, and bound as such.
    qb.configure(qb.BRIDGE_ONLY.replace("match: default-route", "name: spare0"))
    qb.agent("repair", "--yes", code=None)
    qb.same(qb.links()["spare0"]["master"], "br0", "the NIC that was named")


if __name__ == "__main__":
    qb.main()
