# SPDX-License-Identifier: Apache-2.0
"""One disk that is carved for one pool, over and over."""

import os

import qb

TRACE = "/tmp/trace"
CONFIG = """\
version: 1
pools:
  - name: images
    type: fs
    disks: {path: "@QB_BLANK@"}
    target: /var/lib/libvirt/images
"""
EXT4 = CONFIG + "    format: ext4\n"


def blank_again(disk=None):
    """Undoes all by other means than the agent's: it may be what is broken."""
    disk = disk or os.environ["QB_BLANK"]
    for words in (("/usr/bin/virsh", "-q", "-c", "qemu:///system", "pool-destroy", "images"),
                  ("/usr/bin/virsh", "-q", "-c", "qemu:///system", "pool-undefine", "images"),
                  # udev has it locked, shared, for as long as it has the partition open.
                  ("/usr/bin/flock", disk, "/usr/bin/partx", "--delete", disk),
                  ("/bin/sh", "-c", "rm -rf /var/lib/qubi-agent/*"),
                  ("/usr/sbin/blkdiscard", "-f", disk)):
        qb.run(*words, code=None)
    qb.run("/usr/bin/udevadm", "settle")
    name = os.path.basename(disk)
    left = [n for n in os.listdir(f"/sys/block/{name}") if n.startswith(name)]
    assert not left, f"{left} could not be taken off"
