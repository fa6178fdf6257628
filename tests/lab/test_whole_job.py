# SPDX-License-Identifier: Apache-2.0
"""One apply from bare machine to KVM host, from the RPM; and all of it again after a reboot."""
import host
import lab
import vm
from lab import expect, expect_status


def test_whole_job(test):
    machine = host.bare(test, block=vm.KVM_BLACKLISTED)
    before = host.disk_hashes(machine)
    machine.boot()
    uplink = host.Uplink(machine)
    expect("kvm_amd" not in host.modules(machine), "kvm_amd is not loaded yet")
    lab.install(machine)
    host.configure(machine)

    status, report = lab.agent_json(machine, "check")
    expect((status, report["verdict"]) == (1, "not-ready"), "the bare machine is not ready",
           f"exit {status}, {report['verdict']}")
    expect("kvm_amd" not in host.modules(machine), "check loaded nothing")
    plan = expect_status(lab.agent(machine, "plan"), 4, "changes are pending")
    lab.say(plan.out.rstrip())

    applied = expect_status(lab.agent(machine, "apply", "--yes"), 0, "one apply does it")
    lab.say(applied.out.rstrip())
    host.expect_host(machine, uplink)

    status, again = lab.agent_json(machine, "apply", "--yes")
    expect((status, again["result"], again["steps"]) == (0, "in-sync", []),
           "the second apply has nothing to do", again)
    lab.say(f"nothing to do: {again['duration_us'] / 1000:.1f} ms")

    machine.reboot()
    host.expect_host(machine, uplink)
    machine.shutdown()
    after = host.disk_hashes(machine)
    expect(after[host.FOREIGN] == before[host.FOREIGN], "somebody's disk is byte-identical")
    expect(after[host.BLANK] != before[host.BLANK], "the blank disk was carved")


lab.main()
