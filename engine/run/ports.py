"""What the engine needs of the world around it: a clock that wakes it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable


class Scheduler(Protocol):
    """What the executor needs of time; ``asyncio.AbstractEventLoop`` has it. Seconds, monotonic."""

    def time(self) -> float:
        """The current moment."""

    def call_at(self, when: float, callback: Callable[..., None], *args: Any) -> Any:
        """Call back at ``when``; the answer has ``cancel()``."""
