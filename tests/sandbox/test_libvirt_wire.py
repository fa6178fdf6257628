#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""libvirt's answers to a health report, in its own protocol: the library would be told the same."""

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


def libvirt(*options):
    found = qb.agent("facts", "--format", "json", *options).json()["libvirt"]
    del found["uri"]
    return found


def loads_the_library(*options):
    qb.traced("-f", "-qq", "-e", "trace=openat", "-o", "/tmp/opened", qb.AGENT, "facts", *options)
    with open("/tmp/opened", encoding="utf-8", errors="replace") as f:
        return "libvirt.so" in f.read()


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
    found = libvirt()
    qb.same(found, libvirt("--connect", "qemu+unix:///system"), "libvirt")
    qb.same({n["name"] for n in found["networks"]}, {"default", "host-bridge", "isolated"},
            "networks")
    qb.same({p["name"]: (p["active"], p["persistent"], p["autostart"]) for p in found["pools"]},
            {"images": (True,) * 3, "iso": (True,) * 3, "a b&c": (True, False, False)}, "pools")
    qb.same(found["guest_disks"], [{"domain": "guest", "device": os.environ["QB_EXT4"]}],
            "disks of guests")
    assert not loads_the_library(), "the library was loaded"
    assert loads_the_library("--connect", "qemu+unix:///system"), "the library was not loaded"


def pass_on(client):
    """What the client and libvirtd say to each other."""
    with client, socket.socket(socket.AF_UNIX) as daemon:
        daemon.connect(RUN + "libvirt-sock-ro")

        def copy(source, to):
            while data := source.recv(1 << 16):
                to.sendall(data)
            to.shutdown(socket.SHUT_WR)

        there = threading.Thread(target=copy, args=(client, daemon), daemon=True)
        there.start()
        copy(daemon, client)


def speak_otherwise(listener):
    """Answers the first caller with a header of another program; from then on it is libvirtd."""
    first, _ = listener.accept()
    with first:
        first.recv(1 << 16)
        first.sendall(b"\0\0\0\x1c" + bytes(24))
    while True:
        client, _ = listener.accept()
        threading.Thread(target=pass_on, args=(client,), daemon=True).start()


@qb.case(disks="blank")
def where_the_protocol_is_another_the_library_is_asked():
    wanted = libvirt()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(RUN + "virtqemud-sock-ro")  # where it is, the library prefers it, too
        listener.listen()
        threading.Thread(target=speak_otherwise, args=(listener,), daemon=True).start()
        found = libvirt()
    os.unlink(RUN + "virtqemud-sock-ro")
    qb.same(found["connected"], True, "connected")
    qb.same(found["version"], wanted["version"], "version")
    qb.same(found["kvm_domains"], wanted["kvm_domains"], "domains of type kvm")


@qb.case(disks="blank")
def where_nobody_listens_that_is_the_answer():
    os.rename(RUN + "libvirt-sock-ro", RUN + "away")
    gone = libvirt()
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(RUN + "virtqemud-sock-ro")
        refused = libvirt()
    qb.same((gone["connected"], refused["connected"]), (False, False), "connected")
    qb.contains(gone["error"], [RUN + "libvirt-sock-ro", "No such file"], "error")
    qb.contains(refused["error"], [RUN + "virtqemud-sock-ro", "refused"], "error")
    assert not loads_the_library(), "the library was loaded"


if __name__ == "__main__":
    qb.main()
