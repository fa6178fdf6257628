# SPDX-License-Identifier: Apache-2.0
"""What the sandbox tests share: cases, the agent, the host's state, probes.

A test file defines cases with @case and ends with main(). Each case runs in a sandbox of its
own, or with outside=True on the machine, from where it may enter sandboxes itself. A case that
returns has passed. `test_x.py` runs all its cases, `test_x.py CASE...` some.
"""

import ctypes
import hashlib
import json
import os
import select
import signal
import socket
import struct
import subprocess
import sys
import time

try:
    import jsonschema
except ImportError:
    sys.exit("python3-jsonschema is missing; install it with make deps")

HERE = os.path.dirname(os.path.realpath(__file__))
sys.path.append(os.path.dirname(HERE))

ENTER = HERE + "/enter"
AGENT = os.environ.get("QB_AGENT") or os.path.realpath(HERE + "/../../build/qubi-agent")
CONFIG = "/etc/qubi-agent/host.yaml"
SKIPPED = 77

# The exit codes of the contract.
OK, FAILED, USAGE, REFUSED, PENDING, UNDO_FAILED, LOCKED = range(7)

cases = {}


class Skip(Exception):
    """The case cannot run here, and says why."""


def case(function=None, *, outside=False, alone=False, disks=None, seconds=300):
    """outside: not in a sandbox; alone: nothing else at the same time; disks: as of enter."""
    def register(f):
        f.outside, f.alone, f.disks, f.seconds = outside, alone, disks, seconds
        if f.__module__ == "__main__":  # not those of a file that another one borrows from
            cases[f.__name__] = f
        return f
    return register(function) if function else register


def main():
    args = sys.argv[1:]
    if args == ["--list"]:
        for name, f in cases.items():
            print(name, f.seconds, "alone" if f.alone else "")
        return
    if args[:1] == ["--inside"]:
        sys.exit(run_inside(cases[args[1]]))
    for name in args:
        if name not in cases:
            sys.exit(f"{name}: no such case; there are {' '.join(cases)}")
    worst = 0
    for name in args or cases:
        begin = time.monotonic()
        code = start(cases[name])
        word = {0: "ok", SKIPPED: "skipped"}.get(code, "not ok")
        print(f"{word} {name} ({time.monotonic() - begin:.1f} s)", flush=True)
        worst = worst or (code if len(args) == 1 or code != SKIPPED else 0)
    sys.exit(worst)


libc = ctypes.CDLL(None)


def end_with_parent():
    """For preexec_fn: a killed test run leaves no case and no sandbox behind."""
    libc.prctl(1, signal.SIGTERM, 0, 0, 0)  # PR_SET_PDEATHSIG


def adopt_orphans():
    """What a killed run leaves behind becomes ours."""
    libc.prctl(36, 1, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER


def wait_for_orphans(but=()):
    """Children that the killed run had forked die with it, but not in the same moment, and its
    guard has the lock until it is through; until then they have open what it had open. but: our
    own children, which go on."""
    own = {p.pid for p in but}
    me = os.getpid()
    while True:
        with open(f"/proc/{me}/task/{me}/children", encoding="utf-8") as f:
            left = {int(word) for word in f.read().split()} - own
        if not left:
            return
        for pid in left:
            os.waitpid(pid, 0)


def start(function):
    command = [sys.executable, os.path.realpath(sys.argv[0]), "--inside", function.__name__]
    if not function.outside:
        command = enter_command(command, function.disks)
    try:
        return subprocess.run(command, timeout=function.seconds, check=False,
                              preexec_fn=end_with_parent).returncode
    except subprocess.TimeoutExpired:
        print(f"{function.__name__} took more than {function.seconds} s")
        return 1


def run_inside(function):
    try:
        function()
    except Skip as e:
        print(f"skipped: {e}", flush=True)
        return SKIPPED
    sys.stdout.flush()
    return 0


def enter_command(command, disks=None):
    return [ENTER, *(["--disks", disks] if disks is not None else []), *command]


# ------------------------------------------------------------------ saying what is wrong

def same(got, wanted, what):
    assert got == wanted, f"{what}: got {got!r}, wanted {wanted!r}"


def contains(text, words, what):
    """All words are in the text, whatever the case of letters."""
    for w in [words] if isinstance(words, str) else words:
        assert w.lower() in text.lower(), f"{what}: no {w!r} in:\n{text}"


# ------------------------------------------------------------------ programs

class Result:
    def __init__(self, command, run, seconds):
        self.command, self.code, self.seconds = " ".join(command), run.returncode, seconds
        self.out, self.err = run.stdout, run.stderr

    def json(self):
        """The document on stdout, which must be as its schema says."""
        try:
            document = json.loads(self.out)
        except ValueError as e:
            raise AssertionError(f"{self.command}: no JSON: {e}\n{self.out}\n{self.err}") from e
        name = document["schema"].split("/")[1]
        with open(f"{HERE}/../../packaging/schema/{name}.schema.json", encoding="utf-8") as f:
            schema = json.load(f)
        try:
            jsonschema.validate(document, schema)
        except jsonschema.ValidationError as e:
            raise AssertionError(f"{self.command}: {e.json_path}: {e.message}") from e
        return document

    def __str__(self):
        return f"{self.command}\nexit {self.code}\n{self.out}{self.err}"


def run(*command, code=0, timeout=120, **more):
    """Runs a program; code is what it must end with, None for anything, or a tuple."""
    begin = time.monotonic()
    r = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, encoding="utf-8",
                       errors="replace", timeout=timeout, check=False, **more)
    result = Result(command, r, time.monotonic() - begin)
    codes = (code,) if isinstance(code, int) else code
    assert codes is None or r.returncode in codes, f"wanted exit {code}: {result}"
    return result


def traced(*command, **more):
    """Runs strace. LeakSanitizer, where it is built in, cannot work below it."""
    options = os.environ.get("ASAN_OPTIONS", "")
    return run("/usr/bin/strace", *command, **more,
               env={**os.environ, "ASAN_OPTIONS": options + ":detect_leaks=0"})


def agent(*args, code=0, **more):
    return run(AGENT, *args, code=code, **more)


def virsh(*args, code=0):
    return run("/usr/bin/virsh", "-q", "-c", "qemu:///system", *args, code=code).out


# ------------------------------------------------------------------ the host's configuration

def template(text):
    for name, value in os.environ.items():
        if name.startswith("QB_"):
            text = text.replace(f"@{name}@", value)
    return text


def configure(text=None, path=CONFIG):
    """Writes a configuration; by default the whole one, which the demo uses, too. Where this
    machine has no KVM it asks for a host that does without."""
    if text is None:
        with open(HERE + "/host.yaml", encoding="utf-8") as f:
            text = f.read()
    ignored = os.environ.get("QB_WITHOUT_KVM")
    if ignored and "checks:" not in text:
        text += f"checks: {{ignore: [{ignored}]}}\n"
    with open(path, "w", encoding="utf-8") as f:
        f.write(template(text))
    os.chmod(path, 0o600)


BRIDGE_ONLY = """\
version: 1
bridges:
  - name: br0
    ports:
      - match: default-route
"""


# ------------------------------------------------------------------ the host's state

def sha256(path):
    """Of every byte that is not zero and where it is: the same for the same contents, and quick
    for a disk that is mostly empty."""
    digest, zeros, place = hashlib.sha256(), bytes(1 << 18), 0
    with open(path, "rb") as f:
        while chunk := f.read(1 << 18):
            if chunk != zeros:
                digest.update(place.to_bytes(8, "big"))
                digest.update(chunk)
            place += len(chunk)
    return f"{place}:{digest.hexdigest()}"


def foreign_disks():
    """The disks that hold somebody's data, by what is in them."""
    return {n: sha256(os.environ[n]) for n in ("QB_EXT4", "QB_GPT", "QB_LVM") if n in os.environ}


def tree(*folders):
    """Every file below, with its contents."""
    found = {}
    for folder in folders:
        for place, _, names in os.walk(folder):
            for name in names:
                path = os.path.join(place, name)
                if os.path.islink(path):
                    found[path] = os.readlink(path)
                elif os.path.isfile(path):
                    with open(path, "rb") as f:
                        found[path] = hashlib.sha256(f.read()).hexdigest()
    return found


def settings(link):
    """Switches of the kernel that a bridge has from the NIC whose place it takes."""
    found = {}
    for family, key in (("ipv4", "rp_filter"), ("ipv6", "accept_ra"), ("ipv6", "autoconf"),
                        ("ipv6", "disable_ipv6"), ("ipv6", "addr_gen_mode")):
        with open(f"/proc/sys/net/{family}/conf/{link}/{key}", encoding="utf-8") as f:
            found[key] = f.read().strip()
    return found


def links():
    """Links with their addresses and masters; without what differs from run to run."""
    known = json.loads(run("/usr/sbin/ip", "-j", "-d", "address").out)
    found = {}
    for link in known:
        addresses = sorted(f"{a['local']}/{a['prefixlen']} {a['scope']}"
                           for a in link["addr_info"] if not a["local"].startswith("fe80:"))
        info = link.get("linkinfo", {})
        found[link["ifname"]] = {
            "address": link.get("address"), "master": link.get("master"), "mtu": link["mtu"],
            "up": "UP" in link["flags"], "kind": info.get("info_kind"), "addresses": addresses,
            "stp": info.get("info_data", {}).get("stp_state"),
            "settings": settings(link["ifname"]),
        }
        if link["ifname"].startswith("virbr"):
            del found[link["ifname"]]["address"]  # libvirt makes a random one
    return found


def routes():
    found = []
    for family in ("-4", "-6"):
        for r in json.loads(run("/usr/sbin/ip", "-j", family, "route").out or "[]"):
            if not r["dst"].startswith("fe80:") and r.get("dst") != "ff00::/8":
                found.append({k: r.get(k) for k in ("dst", "gateway", "dev", "metric", "scope",
                                                    "prefsrc", "protocol")})
    return sorted(found, key=lambda r: json.dumps(r, sort_keys=True))


def partition_table(disk):
    """GPT of a disk, as blkid reads it, and the marks of its partitions."""
    found = {}
    name = os.path.basename(disk)
    parts = [f"/dev/{n}" for n in sorted(os.listdir(f"/sys/block/{name}")) if n.startswith(name)]
    for path in [disk, *parts]:
        out = run("/usr/sbin/blkid", "-p", "-o", "export", path, code=(0, 2)).out
        fields = dict(line.split("=", 1) for line in out.splitlines() if "=" in line)
        found[path.replace(disk, "disk")] = {k: v for k, v in sorted(fields.items())
                                             if k not in ("DEVNAME", "PART_ENTRY_DISK")}
    return found


def mounts():
    with open("/proc/self/mountinfo", encoding="utf-8") as f:
        rows = [line.split() for line in f]
    return sorted((r[4], r[r.index("-") + 1]) for r in rows if "/dev/loop" in r[r.index("-") + 2])


def volatile(xml):
    """libvirt's XML without what changes by itself."""
    keep = [line for line in xml.splitlines()
            if not any(w in line for w in ("<allocation", "<available", "<mac address"))]
    return "\n".join(keep)


def libvirt():
    found = {}
    for kind, dump in (("net", "net-dumpxml"), ("pool", "pool-dumpxml")):
        for name in virsh(f"{kind}-list", "--all", "--name").split():
            info = virsh(f"{kind}-info", name)
            keep = [line for line in info.splitlines()
                    if line.split(":")[0] in ("State", "Active", "Persistent", "Autostart")]
            found[f"{kind} {name}"] = {
                "info": [" ".join(line.split()) for line in keep],
                "xml": volatile(virsh(dump, name)),
            }
    return found


def host_state():
    """All that a run of the agent is about, in a form that compares and prints."""
    state = {"links": links(), "routes": routes(), "libvirt": libvirt(), "mounts": mounts(),
             "foreign": foreign_disks()}
    for name in ("QB_BLANK", "QB_BLANK2"):
        if name in os.environ:
            state[name] = partition_table(os.environ[name])
    state["files"] = tree("/etc/modules-load.d", "/etc/modprobe.d", "/etc/NetworkManager")
    text = json.dumps(state)
    for name in ("QB_BLANK2", "QB_BLANK"):  # the number of a loop device is a coincidence
        if name in os.environ:
            text = text.replace(os.environ[name], name).replace(
                os.path.basename(os.environ[name]), name)
    return json.loads(text)


# ------------------------------------------------------------------ probes

def probe(address, count, interval_s=0.001):
    """Sends numbered ICMP echo requests at a steady rate. Returns (unanswered numbers, worst RTT).

    The other end is a kernel. A probe that could not be sent is a lost one; a reply that is not
    to one of our probes counts for nothing.
    """
    v6 = ":" in address
    family, proto = (socket.AF_INET6, socket.IPPROTO_ICMPV6) if v6 else \
        (socket.AF_INET, socket.IPPROTO_ICMP)
    s = socket.socket(family, socket.SOCK_RAW | socket.SOCK_NONBLOCK, proto)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUFFORCE
                 if hasattr(socket, "SO_RCVBUFFORCE") else 33, 8 << 20)
    ident = os.getpid() & 0xFFFF
    sent, answered, worst = {}, set(), 0.0
    request, reply = (128, 129) if v6 else (8, 0)

    def drain(wait):
        nonlocal worst
        while select.select([s], [], [], wait)[0]:
            data = s.recv(2048)
            data = data if v6 else data[(data[0] & 15) * 4:]
            kind, _, _, got, seq, number = struct.unpack_from("!BBHHHI", data.ljust(12, b"\0"))
            if kind == reply and got == ident and seq == number & 0xFFFF and number in sent:
                worst = max(worst, time.monotonic() - sent[number])
                answered.add(number)
            wait = 0

    start = time.monotonic()
    for number in range(count):
        packet = struct.pack("!BBHHHI", request, 0, 0, ident, number & 0xFFFF, number)
        if not v6:
            packet = packet[:2] + struct.pack("!H", checksum(packet)) + packet[4:]
        sent[number] = time.monotonic()
        try:
            s.sendto(packet, (address, 0))
        except OSError:
            pass
        due = start + (number + 1) * interval_s
        drain(max(0, due - time.monotonic()))
        time.sleep(max(0, due - time.monotonic()))
    end = time.monotonic() + 2
    while len(answered) < count and time.monotonic() < end:
        drain(0.1)
    took = end - 2 - start
    return sorted(set(range(count)) - answered), worst, took


def checksum(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    total = (total >> 16) + (total & 0xFFFF)
    return ~(total + (total >> 16)) & 0xFFFF


def assert_reaches(address):
    """With what a person would look at, were it to fail."""
    lost, _, _ = probe(address, 3, 0.02)
    if not lost:
        return
    seen = "\n".join(f"$ ip {' '.join(words)}\n{run('/usr/sbin/ip', *words).out}" for words in (
        ["-d", "address"], ["route", "show", "table", "all"],
        ["-6", "route", "show", "table", "all"], ["neigh"]))
    raise AssertionError(f"no answer of {address} to {lost} of 3; then {probe(address, 3)[0]}\n{seen}")


def gateway(*command):
    """A command of this file's, to be run where the gateway is."""
    return ["/usr/sbin/ip", "netns", "exec", "gateway", *command]


def probing(address, count, at_gateway=False):
    """Starts probes in a process of their own, which has begun then; ends with a line of JSON."""
    command = [sys.executable, os.path.realpath(__file__), "--probe", address, str(count)]
    p = subprocess.Popen(gateway(*command) if at_gateway else command, stdout=subprocess.PIPE,
                         encoding="utf-8")
    same(p.stdout.readline(), "begun\n", "what the probes say first")
    return p


# ------------------------------------------------------------------ odds and ends

def until(condition, seconds=10):
    """Whether the condition came to hold in time."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.01)
    return True


def stop_libvirtd():
    with open("/run/libvirtd.pid", encoding="utf-8") as f:
        pid = int(f.read())
    os.kill(pid, 15)
    assert until(lambda: not os.path.exists(f"/proc/{pid}"), 20), "libvirtd does not end"


if __name__ == "__main__" and sys.argv[1:2] == ["--probe"]:
    print("begun", flush=True)
    lost, rtt, seconds = probe(sys.argv[2], int(sys.argv[3]))
    print(json.dumps({"lost": lost, "worst_ms": round(rtt * 1000, 2), "seconds": seconds}))
