#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""libvirt's answers to a health report, in its own protocol: the library would be told the same."""

import contextlib
import os
import socket
import threading

import qb

RUN = "/run/libvirt/"
DOMAIN = """\
<domain type='qemu'>
  <name>guest</name>
  <memory unit='MiB'>64</memory>
  <os><type arch='x86_64'>hvm</type></os>
  <devices>
    <disk type='block' device='disk'>
      <source dev='{disk}'/>
      <target dev='vda' bus='virtio'/>
    </disk>
  </devices>
</domain>
"""
POOL = "<pool type='dir'><name>a b&amp;c</name><target><path>/srv/transient</path></target></pool>"
NETWORK = "<network><name>isolated</name><ip address='203.0.113.1' prefix='24'/></network>"
SERVED = """\
<network>
  <name>served</name>
  <uuid>00005e00-5300-4000-8000-000000000007</uuid>
  <forward mode='{mode}'/>
  <bridge name='virbr7'/>
  <domain name='guests.example' localOnly='yes'/>
  <dns>
    <forwarder domain='x.example' addr='192.0.2.53'/>
    <host ip='198.51.100.20'><hostname>files</hostname><hostname>nas</hostname></host>
  </dns>
  <ip address='198.51.100.1' prefix='24'><dhcp>
    <range start='198.51.100.100' end='198.51.100.199'/>
    <host mac='00:00:5e:00:53:11' name='web' ip='198.51.100.11'/>
  </dhcp></ip>
</network>
"""
RUNNING = """\
<domain type='qemu'>
  <name>running</name>
  <memory unit='MiB'>32</memory>
  <os><type arch='x86_64'>hvm</type></os>
  <devices>
    <interface type='network'><source network='served'/></interface>
    <interface type='network'><source network='host-bridge'/></interface>
    <interface type='bridge'><source bridge='virbr7'/></interface>
  </devices>
</domain>
"""


def libvirt(*options):
    found = qb.agent("facts", "--format", "json", *options).json()["libvirt"]
    del found["uri"]
    return found


def loads_the_library(*args):
    qb.traced("-f", "-qq", "-e", "trace=openat", "-o", "/tmp/opened", qb.AGENT, *args)
    with open("/tmp/opened", encoding="utf-8", errors="replace") as f:
        return "libvirt.so" in f.read()


def the_library_is_left_alone():
    """A build with sanitizers has it from the start, whatever is asked."""
    return not loads_the_library("facts") or loads_the_library("--version")


def define(command, xml):
    path = f"/tmp/{command}.xml"
    with open(path, "w", encoding="utf-8") as f:
        f.write(xml)
    qb.virsh(command, path)


@qb.case(disks="blank,ext4")
def the_library_would_be_told_the_same():
    qb.configure()
    qb.agent("apply", "--yes")
    os.mkdir("/srv/transient")
    define("pool-create", POOL)
    define("net-define", NETWORK)
    define("define", DOMAIN.format(disk=os.environ["QB_EXT4"]))
    define("net-define", SERVED.format(mode="nat"))
    qb.virsh("net-start", "served")
    define("net-define", SERVED.format(mode="route"))
    qb.run("/usr/sbin/virtlogd", "-d")
    define("create", RUNNING)
    found = libvirt()
    qb.same(found, libvirt("--connect", "qemu+unix:///system"), "libvirt")
    qb.same({n["name"] for n in found["networks"]},
            {"default", "host-bridge", "isolated", "served"}, "networks")
    served = next(n for n in found["networks"] if n["name"] == "served")
    qb.same((served["forward"], served["next"]["forward"]), ("nat", "route"), "now and next")
    for at in (served, served["next"]):
        qb.same((at["domain"], at["domain_local_only"]), ("guests.example", True), "domain")
        qb.same(at["dhcp_ranges"], [{"start": "198.51.100.100", "end": "198.51.100.199"}],
                "ranges")
        qb.same(at["dhcp_hosts"], [{"mac": "00:00:5e:00:53:11", "ip": "198.51.100.11",
                                    "name": "web"}], "hosts")
        qb.same(at["dns_forwarders"], [{"domain": "x.example", "addr": "192.0.2.53"}],
                "forwarders")
        qb.same(at["dns_hosts"], [{"ip": "198.51.100.20", "names": ["files", "nas"]}], "records")
    qb.same([(n["domain"], n["network"], n["bridge"], n["link"])
             for n in found["guest_interfaces"]],
            [("running", "served", "virbr7", "vnet0"), ("running", "host-bridge", "br0", "vnet1"),
             ("running", None, "virbr7", "vnet2")], "interfaces of guests")
    qb.same({p["name"]: (p["active"], p["persistent"], p["autostart"]) for p in found["pools"]},
            {"images": (True,) * 3, "iso": (True,) * 3, "a b&c": (True, False, False)}, "pools")
    qb.same(found["guest_disks"], [{"domain": "guest", "device": os.environ["QB_EXT4"]}],
            "disks of guests")
    assert the_library_is_left_alone(), "the library was loaded"
    assert loads_the_library("facts", "--connect", "qemu+unix:///system"), "the library was not loaded"


def message(source):
    """The next one with its length, or nothing at the end."""
    head = source.recv(4, socket.MSG_WAITALL)
    return head and head + source.recv(int.from_bytes(head, "big") - 4, socket.MSG_WAITALL)


def refused(answer):
    return (28).to_bytes(4, "big") + answer[4:24] + (1).to_bytes(4, "big")


def without_xml(answer):
    return answer.replace(b"<", b"?")


def of_another_program(answer):
    return answer[:4] + bytes(4) + answer[8:]


class Between:
    """Stands where the library, too, looks for the daemon first. Of the first caller's answers the
    n-th is spoilt, or all are (0); whoever comes next speaks with libvirtd itself."""

    PATH = RUN + "virtqemud-sock-ro"

    def __init__(self, spoil, n):
        self.spoil, self.n, self.callers, self.answers = spoil, n, 0, 0

    def __enter__(self):
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(self.PATH)
        self.listener.listen()
        threading.Thread(target=self.serve, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.listener.close()
        os.unlink(self.PATH)

    def serve(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            self.callers += 1
            threading.Thread(target=self.speak if self.callers == 1 else pass_on, args=(client,),
                             daemon=True).start()

    def speak(self, client):
        with client, socket.socket(socket.AF_UNIX) as daemon:
            daemon.connect(RUN + "libvirt-sock-ro")
            while call := message(client):
                daemon.sendall(call)
                answer = message(daemon)
                self.answers += 1
                client.sendall(self.spoil(answer) if self.n in (0, self.answers) else answer)


def pass_on(client):
    """What the client and libvirtd say to each other."""
    with client, socket.socket(socket.AF_UNIX) as daemon:
        daemon.connect(RUN + "libvirt-sock-ro")

        def copy(source, to):
            while data := source.recv(1 << 16):
                to.sendall(data)
            with contextlib.suppress(OSError):  # it may have gone
                to.shutdown(socket.SHUT_WR)

        there = threading.Thread(target=copy, args=(client, daemon), daemon=True)
        there.start()
        copy(daemon, client)
        there.join()


@qb.case(disks="blank", seconds=300)
def where_an_answer_is_none_the_library_is_asked():
    """Each answer in turn is an error, as when an object goes away between two questions. The
    first is that to opening, the last but one the version of QEMU, which there need not be."""
    os.mkdir("/srv/transient")
    define("pool-create", POOL)
    define("net-define", NETWORK)
    define("define", DOMAIN.format(disk=os.environ["QB_BLANK"]))
    wanted = libvirt()
    with Between(refused, -1) as all_well:
        qb.same(libvirt(), wanted, "as it is")
    qb.same(all_well.callers, 1, "connections where all is well")
    for n in range(1, all_well.answers - 1):
        with Between(refused, n) as between:
            qb.same(libvirt(), wanted, f"answer {n} is an error")
        qb.same(between.callers, 2, f"connections when answer {n} is an error")
    with Between(refused, all_well.answers - 1) as between:
        qb.same(libvirt(), {**wanted, "hypervisor_version": None}, "there is no QEMU")
    qb.same(between.callers, 1, "connections where there is no QEMU")
    for spoil in (without_xml, of_another_program):
        with Between(spoil, 0) as between:
            qb.same(libvirt(), wanted, spoil.__name__)
        qb.same(between.callers, 2, f"connections, {spoil.__name__}")


@qb.case(disks="blank")
def where_nobody_listens_that_is_the_answer():
    os.rename(RUN + "libvirt-sock-ro", RUN + "away")
    gone = libvirt()
    qb.same(gone["connected"], False, "connected")
    qb.contains(gone["error"], RUN + "libvirt-sock-ro", "error")
    assert the_library_is_left_alone(), "the library was loaded"
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(RUN + "virtqemud-sock-ro")
        refuses = libvirt()
    qb.same(refuses["connected"], False, "connected where nobody accepts")
    qb.contains(refuses["error"], "refused", "error")


def errors_logged():
    with open("/var/log/libvirt/libvirtd.log", encoding="utf-8") as f:
        return [line for line in f if "virNetSocketReadWire" in line]


@qb.case(disks="blank")
def libvirt_is_taken_leave_of():
    """It logs an error for each client that just goes."""
    before = errors_logged()
    for options in ((), ("--connect", "qemu+unix:///system")):
        libvirt(*options)
        qb.same(errors_logged(), before, f"errors logged, {options}")


if __name__ == "__main__":
    qb.main()
