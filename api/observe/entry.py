"""One record of a trace, and the file that keeps them: JSON lines, written, read and cut down to one call."""

from __future__ import annotations

import dataclasses
import json
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Entry:
    """One record of a trace.

    ``time`` is in seconds of any clock that only grows. ``source`` and ``destination`` are labels, by custom
    ``host:port``; ``rows`` are the ids of the rows that took the message (``in``) or sent it (``out``). ``call`` is
    the name of the session at the top, ``leg`` that of the leg in it. ``outcome`` is empty where a step's
    row was taken, else what became of the event (``ignored``, ``refused``, ``deferred`` …). ``lost`` marks a message that
    the network swallowed. All but ``time`` and ``kind`` may be empty.
    """

    time: float
    kind: Literal["message", "step"]
    direction: Literal["in", "out"] = "in"
    source: str = ""
    destination: str = ""
    summary: str = ""
    cseq: str = ""
    call_id: str = ""
    leg: str = ""
    rows: tuple[str, ...] = ()
    text: str = ""
    lost: bool = False
    session: str = ""
    machine: str = ""
    row: str = ""
    event: str = ""
    before: str = ""
    after: str = ""
    publications: tuple[str, ...] = ()
    call: str = ""
    outcome: str = ""

    @property
    def label(self) -> str:
        """What an arrow is called: a request by its summary, a response with the method that it answers."""
        method = self.cseq.partition(" ")[2]
        if self.summary[:1].isdigit() and method:
            return f"{self.summary} ({method})"
        return self.summary

    @property
    def tone(self) -> str:
        """``request``, ``provisional``, ``success`` or ``failure``, for colours."""
        first = self.summary[:1]
        return {"1": "provisional", "2": "success"}.get(first, "failure") if first.isdigit() else "request"


class TraceError(Exception):
    """A line of a trace cannot be read; the text says which and why."""


_FIELDS: Final = {one.name for one in dataclasses.fields(Entry)}


def load(record: object) -> Entry:
    """One record as an ``Entry``; fields it does not know are passed over. Raises ``TraceError``."""
    if not isinstance(record, dict):
        raise TraceError("a record is an object: {…}")
    if record.get("kind") not in {"message", "step"}:
        raise TraceError(f"kind must be 'message' or 'step', not {record.get('kind')!r}")
    if not isinstance(record.get("time"), int | float):
        raise TraceError(f"time must be a number of seconds, not {record.get('time')!r}")
    known: dict[str, Any] = {name: value for name, value in record.items() if name in _FIELDS}
    for name in ("rows", "publications"):
        known[name] = tuple(known.get(name, ()))
    return Entry(**known)


def readable(text: str) -> str:
    """A text for people and files: bytes that are not UTF-8, which messages carry as surrogates, become U+FFFD."""
    return text if text.isascii() else text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def dump(entry: Entry) -> str:
    """One record as a line of JSON, without the fields that are empty and without a line end."""
    record = {name: value for name, value in dataclasses.asdict(entry).items() if value not in ("", (), False)}
    if entry.kind == "step":
        del record["direction"]
    line = json.dumps({"time": entry.time, **record}, ensure_ascii=False)
    return line if line.isascii() else readable(line)


def read_trace(lines: Iterable[str], name: str = "trace") -> list[Entry]:
    """A trace from its JSON lines. Raises ``TraceError`` with ``name`` and the number of the line."""
    entries: list[Entry] = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            entries.append(load(json.loads(line)))
        except (json.JSONDecodeError, TraceError) as error:
            raise TraceError(f"{name}:{number}: {error}") from error
    return entries


def of_call(entries: Iterable[Entry], wanted: str) -> list[Entry]:
    """What belongs to one call, named by its number or by the Call-ID of any of its legs."""
    entries = list(entries)
    calls = {wanted} | {one.call for one in entries if one.call_id == wanted and one.call}
    named = any(one.call for one in entries)
    return [
        one for one in entries
        if one.call in calls or one.call_id == wanted or (not named and one.kind == "step")
    ]  # fmt: skip


class TraceFile:
    """A sink that writes JSON lines to a file that only its owner may read. What cannot be written is counted.

    Lines are handed to the system every ``every`` records and at ``close``. Raises OSError where the file cannot be opened.
    """

    def __init__(self, path: Path, *, every: int = 1) -> None:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._file = open(descriptor, "a", encoding="utf-8")  # noqa: PTH123, SIM115 - closed by close()
        self._every = every
        self._left = every
        self.failed = 0
        """Records that a full disk or the like has cost."""

    def __call__(self, entry: Entry) -> None:
        """Write one record."""
        try:
            self._file.write(dump(entry) + "\n")
            self._left -= 1
            if self._left <= 0:
                self._left = self._every
                self._file.flush()
        except (OSError, ValueError):
            self.failed += 1

    def close(self) -> None:
        """Write what is left."""
        try:
            self._file.close()
        except OSError:
            self.failed += 1
