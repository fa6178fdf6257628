# SPDX-License-Identifier: Apache-2.0
"""Disks with a volatile write cache, for machines whose plug is pulled.

QEMU speaks NBD (doc/proto.md of the NBD project) with a thread for each disk. What a guest writes
goes over a file that is not changed, and into one list of all disks, in the order in which the
writes were acknowledged; so that what a power cut left can be made, of any moment, afterwards:

    a write is kept for sure only if a later flush of the same disk was acknowledged before the
    cut, or if it was made with FUA; of the others, any sectors may be there and any not.

blklogwrites of QEMU records the same of one disk, but nothing puts the logs of two disks in order,
and what matters here is mostly which of two disks was written first.
"""
import collections
import hashlib
import os
import socket
import struct
import threading

BLOCK, SECTOR = 4096, 512
HELLO, OPTION, REPLY = b"NBDMAGICIHAVEOPT", b"IHAVEOPT", 0x3e889045565a9
FIXED_NEWSTYLE, NO_ZEROES = 1, 2
GO, ACK, INFO, UNSUPPORTED = 7, 1, 3, 1 << 31 | 1
HAS_FLAGS, SEND_FLUSH, SEND_FUA, SEND_WRITE_ZEROES = 1, 4, 8, 64
READ, WRITE, DISCONNECT, FLUSH, WRITE_ZEROES = 0, 1, 2, 3, 6
FUA = 1
REQUEST = struct.Struct(">IHHQQI")
REQUEST_MAGIC, ANSWER_MAGIC, INVALID = 0x25609513, 0x67446698, 22

# data is None for a flush.
Event = collections.namedtuple("Event", "disk at data fua")


class Medium:
    """What a disk reads as: a file, and in memory what was written over it."""

    def __init__(self, base):
        self.file = open(base, "rb", buffering=0)
        self.size = os.fstat(self.file.fileno()).st_size
        self.blocks = {}

    def old_block(self, number):
        return os.pread(self.file.fileno(), BLOCK, number * BLOCK)

    def read(self, at, size):
        numbers = range(at // BLOCK, -(-(at + size) // BLOCK))
        if self.blocks.keys().isdisjoint(numbers):
            return os.pread(self.file.fileno(), size, at)
        whole = b"".join(self.blocks.get(n) or self.old_block(n) for n in numbers)
        return whole[at % BLOCK:][:size]

    def write(self, at, data):
        head, tail = at % BLOCK, -(at + len(data)) % BLOCK
        if head:
            data = self.read(at - head, head) + data
        if tail:
            data += self.read(at - head + len(data), tail)
        for place in range(0, len(data), BLOCK):
            self.blocks[(at + place) // BLOCK] = data[place:place + BLOCK]

    def digest(self):
        """Of what it reads as, for disks that lie over the same file."""
        total = hashlib.sha256()
        for number, data in sorted(self.blocks.items()):
            if data != self.old_block(number):
                total.update(number.to_bytes(8, "big") + data)
        return total.digest()

    def differs(self):
        """Whether one byte is another than in the file."""
        return any(data != self.old_block(n) for n, data in self.blocks.items())


# --- NBD --------------------------------------------------------------------------------------


def receive(source, size):
    data = source.read(size)
    if len(data) != size:
        raise EOFError
    return data


def shake_hands(source, send, medium):
    send(HELLO + struct.pack(">H", FIXED_NEWSTYLE | NO_ZEROES))
    receive(source, 4)
    while True:
        magic, option, size = struct.unpack(">8sII", receive(source, 16))
        receive(source, size)
        if magic != OPTION:
            raise ValueError(f"no NBD option: {magic!r}")
        if option != GO:
            send(struct.pack(">QIII", REPLY, option, UNSUPPORTED, 0))
            continue
        flags = HAS_FLAGS | SEND_FLUSH | SEND_FUA | SEND_WRITE_ZEROES
        send(struct.pack(">QIIIHQH", REPLY, option, INFO, 12, 0, medium.size, flags))
        send(struct.pack(">QIII", REPLY, option, ACK, 0))
        return


def answer(source, send, medium, name, note):
    """One request; whether there may be another."""
    magic, flags, kind, handle, at, size = REQUEST.unpack(receive(source, REQUEST.size))
    if magic != REQUEST_MAGIC:
        raise ValueError(f"no NBD request: {magic:#x}")
    error, out = 0, b""
    if kind == READ:
        out = medium.read(at, size)
    elif kind in (WRITE, WRITE_ZEROES):
        data = receive(source, size) if kind == WRITE else bytes(size)
        medium.write(at, data)
        note(Event(name, at, data, bool(flags & FUA)))
    elif kind == FLUSH:
        note(Event(name, 0, None, False))
    elif kind == DISCONNECT:
        return False
    else:
        error = INVALID
    send(struct.pack(">IIQ", ANSWER_MAGIC, error, handle) + out)
    return True


def attend(listener, medium, name, note):
    with listener:
        connection, _ = listener.accept()
    with connection, connection.makefile("rb") as source:
        try:
            shake_hands(source, connection.sendall, medium)
            while answer(source, connection.sendall, medium, name, note):
                pass
        except (EOFError, OSError):
            return  # QEMU was killed


def serve(folder, media, note=lambda event: None):
    """By disk, what blockdev-add takes; each can be connected to once."""
    places = {}
    for name, medium in media.items():
        path = folder / f"{name}.nbd"
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(path))
        listener.listen(1)
        threading.Thread(target=attend, args=(listener, medium, name, note), daemon=True).start()
        places[name] = {"driver": "nbd", "server": {"type": "unix", "path": str(path)}}
    return places


# --- the cut ----------------------------------------------------------------------------------


def pieces(event, choose):
    """A write in at most three parts, parted between sectors: a disk promises no more."""
    sectors = len(event.data) // SECTOR
    ends = sorted({choose.randint(0, sectors) * SECTOR for _ in range(2)} | {0, len(event.data)})
    for start, end in zip(ends, ends[1:]):
        yield event.at + start, event.data[start:end]


def left(events, choose):
    """What a cut after the last of the events may have left of them, as (disk, place, data) in
    order. choose: a random.Random."""
    flushed = {e.disk: i for i, e in enumerate(events) if e.data is None}
    kept = {disk: choose.random() for disk in sorted({e.disk for e in events})}
    for i, event in enumerate(events):
        if event.data is None:
            continue
        # The last one may have been under way.
        if (event.fua and i < len(events) - 1) or i < flushed.get(event.disk, -1):
            yield event.disk, event.at, event.data
            continue
        for at, data in pieces(event, choose):
            if choose.random() < kept[event.disk]:
                yield event.disk, at, data


def in_doubt(events):
    """How many writes no flush had followed."""
    flushed = {e.disk: i for i, e in enumerate(events) if e.data is None}
    return sum(e.data is not None and not e.fua and i > flushed.get(e.disk, -1)
               for i, e in enumerate(events))
