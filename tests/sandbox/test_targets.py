#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Mode, owner and group of a pool's directory: of what is mounted there, kept so, and undone."""

import os
import stat

import qb

CONFIG = """\
version: 1
pools:
  - {name: iso, type: dir, target: /srv/iso%s}
  - name: images
    type: fs
    disks: {path: "@QB_BLANK@"}
    target: /srv/images
    mode: 0750
    owner: 107
    group: 36
"""
WANTED = ", mode: '0751', owner: 1001"


def looks(path):
    st = os.stat(path)
    return f"{stat.S_IMODE(st.st_mode):04o}", st.st_uid, st.st_gid


@qb.case(disks="blank,ext4")
def they_are_given_kept_and_undone():
    os.makedirs("/srv/iso")
    os.chmod("/srv/iso", 0o2700)
    qb.configure(CONFIG % "")
    qb.agent("apply", "--yes")
    qb.same(looks("/srv/images"), ("0750", 107, 36), "the mounted root")
    with open("/etc/libvirt/storage/images.xml", encoding="utf-8") as f:
        definition = f.read()
    qb.contains(definition, ["<mode>0750</mode>", "<owner>107</owner>", "<group>36</group>"],
                "the definition")
    qb.contains(qb.agent("plan").out, "Nothing to do", "a second time")
    qb.same(looks("/srv/iso"), ("2700", 0, 0), "what is not named")
    # Somebody changes it, and the configuration says more.
    os.chmod("/srv/images", 0o777)
    qb.configure(CONFIG % WANTED)
    plan = " ".join(qb.agent("plan", code=qb.PENDING).out.split())
    qb.contains(plan, ["Plan: 2 steps", "/srv/images has mode 0777, owner 107, group 36: it gets mode 0750",
                       "/srv/iso has mode 2700, owner 0, group 0: it gets mode 0751 owner 1001"], "the plan")
    qb.agent("apply", "--yes")
    qb.same(looks("/srv/images"), ("0750", 107, 36), "the mounted root")
    qb.same(looks("/srv/iso"), ("2751", 1001, 0), "the directory")
    qb.contains(qb.agent("plan").out, "Nothing to do", "after it")
    qb.agent("rollback", "--yes")
    qb.same(looks("/srv/images"), ("0777", 107, 36), "the mounted root")
    qb.same(looks("/srv/iso"), ("2700", 0, 0), "the directory")
    qb.agent("rollback", "--yes")
    assert not os.path.exists("/srv/images"), "the mount point is still there"


@qb.case(disks="blank,ext4")
def what_is_below_a_pool_that_is_not_mounted_is_left_alone():
    """It is the directory's of the machine, and not the pool's."""
    qb.configure(CONFIG % "")
    qb.agent("apply", "--yes")
    qb.run("/bin/umount", "/srv/images")
    before = looks("/srv/images")
    assert before != ("0750", 107, 36), before
    r = qb.agent("apply", "--yes", code=None)
    assert r.code != qb.OK, r
    qb.same(looks("/srv/images"), before, "the mount point")


@qb.case(disks="blank,ext4")
def a_run_that_is_killed_before_its_mode_is_set_is_gone_on_with():
    """What mkfs gives a root directory is not what libvirt has for images."""
    qb.configure(CONFIG.replace("    mode: 0750\n    owner: 107\n    group: 36\n", "") % "")
    r = qb.run("/usr/bin/strace", "-o", "/tmp/trace", "-P", "/srv/images", "-e", "trace=fchmod", "-e",
               "inject=fchmod:error=EINTR:signal=KILL", qb.AGENT, "apply", "--yes", code=None,
               env={**os.environ, "ASAN_OPTIONS": "detect_leaks=0"})
    assert r.code != qb.OK, r
    qb.same(looks("/srv/images"), ("0755", 0, 0), "the mounted root when the agent was killed")
    qb.agent("apply", "--yes")
    qb.same(looks("/srv/images"), ("0711", 0, 0), "the mounted root")
    # Somebody makes it another, and the next run has other things to mend.
    os.chmod("/srv/images", 0o750)
    qb.virsh("pool-destroy", "images")
    qb.agent("apply", "--yes")
    qb.same(looks("/srv/images"), ("0750", 0, 0), "what somebody gave it")
    qb.virsh("pool-autostart", "--disable", "images")
    qb.agent("apply", "--yes")
    qb.same(looks("/srv/images"), ("0750", 0, 0), "what somebody gave it")


@qb.case(disks="blank,ext4")
def a_mode_that_is_configured_is_not_taken_away():
    """The one that mkfs makes, too."""
    qb.configure(CONFIG.replace("0750", "'0755'").replace("owner: 107", "").replace("group: 36", "") % "")
    os.makedirs("/srv/iso")
    qb.agent("apply", "--yes")
    qb.same(looks("/srv/images"), ("0755", 0, 0), "the mounted root")
    qb.virsh("pool-autostart", "--disable", "images")
    qb.agent("apply", "--yes")
    qb.same(looks("/srv/images"), ("0755", 0, 0), "the mounted root")
    qb.contains(qb.agent("plan").out, "Nothing to do", "after it")


if __name__ == "__main__":
    qb.main()
