# SPDX-License-Identifier: Apache-2.0
"""prove on pools of every type with two bridges: a KVM guest each, and what broke where one did."""
import json

import host
import lab
import vm
from lab import expect, expect_status

# NetworkManager gives a NIC that nobody configured no address.
NOT_BY_ITSELF = {"/etc/NetworkManager/conf.d/lab.conf": "[main]\nno-auto-default=*\n"}
CONFIG = """\
version: 1
bridges:
  - {name: br0, ports: [{match: default-route}], libvirt-network: outside}
  - {name: br1, ports: [{mac: "52:54:00:00:53:02"}], ipv4: none, ipv6: none}
pools:
  - {name: images, type: fs, disks: [{serial: QB0001}], target: /var/lib/libvirt/images}
  - {name: vms, type: logical, disks: [{serial: QB0002}]}
  - {name: iso, type: dir, target: /srv/iso}
"""


def prove(machine, status=0):
    found, document = lab.agent_json(machine, "prove")
    expect(found == status, f"prove exits with {status}", json.dumps(document, indent=1))
    return document


def broken(document):
    """{(pool, bridge): (the link that broke, what is said of it)}"""
    return {(t["pool"], t["network"]): next(((link["link"], link["evidence"]) for link in t["chain"]
                                             if link["state"] == "broken"), None)
            for t in document["trials"]}


def expect_broken(document, wanted):
    """wanted(pool, bridge): the link that is to be named, and words of it; None: it is whole."""
    for (pool, bridge), is_now in broken(document).items():
        link = wanted(pool, bridge)
        expect((is_now is None) == (link is None) and
               (not link or (is_now[0] == link[0] and link[1] in is_now[1])),
               f"{pool} on {bridge}: {link or 'whole'}", is_now)


def test_prove(test):
    folder = test.work / "disks"
    folder.mkdir()
    disks = [vm.Disk("virtio", vm.blank(folder / name, 1 << 30), name) for name in ("QB0001", "QB0002")]
    machine = test.machine(svm=True, disks=disks, files=vm.static_address() | NOT_BY_ITSELF,
                           nics=[vm.Nic(), vm.Nic(mac="52:54:00:00:53:02")])
    machine.boot()
    lab.install(machine)
    host.configure(machine, CONFIG)
    expect_status(lab.agent(machine, "apply", "--yes"), 0, "one apply does it")

    document = prove(machine)
    expect(document["verdict"] == "proven" and document["accelerator"] == "kvm", "all is proven", document)
    expect(len(document["trials"]) == 6, "each pool with each bridge", document)
    lab.say(f"figure: 6 of 6 proven in {document['duration_us'] / 1e6:.1f} s")
    for trial in document["trials"]:
        states = {link["link"]: link["state"] for link in trial["chain"]}
        expect(states["port"] == "holds", "its frame left by the bridge's port", trial)
        expect(states["reply"] == ("holds" if trial["network"] == "br0" else "not-judged"),
               "the gateway answered where there is one", trial)
    status, plan = lab.agent_json(machine, "plan")
    expect((status, plan["steps"]) == (0, []), "nothing is left of it", plan)

    machine.qmp.execute("set_link", name="net1", up=False)
    host.wait_for("the kernel sees it", lambda: "NO-CARRIER" in machine.run("ip", "link", "show", "br1").out)
    expect_broken(prove(machine, 1),
                  lambda pool, bridge: ("port", "(no carrier)") if bridge == "br1" else None)
    machine.qmp.execute("set_link", name="net1", up=True)

    machine.run("mount", "-o", "remount,ro", host.TARGET)
    expect_broken(prove(machine, 1),
                  lambda pool, bridge: ("volume", "Read-only file system") if pool == "images" else None)
    machine.run("mount", "-o", "remount,rw", host.TARGET)

    machine.run("modprobe", "-r", "kvm_amd")
    document = prove(machine, 1)
    lab.say(json.dumps(document["trials"][0]["chain"][0]))
    expect_broken(document, lambda pool, bridge: ("kvm", "/dev/kvm"))


lab.main()
