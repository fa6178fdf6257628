# SPDX-License-Identifier: Apache-2.0
"""Programs that make deps has fetched and not installed, because installed they would take over the
machine's own network, or open it. They are unpacked in a sandbox, whose files are its own."""

import glob
import os

import qb

PACKAGES = os.path.realpath(qb.HERE + "/../../build/debs")


def install(program, package):
    if os.path.exists(program):
        return
    if not glob.glob(f"{PACKAGES}/{package}_*.deb"):
        raise qb.Skip(f"no {package} in build/debs: run make deps on Debian")
    for path in glob.glob(PACKAGES + "/*.deb"):
        qb.run("/usr/bin/dpkg", "-x", path, "/tmp/fetched")
    for source, target in (("usr", "/usr"), ("etc", "/etc"), ("lib", "/usr/lib")):
        if os.path.isdir(f"/tmp/fetched/{source}"):
            qb.run("/bin/cp", "-a", f"/tmp/fetched/{source}/.", target)
    qb.run("/sbin/ldconfig")
