#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""bootstrap: in a chroot, as %post of a kickstart is, for an image, and on a live host."""

import os

import qb

TARGET = "/run/target"
UNIT = "qubi-agent-first-boot.service"
ENABLED = f"/etc/systemd/system/multi-user.target.wants/{UNIT}"
ARMED = "/var/lib/qubi-agent/first-boot"
CONFIG = """\
version: 1
kvm: {nested: true, modules: [vhost_net]}
host:
  sysctl: {name: vm.swappiness, value: 10}
  libvirt-group: games
bridges:
  - {name: br0, ports: [{match: default-route}]}
pools:
  - {name: iso, type: dir, target: /srv/iso}
"""
WRITTEN = {"/etc/modules-load.d/qubi-agent.conf": "vhost_net\n",
           "/etc/modprobe.d/qubi-agent.conf": "options kvm_amd nested=1\n",
           "/etc/sysctl.d/90-qubi-agent.conf": "vm.swappiness = 10\n"}


def make_target(config):
    """A root to be: its programs are this one's, its files are its own."""
    os.makedirs(TARGET)
    qb.run("/bin/mount", "-t", "tmpfs", "tmpfs", TARGET)
    bound = ["/usr", "/proc", "/sys", "/dev", os.path.dirname(os.path.realpath(qb.AGENT))]
    for path in bound:
        os.makedirs(TARGET + path)
        qb.run("/bin/mount", "--bind", path, TARGET + path)
    for name in ("bin", "sbin", "lib", "lib64"):
        os.symlink(f"usr/{name}", f"{TARGET}/{name}")
    for path in ("etc/qubi-agent", "etc/systemd/system", "var/lib", "run", "tmp"):
        os.makedirs(f"{TARGET}/{path}", exist_ok=True)
    for name in ("passwd", "group", "ld.so.cache"):
        qb.run("/bin/cp", f"/etc/{name}", f"{TARGET}/etc/{name}")
    with open(f"{qb.HERE}/../../packaging/{UNIT}.in", encoding="utf-8") as f:
        text = f.read().replace("@SBINDIR@", "/usr/sbin")
    with open(f"/usr/lib/systemd/system/{UNIT}", "w", encoding="utf-8") as f:
        f.write(text)
    qb.configure(config, TARGET + qb.CONFIG)


def post(*options, code=0):
    return qb.run("/usr/sbin/chroot", TARGET, os.path.realpath(qb.AGENT), "bootstrap", *options, code=code)


def written():
    return sorted(os.path.join(where, name)[len(TARGET):] for top in ("etc", "var", "run")
                  for where, _, names in os.walk(f"{TARGET}/{top}", followlinks=False)
                  for name in names if "qubi-agent" in where + name)


def state():
    found = qb.host_state()
    del found["foreign"]
    return found


@qb.case(disks="blank")
def in_a_chroot_all_is_written_and_the_first_boot_is_armed():
    make_target(CONFIG)
    before = state()
    r = post()
    qb.contains(r.out, ["the configuration is valid, 3 files written", "the first boot does the rest"],
                "what an installer's log has")
    for path, words in WRITTEN.items():
        with open(TARGET + path, encoding="utf-8") as f:
            qb.contains(f.read(), words, path)
    assert os.path.islink(TARGET + ENABLED), "the unit is not enabled"
    for unit in ("multi-user.target.wants/libvirtd.service", "sockets.target.wants/libvirtd.socket",
                 "sockets.target.wants/virtlogd.socket"):
        assert os.path.islink(f"{TARGET}/etc/systemd/system/{unit}"), f"{unit} is not enabled"
    assert os.path.exists(TARGET + ARMED), "the first boot is not armed"
    qb.same(state(), before, "the machine that installs")
    # As often as one likes.
    qb.same(qb.run("/usr/sbin/chroot", TARGET, os.path.realpath(qb.AGENT), "bootstrap", "-f", "json").json(),
            {"schema": "qubi-agent/bootstrap/1", "result": "armed", "files": 3}, "once more, in JSON")


@qb.case(disks="blank")
def where_proc_is_not_mounted_it_is_no_live_host():
    make_target(CONFIG)
    before = state()
    qb.run("/bin/umount", TARGET + "/proc")
    qb.contains(post("--yes").out, "the first boot does the rest", "what an installer's log has")
    qb.same(state(), before, "the machine that installs")


@qb.case(disks="blank")
def a_configuration_that_cannot_be_is_said_and_nothing_is_written():
    make_target(CONFIG.replace("name: br0", "nmae: br0"))
    before = written()
    r = post(code=qb.USAGE)
    qb.contains(r.err, ["host.yaml:7:6", 'nmae', "name"], "the error")
    qb.configure(CONFIG.replace("games", "nobody-of-that-name"), TARGET + qb.CONFIG)
    r = post(code=qb.REFUSED)
    qb.contains(r.err, ["user nobody-of-that-name", "nothing was written"], "the refusal")
    qb.configure(CONFIG, TARGET + qb.CONFIG)
    for unit in ("libvirtd", "virtqemud"):
        os.symlink("/dev/null", f"{TARGET}/etc/systemd/system/{unit}.service")
        os.symlink("/dev/null", f"{TARGET}/etc/systemd/system/{unit}.socket")
    r = post(code=qb.REFUSED)
    qb.contains(r.err, ["libvirt: there is no libvirt daemon installed", "libvirt-daemon-kvm"],
                "the refusal")
    qb.same(written(), before, "what is there")
    assert not os.path.exists(TARGET + ARMED), "the first boot is armed"


@qb.case(disks="blank")
def for_an_image_its_own_files_count():
    make_target(CONFIG)
    before = state()
    qb.agent("bootstrap", "--root", TARGET)
    assert os.path.islink(TARGET + ENABLED) and os.path.exists(TARGET + ARMED), written()
    assert not os.path.exists(ENABLED), "this machine's own unit is enabled"
    qb.same(state(), before, "this machine")


@qb.case(disks="blank")
def on_a_live_host_it_is_apply_and_the_first_boot_is_over():
    qb.configure(CONFIG.replace("vm.swappiness, value: 10", "net.ipv4.ip_default_ttl, value: 77")
                 .replace("kvm: {nested: true, modules: [vhost_net]}\n", ""))
    os.makedirs(os.path.dirname(ARMED), exist_ok=True)
    with open(ARMED, "w", encoding="utf-8"):
        pass
    # Something is in the way: it is told, and the next boot tries again.
    with open("/srv/iso", "w", encoding="utf-8"):
        pass
    r = qb.agent("bootstrap", "--yes", code=None)
    assert r.code not in (0, qb.USAGE), r
    with open("/run/motd.d/qubi-agent", encoding="utf-8") as f:
        qb.contains(f.read(), ["not set up yet", f"journalctl -u {UNIT}"], "motd")
    assert os.path.exists(ARMED), "it is not tried again"
    os.unlink("/srv/iso")
    qb.agent("bootstrap", "--yes")
    assert not os.path.exists(ARMED) and not os.path.exists("/run/motd.d/qubi-agent"), "it is not over"
    qb.contains(qb.agent("plan").out, "Nothing to do", "a plan after it")


if __name__ == "__main__":
    qb.main()
