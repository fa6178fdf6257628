#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Whoever is asked on a terminal has seen what about; the report is the report, and no more."""

import json
import os
import pty
import subprocess

import qb
import netstate


def asked(*args, answer, terminal=(0, 2)):
    """Runs the agent with a terminal as these descriptors. Returns (exit, stdout, the terminal)."""
    master, slave = pty.openpty()
    files = {n: slave for n in terminal}
    with subprocess.Popen([qb.AGENT, *args], stdin=files[0], stdout=files.get(1, subprocess.PIPE),
                          stderr=files.get(2, subprocess.PIPE), encoding="utf-8") as p:
        os.close(slave)
        os.write(master, answer.encode())
        out = p.stdout.read() if p.stdout else ""
        seen = b""
        try:
            while chunk := os.read(master, 65536):
                seen += chunk
        except OSError:  # EIO: nobody has the terminal open any more
            pass
        code = p.wait(60)
    os.close(master)
    return code, out, seen.decode(errors="replace")


@qb.case(disks="blank")
def what_is_asked_is_shown_where_it_is_asked():
    qb.configure(qb.BRIDGE_ONLY)
    before = qb.host_state()
    for args in ([], ["-q"], ["-f", "json"], ["-q", "-f", "json"]):
        for terminal in ((0, 2), (0, 1, 2)):
            code, out, seen = asked("apply", *args, answer="n\n", terminal=terminal)
            qb.same(code, qb.USAGE, f"{args}: exit status")
            qb.contains(seen, ["[net.bridge, undo exact]", "Apply this plan? [y/N]"], f"{args}: terminal")
            qb.same(seen.count("[net.bridge, undo exact]"), 1, f"{args}: plans on the terminal")
            assert "[y/N]" not in out, f"{args}: the question is in the report: {out}"
            qb.same("[net.bridge, undo exact]" in out, not args and 1 not in terminal,
                    f"{args}: the plan is in the report")
    # Where nobody sees the question, nobody is asked.
    code, _, seen = asked("apply", answer="y\n", terminal=(0, 1))
    qb.same(code, qb.USAGE, "exit status without a terminal on stderr")
    qb.same(netstate.difference(before, qb.host_state()), [], "what changed")


@qb.case(disks="blank")
def json_stays_json_when_it_was_asked():
    qb.configure(qb.BRIDGE_ONLY)
    for command, question, result in (("apply", "Apply this plan? [y/N]", "done"),
                                      ("rollback", "Undo this? [y/N]", "undone")):
        code, out, seen = asked(command, "-f", "json", answer="y\n")
        qb.same(code, qb.OK, f"{command}: exit status")
        qb.contains(seen, [question, "br0"], command)
        qb.same(json.loads(out)["result"], result, command)


if __name__ == "__main__":
    qb.main()
