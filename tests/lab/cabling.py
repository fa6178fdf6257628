# SPDX-License-Identifier: Apache-2.0
"""What a machine's NICs are plugged into, where QEMU's own network is not enough."""
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
