#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The agent is killed, or stopped, while the host's NIC goes under a bridge, and nobody runs it
again: its guard does what is to be done, and says so."""

import json
import os
import signal
import time

import qb

MESSAGES = 90  # more than a run sends
PATIENCE_S = 10
JOURNAL = "/var/lib/qubi-agent/journal/"


def network():
    """Without what is the kernel's to count or to make anew."""
    return qb.links(), qb.routes()


def ended(how, number):
    """Whether a run got to its so many'th message, and how long it took until its guard was
    through: from the kill, or from the begin of a run that is stopped in between."""
    began = time.monotonic()
    r = qb.traced("-qq", "-o", "/dev/null", "-e", "trace=sendmsg", "-e",
                  f"inject=sendmsg:signal={how}:when={number}", qb.AGENT, "apply", "--yes",
                  code=None)
    if how == "KILL":
        began = time.monotonic()
    qb.wait_for_orphans()
    return r.code in (-signal.SIGKILL, 128 + signal.SIGKILL), time.monotonic() - began


def journals():
    return set(os.listdir(JOURNAL)) if os.path.exists(JOURNAL) else set()


def undone_by_guard(names):
    """Whether the journal of that run, if any, has it that its guard undid a step."""
    for name in names:
        with open(JOURNAL + name, encoding="utf-8") as f:
            records = [json.loads(line) for line in f]
        failed = [r for r in records if r["event"] == "failed"]
        if failed:
            assert all("its guard undid it" in r["error"] for r in failed), failed
            qb.same(records[-1]["event"], "undone", "the last record")
            return True
    return False


def sweep(how, numbers):
    """The numbers at which the guard had something to undo, of those up to the end of a run."""
    before, slowest, times, undone = network(), 0, 0, []
    for number in numbers:
        known = journals()
        got_there, took = ended(how, number)
        if not got_there:
            break
        if undone_by_guard(journals() - known):
            qb.same(network(), before, f"{how} at message {number}")
            undone.append(number)
        for gateway in ("192.0.2.1", "2001:db8::1"):
            qb.run("/bin/ping", "-q", "-c", "1", "-W", "2", gateway)
        slowest, times = max(slowest, took), times + 1
    print(f"figure: {how} {times} times, {len(undone)} of them in the move; the slowest guard was "
          f"through after {slowest:.2f} s")
    assert slowest < PATIENCE_S, f"a guard took {slowest:.2f} s"
    return undone


@qb.case(disks="ext4", seconds=300)
def the_host_is_reached_as_before():
    qb.adopt_orphans()
    qb.configure(qb.BRIDGE_ONLY)
    undone = sweep("KILL", range(1, MESSAGES, 3))
    assert len(undone) >= 5, f"killed in the move {len(undone)} times"
    if qb.links()["uplink0"]["master"]:  # the last one was killed when all was done
        qb.agent("rollback", "--yes")
    # Not the first: one that is stopped before there is a guard is its business who stopped it.
    stopped = sweep("STOP", undone[2::3])
    qb.same(stopped, undone[2::3], "those that were stopped in the move")


if __name__ == "__main__":
    qb.main()
