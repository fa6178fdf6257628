# SPDX-License-Identifier: Apache-2.0
"""From a kickstart: the %post of the README in a chroot, then the first boot, which nobody attends.

And with a configuration that is broken: the installer's log says so, and the machine boots.
"""
import host
import installed
import lab
import vm
from lab import expect, expect_status

UNIT = "qubi-agent-first-boot.service"
ARMED = "/var/lib/qubi-agent/first-boot"


def unit(machine, *keys):
    words = machine.run("systemctl", "show", UNIT, "-p", ",".join(keys)).out.split("\n")
    return dict(word.split("=", 1) for word in words if "=" in word)


def expect_ready(machine):
    bridge = host.link_named(machine, "br0")
    expect(f"{vm.ADDRESS}/24" in host.addresses(bridge), "br0 has the host's address", bridge)
    routes = host.default_routes(machine)
    expect({device for _, device in routes} == {"br0"}, "default routes leave by br0", routes)
    expect_status(machine.run("ping", "-n", "-c", "3", "-i", "0.2", "-w", "15", vm.GATEWAY,
                              check=False), 0, "the gateway answers")
    host.expect_pool_mounted(machine)
    expect(host.info(machine, "net", "host-bridge")["Active"] == "yes", "the network is active")
    host.expect_in_sync(machine)
    status, proof = lab.agent_json(machine, "prove", "--timeout", "120", timeout=900)
    expect((status, proof["verdict"]) == (0, "proven"), "it is proven", proof)
    lab.say(f"figure: proven in {proof['duration_us'] / 1e6:.1f} s")


def first_boot(test):
    folder, done = installed.install(test, "whole", installed.post())
    expect(done.returncode == 0 and "the first boot does the rest" in done.stdout,
           "%post is content", done)
    machine = host.bare(test, "whole", block={})
    machine.image = folder
    before = host.disk_hashes(machine)
    machine.boot()
    seen = unit(machine, "Result", "ActiveState", "ExecMainStatus", "ExecMainStartTimestampMonotonic",
                "ExecMainExitTimestampMonotonic")
    expect((seen["Result"], seen["ActiveState"], seen["ExecMainStatus"]) ==
           ("success", "active", "0"), "the first boot did it", seen)
    took = int(seen["ExecMainExitTimestampMonotonic"]) - int(seen["ExecMainStartTimestampMonotonic"])
    lab.say(f"figure: the unit of the first boot took {took / 1e6:.1f} s, and began "
            f"{int(seen['ExecMainStartTimestampMonotonic']) / 1e6:.1f} s after the kernel")
    expect(machine.run("test", "-e", ARMED, check=False).status == 1, "it is over")
    expect("qubi-agent" in machine.run("journalctl", "-u", UNIT, "--no-pager").out,
           "the journal has it")
    expect("Done (" in machine.console.read_text(encoding="utf-8", errors="replace"),
           "the console has it")
    expect_ready(machine)
    machine.reboot()
    expect(unit(machine, "ConditionResult")["ConditionResult"] == "no", "it is not done again")
    host.expect_in_sync(machine)
    machine.shutdown()
    after = host.disk_hashes(machine)
    expect(after[host.FOREIGN] == before[host.FOREIGN], "somebody's disk is byte-identical")


def broken(test):
    folder, done = installed.install(
        test, "broken", installed.post().replace("match: default-route", "mtach: default-route"))
    expect(done.returncode == 2, "%post fails", done)
    for words in ("host.yaml:5", "mtach", "match"):
        expect(words in done.stdout, f"the installer's log says: {words}", done)
    machine = host.bare(test, "broken", block={})
    machine.image = folder
    machine.boot()
    state = machine.run("systemctl", "is-system-running", check=False).out.strip()
    expect(state == "running", "the machine boots all the same", state)
    expect(machine.run("test", "-e", ARMED, check=False).status == 1, "nothing was armed")
    expect_status(lab.agent(machine, "plan"), 2, "a person is told the same")
    machine.shutdown()


def test_first_boot(test):
    broken(test)
    first_boot(test)


lab.main()
