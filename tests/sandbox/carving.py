# SPDX-License-Identifier: Apache-2.0
"""One disk that is carved for one pool, over and over."""

import contextlib
import os
import pathlib
import subprocess
import time

import qb

TRACE = "/tmp/trace"
JOURNAL = "/var/lib/qubi-agent/journal/000001.jsonl"
CONFIG = """\
version: 1
pools:
  - name: images
    type: fs
    disks: {path: "@QB_BLANK@"}
    target: /var/lib/libvirt/images
"""
EXT4 = CONFIG + "    format: ext4\n"


def blank_again(disk=None):
    """Undoes all by other means than the agent's: it may be what is broken."""
    disk = disk or os.environ["QB_BLANK"]
    for words in (("/usr/bin/virsh", "-q", "-c", "qemu:///system", "pool-destroy", "images"),
                  ("/usr/bin/virsh", "-q", "-c", "qemu:///system", "pool-undefine", "images"),
                  # udev has it locked, shared, for as long as it has the partition open.
                  ("/usr/bin/flock", disk, "/usr/bin/partx", "--delete", disk),
                  ("/bin/sh", "-c", "rm -rf /var/lib/qubi-agent/*"),
                  ("/usr/sbin/blkdiscard", "-f", disk)):
        qb.run(*words, code=None)
    qb.run("/usr/bin/udevadm", "settle")
    name = os.path.basename(disk)
    left = [n for n in os.listdir(f"/sys/block/{name}") if n.startswith(name)]
    assert not left, f"{left} could not be taken off"


@contextlib.contextmanager
def stopped(name, path, number, *command):
    """The agent, stopped by that call, before the next. It goes on at the end; .result is what it said."""
    log = pathlib.Path(TRACE + ".stopped")
    tracer = subprocess.Popen(
        ["/usr/bin/strace", "-o", log, "-P", path, "-e", f"trace={name}", "-e",
         f"inject={name}:signal=STOP:when={number}", qb.AGENT, *(command or ("apply",)), "--yes"],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        encoding="utf-8", env={**os.environ, "ASAN_OPTIONS": "detect_leaks=0"})
    tracer.result = None
    end = time.monotonic() + 30
    while not (log.exists() and "stopped by SIGSTOP" in log.read_text()):
        assert tracer.poll() is None, f"it ended before {name} {number} on {path}: {tracer.stdout.read()}"
        assert time.monotonic() < end, "it did not stop"
        time.sleep(0.002)
    agent = int(pathlib.Path(f"/proc/{tracer.pid}/task/{tracer.pid}/children").read_text().split()[0])
    log.unlink()
    try:
        yield tracer
    finally:
        os.kill(agent, 18)  # SIGCONT
        tracer.result = tracer.communicate(timeout=100)[0]
