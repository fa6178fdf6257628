#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Somebody else is at the disk between plan and apply: it is refused, and what is on it stays.

The agent is stopped at a system call, by strace, something happens to the disk, and it goes on.
"""

import collections
import contextlib
import fcntl
import os
import pathlib
import re
import shutil
import subprocess

import qb
from carving import CONFIG, EXT4, JOURNAL, blank_again, stopped

# ROUNDS=8 makes 200 tries and more.
ROUNDS = int(os.environ.get("ROUNDS", "2"))


def moments():
    """From where it is planned to where the disk is had alone: (what comes next, the call, its
    number among those on that path)."""
    disk = os.environ["QB_BLANK"]
    return (("the journal's first record", "write", JOURNAL, 1),
            ("the record of what is intended", "write", JOURNAL, 2),
            ("its lock", "openat", disk, 1), ("having it alone", "flock", disk, 1),
            ("the look under the lock", "openat", disk, 2))


@contextlib.contextmanager
def file_system(disk):
    qb.run("/sbin/mke2fs", "-q", "-F", "-t", "ext4", disk)
    yield


@contextlib.contextmanager
def one_byte(disk):
    with open(disk, "r+b") as f:
        f.seek(1 << 20)
        f.write(b"\1")
        os.fsync(f.fileno())
    yield


@contextlib.contextmanager
def opened(disk):
    with open(disk, "r+b"):
        yield


@contextlib.contextmanager
def opened_alone(disk):
    with os.fdopen(os.open(disk, os.O_RDONLY | os.O_EXCL)):
        yield


@contextlib.contextmanager
def mounted_there(disk):
    with file_system(disk), mounted(disk, "-o", "ro"):
        yield


@contextlib.contextmanager
def swapped(disk):
    """Another disk of the same name, as after a hot swap: here another node is put over it."""
    qb.run("/bin/mount", "--bind", os.environ["QB_BLANK2"], disk)
    yield
    qb.run("/bin/umount", disk)


# Why, and until when it can come: who has the disk alone keeps others out, but not who just writes.
ANYTIME, NOT_ALONE = 5, 4
RACES = {file_system: ("is no longer free|something was written|cannot be had alone", NOT_ALONE),
         mounted_there: ("is no longer free|cannot be had alone", NOT_ALONE),
         one_byte: ("is no longer free|something was written", ANYTIME),
         opened: ("has it open", ANYTIME),
         opened_alone: ("has it open|in use|cannot be had alone", NOT_ALONE),
         swapped: ("is not the device|changed|not here any more|another disk", NOT_ALONE)}


def image(name):
    return qb.sha256(os.environ[name])


@contextlib.contextmanager
def mounted(node, *options):
    qb.run("/bin/mount", *options, node, "/mnt")
    yield
    qb.run("/bin/umount", "/mnt")


@qb.case(disks="blank,blank2,ext4", seconds=1800)
def what_comes_between_is_refused():
    qb.configure(CONFIG)
    disk, tried = os.environ["QB_BLANK"], collections.Counter()
    for turn in range(ROUNDS):
        for race, (reason, until) in RACES.items():
            for what, *call in moments()[:until]:
                blank_again()
                with stopped(*call) as agent:
                    hold = contextlib.ExitStack()
                    hold.enter_context(race(disk))
                    before = image("QB_BLANK"), image("QB_BLANK2")
                # Only now is it let go, or it would not be there while the agent goes on.
                where = f"{race.__name__} before {what}, turn {turn}"
                after = image("QB_BLANK"), image("QB_BLANK2")
                hold.close()
                said = " ".join(agent.result.split())
                assert agent.returncode in (qb.FAILED, qb.REFUSED), f"{where}: {said}"
                assert re.search(reason, said), f"{where}: {said}"
                qb.same(after, before, f"{where}: the disks")
                tried[race.__name__] += 1
    print(f"figure: {sum(tried.values())} of {sum(tried.values())} refused: {dict(tried)}")


GUEST = pathlib.Path("/mnt/guest.img")


def left_behind(disk):
    with mounted(disk + "p1"):
        GUEST.write_text("The only copy.\n", encoding="utf-8")


def taken_away_again(disk):
    left_behind(disk)
    with mounted(disk + "p1"):
        GUEST.unlink()


def rolled_back_while(disk, text, call, write):
    """What the rollback said in whose midst somebody mounted it, wrote, and was gone again."""
    blank_again()
    qb.configure(text)
    qb.agent("apply", "--yes")
    with stopped(*call, "rollback") as agent:
        write(disk)
    said = " ".join(agent.result.split())
    where = f"{write.__name__} after {call[0]} {call[2]}\n{text}{said}"
    qb.same(agent.returncode, qb.UNDO_FAILED, where)
    return said, where


@qb.case(disks="blank,ext4", seconds=600)
def what_is_written_while_it_is_rolled_back_stays():
    """Once it was looked whether anything is in it: before the lock, and under it."""
    disk, tried = os.environ["QB_BLANK"], 0
    under_the_lock = ("pread64", disk, 2)
    for _ in range(ROUNDS):
        for text in (CONFIG, EXT4):
            for call in (("openat", disk, 1), ("flock", disk, 1), under_the_lock):
                said, where = rolled_back_while(disk, text, call, left_behind)
                qb.contains(said, "has something in it", where)
                with mounted(disk + "p1", "-o", "ro"):
                    qb.same(GUEST.read_text(encoding="utf-8"), "The only copy.\n", where)
                tried += 1
            said, where = rolled_back_while(disk, text, under_the_lock, taken_away_again)
            qb.contains(said, "somebody wrote to it just now", where)
            tried += 1
    print(f"figure: {tried} of {tried} kept")


@qb.case(disks="blank,ext4", seconds=600)
def what_is_written_while_it_is_gone_on_with_stays():
    """A run was killed when its file system was whole and not yet called ready."""
    disk = os.environ["QB_BLANK"]
    for text in (CONFIG, EXT4):
        for write, code, words in (
                (left_behind, qb.UNDO_FAILED, "has something in it"),
                (taken_away_again, qb.FAILED, "somebody wrote to it just now")):
            blank_again()
            qb.configure(text)
            qb.traced("-qq", "-o", "/dev/null", "-P", disk + "p1", "-e", "trace=fsync", "-e",
                      "inject=fsync:signal=KILL:when=1", qb.AGENT, "apply", "--yes", code=None)
            with stopped("pread64", disk, 2) as agent:
                write(disk)
            said = " ".join(agent.result.split())
            where = f"{write.__name__}\n{text}{said}"
            qb.same(agent.returncode, code, where)
            qb.contains(said, words, where)
            if write is left_behind:
                with mounted(disk + "p1", "-o", "ro"):
                    assert GUEST.exists(), where


@qb.case(disks="blank,ext4")
def what_udev_says_and_nobody_sees_is_refused():
    """udev is behind: it knows a file system that is gone."""
    qb.configure(CONFIG)
    disk = os.environ["QB_BLANK"]
    qb.agent("plan", code=qb.PENDING)
    qb.run("/sbin/mke2fs", "-q", "-F", "-t", "ext4", disk)
    qb.run("/usr/bin/udevadm", "settle")
    qb.run("/usr/bin/udevadm", "control", "--stop-exec-queue")
    qb.run("/usr/sbin/blkdiscard", "-f", disk)
    qb.contains(qb.agent("plan", code=qb.REFUSED).out, "udev-stale", "the plan")
    qb.agent("apply", "--yes", code=qb.REFUSED)
    qb.run("/usr/bin/udevadm", "control", "--start-exec-queue")
    qb.run("/usr/bin/udevadm", "settle")
    qb.agent("plan", code=qb.PENDING)


@qb.case(disks="blank,ext4")
def one_that_came_in_its_place_is_another():
    """Of the same name, place and size: the kernel counts them (diskseq). Here strace says so: a
    sandbox holds its disks to its end."""
    qb.configure(CONFIG)
    disk, before = os.environ["QB_BLANK"], image("QB_BLANK")
    told = qb.traced("-qq", "-o", "/dev/null", "-P", disk, "-e", "trace=ioctl", "-e",
                     "inject=ioctl:poke_exit=@arg3=ffffffff00000000:when=2", qb.AGENT, "apply",
                     "--yes", code=qb.FAILED)
    qb.contains(told.err, "is another disk than was planned (diskseq 4294967295, was ", "apply")
    qb.same(image("QB_BLANK"), before, "the disk")


def keep_locked(disk, seconds):
    keeper = subprocess.Popen(["/usr/bin/flock", "--no-fork", "--shared", disk, "/bin/sleep", str(seconds)],
                              preexec_fn=qb.end_with_parent)
    with open(disk, "rb") as mine:
        while True:
            try:
                fcntl.flock(mine, fcntl.LOCK_EX | fcntl.LOCK_NB)
                fcntl.flock(mine, fcntl.LOCK_UN)
            except BlockingIOError:
                return keeper


@qb.case(disks="blank,ext4", seconds=100)
def one_that_keeps_it_locked_is_waited_for_and_no_longer():
    """udev has each disk that it looks at locked, shared (flock)."""
    qb.configure(CONFIG)
    disk, before = os.environ["QB_BLANK"], image("QB_BLANK")
    with stopped("write", JOURNAL, 2, "apply", "--timeout", "3") as agent:
        keeper = keep_locked(disk, 100)
    qb.same(agent.returncode, qb.FAILED, agent.result)
    qb.contains(agent.result, "another program holds its lock (flock)", "apply")
    qb.same(image("QB_BLANK"), before, "the disk")
    keeper.kill()
    keeper.wait()
    with stopped("write", JOURNAL.replace("1.jsonl", "2.jsonl"), 2) as agent:
        keeper = keep_locked(disk, 1)
    keeper.wait()
    qb.same(agent.returncode, qb.OK, agent.result)


@qb.case(disks="blank,ext4")
def udev_that_reads_it_is_no_user_of_it():
    """It looks at each disk that has changed; a program that is not udev has it open."""
    qb.configure(CONFIG)
    for name, code in (("udevadm", qb.PENDING), ("reader", qb.REFUSED)):
        program = "/tmp/" + name
        shutil.copy("/bin/sleep", program)
        with open(os.environ["QB_BLANK"], "rb") as disk:
            reader = subprocess.Popen([program, "100"], stdin=disk)
        try:
            plan = qb.agent("plan", code=code)
        finally:
            reader.kill()
            reader.wait()
        qb.same("open: " in plan.out, code == qb.REFUSED, plan.out)


if __name__ == "__main__":
    qb.main()
