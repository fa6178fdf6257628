# SPDX-License-Identifier: Apache-2.0
"""The night after: what was replaced, pulled, deleted or edited is told, and put right or refused.

Each case damages a host that is as configured, looks at what repair tells of it and does, and wants
the host as configured again.
"""
import dataclasses

import host
import lab
import vm
from lab import expect, expect_refused, expect_status

BASE, MORE = "QB0001", "QB0002"  # the disk of the file system; one that the group grows by
PROFILE = "/etc/NetworkManager/system-connections/qubi-br0.nmconnection"
CONFIG = f"""\
version: 1
kvm: {{nested: false, modules: [vhost_net]}}
host:
  sysctl: {{name: vm.swappiness, value: 10}}
bridges:
  - name: br0
    ports: {{match: default-route}}
    libvirt-network: host-bridge
networks:
  - {{name: guests, forward: nat, subnet: 198.51.100.0/24}}
pools:
  - name: images
    type: fs
    disks: [{{serial: {BASE}}}]
    target: {host.TARGET}
  - name: vms
    type: logical
    disks: {{match: {{model: "QEMU HARDDISK", min-size: 1GiB}}, count: all}}
  - name: iso
    type: dir
    target: /srv/iso
"""


def expect_as_configured(machine):
    status, plan = lab.agent_json(machine, "plan")
    expect((status, plan["steps"], plan["refused"]) == (0, [], []), "the plan is empty", plan)
    state = host.info(machine, "pool", "images")["State"]
    expect(state == "running" and host.info(machine, "net", "guests")["Active"] == "yes",
           "what libvirt has is there", state)


def repaired(machine, damage, told, by_plan=True):
    """Told in the plan or among what changed; then repair mends it."""
    for command in damage:
        machine.run("sh", "-ec", command)
    report = expect_status(lab.agent(machine, "repair", "--yes"), 0, "repair mends it")
    text = " ".join(report.out.split())
    expect(told in text, f"it tells: {told}", report)
    expect(("Nothing to do" not in text) == by_plan, "it has something to do, or not", report)
    expect_as_configured(machine)


# What is done by hand, and a part of what is told.
BY_HAND = {
    "the bridge is deleted": (["ip link del br0"], "there is no such bridge"),
    "the bridge's MTU is another": (["ip link set br0 mtu 1400"], "mtu: 1400"),
    "its profile is edited": ([f"sed -i 's/^interface-name=br0/&\\nautoconnect=false/' {PROFILE}"],
                              "qubi-br0.nmconnection"),
    "its profile is gone": ([f"rm {PROFILE}"], "qubi-br0.nmconnection"),
    "the NIC leaves the bridge": (["ip link set enp0s16 nomaster"], "enp0s16"),
    "the default route is gone": (["ip route del default"], "default via"),
    "a network is undefined": (["virsh net-destroy guests", "virsh net-undefine guests"],
                               "network guests"),
    "the bridge's network is undefined": (["virsh net-destroy host-bridge",
                                           "virsh net-undefine host-bridge"], "network host-bridge"),
    "a pool is undefined": (["virsh pool-destroy images", "virsh pool-undefine images"],
                            "pool images"),
    "a pool is unmounted": (["virsh pool-destroy images"], "pool images"),
    "a pool is not started at boot": (["virsh pool-autostart --disable vms"], "pool vms"),
    "a group's volumes are off": (["virsh pool-destroy vms"], "pool vms"),
    "a module is unloaded": (["modprobe -r vhost_net"], "vhost_net"),
    "KVM is unloaded": (["modprobe -r kvm_amd"], "kvm_amd"),
    "its file is gone": (["rm /etc/modules-load.d/qubi-agent.conf"],
                         "/etc/modules-load.d/qubi-agent.conf"),
    "a sysctl is another": (["sysctl -q vm.swappiness=60"], "vm.swappiness"),
    "the sysctl's file is gone": (["rm /etc/sysctl.d/90-qubi-agent.conf"],
                                  "/etc/sysctl.d/90-qubi-agent.conf"),
    "libvirt's daemons are off": (["systemctl disable --now libvirtd.socket libvirtd-ro.socket "
                                   "libvirtd-admin.socket libvirtd.service"], "libvirt"),
    "a directory is gone": (["virsh pool-destroy iso", "rmdir /srv/iso"], "pool iso"),
}


def half_of_the_configuration_is_gone(machine):
    machine.run("mv", "/etc/qubi-agent/host.yaml", "/root/host.yaml")
    before = host.state_of(machine)
    expect_refused(lab.agent(machine, "repair", "--yes"), 2, "host.yaml")
    expect(host.state_of(machine) == before, "nothing was done")
    machine.run("mv", "/root/host.yaml", "/etc/qubi-agent/host.yaml")
    expect_as_configured(machine)


def disks_come_and_go(machine, folder):
    more = {MORE: {"driver": "raw", "file": {
        "driver": "file", "filename": str(vm.blank(folder / "more.img", 1 << 30))}}}
    data = {"QB0101": {"driver": "raw", "file": {
        "driver": "file", "filename": str(vm.ext4(folder / "data.img", 1 << 30, "MINE"))}}}
    machine.plug(more)
    repaired(machine, [], "the volume group vms")
    groups = machine.run("vgs", "--noheadings", "-o", "pv_count", "vms").out.strip()
    expect(groups == "2", "the group has grown by it", groups)
    expect_status(lab.agent(machine, "rollback", "--yes"), 0, "the growth is undone")
    machine.unplug(MORE)
    repaired(machine, [], MORE, by_plan=False)
    machine.plug(data)
    before = vm.content_hash(folder / "data.img")
    repaired(machine, [], "QB0101", by_plan=False)
    machine.unplug("QB0101")
    expect(vm.content_hash(folder / "data.img") == before, "somebody's disk is byte-identical")
    repaired(machine, [], "QB0101", by_plan=False)


def restarted(machine, what, told, by_plan=True, **changes):
    lab.say(f"--- {what}")
    machine.shutdown()
    for key, value in changes.items():
        setattr(machine, key, value)
    machine.boot()
    repaired(machine, [], told, by_plan)


def test_repairs(test):
    disks = test.work / "disks"
    disks.mkdir()
    base = vm.Disk("virtio", vm.blank(disks / "base.img", 2 << 30), BASE)
    group = vm.Disk("scsi", vm.blank(disks / "group.img", 1 << 30), "QB0003")
    foreign = vm.Disk("virtio", vm.ext4(disks / "foreign.img", 512 << 20), host.FOREIGN)
    machine = test.machine("vm", nics=[vm.Nic()], disks=[base, foreign, group], adapter=True,
                           files=vm.static_address())
    kept = vm.content_hash(foreign.path)
    machine.boot()
    lab.install(machine)
    host.configure(machine, CONFIG)
    expect_status(lab.agent(machine, "apply", "--yes"), 0, "one apply does it")
    expect_as_configured(machine)
    for what, (damage, told) in BY_HAND.items():
        lab.say(f"--- {what}")
        repaired(machine, damage, told)
    half_of_the_configuration_is_gone(machine)
    disks_come_and_go(machine, disks)
    nic = machine.nics[0]
    restarted(machine, "a second NIC", "00:00:5e:00:53:09", by_plan=False,
              nics=[nic, vm.Nic(mac="00:00:5e:00:53:09")])
    restarted(machine, "it is gone again", "00:00:5e:00:53:09", by_plan=False, nics=[nic])
    restarted(machine, "the NIC is another one", "another NIC",
              nics=[dataclasses.replace(nic, mac="00:00:5e:00:53:0a")])
    restarted(machine, "the disks are named otherwise", BASE, by_plan=False,
              disks=[foreign, base, group])
    lab.say("--- the CPU has no SVM")
    machine.shutdown()
    machine.svm = False
    machine.boot()
    expect_refused(lab.agent(machine, "repair", "--yes"), 3, "kvm")
    restarted(machine, "it has it again", "kvm_amd", svm=True)
    machine.shutdown()
    expect(vm.content_hash(foreign.path) == kept, "somebody's disk is byte-identical")
    lab.say(f"figure: {len(BY_HAND) + 9} repairs")


lab.main()
