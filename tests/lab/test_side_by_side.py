# SPDX-License-Identifier: Apache-2.0
"""The verdicts beside virt-host-validate's, on hosts of which the truth is known.

What is true of each host was done to it by the test itself. Ours has to be right in every row;
where the other differs, the row has to say why.
"""
import os
import re
import signal
import subprocess
import time

import host
import lab
import vm
from lab import expect

# virt-host-validate's word for a thing, the check that judges the same, and, of one that judges
# several, the names of that one.
PAIRS = [
    ("hardware virtualization", "cpu.virtualization", None),
    ("/dev/kvm exists", "kvm.device", None),
    ("/dev/kvm is accessible", "kvm.access", None),
    ("/dev/vhost-net exists", "kvm.vhost-net", None),
    ("/dev/net/tun exists", "kvm.tun", None),
    ("'cpu' controller", "cgroup.controllers", {"cpu"}),
    ("'cpuset' controller", "cgroup.controllers", {"cpuset"}),
    ("'memory' controller", "cgroup.controllers", {"memory"}),
    ("'blkio' controller", "cgroup.controllers", {"io", "blkio"}),
    ("IOMMU support", "iommu.enabled", None),
    ("secure guest support", "kvm.confidential", None),
]

# What is so on a host where nothing was done: fit for guests, and without an IOMMU and encrypted
# memory, which the emulated board does not have.
FIT = {name: True for name, *_ in PAIRS} | {"IOMMU support": False, "secure guest support": False}

# Why virt-host-validate says otherwise, by host and row.
WHY = {
    ("unloaded", "/dev/kvm exists"):
        "udev makes the node at boot for whoever opens it; no driver stands behind it",
    ("unloaded", "/dev/kvm is accessible"):
        "root may open a node of any mode; there is nothing behind it to open",
    ("mode 000", "/dev/kvm is accessible"):
        "it asks as root; QEMU runs as a user of its own",
    ("vhost_net blocked", "/dev/vhost-net exists"):
        "the node is there, and the module behind it cannot be loaded",
    ("this machine", "hardware virtualization"):
        "it looks for flags; a guest ran here, by a driver that does without",
    ("this machine", "/dev/kvm exists"): "where it finds no flag it looks no further",
    ("this machine", "/dev/kvm is accessible"): "where it finds no flag it looks no further",
}


def validated(machine):
    """{row: whether it passed} of virt-host-validate; a WARN is no pass."""
    text = machine.run("virt-host-validate", "qemu", check=False).out
    found = {}
    for line in re.sub(r"\x1b\[[0-9;]*m", "", text).splitlines():
        match = re.match(r"\s*QEMU: Checking (?:for|if) (.*?)\s*: (\w+)", line)
        if match:
            found[match[1]] = match[2]
    expect("hardware virtualization" in found, "virt-host-validate prints its rows", text)
    return {row: next((word for text, word in found.items() if row in text), None)
            for row, *_ in PAIRS}


def verdict(check, parts):
    """The status; of a part, by its names, "pass" where it is others that are lacking."""
    lacking = re.search(r"the cgroup controllers? (.*)", check["message"])
    if parts and lacking and not parts & set(re.findall(r"\w+", lacking[1])):
        return "pass"
    return check["status"]


def compare(machine, name, truth):
    """One host's rows, printed; what is wrong or unexplained in them."""
    theirs = validated(machine)
    _, report = lab.agent_json(machine, "check")
    checks = {c["id"]: c for c in report["checks"]}
    amiss = []
    for row, ident, parts in PAIRS:
        # Where the CPU offers nothing it looks no further.
        ours, other = verdict(checks[ident], parts), (theirs[row] or "none").lower()
        right, agrees = (ours == "pass") == truth[row], (other == "pass") == truth[row]
        why = WHY.get((name, row), "")
        lab.say(f"{name:22} {row:24} truth {'good' if truth[row] else 'bad':4}  "
                f"virt-host-validate {other:4}  qubi-agent {ours:7} {'' if agrees else why}")
        if not right or ours == "unknown":
            amiss.append(f"{name}: {ident} is {ours}: {checks[ident]['message']}")
        if right and not agrees and not why:
            amiss.append(f"{name}: {row}: virt-host-validate says {other}, and nobody why")
    return amiss


class Here:
    """The machine on which the lab itself runs, with the agent that was built on it."""

    def run(self, *argv, check=True, timeout=300):
        if argv[0] == "qubi-agent":
            argv = (lab.TREE / "build/qubi-agent", *argv[1:])
        begin = time.monotonic()
        r = subprocess.run(argv, capture_output=True, text=True, timeout=timeout, check=check)
        return vm.Result(argv, r.returncode, r.stdout, r.stderr, time.monotonic() - begin)

    def succeeds(self, *argv):
        return self.run(*argv, check=False).status == 0


def opens(path):
    try:
        os.close(os.open(path, os.O_RDWR))
        return True
    except OSError:
        return False


def truth_here(folder):
    """By other ways than either of the two goes: QEMU itself, and opening what is there."""
    here, pidfile = Here(), folder / "qemu.pid"
    as_qemu = ["setpriv", "--reuid=libvirt-qemu", "--regid=kvm", "--init-groups"]
    with open("/proc/cgroups") as f:
        enabled = {line.split()[0] for line in f if line.split()[-1] == "1"}
    kvm = here.succeeds("qemu-system-x86_64", "-accel", "kvm", "-machine", "none", "-nodefaults",
                        "-display", "none", "-S", "-daemonize", "-pidfile", pidfile)
    if kvm:
        os.kill(int(pidfile.read_text()), signal.SIGTERM)
    return {
        "hardware virtualization": kvm,
        "/dev/kvm exists": opens("/dev/kvm"),
        "/dev/kvm is accessible": here.succeeds(*as_qemu, "test", "-r", "/dev/kvm", "-a", "-w",
                                                "/dev/kvm"),
        "/dev/vhost-net exists": opens("/dev/vhost-net"),
        "/dev/net/tun exists": opens("/dev/net/tun"),
        "'cpu' controller": "cpu" in enabled, "'cpuset' controller": "cpuset" in enabled,
        "'memory' controller": "memory" in enabled, "'blkio' controller": "blkio" in enabled,
        "IOMMU support": any(os.scandir("/sys/class/iommu"))
                         if os.path.isdir("/sys/class/iommu") else False,
        "secure guest support": opens("/dev/sev"),
    }


def test_side_by_side(test):
    amiss = compare(Here(), "this machine", truth_here(test.work))
    machine = host.bare(test)
    machine.boot()
    lab.install(machine)
    machine.run("modprobe", "kvm_amd")
    machine.run("modprobe", "vhost_net")
    amiss += compare(machine, "fit", FIT)

    mode = machine.run("stat", "-c", "%a", "/dev/kvm").out.strip()
    machine.run("chmod", "000", "/dev/kvm")
    amiss += compare(machine, "mode 000", FIT | {"/dev/kvm is accessible": False})
    machine.run("chmod", mode, "/dev/kvm")

    machine.run("rmmod", "vhost_net")
    machine.run("rm", "-f", "/dev/vhost-net")
    amiss += compare(machine, "vhost_net absent", FIT | {"/dev/vhost-net exists": False})

    machine.run("mknod", "-m", "660", "/dev/vhost-net", "c", "10", "238")
    machine.put("/etc/modprobe.d/lab.conf", b"install vhost_net /bin/false\n")
    amiss += compare(machine, "vhost_net blocked", FIT | {"/dev/vhost-net exists": False})
    machine.run("rm", "/etc/modprobe.d/lab.conf")
    machine.run("modprobe", "vhost_net")

    # The node that udev makes for whoever opens it stays.
    machine.run("rmmod", "kvm_amd", "kvm")
    machine.run("mknod", "-m", "666", "/dev/kvm", "c", "10", "232", check=False)
    amiss += compare(machine, "unloaded", FIT | {
        "/dev/kvm exists": False, "/dev/kvm is accessible": False})
    machine.shutdown()

    machine.kernel = "cgroup_disable=memory"
    machine.boot()
    machine.run("modprobe", "kvm_amd")
    machine.run("modprobe", "vhost_net")
    amiss += compare(machine, "no memory controller", FIT | {
        "'memory' controller": False})
    machine.shutdown()

    bare = test.machine("without-svm", svm=False, nics=[vm.Nic()], files=vm.static_address())
    bare.boot()
    lab.install(bare)
    bare.run("modprobe", "vhost_net")
    amiss += compare(bare, "without SVM", FIT | {
        "hardware virtualization": False, "/dev/kvm exists": False,
        "/dev/kvm is accessible": False})
    bare.shutdown()
    expect(not amiss, "every verdict is right, and every difference explained",
           "\n" + "\n".join(amiss))


lab.main()
