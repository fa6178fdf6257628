#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Nobody is locked out: every way to break the move of the host's NIC that we could think of.

After each the host is reached again within PATIENCE_S, and the kernel's state is what it was before,
field by field; or, where what happened does no harm, the move went through and all is reached.
"""

import json
import os
import re
import signal
import subprocess
import threading
import time

import qb
import netstate

PATIENCE_S = 10
MESSAGES, ANSWERS = 90, 80  # more than a run sends, and gets
GATEWAYS = ("192.0.2.1", "2001:db8::1")
# Each message a little late, so that whoever breaks something in between is in time.
SLOWLY = ["-e", "inject=sendmsg:delay_exit=15ms"]


# ------------------------------------------------------------------ the host

def more_of_everything():
    """A host that has more than one address and one route."""
    for words in ("addr add 192.0.2.11/24 dev uplink0 label uplink0:one",
                  "addr add 198.51.100.10/24 dev uplink0 noprefixroute metric 50",
                  "-6 addr add 2001:db8:1::10/64 dev uplink0 nodad",
                  "route add 203.0.113.0/24 via 192.0.2.1 metric 40 mtu 1400",
                  "route add 198.51.100.0/24 dev uplink0 proto static metric 7",
                  "-6 route add 2001:db8:2::/48 via 2001:db8::1 metric 33 pref high",
                  "neigh add 192.0.2.77 lladdr 00:00:5e:00:53:77 dev uplink0 nud permanent"):
        qb.run("/usr/sbin/ip", *words.split())


def tables(*words):
    return json.loads(qb.run("/usr/sbin/ip", "-j", "-d", *words).out or "[]")


def sysctls(link):
    found = {}
    for family in ("ipv4", "ipv6"):
        place = f"/proc/sys/net/{family}/conf/{link}"
        for name in os.listdir(place):
            try:
                with open(f"{place}/{name}", encoding="utf-8") as f:
                    found[f"{family}.{name}"] = f.read().strip()
            except OSError:  # stable_secret, where there is none
                pass
    return found


def snapshot():
    """All that the kernel tells of the network, but for what runs. It looks for duplicates of an
    address that it makes itself, as of a NIC that somebody has switched off and on."""
    qb.until(lambda: "tentative" not in qb.run("/usr/sbin/ip", "-6", "address").out, 3)
    links = {}
    for link in tables("address"):
        for address in link["addr_info"]:
            for running in ("valid_life_time", "preferred_life_time"):
                if address[running] != 0xFFFFFFFF:
                    del address[running]
        link["addr_info"].sort(key=lambda a: (a["family"], a["local"]))
        links[link["ifname"]] = link
    rows = {"links": links, "sysctls": sysctls("uplink0")}
    for name, words in {"routes": ("-4", "route", "show", "table", "all"),
                        "routes6": ("-6", "route", "show", "table", "all"),
                        "rules": ("rule",), "rules6": ("-6", "rule"),
                        "neighbours": ("neigh", "show", "nud", "permanent")}.items():
        rows[name] = sorted(json.dumps(r, sort_keys=True) for r in tables(*words)
                            if r.get("dst") != "multicast")
    return rows


class Pinging:
    """Somebody who wants to reach the gateways all the time: the longest that he could not."""

    def __enter__(self):
        self.processes = [subprocess.Popen(
            ["/bin/ping", "-D", "-i", "0.05", "-W", "1", gateway], stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, encoding="utf-8", preexec_fn=qb.end_with_parent)
            for gateway in GATEWAYS]
        self.began = time.time()
        return self

    def __exit__(self, *_):
        end, self.longest = time.time(), 0
        for p in self.processes:
            p.send_signal(signal.SIGINT)
            out = p.communicate()[0]
            times = [float(t) for t in re.findall(r"^\[([0-9.]+)\] .*time=", out, re.M)]
            times = [self.began, *times, end]
            self.longest = max([self.longest, *(b - a for a, b in zip(times, times[1:]))])


# ------------------------------------------------------------------ one way

def traced_run(options, **env):
    return subprocess.Popen(["/usr/bin/strace", "-qq", "-o", "/dev/null", "-e", "trace=sendmsg",
                             *options, qb.AGENT, "apply", "--yes"], stdin=subprocess.DEVNULL,
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8",
                            start_new_session=True, env={**os.environ, **env, "ASAN_OPTIONS":
                                 os.environ.get("ASAN_OPTIONS", "") + ":detect_leaks=0"},
                            preexec_fn=qb.end_with_parent)


class Ways:
    """Tries one after the other on one host, and keeps what is to be told at the end."""

    def __init__(self):
        qb.adopt_orphans()
        qb.configure(qb.BRIDGE_ONLY)
        more_of_everything()
        self.before = snapshot()
        self.undone = self.kept = 0
        self.worst = ("", 0)

    def reached(self, what):
        for gateway in GATEWAYS:
            lost, _, _ = qb.probe(gateway, 3, 0.02)
            qb.same(lost, [], f"{what}: unanswered by {gateway}")

    def settle(self, what, output):
        """The state after it, and back to where all began."""
        differs = netstate.difference(self.before, snapshot())
        if not differs:
            self.undone += 1
        else:
            again = qb.agent("plan", code=None)
            assert again.code == 0, \
                f"{what}: neither as before nor as wanted:\n{output}\n" + "\n".join(differs)
            self.kept += 1
            qb.agent("rollback", "--yes")
            qb.same(netstate.difference(self.before, snapshot()), [], f"{what}: after rollback")
        self.reached(what)
        return not differs

    def run(self, what, options=(), meanwhile=None, **env):
        """One run with that break. Returns (the run got to where it was to break, undone)."""
        with Pinging() as pinging:
            p = traced_run(options, **env)
            if meanwhile:
                meanwhile(p)
            output = p.communicate(timeout=120)[0]
            qb.wait_for_orphans(but=pinging.processes)
            self.reached(what)
        assert pinging.longest < PATIENCE_S, \
            f"{what}: not reached for {pinging.longest:.1f} s\n{output}"
        if pinging.longest > self.worst[1]:
            self.worst = (what, pinging.longest)
        return output, p.returncode, self.settle(what, output)

    def say(self):
        print(f"figure: {self.undone + self.kept} ways, {self.undone} undone with no difference, "
              f"{self.kept} did no harm; not reached for {self.worst[1]:.2f} s at the longest "
              f"({self.worst[0]})")


# ------------------------------------------------------------------ cases

@qb.case(disks="ext4", seconds=600)
def killed_at_each_message_or_told_that_it_failed():
    """One that is stopped is killed by its guard: see test_guard.py."""
    ways, last = Ways(), MESSAGES

    def at(how, number):
        return ways.run(f"{how} at message {number}",
                        ["-e", f"inject=sendmsg:{how}:when={number}"])
    for number in range(1, MESSAGES):
        if at("signal=KILL", number)[1] == 0:
            last = number
            break
    assert 20 < last < MESSAGES, f"a run sends {last - 1} messages"
    for number in range(1, last):
        at("error=ENOBUFS", number)
    assert ways.undone > last, f"{ways.undone} undone, of twice {last - 1} messages"
    ways.say()


@qb.case(disks="ext4", seconds=600)
def an_error_in_each_answer():
    ways = Ways()
    qb.run("/usr/bin/cc", "-shared", "-fPIC", "-O1", "-o", "/tmp/fault.so", qb.HERE + "/fault.c",
           "-ldl")
    preload = " ".join(filter(None, [os.environ.get("LD_PRELOAD"), "/tmp/fault.so"]))
    for number in range(1, ANSWERS):
        output, code, undone = ways.run(f"answer {number} is an error", LD_PRELOAD=preload,
                                        QB_FAULT_ACK=str(number))
        if "was spoilt" not in output:
            break
        # What only spares a frame is done without.
        assert (code, undone) in ((qb.FAILED, True), (qb.OK, False)), \
            f"answer {number}: exit {code}, undone: {undone}\n{output}"
    assert number > 15 and ways.undone > 10, f"{ways.undone} undone, of {number} answers"
    ways.say()


def watch(p, ready, act):
    """Does it as soon as it is so, while the run is slowed down."""
    while p.poll() is None:
        if ready():
            act()
            return
        time.sleep(0.001)
    raise AssertionError("the run was over before it could be disturbed")


def is_port():
    return os.path.exists("/sys/class/net/br0/brif/uplink0")


def ip(*words):
    return lambda: qb.run("/usr/sbin/ip", *" ".join(words).split(), code=None)


def nft(rules):
    """In force for the bridge alone: without one nothing is filtered."""
    subprocess.run(["/usr/sbin/nft", "-f", "-"], input=rules, encoding="utf-8", check=True)


def filtered(chain, rule):
    return (f"table bridge break {{ chain c {{ type filter hook {chain} priority 0; "
            f"{rule} drop; }}\n}}\n")


FILTERS = {
    "nothing comes in": filtered("input", "iifname uplink0"),
    "nothing goes out": filtered("postrouting", "oifname uplink0"),
    "the IPv4 gateway is gone": filtered("input", "arp saddr ip 192.0.2.1"),
    "the IPv6 gateway is gone": filtered("input", "icmpv6 type nd-neighbor-advert"),
    "no ARP goes out": filtered("postrouting", "ether type arp"),
    "MTU black hole, IPv4": filtered("input", "ether type ip meta length > 1000"),
    "MTU black hole, IPv6": filtered("input", "ether type ip6 meta length > 1000"),
    "MTU black hole on the way out": filtered("postrouting", "meta length > 1200"),
}

# As soon as the bridge has its port, somebody does this.
MEANWHILE = {
    "the bridge filters VLANs, and the port is in none":
        ip("link set br0 type bridge vlan_filtering 1 vlan_default_pvid 0"),
    "somebody switches the NIC off": ip("link set uplink0 down"),
    "somebody switches the bridge off": ip("link set br0 down"),
    "somebody deletes the bridge": ip("link del br0"),
    "somebody takes the port out": ip("link set uplink0 nomaster"),
    "somebody takes the addresses off the bridge": ip("addr flush dev br0"),
    "somebody takes the default route away": ip("route del default dev br0"),
    "somebody takes the IPv6 default route away": ip("-6 route del default dev br0"),
    "STP is switched on": ip("link set br0 type bridge stp_state 1"),
    "the gateway forgets us": ip("-n gateway neigh flush all"),
}


@qb.case(disks="ext4", seconds=600)
def what_others_do_meanwhile():
    ways = Ways()
    for what, rules in FILTERS.items():
        nft(rules)
        _, code, undone = ways.run(what)
        nft("delete table bridge break")
        qb.same((code, undone), (qb.FAILED, True), f"{what}: exit, undone")
    for what, act in MEANWHILE.items():
        ways.run(what, SLOWLY, lambda p, act=act: watch(p, is_port, act))
    ways.say()


class PutsBack:
    """As a network manager does that takes itself for the owner: whenever it is gone."""

    def __init__(self):
        self.times = 0

    def loop(self, p):
        while p.poll() is None:
            known = tables("address", "show", "uplink0")[0]["addr_info"]
            if is_port() and all(a["local"] != "192.0.2.10" for a in known):
                r = qb.run("/usr/sbin/ip", "addr", "add", "192.0.2.10/24", "dev", "uplink0",
                           code=None)
                self.times += r.code == 0

    def __call__(self, p):
        threading.Thread(target=self.loop, args=(p,), daemon=True).start()


def loses_carrier(p):
    """For two seconds, of which nobody can be reached."""
    watch(p, is_port, ip("-n gateway link set port0 down"))
    time.sleep(2)
    for words in ("link set port0 up", "address replace 2001:db8::1/64 dev port0 nodad"):
        ip("-n gateway", words)()


def somebody_else_claims_the_address(p):
    """A host with our address tells the gateway so."""
    def claim():
        ip("-n gateway neigh replace 192.0.2.10 lladdr 00:00:5e:00:53:66 dev port0 nud stale")()
    watch(p, is_port, claim)


@qb.case(disks="ext4", seconds=600)
def more_than_one_thing_at_a_time():
    ways = Ways()
    other = PutsBack()
    ways.run("another manager puts the address back", SLOWLY, other)
    assert other.times, "it never put anything back"
    ways.run("the carrier is lost for a while", SLOWLY, loses_carrier)
    ways.run("an address conflict", SLOWLY, somebody_else_claims_the_address)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        ways.run(f"signal {number}", SLOWLY,
                 lambda p, n=number: watch(p, is_port, lambda: os.kill(child_of(p), n)))
    ways.run("the whole process group is killed", SLOWLY,
             lambda p: watch(p, is_port, lambda: os.killpg(p.pid, signal.SIGKILL)))
    ways.run("its guard is killed", SLOWLY,
             lambda p: watch(p, is_port, lambda: os.kill(guard_of(p), signal.SIGKILL)))
    ways.say()


def children(pid):
    with open(f"/proc/{pid}/task/{pid}/children", encoding="utf-8") as f:
        return [int(word) for word in f.read().split()]


def child_of(p):
    return children(p.pid)[0]


def guard_of(p):
    for pid in children(child_of(p)):
        with open(f"/proc/{pid}/comm", encoding="utf-8") as f:
            if f.read().strip() == "qubi-guard":
                return pid
    raise AssertionError("there is no guard")


if __name__ == "__main__":
    qb.main()
