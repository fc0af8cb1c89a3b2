"""What the simulated network is made of: packets, links, and what may be decided about a packet.

The network itself is in ``network.py``, its connections in ``connection.py``; both work on these.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable

    from calltable.adapters.sip.transport import Address


@dataclass(frozen=True, slots=True)
class LinkProfile:
    """How a link treats datagrams; connections feel its ``delay`` only.

    ``delay`` is (least, most) in seconds, drawn evenly. ``loss``, ``duplicate`` and ``reorder`` are the shares (0 to
    1) of datagrams lost, delivered twice, and held back so that later ones may overtake; all others keep their order.
    """

    delay: tuple[float, float] = (0.001, 0.020)
    loss: float = 0.0
    duplicate: float = 0.0
    reorder: float = 0.0

    def __post_init__(self) -> None:
        """Refuse what is no profile."""
        low, high = self.delay
        if not 0 <= low <= high:
            raise ValueError(f"delay {self.delay} is not a range of seconds: write (least, most), both from 0 up")
        for name in ("loss", "duplicate", "reorder"):
            share = getattr(self, name)
            if not 0 <= share <= 1:
                raise ValueError(f"invalid {name} {share}: write a number from 0 to 1")


@dataclass(slots=True, eq=False)
class Packet:
    """One message on its way: when it was sent, when it arrived (seconds; None while or if it did not), and its fate.

    ``fate`` is one of ``under way``, ``delivered``, ``lost`` (by chance), ``dropped`` (by a filter), ``cut`` (by a
    partition), ``held``, ``unreachable`` (nobody there), ``broken`` (its connection closed under it).
    """

    sent: float
    source: Address
    destination: Address
    data: bytes
    delivered: float | None = None
    fate: str = "under way"

    def __str__(self) -> str:
        """One line, for logs and failing tests."""
        head = self.data.split(b"\r\n", 1)[0].decode("utf-8", "backslashreplace")
        end = f"{self.delivered:.6f}" if self.delivered is not None else self.fate
        return f"{self.sent:.6f} -> {end}  {self.source} -> {self.destination}  {head}"


@dataclass(frozen=True, slots=True)
class Deliver:
    """Verdict of a filter: deliver after the link's delay, spared from its loss and duplication."""


@dataclass(frozen=True, slots=True)
class Drop:
    """Verdict of a filter: lose it. A connection breaks, for nothing else loses bytes on one."""


@dataclass(frozen=True, slots=True)
class Delay:
    """Verdict of a filter: deliver exactly so many seconds after sending; later datagrams may overtake."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Duplicate:
    """Verdict of a filter: deliver once and ``copies`` times more, one link delay each. Connections never do."""

    copies: int = 1


@dataclass(slots=True, eq=False)
class Held:
    """Verdict of a filter: keep it until ``release``. ``packet`` is what was caught, None before."""

    packet: Packet | None = None
    _release: Callable[[float], None] | None = None

    def release(self, after: float = 0.0) -> None:
        """Deliver it ``after`` seconds from now. Raises RuntimeError if nothing is held."""
        if self._release is None:
            raise RuntimeError("nothing is held: no message matched yet, or it was released before")
        release, self._release = self._release, None
        release(after)

    def catch(self, packet: Packet, release: Callable[[float], None]) -> None:
        """Called by the network."""
        self.packet, self._release = packet, release
        packet.fate = "held"


Verdict: TypeAlias = Deliver | Drop | Delay | Duplicate | Held


@dataclass(slots=True, eq=False)
class Link:
    """One direction between two listeners."""

    profile: LinkProfile
    cut: bool
    last: float = 0.0
    """When the latest datagram arrives that keeps its order, seconds."""


@dataclass(frozen=True, slots=True)
class SimulatedListener:
    """The flow of every datagram that arrives at one address."""

    local: Address
    closed: ClassVar[bool] = False
