#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Connections over the host's NIC, while that goes under a bridge: nobody notices."""

import json
import os
import socket
import subprocess
import sys
import threading
import time

import fetched
import qb

MBIT, SECONDS = 200, 4
CHUNK = MBIT * 1000000 // 8 // 1000  # bytes a millisecond
STALL_S = 0.2


def send(address):
    """In the gateway: a steady stream, as fast as said, for as long as said."""
    s = socket.create_connection((address, 5000))
    data, start = bytes(CHUNK), time.monotonic()
    for tick in range(SECONDS * 1000):
        s.sendall(data)
        time.sleep(max(0, start + (tick + 1) / 1000 - time.monotonic()))
    s.shutdown(socket.SHUT_WR)
    assert s.recv(1) == b"", "the other end had something to say"
    print(f"{time.monotonic() - start:.3f}")


class Stream:
    def __init__(self, address):
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self.socket = socket.create_server((address, 5000), family=family)
        self.sender = subprocess.Popen(
            qb.gateway(sys.executable, os.path.realpath(__file__), "--send", address),
            stdout=subprocess.PIPE, encoding="utf-8", preexec_fn=qb.end_with_parent)
        self.bytes, self.stall = 0, 0.0
        self.thread = threading.Thread(target=self.receive)
        self.thread.start()

    def receive(self):
        s, _ = self.socket.accept()
        last = time.monotonic()
        while chunk := s.recv(1 << 20):
            now = time.monotonic()
            self.bytes, self.stall, last = self.bytes + len(chunk), max(self.stall, now - last), now
        s.close()

    def end(self):
        seconds = float(self.sender.communicate(timeout=60)[0])
        self.thread.join(60)
        return self.bytes, self.stall, seconds


@qb.case(alone=True, disks="ext4")
def a_stream_goes_on():
    qb.configure(qb.BRIDGE_ONLY)
    qb.agent("plan", code=qb.PENDING)
    for address in ("192.0.2.10", "2001:db8::10"):
        stream = Stream(address)
        time.sleep(1)
        qb.agent("apply", "--yes")
        got, stall, seconds = stream.end()
        print(f"figure: {address}: {got * 8 / seconds / 1e6:.0f} Mbit/s for {seconds:.1f} s; the "
              f"longest pause was {stall * 1000:.0f} ms")
        qb.same(got, CHUNK * SECONDS * 1000, "bytes that came through")
        assert stall < STALL_S, f"{address}: a pause of {stall:.3f} s"
        qb.agent("rollback", "--yes")


@qb.case(disks="ext4")
def the_ssh_session_it_runs_in():
    """The agent is started from the gateway over the NIC that it moves."""
    fetched.install("/usr/sbin/sshd", "openssh-server")
    for folder in ("/run/sshd", "/tmp/ssh"):
        os.makedirs(folder, 0o700, exist_ok=True)
    qb.run("/bin/sh", "-c", "getent passwd sshd >/dev/null || "
                            "echo 'sshd:x:65533:65534::/run/sshd:/usr/sbin/nologin' >>/etc/passwd")
    for key in ("host", "user"):
        qb.run("/usr/bin/ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", f"/tmp/ssh/{key}")
    server = subprocess.Popen(
        ["/usr/sbin/sshd", "-D", "-e", "-f", "/dev/null", "-h", "/tmp/ssh/host", "-o",
         "AuthorizedKeysFile=/tmp/ssh/user.pub", "-o", "StrictModes=no", "-o", "UsePAM=no", "-o",
         "PermitRootLogin=yes", "-o", "PidFile=none"], preexec_fn=qb.end_with_parent)
    qb.configure(qb.BRIDGE_ONLY)
    assert qb.until(lambda: qb.run("/bin/sh", "-c", "ss -Hltn sport = :22").out), "sshd listens"
    ssh = qb.gateway("/usr/bin/ssh", "-n", "-i", "/tmp/ssh/user", "-o", "StrictHostKeyChecking=no",
                     "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR",
                     "root@192.0.2.10")
    r = qb.run(*ssh, f"{qb.AGENT} apply --yes && echo and I am still here")
    qb.contains(r.out, ["br0: done", "and I am still here"], "what the session saw")
    # Whoever has logged in had to be reached afterwards.
    with open(max(os.scandir("/var/lib/qubi-agent/journal"), key=lambda e: e.name).path,
              encoding="utf-8") as f:
        records = [json.loads(line) for line in f]
    before = [r["before"] for r in records if r["event"] == "intent"][0]
    qb.same(before.get("peer"), {"192.0.2.1": True}, "who was asked")
    server.terminate()
    server.wait()


if __name__ == "__main__":
    if sys.argv[1:2] == ["--send"]:
        send(sys.argv[2])
    else:
        qb.main()
