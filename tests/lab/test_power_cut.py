# SPDX-License-Identifier: Apache-2.0
"""The plug is pulled in the middle of an apply; a rerun ends where one run would have."""
import threading

import host
import lab
import vm
from lab import expect, expect_status

# A small fixed sample: when the NIC has moved and no file says so yet, while the disk is carved,
# and before libvirt knows of anything. Seconds count from when the journal announces the step.
MOMENTS = (("net.persist", 0.0), ("storage.carve", 0.5), ("libvirt.network", 0.0))


# Looks for the announcement until the run has ended.
WATCH = """until grep -qs "$1" /var/lib/qubi-agent/journal/*; do
	[ -e /run/lab-ended ] && exit 3
	sleep 0.02
done
sleep "$2"
[ -e /run/lab-ended ] && exit 3
exit 0
"""


def cut_at(machine, kind, later):
    """Starts an apply and kills QEMU when the journal announces the first step of that kind."""
    status, plan = lab.agent_json(machine, "plan")
    expect(status == 4, "changes are pending", plan)
    number = next(i for i, step in enumerate(plan["steps"]) if step["kind"] == kind)
    ended = []

    def apply():
        try:
            ended.append(machine.run("sh", "-c", "qubi-agent apply --yes; s=$?; "
                                     ": >/run/lab-ended; exit $s", check=False, timeout=600))
        except vm.LabError:
            pass  # the machine went away under it, as it was to

    runner = threading.Thread(target=apply, daemon=True)
    runner.start()
    watched = machine.run("sh", "-c", WATCH, "sh", f'"event": *"intent", *"step": *{number}[,}}]',
                          later, check=False, timeout=600)
    if watched.status:
        runner.join(30)
        raise lab.Failed(f"the run ended before the cut: {ended and ended[0]}")
    machine.power_cut()
    runner.join(30)
    lab.say(f"power cut {later} s into {kind}")


def test_power_cut(test):
    origin = host.bare(test, "origin")
    foreign = host.disk_hashes(origin)[host.FOREIGN]
    origin.boot()
    uplink = host.Uplink(origin)
    lab.install(origin)
    host.configure(origin)
    origin.run("sync")
    origin.save()
    for kind, later in MOMENTS:
        machine = test.adopt(origin.clone(test.work / f"cut-{kind}"))
        cut_at(machine, kind, later)
        expect(host.disk_hashes(machine)[host.FOREIGN] == foreign,
               "somebody's disk is byte-identical")
        machine.boot()
        uplink.expect_reachable(machine)
        again = expect_status(lab.agent(machine, "apply", "--yes"), 0, "the rerun converges")
        lab.say(again.out.rstrip())
        host.expect_host(machine, uplink)
        machine.shutdown()
        expect(host.disk_hashes(machine)[host.FOREIGN] == foreign,
               "somebody's disk is byte-identical")


lab.main()
