#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A disk that holds something is taken only where the configuration names it and all that is on it;
then it is erased first, and whatever breaks off there, the next run comes to the same end."""

import json
import os
import signal

import qb
from carving import JOURNAL, blank_again, stopped

CONFIG = """\
version: 1
pools:
  - name: images
    type: fs
    disks: {path: "@QB_EXT4@"}
    target: /var/lib/libvirt/images
    erase: {path: "@QB_EXT4@", contains: %s}
"""


def disk():
    return os.environ["QB_EXT4"]


def image():
    """Of the file behind it: the kernel caches a partition apart from its disk."""
    os.sync()
    return qb.sha256("/run/sandbox/ext4.img")


def reasons():
    plan = json.loads(qb.agent("plan", "-f", "json", code=qb.REFUSED).out)
    return {r["code"] for each in plan["refused"] for r in each["reasons"]}, json.dumps(plan)


def table():
    """GPT beside what it was made over: two partitions, in one of them a file system."""
    qb.run("/bin/sh", "-c", 'printf "label: gpt\\n,300M\\n,300M\\n" | /usr/sbin/sfdisk -q --no-reread '
           '--no-tell-kernel -w never "$1"', "sh", disk())
    qb.run("/usr/bin/partx", "--add", disk())
    qb.run("/sbin/mke2fs", "-q", "-F", "-t", "ext4", disk() + "p2")
    qb.run("/usr/bin/udevadm", "settle")


@qb.case(disks="ext4")
def only_what_is_named_is_erased():
    before = image()
    for contains in ("xfs", "[ext4, xfs]", "[gpt, ext4]", "unknown-content"):
        qb.configure(CONFIG % contains)
        codes, said = reasons()
        assert {"erase", "signature"} <= codes, codes
        qb.contains(said, "on this one is ext4", "the plan")
        qb.agent("apply", "--yes", code=qb.REFUSED)
    qb.same(image(), before, "the disk")
    qb.configure(CONFIG % "ext4")
    plan = qb.agent("plan", code=qb.PENDING).out
    qb.contains(" ".join(plan.split()), ["is ERASED: ext4 on it is lost for good", "undo none"],
                "the plan")
    qb.same(image(), before, "the disk")
    qb.agent("apply", "--yes")
    assert os.path.ismount("/var/lib/libvirt/images")
    qb.contains(qb.agent("plan").out, "Nothing to do", "a second time")


@qb.case(disks="ext4")
def what_is_in_use_is_not_erased():
    qb.configure(CONFIG % "ext4")
    before = image()
    with open(disk(), "rb"):
        assert "open" in reasons()[0]
        qb.agent("apply", "--yes", code=qb.REFUSED)
    os.makedirs("/srv/mine")
    qb.run("/bin/mount", "-o", "ro,noload", disk(), "/srv/mine")
    assert "mounted" in reasons()[0]
    qb.agent("apply", "--yes", code=qb.REFUSED)
    qb.run("/bin/umount", "/srv/mine")
    qb.same(image(), before, "the disk")


@qb.case(disks="ext4,lvm")
def a_physical_volume_is_not_erased():
    qb.configure((CONFIG % "LVM2_member").replace("QB_EXT4", "QB_LVM"))
    assert {"erase", "signature"} <= reasons()[0], reasons()


@qb.case(disks="ext4")
def a_pool_made_once_is_not_erased_by_what_was_said_then():
    """Its own disk, with a GPT and an XFS, is what the configuration may still name."""
    qb.configure(CONFIG % "ext4")
    qb.agent("apply", "--yes")
    with open("/var/lib/libvirt/images/guest.img", "w", encoding="utf-8") as f:
        f.write("The only copy.\n")
    qb.virsh("pool-destroy", "images")
    qb.configure(CONFIG % "[gpt, xfs]")
    qb.agent("apply", "--yes")
    assert os.path.exists("/var/lib/libvirt/images/guest.img")
    # Another machine, or this one installed anew: the mark is not its own.
    qb.virsh("pool-destroy", "images")
    qb.virsh("pool-undefine", "images")
    qb.run("/bin/sh", "-c", "rm -rf /var/lib/qubi-agent/*; "
           "echo 00005e0053000000000000000000ffff >/etc/machine-id")
    before = image()
    codes, said = reasons()
    assert "erase" in codes, codes
    qb.contains(said, "qubi:images", "the plan")
    qb.agent("apply", "--yes", code=qb.REFUSED)
    qb.same(image(), before, "the disk")
    qb.configure(CONFIG % '[gpt, xfs, "qubi:images"]')
    qb.agent("apply", "--yes")
    qb.same(os.listdir("/var/lib/libvirt/images"), [], "the pool")


def another_ext4():
    """Of the same type as the one that is named, and somebody's."""
    qb.run("/sbin/mke2fs", "-q", "-F", "-t", "ext4", disk())
    return image()


@qb.case(disks="ext4")
def another_of_the_same_type_is_not_erased():
    """Neither one that came after the plan, nor one that came after an erasing that broke off."""
    qb.adopt_orphans()
    qb.configure(CONFIG % "ext4")
    with stopped("write", JOURNAL, 1) as agent:  # it is planned, and nothing is begun
        before = another_ext4()
    said = " ".join(agent.result.split())
    qb.same(agent.returncode, qb.FAILED, said)
    qb.contains(said, ["is not what was planned", "came since; where that is to go as well, plan"],
                "apply")
    qb.same(image(), before, "the disk")
    assert "gone for good" not in said, said
    qb.traced("-qq", "-o", "/dev/null", "-P", disk(), "-e", "trace=pwrite64", "-e",
              "inject=pwrite64:signal=KILL:when=2", qb.AGENT, "apply", "--yes", code=None)
    qb.wait_for_orphans()
    before = another_ext4()
    codes, said = reasons()
    assert "erase" in codes, codes
    qb.contains(said, ["erasing it broke off, and ext4 ", "wipefs -a"], "the plan")
    qb.agent("apply", "--yes", code=qb.REFUSED)
    qb.same(image(), before, "the disk")
    told = qb.agent("rollback", "--yes", code=qb.UNDO_FAILED)
    qb.contains(told.err, "gone for good", "the rollback")
    qb.same(image(), before, "the disk")


@qb.case(disks="ext4", seconds=600)
def it_may_break_off_anywhere():
    """With partitions, and old file systems below: nothing of them comes back, either."""
    qb.adopt_orphans()
    qb.configure(CONFIG % "[ext4, gpt, unknown-content]")
    killed = 0
    for number in range(1, 400, int(os.environ.get("EVERY", "12"))):
        blank_again(disk())
        table()
        r = qb.traced("-qq", "-o", "/dev/null", "-P", disk(), "-e", "trace=pwrite64,ioctl,fsync",
                      "-e", f"inject=pwrite64,ioctl,fsync:signal=KILL:when={number}", qb.AGENT,
                      "apply", "--yes", code=None)
        qb.wait_for_orphans()
        killed += r.code in (-signal.SIGKILL, 128 + signal.SIGKILL)
        again = qb.agent("apply", "--yes", code=None)
        qb.same(again.code, qb.OK, f"killed at {number}: {r}\nthe next run: {again}")
        assert os.path.ismount("/var/lib/libvirt/images"), number
        qb.same(qb.agent("plan").code, qb.OK, "the plan after it")
        if r.code == qb.OK:
            break
    print(f"figure: killed {killed} times, the same end each time")
    assert killed >= 10, killed


if __name__ == "__main__":
    qb.main()
