#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""tests/capture-host: what is a host's own does not leave it, what it amounts to does."""

import json
import os
import re
import subprocess

import qb

CAPTURE = os.path.realpath(qb.HERE + "/../capture-host")
ROOT, TO = "/tmp/host", "/tmp/captured"

OWN = {
    "host": "zeus", "domain": "corp.internal", "search": "lab.internal", "user": "jdoe",
    "guest": "payroll-db", "machine": "0f1e2d3c4b5a69788796a5b4c3d2e1f0",
    "uuid": "7c9e6679-7425-40de-944b-e07fc1f90ae7", "mac": "a0:36:9f:12:34:56",
    "address": "10.20.30.40", "gateway": "10.20.30.1", "wide": "172.20.5.6",
    "v6": "2a01:4f8:1:2::17", "serial": "S3Z8NB0K123456", "wwn": "5002538d41628a33",
    "iqn": "iqn.2003-01.com.vendor:array7", "secret": "hunter2",
    "person": "Jane Dough",
    "portal": "10.20.30.50", "fabric": "50060e8007e2f210", "phy": "5000c500a1b2c3d5",
    "map": "60060160a0b13800c2b5d7e8f9012345", "pv": "Wq3rTy-u8Io-P1as-Df5g-Hj2k-Lz7x-Cv9bNm",
    "fat": "7A1C-93EF", "mac digits": "a0369f123456", "mac dashes": "a0-36-9f-12-34-56",
    "group": "acme-vms", "group dashed": "acme--vms", "volume": "ledger", "member": "asmith",
    "remote": "mlee", "ssid": "Corner Office", "profile domain": "branch.internal",
    "zone": "Behind the vault", "comment": "ask Kim",
}
GUEST_SCOPE = r"machine-qemu\x2d3\x2dpayroll\x2ddb.scope"


def put(path, text):
    os.makedirs(os.path.dirname(ROOT + path), exist_ok=True)
    with open(ROOT + path, "w", encoding="utf-8") as f:
        f.write(text)


def fake_host():
    own = OWN
    put("/proc/sys/kernel/hostname", f"{own['host']}.{own['domain']}\n")
    put("/proc/sys/kernel/osrelease", "5.14.0-427.13.1.el9_4.x86_64\n")
    put("/proc/sys/vm/swappiness", "10\n")
    put("/proc/cmdline", f"root=UUID={own['uuid']} rd.iscsi.password={own['secret']} "
        f"netroot=iscsi:{own['iqn']} ip={own['address']} quiet\n")
    put("/proc/cpuinfo", "processor\t: 0\nvendor_id\t: AuthenticAMD\nflags\t\t: fpu svm npt\n\n")
    put("/proc/self/mountinfo", f"22 1 8:1 / / rw - xfs /dev/disk/by-uuid/{own['uuid']} rw\n"
        f"23 22 8:2 / /home/{own['user']} rw - xfs /dev/sda2 rw\n")
    put("/etc/machine-id", own["machine"] + "\n")
    put("/etc/passwd", f"root:x:0:0::/root:/bin/sh\n{own['user']}:x:1000:1000::/home:/bin/sh\n")
    put("/etc/modprobe.d/local.conf", f"# by {own['user']}\nblacklist pcspkr\n")
    put("/qubi-agent/facts.json", json.dumps({
        "schema": "qubi-agent/facts/1", "live": True,
        "system": {"hostname": f"{own['host']}.{own['domain']}", "machine_id": own["machine"],
                   "time_synchronised": True},
        "net": {"known": True, "nameservers": [own["gateway"]], "search": [own["search"]]},
        "links": [{"name": "eno1", "ifindex": 2, "mac": own["mac"], "permanent_mac": own["mac"],
                   "master": "br0"},
                  {"name": "br0", "ifindex": 3, "kind": "bridge", "mac": own["mac"], "addresses": [
                      {"address": own["address"] + "/24", "scope": "global"},
                      {"address": own["wide"] + "/16", "scope": "global"},
                      {"address": own["v6"] + "/64", "scope": "global"},
                      {"address": "fe80::a236:9fff:fe12:3456/64", "scope": "link"}]}],
        "routes": [{"family": "inet", "dst": "default", "gateway": own["gateway"], "dev": "br0"}],
        "mappings": [{"name": "dm-0", "dm_name": "3" + own["map"]},
                     {"name": "dm-1", "dm_name": "acme--vms-ledger"},
                     {"name": "dm-2", "dm_name": "acme--vms-root"}],
        "volume_groups": [{"name": own["group"], "physical_volumes": ["/dev/sda2"],
                           "damaged": [own["volume"]]}],
        "disks_known": True,
        "disks": [{"name": "sda", "path": "/dev/sda", "serial": own["serial"],
                   "wwid": "naa." + own["wwn"],
                   "by_path": f"pci-0000:03:00.0-fc-0x{own['fabric']}-lun-0",
                   "partitions": [{"name": "sda1", "fs_uuid": own["fat"]}],
                   "links": [f"/dev/disk/by-id/ata-X_{own['serial']}",
                             f"/dev/disk/by-id/wwn-0x{own['wwn']}",
                             f"/dev/disk/by-id/scsi-3{own['wwn']}",
                             f"/dev/disk/by-id/lvm-pv-uuid-{own['pv']}",
                             f"/dev/disk/by-path/pci-0000:03:00.0-fc-0x{own['fabric']}-lun-0",
                             f"/dev/disk/by-path/pci-0000:03:00.0-sas-0x{own['phy']}-lun-0",
                             f"/dev/disk/by-path/ip-{own['portal']}:3260-iscsi-{own['iqn']}-lun-0",
                             f"/dev/disk/by-uuid/{own['fat']}"]}],
        "libvirt": {"connected": True, "guest_disks": [{"domain": own["guest"],
                                                        "device": "/dev/sda"}],
                    "pools": [{"name": "lvm", "type": "logical", "source_name": own["group"]}]},
        "targets": [{"path": f"/home/{own['user']}/images", "mounted": True}],
        "readings": [{"path": "/proc/net/arp", "value": f"{own['gateway']} 0x1 0x2 {own['mac']}"},
                     {"path": "/proc/sys/vm/swappiness", "value": "10"},
                     {"path": "/etc/passwd", "value": "root:x:0:0:root:/root:/bin/sh\n"
                      f"{own['user']}:x:1000:1000:{own['person']}:/home:/bin/sh"},
                     {"path": "/etc/group", "value": f"libvirt:x:986:{own['member']},qemu\n"
                      f"{own['remote']}:x:1207:"},
                     {"path": "/etc/NetworkManager/system-connections/"
                      f"{own['ssid']}.nmconnection",
                      "value": f"[connection]\nid={own['ssid']}\nuuid={own['uuid']}\n[wifi]\n"
                      f"ssid={own['ssid']}\nmac-address={own['mac'].upper()}\n[ipv4]\n"
                      f"address1={own['address']}/24,{own['gateway']}\n"
                      f"dhcp-client-id=01:{own['mac']}\ndns-search={own['profile domain']};"},
                     {"path": "/etc/sysctl.d/60-guests.conf",
                      "value": f"# {own['comment']}\nvm.swappiness = 10"},
                     {"path": "/etc/firewalld/zones/public.xml",
                      "value": f"<zone><short>{own['zone']}</short><service name=\"ssh\"/></zone>"},
                     {"path": f"/sys/fs/cgroup/machine.slice/{GUEST_SCOPE}/cgroup.controllers",
                      "value": "cpu io"},
                     {"path": f"/sys/class/net/enx{own['mac digits']}/duplex", "value": "full"},
                     {"path": "/proc/swaps", "value": "/dev/mapper/acme--vms-ledger partition"},
                     {"path": "/proc/cmdline",
                      "value": f"rd.lvm.lv={own['group']}/{own['volume']} "
                      f"rd.iscsi.password={own['secret']} quiet"}],
    }))


def capture(*args):
    subprocess.run([CAPTURE, "--agent", qb.AGENT, *args], check=True)


def texts(top):
    """Path and contents of every file."""
    for folder, _, names in os.walk(top):
        for name in names:
            with open(os.path.join(folder, name), encoding="utf-8") as f:
                yield os.path.join(folder, name)[len(top):], f.read()


def assert_clean(path, text):
    for kind, word in OWN.items():
        assert not re.search(re.escape(word), path + text, re.I), f"{path}: {kind} {word}: {text}"
    assert "payroll" not in path + text, f"{path}: a guest's name, escaped: {text}"
    # Made of the MAC address.
    assert "a236" not in text, f"{path}: the MAC address within an address: {text}"


@qb.case(disks="blank")
def what_is_its_own_stays():
    fake_host()
    capture("--root", ROOT, TO)
    found = dict(texts(TO))
    for path, text in found.items():
        assert_clean(path, text)
    capture("--root", ROOT, "--file", TO + ".host")
    with open(TO + ".host", encoding="utf-8") as f:
        text = f.read()
    assert_clean(".host", text)
    qb.contains(text, ["/proc/cpuinfo =\n\tprocessor\t: 0\n", "facts links\n\t[\n"], "one file")


@qb.case(disks="blank")
def the_same_is_the_same():
    fake_host()
    capture("--root", ROOT, TO)
    found = dict(texts(TO))
    facts = json.loads(found["/qubi-agent/facts.json"])
    eno1, br0 = facts["links"]
    qb.same(eno1["mac"], br0["mac"], "the port's MAC address is the bridge's")
    assert eno1["mac"].startswith("00:00:5e:00:53:"), eno1["mac"]
    own, wide, v6, link = [a["address"] for a in br0["addresses"]]
    qb.same(own, "192.0.2.40/24", "address")
    qb.same(facts["routes"][0]["gateway"], "192.0.2.1", "the gateway is in the same network")
    qb.same(facts["net"]["nameservers"], ["192.0.2.1"], "and the name server")
    assert wide.startswith("198.1") and wide.endswith(".5.6/16"), wide
    assert v6.startswith("2001:db8:") and v6.endswith("/64"), v6
    assert link.startswith("fe80::"), link
    qb.contains(facts["readings"][0]["value"], ["192.0.2.1 ", eno1["mac"]], "neighbours")
    qb.same(facts["system"]["machine_id"], found["/etc/machine-id"].strip(), "machine id")
    qb.same(facts["system"]["hostname"], "host1.example.com", "host name")
    disk = facts["disks"][0]
    qb.same(disk["links"][:3], [f"/dev/disk/by-id/ata-X_{disk['serial']}",
                                f"/dev/disk/by-id/wwn-0x{disk['wwid'][4:]}",
                                f"/dev/disk/by-id/scsi-3{disk['wwid'][4:]}"], "links of the disk")
    qb.same(disk["links"][4], "/dev/disk/by-path/" + disk["by_path"], "path of the disk")
    qb.contains(disk["links"][5], ["-sas-0x", "-lun-0"], "another path")
    qb.contains(disk["links"][6], ["/ip-192.0.2.50:3260-iscsi-iqn."], "a path by a network")
    readings = {r["path"]: r["value"] for r in facts["readings"]}
    group = facts["volume_groups"][0]["name"]
    qb.same(facts["libvirt"]["pools"][0]["source_name"], group, "the pool's volume group")
    names = [m["dm_name"] for m in facts["mappings"]]
    qb.same(names[1], f"{group}-{facts['volume_groups'][0]['damaged'][0]}", "the volume's map")
    qb.same(names[2], group + "-root", "the map of a volume that installers make")
    qb.contains(readings["/proc/swaps"], ["/dev/mapper/" + names[1]], "swap on it")
    profile = "/etc/NetworkManager/system-connections/ssid1.nmconnection"
    qb.contains(readings[profile], ["id=ssid1\n", "\nssid=ssid1\n", "=192.0.2.40/24,192.0.2.1\n",
                                    f"client-id=01:{eno1['mac']}\n"], "a profile")
    qb.same(readings[f"/sys/class/net/enx{eno1['mac'].replace(':', '')}/duplex"], "full",
            "a link that is called by its MAC address")
    qb.same(facts["targets"][0]["path"], "/home/user1/images", "a directory of a user's")
    qb.contains(readings["/etc/group"], ["libvirt:x:986:user", ",qemu\n"], "a group's members")
    qb.contains(readings["/etc/sysctl.d/60-guests.conf"], ["vm.swappiness = 10"], "a setting")
    qb.contains(readings["/etc/firewalld/zones/public.xml"], ["<service name=\"ssh\"/>"], "a zone")
    uuid = re.search(r"UUID=(\S+)", found["/proc/cmdline"])[1]
    qb.contains(found["/proc/self/mountinfo"], "by-uuid/" + uuid, "the root file system's UUID")
    # What is nobody's own is as it was.
    qb.same(facts["readings"][1]["path"], "/proc/sys/vm/swappiness", "path of a reading")
    qb.same(found["/proc/sys/kernel/osrelease"], "5.14.0-427.13.1.el9_4.x86_64\n", "kernel")
    qb.contains(found["/proc/cpuinfo"], "fpu svm npt", "flags")
    qb.contains(found["/etc/modprobe.d/local.conf"], "blacklist pcspkr", "modprobe.d")


def statuses(*args):
    report = qb.agent("check", *args, "--format", "json", code=(qb.OK, qb.FAILED)).json()
    return {c["id"]: c["status"] for c in report["checks"]}


@qb.case(disks="blank")
def a_captured_host_is_judged_as_the_live_one():
    capture(TO)
    live, captured = statuses(), statuses("--root", TO)
    differ = {k: (live[k], captured[k]) for k in live if live[k] != captured[k]}
    # There is no configuration in it; whether the machine met faults meanwhile is its own affair.
    known = {k for k in differ if k.startswith("config.")}
    assert set(differ) <= known, differ


@qb.case(disks="blank")
def it_says_how_it_is_used():
    r = subprocess.run([CAPTURE, "--help"], stdout=subprocess.PIPE, encoding="utf-8", check=True)
    qb.contains(r.stdout, ["usage:", "--root", "--file", "MAC"], "help")
    assert subprocess.run([CAPTURE], stderr=subprocess.DEVNULL, check=False).returncode == 2
    os.mkdir(TO)
    assert subprocess.run([CAPTURE, TO], stderr=subprocess.DEVNULL, check=False).returncode == 2


if __name__ == "__main__":
    qb.main()
