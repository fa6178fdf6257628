#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""prove: a guest on each pool and bridge, by KVM and emulated, and which link of its chain broke."""

import json
import os

import qb


def prove(*options, code=0):
    return json.loads(qb.agent("prove", "-f", "json", *options, code=code).out)


def chain(trial):
    return {link["link"]: link["state"] for link in trial["chain"]}


def nothing_is_left():
    qb.same(qb.virsh("list", "--all", "--name").split(), [], "guests")
    for pool in ("images", "iso"):
        assert "qubi-prove" not in qb.virsh("vol-list", pool), f"a volume is left in {pool}"


@qb.case(disks="blank,ext4")
def every_pool_with_every_bridge_emulated():
    qb.configure()
    qb.agent("apply", "--yes")
    found = prove("--emulate")
    print(json.dumps(found, indent=1))
    qb.same((found["verdict"], found["accelerator"]), ("emulated", "tcg"), "the verdict")
    nothing_is_left()


if __name__ == "__main__":
    qb.main()
