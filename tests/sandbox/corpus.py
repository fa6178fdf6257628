# SPDX-License-Identifier: Apache-2.0
"""Images of disks that somebody needs: each is to be refused, with the right reason.

Most are made by the programs that make such disks. Where there is none to be had, or it needs a
driver that the kernel may not have (md, device-mapper, zfs), their structures are written here, as
the formats' own headers define them.
"""

import concurrent.futures
import glob
import os
import struct
import subprocess

import disks

MIB = disks.MIB
SIZE = 640 * MIB
SECTOR = disks.SECTOR
END_BYTES = 4 * MIB  # what is read of each end of a disk
PACKAGES = os.path.realpath(os.path.dirname(__file__) + "/../../build/tools")
UNPACKED = "/run/tools"
TREE = UNPACKED + "/tree"
THERE = "/run/sandbox/corpus.json"


class NoTool(Exception):
    """The program that makes it is not on this machine."""


class Image:
    def __init__(self, make, code, kinds):
        self.make, self.code, self.kinds = make, code, kinds


# name: how it is made, the code that has to be among the reasons against it (None: any that is
# about contents, since later versions of libblkid know its name), and the types they have to name.
IMAGES = {}


def image(name, make, code, *kinds):
    assert name not in IMAGES, name
    IMAGES[name] = Image(make, code, kinds)


# ------------------------------------------------------------------ how they are made

def environment():
    usr, arch = UNPACKED + "/usr", "x86_64-linux-gnu"
    here = [f"{UNPACKED}/sbin", f"{usr}/sbin", f"{usr}/bin"]
    return {**os.environ, "PATH": ":".join(["/usr/sbin", "/usr/bin", "/sbin", "/bin", *here]),
            "LD_LIBRARY_PATH": f"{usr}/lib/{arch}:{UNPACKED}/lib/{arch}", "LC_ALL": "C"}


def program(name):
    for folder in environment()["PATH"].split(":"):
        if os.access(f"{folder}/{name}", os.X_OK):
            return f"{folder}/{name}"
    raise NoTool(name)


def tool(*argv, text=None, size=SIZE):
    """A program, with {} for the image; one that makes a small file leaves the rest blank."""
    def make(path):
        disks.blank(path, size)
        words = [program(argv[0]), *(path if a == "{}" else a for a in argv[1:])]
        done = subprocess.run(words, input=text, stdin=None if text else subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
                              encoding="utf-8", errors="replace", env=environment())
        if done.returncode != 0:
            raise OSError(f"{' '.join(words)}: {done.stdout}")
        os.truncate(path, size)
    return make


def put(path, pieces):
    """Bytes at an offset; a negative one counts from the end."""
    with open(path, "r+b") as f:
        size = f.seek(0, os.SEEK_END)
        for offset, data in pieces:
            f.seek(offset if offset >= 0 else size + offset)
            f.write(data)


def written(*pieces, size=SIZE):
    def make(path):
        disks.blank(path, size)
        put(path, pieces)
    return make


def then(make, *more):
    """The same, and after it more bytes, or another maker's bytes: what they overwrite is gone."""
    def both(path):
        make(path)
        put(path, more)
    return both


def flipped(make, offset):
    """The same with every bit of one byte turned over."""
    def broken(path):
        make(path)
        with open(path, "r+b") as f:
            f.seek(offset, os.SEEK_SET if offset >= 0 else os.SEEK_END)
            byte = f.read(1)
            f.seek(-1, os.SEEK_CUR)
            f.write(bytes([byte[0] ^ 0xFF]))
    return broken


def over(first, second):
    """What the second maker writes over an image of the first; the rest of that shows through."""
    def make(path):
        first(path)
        second(path + ".over")
        with open(path, "r+b") as below, open(path + ".over", "rb") as above:
            end = 0
            while True:
                try:
                    start = os.lseek(above.fileno(), end, os.SEEK_DATA)
                except OSError:
                    break
                end = os.lseek(above.fileno(), start, os.SEEK_HOLE)
                above.seek(start)
                below.seek(start)
                below.write(above.read(end - start))
        os.unlink(path + ".over")
    return make


# ------------------------------------------------------------------ file systems, by their programs

EXT4 = tool("mke2fs", "-q", "-F", "-t", "ext4", "{}")
XFS = tool("mkfs.xfs", "-q", "{}")
BTRFS = tool("mkfs.btrfs", "-q", "{}")
F2FS = tool("mkfs.f2fs", "-q", "{}")
NILFS = tool("mkfs.nilfs2", "-q", "{}")
EXFAT = tool("mkfs.exfat", "{}")
VFAT = tool("mkfs.vfat", "-F", "32", "{}")
NTFS = tool("mkntfs", "-q", "-F", "-Q", "{}")
JFS = tool("jfs_mkfs", "-q", "{}")
REISERFS = tool("mkreiserfs", "-q", "-f", "-f", "{}")
SWAP = tool("mkswap", "-q", "{}")
UDF = tool("mkudffs", "-b", "512", "{}")
ISO = tool("mkisofs", "-quiet", "-o", "{}", TREE)
GFS2 = tool("mkfs.gfs2", "-O", "-p", "lock_nolock", "-J", "8", "{}")
OCFS2 = tool("mkfs.ocfs2", "-q", "-x", "-F", "-N", "1", "-M", "local", "{}")
EROFS = tool("mkfs.erofs", "{}", TREE)
SQUASHFS = tool("mksquashfs", TREE, "{}", "-noappend", "-quiet")
BCACHE = tool("make-bcache", "-B", "{}")
LUKS1 = tool("cryptsetup", "luksFormat", "-q", "--type", "luks1", "--pbkdf-force-iterations", "1000",
             "--key-file", "/etc/hostname", "{}")
LUKS2 = tool("cryptsetup", "luksFormat", "-q", "--type", "luks2", "--pbkdf", "pbkdf2",
             "--pbkdf-force-iterations", "1000", "--key-file", "/etc/hostname", "{}")

for name, made, kind in (
        ("ext2", tool("mke2fs", "-q", "-F", "-t", "ext2", "{}"), "ext2"),
        ("ext3", tool("mke2fs", "-q", "-F", "-t", "ext3", "{}"), "ext3"),
        ("ext4", EXT4, "ext4"),
        ("ext4-1k", tool("mke2fs", "-q", "-F", "-t", "ext4", "-b", "1024", "{}"), "ext4"),
        ("ext4-without-checksums",
         tool("mke2fs", "-q", "-F", "-t", "ext4", "-O", "^metadata_csum", "{}"), "ext4"),
        ("ext4-journal", tool("mke2fs", "-q", "-F", "-O", "journal_dev", "{}"), "jbd"),
        ("xfs", XFS, "xfs"),
        ("xfs-v4", tool("mkfs.xfs", "-q", "-m", "crc=0", "{}"), "xfs"),
        ("xfs-4k", tool("mkfs.xfs", "-q", "-s", "size=4096", "{}"), "xfs"),
        ("btrfs", BTRFS, "btrfs"),
        ("f2fs", F2FS, "f2fs"),
        ("nilfs2", NILFS, "nilfs2"),
        ("jfs", JFS, "jfs"),
        ("reiserfs", REISERFS, "reiserfs"),
        ("reiser4", tool("mkfs.reiser4", "-y", "-f", "{}"), "reiser4"),
        ("ntfs", NTFS, "ntfs"),
        ("exfat", EXFAT, "exfat"),
        ("vfat-16", tool("mkfs.vfat", "-F", "16", "{}"), "vfat"),
        ("vfat-32", VFAT, "vfat"),
        ("udf", UDF, "udf"),
        ("iso9660", ISO, "iso9660"),
        ("gfs2", GFS2, "gfs2"),
        ("ocfs2", OCFS2, "ocfs2"),
        ("minix-1", tool("mkfs.minix", "-1", "{}"), "minix"),
        ("minix-3", tool("mkfs.minix", "-3", "{}"), "minix"),
        ("bfs", tool("mkfs.bfs", "{}"), "bfs"),
        ("cramfs", tool("mkfs.cramfs", TREE, "{}"), "cramfs"),
        ("squashfs", SQUASHFS, "squashfs"),
        ("erofs", EROFS, "erofs"),
        ("romfs", tool("genromfs", "-f", "{}", "-d", TREE), "romfs"),
        ("hfs", tool("hformat", "-l", "some", "{}"), "hfs"),
        ("swap", SWAP, "swap"),
        ("luks1", LUKS1, "crypto_LUKS"),
        ("luks2", LUKS2, "crypto_LUKS"),
        ("bcache-backing", BCACHE, "bcache"),
        ("bcache-cache", tool("make-bcache", "-C", "{}"), "bcache")):
    image(name, made, "signature", kind)

# ------------------------------------------------------------------ partition tables

for kind in ("gpt", "dos", "sun", "sgi"):
    image(f"table-{kind}", tool("sfdisk", "-q", "{}", text=f"label: {kind}\n,100M\n,100M\n"),
          "partition-table", kind)
    image(f"table-{kind}-empty", tool("sfdisk", "-q", "{}", text=f"label: {kind}\n"),
          "partition-table", kind)
for label, kind in (("mac", "mac"), ("pc98", "dos"), ("dvh", "sgi"), ("msdos", "dos")):
    image(f"parted-{label}", tool("parted", "-s", "{}", "mklabel", label), "partition-table", kind)
# libblkid knows nothing of these, or not of an empty one: they are somebody's bytes.
for label in ("amiga", "atari", "bsd", "loop"):
    image(f"parted-{label}", tool("parted", "-s", "{}", "mklabel", label), "unknown-content")
for label, code in (("amiga", "unknown-content"), ("bsd", "partitions")):
    image(f"parted-{label}-used", tool("parted", "-s", "{}", "mklabel", label, "mkpart", "ext2",
                                       "1MiB", "100MiB"), code)


GPT = tool("sfdisk", "-q", "{}", text="label: gpt\n,100M\n,100M\n")
ZERO = bytes(SECTOR)
BACKUP = bytes(33 * SECTOR)
MBR_END = b"\x55\xaa"


def mbr_entry(number, kind, first, count):
    return (446 + 16 * number, struct.pack("<BBBBBBBBII", 0, 0, 2, 0, kind, 0xFF, 0xFF, 0xFF, first,
                                           count))


for name, made in (
        ("gpt-without-protective-mbr", then(GPT, (0, ZERO))),
        ("gpt-without-primary-header", then(GPT, (SECTOR, ZERO))),
        ("gpt-backup-only", then(GPT, (0, bytes(34 * SECTOR)))),
        ("gpt-without-backup", then(GPT, (-33 * SECTOR, BACKUP))),
        ("gpt-primary-header-damaged", flipped(GPT, SECTOR + 56)),
        ("gpt-primary-entries-damaged", flipped(GPT, 2 * SECTOR + 16)),
        ("gpt-backup-header-damaged", flipped(GPT, -SECTOR + 56)),
        ("gpt-backup-entries-damaged", flipped(GPT, -33 * SECTOR + 16)),
        ("gpt-both-headers-damaged", flipped(flipped(GPT, SECTOR + 56), -SECTOR + 56)),
        ("gpt-hybrid", then(GPT, mbr_entry(1, 0x83, 2048, 204800))),
        ("gpt-boot-flag", then(GPT, (446, b"\x80"))),
        ("protective-mbr-alone", written(mbr_entry(0, 0xEE, 1, SIZE // SECTOR - 1),
                                         (510, MBR_END)))):
    image(name, made, "partition-table")


def smaller_gpt(path):
    """A table of the disk as it was before it grew: its backup is no longer at the end."""
    GPT(path)
    os.truncate(path, 2 * SIZE)


image("gpt-of-a-disk-that-grew", smaller_gpt, "partition-table")
image("gpt-sector-by-sector-lost", then(GPT, (0, bytes(2 * SECTOR)), (-SECTOR, ZERO)),
      "unknown-content")
image("mbr-boot-code-only", written((0, b"\xeb\x63\x90" + bytes(range(200)))), "unknown-content")
image("mbr-signature-only", written((510, MBR_END)), "partition-table", "dos")
image("mbr-one-entry", written(mbr_entry(0, 0x83, 2048, 204800), (510, MBR_END)),
      "partition-table", "dos")
image("mbr-with-boot-code", written((0, b"\xeb\x63\x90GRUB"), mbr_entry(0, 0x83, 2048, 204800),
                                    (510, MBR_END)), "partition-table", "dos")
image("mbr-without-its-signature", written(mbr_entry(0, 0x83, 2048, 204800)), "unknown-content")


def bsd_label(offset):
    """sys/disklabel.h: 22 partitions at most, and all 16-bit words give 0."""
    label = bytearray(struct.pack("<IHH16s16s", 0x82564557, 0, 0, b"disk", b"pack"))
    label += struct.pack("<IIIIII", 512, 63, 16, 1000, 1008, SIZE // SECTOR).ljust(96 - 4, b"\0")
    label = bytearray(bytes(label[:132]).ljust(132, b"\0"))
    label += struct.pack("<IHHII", 0x82564557, 0, 3, 8192, 8192)
    for first, count in ((16, 200000), (0, 0), (0, SIZE // SECTOR)):
        label += struct.pack("<IIIBBH", count, first, 2048, 7, 8, 0)
    words = struct.unpack(f"<{len(label) // 2}H", label)
    total = 0
    for word in words:
        total ^= word
    struct.pack_into("<H", label, 136, total)
    return (offset, bytes(label))


image("bsd", written(bsd_label(512)), "partitions")
image("bsd-in-the-first-sector", written(bsd_label(64)), "partitions")
image("aix", written((0, b"\xc9\xc2\xd4\xc1" + bytes(400))), "partition-table", "aix")
image("dasd-ecdsa", written((8192, "VOL1QB0001".encode("cp500"))), "unknown-content")
image("dasd-ldl", written((1024, "LNX1QB0001".encode("cp500"))), "unknown-content")


image("atari", written((0x1C2, struct.pack(">I", SIZE // SECTOR) +
                        struct.pack(">B3sII", 1, b"LNX", 2048, 204800)), (0x1FE, b"\x12\x34")),
      "partition-table", "atari")

LAST = SIZE - SECTOR
PENULTIMATE = SIZE - 2 * SECTOR


def md0():
    """linux/raid/md_p.h, version 0.90: 64 KiB before the end, on a 64 KiB boundary."""
    head = struct.pack("<IIIIIIII", 0xA92B4EFC, 0, 90, 0, 0, 0x11111111, 0, 1)
    return written(((SIZE & ~0xFFFF) - 0x10000, head.ljust(4096, b"\0")))


def md1(minor):
    """linux/raid/md_p.h, version 1: at the end, at the beginning, or 4 KiB from it."""
    at = ((SIZE // SECTOR - 16 & ~7) * SECTOR, 0, 4096)[minor]
    head = bytearray(256 + 2 * 2)
    struct.pack_into("<IIII16s32s", head, 0, 0xA92B4EFC, 1, 0, 0, b"\x11" * 16, b"some:0")
    struct.pack_into("<QII", head, 64, 0, 1, 0)
    struct.pack_into("<QQQ", head, 128, 2048, SIZE // SECTOR - 4096, at // SECTOR)
    struct.pack_into("<I", head, 220, 2)
    total = sum(struct.unpack(f"<{len(head) // 4}I", head))
    struct.pack_into("<I", head, 216, ((total & 0xFFFFFFFF) + (total >> 32)) & 0xFFFFFFFF)
    return written((at, bytes(head)))


# ------------------------------------------------------------------ one byte of it broken

for name, made, offset, kind in (
        ("ext4-superblock-checksum", EXT4, 1024 + 0x3FC, "ext4"),
        ("ext4-superblock-field", EXT4, 1024 + 0x30, "ext4"),
        ("xfs-superblock-checksum", XFS, 224, "xfs"),
        ("xfs-superblock-field", XFS, 0x70, "xfs"),
        ("btrfs-superblock-checksum", BTRFS, 65536, "btrfs"),
        ("f2fs-superblock-field", F2FS, 1024 + 40, "f2fs"),
        ("nilfs2-superblock-checksum", NILFS, 1024 + 16, "nilfs2"),
        ("luks2-header-checksum", LUKS2, 0x1C0, "crypto_LUKS"),
        ("luks2-second-header-checksum", LUKS2, 0x4000 + 0x1C0, "crypto_LUKS"),
        ("jfs-superblock-field", JFS, 32768 + 8, "jfs"),
        ("exfat-boot-region-checksum", EXFAT, 11 * 512, "exfat"),
        ("erofs-superblock-checksum", EROFS, 1024 + 4, "erofs"),
        ("bcache-checksum", BCACHE, 4096, "bcache"),
        ("nilfs2-first-magic", NILFS, 1030, "nilfs2"),
        ("md-1.2-checksum", md1(2), 4096 + 216, "linux_raid_member")):
    image(name, flipped(made, offset), "signature", kind)

# ... so that nobody could say its name.
for name, made, offset in (
        ("ext4-magic", EXT4, 1024 + 0x38), ("xfs-magic", XFS, 0), ("swap-magic", SWAP, 4086),
        ("luks1-magic", LUKS1, 0), ("jfs-magic", JFS, 32768),
        ("reiserfs-magic", REISERFS, 65536 + 0x34), ("udf-descriptor", UDF, 16 * 2048 + 4),
        ("minix-magic", tool("mkfs.minix", "-1", "{}"), 1024 + 16), ("squashfs-magic", SQUASHFS, 0),
        ("erofs-magic", EROFS, 1024), ("bcache-magic", BCACHE, 4096 + 24),
        ("lvm-magic", disks.lvm, SECTOR)):
    image(name, flipped(made, offset), "unknown-content")
image("ntfs-magic", flipped(NTFS, 3), "partition-table", "dos")
image("lvm-label-checksum", flipped(disks.lvm, SECTOR + 100), None)

# ------------------------------------------------------------------ its beginning gone

for name, made, known_without in (
        ("ext4", EXT4, 512), ("xfs", XFS, 0), ("btrfs", BTRFS, 4096), ("f2fs", F2FS, 512),
        ("luks2", LUKS2, 4096), ("ntfs", NTFS, 0), ("vfat", VFAT, 0)):
    for length in (512, 4096, 65536 + 4096):
        image(f"{name}-without-its-first-{length}", then(made, (0, bytes(length))),
              "signature" if length <= known_without else "unknown-content")

# ------------------------------------------------------------------ members of arrays and of volumes

for minor in range(3):
    image(f"md-1.{minor}", md1(minor), "signature", "linux_raid_member")
image("md-0.90", md0(), "signature", "linux_raid_member")

image("intel-raid", written((PENULTIMATE, b"Intel Raid ISM Cfg Sig. 1.2.00")), "signature",
      "isw_raid_member")
image("lsi-raid", written((LAST, b"$XIDE$")), "signature", "lsi_mega_raid_member")
image("highpoint-45x-raid", written((SIZE - 11 * SECTOR, struct.pack("<I", 0x5A7816F3))),
      "signature", "hpt45x_raid_member")
image("highpoint-37x-raid", written((9 * SECTOR + 32, struct.pack("<I", 0x5A7816F0))),
      "signature", "hpt37x_raid_member")
image("promise-raid", written((SIZE - 63 * SECTOR, b"Promise Technology, Inc.")), "signature",
      "promise_fasttrack_raid_member")
image("adaptec-raid", written((LAST, struct.pack(">I", 0x37FC4D1E)),
                              (LAST + 32, b"DPTM")), None)
image("nvidia-raid", written((PENULTIMATE, b"NVIDIA  " + struct.pack("<II", 30, 0))), None)
image("silicon-raid", written((LAST + 0x60, struct.pack("<I", 0x2F000000))), None)
image("via-raid", written((LAST, struct.pack("<HB", 0xAA55, 1))), None)
image("jmicron-raid", written((LAST, b"JM" + struct.pack("<HH", 1, 0))), None)
image("ddf-raid", written((LAST, struct.pack(">II", 0xDE11DE11, 0))), None)
image("drbd", written((SIZE - 4096 + 68, struct.pack(">I", 0x8374026B))), None)

image("lvm", disks.lvm, "signature", "LVM2_member")
image("lvm-metadata-alone", then(disks.lvm, (0, bytes(4096))), "unknown-content")
image("lvm1", written((0, b"HM" + struct.pack("<HIIII", 1, 0, 0x400, 0x400, 0x1000))), None)
image("snapshot-cow", written((0, b"SnAp" + struct.pack("<III", 1, 1, 8))), "signature",
      "DM_snapshot_cow")
image("verity", written((0, b"verity\0\0" + struct.pack("<II", 1, 1) + b"\x11" * 16)), "signature",
      "DM_verity_hash")
image("integrity", written((0, b"integrt\0" + struct.pack("<BB", 1, 0))), None)
image("vdo", written((0, b"dmvdo001" + bytes(300))), None)
image("stratis", written((SECTOR + 4, b"!Stra0tis\x86\xff\x02^\x41rh")), None)
image("ceph-bluestore", written((0, b"bluestore block device\n")), "signature", "ceph_bluestore")
image("oracleasm", written((32, b"ORCLDISK" + b"DATA0001")), None)
image("luks2-second-header-alone", then(LUKS2, (0, bytes(0x4000))), "signature", "crypto_LUKS")
image("bitlocker", written((0, b"\xeb\x58\x90-FVE-FS-"), (510, MBR_END)), None)


def zfs(*labels):
    """Of each vdev label, 256 KiB long, the second half is a ring of uberblocks of 1 KiB."""
    return written(*((at + 131072 + 1024 * n, struct.pack("<QQQQ", 0x00BAB10C, 5000, n, n + 1))
                     for at in labels for n in range(8)))


image("zfs", zfs(0, 262144, SIZE - 524288, SIZE - 262144), "signature", "zfs_member")
image("zfs-last-labels-alone", zfs(SIZE - 524288, SIZE - 262144), "signature", "zfs_member")
image("zfs-too-few-uberblocks", written((131072, struct.pack("<QQ", 0x00BAB10C, 5000))), None)

# ------------------------------------------------------------------ file systems of other systems

image("bcachefs", written((4096 + 24, bytes.fromhex("c68573f64e1a45ca8265f57f48ba6d81"))), None)
image("apfs", written((32, b"NXSB" + struct.pack("<I", 4096))), None)
image("core-storage", written((88, b"CS")), None)
image("scoutfs", written((0, struct.pack("<IIQ", 0, 0, 0x554F4353))), None)
image("refs", written((0, b"\0\0\0ReFS\0")), None)
image("vmfs", written((2 * MIB, struct.pack("<I", 0x2FABF15E))), "signature", "VMFS")
image("vmfs-volume", written((MIB, struct.pack("<I", 0xC001D00D))), "signature",
      "VMFS_volume_member")
image("ufs1", written((8192 + 0x55C, struct.pack("<I", 0x00011954))), None)
image("ufs2", written((65536 + 0x55C, struct.pack("<I", 0x19540119))), None)
image("ufs2-big-endian", written((65536 + 0x55C, struct.pack(">I", 0x19540119))), None)
image("hpfs", written((8192, struct.pack("<II", 0xF995E849, 0xFA53E9C5)),
                      (8704, struct.pack("<I", 0xF9911849))), None)
image("vxfs", written((1024, struct.pack("<I", 0xA501FCF5))), None)
image("befs", written((512 + 32, struct.pack("<I", 0x42465331))), None)
image("hfsplus", written((1024, b"H+" + struct.pack(">H", 4)), (1024 + 40, struct.pack(">I", 4096))),
      None)
image("netware", written((4096, b"SPB5")), None)
image("sysv", written((1024 + 0x1F8, struct.pack("<I", 0xFD187E20))), None)
image("ubi", written((0, b"UBI#\x01")), None)
image("ubifs", written((0, struct.pack("<I", 0x06101831))), None)
image("zonefs", written((0, struct.pack("<I", 0x5A4F4653))), None)

# ------------------------------------------------------------------ bytes that nobody knows

for where in (0, 1, 511, 512, 4095, 4096, 65535, 65536, MIB, 2 * MIB + 7, END_BYTES - 1, -END_BYTES,
              -2 * MIB, -MIB, -65537, -65536, -4096, -513, -512, -1):
    image(f"a-byte-at{where:+d}", written((where, b"\x01")), "unknown-content")
image("text", written((0, b"The only copy.\n" * 1000)), "unknown-content")
image("noise", written(*((n * 65536, os.urandom(4096)) for n in range(64))), None)
image("all-ones", written((0, b"\xff" * END_BYTES), (-END_BYTES, b"\xff" * END_BYTES)), None)

# ------------------------------------------------------------------ two at once

ISW = written((PENULTIMATE, b"Intel Raid ISM Cfg Sig. 1.2.00"))
image("ext4-in-front-of-md", over(md0(), EXT4), "ambiguous", "ext4", "linux_raid_member")
image("gpt-and-zfs", over(zfs(SIZE - 524288, SIZE - 262144), GPT), "partition-table", "gpt",
      "zfs_member")
image("mbr-over-btrfs", over(BTRFS, tool("sfdisk", "-q", "{}", text="label: dos\n,100M\n")),
      "partition-table", "dos", "btrfs")
image("iso9660-with-mbr", over(ISO, written(mbr_entry(0, 0x17, 64, 200), (510, MBR_END))),
      "partition-table", "dos", "iso9660")
image("intel-raid-and-gpt", over(GPT, ISW), "partition-table", "gpt", "isw_raid_member")
image("gpt-over-ext4", over(EXT4, GPT), "partition-table", "gpt")
# The later one has overwritten the name of the other, not its data.
for name, made, kind in (
        ("xfs-over-ext4", over(EXT4, XFS), "xfs"), ("ext4-over-xfs", over(XFS, EXT4), "ext4"),
        ("vfat-over-ext4", over(EXT4, VFAT), "vfat"), ("btrfs-over-xfs", over(XFS, BTRFS), "btrfs"),
        ("swap-over-ext4", over(EXT4, SWAP), "swap"),
        ("luks2-over-ext4", over(EXT4, LUKS2), "crypto_LUKS"),
        ("lvm-over-xfs", over(XFS, disks.lvm), "LVM2_member"),
        ("iso9660-and-udf", over(ISO, UDF), "udf")):
    image(name, made, "signature", kind)


# ------------------------------------------------------------------ all of them

def unpack():
    """What make deps has fetched and not installed: some of it would bring daemons along."""
    for package in sorted(glob.glob(PACKAGES + "/*.deb")):
        subprocess.run(["/usr/bin/dpkg", "-x", package, UNPACKED], check=True)
    os.makedirs(TREE, exist_ok=True)
    with open(TREE + "/thesis.txt", "w", encoding="utf-8") as f:
        f.write("The only copy.\n" * 100)


def make_all(folder):
    """Makes FOLDER/NAME.img of all that can be made here; {name: program that is missing}."""
    unpack()

    def make(name):
        try:
            IMAGES[name].make(f"{folder}/{name}.img")
        except NoTool as e:
            os.unlink(f"{folder}/{name}.img")
            return str(e)
        return None

    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        return {n: why for n, why in zip(IMAGES, pool.map(make, IMAGES)) if why}
