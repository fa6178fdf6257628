# SPDX-License-Identifier: Apache-2.0
"""A systemd-networkd of the sandbox's own, real; the DHCP server is that of nm.py."""

import glob
import os

import nm
import qb

PROGRAM = "/lib/systemd/systemd-networkd"
UNITS = "/etc/systemd/network"
UPLINK = """\
[Match]
Name=uplink0
[Network]
{network}
LinkLocalAddressing=ipv6
DNS=192.0.2.53
{more}
"""
OWN = ("10-uplink.network", "configured")
STATIC = """\
Address=192.0.2.10/24
Gateway=192.0.2.1
Address=2001:db8::10/64
Gateway=2001:db8::1
IPv6AcceptRA=no"""
DYNAMIC = """\
DHCP=ipv4
IPv6AcceptRA=yes"""


def unit(name, text):
    path = f"{UNITS}/{name}"
    os.makedirs(UNITS, exist_ok=True)
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)
    return path


def start(network, more=""):
    """systemd-networkd, with one unit for the NIC, which it has configured."""
    if not os.path.exists(PROGRAM):
        raise qb.Skip("no systemd-networkd here: it is in Debian's package systemd")
    os.makedirs("/run/dbus", exist_ok=True)
    os.makedirs("/run/systemd/network", exist_ok=True)
    unit("10-uplink.network", UPLINK.format(network=network, more=more))
    qb.run("/usr/sbin/ip", "address", "flush", "dev", "uplink0")
    qb.run("/usr/sbin/ip", "link", "set", "uplink0", "down")
    qb.run("/usr/bin/udevadm", "trigger", "-s", "net", "-c", "add")
    qb.run("/usr/bin/udevadm", "settle")
    nm.background("/usr/bin/dbus-daemon", "--system", "--nofork", "--nopidfile")
    nm.wait_for("the system bus", lambda: os.path.exists("/run/dbus/system_bus_socket"))
    return restart()


def restart():
    """As after a boot, but for the kernel's state."""
    return nm.background(PROGRAM)


def state_file(link):
    with open(f"/sys/class/net/{link}/ifindex", encoding="ascii") as f:
        return f"/run/systemd/netif/links/{f.read().strip()}"


def reload(link):
    """It reads its units, and has configured the link anew, whose unit is another one."""
    before = os.stat(state_file(link)).st_mtime_ns
    qb.run("/usr/bin/networkctl", "reload")
    nm.wait_for("it begins", lambda: os.stat(state_file(link)).st_mtime_ns != before)
    nm.wait_for("it is configured", lambda: row(link, "ADMIN_STATE") == "configured")


def row(link, key):
    """What systemd-networkd says of the link; None: nothing."""
    try:
        with open(state_file(link), encoding="ascii") as f:
            return dict(line.strip().split("=", 1) for line in f if "=" in line).get(key)
    except FileNotFoundError:
        return None


def unit_of(link):
    """(unit, state) as systemd-networkd has the link."""
    return os.path.basename(row(link, "NETWORK_FILE") or ""), row(link, "ADMIN_STATE")


def state():
    return qb.links(), qb.routes()


def given_back():
    nm.wait_for("the NIC's own unit", lambda: unit_of("uplink0") == OWN)
    assert "br0" not in qb.links(), qb.links()
    qb.same(glob.glob("/run/systemd/network/*") + glob.glob("/etc/systemd/network/0-*"), [],
            "units of the agent's")
    nm.ready()


def host(network, more=""):
    if network == DYNAMIC:
        nm.dhcp_server()
    process = start(network, more)
    nm.ready(2 + more.count("[Address]"))
    nm.wait_for("the NIC's unit", lambda: unit_of("uplink0") == ("10-uplink.network", "configured"))
    qb.configure(qb.BRIDGE_ONLY)
    qb.agent("plan", code=qb.PENDING)  # libvirt has looked at QEMU by then
    return process


def owned():
    """By systemd-networkd, with our units."""
    nm.wait_for("the bridge's unit", lambda: unit_of("br0") == ("0-qubi-br0.network", "configured"))
    qb.same(unit_of("uplink0"), ("0-qubi-br0-port-1.network", "configured"), "uplink0 and its unit")


def boot(process):
    """What is left of it all after one: files. Returns the new systemd-networkd."""
    nm.power_off(process, "/run/systemd/netif/*", "/run/systemd/network/*")
    return restart()
