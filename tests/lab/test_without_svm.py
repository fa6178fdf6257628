# SPDX-License-Identifier: Apache-2.0
"""A CPU without virtualization: the right cause is given, and nothing is half done."""
import json

import host
import lab
from lab import expect, expect_status


def test_without_svm(test):
    machine = host.bare(test, svm=False)
    before = host.disk_hashes(machine)
    machine.boot()
    lab.install(machine)
    host.configure(machine)

    status, report = lab.agent_json(machine, "check")
    expect((status, report["verdict"]) == (1, "not-ready"), "the machine is not ready",
           f"exit {status}, {report['verdict']}")
    cpu = next(c for c in report["checks"] if c["id"] == "cpu.virtualization")
    expect(cpu["status"] == "fail", "cpu.virtualization fails", json.dumps(cpu))
    lab.say(json.dumps(cpu, indent=1))
    text = json.dumps(cpu["evidence"])
    expect("svm" in text and "vmx" in text, "the flags that are absent are named", text)

    state = host.state_of(machine)
    refused = expect_status(lab.agent(machine, "plan"), 3, "plan refuses")
    lab.say(refused.out.rstrip())
    expect("kvm" in refused.out.lower(), "and names KVM", refused)
    applied = expect_status(lab.agent(machine, "apply", "--yes"), 3, "apply refuses")
    expect("kvm" in applied.out.lower(), "and names KVM", applied)
    for what, now in host.state_of(machine).items():
        was = state[what]
        expect(now == was, f"the {what} are as they were", f"\n{was}\n--- now\n{now}")
    begun = [r for r in host.journal_records(machine) if r["event"] == "intent"]
    expect(not begun, "no step was begun", begun)

    machine.shutdown()
    expect(host.disk_hashes(machine) == before, "every disk is byte-identical")


lab.main()
