#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""check and plan under valgrind: no leak, no invalid access.

What they find there may differ: valgrind's CPUID is one of its own.
"""

import os

import qb

VALGRIND = "/usr/bin/valgrind"
BAD = 99


@qb.case
def check_and_plan_leak_nothing():
    if not os.path.exists(VALGRIND):
        raise qb.Skip("*** NO valgrind HERE: LEAKS WERE NOT LOOKED FOR ***")
    with open(qb.AGENT, "rb") as f:
        if b"__asan_init" in f.read():
            raise qb.Skip("the sanitizers of this build and valgrind exclude each other")
    qb.configure()
    for command in ("check", "plan"):
        # Processes that are forked to ask end in the middle of things, with all that was there:
        # what they read amiss is the sanitizers' to find.
        r = qb.run(VALGRIND, "-q", "--child-silent-after-fork=yes", "--leak-check=full", f"--error-exitcode={BAD}",
                   "--errors-for-leak-kinds=definite,indirect,possible", qb.AGENT, command,
                   code=None)
        assert r.code in (0, 1, 3, 4), f"{command}: {r}"
        assert "lost in loss record" not in r.err, r.err
        qb.contains(r.out, [{"check": "kvm", "plan": "Plan:"}[command]], "its report")


if __name__ == "__main__":
    qb.main()
