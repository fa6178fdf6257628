# SPDX-License-Identifier: Apache-2.0
"""The bare machine that the whole job is tried on, and what must be true when it is a host."""
import json
import re
import time

import lab
import vm
from lab import expect, expect_status

BLANK, FOREIGN = "QB0001", "QB0100"
NETWORKS, POOLS = ("host-bridge", "inside"), ("images", "iso")
TARGET = "/var/lib/libvirt/images"

CONFIG = f"""\
version: 1
kvm:
  nested: false
  modules: [vhost_net]
bridges:
  - name: br0
    ports:
      - match: default-route
    ipv4: inherit
    ipv6: inherit
    libvirt-network: host-bridge
networks:
  - name: inside
    forward: nat
    subnet: 198.51.100.0/24
pools:
  - name: images
    type: fs
    disks: [{{serial: {BLANK}}}]
    target: {TARGET}
  - name: iso
    type: dir
    target: /srv/iso
"""


def bare(test, name="vm", *, svm=True, nic=None, address=vm.static_address(),
         block=vm.NO_KVM_AUTOLOAD):
    """A machine that is off: one blank disk, one with somebody's data, one NIC with addresses."""
    disks = test.work / (name + "-disks")
    disks.mkdir()
    return test.machine(
        name, svm=svm, nics=[nic or vm.Nic()], files=address | block,
        disks=[vm.Disk("virtio", vm.blank(disks / "blank.img", 2 << 30), BLANK),
               vm.Disk("virtio", vm.ext4(disks / "foreign.img", 512 << 20), FOREIGN)])


def disk_hashes(machine):
    """What is on the disks, by serial, seen from outside the machine, which is off."""
    assert machine.process is None
    return {disk.serial: vm.content_hash(disk.path) for disk in machine.disks}


def configure(machine, text=CONFIG):
    machine.put(lab.CONFIG, text.encode(), mode=0o600)


def modules(machine):
    return {line.split()[0] for line in machine.get("/proc/modules").decode().splitlines()}


def link_named(machine, name):
    return next((link for link in json.loads(machine.run("ip", "-j", "-d", "addr").out)
                 if link.get("ifname") == name), None)


def addresses(link):
    """Global ones, with their prefix; a link-local one is each link's own."""
    return {f"{a['local']}/{a['prefixlen']}" for a in link["addr_info"] if a["scope"] == "global"}


def default_routes(machine):
    """(gateway, device) of every default route, both families."""
    routes = []
    for family in ("-4", "-6"):
        text = machine.run("ip", family, "-j", "route", "show", "default").out
        routes += [(r.get("gateway"), r.get("dev")) for r in json.loads(text or "[]")]
    return sorted(routes)


def wait_for(what, ready, seconds=120):
    end = time.monotonic() + seconds
    while not ready():
        expect(time.monotonic() < end, f"{what} within {seconds} s")
        time.sleep(0.5)


class Uplink:
    """The NIC with the default route as it was before anything was done."""

    def __init__(self, machine):
        routes = default_routes(machine)
        expect(routes, "the machine has a default route")
        self.nic = routes[0][1]
        link = link_named(machine, self.nic)
        self.mac, self.addresses = link["address"], addresses(link)
        self.gateways = sorted(gateway for gateway, _ in routes)
        expect(self.addresses, f"{self.nic} has an address")
        lab.say(f"{self.nic}: {' '.join(sorted(self.addresses))} by {' '.join(self.gateways)}")

    def expect_moved(self, machine, also=()):
        """also: default routes, as (gateway, device), that were not there before."""
        bridge, nic = link_named(machine, "br0"), link_named(machine, self.nic)
        expect(bridge, "br0 is there")
        expect(bridge["linkinfo"]["info_kind"] == "bridge", "br0 is a bridge", bridge)
        expect(bridge["linkinfo"]["info_data"]["stp_state"] == 0, "STP is off on br0", bridge)
        expect(bridge["address"] == self.mac, "br0 has the NIC's MAC", bridge["address"])
        expect(nic.get("master") == "br0", f"{self.nic} is a port of br0", nic)
        expect(not addresses(nic), f"{self.nic} has no address left", addresses(nic))
        expect(addresses(bridge) == self.addresses, "br0 has the NIC's addresses",
               f"{addresses(bridge)} and not {self.addresses}")
        expect(default_routes(machine) == sorted([*((g, "br0") for g in self.gateways), *also]),
               "the default routes leave by br0", default_routes(machine))
        self.expect_reachable(machine)

    def expect_reachable(self, machine):
        """Nobody is locked out, whichever link the addresses are on."""
        for gateway in self.gateways:
            if not gateway.startswith("fe80:"):
                reached = machine.run("ping", "-n", "-c", "3", "-i", "0.2", "-w", "15", gateway,
                                      check=False)
                expect_status(reached, 0, f"{gateway} answers")


def info(machine, kind, name):
    """virsh net-info or pool-info as a dict."""
    text = machine.run("virsh", f"{kind}-info", name).out
    return dict(re.split(r":\s*", line, maxsplit=1) for line in text.splitlines() if ":" in line)


def validate(machine, kind, schema, name):
    for variant in ([], ["--inactive"]):
        text = machine.run("virsh", f"{kind}-dumpxml", name, *variant).out
        machine.put("/root/described.xml", text.encode())
        judged = machine.run("virt-xml-validate", "/root/described.xml", schema, check=False)
        expect_status(judged, 0, f"virt-xml-validate of {name}")


def expect_libvirt(machine):
    for name in NETWORKS:
        seen = info(machine, "net", name)
        expect((seen["Active"], seen["Persistent"], seen["Autostart"]) == ("yes",) * 3,
               f"network {name} is active, persistent and autostarted", seen)
        validate(machine, "net", "network", name)
    expect("<forward mode='bridge'/>" in machine.run("virsh", "net-dumpxml", "host-bridge").out,
           "host-bridge forwards by bridge")
    for name in POOLS:
        seen = info(machine, "pool", name)
        expect((seen["State"], seen["Persistent"], seen["Autostart"]) == ("running", "yes", "yes"),
               f"pool {name} is running, persistent and autostarted", seen)
        validate(machine, "pool", "storagepool", name)
    lab.say(machine.run("virsh", "net-list", "--all").out.rstrip())
    lab.say(machine.run("virsh", "pool-list", "--all", "--details").out.rstrip())


def expect_pool_mounted(machine):
    mount = machine.run("findmnt", "-n", "-o", "FSTYPE,SOURCE", "--mountpoint", TARGET,
                        check=False)
    expect_status(mount, 0, f"{TARGET} is mounted")
    kind, source = mount.out.split()
    expect(kind == "xfs", f"{TARGET} is XFS", kind)
    disk = machine.run("lsblk", "-n", "-o", "SERIAL", "/dev/" + machine.run(
        "lsblk", "-n", "-o", "PKNAME", source).out.strip(), "--nodeps").out.strip()
    expect(disk == BLANK, "the pool lies on the disk that was named", disk)


def expect_kvm(machine):
    loaded = modules(machine)
    expect({"kvm", "kvm_amd", "vhost_net"} <= loaded, "the modules are loaded", loaded)
    nested = machine.get("/sys/module/kvm_amd/parameters/nested").decode().strip()
    expect(nested in ("0", "N"), "nested is off", nested)
    status, report = lab.agent_json(machine, "check", "kvm.guest-run")
    (proof,) = report["checks"]
    expect((status, proof["id"], proof["status"]) == (0, "kvm.guest-run", "pass"),
           "a guest ran", json.dumps(proof))
    lab.say("proof: " + "; ".join(f"{e['key']}={e['value']}" for e in proof["evidence"]))


def expect_in_sync(machine):
    status, plan = lab.agent_json(machine, "plan")
    expect((status, plan["steps"], plan["refused"]) == (0, [], []), "the plan is empty",
           f"exit {status}: {json.dumps(plan)}")
    status, report = lab.agent_json(machine, "check")
    bad = [f"{c['id']} {c['status']}" for c in report["checks"]
           if c["status"] in ("warn", "fail", "unknown")]
    lab.say(f"check: {report['verdict']}; {', '.join(bad) or 'nothing to remark'}")
    expect(status == 0 and report["verdict"] in ("ready", "degraded"), "the host is ready",
           f"exit {status}, {report['verdict']}: {bad}")


def expect_host(machine, uplink):
    """Everything the configuration asks for."""
    expect_kvm(machine)
    uplink.expect_moved(machine)
    expect_libvirt(machine)
    expect_pool_mounted(machine)
    expect_in_sync(machine)


def state_of(machine):
    """What must not differ when nothing was to be changed, as one text a thing."""
    shell = {
        "files": "find /etc /var/lib/libvirt /var/lib/NetworkManager/*.conf /srv -xdev -type f "
                 "-print0 2>/dev/null | sort -z | xargs -0 sha256sum",
        "links": "ip -o link | sed 's/ qlen .*//'; ip -o addr | sed 's/ valid_lft.*//'",
        "routes": "ip route show table all | sed 's/ expires [0-9]*sec//'; "
                  "ip -6 route show table all | sed 's/ expires [0-9]*sec//'",
        "disks": "lsblk -n -o NAME,SERIAL,SIZE,FSTYPE,LABEL,PTTYPE,MOUNTPOINT",
        "networks": "virsh net-list --all", "pools": "virsh pool-list --all",
        "modules": "cut -d' ' -f1 /proc/modules | sort",
    }
    return {what: machine.run("sh", "-c", command).out for what, command in shell.items()}


def journal_records(machine):
    """Every record of every run, oldest first."""
    text = machine.run("sh", "-c", "cat /var/lib/qubi-agent/journal/*.jsonl 2>/dev/null",
                       check=False).out
    return [json.loads(line) for line in text.splitlines()]
