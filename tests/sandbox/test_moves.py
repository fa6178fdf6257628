#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Five hundred hosts made by chance, each moved under a bridge and back: nothing may differ.

The program is the unit tier's, which tries a few; a seed that it names is tried again by
"build/unit/test_move_random SEED". Hosts have VLANs and bonds where the kernel makes them; what it
prints tells how many did, or that there were none.
"""

import os
import subprocess

import qb

FIRST, HOSTS, AT_ONCE = 1000, 500, 4


@qb.case(outside=True, seconds=900)
def five_hundred_hosts_are_as_they_were():
    program = os.path.join(os.path.dirname(qb.AGENT), "unit", "test_move_random")
    assert os.path.exists(program), f"there is no {program}: make sandbox makes it"
    share = HOSTS // AT_ONCE
    runs = []
    for first in range(FIRST, FIRST + HOSTS, share):
        runs.append(subprocess.Popen([program, str(first), str(share)], stdout=subprocess.PIPE,
                                     stderr=subprocess.STDOUT, encoding="utf-8",
                                     preexec_fn=qb.end_with_parent))
    texts = [r.communicate()[0] for r in runs]
    lines = [line for text in texts for line in text.splitlines()]
    for line in lines:
        if line.startswith(("seeds ", "refused: ")):
            print("figure: " + line)
    assert all(r.returncode == 0 for r in runs), "\n".join(t for t in texts if "FAILED" in t)
    assert sum(line.startswith("seeds ") for line in lines) == AT_ONCE, "not all were tried"


if __name__ == "__main__":
    qb.main()
