#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Networks of libvirt, with the real libvirtd and its dnsmasq: what they serve, what is changed
under a running guest and what is not, what is adopted, and that all of it goes back."""

import os
import re
import socket
import struct

import qb

CONFIG = """\
version: 1
networks:
  - name: guests
    subnet: {subnet}
    bridge: virbr7
    domain: guests.example
    dhcp:
      ranges: {{start: {net}.100, end: {net}.199}}
      hosts:
        - {{mac: "00:00:5e:00:53:11", ip: {net}.11, name: web}}
        - {{mac: "00:00:5e:00:53:12", ip: {net}.{second}, name: db}}
    dns:
      hosts: [{{ip: {net}.20, names: [files, nas]}}]
"""
GUEST = """\
<domain type='qemu'>
  <name>payroll</name>
  <memory unit='MiB'>32</memory>
  <os><type arch='x86_64'>hvm</type></os>
  <devices>
    <interface type='network'>
      <mac address='00:00:5e:00:53:99'/>
      <source network='guests'/>
    </interface>
  </devices>
</domain>
"""


def config(net="198.51.100", second=12, **changes):
    text = CONFIG.format(subnet=f"{net}.0/24", net=net, second=second)
    for old, new in changes.items():
        assert old in text, old
        text = text.replace(old, new)
    qb.configure(text)


def virsh_file(command, xml):
    with open("/tmp/object.xml", "w", encoding="utf-8") as f:
        f.write(xml)
    return qb.virsh(command, "/tmp/object.xml")


def start_guest():
    """A guest that runs, whatever it does: QEMU's firmware, without a disk."""
    qb.run("/usr/sbin/virtlogd", "-d")
    virsh_file("create", GUEST)
    assert os.path.exists("/sys/class/net/virbr7/brif/vnet0"), "the guest is not on the bridge"


def xml():
    """As it runs, and as it is started next."""
    return (re.sub(r" connections='\d+'", "", qb.virsh("net-dumpxml", "guests")),
            qb.virsh("net-dumpxml", "--inactive", "guests"))


def ifindex():
    with open("/sys/class/net/virbr7/ifindex", encoding="utf-8") as f:
        return f.read()


def dnsmasq():
    with open("/run/libvirt/network/guests.pid", encoding="utf-8") as f:
        return f.read()


def words(text):
    """Without the ends of lines, which come where they may."""
    return " ".join(text.split())


def plan(code):
    return words(qb.agent("plan", code=code).out)


# ------------------------------------------------------------------ a guest's questions

def plug():
    """A cable into the network, whose other end is ours."""
    qb.run("/usr/sbin/ip", "link", "add", "cable", "type", "veth", "peer", "name", "socket0")
    qb.run("/usr/sbin/ip", "link", "set", "cable", "master", "virbr7", "up")
    qb.run("/usr/sbin/ip", "link", "set", "socket0", "up")


def unplug():
    qb.run("/usr/sbin/ip", "link", "delete", "cable")


def discover(mac):
    """DHCPDISCOVER of RFC 2131, as a frame."""
    bootp = struct.pack("!BBBBIHH16x6s10x192xI", 1, 1, 6, 0, 7, 0, 0x8000, mac, 0x63825363)
    bootp += bytes([53, 1, 1, 55, 4, 1, 3, 12, 15, 255])
    udp = struct.pack("!HHHH", 68, 67, 8 + len(bootp), 0) + bootp
    ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), 0, 0, 64, 17, 0, bytes(4),
                     b"\xff" * 4)
    ip = ip[:10] + struct.pack("!H", qb.checksum(ip)) + ip[12:]
    return b"\xff" * 6 + mac + b"\x08\x00" + ip + udp


def offered(mac):
    """The address that DHCP offers to this MAC, and the host name; as a client, asks until told."""
    mac = bytes.fromhex(mac.replace(":", ""))
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x800)) as s:
        s.bind(("socket0", 0))
        s.settimeout(1)
        for _ in range(20):
            s.send(discover(mac))
            try:
                while True:
                    bootp = s.recv(2048)[42:]
                    if len(bootp) > 240 and bootp[0] == 2 and bootp[28:34] == mac:
                        break
            except TimeoutError:
                continue
            options, at = {}, 240
            while bootp[at] != 255:
                options[bootp[at]] = bootp[at + 2:at + 2 + bootp[at + 1]]
                at += 2 + bootp[at + 1]
            return socket.inet_ntoa(bootp[16:20]), options.get(12, b"").decode()
    raise AssertionError("DHCP offers nothing")


def resolved(name, server="198.51.100.1"):
    """The address that DNS gives to a name, or None."""
    query = struct.pack("!HHHHHH", 7, 0x100, 1, 0, 0, 0)
    query += b"".join(bytes([len(part)]) + part.encode() for part in name.split("."))
    query += b"\0" + struct.pack("!HH", 1, 1)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.settimeout(10)
        s.sendto(query, (server, 53))
        answer = s.recv(512)
    found = struct.unpack_from("!H", answer, 6)[0]
    return socket.inet_ntoa(answer[-4:]) if found else None


# ------------------------------------------------------------------ cases

@qb.case(disks="blank")
def what_is_wanted_is_served():
    config()
    qb.agent("apply", "--yes")
    for text in xml():
        qb.contains(text, ["<domain name='guests.example'/>", "name='virbr7'",
                           "<range start='198.51.100.100' end='198.51.100.199'/>",
                           "<host mac='00:00:5e:00:53:11' name='web' ip='198.51.100.11'/>",
                           "<hostname>nas</hostname>"], "XML")
    plug()
    qb.same(offered("00:00:5e:00:53:11"), ("198.51.100.11", "web"), "offered to web")
    qb.same(offered("00:00:5e:00:53:12"), ("198.51.100.12", "db"), "offered to db")
    qb.same(resolved("nas"), "198.51.100.20", "nas")
    before = xml()
    plan(qb.OK)
    qb.contains(qb.agent("apply", "--yes").out, "Nothing to do", "a second apply")
    qb.same(xml(), before, "XML after a second apply")


@qb.case(disks="blank")
def a_host_is_changed_under_a_running_guest():
    config()
    qb.agent("apply", "--yes")
    start_guest()
    plug()
    before, bridge, server = xml(), ifindex(), dnsmasq()
    config(second=77)
    qb.contains(plan(qb.PENDING), ["dhcp.hosts is 00:00:5e:00:53:12 198.51.100.12 db",
                                   "wanted is 00:00:5e:00:53:12 198.51.100.77 db",
                                   "change it while it runs"], "plan")
    qb.agent("apply", "--yes")
    plan(qb.OK)
    for text in xml():
        qb.contains(text, "name='db' ip='198.51.100.77'", "XML")
    qb.same(offered("00:00:5e:00:53:12"), ("198.51.100.77", "db"), "offered to db")
    qb.same((ifindex(), dnsmasq()), (bridge, server), "the bridge and its dnsmasq")
    # Ranges, hosts and records, all at once and back, and the guest has not lost its bridge.
    config(second=78, **{".199}": ".150}", "files, nas": "files"})
    qb.agent("apply", "--yes")
    qb.same((offered("00:00:5e:00:53:12"), resolved("files")),
            (("198.51.100.78", "db"), "198.51.100.20"), "served")
    for _ in range(2):
        qb.agent("rollback", "--yes")
    qb.same(xml(), before, "XML after rollback")
    qb.same(offered("00:00:5e:00:53:12"), ("198.51.100.12", "db"), "offered after rollback")
    qb.same(resolved("nas"), "198.51.100.20", "nas after rollback")
    qb.same(ifindex(), bridge, "the bridge")
    assert os.path.exists("/sys/class/net/virbr7/brif/vnet0"), "the guest lost its bridge"


@qb.case(disks="blank")
def no_network_is_restarted_under_a_guest():
    config()
    qb.agent("apply", "--yes")
    start_guest()
    before, bridge = xml(), ifindex()
    config("203.0.113")
    for command in (("plan",), ("apply", "--yes")):
        r = qb.agent(*command, code=qb.REFUSED)
        qb.contains(words(r.out), ["network-in-use: address is 198.51.100.1/24, wanted is "
                                   "203.0.113.1/24", "would cut off payroll until started anew"],
                    "what is said")
    qb.same((xml(), ifindex()), (before, bridge), "the network")
    qb.virsh("destroy", "payroll")
    # A link that no guest of libvirt's is behind counts as well.
    plug()
    qb.contains(plan(qb.REFUSED), "cut off whoever is behind cable until", "what is said")
    unplug()
    qb.contains(plan(qb.PENDING), "restart it, which no guest uses", "plan")
    qb.agent("apply", "--yes")
    plan(qb.OK)
    plug()
    qb.same(offered("00:00:5e:00:53:12"), ("203.0.113.12", "db"), "offered")
    unplug()
    qb.agent("rollback", "--yes")
    qb.same(xml(), before, "XML after rollback")
    qb.same(qb.links()["virbr7"]["addresses"], ["198.51.100.1/24 global"], "the bridge")


@qb.case(disks="blank")
def a_guest_that_came_in_between_is_not_cut_off():
    """Between the plan and the step, and between the step and its undo."""
    config()
    qb.agent("apply", "--yes")
    config("203.0.113")
    qb.agent("apply", "--yes")
    start_guest()
    before, bridge = xml(), ifindex()
    r = qb.agent("rollback", "--yes", code=qb.UNDO_FAILED)
    qb.contains(r.out + r.err, ["network guests", "running guests use it (payroll)"], "said")
    qb.same((xml(), ifindex()), (before, bridge), "the network")


@qb.case(disks="blank")
def what_it_is_started_with_next_goes_back_too():
    """An administrator's change that waits for the next start comes with it, and is not lost."""
    config()
    qb.agent("apply", "--yes")
    edited = xml()[1].replace("</dns>", "<txt name='note' value='later'/></dns>").replace(
        "<forward mode='nat'/>", "<forward mode='route'/>")
    virsh_file("net-define", edited)
    before = xml()
    assert "route" in before[1] and "route" not in before[0], "nothing waits"
    config("203.0.113", **{"guests.example": "other.example"})
    qb.agent("apply", "--yes")
    for text in xml():
        qb.contains(text, ["<txt name='note' value='later'/>", "mode='nat'", "other.example",
                           "203.0.113.1"], "XML")
    qb.agent("rollback", "--yes")
    qb.same(xml(), before, "XML after rollback")


# As virsh's manual, virt-manager, and the playbooks of others make them.
BY_HAND = {
    "qubinet": "<forward mode='bridge'/><bridge name='br0'/>",
    "qubinat": "<forward mode='nat'><nat><port start='1024' end='65535'/></nat></forward>"
               "<bridge name='virbr3' stp='on' delay='0'/><mac address='52:54:00:00:53:03'/>"
               "<ip address='198.51.100.1' netmask='255.255.255.0'><dhcp>"
               "<range start='198.51.100.128' end='198.51.100.254'/>"
               "<host mac='00:00:5E:00:53:0A' ip='198.51.100.7'/></dhcp></ip>",
    "alone": "<bridge name='virbr4' stp='off' delay='2'/><mtu size='9000'/>"
             "<ip address='203.0.113.1' prefix='25'/>",
}
ADOPTING = """version: 1
bridges:
  - name: br0
    ports: {match: default-route}
    libvirt-network: qubinet
networks:
  - {name: qubinat, subnet: 198.51.100.0/24}
  - {name: alone, forward: isolated, subnet: 203.0.113.0/25, dhcp: false}
"""


@qb.case(disks="blank")
def networks_made_by_hand_are_adopted():
    qb.configure(qb.BRIDGE_ONLY)
    qb.agent("apply", "--yes")
    for name, inside in BY_HAND.items():
        virsh_file("net-define", f"<network><name>{name}</name>{inside}</network>")
        qb.virsh("net-start", name)
        qb.virsh("net-autostart", name)
    before = qb.libvirt()
    qb.configure(ADOPTING)
    qb.contains(plan(qb.OK), "Nothing to do", "plan")
    qb.agent("apply", "--yes")
    qb.same(qb.libvirt(), before, "networks")
    # One key more is one change, and all else stays as somebody wrote it.
    qb.configure(ADOPTING.replace("198.51.100.0/24}", "198.51.100.0/24, domain: x.example}"))
    qb.agent("apply", "--yes")
    after = qb.libvirt()
    qb.contains(after["net qubinat"]["xml"], ["<domain name='x.example'/>", "end='65535'",
                                              "netmask='255.255.255.0'", "00:00:5E:00:53:0A"],
                "qubinat")
    del before["net qubinat"], after["net qubinat"]
    qb.same(after, before, "the others")


if __name__ == "__main__":
    qb.main()
