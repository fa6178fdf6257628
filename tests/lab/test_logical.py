# SPDX-License-Identifier: Apache-2.0
"""A volume group of two disks as a pool, with a volume in it: over a reboot with one disk more, and
one that lacks a disk."""
import json

import host
import lab
import vm
from lab import expect, expect_refused, expect_status

CONFIG = """\
version: 1
pools:
  - name: vms
    type: logical
    disks: {match: {transport: virtio, min-size: 1GiB, max-size: 2GiB}, count: all}
"""


def group(machine):
    """(name, PVs, LVs, missing PVs) of every group."""
    text = machine.run("vgs", "--reportformat", "json", "-o",
                       "vg_name,pv_count,lv_count,vg_missing_pv_count").out
    return [tuple(row[key] for key in ("vg_name", "pv_count", "lv_count", "vg_missing_pv_count"))
            for row in json.loads(text)["report"][0]["vg"]]


def expect_group(machine, *wanted):
    seen = group(machine)
    expect(seen == [("vms", *wanted)], f"the group has {wanted}", seen)


def expect_in_sync(machine):
    status, plan = lab.agent_json(machine, "plan")
    expect((status, plan["steps"], plan["refused"]) == (0, [], []), "the plan is empty", plan)


# As a power cut leaves it: the disk has the place of the metadata, and not yet what is to be there.
TORN = """import struct, sys
with open(sys.argv[1], "r+b", buffering=0) as volume:
    volume.seek(4096)
    offset, size = struct.unpack_from("<QQ", volume.read(512), 40)
    volume.seek(4096 + offset)
    volume.write(bytes(512))
"""


def expect_known_when_torn(machine):
    """LVM goes by the other disk, and says so in the midst of what it reports."""
    volume = machine.run("pvs", "--noheadings", "-o", "pv_name", "-S", "vg_name=vms").out.split()[0]
    machine.run("virsh", "pool-destroy", "vms")
    machine.run("python3", "-c", TORN, volume)
    said = machine.run("lvm", "fullreport", "--reportformat", "json")
    expect("Retrying metadata scan" in said.out, "its copy is torn, and LVM says so there", said)
    status, plan = lab.agent_json(machine, "plan")
    expect((status, [step["kind"] for step in plan["steps"]]) ==
           (4, ["storage.group", "libvirt.pool"]),
           "the group is known, to be mended, and its pool is to be started", plan)
    tables = machine.run("sh", "-c", "sfdisk --dump /dev/disk/by-id/*QB0001")
    expect_status(lab.agent(machine, "apply", "--yes"), 0, "it is")
    said = machine.run("lvm", "fullreport", "--reportformat", "json")
    expect("Retrying metadata scan" not in said.out, "LVM has nothing to say of it", said)
    same = machine.run("sh", "-c", "sfdisk --dump /dev/disk/by-id/*QB0001")
    expect(same.out == tables.out, "its partition is as it was", same)
    expect_in_sync(machine)


def test_logical(test):
    disks = test.work / "disks"
    disks.mkdir()

    def disk(name):
        return vm.Disk("virtio", vm.blank(disks / name, 1 << 30), name)

    foreign = vm.Disk("virtio", vm.ext4(disks / "foreign", 1 << 30), "QB0100")
    first, second, third = disk("QB0001"), disk("QB0002"), disk("QB0003")
    machine = test.machine("vm", svm=True, nics=[vm.Nic()], files=vm.static_address(),
                           disks=[foreign, first, second])
    before = {d.serial: vm.content_hash(d.path) for d in (foreign, first, third)}
    machine.boot()
    lab.install(machine)
    host.configure(machine, CONFIG)
    plan = expect_status(lab.agent(machine, "plan"), 4, "changes are pending").out
    lab.say(plan.rstrip())
    expect("not taken: " in " ".join(plan.split()), "it says what all leaves out", plan)
    applied = expect_status(lab.agent(machine, "apply", "--yes"), 0, "one apply does it")
    lab.say(applied.out.rstrip())
    expect_group(machine, "2", "0", "0")
    machine.run("virsh", "vol-create-as", "vms", "guest", "64M")
    machine.run("sh", "-c", "echo precious | dd of=/dev/vms/guest bs=512 conv=sync,fsync")
    expect_in_sync(machine)
    expect_known_when_torn(machine)
    host.validate(machine, "pool", "storagepool", "vms")
    machine.shutdown()

    machine.disks.append(third)
    machine.boot()
    host.wait_for("the pool is active", lambda: host.info(
        machine, "pool", "vms")["State"] == "running")
    kept = machine.run("head", "-c", "8", "/dev/vms/guest").out
    expect(kept == "precious", "what a guest wrote is there", kept)
    plan = expect_status(lab.agent(machine, "plan"), 4, "a disk was added").out
    expect("for the volume group vms" in " ".join(plan.split()), "it extends the group", plan)
    expect_status(lab.agent(machine, "repair", "--yes"), 0, "one repair does it")
    expect_group(machine, "3", "1", "0")
    expect_in_sync(machine)
    expect_status(lab.agent(machine, "rollback", "--yes"), 0, "the extension is rolled back")
    expect_group(machine, "2", "1", "0")
    expect_status(lab.agent(machine, "rollback", "--yes"), 0, "of the mend its pool's start is")
    expect_group(machine, "2", "1", "0")
    expect_refused(lab.agent(machine, "rollback", "--yes"), 5, "it has 1 logical volume")
    machine.run("vgchange", "-ay", "vms")  # libvirt has let go of it with the pool
    kept = machine.run("head", "-c", "8", "/dev/vms/guest").out
    expect(kept == "precious", "what a guest wrote is there still", kept)
    machine.shutdown()
    expect(vm.content_hash(third.path) == before["QB0003"], "the third disk is blank again")

    machine.disks[:] = [foreign, first]
    machine.boot()
    expect_refused(lab.agent(machine, "plan"), 3, "lacks 1 of its physical volumes")
    expect_refused(lab.agent(machine, "apply", "--yes"), 3, "lacks 1 of its physical volumes")
    expect_group(machine, "2", "1", "1")
    status, report = lab.agent_json(machine, "check", "storage.lvm-complete")
    expect(report["checks"][0]["status"] in ("fail", "warn"), "check tells it", report)
    machine.shutdown()
    expect(vm.content_hash(foreign.path) == before["QB0100"], "somebody's disk is as it was")


lab.main()
