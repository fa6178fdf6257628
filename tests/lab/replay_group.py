#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""In the machine: the first N writes of a recorded apply, as a power cut left them, and an apply
again.

usage: replay_group.py LOG SIZE LOOPS EVERY   of each disk in bytes; {loop device: the file behind
                                              it}; of how many states one is tried
"""
import json
import pathlib
import shutil
import subprocess
import sys

import log_writes

REFUSED = 3
JOURNAL = pathlib.Path("/var/lib/qubi-agent/journal")
RECORDED = pathlib.Path("/root/recorded/000001.jsonl")
BASE = pathlib.Path("/run/base")


def run(*argv, check=True):
    return subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, encoding="utf-8", check=check)


def begin(loops, journal):
    for device, path in loops.items():
        run("cp", "--sparse=always", BASE / pathlib.Path(path).name, path)
        run("losetup", "--partscan", device, path)
    run("udevadm", "settle")
    JOURNAL.mkdir(mode=0o700)
    (JOURNAL / "000001.jsonl").write_text(journal)


def end(loops):
    for words in (("virsh", "pool-destroy", "vms"), ("virsh", "pool-undefine", "vms"),
                  ("vgchange", "-an", "vms")):
        run(*words, check=False)
    run("losetup", "-d", *loops)
    run("udevadm", "settle")
    shutil.rmtree(JOURNAL)


def judge(loops):
    """"converged", or by which codes it is refused."""
    done = run("qubi-agent", "apply", "--yes", "--format", "json", check=False)
    if done.returncode == REFUSED:
        refused = json.loads(done.stdout)["refused"]
        codes = sorted({reason["code"] for r in refused for reason in r["reasons"]})
        return "refused: " + " ".join(codes), done
    plan = run("qubi-agent", "plan", check=False)
    volumes = run("pvs", "--noheadings", "-o", "pv_name,vg_name", check=False)
    made = run("virsh", "vol-create-as", "vms", "probe", "1M", check=False)
    wanted = [word for device in loops for word in (device + "p1", "vms")]
    if (done.returncode or plan.returncode or volumes.stdout.split() != wanted or volumes.stderr
            or made.returncode):
        return "failed", f"{done}\n{plan}\n{volumes}\n{made}"
    return "converged", done


def main():
    log_path, size, loops = sys.argv[1], int(sys.argv[2]), json.loads(sys.argv[3])
    every = int(sys.argv[4])
    writes = log_writes.read(log_path)
    last = next(i for i, w in enumerate(writes) if w.mark == "applied")
    journal, bases = log_writes.begun(RECORDED, "storage.group"), []
    BASE.mkdir()
    run("mount", "-t", "tmpfs", "tmpfs", BASE)
    for path in loops.values():
        bases.append(open(BASE / pathlib.Path(path).name, "w+b", buffering=0))
        bases[-1].truncate(size)
    with open(log_path, "rb") as log:
        states, changed = 0, True
        for n in range(last + 1):
            if changed and states % every == 0 or n == last:
                begin(loops, journal)
                what, told = judge(loops)
                print(json.dumps({"prefix": n, "came_to": what,
                                  "told": str(told) if what != "converged" else ""}), flush=True)
                end(loops)
            states += changed
            if n < last:
                disk, writes[n].at = divmod(writes[n].at, size)
                changed = log_writes.play(log, writes[n], bases[disk])
        print(json.dumps({"prefixes": last + 1, "states": states}), flush=True)


main()
