# SPDX-License-Identifier: Apache-2.0
"""The verdicts beside virt-host-validate's, on hosts of which the truth is known.

What is true of each host was done to it by the test itself. Ours has to be right in every row;
where the other differs, the row has to say why.
"""
import re

import host
import lab
import vm
from lab import expect

# virt-host-validate's word for a thing, and the check that judges the same.
PAIRS = [
    ("hardware virtualization", "cpu.virtualization"),
    ("/dev/kvm exists", "kvm.device"),
    ("/dev/kvm is accessible", "kvm.access"),
    ("/dev/vhost-net exists", "kvm.vhost-net"),
    ("/dev/net/tun exists", "kvm.tun"),
    ("'cpu' controller", "cgroup.controllers"),
    ("'memory' controller", "cgroup.controllers"),
    ("IOMMU support", "iommu.enabled"),
]

# What is so on a host where nothing was done: fit for guests, and without an IOMMU, which the
# emulated board does not have.
FIT = {name: True for name, _ in PAIRS} | {"IOMMU support": False}

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
    ("no memory controller", "'cpu' controller"):
        "one check holds all controllers that libvirt asks for, and one of them is missing",
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
            for row, _ in PAIRS}


def compare(machine, name, truth):
    """One host's rows, printed; what is wrong or unexplained in them."""
    theirs = validated(machine)
    _, report = lab.agent_json(machine, "check")
    checks = {c["id"]: c for c in report["checks"]}
    amiss = []
    for row, ident in PAIRS:
        # Where the CPU offers nothing it looks no further.
        ours, other = checks[ident]["status"], (theirs[row] or "none").lower()
        right, agrees = (ours == "pass") == truth[row], (other == "pass") == truth[row]
        why = WHY.get((name, row), "")
        lab.say(f"{name:22} {row:24} truth {'good' if truth[row] else 'bad':4}  "
                f"virt-host-validate {other:4}  qubi-agent {ours:7} {'' if agrees else why}")
        if ours in ("unknown", "skip") and truth[row]:
            right = False
        if not right:
            amiss.append(f"{name}: {ident} is {ours}: {checks[ident]['message']}")
        if right and not agrees and not why:
            amiss.append(f"{name}: {row}: virt-host-validate says {other}, and nobody why")
    return amiss


def test_side_by_side(test):
    machine = host.bare(test)
    machine.boot()
    lab.install(machine)
    machine.run("modprobe", "kvm_amd")
    machine.run("modprobe", "vhost_net")
    amiss = compare(machine, "fit", FIT)

    mode = machine.run("stat", "-c", "%a", "/dev/kvm").out.strip()
    machine.run("chmod", "000", "/dev/kvm")
    amiss += compare(machine, "mode 000", FIT | {"/dev/kvm is accessible": False})
    machine.run("chmod", mode, "/dev/kvm")

    machine.run("rmmod", "vhost_net")
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
        "'memory' controller": False, "'cpu' controller": False})
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
