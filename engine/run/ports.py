"""What the engine needs of the world around it, and what it gives to those that it calls.

``Scheduler`` is a clock that wakes the executor. ``Queue`` is the executor as owners and actions see it: a place for events,
counters, and the moment of the step under way. Both are protocols, so that nothing here knows a session, let alone a socket.

A session has a ``value``: the adapter's own, immutable (a dialog, for example), None until something sets it. It is part of the session's
record and changes in two ways only, so that it is never ahead of or behind what the store holds:

* An event may carry a ``Change``: a function of the value, because the value may have changed by the time the event is handled. Its result is committed
  with the row that handles the event. An event that is ignored, refused or deferred has still arrived, so its change is applied then (and not again
  when a deferred event is handled); in a durable session that is a commit of its own. An event without a row, or one that fails, changes nothing.
* An action may have a ``Draw`` beside its handler (``executor.draw({action: draw})``). It takes from the value, or from a random source, what the effect
  needs: a sequence number, a branch, a tag. It is called before the commit, for each effect of the row in order, with the value that the previous one
  left. What was drawn is part of the commit, and the handler gets it afterwards as the parameter ``drawn``. So the effect can be repeated after
  a crash and is still the same request.

Both are pure except for their random source. If one raises, the session fails as if a guard had raised: nothing of the row is applied.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, TypeVar

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Callable, Mapping

Change: TypeAlias = "Callable[[Any], Any]"
"""A function from the session's value (None at first) to the new one."""

S_contra = TypeVar("S_contra", contravariant=True)


class Draw(Protocol[S_contra]):
    """Takes what an effect needs before its row is committed."""

    def __call__(self, session: S_contra, parameters: Mapping[str, Any], value: Any, /) -> tuple[Any, Any]:
        """The new value, and what was drawn: plain data, because it is kept.

        ``session`` is still as it was before the row; ``value`` is what the event and the previous effects have made of it.
        """


class Lost(Protocol[S_contra]):
    """Receives every event that reached no row (``executor.on_lost``); see ``failure.py``."""

    def __call__(self, session: S_contra, event: str, payload: Mapping[str, Any], reason: str, /) -> None:
        """Settle what the payload leaves open. Everything that followed from the step is done; ``session`` may have ended."""


class Scheduler(Protocol):
    """What the executor needs of time; ``asyncio.AbstractEventLoop`` has it. Seconds, monotonic."""

    def time(self) -> float:
        """The current moment."""

    def call_at(self, when: float, callback: Callable[..., None], *args: Any) -> Any:
        """Call ``callback(*args)`` at ``when``; the result has ``cancel()``."""


class Queue(Protocol[S_contra]):
    """What owners and actions may ask of the executor: ``S_contra`` is the session's type."""

    @property
    def now(self) -> float:
        """The time of the step under way, in seconds of the scheduler's clock."""

    @property
    def counters(self) -> Counter[str]:
        """Counters by name."""

    def queue(self, session: S_contra, event: str, payload: Mapping[str, Any], origin: S_contra | None = None,
              change: Change | None = None) -> None:
        """Queue an event that follows from a step; only called during a step.

        ``origin`` is the child that the event comes from, or the owner that tells it; ``change`` what the event makes of the value.
        """

    def post(self, session: S_contra, event: str, payload: Mapping[str, Any] = ..., change: Change | None = None) -> None:
        """Deliver an event whose outcome the caller does not need."""
