#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""prove: a guest on each pool and bridge, which link of its chain broke, and that nothing is left.

Most guests are emulated: KVM on a machine that is itself a guest may be slower.
"""

import os
import signal
import subprocess
import time

import qb

LINKS = ["kvm", "volume", "start", "label", "mark", "frame", "port", "reply"]
ONE = qb.BRIDGE_ONLY + """\
pools:
  - {name: iso, type: dir, target: /srv/iso}
"""


# Of a guest: a busy machine that is itself a guest is slow, which is no broken link.
PATIENCE = ("--timeout", "300")


def prove(*options, code=0):
    return qb.agent("prove", "-f", "json", *PATIENCE, *options, code=code, timeout=600).json()


def broken(trial):
    """The link that broke, with what is said of it; those before it hold, none after is reached."""
    states = [link["state"] for link in trial["chain"]]
    qb.same([link["link"] for link in trial["chain"]], LINKS, "the chain")
    if "broken" not in states:
        assert trial["whole"] and "not-reached" not in states, trial
        return None, ""
    at = states.index("broken")
    assert not trial["whole"] and set(states[at + 1:]) <= {"not-reached"} and \
        "not-reached" not in states[:at], trial
    return LINKS[at], trial["chain"][at]["evidence"]


def volumes():
    names = []
    for pool in qb.virsh("pool-list", "--name").split():
        names += [f"{pool}/{line.split()[0]}" for line in qb.virsh("vol-list", pool).splitlines()
                  if "qubi-prove" in line]
    return names


def nothing_is_left():
    qb.same(qb.virsh("list", "--all", "--name").split(), [], "guests")
    qb.same(volumes(), [], "volumes")


@qb.case(disks="blank,ext4", seconds=1200)
def every_pool_with_every_bridge_by_kvm():
    if not os.path.exists("/dev/kvm"):
        raise qb.Skip("this machine has no /dev/kvm")
    qb.configure()
    qb.agent("apply", "--yes")
    found = prove()
    qb.same((found["verdict"], found["accelerator"]), ("proven", "kvm"), "the verdict")
    qb.same([(t["pool"], t["network"]) for t in found["trials"]],
            [("images", "br0"), ("images", "default"), ("iso", "br0"), ("iso", "default")], "trials")
    for trial in found["trials"]:
        states = {link["link"]: link["state"] for link in trial["chain"]}
        qb.same(states["kvm"], "holds", "KVM")
        qb.same(states["reply"], "holds", "the answer")
        qb.same(states["port"], "holds" if trial["network"] == "br0" else "not-judged", "the port")
    nothing_is_left()
    qb.contains(qb.agent("plan").out, "Nothing to do", "a plan after it")


@qb.case(disks="blank,ext4", seconds=1200)
def emulated_it_is_no_proof_and_each_broken_link_is_named():
    qb.configure(ONE)
    qb.agent("apply", "--yes")
    found = prove("--emulate")
    qb.same((found["verdict"], found["accelerator"]), ("emulated", "tcg"), "the verdict")
    said = qb.agent("prove", *PATIENCE, "--emulate", timeout=600).out
    qb.contains(said, ["pool iso on br0: works, emulated", "1 of 1 worked; emulated that is no proof"],
                "the report")
    assert "proven" not in said, said
    # The gateway goes: it answers the host no more than the guest.
    silence_gateway()
    found = prove("--emulate")
    reply = found["trials"][0]["chain"][-1]
    qb.same(reply["state"], "not-judged", "an answer that nobody has")
    qb.contains(reply["evidence"], "192.0.2.1 does not answer this host either", "evidence")
    # The port.
    qb.run("/usr/sbin/ip", "link", "set", "uplink0", "down")
    link, says = broken(prove("--emulate", code=1)["trials"][0])
    qb.same((link, says), ("port", "no frame of it left by uplink0 (down)"), "the broken link")
    qb.run("/usr/sbin/ip", "link", "set", "uplink0", "nomaster")
    link, says = broken(prove("--emulate", code=1)["trials"][0])
    qb.same((link, says), ("port", "br0 has no port that leads out of this host"), "the broken link")
    # The bridge.
    qb.run("/usr/sbin/ip", "link", "del", "br0")
    link, says = broken(prove("--emulate", code=1)["trials"][0])
    qb.same(link, "start", "the broken link")
    qb.contains(says, "br0", "what libvirt says")
    # The pool.
    qb.run("/bin/mount", "-t", "tmpfs", "-o", "ro", "tmpfs", "/srv/iso")
    link, says = broken(prove("--emulate", code=1)["trials"][0])
    qb.same(link, "volume", "the broken link")
    qb.contains(says, "Read-only file system", "what libvirt says")
    qb.virsh("pool-destroy", "iso")
    link, says = broken(prove("--emulate", code=1)["trials"][0])
    qb.same(link, "volume", "the broken link")
    qb.contains(says, "pool 'iso' is not active", "what libvirt says")
    nothing_is_left()


@qb.case(disks="blank,ext4", seconds=1200)
def what_breaks_the_guest_of_all_is_told_of_its_own_alone():
    """One guest tries all; where it cannot be started, each has one of its own."""
    qb.configure(ONE.replace("bridges:\n", "bridges:\n  - {name: br1, ports: []}\n") +
                 "  - {name: more, type: dir, target: /srv/more}\n")
    qb.agent("apply", "--yes")
    found = prove("--emulate")
    qb.same([(t["pool"], t["network"], t["whole"]) for t in found["trials"]],
            [(pool, net, True) for pool in ("iso", "more") for net in ("br1", "br0")], "trials")
    qb.same(len({t["duration_us"] // 1000000 for t in found["trials"]}), 1, "guests")
    qb.run("/usr/sbin/ip", "link", "del", "br1")
    found = prove("--emulate", code=1)
    qb.same([broken(t)[0] for t in found["trials"]], ["start", None, "start", None], "broken links")
    qb.run("/bin/mount", "-t", "tmpfs", "-o", "ro", "tmpfs", "/srv/more")
    found = prove("--emulate", code=1)
    qb.same([broken(t)[0] for t in found["trials"]], ["start", None, "volume", "volume"],
            "broken links")
    nothing_is_left()


def silence_gateway():
    qb.run(*qb.gateway("/usr/sbin/ip", "address", "flush", "scope", "global"))


def begun():
    """prove, once a guest of its runs."""
    agent = subprocess.Popen([qb.AGENT, "prove", *PATIENCE, "--emulate"], stdin=subprocess.DEVNULL,
                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8")
    assert qb.until(lambda: "qubi-prove" in qb.virsh("list", "--name"), 300), "no guest was begun"
    return agent


@qb.case(disks="blank", seconds=1200)
def nothing_is_left_when_it_is_killed():
    qb.configure(ONE)
    qb.agent("apply", "--yes")
    # Nobody answers, so that the guest waits.
    silence_gateway()
    agent = begun()
    os.kill(agent.pid, signal.SIGKILL)
    agent.communicate()
    qb.until(lambda: not volumes() and not qb.virsh("list", "--name").split(), 120)
    nothing_is_left()
    # Asked to end it does, and says so.
    agent = begun()
    time.sleep(0.1)
    os.kill(agent.pid, signal.SIGTERM)
    qb.contains(agent.communicate(timeout=300)[0], "stopped by a signal; all guests were removed", "report")
    qb.same(agent.returncode, 1, "exit status")
    nothing_is_left()


@qb.case(disks="blank", seconds=1200)
def what_a_power_cut_left_is_removed_and_what_is_somebodys_is_kept():
    qb.configure(ONE)
    qb.agent("apply", "--yes")
    silence_gateway()
    agent = begun()
    name = volumes()[0].split("/")[1]
    os.kill(agent.pid, signal.SIGSTOP)
    subprocess.run(["/bin/cp", f"/srv/iso/{name}", "/srv/iso/kept"], check=True)
    os.kill(agent.pid, signal.SIGCONT)
    agent.communicate(timeout=300)
    os.rename("/srv/iso/kept", f"/srv/iso/{name}7")
    with open(f"/srv/iso/{name}6", "wb") as f:  # made, and not yet written
        f.truncate(1 << 20)
    with open(f"/srv/iso/{name}8", "w", encoding="utf-8") as f:
        f.write("somebody's\n" * 1000)
    qb.virsh("pool-refresh", "iso")
    qb.agent("prove", *PATIENCE, "--emulate", timeout=600)
    qb.same(volumes(), [f"iso/{name}8"], "what is left")


@qb.case(disks="blank", seconds=1200)
def what_it_cannot_do_is_said():
    qb.configure(qb.BRIDGE_ONLY)
    r = qb.agent("prove", code=2)
    qb.contains(r.err, "there is nothing to prove: the configuration has no pool", "error")


if __name__ == "__main__":
    qb.main()
