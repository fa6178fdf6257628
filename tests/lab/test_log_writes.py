# SPDX-License-Identifier: Apache-2.0
"""Every moment at which a power cut could leave the disk while it is carved: dm-log-writes records
each write of one apply, and of every number of them, from none to all, a copy is made, on which
apply is run again, in a sandbox of this machine's kernel."""
import collections
import json
import os
import subprocess
import sys

import host
import lab
import vm
from lab import expect, expect_status

SIZE = 1 << 30
# By where it is the agent knows a loop device again, and in a sandbox the blank one is there.
LOOP, NODE = "/dev/loop7", "/run/sandbox/blank.img"
CONFIG = """\
version: 1
pools:
  - name: images
    type: fs
    disks: {path: "@QB_BLANK@"}
    target: /var/lib/libvirt/images
checks: {ignore: [cpu.virtualization]}
"""
RECORD = f"""modprobe dm-log-writes
modprobe loop
mkdir /run/sandbox
mount -t tmpfs -o dev,mode=0700 tmpfs /run/sandbox
data=$(readlink -f /dev/disk/by-id/virtio-QB0001) log=$(readlink -f /dev/disk/by-id/virtio-QB0002)
dmsetup create logged --table "0 $(blockdev --getsz $data) log-writes $data $log"
mknod {NODE} b $(stat -c '0x%t 0x%T' $(readlink -f /dev/mapper/logged))
losetup --direct-io=on {LOOP} {NODE}
udevadm settle"""
END = f"""dmsetup message logged 0 mark applied
virsh pool-destroy images
losetup -d {LOOP}
udevadm settle
dmsetup remove logged
sync"""


def record(test, folder):
    disks = [vm.Disk("virtio", vm.blank(folder / "data.img", SIZE), "QB0001"),
             vm.Disk("virtio", vm.blank(folder / "log.img", SIZE), "QB0002")]
    machine = test.machine(nics=[vm.Nic()], files=vm.static_address(), disks=disks)
    machine.boot()
    lab.install(machine)
    host.configure(machine, CONFIG.replace("@QB_BLANK@", LOOP))
    machine.run("sh", "-exc", RECORD)
    done = expect_status(lab.agent(machine, "apply", "--yes"), 0, "it carves what is recorded")
    lab.say(done.out.rstrip())
    machine.run("sh", "-exc", END)
    (folder / "journal.jsonl").write_bytes(
        machine.get("/var/lib/qubi-agent/journal/000001.jsonl"))
    machine_id = machine.get("/etc/machine-id").decode().strip()
    machine.shutdown()
    (folder / "host.yaml").write_text(CONFIG)
    (folder / "size").write_text(str(SIZE))
    return machine_id


def replay(folder, machine_id):
    agent = os.environ.get("QB_AGENT") or str(lab.TREE / "build/qubi-agent")
    done = subprocess.run(
        [sys.executable, lab.TREE / "tests/sandbox/enter", "--disks", "blank", sys.executable, "-B",
         lab.HERE / "replay.py", folder],
        env={**os.environ, "QB_MACHINE_ID": machine_id, "QB_AGENT": agent},
        stdin=subprocess.DEVNULL, capture_output=True, encoding="utf-8", check=False)
    rows = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    expect(done.returncode == 0, "the sandbox ends well", f"{done.stdout[-3000:]}{done.stderr}")
    return rows


def test_log_writes(test):
    folder = test.work / "recorded"
    folder.mkdir()
    machine_id = record(test, folder)
    rows = replay(folder, machine_id)
    counts = collections.Counter(row["came_to"] for row in rows)
    lab.say(f"figure: {len(rows)} prefixes of the recorded writes: {dict(counts)}")
    for row in rows:
        if row["came_to"] != "converged":
            lab.say(f"prefix {row['prefix']}: {row['came_to']}\n{row['told']}")
    expect(len(rows) > 20, "there was much to be written", len(rows))
    expect(set(counts) == {"converged"}, "each is gone on with", counts)


lab.main()
