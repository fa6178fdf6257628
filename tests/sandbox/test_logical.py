#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Pools of type logical: a volume group over disks, made, extended, adopted, taken apart.

This kernel may have no device mapper: a group is made, tagged and removed without one, and only
volumes need it.
"""

import concurrent.futures
import json
import os
import re
import signal
import subprocess
import sys

import qb
from test_kill_sweep import boot

LVM = "/usr/sbin/lvm"
MIB = 1 << 20
CONFIG = "version: 1\npools:\n  - name: vms\n    type: logical\n"
ONE = CONFIG + "    disks: {path: '@QB_BLANK@'}\n"
BOTH = CONFIG + "    disks: [{path: '@QB_BLANK@'}, {path: '@QB_BLANK2@'}]\n"
AT_ONCE = 2
POINTS = int(os.environ.get("POINTS", "16"))
TURNS = 32  # to the disks, at most, of an LVM command here
CALLS = "pwrite64,write,fsync,ioctl,flock,openat,vfork,clone,clone3,fork"


def lvm(*args, code=0):
    return qb.run(LVM, *args, code=code).out


def groups():
    report = json.loads(lvm("vgs", "--reportformat", "json", "-o",
                            "vg_name,pv_count,lv_count,vg_tags,vg_missing_pv_count"))
    return {row["vg_name"]: row for row in report["report"][0]["vg"]}


def hashes():
    return [qb.sha256(os.environ[name]) for name in ("QB_BLANK", "QB_BLANK2")]


def refused(*words):
    """apply refuses it with these words, and writes nothing."""
    before = hashes()
    r = qb.agent("apply", "--yes", code=3)
    qb.contains(" ".join((r.out + r.err).split()), words, "refusal")
    qb.same(hashes(), before, "the disks")


@qb.case(disks="blank,blank2,ext4")
def a_group_is_made_registered_extended_and_taken_apart():
    blank, foreign = hashes(), qb.foreign_disks()
    qb.configure(ONE)
    qb.agent("apply", "--yes")
    group = groups()["vms"]
    qb.same(group["pv_count"], "1", "physical volumes")
    assert re.fullmatch(r"qubi\.pool=[0-9a-f-]{36},qubi\.state=ready", group["vg_tags"]), group
    qb.same(qb.partition_table(os.environ["QB_BLANK"])["disk"]["PTTYPE"], "gpt", "table")
    qb.agent("plan")
    qb.contains(qb.virsh("pool-dumpxml", "vms"),
                ["<name>vms</name>", "type='lvm2'", "<path>/dev/vms</path>"], "pool")
    qb.contains(qb.virsh("pool-info", "vms"), "running", "pool")
    qb.configure(BOTH)
    plan = qb.agent("plan", code=4).out
    qb.contains(" ".join(plan.split()), ["2 steps", "for the volume group vms", "libvirt.refresh"], "plan")
    qb.agent("apply", "--yes")
    qb.same(groups()["vms"]["pv_count"], "2", "physical volumes")
    size = lvm("vgs", "--noheadings", "--units", "b", "--nosuffix", "-o", "vg_size", "vms").strip()
    qb.contains(" ".join(qb.virsh("pool-info", "--bytes", "vms").split()), f"Capacity: {size} ", "pool")
    qb.agent("plan")
    qb.agent("rollback", "--yes")
    qb.same(groups()["vms"]["pv_count"], "1", "physical volumes after the extension's rollback")
    qb.same(hashes()[1], blank[1], "the disk that had been added")
    qb.agent("rollback", "--yes")
    qb.same(groups(), {}, "groups")
    qb.same(hashes(), blank, "the disks")
    qb.same(qb.foreign_disks(), foreign, "disks of others")


VOLUME = """
logical_volumes {
  guest {
    id = "guestg-uest-gues-tgue-stgu-estg-uestgu"
    status = ["READ", "WRITE", "VISIBLE"]
    flags = []
    segment_count = 1
    segment1 {
      start_extent = 0
      extent_count = 4
      type = "striped"
      stripe_count = 1
      stripes = ["pv0", 0]
    }
  }
}
"""


def add_volume():
    """As lvcreate does, which wants a device mapper."""
    lvm("vgcfgbackup", "-f", "/tmp/vms", "vms")
    with open("/tmp/vms", encoding="utf-8") as f:
        text = f.read()
    with open("/tmp/vms", "w", encoding="utf-8") as f:
        head, tail = text.rsplit("}", 1)
        f.write(head + VOLUME + "}" + tail)
    lvm("vgcfgrestore", "-f", "/tmp/vms", "vms")


@qb.case(disks="blank,blank2")
def a_group_with_a_volume_is_not_taken_apart():
    qb.configure(BOTH)
    qb.agent("apply", "--yes")
    add_volume()
    before = groups()
    r = qb.agent("rollback", "--yes", code=5)
    qb.contains(" ".join((r.out + r.err).split()), "it has 1 logical volume", "refusal")
    qb.same(before["vms"]["lv_count"], "1", "volumes")
    qb.same(groups(), before, "the group")
    qb.contains(qb.virsh("pool-info", "vms"), "running", "its pool, which would have been undone first")
    for name in ("QB_BLANK", "QB_BLANK2"):
        table = qb.partition_table(os.environ[name])
        qb.same(table["diskp1"]["PART_ENTRY_NAME"], "qubi:vms", "the mark")


@qb.case(disks="blank,blank2")
def a_group_that_somebody_made_his_own_is_not_taken_apart():
    """It has its name and its disks still, and not the pool's tag."""
    qb.configure(BOTH)
    qb.agent("apply", "--yes")
    tags = [tag for tag in groups()["vms"]["vg_tags"].split(",") if tag.startswith("qubi.pool=")]
    lvm("vgchange", "--deltag", *tags, "vms")
    add_volume()
    before = groups()
    r = qb.agent("rollback", "--yes", code=5)
    qb.contains(" ".join((r.out + r.err).split()), "LVM shows no volume group vms of pool vms on it",
                "refusal")
    qb.same(groups(), before, "the group")


@qb.case(disks="blank,blank2")
def a_rollback_that_was_broken_off_after_the_group_is_gone_on_with():
    """What LVM no longer needs of it stays readable on the disks, volumes and all."""
    blank = hashes()
    qb.configure(BOTH)
    qb.agent("apply", "--yes")
    lvm("vgcfgbackup", "-f", "/tmp/without", "vms")
    add_volume()
    lvm("vgcfgrestore", "-f", "/tmp/without", "vms")
    break_lvm("vgremove", TURNS, "signal=KILL", "after")
    r = qb.agent("rollback", "--yes", code=None)
    qb.same((r.code, groups()), (-signal.SIGKILL, {}), "the agent's end, and the groups")
    # LVM reads and writes past the page cache.
    qb.run("/bin/dd", "if=" + os.environ["QB_BLANK"], "of=/tmp/head", "bs=1M", "count=2", "iflag=direct")
    with open("/tmp/head", "rb") as head:
        data = head.read()
    assert b"logical_volumes" in data, "nothing is left of the volume"
    qb.agent("rollback", "--yes")
    qb.same(hashes(), blank, "the disks")


@qb.case(disks="blank,blank2")
def a_copy_of_the_metadata_that_is_behind_is_brought_up():
    """As a power cut leaves it between the two disks; LVM goes by the newer one, and warns."""
    qb.configure(BOTH)
    qb.agent("apply", "--yes")
    with open(os.environ["QB_BLANK2"], "r+b", buffering=0) as disk:
        behind = os.pread(disk.fileno(), 1 << 20, 1 << 20)
        lvm("vgchange", "--addtag", "newer", "vms")
        os.pwrite(disk.fileno(), behind, 1 << 20)
        os.fsync(disk.fileno())
    for name in ("QB_BLANK", "QB_BLANK2"):
        qb.run("/usr/sbin/sfdisk", "-q", "--no-reread", "--part-label", os.environ[name], "1",
               "qubi-pending:vms")
    qb.contains(qb.run(LVM, "vgs").err, "ignoring metadata seqno", "what LVM says")
    qb.agent("apply", "--yes")
    qb.same(qb.run(LVM, "vgs").err, "", "what LVM says")
    qb.contains(groups()["vms"]["vg_tags"], "newer", "the tags")
    qb.agent("plan")


@qb.case(disks="blank,blank2")
def what_is_only_to_be_marked_may_be_in_use():
    """A run that was killed before its last write, and the group went on in use. Who has the disk
    here has it as the device mapper would."""
    qb.configure(BOTH)
    qb.agent("apply", "--yes")
    disk = os.environ["QB_BLANK"]
    qb.run("/usr/sbin/sfdisk", "-q", "--no-reread", "--part-label", disk, "1", "qubi-pending:vms")
    held = os.open(disk, os.O_RDONLY | os.O_EXCL)
    qb.agent("apply", "--yes")
    os.close(held)
    qb.same(qb.partition_table(disk)["diskp1"]["PART_ENTRY_NAME"], "qubi:vms", "the mark")
    qb.agent("plan")


def a_torn_table_is_mended(config, behind):
    """As a power cut leaves the commit: the kernel shows no partition of the disk, and LVM no group,
    or one that lacks it; and the disk may have an older description of it."""
    qb.configure(config)
    qb.agent("apply", "--yes")
    with open(os.environ["QB_BLANK"], "r+b", buffering=0) as disk:
        older = os.pread(disk.fileno(), MIB, MIB)
        lvm("vgchange", "--addtag", "newer", "vms")
        before = groups()
        if behind:
            os.pwrite(disk.fileno(), older, MIB)
        os.pwrite(disk.fileno(), bytes(512), 512)
        os.fsync(disk.fileno())
    boot(os.environ["QB_BLANK"])
    assert groups() != before, "the group is there all the same"
    qb.agent("apply", "--yes")
    qb.same(groups(), before, "the group")
    qb.same(qb.run(LVM, "pvs").err, "", "LVM's warnings")
    qb.same(qb.partition_table(os.environ["QB_BLANK"])["diskp1"]["PART_ENTRY_NAME"], "qubi:vms", "the mark")
    qb.agent("plan")


@qb.case(disks="blank,blank2")
def a_torn_table_of_the_only_disk_is_mended():
    a_torn_table_is_mended(ONE, False)


@qb.case(disks="blank,blank2")
def a_torn_table_of_one_of_two_disks_is_mended():
    a_torn_table_is_mended(BOTH, True)


@qb.case(disks="blank,blank2")
def a_group_that_is_there_is_adopted_by_its_name():
    disk = os.environ["QB_BLANK"]
    lvm("vgcreate", "vms", disk)
    before = hashes()
    qb.configure(CONFIG)
    qb.agent("apply", "--yes")
    qb.contains(qb.virsh("pool-info", "vms"), "running", "pool")
    qb.agent("plan")
    qb.same(hashes(), before, "the disks")
    # Named with just the disks it is on it is the same; with others, or by a match, refused.
    qb.configure(ONE)
    qb.agent("plan")
    qb.configure(BOTH)
    refused("was not made for this pool")
    qb.configure(CONFIG + "    volume-group: others\n")
    refused("no volume group others here")


@qb.case(disks="blank,blank2")
def all_members_are_looked_at_before_any_is_written():
    with open(os.environ["QB_BLANK2"], "r+b") as f:
        f.seek(1 << 20)
        f.write(b"somebody's")
    qb.configure(BOTH)
    refused("is not zero, and no known format says why")


@qb.case(disks="blank,blank2")
def a_group_that_lacks_a_disk_is_degraded_and_left_alone():
    qb.configure(BOTH)
    qb.agent("apply", "--yes")
    local = "/etc/lvm/lvmlocal.conf"
    with open(local, encoding="utf-8") as f:
        text = f.read()
    name = re.escape(os.environ["QB_BLANK2"])
    with open(local, "w", encoding="utf-8") as f:
        f.write(re.sub(rf'"a\|\^{name}\(p[^"]*", ', "", text))
    qb.same(groups()["vms"]["vg_missing_pv_count"], "1", "missing")
    refused("degraded", "lacks 1 of its physical volumes")
    r = qb.agent("check", "storage.lvm-complete", code=None)
    qb.contains(r.out, "vms", "check")
    r = qb.agent("rollback", "--yes", code=5)
    qb.contains(" ".join((r.out + r.err).split()), "lacks 1 of its physical volumes", "rollback")
    with open(local, "w", encoding="utf-8") as f:
        f.write(text)
    qb.same(groups()["vms"]["vg_missing_pv_count"], "0", "missing")
    qb.agent("rollback", "--yes")
    qb.same(groups(), {}, "groups")


@qb.case(disks="blank,blank2")
def a_file_of_devices_is_added_to_and_keeps_what_it_has():
    devices = "/etc/lvm/devices/system.devices"
    entry = "IDTYPE=sys_serial IDNAME=elsewhere DEVNAME=/dev/vdz PVID=none"
    os.makedirs(os.path.dirname(devices), exist_ok=True)
    with open("/etc/lvm/lvmlocal.conf", "a", encoding="utf-8") as f:
        f.write("devices { use_devicesfile = 1 }\n")
    with open(devices, "w", encoding="utf-8") as f:
        f.write(f"VERSION=1.1.1\n{entry}\n")
    qb.configure(BOTH)
    qb.agent("apply", "--yes")
    with open(devices, encoding="utf-8") as f:
        text = f.read()
    qb.contains(text, ["elsewhere", os.environ["QB_BLANK"] + "p1",
                       os.environ["QB_BLANK2"] + "p1"], devices)
    qb.agent("plan")


# ------------------------------------------------------------------ killed at each step

def points_of(trace):
    """What to kill: the agent, at each call that touches a disk or starts LVM."""
    seen, points, within = {}, [], False
    with open(trace, encoding="utf-8", errors="replace") as f:
        for line in f:
            name = line.split("(")[0]
            seen[name] = seen.get(name, 0) + 1
            if "/journal/" in line and '\\"event\\":\\"' in line:
                within = "intent" in line
                if points and not within:
                    break
            elif within and ("</dev/loop" in line or name in ("vfork", "clone", "clone3", "fork")):
                points.append(f"{name}:{seen[name]}")
    return points


def reference():
    qb.configure(BOTH)
    qb.traced("-qq", "-y", "-s", "64", "-e", f"trace={CALLS}", "-o", "/tmp/trace", qb.AGENT,
              "apply", "--yes")
    print(json.dumps(points_of("/tmp/trace")))


def killed_at(point):
    name, number = point.split(":")
    r = qb.traced("-qq", "-o", "/dev/null", "-e", f"trace={name}", "-e",
                  f"inject={name}:signal=KILL:when={number}", qb.AGENT, "apply", "--yes",
                  code=None)
    qb.wait_for_orphans()
    return r.code in (-signal.SIGKILL, 128 + signal.SIGKILL)


def trial(point, then):
    """then: apply, rollback, or the point at which the next run is killed, too."""
    qb.adopt_orphans()
    qb.configure(BOTH)
    blank, foreign = hashes(), qb.foreign_disks()
    killed, twice = killed_at(point), False
    if ":" in then:
        twice = killed_at(then)
        for disk in ("QB_BLANK", "QB_BLANK2"):
            boot(os.environ[disk])
    if then == "rollback" and killed:
        qb.agent("rollback", "--yes")
        qb.same(groups(), {}, f"{point}: groups after the rollback")
        qb.same(hashes(), blank, f"{point}: the disks after the rollback")
    qb.agent("apply", "--yes")
    qb.agent("plan")
    group = groups()["vms"]
    qb.same((group["pv_count"], group["vg_missing_pv_count"]), ("2", "0"), f"{point}: the group")
    assert "qubi.state=ready" in group["vg_tags"], group
    qb.same(qb.foreign_disks(), foreign, f"{point}: disks of others")
    print(json.dumps({"killed": killed, "twice": twice}))


def fault(point, error):
    """A call on a disk fails: all is as it was, or done, or it is said that it is not."""
    name, number = point.split(":")
    qb.configure(BOTH)
    blank, foreign = hashes(), qb.foreign_disks()
    r = qb.traced("-qq", "-o", "/dev/null", "-e", f"trace={name}", "-e",
                  f"inject={name}:error={error}:when={number}", qb.AGENT, "apply", "--yes",
                  code=(0, 1, 5))
    if r.code == 0:
        qb.agent("plan")
    elif r.code == 1:
        qb.same((groups(), hashes()), ({}, blank), f"{point} {error}, undone: {r}")
    qb.agent("apply", "--yes")
    qb.agent("plan")
    qb.same(groups()["vms"]["pv_count"], "2", f"{point} {error}: the group")
    qb.same(qb.foreign_disks(), foreign, f"{point} {error}: disks of others")
    print(json.dumps({"code": r.code}))


# Stands in front of LVM, and breaks the real one off: at its NUMBER-th turn to the disks in the
# command that is named, in one process, or with the agent as a power cut would; or the agent, once
# the command is through.
WRAPPER = """#!/usr/bin/python3
import os, signal, subprocess, sys
called = os.path.basename(sys.argv[0])  # libvirt's commands are links to LVM
real = ["/usr/sbin/real/lvm", *([called] if called != "lvm" else []), *sys.argv[1:]]
if called != "lvm" or sys.argv[1] != {command!r} or os.path.exists("/tmp/broken"):
    os.execv(real[0], real)
r = subprocess.run(["/usr/bin/strace", "-qq", "-o", "/dev/null", "-e", "trace=io_submit", "-e",
                    "inject=io_submit:{fault}:when={number}", *real], check=False)
if r.returncode or {cut!r} == "after":
    open("/tmp/broken", "w").close()
    if {cut!r} != "alone":
        os.kill(os.getppid(), signal.SIGKILL)
sys.exit(r.returncode and 5)
"""


def break_lvm(command, number, fault, cut):
    os.makedirs("/usr/sbin/real")
    os.rename(LVM, "/usr/sbin/real/lvm")
    with open(LVM, "w", encoding="utf-8") as f:
        f.write(WRAPPER.format(command=command, number=number, fault=fault, cut=cut))
    os.chmod(LVM, 0o755)


def trial_lvm(command, number, fault, cut):
    qb.adopt_orphans()
    qb.configure(BOTH)
    blank, foreign = hashes(), qb.foreign_disks()
    break_lvm(command, number, fault, cut)
    r = qb.agent("apply", "--yes", code=None)
    qb.wait_for_orphans()
    broken = os.path.exists("/tmp/broken")
    if broken and cut == "cut":
        qb.same(r.code, -signal.SIGKILL, "the agent's end")
    elif broken:
        qb.same(r.code, 1, f"{command} {number} {fault}: {r}")
        qb.same((groups(), hashes()), ({}, blank), f"{command} {number} {fault}, undone")
    qb.agent("apply", "--yes")
    qb.agent("plan")
    group = groups()["vms"]
    qb.same((group["pv_count"], group["vg_missing_pv_count"]), ("2", "0"), "the group")
    qb.same(qb.foreign_disks(), foreign, "disks of others")
    print(json.dumps({"broken": broken}))


def enter(*args):
    r = subprocess.run(
        qb.enter_command([sys.executable, os.path.realpath(__file__), *args],
                         "blank,blank2,ext4"),
        stdin=subprocess.DEVNULL, capture_output=True, encoding="utf-8", timeout=180, check=False,
        preexec_fn=qb.end_with_parent, env={**os.environ, "QB_MACHINE_ID": os.urandom(16).hex()})
    assert r.returncode == 0, f"{' '.join(args)}: {r.stdout}{r.stderr}"
    return json.loads(r.stdout.splitlines()[-1])


@qb.case(outside=True, alone=True, seconds=3600)
def killed_at_each_step_it_ends_the_same():
    """Run again, rolled back first, or killed and rebooted once more before. POINTS=1000 for
    every call on the disks."""
    found = enter("--reference")
    points = found if POINTS >= len(found) else [
        found[len(found) * i // POINTS] for i in range(POINTS)]
    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        results = list(pool.map(
            lambda p: enter("--trial", p[1], ("apply", "rollback", points[p[0] * 7 % len(points)])
                            [p[0] % 3]), enumerate(points)))
    killed, twice = (sum(r[key] for r in results) for key in ("killed", "twice"))
    print(f"figure: killed {killed} times at {len(points)} of {len(found)} calls, and {twice} times "
          f"once more; the same end each time")
    assert killed >= len(points) * 9 // 10, f"only {killed} of {len(points)} were killed"
    assert twice, "none was killed once more"


def each_of(command, fault, cut):
    """Of the first ones: LVM does without some of what it cannot read, and ends at none later."""
    return sum(enter("--trial-lvm", command, str(number), fault, cut)["broken"]
               for number in range(1, TURNS, 1 if POINTS >= 1000 else 6))


@qb.case(outside=True, alone=True, seconds=3600)
def each_failing_call_is_undone_or_said():
    """POINTS=1000 for every call on the disks, and each of the errors."""
    found = enter("--reference")
    errors = ("EIO", "ENOSPC", "EBUSY")
    if POINTS >= len(found):
        points = [(p, e) for p in found for e in errors]
    else:
        points = [(found[len(found) * i // POINTS], errors[i % 3]) for i in range(POINTS)]
    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        codes = list(pool.map(lambda p: enter("--fault", *p)["code"], points))
    ends = {code: codes.count(code) for code in sorted(set(codes))}
    print(f"figure: {len(points)} errors at {len(found)} calls; exit statuses {ends}")
    assert ends.get(1), ends


@qb.case(outside=True, alone=True, seconds=3600)
def lvm_broken_off_at_each_turn_to_the_disks_ends_the_same():
    whole = POINTS >= 1000
    wanted = [(command, fault, cut) for command in ("pvcreate", "vgcreate", "vgchange")
              for fault in ("signal=KILL", "error=EIO") for cut in ("cut", "alone")
              if whole or (fault, cut) == ("signal=KILL", "cut")]
    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        counts = list(pool.map(lambda w: each_of(*w), wanted))
    for w, n in zip(wanted, counts):
        print(f"figure: {' '.join(w)}: {n} times")
    assert sum(counts) >= 3 * len(wanted), counts


if __name__ == "__main__":
    if sys.argv[1:2] == ["--reference"]:
        reference()
    elif sys.argv[1:2] == ["--trial"]:
        trial(sys.argv[2], sys.argv[3])
    elif sys.argv[1:2] == ["--fault"]:
        fault(sys.argv[2], sys.argv[3])
    elif sys.argv[1:2] == ["--trial-lvm"]:
        trial_lvm(*sys.argv[2:])
    else:
        qb.main()
