#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""apply --confirm: what nobody confirms in time is undone, whatever became of the agent."""

import os
import signal
import subprocess
import time

import nm
import qb
from asked import QUESTION, Asked


def network():
    return qb.links(), qb.routes()


def reaches():
    for gateway in ("192.0.2.1", "2001:db8::1"):
        qb.assert_reaches(gateway)


@qb.case(disks="ext4")
def a_yes_keeps_it():
    qb.configure(qb.BRIDGE_ONLY)
    asked = Asked("--confirm", "60").until_asked()
    qb.same(qb.links()["uplink0"]["master"], "br0", "while it is asked the NIC is in the bridge")
    reaches()
    os.write(asked.master, b"y\n")
    code, seen = asked.end()
    qb.same(code, qb.OK, f"exit status: {seen}")
    qb.agent("plan")


@qb.case(disks="ext4")
def anything_else_undoes_it():
    qb.configure(qb.BRIDGE_ONLY)
    before = network()

    def answered(words, wanted, *args, typed_ahead=b""):
        asked = Asked("--confirm", *args)
        os.write(asked.master, typed_ahead)
        asked.until_asked()
        began = time.monotonic()
        words(asked)
        code, seen = asked.end()
        qb.same(code, qb.FAILED, f"exit status: {seen}")
        qb.contains(seen, wanted, "terminal")
        qb.same(network(), before, f"{wanted}: the network")
        reaches()
        return time.monotonic() - began

    answered(lambda a: os.write(a.master, b"n\n"), "answered that it is not to be kept", "60")
    answered(lambda a: a.process.send_signal(signal.SIGTERM), "stopped by a signal", "60")
    # What was typed before the question is no answer to it.
    took = answered(lambda a: None, "nobody confirmed within 2 s", "2", typed_ahead=b"y\n")
    assert 1.5 < took < 8, f"undone after {took:.1f} s instead of 2"


@qb.case(disks="ext4")
def who_has_gone_has_not_confirmed():
    """The session ends, or the agent does: by a kill, or by being stopped."""
    qb.adopt_orphans()
    qb.configure(qb.BRIDGE_ONLY)
    before, slowest = network(), 0

    for what, limit in ((None, 5), (signal.SIGKILL, 5), (signal.SIGSTOP, 10)):
        asked = Asked("--confirm", "600").until_asked()
        began = time.monotonic()
        if what is None:
            os.close(asked.master)
        else:
            asked.process.send_signal(what)
        asked.process.wait(30)
        qb.wait_for_orphans()
        took = time.monotonic() - began
        qb.same(network(), before, f"{what}: the network")
        assert took < limit, f"{what}: undone after {took:.1f} s"
        slowest = max(slowest, took)
        reaches()
        told = qb.agent("plan", code=qb.PENDING).err
        if what is not None:
            os.close(asked.master)
            qb.contains(told, "its guard undid it", f"{what}: plan afterwards")
    print(f"figure: as before after {slowest:.2f} s at the latest")


@qb.case(disks="ext4")
def a_pipe_is_asked_and_nobody_is_not():
    qb.configure(qb.BRIDGE_ONLY)
    before = network()
    r = qb.agent("apply", "--yes", "--confirm", "60", code=qb.USAGE)
    qb.contains(r.err, "needs somebody to ask", "with /dev/null as standard input")
    with subprocess.Popen([qb.AGENT, "apply", "--yes", "--confirm", "60", "-f", "json"],
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE) as p:
        p.stdin.close()
        p.wait(60)
        qb.same(p.returncode, qb.FAILED, "exit status when the pipe ends")
        qb.contains(p.stderr.read().decode(), "whoever was to confirm it is gone", "stderr")
    qb.same(network(), before, "the network")
    with subprocess.Popen([qb.AGENT, "apply", "--yes", "--confirm", "60", "-f", "json"],
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE) as p:
        seen = b""
        while QUESTION not in seen:
            chunk = os.read(p.stderr.fileno(), 4096)
            assert chunk, f"it ended before it asked: {seen}"
            seen += chunk
        p.stdin.write(b"yes\n")
        p.stdin.flush()
        out, _ = p.communicate(timeout=60)
        qb.same(p.returncode, qb.OK, f"exit status when it says yes: {seen}")
        assert QUESTION not in out, "the question is in the report"
    # There is nothing left that could cut the host off: nobody is asked.
    with subprocess.Popen([qb.AGENT, "apply", "--yes", "--confirm", "60"],
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE) as p:
        out, err = p.communicate(timeout=60)
        qb.same(p.returncode, qb.OK, "exit status when there is nothing to confirm")
        assert QUESTION not in err, err


def own_profiles(folder):
    return sorted(n for n in os.listdir(folder) if n.startswith("qubi-"))


def guards():
    """Processes that stand by for the agent."""
    for pid in filter(str.isdigit, os.listdir("/proc")):
        with open(f"/proc/{pid}/comm", encoding="utf-8") as f:
            if f.read() == "qubi-guard\n":
                yield int(pid)


@qb.case(disks="ext4")
def a_power_cycle_is_no_yes():
    qb.adopt_orphans()
    process = nm.host(nm.STATIC)
    asked = Asked("--confirm", "600").until_asked()
    nm.owned()
    qb.same(own_profiles(nm.PROFILES), [], "profiles that last, before the answer")
    for pid in (asked.process.pid, *guards()):
        os.kill(pid, signal.SIGSTOP)  # neither is to act for the other
    for pid in (*guards(), asked.process.pid):
        os.kill(pid, signal.SIGKILL)
    qb.wait_for_orphans(but=nm.started)
    os.close(asked.master)
    nm.boot(process)
    nm.ready()
    for _ in range(2):
        qb.same(nm.active("uplink0"), ("uplink", "connected"), "the NIC after the power cycle")
        qb.agent("rollback", "--yes")
    qb.agent("apply", "--yes")
    nm.owned()


@qb.case(disks="ext4")
def with_a_yes_profiles_last():
    process = nm.host(nm.STATIC)
    asked = Asked("--confirm", "60").until_asked()
    probes = qb.probing(nm.GATEWAYS[0], 2000)
    os.write(asked.master, b"y\n")
    code, seen = asked.end()
    qb.same(code, qb.OK, f"exit status: {seen}")
    qb.same(probes.communicate()[0].split("],")[0], '{"lost": [', "probes lost meanwhile")
    qb.same(own_profiles("/run/NetworkManager/system-connections"), [], "provisional profiles")
    for _ in range(2):
        nm.owned()
        qb.agent("plan")
        nm.wait_for("the gateways", nm.reached)
        process = nm.boot(process)


@qb.case(disks="ext4")
def a_no_leaves_the_profiles_that_were_there():
    nm.host(nm.STATIC)
    qb.agent("apply", "--yes")
    before = qb.tree(nm.PROFILES), network()
    qb.configure(qb.BRIDGE_ONLY + "    stp: true\n")
    asked = Asked("--confirm", "60").until_asked()
    os.write(asked.master, b"n\n")
    code, seen = asked.end()
    qb.same(code, qb.FAILED, f"exit status: {seen}")
    qb.same((qb.tree(nm.PROFILES), network()), before, "profiles and network")
    qb.same(own_profiles("/run/NetworkManager/system-connections"), [], "provisional profiles")
    nm.owned()


if __name__ == "__main__":
    qb.main()
