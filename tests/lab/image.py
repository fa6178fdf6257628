#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The lab's root image: a Debian guest with systemd, NetworkManager, libvirt and rpm.

It is built once (about two minutes) and kept outside the tree, in $QUBI_LAB_CACHE or
$XDG_CACHE_HOME/qubi-agent/lab. The packages are one step and one key, what we put into them
another, so that a change to the command channel does not fetch a gigabyte again.
"""
import contextlib
import fcntl
import hashlib
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
GUEST = HERE / "guest"
LABEL = "qubi-lab"
MACHINE_ID = "0b1e5510c0de4aab8e1d5b00b1e55ed0"
UNUSED_DAYS = 14

PACKAGES = """
systemd-sysv udev dbus kmod linux-image-amd64 initramfs-tools python3
iproute2 network-manager iputils-ping arping tcpdump ethtool nftables iptables dnsmasq-base
libvirt-daemon-system libvirt-daemon-driver-qemu libvirt-clients qemu-system-x86 qemu-utils
lvm2 xfsprogs e2fsprogs util-linux fdisk gdisk parted mdadm
multipath-tools open-iscsi bcache-tools
rpm libxml2-utils strace pciutils procps psmisc
libjansson4 libyaml-0-2 libnl-3-200 libnl-route-3-200 libblkid1 libfdisk1 libkmod2 libudev1
libsystemd0 libselinux1 libexpat1 libuuid1 libsmartcols1 libcap2 libcmocka0
""".split()

# What EL calls the packages that the guest has under Debian's names.
EL_NAMES = {
    "NetworkManager": ["network-manager"],
    "dnsmasq": ["dnsmasq-base"],
    "glibc": ["libc6"],
    "iproute": ["iproute2"],
    "jansson": ["libjansson4"],
    "kmod-libs": ["libkmod2"],
    "expat": ["libexpat1"],
    "libblkid": ["libblkid1"],
    "libfdisk": ["libfdisk1"],
    "libnl3": ["libnl-3-200", "libnl-route-3-200"],
    "libselinux": ["libselinux1"],
    "libsmartcols": ["libsmartcols1"],
    "libuuid": ["libuuid1"],
    "libvirt-client": ["libvirt-clients"],
    "libvirt-daemon-config-network": ["libvirt-daemon-config-network"],
    "libvirt-daemon-driver-network": ["libvirt-daemon-system"],
    "libvirt-daemon-driver-qemu": ["libvirt-daemon-system", "libvirt-daemon-driver-qemu"],
    "libvirt-daemon-driver-storage": ["libvirt-daemon-system"],
    "libvirt-daemon-driver-storage-core": ["libvirt-daemon-system"],
    "libvirt-daemon-driver-storage-disk": ["libvirt-daemon-system"],
    "libvirt-daemon-driver-storage-logical": ["libvirt-daemon-system", "lvm2"],
    "libvirt-daemon-kvm": ["libvirt-daemon-system", "libvirt-daemon-driver-qemu",
                           "qemu-system-x86"],
    "libvirt-libs": ["libvirt0"],
    "libyaml": ["libyaml-0-2"],
    "qemu-img": ["qemu-utils"],
    "qemu-kvm": ["qemu-system-x86"],
    "qemu-kvm-core": ["qemu-system-x86"],
    "systemd-libs": ["libsystemd0"],
    "systemd-udev": ["udev"],
}

# Timers and jobs that would only make a boot longer and a hash differ.
MASKED = """
apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer e2scrub_reap.service
fstrim.timer logrotate.timer man-db.timer systemd-tmpfiles-clean.timer ModemManager.service
mdcheck_start.timer mdcheck_continue.timer mdmonitor-oneshot.timer wpa_supplicant.service
multipathd.service multipathd.socket iscsid.service iscsid.socket open-iscsi.service
""".split()

# What any machine has and no test is about: an emulated CPU takes seconds for each of them.
MASKED += """
dev-mqueue.mount sys-kernel-debug.mount sys-kernel-tracing.mount sys-fs-fuse-connections.mount
proc-sys-fs-binfmt_misc.automount systemd-binfmt.service modprobe@.service
systemd-update-utmp.service systemd-update-utmp-runlevel.service systemd-user-sessions.service
systemd-random-seed.service systemd-sysusers.service systemd-journal-flush.service
systemd-logind.service systemd-hostnamed.service libvirt-guests.service
NetworkManager-dispatcher.service systemd-rfkill.service systemd-rfkill.socket
""".split()
NOT_ASKED = "acpi clocksource clockevents cpu event_source input mem memory node pnp tty vc vtconsole " \
    "workqueue".split()
GENERATORS = """
cryptsetup getty gpt-auto hibernate-resume integritysetup rc-local run system-update sysv veritysetup
""".split()


# Of the initial file system only what mounts the root disk: no udev, which would look at all devices
# twice, and no RAID, which measures its own speed first.
EXCLUDED = [f"/usr/share/initramfs-tools/{path}" for path in """
hooks/bcache hooks/dmsetup hooks/iscsi hooks/keymap hooks/lvm2 hooks/mdadm hooks/resume
hooks/sg3-utils hooks/thermal hooks/udev hooks/xfs scripts/init-top/* scripts/init-bottom/*
scripts/local-*/*
""".split()]
# Which libvirt would ask what it can do, at the first boot, for ten seconds.
EXCLUDED += ["/usr/bin/qemu-system-i386", "/usr/bin/qemu-system-x86_64-microvm"]


class Unavailable(Exception):
    """This machine cannot run the lab; the text says what it lacks."""


def cache_dir():
    if os.environ.get("QUBI_LAB_CACHE"):
        return pathlib.Path(os.environ["QUBI_LAB_CACHE"])
    base = os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache"
    return pathlib.Path(base) / "qubi-agent" / "lab"


def require(*commands):
    missing = [command for command in commands if not shutil.which(command)]
    if missing:
        raise Unavailable("not installed: " + " ".join(missing))


def digest(*parts):
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


def sources():
    """The machine's own package sources, so that a local mirror is honoured."""
    own = pathlib.Path("/etc/apt/sources.list.d/debian.sources")
    return [str(own)] if own.exists() else []


def base_key():
    return digest(*sorted(PACKAGES), *EXCLUDED, *(f.read_text() for f in sorted((GUEST / "initramfs").iterdir())))


def image_key():
    files = sorted(f for f in GUEST.iterdir() if f.is_file())
    return digest(base_key(), pathlib.Path(__file__).read_text(),
                  *(f.name + f.read_text() for f in files))


def run(argv, **options):
    """A quiet child whose output is only worth reading when it failed."""
    done = subprocess.run([str(a) for a in argv], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, check=False, **options)
    if done.returncode:
        raise RuntimeError(f"{argv[0]} ended with {done.returncode}:\n{done.stdout[-4000:]}")
    return done.stdout


@contextlib.contextmanager
def building(target):
    """Yields a scratch path that becomes target when all went well, or None when it is there."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with open(target.parent / f".{target.name}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if target.exists():
            yield None
            return
        scratch = pathlib.Path(tempfile.mkdtemp(prefix=".build-", dir=target.parent))
        try:
            yield scratch
        finally:
            shutil.rmtree(scratch, ignore_errors=True)


def build_base(target, say):
    with building(target) as scratch:
        if not scratch:
            return
        require("mmdebstrap", "tar")
        started = time.monotonic()
        say(f"fetching {len(PACKAGES)} packages and what they need")
        hooks = [
            'mkdir -p "$1/etc/initramfs-tools/conf.d" "$1/etc/initramfs-tools/hooks" '
            '"$1/etc/initramfs-tools/scripts/init-bottom"',
            f"upload {shlex.quote(str(GUEST))}/initramfs/conf /etc/initramfs-tools/conf.d/lab",
            f"upload {shlex.quote(str(GUEST))}/initramfs/hook /etc/initramfs-tools/hooks/lab",
            f"upload {shlex.quote(str(GUEST))}/initramfs/init-bottom "
            "/etc/initramfs-tools/scripts/init-bottom/lab",
            'chmod 755 "$1/etc/initramfs-tools/hooks/lab" '
            '"$1/etc/initramfs-tools/scripts/init-bottom/lab"',
        ]
        tar = scratch / "base.tar"
        run(["mmdebstrap", "--variant=minbase", "--include=" + ",".join(PACKAGES),
             *("--essential-hook=" + hook for hook in hooks),
             *("--dpkgopt=path-exclude=" + path for path in EXCLUDED), "bookworm", tar, *sources()])
        tar.rename(target)
        say(f"packages: {time.monotonic() - started:.0f} s, {target.stat().st_size >> 20} MiB")


def write(path, text, mode=0o644):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)


def customise(root):
    """Everything that makes a Debian tree into a machine of the lab."""
    for name, mode in (("agent.py", 0o755), ("setup.sh", 0o755)):
        write(root / "usr/lib/qubi-lab" / name, (GUEST / name).read_text(), mode)
    units = root / "etc/systemd/system"
    for name, wanted_by in (("qubi-lab-agent.service", "multi-user.target"),
                            ("qubi-lab-setup.service", "sysinit.target")):
        write(units / name, (GUEST / name).read_text())
        wants = units / f"{wanted_by}.wants"
        wants.mkdir(exist_ok=True)
        (wants / name).symlink_to(f"/etc/systemd/system/{name}")
    for name in MASKED:
        (units / name).unlink(missing_ok=True)
        (units / name).symlink_to("/dev/null")
    generators = root / "etc/systemd/system-generators"
    generators.mkdir()
    for name in GENERATORS:
        (generators / f"systemd-{name}-generator").symlink_to("/dev/null")
    write(units / "systemd-udev-trigger.service.d/lab.conf", "[Service]\nExecStart=\n"
          "ExecStart=udevadm trigger --type=all --action=add --prioritized-subsystem=module,block,net"
          + "".join(f" --subsystem-nomatch={name}" for name in NOT_ASKED) + "\n")
    # An emulated machine on a busy host is slow, which must not look like a failure in it.
    write(root / "etc/systemd/system.conf.d/lab.conf",
          "[Manager]\nDefaultTimeoutStartSec=10min\nDefaultDeviceTimeoutSec=10min\n")
    write(units / "serial-getty@.service.d/lab.conf",
          "[Service]\nExecStart=\nExecStart=-/sbin/agetty -a root --keep-baud 115200 - $TERM\n")
    write(root / "etc/fstab", f"LABEL={LABEL} / ext4 rw 0 0\n")
    write(root / "etc/hostname", "lab\n")
    write(root / "etc/hosts", "127.0.0.1 localhost lab\n::1 localhost lab\n")
    (root / "etc/machine-id").unlink(missing_ok=True)
    write(root / "etc/machine-id", MACHINE_ID + "\n", 0o444)
    (root / "etc/network/interfaces").unlink(missing_ok=True)
    # Debian's rpm keeps its database in the home directory of whoever calls it.
    write(root / "etc/rpm/macros.lab", "%_dbpath /var/lib/rpm\n")
    run(["chroot", root, "passwd", "-d", "root"])
    shutil.rmtree(root / "var/cache/apt", ignore_errors=True)
    shutil.rmtree(root / "var/lib/apt/lists", ignore_errors=True)


def library_provides(root):
    """What rpm's own generator says the guest's shared libraries offer."""
    elfdeps = next((p for p in ("/usr/lib/rpm/elfdeps", "/usr/lib64/rpm/elfdeps")
                    if os.access(p, os.X_OK)), None)
    if not elfdeps:
        raise Unavailable("rpm's elfdeps is not installed")
    libraries = [str(f) for d in ("usr/lib/x86_64-linux-gnu", "usr/lib64", "usr/lib")
                 for f in sorted((root / d).glob("*.so*")) if f.is_file()]
    output = run([elfdeps, "--provides"], input="\n".join(libraries) + "\n")
    # The linker itself is asked for under a name of its own by whatever has a GNU hash.
    return sorted(set(output.split("\n")) - {""} | {"rtld(GNU_HASH)"})


def package_provides(root):
    listing = run(["chroot", root, "dpkg-query", "-W", "-f", "${Package} ${Version}\\n"])
    versions = {}
    for line in listing.splitlines():
        name, version = line.split()
        versions[name] = re.sub(r"-[^-]*$", "", version.split(":")[-1]).replace("-", ".")
    names = dict(versions)
    for name, stands_for in EL_NAMES.items():
        if all(package in versions for package in stands_for):
            names[name] = versions[stands_for[0]]
    return [f"{name} = {version}" for name, version in sorted(names.items())]


def command_provides(root):
    commands = []
    for folder in ("bin", "sbin"):
        for entry in sorted((root / "usr" / folder).iterdir()):
            if re.fullmatch(r"[A-Za-z0-9._+-]+", entry.name):
                commands += [f"/usr/{folder}/{entry.name}", f"/{folder}/{entry.name}"]
    return commands


def install_provides(root, scratch):
    """One small RPM that tells rpm what this guest has, so that Requires are really checked."""
    provides = library_provides(root) + package_provides(root) + command_provides(root)
    spec = scratch / "lab-provides.spec"
    spec.write_text("\n".join([
        "Name: lab-provides", "Version: 1", "Release: 1", "Summary: What this lab machine has",
        "License: Apache-2.0", "BuildArch: noarch",
        *(f"Provides: {item}" for item in provides),
        "%description", "Computed from the packages, libraries and commands of the guest.",
        "%files", ""]))
    run(["rpmbuild", "-bb", "--define", f"_topdir {scratch}/rpm", spec])
    rpm = next((scratch / "rpm/RPMS").rglob("*.rpm"))
    shutil.copy(rpm, root / "root/lab-provides.rpm")
    run(["chroot", root, "rpm", "-i", "/root/lab-provides.rpm"],
        env={"PATH": os.environ["PATH"], "HOME": "/root"})


def build_image(base, target, say):
    with building(target) as scratch:
        if not scratch:
            return
        require("mke2fs", "rpmbuild", "tar", "chroot")
        started = time.monotonic()
        root = scratch / "root"
        root.mkdir(mode=0o755)
        run(["tar", "-x", "--xattrs", "--xattrs-include=*", "--numeric-owner", "-C", root,
             "-f", base, "--exclude=./dev/*"])
        customise(root)
        install_provides(root, scratch)
        out = scratch / "image"
        out.mkdir()
        for name in ("vmlinuz", "initrd.img"):
            newest = max((root / "boot").glob(name + "-*"))
            shutil.copy(newest, out / name)
        run(["mke2fs", "-q", "-t", "ext4", "-L", LABEL, "-E", "lazy_itable_init=0,root_owner=0:0",
             "-d", root, out / "root.img", "4G"])
        out.rename(target)
        say(f"root image: {time.monotonic() - started:.0f} s")


def forget_unused(keep):
    """Yesterday's images go when nobody has used them for a while."""
    oldest = time.time() - UNUSED_DAYS * 86400
    for entry in cache_dir().iterdir():
        if entry in keep or not entry.name.startswith(("image-", "base-")):
            continue
        if entry.stat().st_mtime < oldest:
            shutil.rmtree(entry) if entry.is_dir() else entry.unlink()


def ensure(say=print):
    """The folder with root.img, vmlinuz and initrd.img; built when it is not there yet."""
    if os.geteuid() != 0:
        raise Unavailable("needs root, to build a root image")
    base = cache_dir() / f"base-{base_key()}.tar"
    image = cache_dir() / f"image-{image_key()}"
    if not image.exists():
        build_base(base, say)
        build_image(base, image, say)
        forget_unused({base, image})
    for used in (base, image):
        if used.exists():
            os.utime(used)
    return image


if __name__ == "__main__":
    try:
        print(ensure(lambda text: print(text, file=sys.stderr)))
    except Unavailable as reason:
        sys.exit(f"the lab cannot run here: {reason}")
