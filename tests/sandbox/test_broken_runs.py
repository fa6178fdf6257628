#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Runs that were killed or whose journal fails: what the next one makes of them, and what is said.

Calls on one journal's file are counted: the records begin, intent, done and so on are one write
each.
"""

import signal

import qb
import netstate

TWO_STEPS = qb.BRIDGE_ONLY + """\
pools:
  - {name: iso, type: dir, target: /srv/iso}
"""
BEGIN, INTENT, DONE, NEXT_INTENT, NEXT_DONE, END = range(1, 7)
END_OF_ONE = 4  # of a run of one step
# Rolled back: of the pool that it is being undone, and that it was; of the bridge that it was.
UNDONE, END_OF_ROLLBACK = 2, 4


def at_record(run, record, what, *args, code):
    """The agent, while strace does what (error=, signal=) at that record of that run."""
    return qb.traced("-qq", "-o", "/tmp/trace", "-P",
                     f"/var/lib/qubi-agent/journal/{run:06}.jsonl", "-e", "trace=write", "-e",
                     f"inject=write:{what}:when={record}", qb.AGENT, *args, code=code)


def killed(run, record):
    at_record(run, record, "signal=KILL", "apply", "--yes",
              code=(-signal.SIGKILL, 128 + signal.SIGKILL))


@qb.case(disks="blank")
def a_run_that_fails_takes_with_it_what_it_was_to_complete():
    qb.configure(TWO_STEPS)
    before = qb.host_state()
    killed(1, NEXT_INTENT)
    assert "br0" in qb.links(), "the first run was to come as far as the bridge"
    r = at_record(2, INTENT, "error=EIO", "apply", "--yes", "--format", "json", code=qb.FAILED)
    document = r.json()
    qb.same(document["result"], "undone", "result")
    qb.same([(s["target"], s["status"]) for s in document["steps"]],
            [("pool iso", "failed"), ("br0", "undone")], "steps")
    qb.same(netstate.difference(before, qb.host_state()), [], "what is left")
    # All of it is undone, also to the journal.
    qb.contains(qb.agent("rollback", "--yes").err, "nothing to undo", "rollback")
    qb.agent("apply", "--yes")
    qb.agent("plan")


@qb.case(disks="blank")
def killed_twice_is_one_change():
    qb.configure(TWO_STEPS)
    before = qb.host_state()
    killed(1, NEXT_INTENT)
    killed(2, END_OF_ONE)
    qb.contains(qb.agent("apply", "--yes").out, "nothing to do", "the third run")
    qb.agent("rollback", "--yes")
    qb.same(netstate.difference(before, qb.host_state()), [], "what is left")


@qb.case(disks="blank")
def a_journal_that_cannot_be_closed_is_said():
    qb.configure(TWO_STEPS)
    r = at_record(1, END, "error=ENOSPC", "apply", "--yes", code=qb.FAILED)
    qb.contains(r.out, ["br0: done", "pool iso: done", "Done, but the journal could not be closed"],
                "report")
    qb.contains(r.err, ["journal of run 1", "No space left on device"], "the error")
    qb.agent("plan")
    qb.contains(qb.agent("apply", "--yes").out, "nothing to do", "the next run")
    r = at_record(1, END_OF_ROLLBACK, "error=ENOSPC", "rollback", "--yes", "--format", "json", code=qb.FAILED)
    qb.same(r.json()["result"], "failed", "result")
    qb.contains(r.err, ["journal of run 1", "No space left on device"], "the error")
    assert "br0" not in qb.links(), "it was not undone"
    qb.contains(qb.agent("rollback", "--yes").out, "Undone.", "rollback again")


@qb.case(disks="blank")
def errors_are_printed_once_and_when_quiet_too():
    qb.configure(TWO_STEPS)
    for run, more in enumerate(([], ["-q"], ["-f", "json"]), 1):
        # The first step is applied, and what it did cannot be recorded: it is undone.
        r = at_record(run, DONE, "error=EIO", "apply", "--yes", *more, code=qb.FAILED)
        qb.same(r.err.count("Input/output error"), 1, f"the error in: {r}")
        qb.contains(r.err, "br0: ", "message")
    qb.agent("apply", "--yes")
    r = at_record(4, UNDONE, "error=EIO", "rollback", "-q", "--yes", code=qb.UNDO_FAILED)
    qb.same(r.err.count("Input/output error"), 1, f"the error in: {r}")


if __name__ == "__main__":
    qb.main()
