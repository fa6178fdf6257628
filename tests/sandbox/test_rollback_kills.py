#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""rollback, killed at each of its calls on the disks: it is gone on with, either way.

Rolled back once more the disks are as blank as they were; or apply is run instead, and comes to its
end. In every other turn the machine goes down with the program, and the kernel reads the tables
anew. What guests once had on the disks stands there still.
"""

import collections
import json
import os
import re
import signal

import carving
import qb
from test_kill_sweep import boot
from test_logical import BOTH, ONE, groups, hashes

# EVERY=1 tries each call.
EVERY = int(os.environ.get("EVERY", "9"))
CALLS = "pwrite64,write,fsync,ioctl,openat,close"
DISKS = ("QB_BLANK", "QB_BLANK2")


def on_disks():
    paths = [os.environ[name] for name in DISKS]
    return [word for path in paths for word in ("-P", path)]


def calls_of_rollback():
    """The calls of the agent itself on the disks, as (name, number)."""
    qb.traced("-qq", "-s", "0", *on_disks(), "-e", f"trace={CALLS}", "-o", carving.TRACE, qb.AGENT,
              "rollback", "--yes")
    seen, calls = collections.Counter(), []
    with open(carving.TRACE, encoding="utf-8", errors="replace") as f:
        for name in re.findall(r"^(\w+)\(", f.read(), re.MULTILINE):
            seen[name] += 1
            calls.append((name, seen[name]))
    return calls


def killed(call):
    name, number = call
    r = qb.traced("-qq", "-o", "/dev/null", *on_disks(), "-e", f"trace={name}", "-e",
                  f"inject={name}:signal=KILL:when={number}", qb.AGENT, "rollback", "--yes",
                  code=None)
    qb.wait_for_orphans()
    return r.code in (-signal.SIGKILL, 128 + signal.SIGKILL)


def roll_back(wanted, is_back, where):
    """What the second run did, and then what the first one had left."""
    for _ in range(2):
        r = qb.agent("rollback", "--yes", code=None)
        assert r.code == 0, f"{where}, then rollback: {r}"
        if is_back() == wanted:
            return


def available():
    disks = json.loads(qb.agent("facts", "-f", "json").out)["disks"]
    return {d["path"]: d["available"] for d in disks
            if d["path"] in [os.environ[name] for name in DISKS]}


def use_files():
    target = re.search(r"target: (.*)", carving.CONFIG).group(1)
    for number in range(8):
        with open(f"{target}/{number}", "wb") as f:
            f.write(os.urandom(1 << 20))
            os.fsync(f.fileno())
    for number in range(8):
        os.unlink(f"{target}/{number}")


def use_extents(*disks):
    """As volumes leave them that are removed."""
    for name in disks:
        with open(os.environ[name], "r+b") as f:
            f.seek(2 << 20)
            f.write(os.urandom(2 << 20))
            os.fsync(f.fileno())


def sweep(before, config, is_back, again, use):
    """before: what is there that is not rolled back; is_back: what is to be so once it was."""
    qb.adopt_orphans()
    before()
    wanted = is_back()

    def prepare():
        qb.configure(config)
        qb.agent("apply", "--yes")
        use()

    prepare()
    calls = calls_of_rollback()
    qb.same(is_back(), wanted, "rolled back")
    ends = collections.Counter()
    for turn, call in enumerate(calls[::EVERY]):
        then, reboot = ("rollback", "apply")[turn % 2], turn // 2 % 2
        where = f"killed at {call}{', rebooted' if reboot else ''}, then {then}"
        again()
        before()
        prepare()
        if not killed(call):
            ends["not killed"] += 1
            continue
        if reboot:
            for disk in DISKS:
                boot(os.environ[disk])
        r = qb.agent(then, "--yes", code=None)
        assert r.code == 0, f"{where}: {r}"
        if then == "apply":
            qb.agent("plan")
            roll_back(wanted, is_back, where)
        qb.same(is_back(), wanted, where)
        ends[then] += 1
    print(f"figure: {len(calls)} calls of rollback on the disks, one in {EVERY}: {dict(ends)}")
    assert ends["rollback"] and ends["apply"] and ends["not killed"] <= 1, ends


def blank_again():
    for disk in DISKS:
        carving.blank_again(os.environ[disk])


@qb.case(disks="blank,blank2", seconds=3600)
def a_file_system():
    sweep(lambda: None, carving.CONFIG, available, blank_again, use_files)


@qb.case(disks="blank,blank2", seconds=3600)
def a_volume_group():
    sweep(lambda: None, BOTH, lambda: (hashes(), groups()), blank_again,
          lambda: use_extents(*DISKS))


@qb.case(disks="blank,blank2", seconds=3600)
def what_a_volume_group_was_extended_by():
    """By a run of its own: the group stays, and lacks nothing."""
    def one():
        qb.configure(ONE)
        qb.agent("apply", "--yes")

    def is_back():
        group = groups()["vms"]
        assert "qubi.state=ready" in group["vg_tags"], group
        return (group["pv_count"], group["vg_missing_pv_count"],
                qb.sha256(os.environ["QB_BLANK2"]))

    sweep(one, BOTH, is_back, blank_again, lambda: use_extents("QB_BLANK2"))


if __name__ == "__main__":
    qb.main()
