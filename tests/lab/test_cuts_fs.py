# SPDX-License-Identifier: Apache-2.0
"""The plug is pulled at random moments of an apply that makes a pool of type fs."""
import host
import lab
import random_cuts

POOLS = f"""\
  - name: images
    type: fs
    disks: [{{serial: QB0001}}]
    target: {host.TARGET}
"""


def test_cuts_fs(test):
    random_cuts.sweep(test, POOLS)


lab.main()
