"""A call's records as a ladder: the parties, every message between them, and the row behind each."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from calltable.adapters.sip.message import mask

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from calltable.observe import Entry


@dataclass(frozen=True, slots=True)
class Ladder:
    """A trace arranged: the parties from left to right, and what happened from top to bottom.

    ``lines`` holds the messages, and of the steps only those that no message shows (timers, commands).
    ``home`` is the party that the steps belong to.
    """

    parties: tuple[str, ...]
    names: Mapping[str, str]
    lines: tuple[Entry, ...]
    steps: tuple[Entry, ...]
    home: str
    start: float

    def name(self, address: str) -> str:
        """The party an address belongs to."""
        return self.names.get(address, address)

    def of(self, message: Entry) -> list[Entry]:
        """The steps behind a message: its rows, at its time."""
        found = [step for step in self.steps if step.row in message.rows]
        return sorted(found, key=lambda step: abs(step.time - message.time))[: len(message.rows)]


def ladder(entries: Iterable[Entry], names: Mapping[str, str] | None = None) -> Ladder:
    """Arrange a trace. ``names`` gives addresses the name of a party (several may share one)."""
    names = names or {}
    # a capture holds what was on the wire: passwords and credentials too
    merged = [one._replace(summary=mask(one.summary), text=mask(one.text)) for one in _merged(entries)]
    messages = [item for item in merged if item.kind == "message"]
    steps = tuple(item for item in merged if item.kind == "step")
    parties: dict[str, None] = {}
    homes: Counter[str] = Counter()
    for item in messages:
        source, destination = names.get(item.source, item.source), names.get(item.destination, item.destination)
        parties.update({source: None, destination: None})
        homes[destination if item.direction == "in" else source] += 1
    told = {row for item in messages for row in item.rows}
    lines = tuple(item for item in merged if item.kind == "message" or item.row not in told)
    home = homes.most_common(1)[0][0] if homes else ""
    if not parties and steps:
        home = steps[0].session
        parties[home] = None
    start = min((item.time for item in merged), default=0.0)
    return Ladder(tuple(parties), names, lines, steps, home, start)


def _merged(entries: Iterable[Entry]) -> list[Entry]:
    """The entries in order, with the two records of a message that both its ends traced made one."""
    merged: list[Entry] = []
    sent: dict[tuple[str, ...], list[int]] = {}
    for item in sorted(entries, key=lambda item: item.time):
        key = (item.source, item.destination, item.summary, item.cseq, item.call_id)
        if item.kind == "message" and item.direction == "out":
            sent.setdefault(key, []).append(len(merged))
        elif item.kind == "message" and sent.get(key):
            place = sent[key].pop(0)
            rows = tuple(dict.fromkeys((*merged[place].rows, *item.rows)))
            merged[place] = merged[place]._replace(rows=rows, text=merged[place].text or item.text)
            continue
        merged.append(item)
    return merged
