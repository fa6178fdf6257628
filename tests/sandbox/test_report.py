#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What a report costs the host, and what it says when its surroundings are odd."""

import os
import re

import qb


@qb.case(disks="blank,ext4")
def no_disk_is_held_for_a_page():
    """Only the plan asks whether a disk is free, by opening it exclusively."""
    for form in ("json", "html"):
        log = f"/tmp/{form}.strace"
        qb.traced("-f", "-qq", "-e", "trace=openat,execve", "-o", log, qb.AGENT, "check",
                  "--format", form, code=(qb.OK, qb.FAILED))
        with open(log, encoding="utf-8", errors="replace") as f:
            text = f.read()
        qb.contains(text, os.environ["QB_BLANK"], form)
        qb.same(re.findall(r'.*"/dev/.*O_EXCL.*', text), [], f"{form}: opened exclusively")
        qb.same(re.findall(r'.*execve.*pvs.*', text), [], f"{form}: LVM asked once more")


if __name__ == "__main__":
    qb.main()
