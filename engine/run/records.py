"""What is left of a step: the outcome that its caller is told, and the receipt that history keeps."""

from __future__ import annotations

from typing import NamedTuple

HISTORY = 50
"""How many receipts a session keeps."""


class Outcome(NamedTuple):
    """What became of one event.

    ``kind`` is ``taken`` (``detail`` is the row's id), ``ignored`` (the kind of ignoring), ``refused`` (the
    reason), ``deferred``, ``queued`` (the engine is at work; it will be taken in turn), ``pending`` (taken;
    the store has yet to confirm), ``stale`` (the session no longer waits for it), ``unhandled`` or ``ended``.
    """

    kind: str
    detail: str = ""

    @property
    def ok(self) -> bool:
        """Whether the event had the effect it was sent for, now or in turn."""
        return self.kind in _OK


_OK = frozenset({"taken", "deferred", "queued", "pending"})
QUEUED = Outcome("queued")
PENDING = Outcome("pending")
STALE = Outcome("stale")
ENDED = Outcome("ended")
UNHANDLED = Outcome("unhandled")
OVERFLOW = Outcome("refused", "the session's inbox is full")


class Receipt(NamedTuple):
    """The record of one committed step: times in seconds of the scheduler's clock."""

    session: int
    version: int
    row: str
    event: str
    before: str
    after: str
    time: float
