#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""In a sandbox: the first N writes of a recorded apply, as a power cut left them, and an apply again.

usage: replay.py FOLDER     of log.img, journal.jsonl, host.yaml and size
"""
import json
import os
import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "sandbox")]
import log_writes
import qb
from test_kill_sweep import boot

JOURNAL = "/var/lib/qubi-agent/journal"
TARGET = "/var/lib/libvirt/images"
DISK = os.environ["QB_BLANK"]


def restore(base):
    """Makes the disk what base is, of which most is nothing, and takes its partition as a boot
    does."""
    qb.run("/sbin/blkdiscard", DISK)
    with open(base, "rb") as source, open(DISK, "r+b", buffering=0) as disk:
        end = 0
        while True:
            try:
                at = os.lseek(source.fileno(), end, os.SEEK_DATA)
            except OSError:  # ENXIO: a hole up to the end
                break
            end = os.lseek(source.fileno(), at, os.SEEK_HOLE)
            source.seek(at)
            disk.seek(at)
            disk.write(source.read(end - at))
        os.fsync(disk.fileno())
    boot(DISK)
    qb.run("/usr/bin/udevadm", "settle")


def begin(journal):
    os.makedirs(JOURNAL, mode=0o700, exist_ok=True)
    with open(f"{JOURNAL}/000001.jsonl", "w", encoding="utf-8") as f:
        f.write(journal)


def end():
    for words in (("pool-destroy", "images"), ("pool-undefine", "images")):
        qb.virsh(*words, code=None)
    for name in os.listdir(JOURNAL):
        os.unlink(f"{JOURNAL}/{name}")


def judge():
    """"converged", or by which codes it is refused."""
    done = qb.agent("apply", "--yes", "--format", "json", code=None)
    document = json.loads(done.out)
    if done.code == qb.REFUSED:
        codes = sorted({reason["code"] for r in document["refused"] for reason in r["reasons"]})
        return "refused: " + " ".join(codes), done
    if done.code != qb.OK:
        return "failed", done
    plan = qb.agent("plan", code=None)
    source = qb.run("/bin/findmnt", "-n", "-o", "SOURCE,FSTYPE", TARGET, code=None).out.split()
    if plan.code != qb.OK or source != [DISK + "p1", "xfs"]:
        return "failed", f"{done}\n{plan}\n{source}"
    qb.virsh("vol-create-as", "images", "probe", "1M")
    return "converged", done


def main():
    folder, base = pathlib.Path(sys.argv[1]), "/root/base.img"
    writes = log_writes.read(folder / "log.img")
    last = next(i for i, w in enumerate(writes) if w.mark == "applied")
    qb.configure((folder / "host.yaml").read_text())
    journal = log_writes.begun(folder / "journal.jsonl", "storage.carve")
    with open(base, "wb") as f:
        f.truncate(int((folder / "size").read_text()))
    with open(folder / "log.img", "rb") as log, open(base, "r+b") as target:
        for n in range(last + 1):
            restore(base)
            begin(journal)
            what, told = judge()
            print(json.dumps({"prefix": n, "came_to": what,
                              "told": str(told) if what != "converged" else ""}), flush=True)
            end()
            if n < last:
                log_writes.play(log, writes[n], target)


main()
