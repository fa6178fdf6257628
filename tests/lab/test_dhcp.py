# SPDX-License-Identifier: Apache-2.0
"""A NIC whose addresses are leased and announced: the bridge takes over, and keeps, the same."""
import host
import lab
import vm
from lab import expect, expect_status

CONFIG = """\
version: 1
bridges:
  - name: br0
    ports:
      - match: default-route
    ipv4: inherit
    ipv6: inherit
"""


def test_dhcp(test):
    machine = host.bare(test, address=vm.dynamic_address(), nic=vm.Nic(restrict=False))
    machine.boot()
    uplink = host.Uplink(machine)
    expect(len(uplink.addresses) == 2, "an address by DHCP and one by announcement")
    lab.install(machine)
    host.configure(machine, CONFIG)
    applied = expect_status(lab.agent(machine, "apply", "--yes"), 0, "one apply does it")
    lab.say(applied.out.rstrip())
    uplink.expect_moved(machine)
    status, plan = lab.agent_json(machine, "plan")
    expect((status, plan["steps"]) == (0, []), "the plan is empty", plan)

    machine.reboot()
    uplink.expect_moved(machine)
    status, plan = lab.agent_json(machine, "plan")
    expect((status, plan["steps"]) == (0, []), "the plan is empty", plan)
    lease = machine.run("ip", "-4", "addr", "show", "dev", "br0").out
    expect(" dynamic " in lease, "the address is leased still", lease)


lab.main()
