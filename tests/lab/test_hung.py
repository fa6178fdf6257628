# SPDX-License-Identifier: Apache-2.0
"""A disk and a libvirtd that do not answer cost their own verdicts, and the command its deadline."""
import host
import lab
from lab import expect

SECONDS = 4
# Emulated: the guest that proves KVM, udev and the rest take their time, too.
SLACK = 16


def hang_a_disk(machine):
    """A device-mapper disk that is suspended: reads of it wait, and nothing ends them."""
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


def test_hung(test):
    machine = host.bare(test)
    machine.boot()
    lab.install(machine)
    machine.run("modprobe", "kvm_amd")
    _, before = lab.agent_json(machine, "check")
    hang_a_disk(machine)
    pid = hang_libvirt(machine)

    result = lab.agent(machine, "check", "--timeout", str(SECONDS))
    expect(result.seconds < SECONDS + SLACK, "check keeps its deadline", result.seconds)
    _, report = lab.agent_json(machine, "check", "--timeout", str(SECONDS))
    checks = {c["id"]: c for c in report["checks"]}
    for name in ("storage.disks-readable", "libvirt.connection"):
        check = checks[name]
        lab.say(f"{name}: {check['status']}: {check['message']}")
        expect(check["status"] == "unknown", f"{name} is unknown", check)
        expect("no answer" in check["message"], f"{name} says why", check["message"])
    others = [(c["id"], c["status"], checks[c["id"]]["status"]) for c in before["checks"]
              if c["id"].split(".")[0] not in ("storage", "libvirt", "config")]
    changed = [o for o in others if o[1] != o[2]]
    expect(others and not changed, "everything else is judged as before", changed)

    machine.run("kill", "-CONT", pid)
    machine.run("dmsetup", "resume", "hung")
    machine.shutdown()


lab.main()
