# SPDX-License-Identifier: Apache-2.0
"""What dm-log-writes recorded (Documentation/admin-guide/device-mapper/log-writes.rst): a super
block, then entries of a sector each, with the data that they wrote behind them."""
import dataclasses
import json
import pathlib
import struct

MAGIC = 0x6a736677736872
SUPER = struct.Struct("<QQQI")
ENTRY = struct.Struct("<QQQQ")
DISCARD, MARK = 4, 8


@dataclasses.dataclass
class Write:
    at: int  # bytes
    size: int
    place: int  # of its data in the log; None: it discards
    mark: str = ""


def read(path):
    """All entries, in the order in which the device was done with them."""
    with open(path, "rb") as log:
        magic, _, count, sector = SUPER.unpack(log.read(SUPER.size))
        if magic != MAGIC:
            raise ValueError(f"{path} is no log of dm-log-writes")
        place, writes = sector, []
        for _ in range(count):
            log.seek(place)
            first, sectors, flags, length = ENTRY.unpack(log.read(ENTRY.size))
            mark = log.read(length).decode() if flags & MARK else ""
            place += sector
            data = None if flags & (DISCARD | MARK) else place
            writes.append(Write(first * sector, sectors * sector, data, mark))
            if data is not None:
                place += sectors * sector
        return writes


def data_of(log, write):
    if write.place is None:
        return bytes(write.size)
    log.seek(write.place)
    return log.read(write.size)


def play(log, write, target):
    """One entry, into a file that stands for the disk. False where that changes nothing."""
    if not write.size:
        return False  # a flush
    data = data_of(log, write)
    target.seek(write.at)
    if target.read(write.size) == data:
        return False
    target.seek(write.at)
    target.write(data)
    target.flush()
    return True


def begun(journal, kind):
    """Of the recorded apply's journal what it has when the step writes: that it is to be done, and
    not that it is."""
    lines = pathlib.Path(journal).read_text(encoding="utf-8").splitlines(keepends=True)
    records = [json.loads(line) for line in lines]
    step = next(i for i, step in enumerate(records[0]["plan"]["steps"]) if step["kind"] == kind)
    end = next(i for i, r in enumerate(records) if (r["event"], r.get("step")) == ("intent", step))
    return "".join(lines[:end + 1])
