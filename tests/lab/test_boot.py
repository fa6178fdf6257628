# SPDX-License-Identifier: Apache-2.0
"""A host without NetworkManager, whose NIC nobody gives an address at boot: the package's own unit
makes bridges, bonds and VLANs again before libvirt starts, and nothing of what was rolled back."""
import cabling
import host
import lab
import netstate
import vm
from lab import expect, expect_status
from test_ports import says

UNIT = "qubi-agent-network.service"
CONFIG = """\
version: 1
bonds:
  - name: bond0
    ports: [{mac: "%s"}, {mac: "%s"}]
vlans:
  - {name: guests, id: 5, link: bond0}
  - {name: more, id: 6, link: bond0}
bridges:
  - name: br0
    ports: {match: default-route}
    vlan-filtering: true
    libvirt-network: host-bridge
  - name: br5
    ports: {name: guests}
    ipv4: {addresses: 198.51.100.10/25}
    ipv6: none
%s"""
# What it inherits somebody gave the VLAN by hand, which a run had made.
MORE = """\
  - name: br6
    ports: {name: more}
    ipv6: none
"""


def configure(machine, more=""):
    host.configure(machine, CONFIG % (cabling.near(1), cabling.near(2), more))


# There is nobody who would renew what a router announces.
SYSCTL = {"/etc/sysctl.d/lab.conf": "net.ipv6.conf.*.accept_ra = 0\n"}


def without_owner(machine):
    """The addresses stay, as if somebody had set them by hand."""
    machine.run("systemctl", "disable", "--now", "NetworkManager.service")
    machine.run("dpkg", "--purge", "--force-depends", "network-manager")
    expect(machine.run("test", "-e", "/usr/sbin/NetworkManager", check=False).status == 1,
           "NetworkManager is gone")


def expect_there(machine, uplink):
    uplink.expect_moved(machine)
    uplink.expect_reachable(machine)
    for name, address in (("br5", "198.51.100.10/25"), ("br6", "203.0.113.10/24")):
        bridge = host.link_named(machine, name)
        expect(bridge and host.addresses(bridge) == {address}, f"{name} has its address", bridge)
    expect(host.link_named(machine, "guests").get("master") == "br5", "the VLAN is its port")
    expect(host.info(machine, "net", "host-bridge")["Active"] == "yes", "libvirt's network is up")
    status, plan = lab.agent_json(machine, "plan")
    expect((status, plan["steps"], plan["refused"]) == (0, [], []), "the plan is empty", plan)


def log(machine):
    return machine.run("journalctl", "-b", "-u", UNIT, "-o", "cat", "--no-pager").out


def expect_in_time(machine):
    """Before who would start guests on a bridge that is not there, and not after waiting for it."""
    state = machine.run("systemctl", "show", UNIT, "-p", "Result,ActiveState,"
                        "ExecMainStartTimestampMonotonic,ExecMainExitTimestampMonotonic").out
    shown = dict(line.split("=", 1) for line in state.splitlines())
    expect((shown["Result"], shown["ActiveState"]) == ("success", "active"), "the unit ran", state)
    began, ended = (int(shown[f"ExecMain{what}TimestampMonotonic"]) for what in ("Start", "Exit"))
    libvirtd = int(machine.run("systemctl", "show", "libvirtd.service", "-p",
                               "ExecMainStartTimestampMonotonic", "--value").out)
    lab.say(f"figure: {UNIT} took {(ended - began) / 1e6:.2f} s, libvirtd began "
            f"{(libvirtd - ended) / 1e6:.2f} s later")
    expect(ended < libvirtd, "libvirtd began after it", (ended, libvirtd))
    limit = machine.run("systemctl", "show", UNIT, "-p", "TimeoutStartUSec", "--value").out.strip()
    expect(limit != "infinity", "sshd, which begins after it, need not wait for ever", limit)


def test_boot(test):
    machine = test.machine(nics=[vm.Nic(), *cabling.cables(2)],
                           files=vm.static_address() | SYSCTL | cabling.far_files())
    machine.boot()
    cabling.make_far_side(machine, "link set far1 up\nlink set far2 up")
    uplink = host.Uplink(machine)
    lab.install(machine)
    without_owner(machine)
    configure(machine)
    expect(machine.run("systemctl", "is-enabled", UNIT).out.strip() == "enabled",
           "the package enables its unit")
    applied = expect_status(lab.agent(machine, "apply", "--yes"), 0, "one apply does it")
    expect(f"at each boot {UNIT}" in " ".join(applied.out.split()), "the plan tells who makes it "
           "again", applied)
    machine.run("ip", "address", "add", "203.0.113.10/24", "dev", "more")
    configure(machine, MORE)
    expect_status(lab.agent(machine, "apply", "--yes"), 0, "a bridge that inherits from a VLAN")
    expect_there(machine, uplink)
    made = says(machine)

    machine.reboot()
    cabling.make_far_side(machine, "link set far1 up\nlink set far2 up")
    lab.say(log(machine))
    expect_there(machine, uplink)
    expect_in_time(machine)
    differs = netstate.difference(made, says(machine))
    expect(not differs, "all is as before the reboot", "\n".join(differs))

    expect_status(lab.agent(machine, "rollback", "--yes"), 0, "the VLAN has its address again")
    machine.run("ip", "address", "del", "203.0.113.10/24", "dev", "more")
    expect_status(lab.agent(machine, "rollback", "--yes"), 0, "all is taken apart")
    uplink.expect_reachable(machine)
    machine.reboot()
    expect("Nothing to do" in log(machine), "nothing is made that was rolled back", log(machine))
    for name in ("br0", "br5", "br6", "bond0"):
        expect(not host.link_named(machine, name), f"there is no {name}")


lab.main()
