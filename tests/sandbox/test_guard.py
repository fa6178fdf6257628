#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The agent is killed while the host's NIC goes under a bridge, and nobody runs it again."""

import os
import signal
import time

import qb

STEP = 3
MESSAGES = 90  # more than a run sends


def network():
    """Without what is the kernel's to count or to make anew."""
    return qb.links(), qb.routes()


def killed(number):
    """Whether a run got to its so many'th message, and how long its guard took after that."""
    r = qb.traced("-qq", "-o", "/dev/null", "-e", "trace=sendmsg", "-e",
                  f"inject=sendmsg:signal=KILL:when={number}", qb.AGENT, "apply", "--yes",
                  code=None)
    began = time.monotonic()
    qb.wait_for_orphans()
    return r.code in (-signal.SIGKILL, 128 + signal.SIGKILL), time.monotonic() - began


JOURNAL = "/var/lib/qubi-agent/journal/"


def journals():
    return set(os.listdir(JOURNAL)) if os.path.exists(JOURNAL) else set()


def ends_in_a_step(names):
    """The journal of that run ends with an intent. None: it had not begun."""
    for name in names:
        with open(JOURNAL + name, encoding="utf-8") as f:
            return '"event":"intent"' in f.read().splitlines()[-1]
    return None


@qb.case(disks="ext4", seconds=300)
def the_host_is_reached_as_before():
    qb.adopt_orphans()
    qb.configure(qb.BRIDGE_ONLY)
    before, slowest, times, undone = network(), 0, 0, 0
    for number in range(1, MESSAGES, STEP):
        known = journals()
        was_killed, took = killed(number)
        if not was_killed:
            break
        if ends_in_a_step(journals() - known):
            qb.same(network(), before, f"killed at message {number}")
            undone += 1
        for gateway in ("192.0.2.1", "2001:db8::1"):
            qb.run("/bin/ping", "-q", "-c", "1", "-W", "2", gateway)
        slowest, times = max(slowest, took), times + 1
    print(f"figure: killed {times} times, {undone} of them in the move; the slowest guard was "
          f"through after {slowest:.2f} s")
    assert undone >= 5, f"killed in the move {undone} times"


if __name__ == "__main__":
    qb.main()
