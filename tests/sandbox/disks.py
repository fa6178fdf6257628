# SPDX-License-Identifier: Apache-2.0
"""Loop disks of the sandbox: their contents, and how they come and go."""

import ctypes
import errno
import fcntl
import os
import random
import struct
import subprocess
import time
import uuid
import zlib

MIB = 1 << 20
SECTOR = 512

# linux/loop.h
LOOP_CTL_REMOVE = 0x4C81
LOOP_CTL_GET_FREE = 0x4C82
LOOP_CONFIGURE = 0x4C0A
LO_FLAGS_AUTOCLEAR = 4
# linux/blkpg.h
BLKPG = 0x1269
BLKPG_ADD_PARTITION = 1
BLKPG_DEL_PARTITION = 2


class LoopInfo(ctypes.Structure):
    _fields_ = [
        ("lo_device", ctypes.c_uint64), ("lo_inode", ctypes.c_uint64),
        ("lo_rdevice", ctypes.c_uint64), ("lo_offset", ctypes.c_uint64),
        ("lo_sizelimit", ctypes.c_uint64), ("lo_number", ctypes.c_uint32),
        ("lo_encrypt_type", ctypes.c_uint32), ("lo_encrypt_key_size", ctypes.c_uint32),
        ("lo_flags", ctypes.c_uint32), ("lo_file_name", ctypes.c_uint8 * 64),
        ("lo_crypt_name", ctypes.c_uint8 * 64), ("lo_encrypt_key", ctypes.c_uint8 * 32),
        ("lo_init", ctypes.c_uint64 * 2),
    ]


class LoopConfig(ctypes.Structure):
    _fields_ = [
        ("fd", ctypes.c_uint32), ("block_size", ctypes.c_uint32), ("info", LoopInfo),
        ("reserved", ctypes.c_uint64 * 8),
    ]


def blkpg(fd, op, number, start=0, size=0):
    part = struct.pack("qqi64s64s4x", start, size, number, b"", b"")
    data = ctypes.create_string_buffer(part)
    fcntl.ioctl(fd, BLKPG, struct.pack("iii4xP", op, 0, len(part), ctypes.addressof(data)))


def add_partition(fd, number, start, size):
    """Tells the kernel of a partition: one built without partition tables reads none."""
    blkpg(fd, BLKPG_ADD_PARTITION, number, start, size)


def partitions(number):
    folder = f"/sys/devices/virtual/block/loop{number}"
    prefix = f"loop{number}p"
    return [int(n[len(prefix):]) for n in os.listdir(folder) if n.startswith(prefix)]


def attach(path):
    """Attaches a file, returns (number, fd of the device).

    The kernel detaches it when it is closed for the last time (AUTOCLEAR), so whoever holds fd
    decides how long it lives, however he ends. No LO_FLAGS_PARTSCAN: where the kernel knows no
    partition tables, rereading one (as udevd does) would take away what BLKPG has added.
    """
    with open("/dev/loop-control", "rb") as control, open(path, "r+b") as backing:
        for _ in range(100):
            number = fcntl.ioctl(control, LOOP_CTL_GET_FREE)
            config = LoopConfig(fd=backing.fileno())
            config.info.lo_flags = LO_FLAGS_AUTOCLEAR
            config.info.lo_file_name[:len(path)] = path.encode()[:63]
            try:
                fd = os.open(f"/dev/loop{number}", os.O_RDWR | os.O_CLOEXEC)
            except OSError:
                continue  # another sandbox was quicker, and has removed it again
            try:
                fcntl.ioctl(fd, LOOP_CONFIGURE, config)
                for p in partitions(number):  # of somebody who did not tidy up
                    blkpg(fd, BLKPG_DEL_PARTITION, p)
                return number, fd
            except OSError as e:
                os.close(fd)
                if e.errno != errno.EBUSY:
                    raise
    raise OSError(errno.EBUSY, "no free loop device")


def sequence(number):
    """What tells this attachment of a loop device from the next one; None when it is free."""
    folder = f"/sys/devices/virtual/block/loop{number}"
    try:
        with open(folder + "/diskseq", "rb") as f:
            return f.read() if os.path.exists(folder + "/loop") else None
    except OSError:
        return None


def release(number, fd):
    """Closes a disk whose users have all been killed, and waits until the kernel has let go."""
    mine = sequence(number)
    end = time.monotonic() + 10
    while time.monotonic() < end:  # file systems are unmounted a moment after the end
        try:
            for p in partitions(number):
                blkpg(fd, BLKPG_DEL_PARTITION, p)
            break
        except OSError as e:
            if e.errno != errno.EBUSY:
                break
            time.sleep(0.005)
    os.close(fd)
    while mine and sequence(number) == mine and time.monotonic() < end:
        time.sleep(0.005)
    # What the kernel made on demand, beyond those of the boot, goes again.
    try:
        with open("/sys/module/loop/parameters/max_loop", "rb") as f:
            at_boot = int(f.read())
        if number >= at_boot:
            with open("/dev/loop-control", "rb") as control:
                fcntl.ioctl(control, LOOP_CTL_REMOVE, number)
    except OSError:
        pass  # in use again, by another


def blank(path, size):
    with open(path, "wb") as f:
        f.truncate(size)


def ext4(path):
    """A file system with a file in it, as one that somebody still needs; big enough to tempt."""
    blank(path, 640 * MIB)
    folder = path + ".d"
    os.mkdir(folder)
    with open(folder + "/thesis.txt", "w", encoding="utf-8") as f:
        f.write("The only copy.\n" * 1000)
    subprocess.run(["/sbin/mke2fs", "-q", "-F", "-t", "ext4", "-L", "precious", "-d", folder, path],
                   check=True)
    os.unlink(folder + "/thesis.txt")
    os.rmdir(folder)


LINUX_DATA = uuid.UUID("0fc63daf-8483-4772-8e79-3d69d8477de4")


def gpt(path):
    """Two GPT partitions without a file system in them, main and backup table as in the UEFI
    specification, chapter 5."""
    size = 64 * MIB
    last = size // SECTOR - 1
    entries = bytearray(128 * 128)
    for i, (name, first, end) in enumerate((("boot", 2048, 34815), ("data", 34816, 129023))):
        struct.pack_into("<16s16sQQQ72s", entries, i * 128, LINUX_DATA.bytes_le,
                         uuid.UUID(int=0x1111 + i).bytes_le, first, end, 0,
                         name.encode("utf-16-le"))

    def header(mine, other, table):
        fields = [b"EFI PART", 0x10000, 92, 0, 0, mine, other, 34, last - 33,
                  uuid.UUID(int=0x1110).bytes_le, table, 128, 128, zlib.crc32(entries)]
        fields[3] = zlib.crc32(struct.pack("<8sIIIIQQQQ16sQIII", *fields))
        return struct.pack("<8sIIIIQQQQ16sQIII", *fields)

    with open(path, "wb") as f:
        f.truncate(size)
        f.seek(446)
        f.write(struct.pack("<BBBBBBBBII", 0, 0, 2, 0, 0xEE, 0xFF, 0xFF, 0xFF, 1, last))
        f.write(bytes(48) + b"\x55\xaa")
        f.write(header(1, last, 2).ljust(SECTOR, b"\0") + entries)
        f.seek((last - 32) * SECTOR)
        f.write(entries + header(last, 1, last - 32).ljust(SECTOR, b"\0"))


def lvm(path):
    """The label of an LVM physical volume, as pvcreate writes it: lib/format_text/layout.h.

    By hand, since pvcreate wants a device-mapper that the kernel may not have.
    """
    size = 64 * MIB
    letters = "0123456789abcdefghijklmnopqrstuvwxyz"
    rng = random.SystemRandom()  # two sandboxes at once are two PVs
    ident = "".join(rng.choice(letters) for _ in range(32)).encode()
    areas = struct.pack("<QQQQ", MIB, 0, 0, 0) + struct.pack("<QQQQ", 4096, MIB - 4096, 0, 0)
    pv_header = ident + struct.pack("<Q", size) + areas + struct.pack("<IIQQ", 2, 0, 0, 0)
    body = struct.pack("<I8s", 32, b"LVM2 001") + pv_header
    body = body.ljust(SECTOR - 20, b"\0")
    label = struct.pack("<8sQI", b"LABELONE", 1, lvm_crc(body)) + body
    area = struct.pack("<16sIQQ", b" LVM2 x[5A%r0N*>", 1, 4096, MIB - 4096).ljust(SECTOR - 4, b"\0")
    with open(path, "wb") as f:
        f.truncate(size)
        f.seek(SECTOR)
        f.write(label)
        f.seek(4096)
        f.write(struct.pack("<I", lvm_crc(area)) + area)


def lvm_crc(data):
    """LVM's checksum: CRC-32 with a start value of its own, and not inverted."""
    return zlib.crc32(data, 0xF597A6CF ^ 0xFFFFFFFF) ^ 0xFFFFFFFF


# What --disks may name: environment variable, how it is made, partitions (start, size in bytes).
KINDS = {
    "blank": ("QB_BLANK", lambda path: blank(path, 1024 * MIB), []),
    "blank2": ("QB_BLANK2", lambda path: blank(path, 1024 * MIB), []),
    "ext4": ("QB_EXT4", ext4, []),
    "gpt": ("QB_GPT", gpt, [(MIB, 16 * MIB), (17 * MIB, 46 * MIB)]),
    "lvm": ("QB_LVM", lvm, []),
}
