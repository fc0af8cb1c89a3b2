"""Starting calltable's commands as programs, and reading what they say."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading

COMMAND = [sys.executable, "-m", "calltable.tools.main"]


class Program:
    """A command that runs until it is told to stop; its output is read line by line."""

    def __init__(self, *arguments):
        environment = {**os.environ, "PYTHONUNBUFFERED": "1", "NO_COLOR": "1"}
        self.process = subprocess.Popen(
            [*COMMAND, *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment
        )
        self.said = []

    def line(self, needle, seconds=30):
        """Read on to the next line that holds ``needle``; the program is ended where it does not come in time."""
        watchdog = threading.Timer(seconds, self.process.kill)
        watchdog.start()
        try:
            for line in self.process.stdout:
                self.said.append(line.rstrip("\n"))
                if needle in line:
                    return self.said[-1]
        finally:
            watchdog.cancel()
        text = "\n".join(self.said)
        raise AssertionError(f"it ended without saying {needle!r}:\n{text}")

    def signal(self, number):
        self.process.send_signal(number)

    def end(self, seconds=10):
        """Wait for the end; the exit code."""
        rest, _ = self.process.communicate(timeout=seconds)
        self.said += rest.splitlines()
        return self.process.returncode


@contextlib.contextmanager
def program(*arguments):
    """A running program; it is gone afterwards, whatever happens."""
    running = Program(*arguments)
    try:
        yield running
    finally:
        if running.process.poll() is None:
            running.process.kill()
        running.process.communicate()


def run(*arguments, seconds=20):
    """Run a command to its end: exit code and output."""
    with program(*arguments) as running:
        return running.end(seconds), "\n".join(running.said)
