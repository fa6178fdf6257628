#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A mount of which nobody answers costs what is looked at below it, and not the command."""

import ctypes
import os
import subprocess
import sys

import qb

SECONDS = 5
# Where something is read: units and modprobe.d, logs, pools.
POINTS = ["/usr/local/lib/systemd", "/var/log", "/srv/guests"]

# A FUSE file system of which nobody answers the first question, for as long as stdin is open.
MOUNT = """
import ctypes, os, sys
fuse = os.open("/dev/fuse", os.O_RDWR)
options = f"fd={fuse},rootmode=40000,user_id=0,group_id=0".encode()
if ctypes.CDLL(None, use_errno=True).mount(b"hung", sys.argv[1].encode(), b"fuse", 0, options):
    sys.exit(os.strerror(ctypes.get_errno()))
print("mounted", flush=True)
sys.stdin.read()
"""


def mount(point):
    p = subprocess.Popen([sys.executable, "-c", MOUNT, point], stdin=subprocess.PIPE,
                         stdout=subprocess.PIPE, encoding="utf-8")
    qb.same(p.stdout.readline(), "mounted\n", f"mounting {point}")
    return p


def statuses(report):
    return {c["id"]: c["status"] for c in report["checks"]}


@qb.case(disks="blank", seconds=60)
def what_lies_below_is_unknown_and_the_rest_is_judged():
    os.makedirs("/srv/guests/pool")
    os.makedirs(POINTS[0], exist_ok=True)
    qb.configure("version: 1\npools:\n  - name: guests\n    type: dir\n"
                 "    target: /srv/guests/pool\n")
    codes = (qb.OK, qb.FAILED)
    begun = qb.agent("check", "--format", "json", code=codes)
    before = statuses(begun.json())
    servers = [mount(p) for p in POINTS]
    result = qb.agent("check", "--format", "json", "--timeout", str(SECONDS), code=codes)
    after = statuses(result.json())
    print(f"figure: check took {begun.seconds:.2f} s, and {result.seconds:.2f} s with "
          f"{len(POINTS)} mounts that hang")
    assert result.seconds < begun.seconds + SECONDS, result.seconds
    lost = {"storage.pool-writable", "storage.pool-inodes", "system.space", "system.logs-kept"}
    qb.same({i for i in before if before[i] != after[i] and after[i] == "unknown"} & lost,
            {i for i in lost if before[i] != "unknown"}, "what is unknown now")
    changed = {i: (before[i], after[i]) for i in before
               if before[i] != after[i] and after[i] != "unknown"}
    qb.same(changed, {}, "what is judged otherwise")
    assert sum(s == "unknown" for s in after.values()) < len(after) / 3, after
    for point, server in zip(POINTS, servers):
        server.stdin.close()
        server.wait(10)
        ctypes.CDLL(None).umount2(point.encode(), 2)  # MNT_DETACH


if __name__ == "__main__":
    qb.main()
