"""One record of a trace, and its line of JSON: written, read, and cut down to one call.

Writing is on the path of every message and step, so a line is put together by hand from the fields that are not empty; the strings are
escaped by the C encoder of ``json``. A line is ASCII: what was no UTF-8 on the wire survives as a surrogate escape and cannot hide a record.
Passwords and credentials are masked here, for every record that leaves the process (``redact.py``).
"""

from __future__ import annotations

import json
from json.encoder import encode_basestring_ascii
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

from calltable.adapters.sip.message import mask, visible

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


class Entry(NamedTuple):
    """One record of a trace.

    ``time`` is in seconds of any clock that only grows. ``source`` and ``destination`` are labels, by custom
    ``host:port``; ``rows`` are the ids of the rows that took the message (``in``) or sent it (``out``). ``call`` is
    the number of the call, ``leg`` the name of the leg in it. ``outcome`` is empty where a step's
    row was taken, else what became of the event (``ignored``, ``refused``, ``deferred`` …). ``lost`` marks a message that
    the network swallowed; in a record of kind ``gap`` ``event`` says how many records are missing there.
    All but ``time`` and ``kind`` may be empty.
    """

    time: float
    kind: Literal["message", "step", "gap"]
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
        """What an arrow is called: a request by its summary, a response with the method that it answers.

        Fit to be shown: without secrets and control characters.
        """
        shown = visible(mask(self.summary))
        method = self.cseq.partition(" ")[2]
        if shown[:1].isdigit() and method:
            return f"{shown} ({visible(method)})"
        return shown

    @property
    def tone(self) -> str:
        """``request``, ``provisional``, ``success`` or ``failure``, for colours."""
        first = self.summary[:1]
        return {"1": "provisional", "2": "success"}.get(first, "failure") if first.isdigit() else "request"


class TraceError(Exception):
    """A line of a trace cannot be read; the text says which and why."""


KINDS: Final = ("message", "step", "gap")
_STEP: Final = ("machine", "row", "event", "before", "after")
_LOST_FIELD: Final = ', "lost": true'
_REMEMBERED: Final = 4096
"""Encoded parts that are kept: rows and what they do are the same few in every call."""
_steps: dict[tuple[object, ...], str] = {}
_lists: dict[tuple[str, tuple[str, ...]], str] = {}
_quote: Callable[[str], str] = encode_basestring_ascii


def load(record: object) -> Entry:
    """One record as an ``Entry``; fields it does not know are passed over. Raises ``TraceError``."""
    if not isinstance(record, dict):
        raise TraceError("a record is an object: {…}")
    if record.get("kind") not in KINDS:
        raise TraceError(f"kind must be 'message' or 'step', not {record.get('kind')!r}")
    if not isinstance(record.get("time"), int | float):
        raise TraceError(f"time must be a number of seconds, not {record.get('time')!r}")
    known: dict[str, Any] = {name: value for name, value in record.items() if name in Entry._fields}
    for name in ("rows", "publications"):
        known[name] = tuple(known.get(name, ()))
    return Entry(**known)


def dump(entry: Entry) -> str:
    """One record as a line of JSON, without the fields that are empty and without a line end; secrets are masked."""
    (time, kind, direction, source, destination, summary, cseq, call_id, leg, rows, text, lost, session, machine, row, event, before,
     after, publications, call, outcome) = entry  # fmt: skip
    if kind == "message":
        shown = mask(text)
        if shown is not text or not text:  # the summary is the first line of the text: nothing to mask in the one, nothing in the other
            summary = mask(summary)
        return (
            f'{{"time": {time!r}, "kind": "message", "direction": "{direction}"{_field("source", source)}'
            f'{_field("destination", destination)}{_field("summary", summary)}{_field("cseq", cseq)}{_field("call_id", call_id)}'
            f'{_field("leg", leg)}{_list("rows", rows)}{_field("text", shown)}{_LOST_FIELD if lost else ""}{_field("call", call)}}}'
        )
    known = (machine, row, event, before, after, publications, outcome)
    fixed = _steps.get(known)
    if fixed is None:
        if len(_steps) >= _REMEMBERED:
            _steps.clear()
        fixed = _steps[known] = "".join([
            *(_field(name, value) for name, value in zip(_STEP, known[:5], strict=True)),
            _list("publications", publications), _field("outcome", outcome),
        ])  # fmt: skip
    return f'{{"time": {time!r}, "kind": "{kind}"{_field("leg", leg)}{_field("session", session)}{fixed}{_field("call", call)}}}'


def _field(name: str, value: str) -> str:
    return f', "{name}": {_quote(value)}' if value else ""


def _list(name: str, values: tuple[str, ...]) -> str:
    if not values:
        return ""
    key = (name, values)
    found = _lists.get(key)
    if found is None:
        if len(_lists) >= _REMEMBERED:
            _lists.clear()
        found = _lists[key] = f', "{name}": [' + ", ".join(map(_quote, values)) + "]"
    return found


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
    found = [
        one for one in entries
        if one.kind == "gap" or one.call in calls or one.call_id == wanted or (not named and one.kind == "step")
    ]  # fmt: skip
    return found if any(one.kind != "gap" for one in found) else []


def listed(entries: Iterable[Entry], most: int = 20) -> str:
    """The calls of a trace with their numbers, a line each: what there is to choose from."""
    first: dict[str, Entry] = {}
    for one in entries:
        name = one.call or one.call_id
        if name and (name not in first or (first[name].kind != "message" and one.kind == "message")):
            first[name] = one
    lines = [f"  {visible(name)}. {one.label or 'without messages'}  {visible(one.call_id)}".rstrip() for name, one in first.items()]
    more = [f"  and {len(lines) - most} more"] if len(lines) > most else []
    return "\n".join([*lines[:most], *more]) or "  no calls"
