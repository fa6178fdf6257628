# SPDX-License-Identifier: Apache-2.0
"""That the lab tells the truth: what it says is refused, lost, kept or changed, is."""
import os
import time

import host
import image
import lab
import vm
from lab import expect, expect_status

HARMLESS = ["libvirt-daemon-kvm", "/usr/sbin/mkfs.xfs", "/bin/sh", "libc.so.6(GLIBC_2.34)(64bit)",
            "libkmod.so.2(LIBKMOD_5)(64bit)", "libvirt.so.0(LIBVIRT_0.0.3)(64bit)"]


def small_rpm(test, name, requires):
    spec = test.work / f"{name}.spec"
    spec.write_text("\n".join([
        f"Name: {name}", "Version: 1", "Release: 1", "Summary: nothing", "License: Apache-2.0",
        "BuildArch: noarch", *(f"Requires: {r}" for r in requires), "%description", "Nothing.",
        "%files", ""]))
    image.run(["rpmbuild", "-bb", "--define", f"_topdir {test.work}/rpm", spec])
    return next((test.work / "rpm/RPMS").rglob(f"{name}-*.rpm"))


def requires_are_checked(test, machine):
    lab.install(machine, small_rpm(test, "harmless", HARMLESS))
    machine.put("/root/greedy.rpm", small_rpm(test, "greedy", ["libabsent.so.1()(64bit)"]))
    refused = machine.run("rpm", "-i", "/root/greedy.rpm", check=False)
    expect(refused.status != 0 and "libabsent" in refused.err, "rpm refuses what is absent",
           refused)


def commands_are_told_apart(machine):
    told = machine.run("sh", "-c", "cat; echo err >&2; exit 7", check=False, stdin=b"in\n")
    expect((told.status, told.out, told.err) == (7, "in\n", "err\n"), "status and texts", told)
    blob = os.urandom(vm.CHUNK * 2 + 17)
    machine.put("/root/blob", blob)
    expect(machine.get("/root/blob") == blob, "what was put comes back")
    try:
        machine.run("sleep", "60", timeout=1)
    except vm.LabError:
        return
    raise lab.Failed("a command that hangs is ended")


def channel_outlives_the_network(machine):
    nic = host.Uplink(machine).nic
    machine.run("ip", "link", "set", nic, "down")
    expect_status(machine.run("ping", "-c1", "-w2", vm.GATEWAY, check=False), 2, "no way out")
    machine.run("ip", "link", "set", nic, "up")
    machine.run("nmcli", "connection", "up", "uplink")
    expect_status(machine.run("ping", "-c1", "-w9", vm.GATEWAY, check=False), 0, "the way is back")


def test_lab_itself(test):
    origin = host.bare(test, "origin")
    hashes = host.disk_hashes(origin)
    origin.boot()
    requires_are_checked(test, origin)
    commands_are_told_apart(origin)
    channel_outlives_the_network(origin)
    expect(host.link_named(origin, "br0") is None, "no br0 yet")
    boot = origin.channel.boot_id
    began = time.monotonic()
    origin.save()
    lab.say(f"saved: {time.monotonic() - began:.1f} s")

    began = time.monotonic()
    machine = test.adopt(origin.clone(test.work / "copy"))
    seen = machine.get("/proc/sys/kernel/random/boot_id").decode().strip()
    lab.say(f"continued: {time.monotonic() - began:.1f} s")
    expect(seen == boot, "a clone goes on in the boot that was saved")
    expect(host.Uplink(machine).addresses, "its NIC, too")
    machine.run("sh", "-c", "echo kept >/root/kept; sync; echo lost >/root/lost; "
                "printf x | dd of=/dev/disk/by-label/KEEP seek=300M oflag=seek_bytes bs=1 "
                "conv=notrunc,fsync")
    machine.power_cut()
    now = host.disk_hashes(machine)
    expect(now[host.FOREIGN] != hashes[host.FOREIGN], "one byte changes a disk's hash")
    expect(now[host.BLANK] == hashes[host.BLANK], "a disk not written keeps its hash")
    expect(host.disk_hashes(origin) == hashes, "the saved machine's disks are as they were")
    machine.boot()
    expect(machine.get("/root/kept") == b"kept\n", "what was flushed outlives a power cut")
    lost = machine.run("test", "-s", "/root/lost", check=False).status != 0
    expect(lost, "what was not flushed does not")
    expect_status(machine.run("rpm", "-q", "harmless", check=False), 0, "the RPM is there")


lab.main()
