#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What a report costs the host, and what it says when its surroundings are odd."""

import json
import os
import re
import subprocess

import qb


@qb.case(disks="blank,ext4")
def no_disk_is_held_for_a_page():
    """Only the plan asks whether a disk is free, by opening it exclusively."""
    for form in ("json", "html"):
        log = f"/tmp/{form}.strace"
        qb.traced("-f", "-qq", "-e", "trace=openat,execve", "-o", log, qb.AGENT, "check",
                  "--format", form, code=(qb.OK, qb.FAILED))
        with open(log, encoding="utf-8", errors="replace") as f:
            text = f.read()
        qb.contains(text, os.environ["QB_BLANK"], form)
        qb.same(re.findall(r'.*"/dev/.*O_EXCL.*', text), [], f"{form}: opened exclusively")
        qb.same(re.findall(r'.*execve.*pvs.*', text), [], f"{form}: LVM asked once more")


@qb.case(disks="blank")
def the_unit_of_the_timer_writes_what_node_exporter_reads():
    with open(f"{qb.HERE}/../../packaging/qubi-agent-check.service.in", encoding="utf-8") as f:
        unit = dict(line.split("=", 1) for line in f.read().splitlines() if "=" in line)
    where = unit["ConditionPathIsDirectory"]
    os.makedirs(where)
    words = unit["ExecStart"].replace("@SBINDIR@/qubi-agent", qb.AGENT).split()
    r = qb.run(*words, code=(qb.OK, int(unit["SuccessExitStatus"])))
    qb.same((r.out, os.listdir(where)), ("", ["qubi-agent.prom"]), "what it leaves")
    with open(f"{where}/qubi-agent.prom", encoding="utf-8") as f:
        qb.contains(f.read(), ["qubi_agent_check_verdict", "# EOF"], "the metrics")
    qb.same(os.stat(f"{where}/qubi-agent.prom").st_mode & 0o777, 0o644, "its mode")


@qb.case(disks="blank")
def devices_are_looked_at_and_not_opened():
    """One that is opened may begin to do something. KVM, the CPU's registers and disks are asked
    for what they are there for."""
    qb.traced("-qq", "-e", "trace=openat,openat2", "-o", "/tmp/devices", qb.AGENT, "check",
              code=(qb.OK, qb.FAILED))
    with open("/tmp/devices", encoding="utf-8", errors="replace") as f:
        found = re.findall(r'openat2?\(\S+ "/dev/(?!kvm|cpu/|disk|loop)([^"]*)".*flags=(\S+)', f.read())
    qb.contains(" ".join(name for name, _ in found), ["vhost-net", "net/tun"], "looked at")
    qb.same([name for name, flags in found if "O_PATH" not in flags and "O_DIRECTORY" not in flags],
            [], "opened")


@qb.case(disks="blank")
def disks_are_what_udev_has_made_of_them():
    """Whoever lists them waits for the events that have come."""
    qb.run("/usr/bin/udevadm", "settle")
    qb.run("/usr/bin/udevadm", "control", "--stop-exec-queue")
    qb.run("/usr/bin/udevadm", "trigger", "--name-match", os.environ["QB_BLANK"])
    with subprocess.Popen([qb.AGENT, "facts"], stdout=subprocess.DEVNULL) as facts:
        try:
            facts.wait(0.5)
            raise AssertionError("facts did not wait for udev")
        except subprocess.TimeoutExpired:
            qb.run("/usr/bin/udevadm", "control", "--start-exec-queue")
        qb.same(facts.wait(30), 0, "exit")


@qb.case(disks="blank")
def closed_descriptors_change_no_verdict():
    """What was opened in their place was let go of by the processes that ask libvirt and disks."""
    def verdicts(ways):
        subprocess.run(["/bin/sh", "-c", f'"$0" check -f json -o /tmp/report.json {ways}',
                        qb.AGENT], timeout=60, check=False)
        with open("/tmp/report.json", encoding="utf-8") as f:
            checks = json.load(f)["checks"]
        os.unlink("/tmp/report.json")
        return {c["id"]: c["status"] for c in checks}

    wanted = verdicts("</dev/null >/dev/null 2>&1")
    for ways in ("<&- >&- 2>&-", "<&-", ">&-", "<&- 2>&-"):
        qb.same(verdicts(ways), wanted, ways)


@qb.case(disks="blank")
def closed_output_is_no_report():
    """Nothing is printed to nowhere with success."""
    for ways in (">&-", "<&- >&-"):
        code = subprocess.run(["/bin/sh", "-c", f'"$0" check -q cgroup {ways}', qb.AGENT],
                              stderr=subprocess.DEVNULL, timeout=60, check=False).returncode
        qb.same(code, qb.FAILED, ways)


if __name__ == "__main__":
    qb.main()
