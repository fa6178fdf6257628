# SPDX-License-Identifier: Apache-2.0
"""A disk, a libvirtd and a mount that do not answer cost their own verdicts, not the command."""
import json
import os
import signal
import subprocess
import time

import host
import lab
import vm
from lab import expect

SECONDS = 6
# A mount is asked for three times, a second each; and the machine is emulated.
SLACK = 8
TARGET = "/srv/hung"

# A FUSE file system of which nobody answers the first question.
MOUNT = f"""
import ctypes, os, time
fuse = os.open("/dev/fuse", os.O_RDWR)
options = f"fd={{fuse}},rootmode=40000,user_id=0,group_id=0".encode()
assert ctypes.CDLL(None).mount(b"hung", b"{TARGET}", b"fuse", 0, options) == 0
print("mounted", flush=True)
time.sleep(3600)
"""

# Check, what it is the verdict on, its name in the message, and why.
HUNG = [("storage.mapped-readable", "a mapping", "hung", "suspended"),
        ("storage.disks-readable", "a disk", "/dev/", "no answer"),
        ("libvirt.connection", "libvirtd", "libvirt", "no answer"),
        ("storage.pool-writable", "a mount", TARGET, "no answer")]


class Server:
    """A disk over NBD, whose server can be stopped: reads then wait, and nothing ends them."""

    def __init__(self, folder):
        image = vm.blank(folder / "hung.img", 64 << 20)
        self.socket = folder / "hung.sock"
        self.process = subprocess.Popen(["setpriv", "--pdeathsig", "KILL", "qemu-nbd", "-t", "-f",
                                         "raw", "-k", self.socket, image])
        while not self.socket.exists():
            expect(self.process.poll() is None, "qemu-nbd runs")
            time.sleep(0.05)

    def disk(self):
        return vm.Disk("virtio", f"nbd+unix:///?socket={self.socket}", "QBHUNG")

    def hang(self):
        os.kill(self.process.pid, signal.SIGSTOP)

    def answer(self):
        os.kill(self.process.pid, signal.SIGCONT)


def suspend_a_mapping(machine):
    """A device-mapper disk that is suspended: what is read of it waits."""
    device = machine.run("readlink", "-f", f"/dev/disk/by-id/virtio-{host.BLANK}").out.strip()
    sectors = machine.run("blockdev", "--getsz", device).out.strip()
    machine.run("modprobe", "dm-mod")
    machine.run("dmsetup", "create", "hung", "--table", f"0 {sectors} linear {device} 0")
    machine.run("udevadm", "settle")
    machine.run("dmsetup", "suspend", "hung")


def hang_libvirt(machine):
    machine.run("systemctl", "start", "libvirtd")
    pid = machine.run("systemctl", "show", "-P", "MainPID", "libvirtd").out.strip()
    expect(int(pid) > 0, "libvirtd runs", pid)
    machine.run("kill", "-STOP", pid)
    return pid


def hang_a_mount(machine):
    machine.run("mkdir", "-p", TARGET)
    machine.put("/root/mount.py", MOUNT.encode())
    machine.run("modprobe", "fuse")
    machine.run("systemd-run", "--unit=hung-mount", "/usr/bin/python3", "/root/mount.py")
    deadline = time.monotonic() + 60
    while TARGET not in machine.get("/proc/self/mountinfo").decode():
        expect(time.monotonic() < deadline, "the mount is there")
        time.sleep(0.2)


def judged(machine):
    """Check's verdicts with their messages, and how long they took."""
    result = lab.agent(machine, "check", "--timeout", str(SECONDS), "--format", "json")
    report = json.loads(result.out)
    return {c["id"]: (c["status"], c["message"]) for c in report["checks"]}, result.seconds


def follows(message):
    """What could not be asked because libvirtd, the mount or the disk did not answer says so."""
    return any(word in message for word in ("libvirt", TARGET, "no answer", "a disk that could not be read"))


def test_hung(test):
    server = Server(test.work)
    machine = host.bare(test)
    machine.disks.append(server.disk())
    machine.boot()
    lab.install(machine)
    host.configure(machine, f"""\
version: 1
pools:
  - name: hung
    type: dir
    target: {TARGET}
""")
    machine.run("modprobe", "kvm_amd")
    judged(machine)  # the first look at QEMU takes libvirt a while
    before, quiet_seconds = judged(machine)
    suspend_a_mapping(machine)
    pid = hang_libvirt(machine)
    hang_a_mount(machine)
    server.hang()
    after, seconds = judged(machine)
    lab.say(f"check took {quiet_seconds:.1f} s, and {seconds:.1f} s with four things that hang")
    expect(seconds < quiet_seconds + SECONDS + SLACK, "check keeps its deadline", seconds)
    for name, what, subject, why in HUNG:
        status, message = after[name]
        lab.say(f"{name}: {status}: {message}")
        expect(status == "unknown" and subject in message and why in message,
               f"{what} is said to hang", message)
    expect(after["storage.suspended"][0] == "warn", "a suspended mapping is told", after)
    expect(after["storage.disks-readable"][1].count("/dev/") == 1, "the other disks were read",
           after["storage.disks-readable"])
    changed = {name: (before[name], after[name]) for name in before
               if before[name][0] != after[name][0] and name != "storage.suspended"
               and not (after[name][0] in ("unknown", "skip") and follows(after[name][1]))
               and name not in (n for n, *_ in HUNG)}
    expect(not changed, "everything else is judged as before", changed)

    # What waits for the disk for good is a copy of a run that had the lock.
    for _ in range(2):
        held = lab.agent(machine, "apply", "--yes", "--timeout", str(SECONDS))
        expect(held.status != 6, "no lock is left behind", held)

    server.answer()
    machine.run("kill", "-CONT", pid)
    machine.run("systemctl", "stop", "hung-mount")
    machine.run("dmsetup", "resume", "hung")
    machine.shutdown()


lab.main()
