#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The lab's end inside the guest: runs what the host asks for over a virtio-serial port.

A serial port and not the network, because the network is what most tests change. One JSON
object a line each way; every request runs in a thread of its own, so that a test can look
around while a long command is still going on.
"""
import base64
import glob
import json
import os
import subprocess
import threading
import time

PORT = "/dev/virtio-ports/org.qubi.lab"
ENV = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
    "LANG": "C.UTF-8",
}


def b64(data):
    return base64.b64encode(data).decode()


class Port:
    def __init__(self, path):
        # Not a dependency of the unit: on a busy host udev may take longer than systemd waits.
        while not os.path.exists(path):
            time.sleep(0.1)
        self.fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        self.lock = threading.Lock()

    def send(self, message):
        data = json.dumps(message).encode() + b"\n"
        with self.lock:
            while data:
                data = data[os.write(self.fd, data):]

    def lines(self):
        pending = b""
        while True:
            chunk = os.read(self.fd, 65536)
            if not chunk:
                return
            *complete, pending = (pending + chunk).split(b"\n")
            yield from complete


def do_run(request):
    process = subprocess.Popen(
        request["argv"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        env=ENV | request.get("env", {}), cwd="/", start_new_session=True)
    try:
        out, err = process.communicate(base64.b64decode(request.get("stdin", "")),
                                       request.get("timeout"))
    except subprocess.TimeoutExpired:
        seen = processes()
        os.killpg(process.pid, 9)
        out, err = last_words(process)
        return {"status": process.returncode, "stdout": b64(out), "stderr": b64(err),
                "timed_out": True, "processes": seen}
    return {"status": process.returncode, "stdout": b64(out), "stderr": b64(err),
            "timed_out": False}


def last_words(process):
    """What was printed, though a process of another session may still hold the pipes open."""
    try:
        return process.communicate(timeout=5)
    except subprocess.TimeoutExpired as error:
        return error.stdout or b"", error.stderr or b""


def whole(path):
    try:
        with open(path, errors="replace") as source:
            return source.read(4096).replace("\0", " ").replace("\n", " < ").strip()
    except OSError:
        return ""


def processes():
    """Who runs and who sleeps where: of all but kernel threads, each thread's state and stack."""
    table = []
    for pid in sorted(filter(str.isdigit, os.listdir("/proc")), key=int):
        arguments = whole(f"/proc/{pid}/cmdline")
        if arguments:
            table.append(f"{pid} {arguments[:120]}")
            for task in glob.glob(f"/proc/{pid}/task/*"):
                state = whole(task + "/stat").rpartition(")")[2].split()[:1]
                table.append(f"    {''.join(state)} {whole(task + '/stack')}")
    return "\n".join(table)


def do_put(request):
    with open(request["path"], "ab" if request.get("append") else "wb") as out:
        out.write(base64.b64decode(request["data"]))
        if "mode" in request:
            os.fchmod(out.fileno(), request["mode"])
    return {}


def do_get(request):
    with open(request["path"], "rb") as source:
        source.seek(request.get("offset", 0))
        return {"data": b64(source.read(request["length"]))}


OPERATIONS = {"run": do_run, "put": do_put, "get": do_get}


def answer(port, request):
    try:
        reply = OPERATIONS[request["op"]](request)
    except Exception as error:  # whatever it was, the host is the one to say so
        reply = {"error": f"{type(error).__name__}: {error}"}
    port.send(reply | {"id": request["id"]})


def main():
    port = Port(PORT)
    with open("/proc/sys/kernel/random/boot_id") as boot_id:
        port.send({"hello": boot_id.read().strip()})
    for line in port.lines():
        try:
            request = json.loads(line)
        except ValueError:
            continue  # the tail of a request that the previous boot had begun to read
        threading.Thread(target=answer, args=(port, request), daemon=True).start()


main()
