#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What is wrong is said: what, where and what to do; with the right exit code, and nothing done."""

import fcntl
import os
import shutil
import signal
import subprocess

import qb
import netstate

FILES = ("/etc/qubi-agent", "/var/lib/qubi-agent", "/etc/libvirt", "/etc/modprobe.d",
         "/etc/modules-load.d", "/etc/NetworkManager")


def refuses(*args, code, words, says="err", state=True):
    """Runs the agent: it must end with code, say all the words and change nothing."""
    before, files = state and qb.host_state(), qb.tree(*FILES)
    result = qb.agent(*args, code=code)
    text = result.err if says == "err" else result.out + result.err
    qb.contains(text, words, result.command)
    if state:
        qb.same(netstate.difference(before, qb.host_state()), [], f"{result.command}: changed")
    qb.same(qb.tree(*FILES), files, f"{result.command}: files")
    return result


def bad_config(text, *words):
    qb.configure(text)
    for args in (["plan"], ["apply", "--yes"]):
        result = refuses(*args, code=qb.USAGE, words=words)
        qb.same(result.out, "", "report of what was not done")


@qb.case(disks="blank")
def unknown_key():
    bad_config("version: 1\nbridgez:\n  - name: br0\n", qb.CONFIG + ":2:1", "bridgez", "bridges")


@qb.case(disks="blank")
def wrong_type():
    bad_config("version: 1\nbridges:\n  - name: br0\n    stp: maybe\n"
               "    ports: [{match: default-route}]\n", qb.CONFIG + ":4:", "stp", "maybe")


@qb.case(disks="blank")
def all_errors_at_once():
    bad_config("version: one\nbridges: 7\nkvm:\n  nestd: true\n", ":1:", ":2:", ":4:", "nestd",
               "nested")


@qb.case(disks="blank")
def no_yaml():
    bad_config("version: 1\nbridges: [\n", qb.CONFIG + ":")


@qb.case(disks="blank")
def reference_that_leads_nowhere():
    bad_config("version: 1\nbridges:\n  - name: br0\n    ports: []\n  - name: br0\n"
               "    ports: [{match: default-route}]\n", "br0")


@qb.case(disks="blank")
def missing_configuration():
    for args in (["plan"], ["apply", "--yes"]):
        refuses(*args, code=qb.USAGE, words=[qb.CONFIG, "--config"])
    refuses("plan", "--config", "/nowhere/x.yaml", code=qb.USAGE, words=["/nowhere/x.yaml"])


@qb.case(disks="blank")
def configuration_that_others_may_write():
    qb.configure()
    os.chmod(qb.CONFIG, 0o666)
    refuses("apply", "--yes", code=qb.USAGE, words=[qb.CONFIG, "writ"])


@qb.case(disks="blank")
def facts_are_told_whatever_the_configuration():
    shutil.copy(qb.AGENT, "/tmp/qubi-agent")
    os.chmod("/tmp/qubi-agent", 0o755)
    os.chmod("/etc/qubi-agent", 0o755)
    user = ["/usr/bin/setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    qb.same(qb.agent("facts").err, "", "without a configuration")
    qb.configure()
    qb.same(qb.agent("facts").err, "", "with one")
    r = qb.run(*user, "/tmp/qubi-agent", "facts", "--format", "json")
    qb.contains(r.err, [qb.CONFIG, "permission denied", "left out"], "message")
    r.json()
    qb.configure("version: 1\nbridgez: []\n")
    r = qb.agent("facts", "--format", "json")
    qb.contains(r.err, [qb.CONFIG + ":2:1", "bridgez", "left out"], "message")
    with open("/tmp/facts.json", "w", encoding="utf-8") as f:
        f.write(r.out)
    qb.same(qb.agent("facts", "--facts", "/tmp/facts.json").err, "", "about another host")
    # What was named is wanted.
    refuses("facts", "--config", qb.CONFIG, code=qb.USAGE, words=[":2:1", "bridgez"])
    refuses("facts", "--config", "/nowhere", code=qb.USAGE, words=["/nowhere"])


@qb.case(disks="blank")
def unknown_command_and_option():
    refuses("aply", code=qb.USAGE, words=["aply", "apply"])
    refuses("plan", "--yess", code=qb.USAGE, words=["--yess"])
    refuses("apply", "--root", "/tmp", code=qb.USAGE, words=["--root"])


@qb.case(disks="blank,ext4")
def disk_that_cannot_be_read():
    """Its backing file is cut short: reads beyond its end fail with EIO."""
    qb.configure()
    name = os.path.basename(os.environ["QB_BLANK"])
    with open(f"/sys/block/{name}/loop/backing_file", encoding="utf-8") as f:
        os.truncate(f.read().strip(), 1 << 20)
    qb.run("/usr/sbin/blockdev", "--flushbufs", os.environ["QB_BLANK"])
    try:
        with open(os.environ["QB_BLANK"], "rb") as f:
            f.seek(-4096, os.SEEK_END)
            f.read(4096)
        raise AssertionError("the disk still reads")
    except OSError:
        pass
    facts = qb.agent("facts", "--format", "json").json()
    disk = next(d for d in facts["disks"] if d["path"] == os.environ["QB_BLANK"])
    reasons = {r["code"]: r["evidence"] for r in disk["reasons"]}
    assert "probe-error" in reasons, reasons
    qb.contains(reasons["probe-error"], "input/output error", "evidence")
    qb.same((disk["readable"], disk["available"]), (False, False), "readable, available")
    report = qb.agent("check", "storage.disks-readable", "--format", "json", code=None).json()
    qb.same([c["status"] for c in report["checks"]], ["warn"], "storage.disks-readable")
    refuses("apply", "--yes", code=qb.REFUSED, words=["probe-error", "Refused"], says="both")
    plan = qb.agent("plan", "--format", "json", code=qb.REFUSED).json()
    qb.same([r["code"] for r in plan["refused"][0]["reasons"]], ["probe-error"], "reasons")


@qb.case(disks="blank")
def no_libvirtd():
    qb.configure()
    before = (qb.links(), qb.routes(), qb.partition_table(os.environ["QB_BLANK"]), qb.mounts())
    qb.stop_libvirtd()
    refuses("apply", "--yes", code=(qb.REFUSED, qb.USAGE), words=["libvirt"], says="both",
            state=False)
    report = qb.agent("check", "libvirt", "--format", "json", code=qb.FAILED).json()
    assert report["verdict"] in ("not-ready", "unknown"), report["verdict"]
    after = (qb.links(), qb.routes(), qb.partition_table(os.environ["QB_BLANK"]), qb.mounts())
    qb.same(after, before, "what changed")


@qb.case(disks="blank")
def libvirt_elsewhere():
    qb.configure()
    refuses("apply", "--yes", "--connect", "qemu+unix:///system?socket=/run/nowhere",
            code=(qb.REFUSED, qb.USAGE), words=["/run/nowhere"], says="both")


@qb.case(disks="blank")
def no_root():
    qb.configure()
    os.chmod("/etc/qubi-agent", 0o755)
    os.chmod(qb.CONFIG, 0o644)
    shutil.copy(qb.AGENT, "/tmp/qubi-agent")
    os.chmod("/tmp/qubi-agent", 0o755)
    before, files = qb.host_state(), qb.tree(*FILES)
    for args in (["apply", "--yes"], ["rollback", "--yes"]):
        r = qb.run("/usr/bin/setpriv", "--reuid=65534", "--regid=65534", "--clear-groups",
                   "/tmp/qubi-agent", *args, code=qb.USAGE)
        qb.contains(r.err, ["root", "sudo"], "message")
    qb.same(netstate.difference(before, qb.host_state()), [], "what changed")
    qb.same(qb.tree(*FILES), files, "files")


@qb.case(disks="blank")
def lock_is_held():
    qb.configure()
    with open("/run/qubi-agent.lock", "w", encoding="utf-8") as f:
        f.write("4711\n")
        f.flush()
        fcntl.flock(f, fcntl.LOCK_EX)
        for command in ("apply", "rollback"):
            refuses(command, "--yes", code=qb.LOCKED,
                    words=["4711", "/run/qubi-agent.lock", "another run"])
        # Whoever only looks need not wait.
        qb.agent("plan", code=qb.PENDING)
    qb.agent("apply", "--yes")


@qb.case(disks="blank")
def second_run_at_the_same_time():
    qb.configure(qb.BRIDGE_ONLY)
    with subprocess.Popen([qb.AGENT, "apply", "--yes"], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, encoding="utf-8") as first:
        assert qb.until(lambda: os.path.exists("/run/qubi-agent.lock") and
                        os.path.getsize("/run/qubi-agent.lock")), "the first run takes no lock"
        first.send_signal(signal.SIGSTOP)
        try:
            second = qb.agent("apply", "--yes", code=qb.LOCKED)
            qb.contains(second.err, ["another run", str(first.pid)], "message")
        finally:
            first.send_signal(signal.SIGCONT)
        out = first.communicate(timeout=60)[0]
        qb.same(first.returncode, 0, f"the first run: {out}")
    qb.agent("plan")


if __name__ == "__main__":
    qb.main()
