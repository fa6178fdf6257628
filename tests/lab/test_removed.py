# SPDX-License-Identifier: Apache-2.0
"""Installed, applied, rolled back and removed: the machine is what it was, down to its files."""
import difflib

import host
import lab
from lab import expect, expect_status

# What any running system writes, what rpm keeps of packages, and the data of whoever runs it: the
# configuration and the journal.
NOT_OURS = ("/etc/qubi-agent /var/lib/qubi-agent /var/lib/rpm /var/log /var/cache /var/tmp "
            "/var/lib/systemd /var/lib/NetworkManager /var/lib/dhcp /var/lib/dbus /tmp /root "
            "/etc/ld.so.cache /etc/resolv.conf").split()
FILES = r"""
import hashlib, os, stat
skip = %r
for where, dirs, files in os.walk("/"):
    dirs[:] = sorted(d for d in dirs if os.path.join(where, d) not in skip
                     and os.lstat(os.path.join(where, d)).st_dev == os.lstat("/").st_dev)
    for name in sorted(dirs + files):
        path = os.path.join(where, name)
        s = os.lstat(path)
        if path in skip or s.st_dev != os.lstat("/").st_dev:
            continue
        text = f"{path} {stat.filemode(s.st_mode)} {s.st_uid}:{s.st_gid}"
        if stat.S_ISLNK(s.st_mode):
            text += " -> " + os.readlink(path)
        elif stat.S_ISREG(s.st_mode) and path.startswith(("/etc/", "/var/")):
            with open(path, "rb") as f:
                text += " " + hashlib.sha256(f.read()).hexdigest()
        print(text)
""" % (NOT_OURS,)
STATE = {
    "files": ["python3", "-c", FILES],
    "units": ["systemctl", "list-units", "--no-legend", "--plain", "--state=active,failed",
              "--type=service,socket,mount,timer"],
    "mounts": ["findmnt", "-r", "-n", "-o", "TARGET,SOURCE,FSTYPE", "--real"],
}


def state(machine):
    seen = {what: machine.run(*argv).out for what, argv in STATE.items()}
    known = host.state_of(machine)
    return seen | {what: known[what] for what in ("links", "routes", "disks", "networks", "pools",
                                                  "modules")}


# What the kernel and libvirt load and make as they are used, and nobody takes away: for a bridge, a
# firewall and a file system; the directories of libvirt's pools and of dnsmasq's leases.
STAYS = {f"modules: +{name}" for name in
         "bridge llc stp xfs libcrc32c ipt_REJECT nf_conntrack nf_defrag_ipv4 nf_defrag_ipv6 nf_nat "
         "nf_reject_ipv4 nf_tables nfnetlink nft_chain_nat nft_compat xt_CHECKSUM xt_MASQUERADE "
         "xt_conntrack xt_tcpudp".split()}
STAYS |= {f"files: +{path} drwxr-xr-x 0:0" for path in
          ("/etc/libvirt/storage", "/etc/libvirt/storage/autostart", "/var/lib/libvirt/dnsmasq")}
# Of the package "filesystem", where there is such a one.
BASE = "/usr/share/licenses"


def difference(before, after):
    lines = []
    for what, text in before.items():
        lines += [f"{what}: {line}" for line in difflib.unified_diff(
            text.splitlines(), after[what].splitlines(), n=0, lineterm="")
            if line[:3] not in ("---", "+++") and line[:2] != "@@"]
    return lines


def test_removed(test):
    machine = host.bare(test)
    foreign = host.disk_hashes(machine)[host.FOREIGN]
    machine.boot()
    machine.run("mkdir", "-p", BASE)
    before = state(machine)
    lab.install(machine)
    host.configure(machine)
    expect_status(lab.agent(machine, "apply", "--yes"), 0, "applied")
    expect(difference(before, state(machine)), "that made a difference")
    expect_status(lab.agent(machine, "rollback", "--all", "--yes"), 0, "rolled back")
    _, facts = lab.agent_json(machine, "facts")
    carved = [disk["available"] for disk in facts["disks"] if disk["serial"] == host.BLANK]
    expect(carved == [True], "the disk that was carved is free again", facts["disks"])
    expect_status(machine.run("rpm", "-e", "qubi-agent", check=False), 0, "removed")
    machine.run("systemctl", "daemon-reload")
    left = difference(before, state(machine))
    lab.say("figure: what differs:\n" + ("\n".join(left) or "nothing"))
    more = [line for line in left if line not in STAYS]
    expect(not more, "nothing of ours differs", "\n".join(more))
    machine.shutdown()
    expect(host.disk_hashes(machine)[host.FOREIGN] == foreign, "somebody's disk is byte-identical")


lab.main()
