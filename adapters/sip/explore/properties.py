"""What must hold in every state of a call, whatever the tables say: the invariants of the explorer.

Most of them are asked when the network is *silent*: no message is under way, no outcome is awaited, and nothing
was lost or broken on the way. Then whatever the tables had to say to each other has been said, and

- every request of ours that waits is one that somebody at the other end may still answer (``no-answer``), and nobody sits on
  one that has to be answered at once (``unanswered``);
- every 2xx to an INVITE has its ACK, or somebody who is alive owes it (``ack``);
- the two ends of a dialog agree: never one alive and the other gone (``disagree``);
- a call that was hung up is over at both ends, by messages alone: no timer has to clear it away (``left-behind``);
- where one of the two legs of a B2BUA is gone the other is, too, or holds a hang-up that it may not carry out yet (``left-behind``).

The last two catch the forgotten message that a timer would hide.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from calltable.adapters.sip.explore.dialogs import ACCEPTED, HELD, LEFT, OPEN, DialogEnd
from calltable.adapters.sip.explore.legs import LegsCode

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from calltable.engine.explore import ActorCode, Broken, Element, State, System, Wire


AT_ONCE = frozenset({"BYE", "CANCEL"})
"""Requests that are answered in the step that takes them."""


class End(NamedTuple):
    """One end of a wire, as the invariants see it."""

    line: DialogEnd
    begun: bool
    alive: bool
    name: str


class Digest(NamedTuple):
    """What a local state looks like from outside."""

    ends: Mapping[str, End]
    busy: bool
    """An outcome is awaited, or an INVITE was given up: nothing is promised then."""
    over: bool
    """No session is left."""
    finding: Broken | None
    """What is wrong inside the element once the network is silent."""


class CallInvariants:
    """The invariants of compositions whose elements are made of legs."""

    def __init__(self, system: System, wires: Sequence[Wire]) -> None:
        self.system = system
        names = {element.name: i for i, element in enumerate(system.elements)}
        self.wires = [(names[one[0]], one[1], names[other[0]], other[1]) for one, other in wires]
        self._digests: list[dict[int, Digest]] = [{} for _ in system.elements]

    def digest(self, element: int, local: int) -> Digest:
        """The digest of a local state, made once."""
        found = self._digests[element].get(local)
        if found is None:
            found = self._digests[element][local] = digest(self.system.elements[element], local)
        return found

    def final(self, state: State) -> bool:
        """Whether every session is over and no message is under way."""
        return self.system.silent(state) and all(
            self.digest(i, state[i]).over for i in range(len(self.system.elements))
        )

    def invariant(self, state: State) -> Broken | None:
        """What is wrong in a state, or None."""
        if not self.system.silent(state) or self.system.tainted(state):
            return None
        digests = [self.digest(i, state[i]) for i in range(len(self.system.elements))]
        if any(one.busy for one in digests):
            return None
        for one in digests:
            if one.finding is not None:
                return one.finding
        for left, port, right, other in self.wires:
            a, b = digests[left].ends.get(port), digests[right].ends.get(other)
            if a is None:
                continue
            found = _wire(a, b) or (None if b is None else _asked(b, a) or _acknowledged(b, a))
            if found is not None:
                return found
        return None


def _wire(a: End, b: End | None) -> Broken | None:
    found = _asked(a, b)
    if found is not None or b is None:
        return found
    found = _acknowledged(a, b)
    if found is not None:
        return found
    if not (a.alive or b.alive):
        return None
    alive, other = (a, b) if a.alive else (b, a)
    if a.line.doomed or b.line.doomed:
        return "left-behind", f"the call of {alive.name} was hung up and the network is silent, yet {alive.name} lives on"
    if not other.alive and other.begun:
        return "disagree", f"{other.name} is gone and the network is silent, yet {alive.name} lives on"
    return None


def _asked(a: End, b: End | None) -> Broken | None:
    """The requests of ``a`` wait for somebody."""
    for key in a.line.clients:
        if b is None or b.line.servers.get(key) not in (OPEN, HELD, LEFT):
            return "no-answer", f"the {key[1]} of {a.name} was never answered"
    if b is not None:
        for key, phase in b.line.servers.items():
            if phase == OPEN and (key[1] != "INVITE" or key[0] != b.line.invite):
                return "unanswered", f"{b.name} was asked {key[1]} and neither answered it nor told its owner"
    return None


def _acknowledged(a: End, b: End) -> Broken | None:
    """The 2xx of ``a`` have been acknowledged by ``b``, or ``b`` still may."""
    for (number, method), phase in a.line.servers.items():
        if phase == ACCEPTED and not (b.alive and b.line.unacknowledged == number):
            return "ack", f"{b.name} never acknowledged the 2xx to its {method}"
    return None


def digest(element: Element, local: int) -> Digest:
    """Look at one local state."""
    actors, over, adapter = element.codes[local]
    lines, awaited, _ = adapter if isinstance(adapter, LegsCode) else LegsCode()
    live = {one.slot: one for one in actors}
    ends = {}
    for port, code in lines:
        line = DialogEnd.of(code)
        ends[port] = End(line, line.leg != "" or not line.known, line.leg in live, line.leg or f"the leg on {element.name}.{port}")
    busy = bool(awaited) or any(end.line.abandoned for end in ends.values())
    return Digest(ends, busy, not live, _inside(live, over, ends))


def _inside(live: Mapping[str, ActorCode], over: Sequence[str], ends: Mapping[str, End]) -> Broken | None:
    for slot, actor in live.items():
        parent = actor.parent
        if parent and not actor.deferred:
            gone = [one for one in over if one.rpartition(".")[0] == parent]
            # of three legs, one may be gone while two go on
            if gone and len(gone) + sum(one.parent == parent for one in live.values()) == 2:
                return "left-behind", f"{gone[0]} is gone and the network is silent, yet {slot} lives on"
        if not parent and any(one.startswith(slot + ".") for one in over) and not any(
            one.startswith(slot + ".") for one in live
        ):
            return "left-behind", f"all legs of {slot} are gone, yet it lives on"
    for port, end in ends.items():
        if end.line.leg in live and live[end.line.leg].parent:
            for (number, method), phase in end.line.servers.items():
                carried = any(
                    handle == (port, number) for one in ends.values() for _, handle in one.line.clients.values()
                )
                others = any(one.alive for one in ends.values() if one is not end)
                if phase == HELD and others and not carried:
                    return "unanswered", f"the {method} that {end.name} took is carried on by nobody"
    return None
