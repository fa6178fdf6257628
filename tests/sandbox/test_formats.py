#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The file systems that a pool may have: made, registered, taken back while nothing is in them, and
never made anew in the place of one that is there."""

import contextlib
import os

import qb
from carving import CONFIG, EXT4

TARGET = "/var/lib/libvirt/images"


def rollback(code):
    r = qb.agent("rollback", "--yes", code=code)
    return r.out + r.err


def image():
    """Of the file behind it: the kernel caches a partition apart from its disk."""
    os.sync()
    return qb.sha256("/run/sandbox/blank.img")


@contextlib.contextmanager
def inside():
    """The pool's file system, where libvirt has it not mounted."""
    os.makedirs("/srv/mine", exist_ok=True)
    qb.run("/bin/mount", os.environ["QB_BLANK"] + "p1", "/srv/mine")
    yield "/srv/mine"
    qb.run("/bin/umount", "/srv/mine")


@qb.case(disks="blank,ext4")
def ext4_is_made_registered_and_taken_back():
    qb.configure(EXT4)
    plan = qb.agent("plan", code=qb.PENDING).out
    qb.contains(" ".join(plan.split()), "a GPT with one ext4", "the plan")
    qb.agent("apply", "--yes")
    qb.same(qb.mounts(), [(TARGET, "ext4")], "what is mounted")
    qb.contains(qb.virsh("pool-dumpxml", "images"), "<format type='ext4'/>", "the pool")
    with open("/tmp/pool.xml", "w", encoding="utf-8") as f:
        f.write(qb.virsh("pool-dumpxml", "images"))
    qb.run("/usr/bin/virt-xml-validate", "/tmp/pool.xml", "storagepool")
    qb.same(os.listdir(TARGET), ["lost+found"], "what is in it")
    qb.virsh("vol-create-as", "images", "proof.img", "8M")
    qb.contains(qb.agent("plan").out, "Nothing to do", "a second time")
    qb.contains(rollback(qb.UNDO_FAILED), 'it holds "proof.img"; move that away', "with a volume")
    qb.same(qb.mounts(), [(TARGET, "ext4")], "what is mounted still")
    os.unlink(TARGET + "/proof.img")
    rollback(qb.OK)
    qb.same(qb.mounts(), [], "what is mounted")
    with open(os.environ["QB_BLANK"], "rb") as f:
        assert not any(f.read(4 << 20)), "something is left on the disk"


@qb.case(disks="blank,ext4")
def what_fsck_found_is_somebodys():
    qb.configure(EXT4)
    qb.agent("apply", "--yes")
    with open(TARGET + "/lost+found/#12345", "w", encoding="utf-8") as f:
        f.write("The only copy.\n")
    qb.contains(rollback(qb.UNDO_FAILED), 'it holds "lost+found"', "with a file in lost+found")
    qb.virsh("pool-destroy", "images")
    qb.contains(rollback(qb.UNDO_FAILED), "has something in it", "the same, not mounted")
    with inside() as folder:
        os.unlink(folder + "/lost+found/#12345")
        os.rmdir(folder + "/lost+found")
    qb.contains(rollback(qb.UNDO_FAILED), "has no lost+found", "without it")


@qb.case(disks="blank,ext4")
def what_is_there_is_never_made_anew():
    for made, wanted, name in ((CONFIG, EXT4, "ext4"), (EXT4, CONFIG, "xfs")):
        qb.configure(made)
        qb.agent("apply", "--yes")
        qb.virsh("pool-destroy", "images")
        before = image()
        qb.configure(wanted)
        qb.contains(" ".join(qb.agent("plan", code=qb.REFUSED).out.split()),
                    ["format: ", f"the configuration wants {name}", "never formatted anew"],
                    "the plan")
        qb.agent("apply", "--yes", code=qb.REFUSED)
        qb.same(image(), before, "the disk")
        qb.configure(made)
        rollback(qb.OK)


if __name__ == "__main__":
    qb.main()
