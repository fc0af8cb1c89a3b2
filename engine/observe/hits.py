"""Counted rows and cases as data: merged by addition, kept in a file."""

from __future__ import annotations

import fcntl
import json
import os
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


FORMAT: Final = "calltable-coverage"
VERSION: Final = 1
Key = tuple[str, str, str, str, str]
"""Machine, digest, state, event, row id (empty where no row took the event)."""
Case = tuple[str, str, str, str, str]
"""Machine, digest, state, event, and the values that the guards met, in words."""


class CoverageError(ValueError):
    """A file holds no coverage; the text says which and why."""


@dataclass(slots=True)
class Hits:
    """What was counted. ``rows`` and ``cases`` map their keys to how often they came."""

    rows: Counter[Key] = field(default_factory=Counter)
    cases: Counter[Case] = field(default_factory=Counter)

    def add(self, other: Hits) -> None:
        """Take what ``other`` has counted as well."""
        self.rows.update(other.rows)
        self.cases.update(other.cases)

    def dump(self) -> str:
        """The counts as JSON."""
        machines: dict[tuple[str, str], dict[tuple[str, str], dict[str, dict[str, int]]]] = {}
        for kind, counts in (("rows", self.rows), ("cases", self.cases)):
            for (machine, digest, state, event, what), count in sorted(counts.items()):
                cell = machines.setdefault((machine, digest), {}).setdefault((state, event), {})
                cell.setdefault(kind, {})[what] = count
        content = {
            FORMAT: VERSION,
            "machines": [
                {"machine": machine, "digest": digest,
                 "cells": [{"state": state, "event": event, **cell} for (state, event), cell in cells.items()]}
                for (machine, digest), cells in machines.items()
            ],
        }  # fmt: skip
        return json.dumps(content, ensure_ascii=False, indent=1) + "\n"

    @classmethod
    def load(cls, text: str, name: str = "coverage") -> Hits:
        """Read what ``dump`` wrote. Raises CoverageError."""
        found = cls()
        try:
            content = json.loads(text)
            version = content[FORMAT]
            for machine in content["machines"]:
                for cell in machine["cells"]:
                    key = (str(machine["machine"]), str(machine["digest"]), str(cell["state"]), str(cell["event"]))
                    for row, count in cell.get("rows", {}).items():
                        found.rows[*key, row] += int(count)
                    for case, count in cell.get("cases", {}).items():
                        found.cases[*key, case] += int(count)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise CoverageError(f"{name}: this is not a coverage file ({str(error) or type(error).__name__})") from error
        if version != VERSION:
            raise CoverageError(f"{name}: written by another version of calltable")
        return found

    def write(self, path: Path) -> None:
        """Add the counts to a file, all or nothing; it is made where there is none. Raises OSError, CoverageError."""
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            fcntl.flock(folder, fcntl.LOCK_EX)  # the processes of a test run end together
            whole = Hits()
            if path.exists():
                whole = self.load(path.read_text(encoding="utf-8"), str(path))
            whole.add(self)
            beside = path.with_name(f".{path.name}.new")
            beside.write_text(whole.dump(), encoding="utf-8")
            beside.replace(path)
        finally:
            os.close(folder)


def merge(many: Iterable[Hits]) -> Hits:
    """All counts added up."""
    whole = Hits()
    for one in many:
        whole.add(one)
    return whole
