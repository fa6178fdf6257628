#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The sandbox itself: what is in it, that it reaches nothing of the machine and leaves nothing."""

import json
import os
import signal
import subprocess
import time

import qb
import netstate

WATCHED = ("/etc", "/var/lib/libvirt", "/var/lib/qubi-agent", "/var/cache/libvirt", "/srv",
           "/usr/local/sbin", "/lib/udev/rules.d")


@qb.case
def uplink_reaches_the_gateway():
    for address in ("192.0.2.1", "2001:db8::1"):
        qb.assert_reaches(address)
    uplink = qb.links()["uplink0"]
    qb.same(uplink["address"], "00:00:5e:00:53:01", "MAC")
    qb.same(uplink["addresses"], ["192.0.2.10/24 global", "2001:db8::10/64 global"], "addresses")
    defaults = {r["gateway"] for r in qb.routes() if r["dst"] == "default"}
    qb.same(defaults, {"192.0.2.1", "2001:db8::1"}, "default routes")
    qb.same(sorted(os.listdir("/sys/class/net")), ["lo", "uplink0"], "links in /sys")


@qb.case
def gateway_reaches_the_host():
    for address in ("192.0.2.10", "2001:db8::10"):
        with qb.probing(address, 10, at_gateway=True) as p:
            found = json.loads(p.stdout.read())
        qb.same(found["lost"], [], f"lost on the way to {address}")


@qb.case
def disks_are_there_and_nothing_else():
    wanted = {os.path.basename(os.environ[n])
              for n in ("QB_BLANK", "QB_BLANK2", "QB_EXT4", "QB_GPT", "QB_LVM")}
    qb.same(set(os.listdir("/sys/block")), wanted, "disks in /sys/block")
    with open(os.environ["QB_BLANK"], "rb") as f:
        qb.same(f.read(4 << 20).count(0), 4 << 20, "zero bytes at the start of the blank disk")

    def udev(path):
        out = qb.run("/usr/bin/udevadm", "info", "-q", "property", path).out
        return dict(line.split("=", 1) for line in out.splitlines())
    qb.same(udev(os.environ["QB_EXT4"])["ID_FS_TYPE"], "ext4", "udev on the ext4 disk")
    qb.same(udev(os.environ["QB_GPT"])["ID_PART_TABLE_TYPE"], "gpt", "udev on the GPT disk")
    qb.same(udev(os.environ["QB_LVM"])["ID_FS_TYPE"], "LVM2_member", "udev on the PV")
    qb.same(os.path.realpath("/dev/disk/by-partlabel/data"), os.environ["QB_GPT"] + "p2",
            "partition by its label")
    qb.contains(qb.run("/usr/sbin/lvm", "pvck", os.environ["QB_LVM"]).out, "Found label", "pvck")


@qb.case
def libvirtd_is_its_own():
    qb.contains(qb.virsh("uri"), "qemu:///system", "URI")
    qb.same(qb.virsh("net-list", "--all", "--name").split(), [], "networks")
    qb.same(qb.virsh("pool-list", "--all", "--name").split(), [], "pools")


@qb.case
def libvirt_can_start_a_nat_network():
    with open("/tmp/net.xml", "w", encoding="utf-8") as f:
        f.write("<network><name>n</name><forward mode='nat'/>"
                "<ip address='198.51.100.1' netmask='255.255.255.0'/></network>")
    qb.virsh("net-define", "/tmp/net.xml")
    qb.virsh("net-start", "n")
    qb.same(qb.links()["virbr0"]["addresses"], ["198.51.100.1/24 global"], "address of virbr0")


@qb.case
def what_is_written_stays_inside():
    """The other half is in leaves_nothing: the machine has none of these files after it."""
    for path in ("/etc/qubi-agent/x", "/etc/NetworkManager/x", "/var/lib/qubi-agent/x", "/srv/x",
                 "/etc/x", "/usr/x", "/root/x"):
        with open(path, "w", encoding="utf-8") as f:
            f.write("sandbox")
    try:
        with open("/proc/sys/kernel/panic", "w", encoding="utf-8") as f:
            f.write("0")
        raise AssertionError("a kernel setting of the machine could be written")
    except OSError:
        pass


@qb.case(outside=True)
def exit_status_and_arguments_pass():
    r = qb.run(*qb.enter_command(["/bin/sh", "-c", "echo \"$1\"; pwd; exit 7", "sh", "a b"],
                                 "blank"), code=7, cwd="/etc")
    qb.same(r.out, "a b\n/etc\n", "output")
    r = qb.run(*qb.enter_command(["/bin/sh", "-c", "kill -9 $$"], "blank"), code=137)
    r = qb.run(*qb.enter_command(["/nonexistent"], "blank"), code=127)
    qb.contains(r.err, ["/nonexistent", "No such file"], "message")
    r = qb.run(qb.ENTER, "--disks", "floppy", "/bin/true", code=125)
    qb.contains(r.err, ["floppy", "blank"], "message")


def machine():
    """What a sandbox could have left on the machine; other sandboxes may be about."""
    with open("/proc/self/mountinfo", encoding="utf-8") as f:
        mounted = [line.split()[4] for line in f]
    return {"files": qb.tree(*WATCHED), "links": qb.links(), "routes": qb.routes(),
            "mounts": mounted}


def attached(marker):
    """Loop devices over the file of the sandbox with this marker; it is their only user."""
    found = []
    for name in os.listdir("/sys/devices/virtual/block"):
        try:
            with open(f"/sys/devices/virtual/block/{name}/diskseq", encoding="utf-8") as f:
                if f.read().strip() in marker and \
                        os.path.exists(f"/sys/devices/virtual/block/{name}/loop"):
                    found.append(name)
        except OSError:
            pass
    return found


BUSY = """
for v in QB_BLANK QB_BLANK2 QB_EXT4 QB_GPT QB_LVM; do
	eval "d=\\$$v"; cat /sys/block/${d#/dev/}/diskseq
done
for f in /etc/qubi-agent/x /var/lib/libvirt/x /srv/x /etc/y; do echo sandbox >$f; done
mkfs.xfs -q $QB_BLANK && mkdir -p /srv/m && mount $QB_BLANK /srv/m && echo x >/srv/m/x
ip link add brx type bridge && ip link set uplink0 master brx
setsid sleep %s &
setsid sh -c 'cd /srv/m; exec sleep %s' </dev/null >/dev/null 2>&1 &
echo busy
%s
"""


def processes(word):
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as f:
                if word.encode() in f.read().split(b"\0"):
                    found.append(pid)
        except OSError:
            pass
    return found


def ends_clean(how):
    """Enters, makes the sandbox busy, ends it, and sees that all of it goes."""
    before = machine()
    mark = f"{100000 + os.getpid()}.5"  # seconds to sleep, a number nobody else uses
    last = "exit 3" if how is None else "exec sleep " + mark
    with subprocess.Popen([qb.ENTER, "/bin/sh", "-c", BUSY % (mark, mark, last)],
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, encoding="utf-8") as p:
        try:
            marker = [p.stdout.readline().strip() for _ in range(5)]
            qb.same(p.stdout.readline(), "busy\n", "the sandbox")
            if how is not None:
                qb.same(len(attached(marker)), 5, "loop devices while it runs")
                assert qb.until(lambda: len(processes(mark)) >= 3), "too little runs in the sandbox"
                p.send_signal(how)
            code = p.wait(30)
        finally:
            p.kill()
    if how == signal.SIGKILL:  # a killed front cannot wait for the end; every other has
        qb.until(lambda: not attached(marker) and not processes(mark))
    qb.same(attached(marker), [], "loop devices left")
    qb.same(processes(mark), [], "processes left")
    qb.same(netstate.difference(before, machine()), [], "what changed on the machine")
    return code


@qb.case(outside=True)
def leaves_nothing_at_the_end():
    qb.same(ends_clean(None), 3, "exit status")


@qb.case(outside=True)
def leaves_nothing_when_killed():
    ends_clean(signal.SIGKILL)


@qb.case(outside=True)
def leaves_nothing_when_terminated():
    qb.same(ends_clean(signal.SIGTERM), 143, "exit status")


@qb.case(outside=True)
def leaves_nothing_when_killed_while_it_is_made():
    before = machine()
    for delay in (0.02, 0.05, 0.1, 0.2, 0.3):
        with subprocess.Popen([qb.ENTER, "/bin/sleep", "1000"], stdin=subprocess.DEVNULL,
                              start_new_session=True) as p:
            time.sleep(delay)
            p.kill()
        assert qb.until(lambda s=p.pid: not alive_in_session(s)), f"left after {delay} s"
    qb.same(netstate.difference(before, machine()), [], "what changed on the machine")


def alive_in_session(session):
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/stat", encoding="utf-8") as f:
                fields = f.read().rsplit(")", 1)[1].split()
            if int(fields[3]) == session and fields[0] != "Z":
                found.append(pid)
        except OSError:
            pass
    return found


@qb.case(outside=True)
def two_do_not_see_each_other():
    script = ("ls /sys/block; udevadm info -q property $QB_EXT4 | grep -c ID_FS_TYPE=ext4;"
              "virsh -q -c qemu:///system net-list --all --name; cat /etc/x 2>/dev/null; "
              "echo mine >/etc/x; sleep 1; hostname")
    two = [subprocess.Popen([qb.ENTER, "/bin/sh", "-c", script], stdin=subprocess.DEVNULL,
                            stdout=subprocess.PIPE, encoding="utf-8") for _ in range(2)]
    texts = [p.communicate(timeout=60)[0] for p in two]
    disks = [{w for w in t.split() if w.startswith("loop")} for t in texts]
    for p, text, own in zip(two, texts, disks):
        qb.same(p.returncode, 0, "exit status")
        qb.same(len(own), 5, "disks")
        assert "mine" not in text, text
    assert not disks[0] & disks[1], f"shared disks: {texts}"


if __name__ == "__main__":
    qb.main()
