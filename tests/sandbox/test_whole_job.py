#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The whole job, once: from a bare host to one that libvirt can use, and nothing to do after."""

import os
import xml.etree.ElementTree as ElementTree

import qb
import netstate


@qb.case
def facts_tell_the_disks_apart():
    facts = qb.agent("facts", "--format", "json").json()
    qb.same(facts["schema"], "qubi-agent/facts/1", "schema")
    disks = {d["path"]: d for d in facts["disks"]}
    wanted = {"QB_BLANK": [], "QB_BLANK2": [], "QB_EXT4": ["signature"],
              "QB_GPT": ["partitions", "partition-table"], "QB_LVM": ["signature"]}
    qb.same(set(disks), {os.environ[n] for n in wanted}, "disks")
    for name, codes in wanted.items():
        disk = disks[os.environ[name]]
        found = [r["code"] for r in disk["reasons"]]
        assert set(found) >= {"virtual", *codes}, f"{name}: {disk['reasons']}"
        qb.same(disk["available"], False, f"{name}: available")
        if not codes:
            qb.same(found, ["virtual"], f"{name}: reasons")
        for r in disk["reasons"]:
            assert r["evidence"], f"{name}: {r['code']} without evidence"
    links = {link["name"]: link for link in facts["links"]}
    qb.same(links["uplink0"]["mac"], "00:00:5e:00:53:01", "MAC")
    qb.same(facts["libvirt"]["connected"], True, "libvirt connected")


@qb.case(disks="blank")
def every_check_is_listed_and_explained():
    listed = qb.agent("check", "--list", "--format", "json").json()
    qb.same(listed["schema"], "qubi-agent/check-list/1", "schema")
    assert len(listed["checks"]) > 20, listed["checks"]
    for check in listed["checks"]:
        explained = qb.agent("explain", check["id"], "--format", "json").json()
        qb.same({k: explained[k] for k in check}, check, "what is listed of it")


@qb.case
def bare_host_becomes_a_kvm_host():
    qb.configure()
    foreign = qb.foreign_disks()
    uplink = qb.links()["uplink0"]

    check = qb.agent("check", "--format", "json", code=qb.FAILED).json()
    qb.same(check["verdict"], "not-ready", "verdict before")
    plan = qb.agent("plan", "--format", "json", code=qb.PENDING).json()
    qb.same(plan["schema"], "qubi-agent/plan/1", "schema")
    qb.same(plan["refused"], [], "refused")
    kinds = {s["kind"] for s in plan["steps"]}
    assert {"net.bridge", "storage.carve"} <= kinds, kinds

    first = qb.agent("apply", "--yes", "--format", "json")
    qb.same(first.json()["result"], "done", "result")
    print(f"figure: apply took {first.seconds:.2f} s")
    check_result(uplink, foreign)

    state = qb.host_state()
    check = qb.agent("check", "--format", "json").json()
    assert check["verdict"] in ("ready", "degraded"), check["verdict"]
    plan = qb.agent("plan", "--format", "json").json()
    qb.same((plan["steps"], plan["refused"]), ([], []), "plan after apply")
    files = qb.tree("/etc/qubi-agent", "/var/lib/qubi-agent", "/etc/libvirt")
    qb.same(qb.agent("apply", "--yes", "--format", "json").json()["result"], "in-sync", "result")
    second = qb.agent("apply", "--yes")
    qb.contains(second.out, "nothing to do", "second apply")
    print(f"figure: the second apply took {second.seconds * 1000:.0f} ms")
    assert second.seconds < 2, f"a rerun with nothing to do took {second.seconds:.2f} s"
    qb.same(netstate.difference(state, qb.host_state()), [], "changed by the second apply")
    qb.same(qb.tree("/etc/qubi-agent", "/var/lib/qubi-agent", "/etc/libvirt"), files,
            "files after the second apply")


def check_result(uplink, foreign):
    links = qb.links()
    qb.same(links["uplink0"]["master"], "br0", "master of the NIC")
    qb.same(links["uplink0"]["addresses"], [], "addresses left on the NIC")
    qb.same(links["br0"]["addresses"], uplink["addresses"], "addresses of the bridge")
    qb.same(links["br0"]["address"], uplink["address"], "MAC of the bridge")
    qb.same(links["br0"]["stp"], 0, "STP")
    qb.same({(r["gateway"], r["dev"]) for r in qb.routes() if r["dst"] == "default"},
            {("192.0.2.1", "br0"), ("2001:db8::1", "br0")}, "default routes")
    for address in ("192.0.2.1", "2001:db8::1"):
        qb.assert_reaches(address)

    active = ["Active: yes", "Persistent: yes", "Autostart: yes"]
    libvirt = qb.libvirt()
    qb.same(set(libvirt), {"net host-bridge", "net default", "pool images", "pool iso"},
            "what libvirt knows")
    for name, thing in libvirt.items():
        wanted = active if name.startswith("net") else \
            ["State: running", "Persistent: yes", "Autostart: yes"]
        qb.same(thing["info"], wanted, name)
        path = "/tmp/thing.xml"
        with open(path, "w", encoding="utf-8") as f:
            f.write(qb.virsh(f"{name.split()[0]}-dumpxml", "--inactive", name.split()[1]))
        qb.run("/usr/bin/virt-xml-validate", path,
               {"net": "network", "pool": "storagepool"}[name.split()[0]])
    qb.contains(libvirt["net host-bridge"]["xml"], ["<forward mode='bridge'", "br0"], "host-bridge")
    qb.same(qb.mounts(), [("/var/lib/libvirt/images", "xfs")], "XFS mounted")
    qb.virsh("vol-create-as", "images", "proof.img", "8M")
    assert os.path.exists("/var/lib/libvirt/images/proof.img"), "a volume is not on the pool"
    qb.virsh("vol-delete", "--pool", "images", "proof.img")
    qb.same(qb.partition_table(os.environ["QB_BLANK"])["diskp1"]["PART_ENTRY_NAME"], "qubi:images",
            "mark of ownership")
    qb.same(qb.foreign_disks(), foreign, "disks of others")


NETWORKS = """\
version: 1
networks:
  - {name: by-nat, subnet: 198.51.100.0/28}
  - {name: by-route, forward: route, subnet: 198.51.100.16/28}
  - {name: by-open, forward: open, subnet: 198.51.100.32/28}
  - {name: by-none, forward: isolated}
"""


@qb.case(disks="blank")
def networks_of_every_mode():
    qb.configure(NETWORKS)
    qb.agent("apply", "--yes")
    for name, mode in (("nat", "nat"), ("route", "route"), ("open", "open"), ("none", None)):
        xml = ElementTree.fromstring(qb.virsh("net-dumpxml", f"by-{name}"))
        forward = xml.find("forward")
        qb.same(None if forward is None else forward.get("mode"), mode, f"mode of by-{name}")
    qb.agent("plan")
    found = {c["id"]: c["status"] for c in qb.agent("check", "libvirt", "--format", "json",
                                                    code=(qb.OK, qb.FAILED)).json()["checks"]}
    qb.same(found["libvirt.networks-defined"], "pass", "networks-defined")


@qb.case
def nothing_changes_without_consent():
    qb.configure()
    before = qb.host_state()
    r = qb.agent("apply", code=qb.USAGE)
    qb.contains(r.err, ["--yes", "nothing was done"], "message")
    qb.agent("plan", code=qb.PENDING)
    qb.agent("check", code=qb.FAILED)
    qb.agent("facts")
    qb.same(netstate.difference(before, qb.host_state()), [], "what changed")


@qb.case
def disk_with_data_is_refused_with_every_reason():
    for name, codes in (("QB_EXT4", ["signature"]), ("QB_LVM", ["signature"]),
                        ("QB_GPT", ["partitions", "partition-table"])):
        with open(qb.HERE + "/host.yaml", encoding="utf-8") as f:
            qb.configure(f.read().replace("QB_BLANK", name))
        before = qb.host_state()
        plan = qb.agent("plan", "--format", "json", code=qb.REFUSED).json()
        qb.same(len(plan["refused"]), 1, "refused")
        found = [r["code"] for r in plan["refused"][0]["reasons"]]
        assert set(codes) <= set(found), f"{name}: {found}"
        assert "virtual" not in found, "a disk named by its path is no longer refused as virtual"
        qb.agent("apply", "--yes", code=qb.REFUSED)
        qb.same(netstate.difference(before, qb.host_state()), [], f"{name}: what changed")


@qb.case
def partial_apply_does_all_but_the_refused():
    with open(qb.HERE + "/host.yaml", encoding="utf-8") as f:
        qb.configure(f.read().replace("QB_BLANK", "QB_EXT4"))
    foreign = qb.foreign_disks()
    qb.agent("apply", "--yes", "--allow-partial", code=qb.REFUSED)
    qb.same(set(qb.libvirt()), {"net host-bridge", "net default", "pool iso"}, "what libvirt knows")
    qb.same(qb.links()["uplink0"]["master"], "br0", "master of the NIC")
    qb.same(qb.foreign_disks(), foreign, "disks of others")


@qb.case
def target_that_holds_something_is_refused_before_the_first_change():
    """A file system mounted there would hide it; neither NIC nor disk is touched for that."""
    qb.configure()
    os.makedirs("/var/lib/libvirt/images", exist_ok=True)
    with open("/var/lib/libvirt/images/guest.iso", "w", encoding="utf-8") as f:
        f.write("data")
    before = qb.host_state()
    plan = qb.agent("plan", "--format", "json", code=qb.REFUSED).json()
    qb.same([(r["target"], [x["code"] for x in r["reasons"]]) for r in plan["refused"]],
            [("pool images", ["target-not-empty"])], "refused")
    qb.agent("apply", "--yes", code=qb.REFUSED)
    qb.same(netstate.difference(before, qb.host_state()), [], "what changed")
    blank = qb.partition_table(os.environ["QB_BLANK"])
    qb.agent("apply", "--yes", "--allow-partial", code=qb.REFUSED)
    qb.same(qb.partition_table(os.environ["QB_BLANK"]), blank, "the disk of the refused pool")


if __name__ == "__main__":
    qb.main()
