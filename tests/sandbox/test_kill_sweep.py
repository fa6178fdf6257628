#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""apply, killed at 50 points spread over what it writes, and run again: the same end each time.

A point is a system call that changes something, or talks to somebody who will. strace lists
those of a whole run and what the journal said in between; the points are spread over the steps,
from a step's intent to its end, and over what lies between them. strace counts the calls of each
name by themselves. A network of libvirt's that is changed is rolled back, too, from every point.
"""

import collections
import concurrent.futures
import fcntl
import json
import os
import re
import signal
import struct
import subprocess
import sys
import zlib

import carving
import qb
import netstate

POINTS = 50
MESSAGES = 60  # of a bridge move and what comes after it, at most
AT_ONCE = 2
CALLS = ("write,pwrite64,writev,fsync,fdatasync,ioctl,sendto,sendmsg,rename,renameat,renameat2,"
         "unlink,unlinkat,mkdir,mkdirat,symlink,symlinkat,link,linkat,mount,umount2,openat,openat2,"
         "clone,clone3,vfork,fork,chmod,fchmod,chown,fchown,flock,ftruncate")
STRACE = ["-qq", "-s", "32", "-e", "trace=" + CALLS]
TRACE = "/tmp/trace"


def spans(calls):
    """The calls between one journal record and the next: (range, it is within a step)."""
    records = [(i, m.group(1)) for i, line in enumerate(calls)
               if "/journal/" in line and (m := re.search(r'\\"event\\":\\"(\w+)', line))]
    names = [name for _, name in records]
    assert names[0] == "begin" and names[-1] == "end", names
    return [(range(i, j), name == "intent") for (i, name), (j, _) in zip(records, records[1:])]


def whole(calls):
    """POINTS calls: six of seven within steps, the others between them."""
    within = [span for span, inside in spans(calls) if inside]
    between = [span for span, inside in spans(calls) if not inside]
    assert len(within) >= 6, f"{len(within)} steps"
    chosen = set()
    for group, count in ((within, POINTS * 6 // 7), (between, POINTS)):
        for turn in range(POINTS):  # one more from each span in turn, until there are enough
            for span in group:
                if len(chosen) < count and len(span) > turn:
                    n = min(len(span), -(-count // len(group)))
                    chosen.add(span[len(span) * min(turn, n - 1) // n])
    qb.same(len(chosen), POINTS, "points")
    return chosen


def bridge(calls):
    """The first message to the kernel in the step that moves the NIC. How many follow depends on
    how often the kernel has to be asked whether it is done: see each_from()."""
    span = next(span for span, inside in spans(calls) if inside)
    return {next(i for i in span if calls[i].startswith("sendmsg("))}


def commit(calls):
    """Every call on the disk after mkfs: the table that says ready, copy by copy."""
    span = next(span for span, inside in spans(calls) if inside)
    made = next(i for i in span if re.match(r"(clone|clone3|vfork|fork)\(", calls[i]))
    disk = next(m.group(1) for i in span if (m := re.search(r"<(/dev/loop\d+)[<>]", calls[i])))
    return {i for i in span if i > made and f"<{disk}" in calls[i]}


def pool(calls):
    """POINTS calls spread over the whole run, in which the pool is carved and registered."""
    begin, end = spans(calls)[0][0].start, spans(calls)[-1][0].stop
    return {begin + (end - begin) * i // POINTS for i in range(POINTS)}


def boot(disk):
    """What a reboot makes of the disk: the kernel takes the first copy of a GPT, behind a
    protective MBR, or none.

    udevd looks at what was open for writing when the run was killed, with the lock of the disk,
    shared; a partition that it has open cannot be deleted.
    """
    with open(disk, "rb") as f:
        fcntl.flock(f, fcntl.LOCK_EX)
        sector = struct.unpack("I", fcntl.ioctl(f, 0x1268, b"\0\0\0\0"))[0]  # BLKSSZGET
        f.seek(0)
        mbr = f.read(512)
        f.seek(sector)
        header = f.read(92)
        f.seek(2 * sector)
        entries = f.read(128 * 128)
        if os.path.exists(f"/sys/class/block/{os.path.basename(disk)}/{os.path.basename(disk)}p1"):
            qb.run("/usr/bin/partx", "--delete", disk)
        sums = struct.unpack_from("<I", header, 16)[0], struct.unpack_from("<I", header, 88)[0]
        protective = mbr[510:] == b"\x55\xaa" and 0xee in mbr[450:510:16]
        if protective and sums == (zlib.crc32(header[:16] + bytes(4) + header[20:]), zlib.crc32(entries)):
            qb.run("/usr/bin/partx", "--add", disk)


# What is swept: the configuration (None: the whole one), the disks, which calls to kill at.
SWEEPS = {"whole": (None, "blank,ext4,gpt,lvm", whole), "bridge": (qb.BRIDGE_ONLY, "ext4", bridge),
          "commit": (carving.CONFIG, "blank,ext4", commit),
          "ext4": (carving.EXT4, "blank,ext4", pool)}


def reference(config, choose):
    """In a sandbox: a run to the end. Prints its result, and calls to kill at."""
    qb.configure(config)
    qb.traced(*STRACE, "-y", "-o", TRACE, qb.AGENT, "apply", "--yes")
    with open(TRACE, encoding="utf-8", errors="replace") as f:
        calls = [line for line in f if re.match(r"[a-z0-9_]+\(", line)]
    seen, points, wanted = collections.Counter(), [], choose(calls)
    for i, line in enumerate(calls):
        name = line.split("(")[0]
        seen[name] += 1
        if i in wanted:
            points.append(f"{name}:{seen[name]}")
    print(json.dumps({"points": points, "state": state()}))


def state():
    found = qb.host_state()
    del found["foreign"]  # made anew in each sandbox; compared by each trial
    return found


def trial(config, point, reboot):
    """In a sandbox: killed at that call, then run again. Prints what came of it."""
    name, number = point.split(":")
    qb.adopt_orphans()
    qb.configure(config)
    foreign = qb.foreign_disks()
    r = qb.traced("-qq", "-o", "/dev/null", "-e", f"trace={name}", "-e",
                  f"inject={name}:signal=KILL:when={number}", qb.AGENT, "apply", "--yes",
                  code=None)
    killed = r.code in (-signal.SIGKILL, 128 + signal.SIGKILL)
    qb.wait_for_orphans()
    qb.same(qb.foreign_disks(), foreign, "disks of others after the kill")
    if reboot and r.code != 0:
        boot(os.environ["QB_BLANK"])
    events = qb.run("/bin/sh", "-c", "cat /var/lib/qubi-agent/journal/*", code=None).out
    again = qb.agent("apply", "--yes", code=None)
    short = "\n".join(line[:200] for line in events.splitlines())
    assert again.code == 0, f"the rerun: {again}\njournal of the killed run:\n{short}"
    plan = qb.agent("plan", code=None)
    assert plan.code == 0, f"plan after the rerun: {plan}"
    qb.same(qb.foreign_disks(), foreign, "disks of others after the rerun")
    steps = [line for line in events.splitlines() if line.startswith("{") and line.endswith("}")]
    print(json.dumps({"killed": killed, "records": len(steps), "state": state()}))


def enter(machine_id, what, *args):
    command = qb.enter_command([sys.executable, os.path.realpath(__file__), *args, what],
                               SWEEPS[what][1])
    r = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, encoding="utf-8",
                       timeout=120, check=False, preexec_fn=qb.end_with_parent,
                       env={**os.environ, "QB_MACHINE_ID": machine_id})
    assert r.returncode == 0, f"{' '.join(args)}: {r.stdout}{r.stderr}"
    return json.loads(r.stdout.splitlines()[-1])


def one_host(what, turn):
    """Every AT_ONCE-th point: (point, what came of it, differences).

    The host keeps its machine-id from run to run, since its disks' UUIDs follow from that.
    """
    machine_id = os.urandom(16).hex()
    wanted = enter(machine_id, what, "--reference")
    results = []
    points = wanted["points"][turn::AT_ONCE]
    if what == "bridge":
        points = each_from(wanted["points"][0], turn)
    for point in points:
        try:
            found = enter(machine_id, what, "--trial", point)
            differs = netstate.difference(wanted["state"], found["state"])
        except (AssertionError, subprocess.TimeoutExpired) as e:
            found, differs = {"killed": False, "records": None}, [str(e)]
        results.append((point, found, differs))
        if what == "bridge" and not found["killed"] and not differs:
            break  # that run had no such call any more: all of them have been
    return results


def each_from(point, turn):
    name, number = point.split(":")
    return [f"{name}:{n}" for n in range(int(number) + turn, int(number) + MESSAGES, AT_ONCE)]


def sweep(what):
    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        parts = pool.map(lambda turn: one_host(what, turn), range(AT_ONCE))
        results = [r for part in parts for r in part]
    wrong = [f"killed at {point}: {line}" for point, _, lines in results for line in lines]
    same = sum(not lines for _, _, lines in results)
    killed = sum(found["killed"] for _, found, _ in results)
    records = sorted({found["records"] for _, found, _ in results} - {None})
    print(f"figure: killed {killed} of {len(results)} times, with {records} records in the "
          f"journal; the same end {same} times")
    print("\n".join(wrong))
    qb.same(same, len(results), "ends as they should be")
    # A run may need a few calls less than the one that was counted, and end before its point.
    assert killed >= max(len(results) - 3, 10), f"only {killed} of {len(results)} were killed"


@qb.case(outside=True, alone=True, seconds=1200)
def the_same_end_fifty_times():
    sweep("whole")


@qb.case(outside=True, alone=True, seconds=1200)
def the_same_end_at_every_message_of_the_bridge_move():
    sweep("bridge")


@qb.case(outside=True, alone=True, seconds=1200)
def the_same_end_at_every_write_of_the_commit():
    """The machine goes down with the program, and the kernel reads the table anew."""
    sweep("commit")


@qb.case(outside=True, alone=True, seconds=1200)
def the_same_end_fifty_times_on_ext4():
    sweep("ext4")


# ------------------------------------------------------------------ a network of libvirt's

# What the configuration says nothing of stays, and what waits for the next start goes on waiting.
NETWORK = """\
<network>
  <name>guests</name>
  <uuid>00005e00-5300-4000-8000-000000000007</uuid>
  <forward mode='nat'/>
  <bridge name='virbr7' stp='on' delay='0'/>
  <mac address='52:54:00:00:53:07'/>
  <dns>
    {waiting}
    <host ip='198.51.100.20'><hostname>files</hostname></host>
  </dns>
  <ip address='198.51.100.1' prefix='24'><dhcp>
    <range start='198.51.100.100' end='198.51.100.199'/>
    <host mac='00:00:5e:00:53:11' ip='198.51.100.11'/>
    <host mac='00:00:5e:00:53:12' ip='198.51.100.12'/>
    <host mac='00:00:5e:00:53:13' ip='198.51.100.13'/>
  </dhcp></ip>
</network>
"""
CHANGED = """\
version: 1
networks:
  - name: guests
    subnet: {net}.0/24
    dhcp:
      hosts:
        - {{mac: "00:00:5e:00:53:11", ip: {net}.11}}
        - {{mac: "00:00:5e:00:53:12", ip: {net}.77}}
        - {{mac: "00:00:5e:00:53:14", ip: {net}.14}}
    dns:
      hosts: [{{ip: {net}.21, names: files}}]
"""


def network():
    """As it runs, as it is started next, and its state."""
    info = qb.virsh("net-info", "guests")
    return (qb.virsh("net-dumpxml", "guests"), qb.virsh("net-dumpxml", "--inactive", "guests"),
            [" ".join(line.split()) for line in info.splitlines() if "Bridge" not in line])


def make_network(active):
    for waiting in ("", "<txt name='waiting' value='for the next start'/>"):
        with open("/tmp/network.xml", "w", encoding="utf-8") as f:
            f.write(NETWORK.format(waiting=waiting))
        qb.virsh("net-define", "/tmp/network.xml")
        if active and not waiting:
            qb.virsh("net-start", "guests")


def calls_of(command):
    """Runs it to the end. Which calls of each name, counted from 1, are messages to libvirt."""
    qb.traced(*STRACE, "-y", "-o", TRACE, qb.AGENT, *command)
    seen, messages, within = collections.Counter(), [], command[0] != "apply"
    with open(TRACE, encoding="utf-8", errors="replace") as f:
        for line in f:
            name = line.split("(")[0]
            seen[name] += 1
            if "/journal/" in line and '\\"event\\":\\"' in line:
                within = within or "intent" in line
            if within and re.match(r"(write|writev|sendto|sendmsg)\(\d+<(socket|UNIX)", line):
                messages.append((name, seen[name]))
    assert len(messages) >= 10, f"{command}: only {len(messages)} messages"
    return messages


def killed_at(call, command):
    name, number = call
    r = qb.traced("-qq", "-o", "/dev/null", "-e", f"trace={name}", "-e",
                  f"inject={name}:signal=KILL:when={number}", qb.AGENT, *command, code=None)
    assert r.code in (-signal.SIGKILL, 128 + signal.SIGKILL), f"not killed at {call}: {r}"
    qb.wait_for_orphans()


def rolled_back(before, what):
    """Runs that were killed, and those that mended them."""
    while qb.agent("rollback", "--yes", code=None).out.count("undone"):
        pass
    qb.same(network(), before, f"{what}, rolled back")


def sweep_network(net, active):
    """At every message of apply, and every other one of rollback."""
    apply, rollback = ("apply", "--yes"), ("rollback", "--yes")
    qb.adopt_orphans()
    make_network(active)
    before = network()
    qb.configure(CHANGED.format(net=net))
    of_apply = calls_of(apply)
    wanted = network()
    assert wanted[0] != before[0] and wanted[1] != before[1], "nothing was changed"
    of_rollback = calls_of(rollback)[::2]
    qb.same(network(), before, "rolled back")
    for i, call in enumerate(of_apply):
        killed_at(call, apply)
        if i % 2:
            qb.agent(*apply)
            qb.agent("plan")
            qb.same(network(), wanted, f"killed at {call}, and run again")
        rolled_back(before, f"killed at {call}")
    for call in of_rollback:
        qb.agent(*apply)
        killed_at(call, rollback)
        rolled_back(before, f"rollback killed at {call}")
    print(f"figure: killed {len(of_apply)} times in apply, {len(of_rollback)} in rollback")


@qb.case(disks="blank", seconds=1200)
def a_network_is_changed_or_as_it_was_at_every_message():
    sweep_network("198.51.100", True)


@qb.case(disks="blank", seconds=1200)
def a_network_that_is_restarted_is_changed_or_as_it_was_at_every_message():
    sweep_network("203.0.113", True)


@qb.case(disks="blank", seconds=1200)
def a_network_that_is_started_is_changed_or_as_it_was_at_every_message():
    sweep_network("203.0.113", False)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--reference"]:
        reference(SWEEPS[sys.argv[2]][0], SWEEPS[sys.argv[2]][2])
    elif sys.argv[1:2] == ["--trial"]:
        trial(SWEEPS[sys.argv[3]][0], sys.argv[2], reboot=sys.argv[3] == "commit")
    else:
        qb.main()
