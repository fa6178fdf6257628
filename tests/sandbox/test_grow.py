#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A disk that became larger: its pool takes the room, in use as it is; one that became smaller is
left alone."""

import collections
import fcntl
import os
import re
import signal
import subprocess
import sys

import qb
from carving import CONFIG, EXT4, TRACE
from test_kill_sweep import STRACE, boot, spans

LOOP_SET_CAPACITY = 0x4C07
TARGET = "/var/lib/libvirt/images"
IMAGE = "/run/sandbox/blank.img"
MIB, GIB = 1 << 20, 1 << 30
STEP = 16 * MIB  # by which the disk grows before each kill
CAP_SYS_RESOURCE = 24

# Writes numbered blocks, and says at the end how many.
WRITER = """\
import os, signal, sys
stop = []
signal.signal(signal.SIGTERM, lambda *_: stop.append(1))
n, f = 0, os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT, 0o600)
while not stop:
    os.pwrite(f, n.to_bytes(8, "little") * 512, n % 8192 * 4096)
    n += 1
    if n == 1:
        print("begun", flush=True)
os.fsync(f)
print(n)
"""


def disk():
    return os.environ["QB_BLANK"]


def resize(size, device=None, image=IMAGE):
    """As block_resize or a storage array do it: the kernel is told the new size, and no more."""
    os.truncate(image, size)
    with open(device or disk(), "rb") as f:
        fcntl.ioctl(f, LOOP_SET_CAPACITY)
    qb.run("/usr/bin/udevadm", "settle")


def size_of_disk(image=IMAGE):
    return os.stat(image).st_size


def capacity():
    info = dict(line.split(None, 1) for line in
                qb.virsh("pool-info", "--bytes", "images").splitlines() if line.split(None, 1)[1:])
    return int(info["Capacity:"])


def mounted_size():
    v = os.statvfs(TARGET)
    return v.f_blocks * v.f_frsize


def is_in_sync():
    qb.contains(qb.agent("plan").out, "Nothing to do", "the plan")
    qb.same(capacity(), mounted_size(), "libvirt's capacity")


def table_is_whole(size):
    """Both copies, the second one at the disk's very end."""
    with open(IMAGE, "rb") as f:
        f.seek(size - 512)
        qb.same(f.read(8), b"EFI PART", "what begins the last sector")
    out = qb.run("/usr/sbin/sfdisk", "--verify", disk()).out
    qb.contains(out, "No errors detected", "sfdisk")


def writing():
    p = subprocess.Popen([sys.executable, "-c", WRITER, TARGET + "/guest.img"],
                         stdout=subprocess.PIPE, encoding="utf-8")
    qb.same(p.stdout.readline(), "begun\n", "what the writer says first")
    return p


def is_all_there(writer):
    """Every block that was written last at its place is what was written."""
    writer.terminate()
    n = int(writer.communicate()[0])
    with open(TARGET + "/guest.img", "rb") as f:
        for place in range(min(n, 8192)):
            last = place + (n - 1 - place) // 8192 * 8192
            qb.same(f.read(4096), last.to_bytes(8, "little") * 512, f"block {place} of {n}")


def grows_in_use(config, fs):
    qb.configure(config)
    qb.agent("apply", "--yes")
    was, before = size_of_disk(), mounted_size()
    writer = writing()
    resize(was + GIB)
    said = " ".join(qb.agent("plan", code=qb.PENDING).out.split())
    qb.contains(said, ["storage.grow, undo none", f"its {fs} grows from", "libvirt.refresh"], "the plan")
    qb.agent("apply", "--yes")
    table_is_whole(was + GIB)
    assert mounted_size() >= before + GIB * 95 // 100, (before, mounted_size())
    is_in_sync()
    qb.agent("apply", "--yes")
    is_all_there(writer)


@qb.case(disks="blank")
def xfs_grows_while_it_is_written_to():
    grows_in_use(CONFIG, "XFS")


@qb.case(disks="blank")
def ext4_grows_while_it_is_written_to():
    with open("/proc/self/status", encoding="utf-8") as f:
        capabilities = int(re.search(r"CapEff:\s*(\w+)", f.read())[1], 16)
    if not capabilities >> CAP_SYS_RESOURCE & 1:
        raise qb.Skip("no CAP_SYS_RESOURCE, without which the kernel makes no ext4 larger")
    resize(2 * GIB)  # of less the journal is too small for it
    grows_in_use(EXT4, "ext4")


@qb.case(disks="blank")
def what_is_not_mounted_grows_and_is_started():
    qb.configure(CONFIG)
    qb.agent("apply", "--yes")
    was = size_of_disk()
    qb.virsh("pool-destroy", "images")
    resize(was + GIB)
    qb.agent("apply", "--yes")
    assert os.path.ismount(TARGET)
    table_is_whole(was + GIB)
    assert mounted_size() > was + GIB * 9 // 10, mounted_size()
    is_in_sync()


@qb.case(disks="blank")
def less_than_a_unit_is_left_alone():
    qb.configure(CONFIG)
    qb.agent("apply", "--yes")
    resize(size_of_disk() + MIB // 2)
    before = qb.sha256(IMAGE)
    is_in_sync()
    qb.agent("apply", "--yes")
    qb.same(qb.sha256(IMAGE), before, "the disk")


@qb.case(disks="blank")
def what_somebody_else_enlarged_is_only_filled():
    qb.configure(CONFIG)
    qb.agent("apply", "--yes")
    resize(size_of_disk() + GIB)
    for words in (("/bin/sh", "-c", 'echo ", +" | /usr/sbin/sfdisk -q --no-reread --force -N 1 "$1"',
                   "sh", disk()), ("/usr/bin/partx", "--update", disk())):
        qb.run(*words)
    qb.run("/usr/bin/udevadm", "settle")
    before = qb.partition_table(disk())
    qb.agent("apply", "--yes")
    qb.same(qb.partition_table(disk()), before, "the table")
    assert mounted_size() > 2 * GIB * 9 // 10, mounted_size()
    is_in_sync()


def smaller_is_refused_and_not_written():
    """At half its size; then it is as it was."""
    was = size_of_disk()
    os.sync()
    with open(IMAGE, "rb") as f:
        f.seek(was // 2)
        tail = f.read()
    resize(was // 2)
    before = qb.sha256(IMAGE)
    for words in (("plan",), ("apply", "--yes")):
        said = qb.agent(*words, code=qb.REFUSED)
        qb.contains(" ".join((said.out + said.err).split()), ["shrunk", "the disk became smaller"],
                    "the refusal")
    qb.same(qb.sha256(IMAGE), before, "the disk")
    resize(was)
    with open(IMAGE, "r+b") as f:
        f.seek(was // 2)
        f.write(tail)


@qb.case(disks="blank")
def a_disk_that_became_smaller_is_refused_and_not_written():
    qb.configure(CONFIG)
    qb.agent("apply", "--yes")
    qb.virsh("pool-destroy", "images")
    smaller_is_refused_and_not_written()
    qb.agent("apply", "--yes")
    is_in_sync()


@qb.case(disks="blank")
def a_rollback_says_that_the_larger_size_stays():
    qb.configure(CONFIG)
    qb.agent("apply", "--yes")
    was = size_of_disk()
    resize(was + GIB)
    qb.agent("apply", "--yes")
    large = mounted_size()
    said = qb.agent("rollback", "--yes", code=qb.UNDO_FAILED)
    qb.contains(said.out + said.err, "keeps its larger size (2 GiB)", "the rollback")
    qb.same(mounted_size(), large, "the size")
    table_is_whole(was + GIB)
    is_in_sync()
    resize(was + 2 * GIB)
    qb.agent("apply", "--yes")
    is_in_sync()


# ------------------------------------------------------------------ killed in the middle

# What only asks, or wakes up a thread of its own.
ASKS = re.compile(r"openat.*O_RDONLY|<anon_inode:|BLKGET|BLKSSZGET|FDGET|CDROM_|HDIO_GETGEO|, TC[GS]")


def points():
    """Which calls of each name, counted from 1, lie within the steps of a run that grows and change
    something, or talk to somebody who will; and whether they are about the disk."""
    qb.traced(*STRACE, "-y", "-o", TRACE, qb.AGENT, "apply", "--yes")
    with open(TRACE, encoding="utf-8", errors="replace") as f:
        calls = [line for line in f if re.match(r"[a-z0-9_]+\(", line)]
    within = {i for span, inside in spans(calls) if inside for i in span}
    seen, found = collections.Counter(), []
    for i, line in enumerate(calls):
        name = line.split("(")[0]
        seen[name] += 1
        if i in within and not ASKS.search(line):
            found.append((name, seen[name], f"<{disk()}" in line))
    return found


def killed_at(name, number):
    r = qb.traced("-qq", "-o", "/dev/null", "-e", f"trace={name}", "-e",
                  f"inject={name}:signal=KILL:when={number}", qb.AGENT, "apply", "--yes", code=None)
    qb.wait_for_orphans()
    return r.code in (-signal.SIGKILL, 128 + signal.SIGKILL)


def shut_down():
    """libvirt goes on with what a client that was killed had asked for, and refuses meanwhile. What
    udev has no link to, because its table is torn, libvirt lets go of as it is."""
    def is_down():
        r = qb.run("/usr/bin/virsh", "-c", "qemu:///system", "pool-destroy", "images", code=None)
        return r.code == 0 or "not active" in r.err
    assert qb.until(is_down), "the pool cannot be stopped"
    if os.path.ismount(TARGET):
        qb.run("/usr/bin/umount", TARGET)


@qb.case(disks="blank", seconds=1200)
def the_same_end_wherever_it_is_killed():
    """At every call; and at those about the disk once more, where what is mounted goes down with it
    and the kernel reads the table anew."""
    qb.adopt_orphans()
    qb.configure(CONFIG)
    qb.agent("apply", "--yes")
    with open(TARGET + "/guest.img", "wb") as f:
        f.write(os.urandom(8 * MIB))
        os.fsync(f.fileno())
    guest, killed = qb.sha256(TARGET + "/guest.img"), 0
    resize(size_of_disk() + GIB)
    calls = points()
    is_in_sync()
    todo = [(*call[:2], False) for call in calls] + [call for call in calls if call[2]]
    for name, number, down in todo:
        was = mounted_size()
        resize(size_of_disk() + STEP)
        killed += killed_at(name, number)
        if down:
            shut_down()
            boot(disk())
        again = qb.agent("apply", "--yes", code=None)
        assert again.code == 0, f"killed at {name} {number}: the rerun: {again}"
        table_is_whole(size_of_disk())
        qb.same(mounted_size(), was + STEP, f"killed at {name} {number}: the size")
        qb.same(qb.sha256(TARGET + "/guest.img"), guest, f"killed at {name} {number}: a file")
        is_in_sync()
    print(f"figure: killed {killed} of {len(todo)} times, and the same end each time")
    assert killed >= len(todo) - 3 and killed > 40, f"only {killed} of {len(todo)} were killed"


if __name__ == "__main__":
    qb.main()
