#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Disks that somebody needs, an image of each format there is: each is refused for what is on it,
and not a byte of any changes."""

import collections
import glob
import hashlib
import json
import os

import corpus
import qb

ABOUT_CONTENTS = {"signature", "partition-table", "partitions", "ambiguous", "unknown-content",
                  "foreign-pv"}
POOL = """\
  - name: {name}
    type: fs
    disks: {{path: {device}}}
    target: /srv/{name}
"""


def digest(path):
    """Of the bytes that are there; the holes of a sparse file are part of it by their places."""
    h, end = hashlib.blake2b(), 0
    with open(path, "rb") as f:
        while True:
            try:
                start = os.lseek(f.fileno(), end, os.SEEK_DATA)
            except OSError:
                return h.hexdigest()
            end = os.lseek(f.fileno(), start, os.SEEK_HOLE)
            f.seek(start)
            for at in range(start, end, 1 << 20):
                block = f.read(min(1 << 20, end - at))
                if block.strip(b"\0"):
                    h.update(b"%d:" % at + block)


def digests():
    return {path: digest(path) for path in sorted(glob.glob("/run/sandbox/*.img"))}


def corpus_here():
    with open(corpus.THERE, encoding="utf-8") as f:
        return json.load(f)


def reasons(objects):
    return {r["code"] for r in objects}, [r["evidence"] for r in objects]


def wrong(name, codes, evidence):
    """What is wrong with the verdict on an image; None where nothing is."""
    wanted = corpus.IMAGES[name]
    if wanted.code and wanted.code not in codes:
        return f"{name}: {codes}, and not {wanted.code}"
    if not codes & ABOUT_CONTENTS:
        return f"{name}: nothing of its contents speaks against it: {codes}"
    unnamed = [kind for kind in wanted.kinds if not any(kind in e for e in evidence)]
    return f"{name}: nothing says {unnamed}: {evidence}" if unnamed else None


def expect_right(verdicts, what):
    """verdicts: {image: (codes, evidence)}"""
    bad = [w for name, verdict in verdicts.items() if (w := wrong(name, *verdict))]
    assert not bad, f"{what}:\n" + "\n".join(bad)
    count = collections.Counter(c for codes, _ in verdicts.values() for c in codes)
    print(f"figure: {len(verdicts)} {what}, all refused: {dict(count.most_common())}")


@qb.case(disks="blank,corpus", seconds=600)
def every_format_is_refused():
    before, here = digests(), corpus_here()["there"]
    assert len(here) >= 120, len(here)
    # As plain files, of whose kind nothing speaks against them.
    lines = qb.run(qb.HERE + "/../../build/unit/image_verdict",
                   *(f"/run/sandbox/{name}.img" for name in ["blank", *here.values()])).out
    verdicts = {}
    for line in lines.splitlines():
        said = json.loads(line)
        name = os.path.basename(said["path"]).removesuffix(".img")
        verdicts[name] = reasons(said["reasons"])
    qb.same(verdicts.pop("blank"), (set(), []), "reasons against a blank file")
    qb.same(set(verdicts), set(here.values()), "files that were judged")
    expect_right(verdicts, "plain files")
    # As disks, in the facts.
    facts = json.loads(qb.agent("facts", "-f", "json").out)
    found = {d["name"]: d for d in facts["disks"]}
    expect_right({name: reasons(found[device]["reasons"]) for device, name in here.items()},
                 "disks")
    # And in a plan that wants every one of them.
    qb.configure("version: 1\npools:\n" + "".join(
        POOL.format(name=device, device=f"/dev/{device}") for device in here))
    for words in (("plan",), ("apply", "--yes")):
        plan = json.loads(qb.agent(*words, "-f", "json", code=qb.REFUSED).out)
        qb.same([s["kind"] for s in plan["steps"] if s["kind"] == "storage.carve"], [], "carved")
        refused = {r["target"].removeprefix("pool "): r["reasons"] for r in plan["refused"]}
        expect_right({name: reasons(refused[device]) for device, name in here.items()},
                     f"pools of {words[0]}")
    # What is blank is taken, at its side.
    blank = os.environ["QB_BLANK"]
    qb.configure("version: 1\npools:\n" + POOL.format(name="images", device=blank))
    plan = json.loads(qb.agent("plan", "-f", "json", code=qb.PENDING).out)
    qb.same([s["target"] for s in plan["steps"] if s["kind"] == "storage.carve"], ["pool images"],
            "steps that carve")
    qb.same(digests(), before, "the disks")


@qb.case(disks="corpus", seconds=300)
def every_program_that_makes_one_is_here():
    missing = corpus_here()["missing"]
    if missing:
        raise qb.Skip(f"{len(missing)} images need what is not here: "
                      f"{' '.join(sorted(set(missing.values())))}; make deps fetches it on Debian")


if __name__ == "__main__":
    qb.main()
