#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A power cut tore LVM's description of a group on one disk: it is written anew, and no more."""

import os
import struct
import subprocess

import qb
from test_logical import BOTH, LVM, MIB, groups


def tear_description(disk):
    """What a power cut makes of one of LVM's copies: a header that points to no text."""
    area = MIB + 4096  # struct mda_header of LVM
    with open(disk, "r+b", buffering=0) as f:
        f.seek(area + 40)
        offset, = struct.unpack("<Q", f.read(8))
        f.seek(area + offset)
        f.write(bytes(512))
        os.fsync(f.fileno())
    for node in (disk, disk + "p1"):
        qb.run("/usr/sbin/blockdev", "--flushbufs", node)


@qb.case(disks="blank,blank2")
def a_description_that_was_torn_is_written_anew():
    """LVM goes by the other one, warns each time, and leaves it so."""
    qb.configure(BOTH)
    qb.agent("apply", "--yes")
    tear_description(os.environ["QB_BLANK2"])
    warned = qb.run(LVM, "vgs").err
    qb.contains(warned, "repair VG metadata", "LVM")
    plan = " ".join(qb.agent("plan", code=qb.PENDING).out.split())
    qb.contains(plan, ["1. pool vms", "LVM cannot read the description of the volume group vms",
                       os.environ["QB_BLANK2"]], "the plan")
    qb.agent("apply", "--yes")
    qb.same(qb.run(LVM, "vgs").err.strip(), "", "what LVM warns of")
    qb.contains(qb.agent("plan").out, "Nothing to do", "a plan after it")
    qb.agent("rollback", "--yes")
    qb.same(groups()["vms"]["pv_count"], "2", "what the first run made stays")
    qb.agent("rollback", "--yes")
    qb.same(groups(), {}, "groups")


@qb.case(disks="blank,blank2")
def a_member_that_is_marked_is_left_as_somebody_made_it():
    """A partition may be larger than ours would be, and in use to its end."""
    disk = os.environ["QB_BLANK2"]
    qb.configure(BOTH)
    qb.agent("apply", "--yes")
    subprocess.run(["/usr/sbin/sfdisk", "-q", "--no-reread", "--no-tell-kernel", "-N", "1", disk],
                   input=b", +\n", check=True)
    size = qb.run("/usr/sbin/sfdisk", "--dump", disk).out.split("size=")[1]
    sectors = size.split(",")[0].strip()
    qb.run("/usr/bin/resizepart", disk, "1", sectors)
    qb.run(LVM, "pvresize", "-q", disk + "p1")
    table = qb.partition_table(disk)
    tear_description(disk)
    qb.agent("apply", "--yes")
    qb.same(qb.run(LVM, "vgs").err.strip(), "", "what LVM warns of")
    qb.same(qb.partition_table(disk), table, "its table")
    with open(f"/sys/class/block/{os.path.basename(disk)}p1/size", encoding="ascii") as f:
        qb.same(f.read().strip(), sectors, "its partition as the kernel has it")
    qb.contains(qb.agent("plan").out, "Nothing to do", "a plan after it")


if __name__ == "__main__":
    qb.main()
