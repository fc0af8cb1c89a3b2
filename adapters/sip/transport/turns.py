"""Fair turns: many streams with messages to handle, and a bounded number of messages in one turn of the loop.

One read from a stream may bring hundreds of messages. Handled on the spot, they would keep datagrams, timers and the other
streams waiting. So a turn of the loop handles a budget of messages from all streams together; who has more waits in a
queue, from which each takes one message and goes to the end. While the budget lasts and nobody waits, a message is handled
as soon as it is read, so an ordinary call waits for nothing.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

_SHARE: Final = 8
"""How many parts of the budget there are for what one stream has just read: nobody uses up a turn alone."""


class Taker(Protocol):
    """A stream with messages to handle."""

    def take(self) -> bool:
        """Handle one message, if there is one; whether there are more."""


class Turns:
    """Shares the turns of a loop. ``call_soon`` plans a callback for the next turn."""

    def __init__(self, call_soon: Callable[[Callable[[], None]], object], budget: int) -> None:
        """``budget`` is the number of messages handled in one turn."""
        self._call_soon = call_soon
        self._budget = budget
        self._left = budget
        self._share = max(1, budget // _SHARE)
        self._waiting: deque[Taker] = deque()
        self._planned = False

    def offer(self, taker: Taker) -> None:
        """Handle what a stream has just read, now or in its turn. It must not be waiting already."""
        if not self._planned:
            self._planned = True
            self._call_soon(self._turn)
        share = 0 if self._waiting else min(self._left, self._share)
        while share > 0:
            share -= 1
            self._left -= 1
            if not taker.take():
                return
        self._waiting.append(taker)

    def _turn(self) -> None:
        self._left = self._budget
        waiting = self._waiting
        self._planned = bool(waiting)
        if waiting:
            self._call_soon(self._turn)
        while waiting and self._left > 0:
            self._left -= 1
            taker = waiting.popleft()
            if taker.take():
                waiting.append(taker)
