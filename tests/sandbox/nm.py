# SPDX-License-Identifier: Apache-2.0
"""A NetworkManager and a DHCP server of the sandbox's own, both real."""

import json
import os
import signal
import subprocess
import time
import uuid

import fetched
import qb
import netstate

PROFILES = "/etc/NetworkManager/system-connections"
CONF = """\
[main]
plugins=keyfile
dhcp=internal
no-auto-default=*
[device-uplink]
match-device=interface-name:uplink0,interface-name:spare0
managed=1
"""
UPLINK = """\
[connection]
id=uplink
type=ethernet
interface-name=uplink0
[ipv4]
{ipv4}
[ipv6]
{ipv6}
addr-gen-mode=eui64
"""
STATIC = {"ipv4": "method=manual\naddress1=192.0.2.10/24,192.0.2.1",
          "ipv6": "method=manual\naddress1=2001:db8::10/64,2001:db8::1"}
DYNAMIC = {"ipv4": "method=auto", "ipv6": "method=auto"}

LEASE_S = 120
GIVEN_BACK_S = 10
GATEWAYS = ("192.0.2.1", "2001:db8::1")
started = []


def background(*command):
    with open("/tmp/nm.log", "ab") as log:
        started.append(subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                        preexec_fn=qb.end_with_parent))
    return started[-1]


def install():
    fetched.install("/usr/sbin/NetworkManager", "network-manager")
    # Scripts of the distribution's, for another way to configure a network.
    qb.run("/bin/sh", "-c", "rm -f /etc/NetworkManager/dispatcher.d/*-ifupdown")


def wait_for(what, ready, seconds=30):
    end = time.monotonic() + seconds
    while not ready():
        assert time.monotonic() < end, f"{what}: not within {seconds} s\n{words()}"
        time.sleep(0.02)


def words():
    with open("/tmp/nm.log", encoding="utf-8", errors="replace") as f:
        return "".join(f.readlines()[-60:])


def start(method, more=""):
    """NetworkManager, with one profile for the NIC, which it has activated."""
    install()
    os.makedirs("/run/dbus", exist_ok=True)
    os.makedirs("/var/lib/NetworkManager", exist_ok=True)
    with open("/etc/NetworkManager/conf.d/sandbox.conf", "w", encoding="utf-8") as f:
        f.write(CONF)
    profile("uplink", UPLINK.format(**method) + more)
    qb.run("/usr/sbin/ip", "address", "flush", "dev", "uplink0")
    qb.run("/usr/sbin/ip", "link", "set", "uplink0", "down")
    qb.run("/usr/bin/udevadm", "trigger", "-s", "net", "-c", "add")
    qb.run("/usr/bin/udevadm", "settle")
    background("/usr/bin/dbus-daemon", "--system", "--nofork", "--nopidfile")
    wait_for("the system bus", lambda: os.path.exists("/run/dbus/system_bus_socket"))
    return restart()


def restart():
    """As after a boot, but for the kernel's state."""
    process = background("/usr/sbin/NetworkManager", "--debug", "--log-level=INFO")
    wait_for("NetworkManager", lambda: qb.run("/usr/bin/nm-online", "-s", "-q", "-t", "20",
                                              code=None).code == 0)
    return process


def profile(name, text):
    path = f"{PROFILES}/{name}.nmconnection"
    os.makedirs(PROFILES, exist_ok=True)
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)
    os.chmod(path, 0o600)
    return path


def nmcli(*args, code=0):
    return qb.run("/usr/bin/nmcli", *args, code=code).out


def active(device):
    """The profile that NetworkManager has active there, and the device's state."""
    rows = dict(line.split(":", 1) for line in
                nmcli("-t", "-f", "DEVICE,STATE,CONNECTION", "device").splitlines())
    state, _, connection = rows[device].partition(":")
    return connection.replace("\\", ""), state


def dhcp_server():
    """On the gateway: leases and router advertisements."""
    leases = "/tmp/leases"
    background("/usr/sbin/ip", "netns", "exec", "gateway", "/usr/sbin/dnsmasq",
               "--conf-file=/dev/null", "--pid-file=", "--keep-in-foreground", "--log-dhcp",
               "--log-facility=/tmp/dnsmasq.log", "--port=0", "--interface=port0",
               f"--dhcp-range=192.0.2.50,192.0.2.99,255.255.255.0,{LEASE_S}s",
               "--dhcp-option=3,192.0.2.1", "--enable-ra",
               "--dhcp-range=2001:db8::,ra-only,64,600", f"--dhcp-leasefile={leases}")
    wait_for("dnsmasq", lambda: os.path.exists("/tmp/dnsmasq.log"))


def leases():
    """(when it ends, [MAC, address, name, client id]) of each IPv4 lease."""
    with open("/tmp/leases", encoding="utf-8") as f:
        rows = [line.split() for line in f]
    return [(int(r[0]), r[1:]) for r in rows if len(r) == 5 and "." in r[2]]


def lost(count, act):
    """What is lost of count probes, one a millisecond, while act runs: by family."""
    probes = [qb.probing(gateway, count) for gateway in GATEWAYS]
    time.sleep(0.5)
    act()
    found = [json.loads(p.communicate()[0]) for p in probes]
    for f in found:
        assert f["seconds"] < count / 1000 * 1.2, "that was no probe a millisecond"
    return [len(f["lost"]) for f in found]


def reached():
    return not any(qb.probe(address, 1)[0] for address in GATEWAYS)


def ready(addresses=2, link="uplink0"):
    """The NIC has its addresses, in use."""
    wait_for("addresses", lambda: len(qb.links()[link]["addresses"]) == addresses)
    wait_for("no tentative address", lambda: "tentative" not in qb.run(
        "/usr/sbin/ip", "-6", "address", "show", "dev", link).out)
    for gateway in GATEWAYS:
        qb.assert_reaches(gateway)


def host(method, more=""):
    if method == DYNAMIC:
        dhcp_server()
    process = start(method, more)
    ready()
    qb.configure(qb.BRIDGE_ONLY)
    qb.agent("plan", code=qb.PENDING)  # libvirt has looked at QEMU by then
    return process


def owned():
    """By NetworkManager, with our profiles."""
    qb.same(active("br0"), ("qubi-br0", "connected"), "br0 and its profile")
    qb.same(active("uplink0"), ("qubi-br0-port-1", "connected"), "uplink0 and its profile")


def power_off(process, *leftovers):
    """Of its owner, the kernel and /run nothing is left."""
    process.send_signal(signal.SIGKILL)
    process.wait()
    qb.run("/usr/sbin/ip", "link", "delete", "br0", code=None)  # it may be gone
    for words in ("address flush dev uplink0", "link set uplink0 down"):
        qb.run("/usr/sbin/ip", *words.split())
    qb.run("/bin/sh", "-c", f"rm -rf {' '.join(leftovers)}")
    with open("/tmp/boot_id", "w", encoding="utf-8") as f:
        f.write(f"{uuid.uuid4()}\n")
    qb.run("/bin/mount", "--bind", "/tmp/boot_id", "/proc/sys/kernel/random/boot_id")


def boot(process):
    """What is left of it all after one: files. Returns the new NetworkManager."""
    power_off(process, "/run/NetworkManager/*")
    return restart()


def kill_in_the_hand_over(state, given_back, every):
    """Kills the agent at each `every`th message from where it hands the NIC over on: the guard, or
    a rollback where all was done by then, gives it back as it was."""
    qb.adopt_orphans()
    before, undone, number = state(), 0, 8
    while number < 200:
        r = qb.traced("-qq", "-o", "/dev/null", "-e", "trace=sendmsg", "-e",
                      f"inject=sendmsg:signal=KILL:when={number}", qb.AGENT, "apply", "--yes",
                      code=None)
        qb.wait_for_orphans(but=started)
        if r.code == 0:
            break
        told = qb.agent("plan", code=None)
        if told.code == 0:
            qb.agent("rollback", "--yes")
        elif "its guard undid it" in told.err:
            undone += 1
        given_back()
        # It calls a link configured a moment before it has set the route of an announced prefix.
        end = time.monotonic() + GIVEN_BACK_S
        while netstate.difference(before, state()) and time.monotonic() < end:
            time.sleep(0.02)
        qb.same(netstate.difference(before, state()), [], f"killed at {number}")
        number += every
    print(f"figure: killed {(number - 8) // every} times, {undone} times its guard undid it")
    assert undone >= 4, f"its guard undid it {undone} times"
