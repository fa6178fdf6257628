#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Hosts with many links: twice as many cost about twice as much.

Instructions are counted, by callgrind and only in what is asked about, as time would be that of
whatever else runs here.
"""

import json
import os
import re
import subprocess
import tempfile

import qb

VALGRIND = "/usr/bin/valgrind"
# What is counted grows by twice as much from 2N to 4N as from N to 2N where it is linear, and by
# four times as much where it is quadratic.
MOST = 2.3
N = 100


def config(n):
    return {"version": 1, "bridges": [
        {"name": f"br{i}", "ports": [{"name": f"p{i}"}] if i % 2 else [{"mac": mac(i)}],
         "ipv4": "inherit"} for i in range(n)]}


def mac(i):
    return f"00:00:5e:00:{i >> 8:02x}:{i & 255:02x}"


def link(i, name, **more):
    return {"ifindex": i, "name": name, "up": True, "carrier": True, "mtu": 1500, **more}


def facts(n, done):
    """n bridges with a port each, made or to be made."""
    links, routes, readings = [link(1, "lo", loopback=True)], [], []
    for i in range(n):
        address = {"address": f"10.{i >> 8}.{i & 255}.1/24", "scope": "global", "flags": 128,
                   "valid_s": 2**32 - 1, "preferred_s": 2**32 - 1}
        route = {"family": "inet", "dst": f"10.{i >> 8}.{i & 255}.0/24", "type": "unicast",
                 "scope": "link", "proto": "kernel", "table": 254, "n_nexthops": 1}
        port = link(2 * i + 2, f"p{i}", mac=mac(i), permanent_mac=mac(i))
        if done:
            port["master"] = f"br{i}"
            links.append(link(2 * i + 3, f"br{i}", kind="bridge", mac=mac(i), stp=False,
                              addresses=[address]))
            routes.append({**route, "dev": f"br{i}"})
        else:
            port["addresses"] = [address]
            routes.append({**route, "dev": f"p{i}"})
        links.append(port)
        readings += [{"path": f"/sys/class/net/p{i}/brport/state", "value": "3", "mode": 0o100444},
                     {"path": f"/proc/sys/net/ipv4/conf/br{i}/rp_filter", "value": "0",
                      "mode": 0o100644}]
    return {"schema": "qubi-agent/facts/1", "links": links, "routes": routes,
            "readings": readings, "system": {"machine_id": "0" * 31 + "1"},
            "net": {"known": True, "networkmanager_installed": True}}


def instructions(function, *command):
    """That were executed in a function of the agent's, and what it called."""
    with tempfile.TemporaryDirectory() as d:
        r = qb.run(VALGRIND, "--tool=callgrind", f"--toggle-collect={function}",
                   f"--callgrind-out-file={d}/out.%p", qb.AGENT, *command, code=None)
    # Processes that it forked tell of themselves, too.
    most = max(int(n) for n in re.findall(r"Collected : (\d+)", r.err))
    assert most, f"{function} was not called by {command}: {r}"
    return most


def grows(what, counts):
    first, second, third = counts
    ratio = (third - second) / (second - first)
    print(f"figure: {what}: {', '.join(f'{c / 1e6:.1f}' for c in counts)} million instructions for "
          f"{N}, {2 * N} and {4 * N}, growth {ratio:.2f}")
    assert ratio < MOST, f"{what} grows by {ratio:.2f} where linear is 2 and quadratic 4"


def need_valgrind():
    if not os.path.exists(VALGRIND):
        raise qb.Skip("*** NO valgrind HERE: WHETHER COST GROWS LINEARLY WAS NOT LOOKED AT ***")
    with open(qb.AGENT, "rb") as f:
        if b"__asan_init" in f.read():
            raise qb.Skip("the sanitizers of this build and valgrind exclude each other")


def captured(function, command, done):
    need_valgrind()
    with tempfile.TemporaryDirectory() as d:
        counts = []
        for n in (N, 2 * N, 4 * N):
            for name, what in (("facts", facts(n, done)), ("config", config(n))):
                with open(f"{d}/{name}", "w", encoding="ascii") as f:
                    json.dump(what, f)
            os.chmod(f"{d}/config", 0o600)
            counts.append(instructions(function, command, "--facts", f"{d}/facts",
                                       "--config", f"{d}/config"))
    grows(f"{function} by {command}{' of what is done' if done else ''}", counts)


@qb.case(outside=True)
def the_plan_of_many_bridges_grows_linearly():
    captured("qb_plan_make", "plan", False)


@qb.case(outside=True)
def the_plan_of_what_is_done_grows_linearly():
    captured("qb_plan_make", "plan", True)


@qb.case(outside=True)
def a_report_on_many_links_grows_linearly():
    captured("qb_judge", "check", True)


@qb.case(outside=True)
def a_configuration_of_many_bridges_grows_linearly():
    captured("qb_config_load", "plan", True)


@qb.case(disks="blank")
def the_snapshot_grows_linearly():
    need_valgrind()
    counts, there = [], 0
    for n in (N, 2 * N, 4 * N):
        lines = []
        for i in range(there, n):
            lines += [f"link add bench{i} type bridge",
                      f"link add p{i} type veth peer name q{i}",
                      f"link set p{i} master bench{i} up", f"link set bench{i} up",
                      f"addr add 10.{i >> 8}.{i & 255}.1/24 dev bench{i}"]
        there = n
        subprocess.run(["ip", "-batch", "-"], input="\n".join(lines) + "\n", encoding="ascii",
                       check=True)
        counts.append(instructions("qb_net_probe", "check", "net"))
    grows("qb_net_probe", counts)


if __name__ == "__main__":
    qb.main()
