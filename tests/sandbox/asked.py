# SPDX-License-Identifier: Apache-2.0
"""The agent on a terminal, which asks whether the change is to be kept."""

import os
import pty
import select
import subprocess
import time

import qb

QUESTION = b"Keep the change? [y/N]"


class Asked:
    """The agent with a terminal, up to where it asks whether the host is still reached."""

    def __init__(self, *args):
        self.master, slave = pty.openpty()
        self.process = subprocess.Popen([qb.AGENT, "apply", "--yes", *args], stdin=slave,
                                        stdout=slave, stderr=slave)
        os.close(slave)
        self.seen = b""

    def until_asked(self):
        end = time.monotonic() + 60
        while QUESTION not in self.seen and time.monotonic() < end:
            if select.select([self.master], [], [], 0.1)[0]:
                try:
                    self.seen += os.read(self.master, 65536)
                except OSError:  # EIO: it has ended
                    break
        assert QUESTION in self.seen, f"it did not ask: {self.seen.decode(errors='replace')}"
        return self

    def end(self):
        """(exit status, all that stood on the terminal)"""
        try:
            while chunk := os.read(self.master, 65536):
                self.seen += chunk
        except OSError:  # EIO: nobody has the terminal open any more
            pass
        code = self.process.wait(60)
        os.close(self.master)
        return code, self.seen.decode(errors="replace")
