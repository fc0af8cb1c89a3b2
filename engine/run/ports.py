"""What the engine needs of the world around it, and what it gives to those that it calls.

``Scheduler`` is a clock that wakes the executor. ``Queue`` is the executor as owners and actions see it: a place for events,
counters, and the moment of the step under way. Both are protocols, so that nothing here knows a session, let alone a socket.

A session has a ``value``: the adapter's own, immutable (a dialog, for example), None until something sets it. It is part of the session's
record and changes in two ways only, so that it is never ahead of or behind what the store holds:

* An event brings a ``Change``: a function of the value, because the value may have moved on by the time the event is taken. What it
  answers becomes true in the commit of the row that takes the event. An event that is ignored, refused or deferred has arrived all the
  same, so its change becomes true then (a deferred event does not bring it again); in a durable session that is a commit of its own.
  An event that no row handles, and one that fails, changes nothing.
* An action has a ``Draw`` beside its handler (``executor.draws[action]``): it takes from the value, or from a random source, what the
  effect needs (a sequence number, a branch, a tag). It is called before the commit, once for each effect of the row that is taken, in
  order, each with the value that the one before left. What it drew is part of the commit and is given to the handler afterwards as the
  parameter ``drawn``; so the effect can be repeated after a crash and is still the same one.

Both are pure but for their random source. One that raises fails the session like a guard that raises: nothing of the row is true then.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, TypeVar

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Callable, Mapping

Change: TypeAlias = "Callable[[Any], Any]"
"""What an event makes of the session's value: the old one (None at first) to the new one."""

S_contra = TypeVar("S_contra", contravariant=True)


class Draw(Protocol[S_contra]):
    """Takes what an effect needs before its row is committed."""

    def __call__(self, session: S_contra, parameters: Mapping[str, Any], value: Any, /) -> tuple[Any, Any]:
        """The new value, and what was drawn: plain data, because it is kept.

        ``session`` still stands where it stood before the row; ``value`` holds what the event and the effects before have made of it.
        """


class Lost(Protocol[S_contra]):
    """Is told of an event that reached no row (``executor.on_lost``); see ``failure.py``."""

    def __call__(self, session: S_contra, event: str, payload: Mapping[str, Any], reason: str, /) -> None:
        """Settle what the payload leaves open. Everything that the step led to is done; ``session`` may have ended."""


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

    def queue(self, session: S_contra, event: str, payload: Mapping[str, Any], origin: S_contra | None = None,
              change: Change | None = None) -> None:
        """Queue what follows from a step; only ever called from inside one.

        ``origin`` is the child that the event comes from, or the owner that tells it; ``change`` what the event makes of the value.
        """

    def post(self, session: S_contra, event: str, payload: Mapping[str, Any] = ..., change: Change | None = None) -> None:
        """Give a session an event without asking what became of it."""
