# SPDX-License-Identifier: Apache-2.0
"""What ip(8) and bridge(8) tell of a host, and where two states of it differ."""
import json

WORDS = ("ip -j -d addr", "ip -j -d -4 route show table all", "ip -j -d -6 route show table all",
         "bridge -j vlan")
# What runs, or is counted.
VOLATILE = {"valid_life_time", "preferred_life_time", "gc_timer", "hello_timer", "tcn_timer",
            "topology_change_timer", "hold_timer", "message_age_timer", "forward_delay_timer",
            "operstate"}


def strip(x, also):
    if isinstance(x, dict):
        return {k: strip(v, also) for k, v in x.items() if k not in VOLATILE and k not in also}
    if isinstance(x, list):
        return sorted((strip(v, also) for v in x), key=json.dumps)
    return x


def by_name(rows):
    """Links have names; of routes each is its own. The other end of a cable is somebody else's."""
    named = {row["ifname"] if "ifname" in row else json.dumps(row): row for row in rows}
    return {name: row for name, row in named.items()
            if not row.get("ifname", row.get("dev", "")).startswith("far")}


def of(run, also=()):
    """run gives the output of words; also: more keys that do not count."""
    return {words: by_name(strip(json.loads(run(*words.split()) or "[]"), also))
            for words in WORDS}


def difference(a, b, path=""):
    """Where two states differ, a line each."""
    if isinstance(a, dict) and isinstance(b, dict):
        return [line for k in sorted(a.keys() | b.keys())
                for line in difference(a.get(k), b.get(k), f"{path}/{k}")]
    return [] if a == b else [f"{path}: {a!r} against {b!r}"]
