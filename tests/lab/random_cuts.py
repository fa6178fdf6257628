# SPDX-License-Identifier: Apache-2.0
"""The plug is pulled at random moments of an apply, or of its rollback, from disks that lose what they
had not flushed.

One run is recorded: every write and every flush of all disks, in one order (write_cache.py).
Moments are chosen evenly over these, and of each the disks are made as a cut may have left them. So
there may be many moments of one run; where several left the same, it is tried once.

No moment costs a boot. A saved machine goes on, without disks but the one that it runs from: which
never holds what an apply leaves, as /etc and /var lie on a disk of their own, that is plugged in
like the others, cut off like them, and mounted over. What a machine that boots after a cut has from
before it are its disks; this one has neither memory nor processes of the run, too. It reads the
disks for the first time, under other names, lets LVM and systemd find what is on them, and only
then starts libvirt. Afterwards all of it is stopped, unmounted and unplugged, for the next moment.
What a boot does besides, test_power_cut.py has.

QUBI_LAB_MOMENTS  how many (default 2; make sweep: 100), as each takes a minute or two
QUBI_LAB_SEED     of what is chosen (default 1)
"""
import collections
import json
import os
import pathlib
import random
import time

import host
import lab
import vm
import write_cache
from lab import expect, expect_status

MOMENTS = int(os.environ.get("QUBI_LAB_MOMENTS") or 2)
SEED = os.environ.get("QUBI_LAB_SEED") or "1"
NEIGHBOURS = ("QB0100", "QB0200")  # somebody's file system, and the pool that there was before
OLD = """\
version: 1
pools:
  - name: old
    type: logical
    disks: [{serial: QB0200}]
"""
STATE_DISK = "QB0300"  # with /etc and /var
BY_ID = "/dev/disk/by-id/scsi-0QEMU_QEMU_HARDDISK_"
LIBVIRT = "libvirtd.service libvirtd.socket libvirtd-ro.socket libvirtd-admin.socket"
KEEP_STATE = f"""virsh pool-destroy old
systemctl stop {LIBVIRT}
mkfs.ext4 -q -E lazy_itable_init=0,lazy_journal_init=0 {BY_ID}{STATE_DISK}
mkdir /run/state
mount {BY_ID}{STATE_DISK} /run/state
rm -rf /var/cache/[!l]* /var/lib/apt /var/lib/dpkg
cp -a /etc /var /run/state
umount /run/state
udevadm settle"""
# A boot finds nothing in /run: what LVM notes there, a unit of its own that udev's rule starts may
# have noted after the last moment's end, and the group would then count as activated.
# As a boot does it: the journal of an ext4 may end in a block of which only a part was written.
MOUNT_STATE = f"""rm -rf /run/lvm/hints /run/lvm/?vs_*
e2fsck -p {BY_ID}{STATE_DISK} || [ $? = 1 ]
mount {BY_ID}{STATE_DISK} /run/state
mount --bind /run/state/etc /etc
mount --bind /run/state/var /var
umount /run/state"""
# What a boot starts, in its order: what is to be mounted, and libvirt, which starts pools once a
# boot, and notes that it has.
# Where a unit fails the boot goes on: what that left unmounted is what LOOK is for.
START = """udevadm settle
systemctl daemon-reload
systemctl start local-fs.target sockets.target multi-user.target || true
virsh -q list"""
# What a boot does not have of the one before.
STOP = f"""systemctl stop {LIBVIRT}
umount --recursive /var
umount --recursive /etc
vgchange -an
udevadm settle
systemctl stop 'lvm-activate-*.service'
rm -rf /run/qubi-agent
find /run/libvirt -type f -delete
systemctl reset-failed
systemctl daemon-reload
[ -z "$(dmsetup ls | grep -v 'No devices'; findmnt -rn -o SOURCE | grep /dev/sd)" ]"""
# Of each pool that is active and should lie on something mounted, whether it does; and the last
# word of the newest journal.
LOOK = f"""for pool in $(virsh pool-list --name); do
	target=$(virsh pool-dumpxml "$pool" | sed -n 's:.*<path>\\(.*\\)</path>.*:\\1:p')
	case $target in
	/dev/*) [ -d "$target" ] || vgs "$pool" >/dev/null || echo "$pool is active without a group" ;;
	*) mountpoint -q "$target" || echo "$pool is active on $target, which is not mounted" ;;
	esac
done >/run/lab-pools
if mountpoint -q {host.TARGET}; then echo mounted; else ls -A {host.TARGET}; fi >/run/lab-target
journal=$(ls /var/lib/qubi-agent/journal/*.jsonl | sort | tail -n 1)
echo "$journal"; tail -n 1 "$journal"
"""
# What must be the same however often it took; LVM makes UUIDs of its own, and libvirt remembers the
# mode that a directory had when it was started.
STATE = f"""lsblk -n -o SERIAL,SIZE,FSTYPE,LABEL,PARTLABEL,PARTUUID,MOUNTPOINT | grep qubi | sort
lsblk -n -o FSTYPE,UUID | grep xfs
vgs --noheadings -o vg_name,pv_count,lv_count,vg_tags,vg_size
virsh pool-list --all --details | sed 's/  */ /g' | cut -d ' ' -f 2-6
for pool in $(virsh pool-list --name); do virsh pool-dumpxml --inactive $pool; done | \\
	grep -v -e '<allocation' -e '<available' -e '<mode'
findmnt -n -o FSTYPE --mountpoint {host.TARGET}; stat -c "%a %u %g" {host.TARGET}
cat /etc/fstab; sha256sum /etc/libvirt/storage/*.xml /etc/modules-load.d/*"""


def saved_origin(test):
    """A machine that had a pool, a neighbour and two blank disks, and its disks."""
    folder = test.work / "disks"
    folder.mkdir()
    bases = {name: vm.blank(folder / name, 1 << 30)
             for name in ("QB0001", "QB0002", "QB0200", STATE_DISK)}
    bases["QB0100"] = vm.ext4(folder / "QB0100", 512 << 20)
    origin = test.machine("origin", svm=True, adapter=True, nics=[vm.Nic()],
                          files=vm.static_address())
    origin.boot()
    lab.install(origin)
    origin.plug({name: {"driver": "file", "filename": str(bases[name])}
                 for name in ("QB0200", STATE_DISK)})
    host.configure(origin, OLD)
    expect_status(lab.agent(origin, "apply", "--yes"), 0, "there is a pool before")
    origin.run("virsh", "vol-create-as", "old", "guest", "64M")
    origin.run("sh", "-c", "echo precious | dd of=/dev/old/guest bs=512 conv=sync,fsync")
    origin.run("sh", "-exc", KEEP_STATE)
    for name in ("QB0200", STATE_DISK):
        origin.unplug(name)
    origin.run("sync")
    origin.save()
    return origin, bases


def begin(machine, folder, media, note=lambda event: None):
    """The disks in any order, and what a boot does with them."""
    folder.mkdir()
    places = write_cache.serve(folder, media, note)
    machine.plug({STATE_DISK: places.pop(STATE_DISK)})
    machine.run("sh", "-exc", MOUNT_STATE)
    order = random.Random(folder.name).sample(sorted(places), len(places))
    machine.plug({disk: places[disk] for disk in order})
    cached = machine.run("sh", "-c", "cat /sys/block/sd*/queue/write_cache | uniq").out
    expect(cached == "write back\n", "the disks have a cache to be flushed", cached)
    machine.run("sh", "-exc", START)


def end(machine, media):
    machine.run("sh", "-exc", STOP)
    for disk in media:
        machine.unplug(disk)


def recorded(test, origin, bases, pools, use):
    """All writes from the first on, how many of them were before the run, and the state that it
    came to. use: what is done with the pools between an apply and the rollback that is the run; None:
    the run is an apply."""
    events = []
    media = {name: write_cache.Medium(path) for name, path in bases.items()}
    machine = test.adopt(origin.clone(test.work / "recorder"))
    begin(machine, test.work / "recorded", media, events.append)
    host.configure(machine, OLD + pools)
    if use:
        expect_status(lab.agent(machine, "apply", "--yes"), 0, "what is to be rolled back")
        machine.run("sh", "-exc", use)
    # And what LVM wrote past the page cache, which lies in the caches of the disks.
    machine.run("sh", "-c", "sync; sync /dev/sd[a-z]")
    before = len(events)
    run = "rollback" if use else "apply"
    done = expect_status(lab.agent(machine, run, "--yes"), 0, f"the {run} that nothing cuts off")
    lab.say(done.out.rstrip())
    total = len(events)
    state = machine.run("sh", "-c", STATE).out
    lab.say(state.rstrip())
    machine.power_cut()
    expect(not any(media[name].differs() for name in NEIGHBOURS), "the neighbours are as they were")
    counts = collections.Counter((e.disk, "flushes" if e.data is None else "writes")
                                 for e in events[before:total])
    said = ", ".join(f"{disk} {count} {what}" for (disk, what), count in sorted(counts.items()))
    lab.say(f"figure: {total - before} writes and flushes in one {run}: {said}")
    return events[:total], before, state


def told_by(journal):
    """What the journal that outlived the cut says last: the step that was under way, if any."""
    try:
        record = json.loads(journal)
    except ValueError:
        return "torn"
    return " ".join(str(record[key]) for key in ("event", "step", "result") if key in record)


def left_of(events, bases, name):
    """The disks as the cut left them."""
    media = {disk: write_cache.Medium(path) for disk, path in bases.items()}
    for disk, at, data in write_cache.left(events, random.Random(f"{SEED} {name}")):
        media[disk].write(at, data)
    return media


def tried(machine, folder, media, state, run):
    """One cut: a machine goes on with what it left; the journal's last word."""
    begin(machine, folder, media)
    first, _, last = machine.run("sh", "-c", LOOK).out.rstrip().partition("\n")
    said = f"{pathlib.Path(first).stem} {told_by(last)}"
    wrong = machine.get("/run/lab-pools").decode()
    expect(not wrong, "no pool is active on what is not there", wrong)
    under = machine.get("/run/lab-target").decode()
    expect(under in ("", "mounted\n"), "nothing lies under the mount point", under)
    # Once the journal says that it is undone a rollback would be one of the run before.
    if not said.endswith(" undone"):
        expect_status(lab.agent(machine, run, "--yes"), 0, "the rerun converges")
    if run == "apply":
        status, plan = lab.agent_json(machine, "plan")
        expect((status, plan["steps"], plan["refused"]) == (0, [], []), "the plan is empty", plan)
    seen = machine.run("sh", "-c", STATE).out
    expect(seen == state, "the state is that of one run", f"\n{seen}--- and not\n{state}")
    kept = machine.run("head", "-c", "8", "/dev/old/guest").out
    expect(kept == "precious", "what a guest wrote is there", kept)
    end(machine, media)
    for neighbour in NEIGHBOURS:
        expect(not media[neighbour].differs(), f"{neighbour} is byte-identical")
    return said


class Machine:
    """The one that tries; another, where it has failed."""

    def __init__(self, test, origin, run):
        self.test, self.origin, self.run = test, origin, run
        self.going = None

    def tries(self, name, media, state):
        if not self.going:
            self.going = self.test.adopt(self.origin.clone(self.test.work / f"from-{name}"))
        try:
            return tried(self.going, self.test.work / name, media, state, self.run)
        except (lab.Failed, vm.LabError) as error:
            lab.say(f"FAILED: {name}: {error}")
            if self.going.process:
                lab.show_state(self.going)
            self.going.power_cut()
            self.going = None
            return "failed"


def sweep(test, pools, use=None):
    """Every moment's cut of an apply of these pools is gone on with; with use, of their rollback."""
    lab.say(f"{MOMENTS} moments, seed {SEED}")
    origin, bases = saved_origin(test)
    events, before, state = recorded(test, origin, bases, pools, use)
    choose = random.Random(SEED)
    share = (len(events) - before) / MOMENTS
    failures, outcomes = [], {}
    journals = collections.Counter()
    machine = Machine(test, origin, "rollback" if use else "apply")
    for number in range(MOMENTS):
        moment = before + int((number + choose.random()) * share)
        name, began = f"moment-{number}", time.monotonic()
        media = left_of(events[:moment], bases, name)
        key = tuple(media[disk].digest() for disk in sorted(media))
        if key not in outcomes:
            outcomes[key] = machine.tries(name, media, state)
        if outcomes[key] == "failed":
            failures.append(name)
        journals[outcomes[key]] += 1
        lab.say(f"{name}: cut after {moment - before} of {len(events) - before}, "
                f"{write_cache.in_doubt(events[:moment])} writes in doubt; journal: {outcomes[key]}; "
                f"{time.monotonic() - began:.0f} s")
    lab.say(f"figure: {MOMENTS - len(failures)} of {MOMENTS} moments converged, seed {SEED}, "
            f"{len(outcomes)} states of the disks; the journal's last words: {dict(journals)}")
    expect(not failures, "every cut is gone on with", ", ".join(failures))
