# SPDX-License-Identifier: Apache-2.0
"""The plug is pulled at random moments of a rollback of pools that were in use once: what guests had
in them stands on the disks still, and is not taken for somebody's."""
import host
import lab
import random_cuts

POOLS = f"""\
  - name: images
    type: fs
    disks: [{{serial: QB0001}}]
    target: {host.TARGET}
  - name: vms
    type: logical
    disks: [{{serial: QB0002}}]
"""
USE = f"""dd if=/dev/urandom of={host.TARGET}/guest bs=1M count=16 conv=fsync
rm {host.TARGET}/guest
virsh vol-create-as vms guest 64M
dd if=/dev/urandom of=/dev/vms/guest bs=1M count=64 conv=fsync
virsh vol-delete guest vms"""


def test_cuts_rollback(test):
    random_cuts.sweep(test, POOLS, USE)


lab.main()
