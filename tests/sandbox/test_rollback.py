#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""After rollback the host is as it was before apply."""

import contextlib
import os

import qb
import netstate
from carving import CONFIG


@qb.case
def everything_goes_back():
    qb.configure()
    before = qb.host_state()
    qb.agent("apply", "--yes")
    assert netstate.difference(before, qb.host_state()), "apply did nothing"
    qb.agent("rollback", "--yes")
    after = qb.host_state()
    # What is on the disk is kept: somebody may have put a guest there since.
    for state in (before, after):
        del state["QB_BLANK"]
    qb.same(netstate.difference(before, after), [], "not as before")
    assert "br0" not in qb.links(), "the bridge is still there"
    for address in ("192.0.2.1", "2001:db8::1"):
        qb.assert_reaches(address)


@qb.case
def apply_after_rollback_comes_to_the_same():
    qb.configure()
    qb.agent("apply", "--yes")
    wanted = qb.host_state()
    qb.agent("rollback", "--yes")
    qb.agent("apply", "--yes")
    qb.same(netstate.difference(wanted, qb.host_state()), [], "second time")
    qb.agent("plan")


@qb.case
def all_runs_go_back_to_before_the_first():
    before = qb.host_state()
    qb.configure(qb.BRIDGE_ONLY)
    qb.agent("apply", "--yes")
    bridged = qb.host_state()
    qb.configure()
    qb.agent("apply", "--yes")
    qb.agent("rollback", "--yes")
    qb.same(netstate.difference(bridged, qb.host_state()), [], "the latest run alone")
    qb.agent("apply", "--yes")
    r = qb.agent("rollback", "--all", "--yes")
    qb.contains(r.out, ["br0 [net.bridge]", "pool images [storage.carve]"], "what is undone")
    qb.same(netstate.difference(before, qb.host_state()), [], "all runs")
    qb.contains(qb.agent("rollback", "--all", "--yes").err, "nothing to undo", "once more")


@qb.case
def nothing_to_roll_back_is_said():
    before = qb.host_state()
    r = qb.agent("rollback", "--yes", code=None)
    qb.same(r.code, qb.OK, f"exit status ({r})")
    assert r.out.strip() or r.err.strip(), "it says nothing"
    qb.same(netstate.difference(before, qb.host_state()), [], "what changed")
    qb.same(os.path.exists("/var/lib/qubi-agent/journal"), False, "a journal")


PORT = """<networkport>
  <uuid>00005e00-5300-4000-8000-000000000002</uuid>
  <owner><name>guest</name><uuid>00005e00-5300-4000-8000-000000000001</uuid></owner>
  <mac address='00:00:5e:00:53:42'/>
</networkport>"""


@qb.case
def a_network_that_a_guest_uses_stays():
    qb.configure()
    qb.agent("apply", "--yes")
    with open("/tmp/port.xml", "w", encoding="utf-8") as f:
        f.write(PORT)
    qb.virsh("net-port-create", "default", "/tmp/port.xml")
    r = qb.agent("rollback", "--yes", code=qb.UNDO_FAILED)
    qb.contains(r.out + r.err, ["network default", "running guests use it"], "what is said")
    qb.same(qb.libvirt()["net default"]["info"], ["Active: yes", "Persistent: yes",
                                                  "Autostart: yes"], "the network")


# ------------------------------------------------------------------ what somebody would lose

TARGET = "/var/lib/libvirt/images"
DOMAIN = """\
<domain type='qemu'>
  <name>guest</name>
  <memory unit='MiB'>64</memory>
  <os><type arch='x86_64'>hvm</type></os>
  <devices>
    <disk type='%s' device='disk'><source %s/><target dev='vda' bus='virtio'/></disk>
  </devices>
</domain>
"""


def kept(in_the_way, *words, config=CONFIG):
    """Nothing of the run is undone while that is there, and all of it after."""
    qb.configure(config)
    qb.agent("apply", "--yes")
    with in_the_way():
        before = qb.host_state()
        r = qb.agent("rollback", "--yes", code=qb.UNDO_FAILED)
        qb.contains(" ".join((r.out + r.err).split()), ["stays as it is: ", *words], "what is said")
        qb.same(netstate.difference(before, qb.host_state()), [], "what changed")
    qb.agent("rollback", "--yes")
    qb.same((qb.mounts(), qb.virsh("pool-list", "--all").strip()), ([], ""), "what is left")


@contextlib.contextmanager
def mounted(place, *words):
    os.makedirs(place)
    qb.run("/bin/mount", *words, place)
    try:
        yield
    finally:
        qb.run("/bin/umount", place)
        os.rmdir(place)


@contextlib.contextmanager
def defined(*source):
    with open("/tmp/domain.xml", "w", encoding="utf-8") as f:
        f.write(DOMAIN % source)
    qb.virsh("define", "/tmp/domain.xml")
    yield
    qb.virsh("undefine", "guest")


@qb.case(disks="blank,ext4")
def a_hidden_file_keeps_its_pool():
    @contextlib.contextmanager
    def hidden():
        with open(TARGET + "/.hidden", "w", encoding="utf-8") as f:
            f.write("The only copy.\n")
        yield
        os.unlink(f.name)

    kept(hidden, TARGET, 'it holds ".hidden"; move that away first')


@qb.case(disks="blank,ext4")
def a_pool_that_is_undefined_is_not_left_mounted():
    @contextlib.contextmanager
    def undefined():
        qb.virsh("pool-destroy", "images")
        qb.virsh("pool-undefine", "images")
        qb.run("/bin/mount", os.environ["QB_BLANK"] + "p1", TARGET)
        yield
        qb.run("/bin/umount", TARGET)

    kept(undefined, TARGET, "it is mounted, and libvirt has no pool images any more")


@qb.case(disks="blank,ext4")
def a_file_in_a_pool_that_is_not_mounted_keeps_it():
    @contextlib.contextmanager
    def inside():
        with open(TARGET + "/.hidden", "w", encoding="utf-8") as f:
            f.write("The only copy.\n")
        qb.virsh("pool-destroy", "images")
        yield
        qb.virsh("pool-start", "images")
        os.unlink(f.name)

    kept(inside, os.environ["QB_BLANK"], "has something in it")


@qb.case(disks="blank,ext4")
def a_deleted_file_that_is_still_open_keeps_its_pool():
    @contextlib.contextmanager
    def deleted():
        with open(TARGET + "/gone", "w", encoding="utf-8") as f:
            os.unlink(f.name)
            yield

    kept(deleted, f"(pid {os.getpid()}) has {TARGET}/gone (deleted) open; end that first")


@qb.case(disks="blank,ext4")
def a_second_mount_keeps_its_pool():
    kept(lambda: mounted("/srv/second", "--bind", TARGET),
         TARGET, "its file system is mounted at /srv/second, too; unmount that first")


@qb.case(disks="blank,ext4")
def a_mount_beneath_keeps_its_pool():
    kept(lambda: mounted(TARGET + "/below", "-t", "tmpfs", "somebodys"),
         f"somebodys is mounted at {TARGET}/below, on top of it; unmount that first")


@qb.case(disks="blank,ext4")
def a_mount_over_it_keeps_its_pool():
    @contextlib.contextmanager
    def over():
        qb.run("/bin/mount", "-t", "tmpfs", "somebodys", TARGET)
        yield
        qb.run("/bin/umount", TARGET)

    kept(over, f"somebodys is mounted at {TARGET}, on top of it; unmount that first")


@qb.case(disks="blank,ext4")
def swap_space_in_it_keeps_its_pool():
    @contextlib.contextmanager
    def swap():
        path = TARGET + "/swap file"
        with open(path, "wb") as f:
            f.write(bytes(8 << 20))
        os.chmod(path, 0o600)
        qb.run("/usr/sbin/mkswap", path)
        # The machine's own, so that it ends in any case.
        qb.run("/usr/sbin/swapon", path)
        try:
            yield
        finally:
            qb.run("/usr/sbin/swapoff", path)
            os.unlink(path)

    kept(swap, f"{TARGET}/swap file is swap space in use; take it out by swapoff first")


@qb.case(disks="blank,ext4")
def a_volume_that_a_guest_names_keeps_its_pool():
    kept(lambda: defined("volume", "pool='images' volume='guest.qcow2'"),
         "pool images stays as it is: the guest guest has guest.qcow2 of it",
         "detach that disk, or undefine the guest, first")


@qb.case(disks="blank,ext4")
def a_path_that_a_guest_names_keeps_its_pool():
    kept(lambda: defined("file", f"file='{TARGET}/guest.qcow2'"),
         f"pool images stays as it is: the guest guest has {TARGET}/guest.qcow2 of it")


DIRECTORY = "version: 1\npools:\n  - {name: images, type: dir, target: /srv/images}\n"


@qb.case(disks="ext4")
def a_volume_of_a_directory_that_a_guest_names_keeps_its_pool():
    kept(lambda: defined("volume", "pool='images' volume='guest.qcow2'"),
         "the guest guest has guest.qcow2 of it", config=DIRECTORY)


@qb.case(disks="ext4")
def a_volume_of_a_guest_that_runs_keeps_its_pool():
    """Its definition says nothing of it: it was attached while the guest runs."""
    @contextlib.contextmanager
    def running():
        disk = "<disk type='volume' device='disk'><source pool='images' volume='a'/>" \
            "<target dev='sda' bus='usb'/></disk>"
        with open("/tmp/disk.xml", "w", encoding="utf-8") as f:
            f.write(disk)
        qb.virsh("vol-create-as", "images", "a", "1M")
        qb.run("/usr/sbin/virtlogd", "-d")
        with defined("file", "file='/run/sandbox/ext4.img'"):
            qb.virsh("start", "guest")
            qb.virsh("attach-device", "guest", "/tmp/disk.xml", "--live")
            yield
            qb.virsh("destroy", "guest")

    kept(running, "the guest guest has a of it", config=DIRECTORY)


@qb.case(disks="ext4")
def files_of_a_directory_do_not_keep_its_pool():
    """They stay where they are, and so does a guest that names them."""
    qb.configure(DIRECTORY)
    qb.agent("apply", "--yes")
    with open("/srv/images/guest.qcow2", "wb") as f:
        f.write(b"The only copy.\n")
    with defined("file", "file='/srv/images/guest.qcow2'"):
        qb.agent("rollback", "--yes")
        qb.same(os.listdir("/srv/images"), ["guest.qcow2"], "what it holds")


if __name__ == "__main__":
    qb.main()
