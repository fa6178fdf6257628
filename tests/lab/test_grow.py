# SPDX-License-Identifier: Apache-2.0
"""Disks that become larger in a running machine: the pools on them take the room, of XFS, of ext4 and
of LVM, in use as they are; and once more where nothing has the file systems mounted."""
import host
import lab
import vm
from lab import expect, expect_status

GIB = 1 << 30
POOLS = {"images": ("QB0001", "xfs"), "more": ("QB0002", "ext4")}
GROUP, MEMBER = "vms", "QB0003"
SERIALS = [serial for serial, _ in POOLS.values()] + [MEMBER]
CONFIG = "version: 1\npools:\n" + "".join(
    f"  - {{name: {name}, type: fs, format: {fs}, disks: {{serial: {serial}}}, target: /srv/{name}}}\n"
    for name, (serial, fs) in POOLS.items()) + (
    f"  - {{name: {GROUP}, type: logical, disks: {{serial: {MEMBER}}}}}\n")


def resize(machine, size):
    for index, _ in enumerate(SERIALS):
        machine.qmp.execute("block_resize", device=f"disk{index}", size=size)
    for serial in SERIALS:
        host.wait_for(f"the kernel sees {serial}'s size", lambda s=serial: machine.run(
            "lsblk", "-bdno", "SIZE", f"/dev/disk/by-id/virtio-{s}").out.strip() == str(size))


def capacity(machine, pool):
    info = dict(line.split(None, 1) for line in machine.run(
        "virsh", "pool-info", "--bytes", pool).out.splitlines() if line.strip())
    return int(info["Capacity:"])


def expect_grown(machine, size):
    sizes = {name: machine.run("df", "-B1", "--output=size", f"/srv/{name}").out.split()[1]
             for name in POOLS}
    sizes[GROUP] = machine.run("vgs", "--noheadings", "--units", "b", "--nosuffix", "-o", "vg_size",
                               GROUP).out
    for name, text in sizes.items():
        known, seen = capacity(machine, name), int(text)
        expect(known == seen, f"libvirt says what {name} has", (known, seen))
        expect(seen > size - size // 10, f"{name} has grown", seen)
        kept = machine.run("md5sum", "-c", f"/root/{name}.md5").out
        expect("OK" in kept, "what was written is there", kept)
    for serial in SERIALS:
        said = machine.run("sfdisk", "--verify", f"/dev/disk/by-id/virtio-{serial}").out
        expect("No errors detected" in said, "the table is whole", said)
    status, plan = lab.agent_json(machine, "plan")
    expect((status, plan["steps"], plan["refused"]) == (0, [], []), "the plan is empty", plan)


def test_grow(test):
    disks = test.work / "disks"
    disks.mkdir()
    machine = test.machine(
        "vm", svm=True, nics=[vm.Nic()], files=vm.static_address(),
        disks=[vm.Disk("virtio", vm.blank(disks / serial, 2 * GIB), serial)
               for serial in SERIALS])
    machine.boot()
    lab.install(machine)
    host.configure(machine, CONFIG)
    expect_status(lab.agent(machine, "apply", "--yes"), 0, "the pools are made")
    machine.run("virsh", "vol-create-as", GROUP, "guest", "64M")
    for name, guest in [(name, f"/srv/{name}/guest.img") for name in POOLS] + [
            (GROUP, f"/dev/{GROUP}/guest")]:
        machine.run("sh", "-c", f"head -c 64M /dev/urandom >{guest} && sync {guest} && "
                    f"md5sum {guest} >/root/{name}.md5")
    resize(machine, 4 * GIB)
    plan = expect_status(lab.agent(machine, "plan"), 4, "they can grow").out
    lab.say(plan.rstrip())
    applied = expect_status(lab.agent(machine, "apply", "--yes"), 0, "one apply does it")
    lab.say(applied.out.rstrip())
    expect_grown(machine, 4 * GIB)
    said = lab.agent(machine, "rollback", "--yes")
    expect_status(said, 5, "it cannot be undone")
    expect("keeps its larger size" in said.out + said.err, "it says that it stays", said)
    expect_grown(machine, 4 * GIB)

    for name in POOLS:
        machine.run("virsh", "pool-destroy", name)
    resize(machine, 6 * GIB)
    expect_status(lab.agent(machine, "apply", "--yes"), 0, "what is not mounted grows, too")
    expect_grown(machine, 6 * GIB)
    machine.reboot()
    for name in POOLS:
        host.wait_for(f"{name} is active", lambda n=name: host.info(
            machine, "pool", n)["State"] == "running")
    expect_grown(machine, 6 * GIB)
    machine.shutdown()


lab.main()
