#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Who uses a disk, where that is not in plain sight."""

import json
import os
import re
import subprocess

import qb


def reasons(device):
    facts = json.loads(qb.agent("facts", "--format", "json").out)
    disk = next(d for d in facts["disks"] if d["path"] == os.environ[device])
    return {r["code"]: r["evidence"] for r in disk["reasons"]}


def beside(*command):
    """A process that says when it has begun, and then waits for the end of its input."""
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                               encoding="ascii")
    qb.same(process.stdout.readline(), "ready\n", "what it says")
    return process


@qb.case(disks="ext4,blank")
def a_mount_that_only_another_process_sees():
    assert "mounted" not in reasons("QB_EXT4")
    with beside("/usr/bin/unshare", "-m", "/bin/sh", "-c",
                f"mount -r {os.environ['QB_EXT4']} /mnt && echo ready && read end"):
        assert re.fullmatch(rf"{os.environ['QB_EXT4']} on /mnt, where sh \(pid \d+\) sees it",
                            reasons("QB_EXT4")["mounted"]), reasons("QB_EXT4")
        assert "mounted" not in reasons("QB_BLANK")


@qb.case(disks="blank,blank2")
def a_node_outside_of_dev():
    """As below a chroot; whoever has it open has the disk open."""
    node = "/root/a node"
    st = os.stat(os.environ["QB_BLANK"])
    os.mknod(node, 0o600 | 0o060000, st.st_rdev)
    try:
        with beside("/bin/sh", "-c", f'exec 3<"{node}" && echo ready && read end'):
            qb.contains(reasons("QB_BLANK").get("open", ""), "sh (pid ", "evidence")
            assert "open" not in reasons("QB_BLANK2")
    finally:
        os.unlink(node)
    assert "open" not in reasons("QB_BLANK")


if __name__ == "__main__":
    qb.main()
