#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""init proposes what plan takes, for a bare host and for one that was set up with it."""

import qb

MINE = "/run/host.yaml"


def propose():
    r = qb.agent("init")
    with open(MINE, "w", encoding="utf-8") as f:
        f.write(r.out)
    return r


@qb.case(disks="blank,ext4", seconds=600)
def what_it_proposes_is_what_apply_makes_and_it_proposes_the_same_again():
    before = qb.host_state()
    r = propose()
    qb.same(qb.host_state(), before, "the host")
    qb.contains(r.out, ["uplink0 has the default route", "match: default-route",
                        "libvirt-network: host-bridge", "type: dir"], "the proposal")
    assert max(map(len, r.out.splitlines())) <= 80, r.out
    told = qb.agent("init", "--format", "json").json()
    qb.same(sorted(told), ["configuration", "left_out", "schema"], "its JSON")
    qb.agent("plan", "--config", MINE, code=qb.PENDING)
    qb.agent("apply", "--yes", "--config", MINE)
    qb.agent("plan", "--config", MINE)
    qb.assert_reaches("192.0.2.1")
    # What is there is proposed, and a plan of that has nothing to do.
    r = propose()
    qb.contains(r.out, ["br0 is there already", "name: uplink0", "libvirt has it already"],
                "the proposal")
    qb.agent("plan", "--config", MINE)


@qb.case(disks="blank")
def what_is_refused_is_left_out_with_the_reason():
    """Without a default route there is no bridge, and not each path of libvirt's is one of ours."""
    qb.run("/usr/sbin/ip", "route", "del", "default")
    qb.run("/usr/sbin/ip", "-6", "route", "del", "default")
    qb.run("/usr/bin/virsh", "-q", "pool-define-as", "odd", "dir", "--target", "/srv/../srv/odd")
    r = propose()
    qb.contains(r.out, ["# Left out:", "# - bridges: no link has a default route", "# - odd: "],
                "the proposal")
    assert "bridges:\n" not in r.out, r.out
    qb.agent("plan", "--config", MINE, code=qb.PENDING)


if __name__ == "__main__":
    qb.main()
