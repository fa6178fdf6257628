#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""After a boot of a host without NetworkManager the agent itself makes its bridges again.

What a boot does to the kernel is done by hand here; tests/lab reboots.
"""

import os
import uuid

import qb
import netstate

JOURNAL = "/var/lib/qubi-agent/journal"
OWN = ("address add 192.0.2.10/24 dev uplink0", "address add 2001:db8::10/64 dev uplink0 nodad",
       "route add default via 192.0.2.1", "route add default via 2001:db8::1")
MORE = ("route add 198.51.100.0/24 via 192.0.2.1 table 100 metric 7",
        "-6 route add 2001:db8:5::/48 via 2001:db8::1 metric 9",
        "rule add iif uplink0 lookup 100 priority 500")
# The kernel counts links, and what it made of its own accord it makes anew.
COUNTED = {"ifindex", "link_index", "ip6_base_reachable_time"}


def ip(*commands):
    for words in commands:
        qb.run("/usr/sbin/ip", *words.split())


def state():
    for word, words in (("tentative", "-6 address"), ("NO-CARRIER", "link show br0")):
        assert qb.until(lambda: word not in qb.run("/usr/sbin/ip", *words.split(),
                                                code=None).out, 3), word
    return netstate.of(lambda *words: qb.run(f"/usr/sbin/{words[0]}", *words[1:]).out, COUNTED)


def power_cycle():
    """What is left of it all after one: files, and what the NIC is by itself."""
    ip("link set uplink0 down", "address flush dev uplink0", "link set uplink0 mtu 1500")
    for name in ("br0", "br1", "br9"):
        qb.run("/usr/sbin/ip", "link", "delete", name, code=None)
    for family in ("-4", "-6"):
        qb.run("/usr/sbin/ip", family, "rule", "del", "priority", "500", code=None)
    with open("/tmp/boot_id", "w", encoding="utf-8") as f:
        f.write(f"{uuid.uuid4()}\n")
    qb.run("/bin/mount", "--bind", "/tmp/boot_id", "/proc/sys/kernel/random/boot_id")


def boot(*more, code=qb.OK):
    """libvirt does not run yet, and whoever asked it would wait."""
    return qb.agent("boot", "--connect", "qemu+unix:///system?socket=/nowhere", *more, code=code)


def runs():
    return sorted(os.listdir(JOURNAL))


@qb.case
def the_same_bridge_is_there_again():
    ip("link set uplink0 mtu 1400", *MORE)
    qb.configure(qb.BRIDGE_ONLY)
    before = state()
    qb.agent("apply", "--yes")
    wanted, journal = state(), runs()
    os.unlink(qb.CONFIG)  # what was applied counts, not what is written since
    power_cycle()
    assert not qb.links()["uplink0"]["addresses"], "the boot is none"
    r = boot()
    qb.contains(r.out, ["net.restore", "192.0.2.10/24 and 2001:db8::10/64", "net.bridge",
                        "Done"], "what it says")
    qb.same(netstate.difference(wanted, state()), [], "after the boot")
    for address in ("192.0.2.1", "2001:db8::1"):
        qb.assert_reaches(address)
    qb.contains(boot().out, ["Nothing to do"], "a second time")
    qb.same(runs(), journal, "runs")
    qb.configure(qb.BRIDGE_ONLY)
    qb.contains(qb.agent("plan").out, ["Nothing to do"], "the plan")
    qb.agent("rollback", "--yes")
    qb.same(netstate.difference(before, state()), [], "after the rollback")
    power_cycle()
    qb.contains(boot().out, ["Nothing to do"], "after a rollback")
    assert "br0" not in qb.links(), "what was rolled back is made again"


@qb.case
def what_the_ports_owner_gave_it_goes_along():
    qb.configure(qb.BRIDGE_ONLY)
    qb.agent("apply", "--yes")
    power_cycle()
    ip("link set uplink0 up", "address add 192.0.2.20/24 dev uplink0",
       "route add default via 192.0.2.1")
    r = boot()
    qb.same(qb.links()["br0"]["addresses"], ["192.0.2.20/24 global", "2001:db8::10/64 global"],
            f"addresses of br0 ({r})")
    qb.assert_reaches("192.0.2.1")


@qb.case
def a_nic_is_known_by_its_mac_and_not_by_its_name():
    """The boot has named it otherwise, and given another its name."""
    qb.configure(qb.BRIDGE_ONLY.replace("match: default-route", "name: uplink0"))
    qb.agent("apply", "--yes")
    power_cycle()
    ip("link set uplink0 name uplink1", "link add uplink0 type veth peer name other0",
       "link set uplink0 up")
    boot()
    qb.same(qb.links()["br0"]["addresses"][:2], ["192.0.2.10/24 global", "2001:db8::10/64 global"],
            "addresses of br0")
    for address in ("192.0.2.1", "2001:db8::1"):
        qb.assert_reaches(address)
    qb.contains(qb.agent("plan", code=qb.REFUSED).out, ["uplink1", "repair"], "the plan")


@qb.case
def what_the_host_has_by_another_nic_is_left_there():
    """Its owner has moved the way out, and one of the addresses, to the new NIC."""
    qb.configure(qb.BRIDGE_ONLY)
    qb.agent("apply", "--yes")
    power_cycle()
    ip("link add new0 type veth peer name new1", "link set new1 up", "link set new0 up",
       "address add 198.51.100.2/24 dev new0", "address add 2001:db8::10/64 dev new0 nodad",
       "route add default via 198.51.100.1")
    boot()
    qb.same([r["dev"] for r in qb.routes() if r["dst"] == "default"], ["new0"], "the way out")
    qb.same({name: qb.links()[name]["addresses"] for name in ("br0", "new0")},
            {"br0": ["192.0.2.10/24 global"],
             "new0": ["198.51.100.2/24 global", "2001:db8::10/64 global"]}, "addresses")
    qb.assert_reaches("192.0.2.1")


STATIC = """\
version: 1
bridges:
  - name: br0
    ports: {name: uplink0}
    ipv4: {addresses: 192.0.2.30/24, gateway: 192.0.2.1}
    ipv6: none
  - name: br1
    ports: []
    ipv4: {addresses: 198.51.100.1/24}
"""


def has():
    return {name: link["addresses"] for name, link in qb.links().items()}, qb.routes()


@qb.case
def what_is_configured_needs_no_owner():
    ip("-6 route del default")
    qb.configure(STATIC)
    qb.agent("apply", "--yes")
    wanted = has()
    power_cycle()
    boot()
    qb.same(has(), wanted, "addresses and routes after the boot")
    qb.assert_reaches("192.0.2.1")


@qb.case
def what_was_as_configured_at_last_is_made_again():
    """The change was made by hand, and apply had nothing to do."""
    qb.configure(STATIC)
    ip("-6 route del default")
    qb.agent("apply", "--yes")
    ip("address del 192.0.2.30/24 dev br0", "address add 192.0.2.31/24 brd + dev br0",
       "route add default via 192.0.2.1 proto static", "link delete br1")
    qb.configure(STATIC[:STATIC.index("  - name: br1")].replace(".30/", ".31/"))
    journal = runs()
    qb.contains(qb.agent("apply", "--yes").out, ["Nothing to do"], "what it says")
    qb.same(runs(), journal, "runs")
    size = os.path.getsize(f"{JOURNAL}/{journal[0]}")
    qb.agent("apply", "--yes")
    qb.same(os.path.getsize(f"{JOURNAL}/{journal[0]}"), size, "the journal when nothing changed")
    wanted = has()
    power_cycle()
    boot()
    qb.same(has(), wanted, "addresses and routes after the boot")


@qb.case
def without_its_bridge_the_host_is_reached_by_the_port():
    qb.configure(qb.BRIDGE_ONLY)
    qb.agent("apply", "--yes")
    power_cycle()
    ip("link set uplink0 up", "link add link uplink0 name macvlan0 type macvlan")
    r = boot(code=qb.REFUSED)
    qb.contains(r.out, ["br0", "macvlan0"], "what is refused")
    assert "br0" not in qb.links(), "it is made all the same"
    for address in ("192.0.2.1", "2001:db8::1"):
        qb.assert_reaches(address)


@qb.case
def a_nic_that_gives_itself_an_address_is_planned_with_it():
    """One that was down makes itself a link-local one when it is given back what it had."""
    ip("-6 route del default")
    qb.configure(qb.BRIDGE_ONLY + "    ipv6: none\n")
    qb.agent("apply", "--yes")
    power_cycle()
    boot()
    qb.same(qb.links()["br0"]["addresses"][:1], ["192.0.2.10/24 global"], "addresses of br0")
    qb.assert_reaches("192.0.2.1")


@qb.case
def what_fails_is_undone_alone():
    """br1 cannot be made: its address is on another link, which a plan does not look at."""
    qb.configure(qb.BRIDGE_ONLY + STATIC[STATIC.index("  - name: br1"):].replace("br1", "br9") +
                 STATIC[STATIC.index("  - name: br1"):].replace("198.51.100", "203.0.113"))
    qb.agent("apply", "--yes")
    power_cycle()
    ip("address add 198.51.100.1/24 dev lo")
    r = boot(code=qb.FAILED)
    qb.contains(r.out + r.err, ["br9: undone", "198.51.100.1/24 is on lo, too", "the rest is done"],
                "what it says")
    assert "br9" not in qb.links(), "what failed is not undone"
    qb.same([qb.links()[name]["addresses"][0] for name in ("br0", "br1")],
            ["192.0.2.10/24 global", "203.0.113.1/24 global"], "those before it and after it")
    qb.assert_reaches("192.0.2.1")
    ip("address del 198.51.100.1/24 dev lo")
    boot()
    qb.same(qb.links()["br9"]["addresses"], ["198.51.100.1/24 global"], "a second time")


@qb.case
def a_damaged_journal_does_not_leave_the_host_without_its_network():
    """Nobody would reach it to move the file away. The unit has failed all the same."""
    qb.configure(qb.BRIDGE_ONLY)
    qb.agent("apply", "--yes")
    wanted = state()
    with open(f"{JOURNAL}/000001.jsonl", encoding="utf-8") as f:
        lines = f.readlines()
    at = next(i for i, line in enumerate(lines) if '"event":"done"' in line)
    for damage, name in (("\0" * 40 + "\n", "000001.jsonl"), ("}\n", "000002.jsonl")):
        if name == "000001.jsonl":
            lines[at] = damage
        else:
            lines = [damage]
        with open(f"{JOURNAL}/{name}", "w", encoding="utf-8") as f:
            f.writelines(lines)
        power_cycle()
        r = boot(code=qb.FAILED)
        qb.contains(r.err, [name, "damaged record"], "what it says")
        qb.same(netstate.difference(wanted, state()), [], "after the boot")
        for address in ("192.0.2.1", "2001:db8::1"):
            qb.assert_reaches(address)
    qb.contains(qb.agent("apply", "--yes", code=qb.USAGE).err, "damaged record", "a run")


@qb.case
def a_bridge_that_somebody_deleted_comes_back_whole():
    ip(*MORE)
    qb.configure(qb.BRIDGE_ONLY)
    qb.agent("apply", "--yes")
    wanted = state()
    ip("link delete br0")
    r = qb.agent("plan", code=qb.PENDING)
    qb.contains(r.out, ["net.restore", "br0 is gone"], "the plan")
    qb.agent("apply", "--yes")
    qb.same(netstate.difference(wanted, state()), [], "after apply")
    qb.assert_reaches("192.0.2.1")


@qb.case
def a_rollback_leaves_what_the_boot_gave():
    """The run that gave the NIC back what a deleted bridge had taken along did so before the boot."""
    qb.configure(qb.BRIDGE_ONLY)
    qb.agent("apply", "--yes")
    ip("link delete br0")
    qb.agent("apply", "--yes")
    power_cycle()
    boot()
    qb.contains(qb.agent("rollback", "--yes").out, ["net.restore", "Undone."], "what it says")
    assert "br0" not in qb.links(), "the bridge is still there"
    for address in ("192.0.2.1", "2001:db8::1"):
        qb.assert_reaches(address)


@qb.case
def killed_anywhere_a_boot_is_gone_on_with():
    """By whoever starts the unit again: it takes nothing that is half there for its owner's."""
    qb.adopt_orphans()
    ip(*MORE)
    qb.configure(qb.BRIDGE_ONLY)
    qb.agent("apply", "--yes")
    wanted, killed = state(), 0
    for number in range(1, 200, 2):
        power_cycle()
        r = qb.traced("-qq", "-o", "/dev/null", "-e", "trace=sendmsg", "-e",
                      f"inject=sendmsg:signal=KILL:when={number}", qb.AGENT, "boot", code=None)
        qb.wait_for_orphans()
        if r.code == qb.OK:
            break
        killed += 1
        boot()
        qb.same(netstate.difference(wanted, state()), [], f"killed at message {number}")
    print(f"figure: killed {killed} times")
    assert killed > 10, killed
    qb.agent("rollback", "--yes")
    assert "br0" not in qb.links(), "rollback does not undo the run that made the bridge"


@qb.case
def what_a_run_only_began_is_not_made_again():
    qb.configure(qb.BRIDGE_ONLY)
    qb.traced("-qq", "-o", "/dev/null", "-e", "trace=fsync", "-e", "inject=fsync:signal=KILL:when=3",
              qb.AGENT, "apply", "--yes", code=None)
    assert runs(), "no run was begun"
    power_cycle()
    ip("link set uplink0 up", *OWN)
    qb.contains(boot().out, ["Nothing to do"], "what it says")
    assert "br0" not in qb.links(), "what was broken off is gone on with by a boot"


@qb.case
def what_nobody_confirmed_is_not_made_again():
    """A power cycle at the question of --confirm: the step is done, and the run has no end."""
    def cut():
        path = f"{JOURNAL}/{runs()[-1]}"
        with open(path, encoding="utf-8") as f:
            lines = f.readlines()
        assert '"end"' in lines[-1], lines[-1]
        with open(path, "w", encoding="utf-8") as f:
            f.writelines(lines[:-1])

    qb.configure(qb.BRIDGE_ONLY)
    qb.agent("apply", "--yes")
    qb.configure(qb.BRIDGE_ONLY + STATIC[STATIC.index("  - name: br1"):])
    qb.agent("apply", "--yes")
    cut()
    power_cycle()
    boot()
    assert "br0" in qb.links() and "br1" not in qb.links(), qb.links()
    qb.agent("rollback", "--yes")
    qb.agent("rollback", "--yes")
    qb.configure(qb.BRIDGE_ONLY)
    qb.agent("apply", "--yes")
    cut()
    power_cycle()
    qb.contains(boot().out, ["Nothing to do"], "what it says")


if __name__ == "__main__":
    qb.main()
