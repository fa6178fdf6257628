# SPDX-License-Identifier: Apache-2.0
"""What a machine's NICs are plugged into, where QEMU's own network is not enough."""
import dataclasses
import subprocess
import time

import vm

LEASE_S = 120  # dnsmasq leases for no shorter
TAP = "machine0"
SEGMENT = f"""
ip link set lo up
ip tuntap add {TAP} mode tap
ip address add {vm.GATEWAY}/24 dev {TAP}
ip address add {vm.GATEWAY6}/64 dev {TAP} nodad
ip link set {TAP} up
exec dnsmasq --conf-file=/dev/null --pid-file= --keep-in-foreground --user=root --port=0 \
    --interface={TAP} --log-dhcp --log-facility="$1/dnsmasq.log" --dhcp-leasefile="$1/leases" \
    --dhcp-range=192.0.2.50,192.0.2.99,255.255.255.0,{LEASE_S}s --dhcp-option=3,{vm.GATEWAY} \
    --enable-ra --dhcp-range=2001:db8::,ra-only,64,600
"""


class Tap(vm.Nic):
    def backend(self):
        return f"tap,ifname={TAP},script=no,downscript=no"


class Segment:
    """A network of the test's own, whose gateway leases addresses and announces them.

    It is a network namespace with a dnsmasq and one end of the machine's cable, and stays as it is
    while the machine reboots.
    """

    def __init__(self, work):
        self.work = work / "segment"
        self.work.mkdir()
        # It dies with us, however we die; dnsmasq is all that holds the namespace.
        self.process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", "unshare", "--net", "sh", "-ec", SEGMENT, "sh",
             self.work], stdin=subprocess.DEVNULL)

    def __enter__(self):
        deadline = time.monotonic() + 20
        while not (self.work / "leases").exists():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise vm.LabError("no dnsmasq came up in a network namespace")
            time.sleep(0.05)
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()

    def nic(self):
        return Tap(inside=["nsenter", f"--net=/proc/{self.process.pid}/ns/net"])

    def leases(self):
        """{(MAC, address, name, client id): when it ends} of IPv4."""
        rows = map(str.split, (self.work / "leases").read_text().splitlines())
        return {tuple(row[1:]): int(row[0]) for row in rows if len(row) == 5 and "." in row[2]}


@dataclasses.dataclass
class Plug(vm.Nic):
    """One end of a cable. At the other is the machine's NIC that has a plug of the same number."""
    kind: str = "virtio-net-pci,speed=1000,duplex=full"  # LACP wants to know them
    number: int = 0

    def backend(self):
        return f"hubport,hubid={self.number}"


def near(number):
    """MAC address of the host's end of a cable."""
    return f"00:00:5e:00:53:1{number}"


def cables(count):
    return [Plug(mac=mac, number=number) for number in range(1, count + 1)
            for mac in (near(number), f"00:00:5e:00:53:2{number}")]


FAR_RULE = """\
ACTION=="add", SUBSYSTEM=="net", ATTR{address}=="00:00:5e:00:53:2?", ENV{NM_UNMANAGED}="1"
"""
FAR = """
ip netns add far
for mac in /sys/class/net/*/address; do
	nic=${mac%/*}
	read -r mac <"$mac"
	case $mac in
	00:00:5e:00:53:2?) ip link set "${nic##*/}" netns far name "far${mac#*:53:2}" ;;
	esac
done
exec ip -n far -b -
"""


def far_files():
    """For a machine with cables: the other ends are nothing of NetworkManager's."""
    return {"/etc/udev/rules.d/70-far.rules": FAR_RULE}


def make_far_side(machine, commands):
    """After each boot. With these commands of ip(8) the other ends become somebody.

    They are in a network namespace of the machine's own kernel, which knows VLANs and bonds
    whatever the kernel below it knows.
    """
    machine.run("sh", "-exc", FAR, stdin=commands.encode())
