# SPDX-License-Identifier: Apache-2.0
"""The disks that lose what was not flushed, which random_cuts.py cuts off: no machine is booted."""
import collections
import random

import lab
import vm
import write_cache
from lab import expect


def test_write_cache(test):
    """What is flushed is kept, what is not may be lost, and no neighbour's flush helps."""
    write, flush = write_cache.Event, lambda disk: write_cache.Event(disk, 0, None, False)
    a, b, c = b"a" * 512, b"b" * 1024, b"c" * 512
    events = [write("one", 0, a, False), flush("one"), write("two", 0, a, False),
              write("one", 512, b, False), write("one", 4096, c, True), flush("two"),
              write("two", 512, c, False)]
    seen = collections.Counter()
    for seed in range(500):
        kept = list(write_cache.left(events, random.Random(seed)))
        for sure in (("one", 0, a), ("two", 0, a), ("one", 4096, c)):
            expect(sure in kept, f"{sure[:2]} is flushed", kept)
        seen[sum(len(d) for disk, at, d in kept if (disk, at // 1024) == ("one", 0) and at)] += 1
        seen["lost"] += ("two", 512, c) not in kept
    expect(set(seen) >= {0, 512, 1024} and 0 < seen["lost"] < 500, "any part may be lost", seen)
    base = vm.blank(test.work / "base", 1 << 20)
    medium = write_cache.Medium(base)
    medium.write(4000, b"x" * 5000)
    expect(medium.read(3999, 5002) == b"\0" + b"x" * 5000 + b"\0", "what was written is read")
    expect(medium.differs(), "and differs from what there was")
    medium.write(4000, bytes(5000))
    expect(not medium.differs(), "zeros over zeros do not")


lab.main()
