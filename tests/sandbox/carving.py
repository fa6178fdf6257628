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


def blank_again():
    """Undoes all by other means than the agent's: it may be what is broken."""
    for words in (("/usr/bin/virsh", "-q", "-c", "qemu:///system", "pool-destroy", "images"),
                  ("/usr/bin/virsh", "-q", "-c", "qemu:///system", "pool-undefine", "images"),
                  ("/usr/bin/partx", "--delete", os.environ["QB_BLANK"]),
                  ("/bin/sh", "-c", "rm -rf /var/lib/qubi-agent/*"),
                  ("/usr/sbin/blkdiscard", "-f", os.environ["QB_BLANK"])):
        qb.run(*words, code=None)
    qb.run("/usr/bin/udevadm", "settle")
