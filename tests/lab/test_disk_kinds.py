# SPDX-License-Identifier: Apache-2.0
"""Disks of every kind that a kernel and QEMU can show: each is refused for what it is, by that
reason alone where there is no second one, and nothing is written."""
import time

import lab
import vm
from lab import expect

SIZE = 600 << 20
WWN = 0x5000000000000001

# Serial number: kind, what is done to it in the machine, and the reasons that it then has.
SETUPS = {
    "QBFREE": ("virtio", "", set()),
    "QB4K": ("virtio", "", set()),
    "QBNVME": ("nvme", "", set()),
    "QBRO": ("virtio", "", {"read-only"}),
    "QBUSB": ("usb", "", {"removable"}),
    "QBREMOVABLE": ("scsi", "", {"removable"}),
    "QBDM": ("scsi", "dmsetup create mapped --table \"0 $(blockdev --getsz $DISK) linear $DISK 0\"",
             {"holder"}),
    "QBMD": ("scsi", "mdadm --build /dev/md/built --run --force --level=linear --raid-devices=1 "
             "$DISK", {"holder"}),
    "QBBCACHE": ("scsi", "make-bcache -B $DISK && { echo $DISK >/sys/fs/bcache/register || true; }",
                 {"holder", "signature"}),
    "QBSWAP": ("scsi", "mkswap -q $DISK && swapon $DISK", {"swap", "signature", "system-disk"}),
    "QBPV": ("scsi", "pvcreate -q $DISK && mkdir -p /etc/lvm/devices && "
             "echo 'devices { use_devicesfile = 1 }' >/etc/lvm/lvmlocal.conf && "
             "echo VERSION=1.1.1 >/etc/lvm/devices/system.devices",
             {"signature", "foreign-pv"}),
    "QBOPEN": ("scsi", "systemd-run -q --unit=opener sh -c \"exec sleep infinity <$DISK\"", {"open"}),
    "QBEXCL": ("scsi", "systemd-run -q --unit=holds python3 -c \"import os, time; "
               "os.open('$DISK', os.O_RDWR | os.O_EXCL); time.sleep(9999)\"", {"open", "holder"}),
    "QBHIDDEN": ("scsi", "mkfs.xfs -q $DISK && systemd-run -q --unit=elsewhere -p PrivateMounts=yes "
                 "sh -c \"mount $DISK /mnt && sleep infinity\"", {"mounted", "signature"}),
}
MORE = {"QB4K": {"more": "logical_block_size=4096,physical_block_size=4096"},
        "QBRO": {"drive": "readonly=on"},
        "QBUSB": {"more": "removable=on"}, "QBREMOVABLE": {"more": "removable=on"}}

# What has no serial number of its own, by the kernel's name.
MADE = """
modprobe null_blk nr_devices=1 zoned=1 gb=1 zone_size=16
modprobe nbd
truncate -s 600M /root/nbd.img /root/iscsi.img
qemu-nbd -f raw -c /dev/nbd0 /root/nbd.img
modprobe -a target_core_mod target_core_file iscsi_target_mod iscsi_tcp
mount -t configfs configfs /sys/kernel/config
cd /sys/kernel/config/target
mkdir -p core/fileio_0/disk
echo fd_dev_name=/root/iscsi.img,fd_dev_size=$((600 << 20)) >core/fileio_0/disk/control
echo QBISCSI >core/fileio_0/disk/wwn/vpd_unit_serial
echo 1 >core/fileio_0/disk/enable
target=iscsi/iqn.2003-01.org.example:disk
mkdir -p $target/tpgt_1/lun/lun_0 $target/tpgt_1/np/127.0.0.1:3260
ln -s /sys/kernel/config/target/core/fileio_0/disk $target/tpgt_1/lun/lun_0/disk
echo 0 >$target/tpgt_1/attrib/authentication
echo 1 >$target/tpgt_1/attrib/generate_node_acls
echo 0 >$target/tpgt_1/attrib/demo_mode_write_protect
echo 1 >$target/tpgt_1/enable
iscsid
iscsiadm -m discovery -t sendtargets -p 127.0.0.1
iscsiadm -m node --login
udevadm settle
"""

RAID = """
truncate -s 64M /root/leg1 /root/leg2
vgcreate -q legs $(losetup -f --show /root/leg1) $(losetup -f --show /root/leg2)
lvcreate -q -y --type raid1 -m 1 -L 16M -n mirror legs
dmsetup wipe_table --force legs-mirror_rimage_0
dd if=/dev/zero of=/dev/legs/mirror bs=4k count=1 oflag=direct conv=fsync
dmsetup status --noflush
"""


def disks_of(folder):
    disks = [vm.Disk(kind, vm.blank(folder / f"{serial}.img", SIZE), serial, **MORE.get(serial, {}))
             for serial, (kind, _, _) in SETUPS.items()]
    shared = vm.blank(folder / "paths.img", SIZE)
    return [*disks,
            vm.Disk("virtio", vm.blank(folder / "nameless.img", SIZE), ""),
            vm.Disk("virtio", vm.blank(folder / "twin1.img", SIZE), "QBTWIN"),
            vm.Disk("virtio", vm.blank(folder / "twin2.img", SIZE), "QBTWIN"),
            *(vm.Disk("scsi", shared, "QBPATHS", wwn=WWN, bus=bus, drive="file.locking=off",
                      more="share-rw=on") for bus in (0, 1))]


def facts_of(machine):
    status, facts = lab.agent_json(machine, "facts")
    expect(status == 0, "facts are told", status)
    return facts["disks"]


def codes_of(disk):
    return {r["code"] for r in disk["reasons"]}


def with_serial(disks, serial):
    return [d for d in disks if d.get("serial") == serial]


def set_up(machine):
    disks = facts_of(machine)
    for serial, (_, command, _) in SETUPS.items():
        (disk,) = with_serial(disks, serial)
        if command:
            machine.run("sh", "-ec", command, env={"DISK": disk["path"]})
    machine.run("sh", "-ec", MADE)
    machine.run("udevadm", "settle")


def judged(machine):
    """Each disk's reasons are those, and no others."""
    disks = facts_of(machine)
    for disk in disks:
        lab.say(f"{disk['name']}: {disk.get('serial')}: {', '.join(sorted(codes_of(disk)))}")
        for r in disk["reasons"]:
            lab.say(f"    {r['code']}: {r['evidence']}")
    wrong = []

    def wants(disk, what, codes):
        if codes_of(disk) != codes or disk["available"] != (not codes):
            wrong.append(f"{what}: {sorted(codes_of(disk))}, not {sorted(codes)}")

    for serial, (_, _, codes) in SETUPS.items():
        (disk,) = with_serial(disks, serial)
        wants(disk, serial, codes)
    by_name = {d["name"]: d for d in disks}
    (nameless,) = [d for d in disks if d["transport"] == "virtio" and not d.get("serial")]
    wants(nameless, "without a serial number", {"no-identity"})
    twins, paths = with_serial(disks, "QBTWIN"), with_serial(disks, "QBPATHS")
    expect((len(twins), len(paths)) == (2, 2), "twins and paths", f"{twins} {paths}")
    for disk in twins:
        wants(disk, "a serial number twice", {"no-identity"})
    for disk in paths:
        wants(disk, "two paths", {"multipath-member"})
    (remote,) = [d for d in disks if d["transport"] == "iscsi"]
    wants(remote, "iSCSI", {"remote"})
    expect({"zoned", "virtual"} <= codes_of(by_name["nullb0"]), "null_blk", by_name["nullb0"])
    expect("remote" in codes_of(by_name["nbd0"]), "nbd", by_name["nbd0"])
    expect(not [n for n in by_name if n.startswith(("dm-", "md", "bcache"))], "no disks", by_name)
    expect(not wrong, "each has its reasons", "; ".join(wrong))
    return disks


def refused(machine, disks):
    """A plan that names every one of them, by its path: the same reasons."""
    unfit = [d for d in disks if d["reasons"]]
    pools = "".join(f"  - {{name: p{i}, type: fs, disks: [{{path: {d['path']}}}], "
                    f"target: /srv/p{i}}}\n" for i, d in enumerate(unfit))
    machine.put(lab.CONFIG, f"version: 1\npools:\n{pools}".encode(), mode=0o600)
    status, plan = lab.agent_json(machine, "plan")
    kinds = {step["kind"] for step in plan["steps"]}
    expect(status == 3 and not any(k.startswith(("storage.", "libvirt.")) for k in kinds),
           "every pool is refused", f"exit {status}: {kinds}")
    told = {r["target"]: {x["code"] for x in r["reasons"]} for r in plan["refused"]}
    for i, disk in enumerate(unfit):
        codes = next((c for t, c in told.items() if t.split()[-1] == f"p{i}"), set())
        # A path in the configuration is what a device that is no hardware is named by.
        expect(codes_of(disk) - {"virtual"} <= codes, f"{disk['name']} is refused for the same",
               f"{codes} {disk['reasons']}")


def multipath(machine):
    """The same once multipathd has made a map of the two paths."""
    machine.put("/etc/multipath.conf", b"defaults {\n  find_multipaths yes\n}\n")
    machine.run("modprobe", "dm-multipath")
    machine.run("systemd-run", "-q", "--unit=paths", "/sbin/multipathd", "-d", "-s")
    deadline = time.monotonic() + 120
    while "mpath-" not in machine.run("dmsetup", "info", "-c", "--noheadings", "-o", "uuid").out:
        expect(time.monotonic() < deadline, "there is a map")
        time.sleep(1)
    machine.run("udevadm", "settle")
    for disk in with_serial(facts_of(machine), "QBPATHS"):
        evidence = " ".join(r["evidence"] for r in disk["reasons"])
        lab.say(f"{disk['name']}: {evidence}")
        expect(codes_of(disk) == {"holder", "multipath-member", "open"}, "a path of a map",
               disk["reasons"])
        expect("is a multipath map over it" in evidence, "the map is named", evidence)


def raid(machine):
    """A leg of LVM's RAID fails, which is written on no disk."""
    machine.run("rm", "/etc/lvm/lvmlocal.conf", "/etc/lvm/devices/system.devices")
    machine.run("sh", "-ec", RAID)
    _, facts = lab.agent_json(machine, "facts")
    damaged = {g["name"]: g["damaged"] for g in facts["volume_groups"]}
    expect(damaged.get("legs") == ["mirror (a leg has failed)"], "the leg is told", damaged)


def test_disk_kinds(test):
    folder = test.work / "disks"
    folder.mkdir()
    machine = test.machine("vm", disks=disks_of(folder))
    machine.boot()
    lab.install(machine)
    set_up(machine)
    machine.run("sync")
    contents = {disk.path: vm.content_hash(disk.path) for disk in machine.disks}
    disks = judged(machine)
    refused(machine, disks)
    multipath(machine)
    raid(machine)
    machine.run("sync")
    for path, content in contents.items():
        expect(vm.content_hash(path) == content, f"{path.name} is what it was")
    machine.power_cut()


lab.main()
