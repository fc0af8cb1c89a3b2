"""What the engine needs of the world around it, and what it gives to those that it calls.

``Scheduler`` is a clock that wakes the executor. ``Queue`` is the executor as owners and actions see it: a place for events,
counters, and the moment of the step under way. Both are protocols, so that nothing here knows a session, let alone a socket.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, TypeVar

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Callable, Mapping

S_contra = TypeVar("S_contra", contravariant=True)


class Scheduler(Protocol):
    """What the executor needs of time; ``asyncio.AbstractEventLoop`` has it. Seconds, monotonic."""

    def time(self) -> float:
        """The current moment."""

    def call_at(self, when: float, callback: Callable[..., None], *args: Any) -> Any:
        """Call back at ``when``; the answer has ``cancel()``."""


class Queue(Protocol[S_contra]):
    """What owners and actions may ask of the executor: ``S_contra`` is the session's type."""

    @property
    def now(self) -> float:
        """The moment of the step under way, in seconds of the scheduler's clock."""

    @property
    def counters(self) -> Counter[str]:
        """What is counted, by name."""

    def queue(self, session: S_contra, event: str, payload: Mapping[str, Any], origin: S_contra | None = None) -> None:
        """Queue what follows from a step; only ever called from inside one.

        ``origin`` is the child that the event comes from, or the owner that tells it.
        """

    def post(self, session: S_contra, event: str, payload: Mapping[str, Any] = ...) -> None:
        """Give a session an event without asking what became of it."""
