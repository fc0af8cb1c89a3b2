"""The first difference between a replayed call and the captured one, in words."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from calltable.adapters.sip.message import Request, Response
from calltable.phone import CALLEE, CALLER

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from calltable.replay.calls import Call, Spoken
    from calltable.replay.steps import Sent, Walked


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


def find_divergence(
    call: Call, missing: Sequence[Spoken], sent: Sequence[Sent], steps: Sequence[Walked]
) -> Divergence | None:  # fmt: skip
    """The earliest difference on the wire or, for traces of ours, between the rows.

    ``missing`` are the captured messages that the tables have not sent, ``sent`` those that they have, ``steps`` the way.
    """
    unsent = min(_unsent(call, missing), key=lambda one: one.time, default=None)
    unheard = min(_unheard(call, sent), key=lambda one: one.time, default=None)
    if unsent is not None and unheard is not None and abs(unsent.time - unheard.time) <= LATE:
        # the one stands in the place of the other
        unheard, unsent = replace(unheard, captured=unsent.captured), None
    found = [one for one in (unsent, unheard, *_other_rows(call, steps)) if one is not None]
    return min(found, key=lambda one: one.time, default=None)


def _unsent(call: Call, missing: Sequence[Spoken]) -> Iterator[Divergence]:
    """Captured, and not sent by the tables (in time)."""
    start = call.start
    for one in missing:
        if not _trying(one.message):
            yield Divergence(
                one.time - start, f"has {one.label} to {one.remote.hostport}", "send nothing of the kind", _before(call, one.time)
            )


def _unheard(call: Call, sent: Sequence[Sent]) -> Iterator[Divergence]:
    """Sent by the tables while the capture goes on, and not captured."""
    end = call.messages[-1].time - call.start
    for one in sent:
        if one.pair is None and not _trying(one.message) and one.time <= end + 1e-6:
            yield Divergence(
                one.time, "has nothing of the kind", f"send {one.label} to {one.to.hostport}",
                _before(call, call.start + one.time, inclusive=True), one.rows,
            )


def _other_rows(call: Call, steps: Sequence[Walked]) -> Iterator[Divergence]:
    """The first row that differs from a trace of ours. Rows of a phone above its leg are not replayed: their effect shows in the messages."""
    logged = [step for step in call.steps if step.row and step.machine not in (CALLER, CALLEE)]
    if not logged:
        return
    walked = [step for step in steps if step.row]
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
            missing.time - call.start, f"took {missing.row} ({missing.machine}) on {missing.event}",
            "take no row any more", _before(call, missing.time),
        )


def _trying(message: Request | Response) -> bool:
    return isinstance(message, Response) and message.status == 100


def _before(call: Call, time: float, *, inclusive: bool = False) -> str:
    heard = [one for one in call.messages if not one.out and (one.time < time or (inclusive and one.time <= time))]
    return f"{heard[-1].label} from {heard[-1].remote.hostport}" if heard else "the start"
