# SPDX-License-Identifier: Apache-2.0
"""What every lab test shares: its scratch folder, its machine, the RPM, and how it reports.

A test is a function test_NAME(lab) in a file test_*.py that ends in lab.main(). It fails by an
exception; lab.expect() raises one that says what was seen.
"""
import atexit
import fcntl
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback

import image
import vm

HERE = pathlib.Path(__file__).resolve().parent
TREE = HERE.parent.parent
sys.path.append(str(HERE.parent))
SCRATCH_PREFIX = "qubi-lab-"
CONFIG = "/etc/qubi-agent/host.yaml"
STARTED = time.monotonic()


class Failed(Exception):
    """A test's claim did not hold."""


def say(text):
    print(f"{time.monotonic() - STARTED:7.1f}  {text}", flush=True)


# --- scratch ----------------------------------------------------------------------------------


def scratch_parent():
    # Not /tmp, which may be memory: a machine's disks are gigabytes.
    return pathlib.Path(os.environ.get("TMPDIR") or "/var/tmp")


def sweep_scratch():
    """Removes the folders of runs that were killed: those whose lock nobody holds."""
    for folder in scratch_parent().glob(SCRATCH_PREFIX + "*"):
        try:
            with open(folder / "lock") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
        except OSError:
            continue  # in use, just being made, or gone by now


def make_scratch():
    folder = pathlib.Path(tempfile.mkdtemp(prefix=SCRATCH_PREFIX, dir=scratch_parent()))
    lock = open(folder / "lock", "w")
    fcntl.flock(lock, fcntl.LOCK_EX)
    if os.environ.get("QUBI_LAB_KEEP"):
        say(f"kept: {folder}")
    else:
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
    make_scratch.lock = lock  # held for as long as we live
    return folder


def die_tidily():
    """SIGTERM and SIGHUP unwind as Ctrl-C does, so that machines and folders go too."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(1))


# --- what a test holds ------------------------------------------------------------------------


def find_rpm():
    """The RPM under test: $QUBI_LAB_RPM, or the newest that make rpm left."""
    if os.environ.get("QUBI_LAB_RPM"):
        return pathlib.Path(os.environ["QUBI_LAB_RPM"]).resolve()
    built = [f for f in (TREE / "build/rpm/RPMS").glob("*/qubi-agent-*.rpm")
             if "-debug" not in f.name]
    if not built:
        raise Failed("no RPM in build/rpm/RPMS: run make rpm first")
    return max(built, key=lambda f: f.stat().st_mtime)


def require_lab():
    if os.geteuid() != 0:
        raise image.Unavailable("needs root, to build a root image")
    image.require(vm.QEMU, "qemu-img", "setpriv", "mke2fs")


class Lab:
    def __init__(self, name, scratch):
        self.name = name
        self.work = scratch / name
        self.work.mkdir()
        self.image = image.ensure(say)
        self.machines = []

    def machine(self, name="vm", **options):
        """A machine that is off; it is ended, and its console shown, when the test fails."""
        made = vm.VM(self.work / name, self.image, say=say, **options)
        self.machines.append(made)
        return made

    def adopt(self, machine):
        self.machines.append(machine)
        return machine

    def close(self, failed):
        for machine in self.machines:
            if failed and machine.process:
                show_state(machine)
            machine.power_cut()
        shutil.rmtree(self.work, ignore_errors=True)


def show_state(machine):
    """What a person would look at first, when a test failed in a running machine."""
    print("--- console\n" + machine.console_tail(), flush=True)
    for argv in (["ip", "-d", "addr"], ["ip", "route", "show", "table", "all"], ["lsblk", "-f"],
                 ["journalctl", "-b", "-n", "60", "--no-pager", "-o", "short-monotonic"]):
        try:
            print(machine.run(*argv, check=False, timeout=30), flush=True)
        except vm.LabError as error:
            print(error, flush=True)
            return


def expect(claim, what, seen=""):
    if not claim:
        raise Failed(f"{what}{': ' if seen != '' else ''}{seen}")


def expect_status(result, status, what):
    expect(result.status == status, f"{what}: wanted exit {status}", result)
    return result


def expect_refused(result, status, words):
    expect_status(result, status, f"refused: {words}")
    expect(words in " ".join((result.out + result.err).split()), f"it says: {words}", result)


def install(machine, rpm=None):
    """The RPM as an administrator installs it: with every Requires looked at."""
    rpm = rpm or find_rpm()
    machine.put("/root/qubi-agent.rpm", rpm)
    done = machine.run("rpm", "-i", "/root/qubi-agent.rpm", check=False)
    expect_status(done, 0, "rpm -i")
    say(f"installed {rpm.name}: {done.seconds:.1f} s")


def agent(machine, *arguments, timeout=300):
    """qubi-agent in the guest; a test judges the status itself."""
    result = machine.run("qubi-agent", *arguments, check=False, timeout=timeout)
    say(f"qubi-agent {' '.join(arguments)}: exit {result.status} after {result.seconds:.1f} s")
    if result.status < 0:
        raise Failed(f"killed by signal {-result.status}: {result}")
    return result


def agent_json(machine, *arguments, timeout=300):
    """The exit status and the document that --format json gave."""
    result = agent(machine, *arguments, "--format", "json", timeout=timeout)
    try:
        return result.status, json.loads(result.out)
    except ValueError:
        raise Failed(f"no JSON document: {result}") from None


# --- running ----------------------------------------------------------------------------------


def main():
    """Runs every test_* function of the calling file; the last words are for the runner."""
    die_tidily()
    module = sys.modules["__main__"]
    tests = [(name.removeprefix("test_"), function)
             for name, function in vars(module).items()
             if name.startswith("test_") and callable(function)]
    try:
        require_lab()
        image.ensure(say)
    except image.Unavailable as reason:
        for name, _ in tests:
            print(f"skip {name}: {reason}", flush=True)
        return
    scratch = make_scratch()
    failures = 0
    for name, function in tests:
        failures += not run_test(name, function, scratch)
    sys.exit(1 if failures else 0)


def run_test(name, function, scratch):
    say(f"--- {name}")
    began = time.monotonic()
    lab, failed = None, True
    try:
        lab = Lab(name, scratch)
        function(lab)
        failed = False
        print(f"ok {name} ({time.monotonic() - began:.0f} s)", flush=True)
    except (Failed, vm.LabError, RuntimeError, OSError, LookupError, ValueError,
            TypeError, AttributeError, subprocess.SubprocessError) as error:
        if not isinstance(error, (Failed, vm.LabError)):
            traceback.print_exc(file=sys.stdout)
        first = str(error).strip().splitlines() or [type(error).__name__]
        print("\n".join(first[1:]), flush=True)
        print(f"not ok {name}: {first[0]}", flush=True)
    finally:
        if lab:
            lab.close(failed)
    return not failed
