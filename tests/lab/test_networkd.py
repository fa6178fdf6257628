# SPDX-License-Identifier: Apache-2.0
"""A host whose network is systemd-networkd's, a bond that it made among it: by units of ours it has
the bridges, at once and after a reboot, and gives the links back."""
import cabling
import host
import lab
import netstate
import vm
from host import wait_for
from lab import expect, expect_status
from test_ports import says

CONFIG = """\
version: 1
bridges:
  - name: br0
    ports: {match: default-route}
    libvirt-network: host-bridge
  - name: br1
    ports: {name: bond0}
"""
DIR = "/etc/systemd/network"


def units():
    def network(name, match, *lines):
        return {f"{DIR}/{name}.network": "\n".join(["[Match]", match, "[Network]", *lines, ""])}
    return {
        f"{DIR}/20-bond0.netdev": "[NetDev]\nName=bond0\nKind=bond\n"
                                  "[Bond]\nMode=active-backup\nMIIMonitorSec=100ms\n",
        **network("20-uplink", f"PermanentMACAddress={vm.MAC}",
                  f"Address={vm.ADDRESS}/24", f"Gateway={vm.GATEWAY}",
                  f"Address={vm.ADDRESS6}/64", f"Gateway={vm.GATEWAY6}", "IPv6AcceptRA=no"),
        **network("20-near1", f"PermanentMACAddress={cabling.near(1)}", "Bond=bond0"),
        **network("20-near2", f"PermanentMACAddress={cabling.near(2)}", "Bond=bond0"),
        **network("20-bond0", "Name=bond0", "Address=198.51.100.10/25",
                  "Address=2001:db8:1::10/64", "IPv6AcceptRA=no"),
    }


def hand_to_networkd(machine):
    machine.run("systemctl", "disable", "NetworkManager.service")
    machine.run("systemctl", "enable", "systemd-networkd.service")
    # Nobody plugs the cables' far ends in before the boot is through.
    machine.run("systemctl", "mask", "systemd-networkd-wait-online.service")
    machine.reboot()
    expect(machine.run("systemctl", "is-active", "NetworkManager", check=False).status != 0,
           "NetworkManager does not run")
    cable(machine)


def cable(machine):
    cabling.make_far_side(machine, "link set far1 up\nlink set far2 up")
    wait_for("bond0 has its address", lambda: any(
        host.link_named(machine, name) and "198.51.100.10/25" in host.addresses(
            host.link_named(machine, name)) for name in ("bond0", "br1")))


def expect_unit(machine, link, unit):
    def shown():
        return machine.run("networkctl", "status", "--no-pager", link, check=False).out

    wait_for(f"{link} is configured", lambda: "(configured)" in shown())
    expect(f"/{unit}.network" in shown(), f"{link} is its own, by {unit}", shown())


def expect_owned(machine, uplink):
    uplink.expect_moved(machine)
    for link, unit in (("br0", "0-qubi-br0"), (uplink.nic, "0-qubi-br0-port-1"),
                       ("br1", "0-qubi-br1"), ("bond0", "0-qubi-br1-port-1")):
        expect_unit(machine, link, unit)
    expect(host.addresses(host.link_named(machine, "br1")) ==
           {"198.51.100.10/25", "2001:db8:1::10/64"}, "br1 has the bond's addresses")
    status, plan = lab.agent_json(machine, "plan")
    expect((status, plan["steps"], plan["refused"]) == (0, [], []), "the plan is empty", plan)


def test_networkd(test):
    machine = test.machine(nics=[vm.Nic(), *cabling.cables(2)],
                           files=vm.static_address() | units() | cabling.far_files())
    machine.boot()
    lab.install(machine)
    hand_to_networkd(machine)
    uplink = host.Uplink(machine)
    expect_unit(machine, uplink.nic, "20-uplink")
    before = says(machine)
    host.configure(machine, CONFIG)
    applied = expect_status(lab.agent(machine, "apply", "--yes"), 0, "one apply does it")
    lab.say(applied.out)
    expect_owned(machine, uplink)
    made = says(machine)

    machine.reboot()
    cable(machine)
    expect_owned(machine, uplink)
    differs = netstate.difference(made, says(machine))
    expect(not differs, "all is as before the reboot", "\n".join(differs))

    expect_status(lab.agent(machine, "rollback", "--yes"), 0, "all is taken apart")
    uplink.expect_reachable(machine)
    expect_unit(machine, uplink.nic, "20-uplink")
    expect_unit(machine, "bond0", "20-bond0")
    differs = netstate.difference(before, says(machine))
    expect(not differs, "all is as before the apply", "\n".join(differs))
    left = machine.run("sh", "-c", f"ls {DIR}/0-* /run/systemd/network/0-* 2>&1", check=False).out
    expect("0-qubi" not in left and "0-barred" not in left, "no unit of ours is left", left)


lab.main()
