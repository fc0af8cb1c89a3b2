"""Starting real programs for a test, and ending them: every run is bounded and nothing is left behind."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def find(name: str) -> str | None:
    """Where a program lies; Debian keeps daemons in folders that are not on every user's PATH."""
    return shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin:/usr/local/sbin")


def calltable() -> list[str]:
    """The command under test: the script beside this Python, else the module."""
    script = Path(sys.executable).with_name("calltable")
    return [str(script)] if script.exists() else [sys.executable, "-m", "calltable.tools.main"]


class Program:
    """A running program with its output in a file. Ends with its whole session, whatever it forked."""

    def __init__(self, command: Sequence[str | os.PathLike[str]], folder: Path, name: str, *,
                 environment: Mapping[str, str] | None = None) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.log = folder / f"{name}.log"
        with self.log.open("wb") as sink:
            self.process = subprocess.Popen(
                [os.fspath(word) for word in command], stdin=subprocess.DEVNULL, stdout=sink, stderr=subprocess.STDOUT,
                cwd=folder, start_new_session=True, env={**os.environ, **(environment or {})},
            )

    @property
    def output(self) -> str:
        return self.log.read_text(errors="replace")

    def running(self) -> bool:
        return self.process.poll() is None

    def wait(self, seconds: float) -> int | None:
        """The exit status, or None where it still runs."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            return self.process.wait(seconds)
        return None

    def stop(self, seconds: float = 5.0, first: signal.Signals = signal.SIGTERM) -> int | None:
        """Ask it to end, then make it; its exit status, None where it had to be killed."""
        status = self.process.poll()
        if status is None:
            self._signal(first)
            status = self.wait(seconds)
        self._signal(signal.SIGKILL)
        self.wait(2.0)
        return status

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, number)
