#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A captured host whose links point outside: facts reads nothing there, by every open it makes."""

import json
import os
import re

import qb

ROOT = "/tmp/captured"
SENTINEL = "content-from-outside-the-root"

# What a process opens to run at all, before main: its libraries, the locale, random numbers, and
# what libselinux, libnuma and libcap-ng look at when they are loaded. Nothing of it is a fact.
MACHINE = re.compile(r"/(usr/)?lib(64|/x86_64-linux-gnu)?/[^/]+\.so|/etc/ld\.so\.|"
                     r"/usr/lib/locale/|/usr/share/locale/|/etc/locale\.alias|"
                     r"/(etc|usr/lib)/(ssl|gnutls|pki|crypto-policies|gcrypt)/|/dev/u?random$|"
                     r"/dev/null$|/proc/filesystems$|/proc/sys/kernel/cap_last_cap$|"
                     r"/proc/sys/crypto/|/sys/devices/system/node|"
                     r"/sys/devices/system/cpu(/online|/possible)?$|/proc/self/|/proc/\d+/")


def put(path, text):
    path = ROOT + path
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)


def link(path, target):
    path = ROOT + path
    os.makedirs(os.path.dirname(path), exist_ok=True)
    os.symlink(target, path)


def outside(name, text=SENTINEL + "\n"):
    path = "/outside/" + name
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)
    return path


def capture():
    up = "../" * 12
    put("/proc/cpuinfo", "processor\t: 0\nvendor_id\t: AuthenticAMD\n"
        "model name\t: Captured CPU\nflags\t\t: fpu svm\n")
    put("/etc/hostname", "captured.example\n")
    put("/usr/lib/os-release", 'ID="rocky"\nVERSION_ID="9.4"\nPRETTY_NAME="Captured OS"\n')
    link("/etc/os-release", "../usr/lib/os-release")
    put("/sys/module/kvm/refcnt", "0\n")
    # Absolute links, and relative ones that climb over the top, to files and folders.
    link("/etc/machine-id", outside("machine-id"))
    link("/proc/meminfo", up + "outside/meminfo")
    outside("meminfo", f"MemTotal: 777777 kB\nMemAvailable: 777777 kB\n{SENTINEL}: 1\n")
    link("/proc/modules", outside("modules", f"{SENTINEL} 1 0 - Live 0x0\n"))
    link("/proc/swaps", up + "outside/swaps")
    outside("swaps", "Filename Type Size Used Priority\n/dev/sda partition 1 0 -2\n")
    link("/proc/mounts", "/proc/self/mounts")
    link("/proc/self", "/outside/self")
    outside("self/mountinfo", f"1 0 8:1 / /{SENTINEL} rw - ext4 /dev/sda1 rw\n")
    link("/proc/cmdline", outside("cmdline"))
    link("/etc/modprobe.d", "/outside/modprobe.d")
    outside("modprobe.d/x.conf", "blacklist kvm\n")
    link("/etc/modules-load.d", up + "outside/modules-load.d")
    outside("modules-load.d/x.conf", SENTINEL + "\n")
    link("/sys/class/dmi", "/outside/dmi")
    outside("dmi/id/sys_vendor")
    outside("dmi/id/product_name")
    outside("block/sda/size", "777777\n")
    outside("block/sda/wwid")
    outside("block/sda/device/model")
    link("/sys/block/sda", "/outside/block/sda")
    link("/sys/block/sdb", up + "outside/block/sda")
    link("/sys/class/block", "/outside/block")
    link("/sys/devices/system/cpu", "/outside/cpu")
    outside("cpu/vulnerabilities/meltdown", f"Vulnerable: {SENTINEL}\n")
    outside("cpu/online", "0-776\n")
    link("/var/lib/qubi-agent", "/outside/state")
    link("/run", "/outside/run")
    outside("run/udev/data/b8:0", f"E:ID_SERIAL={SENTINEL}\n")
    link("/etc/libvirt", "/outside/libvirt")


def opened(trace):
    """Paths behind every descriptor that was got, links resolved by the kernel; and failures."""
    for line in trace.splitlines():
        got = re.search(r"= \d+<([^>]*)>", line)
        if re.search(r"\bopen(at2?)?\(", line) and got:
            yield got.group(1), line


@qb.case(disks="blank")
def nothing_outside_is_read():
    capture()
    r = qb.traced("-f", "-y", "-qq", "-s", "300", "-o", "/tmp/trace", "-e",
                  "trace=%file,openat2,getdents64,readlinkat,connect", qb.AGENT, "facts", "--root",
                  ROOT, "--format", "json")
    with open("/tmp/trace", encoding="utf-8", errors="replace") as f:
        trace = f.read()
    facts = r.json()
    assert SENTINEL not in r.out + r.err, f"content from outside: {r}"
    assert "777777" not in json.dumps(facts) and "776" not in str(facts["cpu"].get("online")), \
        f"figures from outside: {r.out}"
    qb.same(facts["live"], False, "live")
    qb.same(facts["system"]["hostname"], "captured.example", "host name")
    qb.same(facts["system"]["os_name"], "Captured OS", "os-release by a link that stays inside")
    qb.same(facts["cpu"]["vendor"], "AuthenticAMD", "vendor")
    inside, strange = [], []
    for path, line in opened(trace):
        if path == ROOT or path.startswith(ROOT + "/"):
            inside.append(path)
        elif not MACHINE.match(path) and not path.startswith(os.path.dirname(qb.AGENT)):
            strange.append(line)
    assert len(inside) >= 10, f"hardly anything was read below the root: {inside}"
    qb.same(strange, [], "files of the machine that were opened")
    assert not re.search(r"connect\(.*(libvirt|udev)", trace), "it talked to the machine's daemons"
    assert "/outside" not in "".join(p for p, _ in opened(trace)), "opened outside"


@qb.case(disks="blank")
def check_and_plan_of_a_captured_host_change_nothing():
    capture()
    files = qb.tree(ROOT, "/outside", "/var/lib/qubi-agent", "/etc/qubi-agent")
    qb.agent("check", "--root", ROOT, code=(qb.OK, qb.FAILED))
    qb.agent("apply", "--yes", "--root", ROOT, code=qb.USAGE)
    qb.same(qb.tree(ROOT, "/outside", "/var/lib/qubi-agent", "/etc/qubi-agent"), files, "files")


@qb.case(disks="blank")
def another_host_has_a_configuration_of_its_own():
    """This one's says nothing about it; its own is read below its root, whoever owns it."""
    capture()
    qb.configure("version: 1\nchecks: {ignore: [kvm.device]}\n" + qb.BRIDGE_ONLY[11:])
    facts = "/tmp/facts.json"
    with open(facts, "w", encoding="utf-8") as f:
        f.write(qb.agent("facts", "--root", ROOT, "--format", "json").out)

    r = qb.agent("plan", "--facts", facts, code=qb.USAGE)
    qb.contains(r.err, [facts, "--config"], "message")
    qb.agent("plan", "--facts", facts, "--config", qb.CONFIG, code=qb.REFUSED)
    r = qb.agent("plan", "--root", ROOT, code=qb.USAGE)
    qb.contains(r.err, [ROOT + qb.CONFIG, "--config"], "message")
    for args in (["--facts", facts], ["--root", ROOT]):
        qb.same(ignored(*args), [], f"{args}: ignored")

    put(qb.CONFIG, "version: 1\nchecks: {ignore: [cpu.virtualization]}\n"
        "pools: [{name: own, type: dir, target: /srv/own}]\n")
    os.chown(ROOT + qb.CONFIG, 65534, 65534)
    plan = qb.agent("plan", "--root", ROOT, "--format", "json", code=None).json()
    named = [x["target"] for x in plan["steps"] + plan["refused"]]
    assert "br0" not in named, f"the configuration of this host was taken: {named}"
    qb.same(ignored("--root", ROOT), ["cpu.virtualization"], "ignored")
    qb.same(ignored("--facts", facts), [], "ignored")

    put(qb.CONFIG, "version: 1\nbridgez: []\n")
    for command in ("plan", "check"):
        r = qb.agent(command, "--root", ROOT, code=qb.USAGE)
        qb.contains(r.err, [ROOT + qb.CONFIG + ":2:1", "bridgez"], command)
    # A link leads to a place below that root, where there is nothing.
    os.remove(ROOT + qb.CONFIG)
    link(qb.CONFIG, qb.CONFIG + ".outside")
    qb.configure(qb.BRIDGE_ONLY, qb.CONFIG + ".outside")
    qb.contains(qb.agent("plan", "--root", ROOT, code=qb.USAGE).err, ROOT + qb.CONFIG, "message")


def ignored(*args):
    report = qb.agent("check", *args, "--format", "json", code=(qb.OK, qb.FAILED)).json()
    return [c["id"] for c in report["checks"] if c["ignored"]]


if __name__ == "__main__":
    qb.main()
