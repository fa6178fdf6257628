# SPDX-License-Identifier: Apache-2.0
"""A root file system as an installer leaves it: the package, and a kickstart's %post in a chroot.

The kernel, the network and the disks that %post sees are this machine's, which is the installer;
there is no systemd, no libvirtd and no udev of the root to be.
"""
import pathlib
import subprocess

import image
import lab

README = pathlib.Path(__file__).resolve().parents[2] / "README.md"
# In a mount namespace of its own: nothing stays mounted, however it ends.
INSTALL = """\
mount -o loop "$1" "$2"
for dir in proc sys dev; do mount --rbind /$dir "$2/$dir"; done
cp "$3" "$2/root/qubi-agent.rpm"
chroot "$2" rpm -i /root/qubi-agent.rpm
status=0
chroot "$2" /bin/sh -s 2>&1 || status=$?
sync
exit $status
"""


def post():
    """%post of the README's kickstart, to the letter."""
    text = README.read_text(encoding="utf-8")
    return text.split("\n%post\n", 1)[1].split("\n%end\n", 1)[0] + "\n"


def install(test, name, script):
    """Returns the folder of the image for vm.VM, and what %post ended with."""
    folder = test.work / f"{name}-image"
    folder.mkdir()
    for part in ("vmlinuz", "initrd.img"):
        (folder / part).symlink_to(test.image / part)
    image.run(["cp", "--sparse=always", "--reflink=auto", test.image / "root.img", folder])
    (folder / "root").mkdir()
    done = subprocess.run(
        ["unshare", "--mount", "--propagation", "private", "/bin/sh", "-ec", INSTALL, "install",
         folder / "root.img", folder / "root", lab.find_rpm()],
        input=script, capture_output=True, encoding="utf-8", timeout=300, check=False)
    lab.say(f"%post: exit {done.returncode}\n{done.stdout}{done.stderr}".rstrip())
    return folder, done
