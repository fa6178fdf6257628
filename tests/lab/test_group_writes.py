# SPDX-License-Identifier: Apache-2.0
"""What the first N writes of making a volume group leave on its two disks: dm-log-writes beneath
both records each write of one apply in its order, as of one disk, and of every number of them, from
none to all, a copy is made, on which apply is run again, in the same machine. EVERY=1 tries all
states that differ, and not one of six. What a cache loses or reorders test_random_cuts.py has."""
import collections
import json
import os

import host
import lab
import vm
from lab import expect, expect_status

SIZE = 1 << 30
EVERY = int(os.environ.get("EVERY", "6"))
FOLDER, REPLAY = "/run/replayed", "/root/replay"
# By where it is the agent knows a loop device again: the recorded ones and the copies are there.
LOOPS = {"/dev/loop6": f"{FOLDER}/one.img", "/dev/loop7": f"{FOLDER}/two.img"}
# LVM sees what the loops stand on as well: the same volumes once more.
ONLY_LOOPS = 'devices { global_filter = [ "a|^/dev/loop[67](p1)?$|", "r|.*|" ] }\n'
CONFIG = """\
version: 1
pools:
  - name: vms
    type: logical
    disks: [{path: /dev/loop6}, {path: /dev/loop7}]
checks: {ignore: [cpu.virtualization]}
"""
RECORD = f"""modprobe dm-log-writes
modprobe loop
mkdir {FOLDER}
mount -t tmpfs -o dev,mode=0700 tmpfs {FOLDER}
data=$(readlink -f /dev/disk/by-id/virtio-QB0001) log=$(readlink -f /dev/disk/by-id/virtio-QB0002)
dmsetup create logged --table "0 $(blockdev --getsz $data) log-writes $data $log"
at=0
for disk in one:loop6 two:loop7; do
  name=${{disk%:*}}
  dmsetup create $name --table "0 {SIZE // 512} linear /dev/mapper/logged $at"
  mknod {FOLDER}/$name.img b $(stat -c '0x%t 0x%T' $(readlink -f /dev/mapper/$name))
  losetup --partscan --direct-io=on /dev/${{disk#*:}} {FOLDER}/$name.img
  at=$((at + {SIZE // 512}))
done
udevadm settle"""
END = f"""dmsetup message logged 0 mark applied
virsh pool-destroy vms
virsh pool-undefine vms
losetup -d /dev/loop6 /dev/loop7
udevadm settle
dmsetup remove one two
dmsetup remove logged
rm {FOLDER}/*.img
mv /var/lib/qubi-agent/journal /root/recorded"""


def record(machine):
    machine.put("/etc/lvm/lvmlocal.conf", ONLY_LOOPS.encode())
    host.configure(machine, CONFIG)
    machine.run("sh", "-exc", RECORD)
    done = expect_status(lab.agent(machine, "apply", "--yes"), 0, "it makes what is recorded")
    lab.say(done.out.rstrip())
    machine.run("sh", "-exc", END)


def replay(machine):
    machine.run("mkdir", REPLAY)
    for name in ("log_writes.py", "replay_group.py"):
        machine.put(f"{REPLAY}/{name}", lab.HERE / name)
    done = machine.run("python3", "-B", f"{REPLAY}/replay_group.py", "/dev/disk/by-id/virtio-QB0002",
                       str(SIZE), json.dumps(LOOPS), str(EVERY), timeout=3600, check=False)
    expect_status(done, 0, "all of them are replayed")
    *rows, whole = [json.loads(line) for line in done.out.splitlines()]
    return rows, whole


def test_group_writes(test):
    disks = [vm.Disk("virtio", vm.blank(test.work / "data.img", 2 * SIZE), "QB0001"),
             vm.Disk("virtio", vm.blank(test.work / "log.img", SIZE), "QB0002")]
    machine = test.machine(nics=[vm.Nic()], files=vm.static_address(), disks=disks)
    machine.boot()
    lab.install(machine)
    record(machine)
    rows, whole = replay(machine)
    counts = collections.Counter(row["came_to"] for row in rows)
    lab.say(f"figure: {whole['prefixes']} prefixes of the recorded writes are {whole['states']} "
            f"states that differ, {len(rows)} of them tried: {dict(counts)}")
    for row in rows:
        if row["came_to"] != "converged":
            lab.say(f"prefix {row['prefix']}: {row['came_to']}\n{row['told']}")
    expect(whole["states"] > 20, "there was much to be written", whole)
    expect(set(counts) == {"converged"}, "each is gone on with", counts)


lab.main()
