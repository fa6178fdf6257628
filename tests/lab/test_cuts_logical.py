# SPDX-License-Identifier: Apache-2.0
"""The plug is pulled at random moments of an apply that makes a pool of type logical, and one of
type dir on a volume of it."""
import host
import lab
import random_cuts

POOLS = f"""\
  - name: images
    type: dir
    target: {host.TARGET}
  - name: vms
    type: logical
    disks: [{{serial: QB0001}}, {{serial: QB0002}}]
    volumes:
      - {{name: images, size: 400MiB, target: {host.TARGET}}}
"""


def test_cuts_logical(test):
    random_cuts.sweep(test, POOLS)


lab.main()
