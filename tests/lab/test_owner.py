# SPDX-License-Identifier: Apache-2.0
"""A NIC whose addresses NetworkManager has leased: the bridge keeps them, and its owner, also after
a reboot; and whoever ends a whole session while it moves does not end the guard."""
import cabling
import host
import lab
import vm
from host import wait_for
from lab import expect, expect_status

CONFIG = """\
version: 1
bridges:
  - name: br0
    ports:
      - match: default-route
"""
CLIENT_ID = "01:00:00:5e:00:53:99"  # the profile's own, not what the MAC would make of it
JOURNAL = "/var/lib/qubi-agent/journal/000001.jsonl"
# The unit of somebody who has logged in, with a pipe that says nothing.
SESSION = "administrator.service"
APPLY = "sleep 3600 | qubi-agent apply --yes --confirm 3000"


def connection(machine, device):
    return machine.run("nmcli", "-g", "GENERAL.CONNECTION", "device", "show", device).out.strip()


def records(machine, event):
    text = machine.get(JOURNAL).decode()
    return text.count(f'"event":"{event}"')


def addresses(machine, name):
    link = host.link_named(machine, name)
    return host.addresses(link) if link else set()


def expect_guarded(machine, uplink):
    """A cgroup is killed as a whole; the guard is in one of its own."""
    machine.run("systemd-run", f"--unit={SESSION}", "sh", "-c", APPLY)
    wait_for("the NIC is a port", lambda: addresses(machine, "br0") == uplink.addresses)
    # The question ends without a newline, and a log has whole lines.
    wait_for("all is done and somebody is asked",
             lambda: connection(machine, "br0") == "qubi-br0" and
             records(machine, "done") == records(machine, "intent"))
    scopes = machine.run("systemctl", "list-units", "--plain", "--no-legend",
                         "qubi-guard-*.scope").out
    expect("running" in scopes, "the guard is in a scope of its own", scopes)
    machine.run("systemctl", "kill", "--signal=KILL", "--kill-whom=all", SESSION)
    wait_for("the NIC has its addresses",
             lambda: addresses(machine, uplink.nic) == uplink.addresses)
    wait_for("the bridge is gone", lambda: not host.link_named(machine, "br0"))
    uplink.expect_reachable(machine)
    told = machine.run("journalctl", "-b", "-t", "qubi-agent", "-o", "cat", "--no-pager").out
    expect("its guard undid it" in told, "the log tells it", told)
    wait_for("the guard is through", lambda: "running" not in machine.run(
        "systemctl", "list-units", "--plain", "--no-legend", "qubi-guard-*.scope").out)
    told = expect_status(lab.agent(machine, "plan"), 4, "it is to be done again").err
    expect("its guard undid it" in told, "the next run tells it", told)
    wait_for("the NIC's own profile is active",
             lambda: connection(machine, uplink.nic) == "uplink")


def expect_owned(machine):
    expect(connection(machine, "br0") == "qubi-br0", "br0 is NetworkManager's, by our profile",
           connection(machine, "br0"))
    status, plan = lab.agent_json(machine, "plan")
    expect((status, plan["steps"]) == (0, []), "the plan is empty", plan)


def wait_for_lease(segment, before, longer, what):
    """It is asked for anew: the same lease, that many seconds longer."""
    (lease, ends), = before.items()
    wait_for(what, lambda: segment.leases().get(lease, 0) >= ends + longer)
    after = segment.leases()
    expect(after.keys() == before.keys(), f"the lease is the same: {what}", after)
    lab.say(f"{' '.join(lease)}: {what}, {after[lease] - ends} s longer")
    return after


def test_owner(test):
    with cabling.Segment(test.work) as segment:
        owner(test, segment)


def owner(test, segment):
    machine = host.bare(test, nic=segment.nic(), address=vm.dynamic_address(
        ipv4=f"dhcp-client-id={CLIENT_ID}"))
    machine.boot()
    # NetworkManager is through when one family is there.
    wait_for("an address by DHCP and one by announcement",
             lambda: len(host.default_routes(machine)) == 2)
    uplink = host.Uplink(machine)
    expect(len(uplink.addresses) == 2, "there are two", uplink.addresses)
    (mac, address, _, client), = segment.leases()
    expect((mac, client) == (uplink.mac, CLIENT_ID), "the NIC's lease has its client id",
           segment.leases())
    lab.install(machine)
    host.configure(machine, CONFIG)
    expect_guarded(machine, uplink)

    before = segment.leases()
    applied = expect_status(lab.agent(machine, "apply", "--yes"), 0, "one apply does it")
    lab.say(applied.out.rstrip())
    uplink.expect_moved(machine)
    expect_owned(machine)
    moved = wait_for_lease(segment, before, 1, "the bridge has asked for it")
    moved = wait_for_lease(segment, moved, cabling.LEASE_S // 3, "the bridge has renewed it")

    machine.reboot()
    wait_for("both addresses", lambda: addresses(machine, "br0") == uplink.addresses)
    uplink.expect_moved(machine)
    expect_owned(machine)
    wait_for_lease(segment, moved, 1, "it was asked for after the boot")
    lease = machine.run("ip", "-4", "addr", "show", "dev", "br0").out
    expect(f" {address}/" in lease and " dynamic " in lease, "the address is leased still", lease)


lab.main()
