"""Where a replayed call first goes another way than the captured one did, in words."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from calltable.adapters.sip.message.message import Request, Response

if TYPE_CHECKING:
    from collections.abc import Iterator

    from calltable.replay.walk import Replay


LATE: Final = 0.5
"""Seconds by which a message may be sent later than it was captured, for the captured element took its time."""


@dataclass(frozen=True, slots=True)
class Divergence:
    """Where the captured call and the tables part. ``time`` in seconds since the call's first message."""

    time: float
    captured: str
    tables: str
    after: str
    """The last thing that came in before."""
    row: str = ""
    """The row that the tables took there."""

    def __str__(self) -> str:
        """One sentence."""
        row = f", by row {self.row}" if self.row else ""
        return f"at {self.time:.3f} s, after {self.after}: the capture {self.captured}; the tables {self.tables}{row}"


def find_divergence(running: Replay) -> Divergence | None:
    """The earliest difference on the wire or, for traces of ours, between the rows."""
    unsent = min(_unsent(running), key=lambda one: one.time, default=None)
    unheard = min(_unheard(running), key=lambda one: one.time, default=None)
    if unsent is not None and unheard is not None and abs(unsent.time - unheard.time) <= LATE:
        # the one stands in the place of the other
        unheard, unsent = replace(unheard, captured=unsent.captured), None
    found = [one for one in (unsent, unheard, *_other_rows(running)) if one is not None]
    return min(found, key=lambda one: one.time, default=None)


def _unsent(running: Replay) -> Iterator[Divergence]:
    """Captured, and not sent by the tables (in time)."""
    start = running.call.start
    for one in running._waiting:  # noqa: SLF001 - the same module
        if not _trying(one.message):
            yield Divergence(
                one.time - start, f"has {one.label} to {one.remote.hostport}", "send nothing of the kind", _before(running, one.time)
            )


def _unheard(running: Replay) -> Iterator[Divergence]:
    """Sent by the tables while the capture goes on, and not captured."""
    end = running.call.messages[-1].time - running.call.start
    for sent in running.sent:
        if sent.pair is None and not _trying(sent.message) and sent.time <= end + 1e-6:
            yield Divergence(
                sent.time, "has nothing of the kind", f"send {sent.label} to {sent.to.hostport}",
                _before(running, running.call.start + sent.time, inclusive=True), sent.rows,
            )


def _other_rows(running: Replay) -> Iterator[Divergence]:
    """The first row that a trace of ours has otherwise."""
    logged = [step for step in running.call.steps if step.row]
    if not logged:
        return
    walked = [step for step in running.steps if step.row]
    for then, now in zip(logged, walked, strict=False):
        if (then.machine, then.row) != (now.machine, now.row):
            yield Divergence(
                now.time, f"took {then.row} ({then.machine}) on {then.event}",
                f"take {now.row} ({now.machine}) on {now.event}", now.cause.text, now.row,
            )
            return
    if len(walked) < len(logged):
        missing = logged[len(walked)]
        yield Divergence(
            missing.time - running.call.start, f"took {missing.row} ({missing.machine}) on {missing.event}",
            "take no row any more", _before(running, missing.time),
        )


def _trying(message: Request | Response) -> bool:
    return isinstance(message, Response) and message.status == 100


def _before(running: Replay, time: float, *, inclusive: bool = False) -> str:
    heard = [one for one in running.call.messages if not one.out and (one.time < time or (inclusive and one.time <= time))]
    return f"{heard[-1].label} from {heard[-1].remote.hostport}" if heard else "the start"
