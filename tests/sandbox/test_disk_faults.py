#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""apply that carves a disk, with a fault at every system call that touches that disk.

The agent's own calls, those of mkfs on the partition, and those of whoever reads the disk, one
after the other: it is killed there, or the kernel answers EIO, ENOSPC or EBUSY. A run that says it
is done is as one without a fault; any other says what is wrong, and the next run comes to the same
end. strace brings the faults.
"""

import collections
import json
import os
import re
import signal

import qb
from carving import CONFIG, EXT4, TRACE, blank_again

# EVERY=1 tries each call; else each EVERY-th, another one for each fault.
EVERY = int(os.environ.get("EVERY", "23"))
LOGICAL = """\
version: 1
pools:
  - name: images
    type: logical
    disks: {path: "@QB_BLANK@"}
"""
FAULTS = ("signal=KILL", "error=EIO", "error=ENOSPC", "error=EBUSY")
ERRORS = {"error=EIO": ("read", "write", "pread", "pwrite", "fsync", "fdatasync", "ioctl", "open",
                        "preadv", "pwritev", "lseek", "sync_file_range", "fallocate"),
          "error=ENOSPC": ("write", "pwrite", "pwritev", "fsync", "fdatasync", "fallocate"),
          "error=EBUSY": ("open", "ioctl")}


def calls_on(path, *options):
    """A whole run: each call on path as (name, its number among the process's calls of the name,
    process)."""
    qb.traced("-qq", "-y", "-s", "0", *options, "-o", TRACE, qb.AGENT, "apply", "--yes")
    seen, calls = collections.Counter(), []
    with open(TRACE, encoding="utf-8", errors="replace") as f:
        for line in f:
            m = re.match(r"(?:(\d+) +)?([a-z0-9_]+)\((.*)", line)
            if not m:
                continue
            pid, name, rest = m.groups()
            seen[pid, name] += 1
            if re.search(rf'[<"]{re.escape(path)}[>"<]', rest) and name not in ("execve", "readlink"):
                calls.append((name, seen[pid, name], pid))
    return calls


def partition():
    return os.environ["QB_BLANK"] + "p1"


def applies(fault, name):
    return fault == "signal=KILL" or any(name.startswith(n) for n in ERRORS[fault])


def end_state():
    return {"table": qb.partition_table(os.environ["QB_BLANK"]), "mounts": qb.mounts(),
            "pools": qb.virsh("pool-list", "--all")}


def unread(told, fault):
    """Each process that reads meets the fault, and so does the one that was to look what would be
    undone: what cannot be read stays, and the report has the disk, the place and the error."""
    disk, after = os.environ["QB_BLANK"], "done, but not as wanted: "
    left = [s["error"] for s in told["steps"] if s["status"] == "undo-failed"]
    words = [f"undo: {disk} stays as it is: {disk} cannot be read: ", "from byte",
             "Input/output error", "journalctl -k"]
    return fault == "error=EIO" and left and all(w in error for error in left for w in words) and \
        all(after not in error or f"{after}{disk} cannot be read: " in error for error in left)


def trial(options, name, number, fault, wanted):
    """What came of it: "done", "said", "left" or "killed"."""
    r = qb.traced("-qq", "-o", "/dev/null", *options, "-e", f"trace={name}", "-e",
                  f"inject={name}:{fault}:when={number}", qb.AGENT, "apply", "--yes", "-f", "json",
                  code=None)
    qb.wait_for_orphans()
    where = f"{fault} at {name} {number}"
    killed = r.code in (-signal.SIGKILL, 128 + signal.SIGKILL)
    if r.code == qb.OK:
        qb.same(end_state(), wanted, f"{where}: it says that it is done")
        return "done"
    if not killed:
        told = json.loads(r.out)
        assert r.code in (qb.FAILED, qb.REFUSED) or \
            (r.code == qb.UNDO_FAILED and unread(told, fault)), f"{where}: {r}"
        reasons = [x["evidence"] for each in told["refused"] for x in each["reasons"]]
        said = r.err.strip() or reasons
        assert said, f"{where}: it failed and did not say why: {r}"
    again = qb.agent("apply", "--yes", code=None)
    assert again.code == qb.OK, f"{where}: {r}\nthe next run: {again}"
    qb.same(end_state(), wanted, f"{where}: after the next run")
    return "killed" if killed else "left" if r.code == qb.UNDO_FAILED else "said"


def sweep(what, calls, options):
    """calls: (name, number); the same for each process of options, which strace counts apart."""
    qb.adopt_orphans()
    wanted = end_state()
    foreign = qb.foreign_disks()
    came_to, tried = collections.Counter(), 0
    for turn, fault in enumerate(FAULTS):
        for name, number in [c for c in calls if applies(fault, c[0])][turn % EVERY::EVERY]:
            blank_again()
            came_to[fault, trial(options, name, number, fault, wanted)] += 1
            tried += 1
    qb.same(qb.foreign_disks(), foreign, "disks of others")
    print(f"figure: {tried} faults at {len(calls)} calls of {what}, one in {EVERY}: "
          f"{ {' '.join(k): n for k, n in sorted(came_to.items())} }")
    assert tried >= 8, tried


@qb.case(disks="blank,ext4", seconds=3600)
def calls_of_the_agent():
    qb.configure(CONFIG)
    calls = [(name, number) for name, number, _ in calls_on(os.environ["QB_BLANK"])]
    sweep("the agent", calls, [])


@qb.case(disks="blank,ext4", seconds=3600)
def calls_of_mkfs():
    mkfs(CONFIG)


@qb.case(disks="blank,ext4", seconds=3600)
def calls_of_mkfs_of_ext4():
    mkfs(EXT4)


def mkfs(config):
    qb.configure(config)
    only = ["-f", "-P", partition()]
    seen = {(name, number) for name, number, _ in calls_on(partition(), *only)}
    sweep("mkfs", sorted(seen), only)


@qb.case(disks="blank,ext4", seconds=600)
def what_cannot_be_read_back_is_said():
    read_back(CONFIG)


@qb.case(disks="blank,ext4", seconds=600)
def a_member_that_cannot_be_read_back_is_said():
    read_back(LOGICAL)


def read_back(config):
    """Whoever looks at the blank disk reads less of it than who looks what was made of it."""
    qb.configure(config)
    only = readers()
    calls = calls_on(os.environ["QB_BLANK"], *only)
    of_blank = [n for name, n, pid in calls if name == "read" and pid == calls[0][2]]
    wanted = end_state()
    qb.adopt_orphans()
    for number in range(len(of_blank) + 1, len(of_blank) + 9):
        blank_again()
        if trial(only, "read", number, "error=EIO", wanted) == "left":
            return
    raise AssertionError("none of them met who was to look what was made")


def readers():
    return ["-f", "-P", os.environ["QB_BLANK"]]


@qb.case(disks="blank,ext4", seconds=3600)
def calls_of_those_who_read_it():
    """Each process that looks at the disk meets the fault at its own call of that number."""
    qb.configure(CONFIG)
    only = readers()
    seen = {(name, number) for name, number, _ in calls_on(os.environ["QB_BLANK"], *only)}
    sweep("those who read it", sorted(seen), only)


if __name__ == "__main__":
    qb.main()
