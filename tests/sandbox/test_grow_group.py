#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A disk of a volume group that became larger: the group has the room, in use as it is; one that
became smaller is left alone. This kernel may have no device mapper: no volume is active here."""

import os
import signal

import qb
from test_grow import GIB, IMAGE, MIB, STEP, disk, killed_at, points, resize, size_of_disk, \
    smaller_is_refused_and_not_written, table_is_whole
from test_kill_sweep import boot

LVM = "/usr/sbin/lvm"
IMAGE2 = "/run/sandbox/blank2.img"
CONFIG = """\
version: 1
pools:
  - name: vms
    type: logical
    disks: {path: "@QB_BLANK@"}
"""
EXTENT = 4 * MIB


def size_of_group():
    return int(qb.run(LVM, "vgs", "--noheadings", "--units", "b", "--nosuffix", "-o", "vg_size",
                      "vms").out)


def capacity():
    said = qb.virsh("pool-info", "--bytes", "vms").splitlines()
    return int(next(line for line in said if line.startswith("Capacity:")).split()[1])


def takes_all_of(size):
    table_is_whole(size)
    assert 0 <= size - 3 * MIB - size_of_group() < EXTENT, (size, size_of_group())
    qb.same(qb.run(LVM, "pvs").err, "", "LVM's warnings")
    qb.same(capacity(), size_of_group(), "libvirt's capacity")
    qb.contains(qb.agent("plan").out, "Nothing to do", "the plan")


@qb.case(disks="blank")
def the_group_has_the_room():
    qb.configure(CONFIG)
    qb.agent("apply", "--yes")
    was = size_of_disk()
    takes_all_of(was)
    resize(was + GIB)
    said = " ".join(qb.agent("plan", code=qb.PENDING).out.split())
    qb.contains(said, ["storage.grow, undo none", "its physical volume grows from", "libvirt.refresh"],
                "the plan")
    qb.agent("apply", "--yes")
    takes_all_of(was + GIB)
    said = qb.agent("rollback", "--yes", code=qb.UNDO_FAILED)
    qb.contains(said.out + said.err, "keeps its larger size (2 GiB)", "the rollback")
    takes_all_of(was + GIB)


@qb.case(disks="blank")
def less_than_an_extent_is_left_alone():
    qb.configure(CONFIG)
    qb.agent("apply", "--yes")
    resize(size_of_disk() + 3 * MIB)
    before = qb.sha256(IMAGE)
    qb.contains(qb.agent("plan").out, "Nothing to do", "the plan")
    qb.agent("apply", "--yes")
    qb.same(qb.sha256(IMAGE), before, "the disk")


@qb.case(disks="blank")
def a_disk_that_became_smaller_is_refused_and_not_written():
    qb.configure(CONFIG)
    qb.agent("apply", "--yes")
    smaller_is_refused_and_not_written()
    takes_all_of(size_of_disk())


@qb.case(disks="blank,blank2")
def one_that_is_torn_is_mended_before_the_others_grow():
    """As a power cut leaves the first of two that grow: LVM changes no group that lacks a disk."""
    qb.configure(CONFIG.replace("{path", "[{path").replace("@\"}", "@\"}, {path: '@QB_BLANK2@'}]"))
    qb.agent("apply", "--yes")
    was = size_of_group()
    for name, image in (("QB_BLANK", IMAGE), ("QB_BLANK2", IMAGE2)):
        resize(size_of_disk(image) + GIB, os.environ[name], image)
    r = qb.traced("-qq", "-o", "/dev/null", "-P", disk(), "-e", "trace=fsync", "-e",
                  "inject=fsync:signal=KILL:when=2", qb.AGENT, "apply", "--yes", code=None)
    qb.wait_for_orphans()
    assert r.code in (-signal.SIGKILL, 128 + signal.SIGKILL), r
    with open(disk(), "r+b", buffering=0) as f:
        os.pwrite(f.fileno(), bytes(512), 512)
        os.fsync(f.fileno())
    boot(disk())
    qb.same(qb.run(LVM, "vgs", "--noheadings", "-o", "vg_missing_pv_count", "vms").out.strip(), "1",
            "missing")
    qb.agent("apply", "--yes")
    qb.contains(qb.agent("plan").out, "Nothing to do", "the plan")
    assert was + 2 * GIB <= size_of_group() <= was + 2 * GIB + 2 * EXTENT, (was, size_of_group())
    qb.same(capacity(), size_of_group(), "libvirt's capacity")
    qb.same(qb.run(LVM, "pvs").err, "", "LVM's warnings")


@qb.case(disks="blank", seconds=1200)
def the_same_end_wherever_it_is_killed():
    """At every call, and at those about the disk once more, where the kernel reads the table anew."""
    qb.adopt_orphans()
    qb.configure(CONFIG)
    qb.agent("apply", "--yes")
    resize(size_of_disk() + GIB)
    calls, killed = points(), 0
    takes_all_of(size_of_disk())
    todo = [(*call[:2], False) for call in calls] + [call for call in calls if call[2]]
    for name, number, down in todo:
        resize(size_of_disk() + STEP)
        killed += killed_at(name, number)
        if down:
            boot(disk())
        again = qb.agent("apply", "--yes", code=None)
        assert again.code == 0, f"killed at {name} {number}: the rerun: {again}"
        takes_all_of(size_of_disk())
    print(f"figure: killed {killed} of {len(todo)} times, and the same end each time")
    assert killed >= len(todo) - 3 and killed > 40, f"only {killed} of {len(todo)} were killed"


if __name__ == "__main__":
    qb.main()
