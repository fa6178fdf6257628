# SPDX-License-Identifier: Apache-2.0
"""Volumes of a group that become mounted file systems: made, kept over a boot, adopted, refused,
undone, and begun anew where the agent was killed. No sandbox has a device mapper."""
import host
import lab
import vm
from lab import expect, expect_refused, expect_status

SIZES = ("50%VG", "300MiB")
CONFIG = """\
version: 1
pools:
  - name: images
    type: dir
    target: /srv/images
  - name: vms
    type: logical
    disks: {serial: QB0001}
    volumes:
      - {name: images, size: %s, target: /srv/images}
      - {name: more-one, size: %s, target: /srv/more}
"""
MINE = "      - {name: mine, size: 300MiB, target: /srv/mine}\n"


def configure(machine, sizes=SIZES, more=""):
    host.configure(machine, CONFIG % sizes + more)


def volumes(machine):
    text = machine.run("lvs", "--noheadings", "--separator", " ", "-o", "lv_name,lv_tags").out
    return {line.split()[0]: line.split()[1:] for line in text.splitlines()}


def mounted(machine, target):
    """What is mounted there, by the name that the device mapper has for it."""
    source, kind = machine.run("findmnt", "-n", "-o", "SOURCE,FSTYPE", "--mountpoint",
                               target).out.split()
    return machine.run("lsblk", "-n", "-r", "-o", "NAME", source).out.strip(), kind


def expect_in_sync(machine):
    status, plan = lab.agent_json(machine, "plan")
    expect((status, plan["steps"], plan["refused"]) == (0, [], []), "the plan is empty", plan)


def expect_made(machine):
    for target, node in (("/srv/images", "vms-images"), ("/srv/more", "vms-more--one")):
        seen = mounted(machine, target)
        expect(seen == (node, "xfs"), f"{target} is mounted", seen)
    tags = volumes(machine)
    expect(all("qubi.state=ready" in tags[name][0] for name in ("images", "more-one")),
           "the volumes are ready", tags)
    mode = machine.run("stat", "-c", "%a", "/srv/images").out.strip()
    expect(mode == "711", "it has the mode of a pool", mode)
    expect(host.info(machine, "pool", "images")["State"] == "running", "the pool on it is active")
    expect_in_sync(machine)


def expect_gone(machine):
    text = machine.run("lvs", "--noheadings").out + machine.run("vgs", "--noheadings").out
    expect(text.strip() == "", "neither volumes nor a group are left", text)
    left = machine.run("sh", "-c", "ls -d /srv/* /etc/systemd/system/srv-* "
                                   "/etc/systemd/system/local-fs.target.wants/srv-* 2>/dev/null",
                       check=False).out
    expect(left == "", "neither directories nor units are left", left)


def refuse_and_adopt(machine):
    configure(machine, ("50%VG", "400MiB"))
    expect_refused(lab.agent(machine, "plan"), 3, "the agent does not grow it")
    configure(machine, more=MINE)
    machine.run("lvcreate", "-n", "mine", "-L", "300M", "vms")
    expect_refused(lab.agent(machine, "plan"), 3, "was not made for this pool")
    machine.run("mkfs.xfs", "-q", "/dev/vms/mine")
    machine.run("mkdir", "/srv/mine")
    expect_refused(lab.agent(machine, "plan"), 3, "was not made for this pool")
    machine.run("mount", "/dev/vms/mine", "/srv/mine")
    expect_in_sync(machine)
    machine.run("umount", "/srv/mine")
    machine.run("lvremove", "-y", "vms/mine")
    machine.run("rmdir", "/srv/mine")
    configure(machine, ("50%VG", "300MiB"), MINE.replace("300MiB", "9GiB"))
    expect_refused(lab.agent(machine, "plan"), 3, "the volumes to be made need 9 GiB")
    configure(machine)


def expect_barred(machine):
    """What guests write is not lost below a volume that is not mounted; libvirt's pool is there."""
    machine.run("virsh", "pool-destroy", "images")
    machine.run("umount", "/srv/images")
    machine.run("virsh", "pool-start", "images")
    made = machine.run("virsh", "vol-create-as", "images", "lost", "1M", check=False)
    expect(made.status != 0 and "not permitted" in made.err, "it is refused", made)
    machine.run("sh", "-ec", "virsh pool-destroy images; systemctl start srv-images.mount; "
                             "virsh pool-start images")
    expect_made(machine)


def expect_kept_unmounted(machine):
    """What is in a volume that is mounted nowhere keeps it, and all else of the run."""
    machine.run("virsh", "pool-destroy", "images")
    machine.run("sh", "-ec", "umount /srv/images; mount /dev/vms/images /mnt; touch /mnt/kept; "
                             "umount /mnt")
    expect_refused(lab.agent(machine, "rollback", "--yes"), 5, "has something in it")
    machine.run("mountpoint", "/srv/more")
    machine.run("sh", "-ec", "mount /dev/vms/images /mnt; rm /mnt/kept; umount /mnt")
    machine.run("sh", "-ec", "systemctl start srv-images.mount; virsh pool-start images")
    expect_made(machine)


def expect_somebodys_kept(machine):
    """An image of somebody's, in a volume that was only begun: it leaves the first 32 KiB zero."""
    machine.run("sh", "-ec", "lvchange -q --deltag qubi.state=pending vms/images; "
                "lvchange -q --addtag qubi.state=new vms/images; "
                "dd if=/dev/zero of=/dev/vms/images bs=1M count=8 conv=fsync; "
                "printf '\\001CD001\\001' | dd of=/dev/vms/images bs=32K seek=1 conv=notrunc,fsync")
    for command in ("apply", "rollback"):
        expect_refused(lab.agent(machine, command, "--yes"), 5,
                       "it holds something: iso9660 at byte")
    machine.run("dd", "if=/dev/zero", "of=/dev/vms/images", "bs=32K", "seek=1", "count=1",
                "conv=notrunc,fsync")


def kill_at_moments(machine):
    """Where it is killed the next one goes on; what is undone leaves nothing."""
    # Seen without LVM, which opens the disks: the agent would find it there, and refuse.
    for name, moment in (("the first volume is there", "[ -e /dev/vms/images ]"),
                         ("the second is there", "[ -e /dev/vms/more-one ]"),
                         ("the first is mounted", "mountpoint /srv/images")):
        machine.run("sh", "-c", f"qubi-agent apply --yes & p=$!; until {moment}; do :; done "
                                ">/dev/null 2>&1; kill -KILL $p; wait $p", check=False)
        lab.say(f"killed when {name}: {volumes(machine)}")
        if "first volume" in name:
            expect_somebodys_kept(machine)
        expect_status(lab.agent(machine, "apply", "--yes"), 0, "the next one does it")
        expect_made(machine)
        # What a person had to look at was a run of its own, and the group was made before it.
        expect_status(lab.agent(machine, "rollback", "--all", "--yes"), 0, "it is rolled back")
        expect_gone(machine)


def test_volumes(test):
    disk = vm.Disk("virtio", vm.blank(test.work / "disk", 2 << 30), "QB0001")
    machine = test.machine("vm", svm=True, nics=[vm.Nic()], files=vm.static_address(),
                           disks=[disk])
    machine.boot()
    lab.install(machine)
    configure(machine)
    lab.say(expect_status(lab.agent(machine, "plan"), 4, "changes are pending").out.rstrip())
    applied = expect_status(lab.agent(machine, "apply", "--yes"), 0, "one apply does it")
    lab.say(applied.out.rstrip())
    expect_made(machine)
    again = expect_status(lab.agent(machine, "apply", "--yes"), 0, "a second one")
    expect("Nothing to do" in again.out, "it has nothing to do", again)
    refuse_and_adopt(machine)
    expect_barred(machine)

    machine.run("virsh", "vol-create-as", "images", "guest", "16M")
    expect_refused(lab.agent(machine, "rollback", "--yes"), 5, 'it holds "guest"')
    expect_made(machine)
    machine.reboot()
    host.wait_for("the pool is active", lambda: host.info(
        machine, "pool", "images")["State"] == "running")
    expect_made(machine)
    machine.run("virsh", "vol-delete", "guest", "images")
    expect_kept_unmounted(machine)
    expect_status(lab.agent(machine, "rollback", "--yes"), 0, "it is rolled back")
    expect_gone(machine)
    kill_at_moments(machine)


lab.main()
