# SPDX-License-Identifier: Apache-2.0
"""One whole machine under software emulation: boot it, talk to it, pull its plug.

    with VM(work, image, disks=[Disk("virtio", blank(work / "a.img", 2 << 30), "QB0001")],
            nics=[Nic()], files=static_address()) as vm:
        vm.boot()
        print(vm.run("ip", "-br", "link").out)

The root disk is a throw-away layer over the cached image, and like the other disks it lives as
long as the work folder: reboots and power cuts keep what was written.
"""
import base64
import dataclasses
import hashlib
import io
import itertools
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import tarfile
import threading
import time

import image as lab_image

MIB = 1 << 20
GATEWAY, ADDRESS, PREFIX = "192.0.2.2", "192.0.2.10", "192.0.2.0/24"
GATEWAY6, ADDRESS6, PREFIX6 = "2001:db8::2", "2001:db8::10", "2001:db8::/64"
MAC = "00:00:5e:00:53:01"
QEMU = "qemu-system-x86_64"
# Each costs seconds of every boot on an emulated CPU, and is no part of what is tested here.
CPU = "max,-la57,-smap,-smep"
QUICK = ("nokaslr cryptomgr.notests apparmor=0 selinux=0 audit=0 mitigations=off "
         "module_blacklist=drm,efi_pstore,i2c_i801,intel_pmc_bxt,iTCO_wdt,lpc_ich,pcspkr,rfkill "
         "systemd.mask=serial-getty@ttyS0.service systemd.mask=getty@tty1.service")
BOARD = "q35,i8042=off,sata=off,smbus=off"
# One CPU. With several, QEMU 7.2 can miss that the kernel rewrote its own code: they then spin for
# good, one in the handler of a breakpoint that is there no longer (seen in 1 of 20 runs of a guest,
# which make KVM switch such code). It is quicker, too.
ACCELERATOR = "tcg,thread=single"
CHUNK = 256 << 10


class LabError(Exception):
    """The machine did not do what was asked; the text is for a person."""


# --- parts ------------------------------------------------------------------------------------


@dataclasses.dataclass
class Disk:
    kind: str  # virtio, nvme, scsi or usb
    path: pathlib.Path
    serial: str
    wwn: int = 0  # scsi only
    bus: int = 0  # scsi only: which adapter
    more: str = ""  # of the device
    drive: str = ""  # of what is behind it

    def arguments(self, index):
        drive, ident = f"disk{index}", f"serial={self.serial}" if self.serial else f"id=no-serial{index}"
        device = {
            "virtio": f"virtio-blk-pci,drive={drive},{ident}",
            "nvme": f"nvme,drive={drive},{ident}",
            "scsi": f"scsi-hd,bus=scsi{self.bus}.0,drive={drive},{ident}",
            "usb": f"usb-storage,bus=usb.0,drive={drive},{ident}",
        }[self.kind]
        device += f",wwn={self.wwn:#x}" if self.wwn else ""
        device += f",{self.more}" if self.more else ""
        backend = f"if=none,id={drive},file={self.path},format=raw,cache=writeback"
        backend += f",{self.drive}" if self.drive else ""
        return ["-drive", backend, "-device", device]


@dataclasses.dataclass
class Nic:
    """A NIC on QEMU's own user-mode network: nothing of the host's network is touched.

    A restricted one answers ARP, ND and pings for the gateway and forwards nothing; its DHCP
    then names no router, so a machine that wants a default route from DHCP is not restricted.
    """
    mac: str = MAC
    restrict: bool = True
    kind: str = "virtio-net-pci"
    inside: list = dataclasses.field(default_factory=list)  # words that QEMU is started by

    def backend(self):
        restrict = "on" if self.restrict else "off"
        return (f"user,restrict={restrict},net={PREFIX},host={GATEWAY},dhcpstart=192.0.2.50,"
                f"dns=192.0.2.3,ipv6-net={PREFIX6},ipv6-host={GATEWAY6},ipv6-dns=2001:db8::3")

    def arguments(self, index):
        return ["-netdev", f"{self.backend()},id=net{index}",
                "-device", f"{self.kind},netdev=net{index},mac={self.mac},addr={0x10 + index:#x}"]


def blank(path, size):
    with open(path, "wb") as out:
        out.truncate(size)
    return path


def ext4(path, size, label="KEEP"):
    """A disk that belongs to somebody, with a file in it."""
    content = path.with_suffix(".content")
    content.mkdir()
    (content / "letters.txt").write_text("somebody's only copy\n" * 1000)
    blank(path, size)
    lab_image.run(["mke2fs", "-q", "-t", "ext4", "-L", label, "-d", content, path])
    shutil.rmtree(content)
    return path


def content_hash(path):
    """SHA-256 of what a disk reads as; zeros count by their place only, so holes cost nothing."""
    total, zero = hashlib.sha256(), bytes(MIB)
    with open(path, "rb") as disk:
        size = os.fstat(disk.fileno()).st_size
        total.update(size.to_bytes(8, "big"))
        end = 0
        while True:
            try:
                start = os.lseek(disk.fileno(), end, os.SEEK_DATA)
            except OSError:  # ENXIO: a hole up to the end
                return total.hexdigest()
            # Whole mebibytes, so that where a file system put its holes cannot matter.
            start = max(end, start // MIB * MIB)
            block = os.pread(disk.fileno(), MIB, start)
            if block != zero[:len(block)]:
                total.update(start.to_bytes(8, "big") + block)
            end = start + MIB


def static_address(mac=MAC):
    """A NetworkManager profile as an administrator would have it: both families, both routed."""
    return {"/etc/NetworkManager/system-connections/uplink.nmconnection": f"""[connection]
id=uplink
type=ethernet
autoconnect=true

[ethernet]
mac-address={mac}

[ipv4]
method=manual
address1={ADDRESS}/24,{GATEWAY}

[ipv6]
method=manual
address1={ADDRESS6}/64,{GATEWAY6}
addr-gen-mode=eui64
"""}


def dynamic_address(mac=MAC, ipv4=""):
    """By DHCP and announcements; ipv4: more lines for that family."""
    return {"/etc/NetworkManager/system-connections/uplink.nmconnection": f"""[connection]
id=uplink
type=ethernet
autoconnect=true

[ethernet]
mac-address={mac}

[ipv4]
method=auto
{ipv4}

[ipv6]
method=auto
addr-gen-mode=eui64
"""}


# Debian's rule, less the CPU's own aliases: udev loads every driver but KVM, while whoever asks
# for a module by name (modules-load.d too, which honours a modprobe.d blacklist) still gets it.
NO_KVM_AUTOLOAD = {"/etc/udev/rules.d/80-drivers.rules": """\
ACTION!="add", GOTO="drivers_end"
ENV{MODALIAS}=="cpu:*", GOTO="drivers_end"
ENV{MODALIAS}=="?*", RUN{builtin}+="kmod load '$env{MODALIAS}'"
SUBSYSTEM=="tifm", ENV{TIFM_CARD_TYPE}=="SD", RUN{builtin}+="kmod load tifm_sd"
SUBSYSTEM=="tifm", ENV{TIFM_CARD_TYPE}=="MS", RUN{builtin}+="kmod load tifm_ms"
SUBSYSTEM=="memstick", RUN{builtin}+="kmod load ms_block mspro_block"
SUBSYSTEM=="i2o", RUN{builtin}+="kmod load i2o_block"
SUBSYSTEM=="module", KERNEL=="parport_pc", RUN{builtin}+="kmod load ppdev"
KERNEL=="mtd*ro", ENV{MTD_FTL}=="smartmedia", RUN{builtin}+="kmod load sm_ftl"
LABEL="drivers_end"
"""}

# As an administrator would block it; systemd-modules-load leaves such a module out as well.
KVM_BLACKLISTED = {"/etc/modprobe.d/no-kvm.conf":
                   "blacklist kvm\nblacklist kvm_amd\nblacklist kvm_intel\n"}


def tar_of(files):
    """The archive a machine unpacks on its first boot; profiles and our own config are private."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for path, text in sorted(files.items()):
            data = text.encode()
            member = tarfile.TarInfo(path.lstrip("/"))
            member.size = len(data)
            member.mode = 0o600 if path.endswith(".nmconnection") else 0o644
            archive.addfile(member, io.BytesIO(data))
    return out.getvalue()


# --- talking ----------------------------------------------------------------------------------


@dataclasses.dataclass
class Result:
    argv: tuple
    status: int
    out: str
    err: str
    seconds: float

    def __str__(self):
        return (f"{' '.join(self.argv)}: exit {self.status} after {self.seconds:.1f} s\n"
                f"--- stdout\n{self.out}--- stderr\n{self.err}")


def connect(path, process, timeout=20):
    """QEMU makes its sockets a moment after it starts."""
    deadline = time.monotonic() + timeout
    while True:
        stream = socket.socket(socket.AF_UNIX)
        try:
            stream.connect(str(path))
            return stream
        except OSError:
            stream.close()
            if process.poll() is not None or time.monotonic() > deadline:
                raise LabError(f"QEMU opened no {path.name}") from None
            time.sleep(0.05)


class Qmp:
    def __init__(self, stream):
        self.stream = stream.makefile("rw")
        self.execute("qmp_capabilities")

    def execute(self, command, **arguments):
        print(json.dumps({"execute": command, "arguments": arguments}), file=self.stream,
              flush=True)
        for line in self.stream:
            reply = json.loads(line)
            if "return" in reply:
                return reply["return"]
            if "error" in reply:
                raise LabError(f"QMP {command}: {reply['error']['desc']}")
        raise LabError(f"QMP {command}: QEMU is gone")


class Channel:
    """Requests to the agent in the guest, several at a time, and word of each boot."""

    def __init__(self, stream):
        self.stream = stream
        self.changed = threading.Condition()
        self.replies = {}
        self.boot_id = None
        self.closed = False
        self.ids = itertools.count(1)
        self.sending = threading.Lock()
        threading.Thread(target=self.receive, daemon=True).start()

    def receive(self):
        pending = b""
        while True:
            try:
                chunk = self.stream.recv(MIB)
            except OSError:
                chunk = b""
            if not chunk:
                with self.changed:
                    self.closed = True
                    self.changed.notify_all()
                return
            *lines, pending = (pending + chunk).split(b"\n")
            for line in lines:
                self.take(line)

    def take(self, line):
        try:
            message = json.loads(line)
        except ValueError:
            return  # the line that a power cut or a reboot broke off
        with self.changed:
            if "hello" in message:
                self.boot_id = message["hello"]
            else:
                self.replies[message["id"]] = message
            self.changed.notify_all()

    def wait_boot(self, before, timeout):
        with self.changed:
            self.changed.wait_for(lambda: self.closed or self.boot_id not in (None, before),
                                  timeout)
            if self.closed:
                raise LabError("the machine stopped while it booted")
            if self.boot_id in (None, before):
                raise LabError(f"the machine did not come up within {timeout} s")
            return self.boot_id

    def call(self, patience, **request):
        number, boot = next(self.ids), self.boot_id
        line = json.dumps(request | {"id": number}).encode() + b"\n"
        try:
            with self.sending:
                self.stream.sendall(line)
        except OSError:
            raise LabError("the machine is gone") from None
        with self.changed:
            self.changed.wait_for(lambda: self.closed or self.boot_id != boot
                                  or number in self.replies, patience)
            reply = self.replies.pop(number, None)
            if not reply:
                why = ("the machine is gone" if self.closed else
                       "the machine rebooted" if self.boot_id != boot else
                       f"no answer after {patience} s")
                raise LabError(f"{request.get('argv') or request['op']}: {why}")
        if "error" in reply:
            raise LabError(f"{request.get('argv') or request['op']}: {reply['error']}")
        return reply


# --- the machine ------------------------------------------------------------------------------


class VM:
    def __init__(self, work, image, *, disks=(), nics=(), files=None, svm=True, memory_mib=2048,
                 kernel="", adapter=False, say=lambda text: None):
        self.work, self.image = pathlib.Path(work), pathlib.Path(image)
        self.disks, self.nics, self.files = list(disks), list(nics), dict(files or {})
        self.svm, self.memory_mib, self.say = svm, memory_mib, say
        self.kernel = kernel  # words for the kernel's command line
        self.adapter = adapter  # of SCSI, also when there is no disk yet: see plug()
        self.console = self.work / "console.log"
        self.process = self.qmp = self.channel = None
        self.root = self.work / "root.qcow2"
        self.work.mkdir(parents=True, exist_ok=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.power_cut()

    def argv(self, serial, quick=QUICK):
        cpu = CPU + (",+svm" if self.svm else ",-svm")
        arguments = [
            QEMU, "-nodefaults", "-no-user-config", "-display", "none", "-machine", BOARD,
            "-accel", ACCELERATOR, "-cpu", cpu, "-m", str(self.memory_mib),
            "-kernel", str(self.image / "vmlinuz"), "-initrd", str(self.image / "initrd.img"),
            "-append", f"console=ttyS0 loglevel=4 root=LABEL={lab_image.LABEL} rw panic=-1 "
                       f"{quick} {self.kernel}",
            "-no-reboot", *serial, "-device", "virtio-rng-pci",
            "-qmp", f"unix:{self.work}/qmp.sock,server=on,wait=off",
            "-device", "virtio-serial-pci",
            "-chardev", f"socket,id=channel,path={self.work}/channel.sock,server=on,wait=off",
            "-device", "virtserialport,chardev=channel,name=org.qubi.lab",
            "-drive", f"if=none,id=root,file={self.root},format=qcow2,cache=writeback",
            "-device", "virtio-blk-pci,drive=root,serial=LABROOT",
            "-fw_cfg", f"name=opt/qubi-lab/files,file={self.work}/files.tar",
        ]
        buses = {disk.bus for disk in self.disks if disk.kind == "scsi"}
        for bus in sorted(buses | ({0} if self.adapter else set())):
            arguments += ["-device", f"virtio-scsi-pci,id=scsi{bus}"]
        if any(disk.kind == "usb" for disk in self.disks):
            arguments += ["-device", "qemu-xhci,id=usb"]
        for index, disk in enumerate(self.disks):
            arguments += disk.arguments(index)
        for index, nic in enumerate(self.nics):
            arguments += nic.arguments(index)
        return arguments

    def prepare(self):
        if not self.root.exists():
            lab_image.run(["qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw",
                           "-b", self.image / "root.img", self.root])
        (self.work / "files.tar").write_bytes(tar_of(self.files))
        for name in ("qmp.sock", "channel.sock"):
            (self.work / name).unlink(missing_ok=True)

    def start(self, *extra):
        """Power on. The machine dies with us, however we die: setpriv sees to that."""
        assert self.process is None, "it is running"
        self.prepare()
        console = ["-chardev", f"file,id=console,path={self.console},append=on",
                   "-serial", "chardev:console"]
        with open(self.work / "qemu.log", "ab") as log:
            self.process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL",
                 *(word for nic in self.nics for word in nic.inside),
                 *self.argv(console), *extra],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            self.channel = Channel(connect(self.work / "channel.sock", self.process))
            self.qmp = Qmp(connect(self.work / "qmp.sock", self.process))
        except LabError as error:
            self.power_cut()
            raise LabError(f"{error}: {(self.work / 'qemu.log').read_text()}") from None

    def boot(self, timeout=900):
        started = time.monotonic()
        self.start()
        self.wait_up(None, timeout)
        self.say(f"booted in {time.monotonic() - started:.1f} s")

    def wait_up(self, before, timeout=900):
        """Until systemd has started what it wanted to, and NetworkManager, if it runs."""
        self.channel.wait_boot(before, timeout)
        self.run("systemctl", "is-system-running", "--wait", timeout=timeout, check=False)
        if self.run("systemctl", "is-active", "NetworkManager", check=False).status == 0:
            self.run("nm-online", "-s", "-q", "-t", "60", timeout=90, check=False)
        failed = self.run("systemctl", "list-units", "--failed", "--plain", "--no-legend").out
        for line in failed.splitlines():
            self.say(f"unit failed: {line}")

    def run(self, *argv, check=True, timeout=180, stdin=b"", env=None):
        """A command in the guest. With check, a status other than 0 is an error."""
        started = time.monotonic()
        reply = self.channel.call(timeout + 30, op="run", argv=[str(a) for a in argv],
                                  timeout=timeout, env=env or {},
                                  stdin=base64.b64encode(stdin).decode())
        result = Result(tuple(str(a) for a in argv), reply["status"],
                        base64.b64decode(reply["stdout"]).decode(errors="replace"),
                        base64.b64decode(reply["stderr"]).decode(errors="replace"),
                        time.monotonic() - started)
        if reply["timed_out"]:
            raise LabError(f"ended after {timeout} s: {result}--- processes\n"
                           f"{reply['processes']}")
        if check and result.status:
            raise LabError(str(result))
        return result

    def put(self, path, data, mode=0o644):
        """Writes bytes, or a file of the host's, to path in the guest."""
        data = data.read_bytes() if isinstance(data, pathlib.Path) else data
        for offset in range(0, max(len(data), 1), CHUNK):
            self.channel.call(60, op="put", path=str(path), mode=mode, append=offset > 0,
                              data=base64.b64encode(data[offset:offset + CHUNK]).decode())

    def get(self, path):
        data = b""
        while True:
            reply = self.channel.call(60, op="get", path=str(path), offset=len(data),
                                      length=CHUNK)
            chunk = base64.b64decode(reply["data"])
            data += chunk
            if len(chunk) < CHUNK:
                return data

    def plug(self, disks):
        """SCSI disks more, in the running machine: by serial, what blockdev-add takes."""
        for serial, file in disks.items():
            self.qmp.execute("blockdev-add", **{"node-name": serial, **file})
            self.qmp.execute("device_add", driver="scsi-hd", bus="scsi0.0", drive=serial,
                             serial=serial, id=f"plugged-{serial}")
        self.run("udevadm", "wait", "--settle", "--timeout=120",
                 *(f"/dev/disk/by-id/scsi-0QEMU_QEMU_HARDDISK_{serial}" for serial in disks),
                 timeout=150)

    def unplug(self, serial):
        self.run("sh", "-ec", 'echo 1 >"/sys/block/$(basename "$(readlink -f "$1")")/device/delete"',
                 "sh", f"/dev/disk/by-id/scsi-0QEMU_QEMU_HARDDISK_{serial}")
        self.qmp.execute("device_del", id=f"plugged-{serial}")
        deadline = time.monotonic() + 60
        while any(item.get("inserted", {}).get("node-name") == serial
                  for item in self.qmp.execute("query-block")):
            if time.monotonic() > deadline:
                raise LabError(f"{serial} is still plugged in")
            time.sleep(0.05)
        self.qmp.execute("blockdev-del", **{"node-name": serial})

    def reboot(self, timeout=900):
        """The guest's own reboot; QEMU ends there and a new one takes its place.

        A reset inside one QEMU leaves its translator slow: the next boot took three times as long.
        """
        started = time.monotonic()
        self.end("reboot")
        self.start()
        self.wait_up(None, timeout)
        self.say(f"rebooted in {time.monotonic() - started:.1f} s")

    def shutdown(self, timeout=180):
        started = time.monotonic()
        self.end("poweroff", timeout)
        self.say(f"powered off in {time.monotonic() - started:.1f} s")

    def end(self, how, timeout=180):
        try:
            self.run("systemctl", "--no-block", how)
        except LabError:
            if not self.channel.closed:  # it may be off before it has answered
                raise
        try:
            self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise LabError(f"the machine did not {how} within {timeout} s") from None
        self.forget()

    def power_cut(self):
        """What the guest had not flushed is lost; what it had is on its disks."""
        if self.process:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()
            self.forget()

    def forget(self):
        self.channel and self.channel.stream.close()
        self.process = self.qmp = self.channel = None

    def console_tail(self, lines=40):
        if not self.console.exists():
            return ""
        return "\n".join(self.console.read_text(errors="replace").splitlines()[-lines:])

    # A sweep begins each trial where the machine had booted, not with a boot.

    def save(self, timeout=120):
        """Freezes the running machine into its work folder, and ends it; clone() continues it."""
        self.qmp.execute("stop")
        self.qmp.execute("migrate-set-parameters", **{"max-bandwidth": 1 << 40})
        self.qmp.execute("migrate", uri=f"exec:cat >{self.work}/state")
        deadline = time.monotonic() + timeout
        while True:
            status = self.qmp.execute("query-migrate").get("status")
            if status == "completed":
                break
            if status == "failed" or time.monotonic() > deadline:
                raise LabError(f"saving the machine: {status}")
            time.sleep(0.05)
        self.boot_id = self.channel.boot_id
        self.qmp.execute("quit")
        self.process.wait(timeout)
        self.forget()

    def clone(self, work, timeout=120):
        """A machine that goes on where a saved one stopped, on copies of its disks."""
        work = pathlib.Path(work)
        work.mkdir(parents=True)
        lab_image.run(["qemu-img", "create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", self.root,
                       work / "root.qcow2"])
        disks = []
        for disk in self.disks:
            copy = work / disk.path.name
            lab_image.run(["cp", "--sparse=always", "--reflink=auto", disk.path, copy])
            disks.append(dataclasses.replace(disk, path=copy))
        other = VM(work, self.image, disks=disks, nics=self.nics, files=self.files, svm=self.svm,
                   memory_mib=self.memory_mib, kernel=self.kernel, adapter=self.adapter,
                   say=self.say)
        other.start("-incoming", f"exec:cat {self.work}/state")
        other.channel.boot_id = self.boot_id
        deadline = time.monotonic() + timeout
        while other.qmp.execute("query-status")["status"] == "inmigrate":
            if time.monotonic() > deadline:
                other.power_cut()
                raise LabError(f"the saved machine did not load within {timeout} s")
            time.sleep(0.05)
        other.qmp.execute("cont")
        return other
