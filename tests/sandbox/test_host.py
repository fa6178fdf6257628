#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Sysctls, members of libvirt's group and the default URI: set, lasting, drifted, and undone.

Huge pages and KSM are the whole machine's, and are left to the virtual machine.
"""

import os

import qb

CONFIG = """\
version: 1
host:
  sysctl:
    - {name: net.ipv4.ip_default_ttl, value: 77}
    - {name: net.ipv4.tcp_rmem, value: 4096 131072 6000000}
  default-uri: qemu:///system
  libvirt-group: [games]
"""
FILES = ("/etc/sysctl.d/90-qubi-agent.conf", "/etc/profile.d/qubi-agent.sh")


def sysctl(name):
    with open("/proc/sys/" + name.replace(".", "/"), encoding="utf-8") as f:
        return f.read().split()


def members():
    with open("/etc/group", encoding="utf-8") as f:
        return next(line for line in f if line.startswith("libvirt:")).strip().split(":")[3].split(",")


def state():
    return (sysctl("net.ipv4.ip_default_ttl"), sysctl("net.ipv4.tcp_rmem"), members(),
            [os.path.exists(f) for f in FILES])


@qb.case(disks="blank")
def they_are_set_kept_and_undone():
    before = state()
    qb.configure(CONFIG)
    qb.agent("apply", "--yes")
    qb.same(state(), (["77"], ["4096", "131072", "6000000"], [m for m in before[2] if m] + ["games"],
                      [True, True]), "what is set")
    # A login shell, and whoever reads sysctl.d at boot, take the files.
    out = qb.run("/bin/sh", "-c", f". {FILES[1]}; echo $LIBVIRT_DEFAULT_URI").out
    qb.same(out, "qemu:///system\n", "the default URI")
    qb.run("/sbin/sysctl", "-w", "net.ipv4.ip_default_ttl=64")
    plan = " ".join(qb.agent("plan", code=qb.PENDING).out.split())
    qb.contains(plan, ["Plan: 1 step,", "ip_default_ttl is 64: it gets 77"], "the plan")
    qb.run("/sbin/sysctl", "-p", FILES[0])
    qb.contains(qb.agent("plan").out, "Nothing to do", "after the file was read")
    qb.agent("rollback", "--yes")
    qb.same(state(), before, "what is left")


@qb.case(disks="blank")
def what_is_configured_no_more_leaves_its_files():
    qb.configure(CONFIG)
    qb.agent("apply", "--yes")
    qb.configure("version: 1\n")
    qb.contains(" ".join(qb.agent("plan", code=qb.PENDING).out.split()),
                ["Plan: 2 steps", "nothing is configured any more that would be in it"], "the plan")
    qb.agent("apply", "--yes")
    qb.same([os.path.exists(f) for f in FILES], [False, False], "the files")
    qb.contains(qb.agent("plan").out, "Nothing to do", "a plan after it")


@qb.case(disks="blank")
def what_this_host_does_not_have_is_refused():
    before = state()
    qb.configure(CONFIG + "  hugepages: {size: 4GiB, count: 1}\n")
    r = qb.agent("apply", "--yes", code=qb.REFUSED)
    qb.contains(r.out, ["unsupported", "hugepages-4194304kB"], "the refusal")
    qb.same(state(), before, "nothing was done")


if __name__ == "__main__":
    qb.main()
