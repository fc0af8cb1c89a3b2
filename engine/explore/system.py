"""A composition at work: elements joined by channels, and every move that is possible in a global state.

A global state is one flat tuple of numbers: the local state of each element, the content of each channel (numbered
too), and what is left of each budget. Nothing else is remembered, so equal states are one state.

A channel goes one way from port to port. It is *ordered*, or it delivers in any order; it may lose and duplicate as
often as the budgets of those names say. It holds at most ``CAPACITY`` messages: a message more is counted and
fails the run, so that nothing is ever pruned in silence.

Moves cost what their budget says: a command of an owner, a timer that fires while other things are still under way
(``again`` where it repeats), a fault (a transaction that times out), a failure (``engine.failed``), a loss, a duplicate.
Where nothing else can happen any more, waiting is free: whatever is armed fires in the end, repeating timers before those
that give up, as long as there is somebody to hear.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from calltable.engine.explore.element import Element, Reaction
    from calltable.engine.explore.scene import Input, Message

CAPACITY = 10
"""How many messages a channel holds at most."""

OWN = ("command", "hangup")
"""Budgets that each element has for itself."""

PATIENT = frozenset({"again", "duty"})
"""What comes by itself, and first: repeating timers, and what somebody has promised to do."""

WAITING = PATIENT | {"timer", "fault"}
"""What comes by itself in the end: free where nothing else can happen."""

State = tuple[int, ...]


class Wire(NamedTuple):
    """Two channels, one each way, between two ports; ports are ``(element, port)``."""

    one: tuple[str, str]
    other: tuple[str, str]


class Move(NamedTuple):
    """One step of the whole: which element got what, or what a channel did.

    ``kind`` is ``give``, ``lose`` or ``duplicate``; ``cost`` is the budget it drew on, or empty.
    """

    kind: str
    element: int
    given: Input
    cost: str


class Overflow(Exception):  # noqa: N818 - the bound was too small, nothing failed
    """A channel was asked to hold more than ``CAPACITY`` messages."""


class System:
    """The global states of a composition. ``successors`` is all the search needs."""

    def __init__(
        self,
        elements: Sequence[Element],
        wires: Sequence[Wire],
        budgets: Mapping[str, int],
        *,
        ordered: bool = True,
    ) -> None:
        self.elements = tuple(elements)
        self.ordered = ordered
        names = {element.name: i for i, element in enumerate(elements)}
        self.channels: list[tuple[int, str]] = []
        """The receiving element and port of each channel."""
        self._out: dict[tuple[int, str], int] = {}
        for one, other in wires:
            for sender, receiver in ((one, other), (other, one)):
                self._out[names[sender[0]], sender[1]] = len(self.channels)
                self.channels.append((names[receiver[0]], receiver[1]))
        self.budgets = dict(budgets)
        self._budget = {name: i for i, name in enumerate(budgets)}
        self.first_channel = len(self.elements)
        self.first_budget = self.first_channel + len(self.channels)
        self._contents: list[tuple[Message, ...]] = [()]
        self._numbers: dict[tuple[Message, ...], int] = {(): 0}
        self._tainting = [
            self.first_budget + self._budget[name] for name in ("fault", "failure", "loss") if name in self._budget
        ]
        self._full = [budgets[name] for name in ("fault", "failure", "loss") if name in self._budget]
        self._shared = {
            (i, cost): self._cost(element.name, cost)
            for i, element in enumerate(elements) for cost in ("command", "hangup", "failure", *WAITING)
        }  # fmt: skip
        self._loss = self._cost("", "loss")
        self._duplicate = self._cost("", "duplicate")

    def _cost(self, element: str, cost: str) -> int | None:
        """Where in a state the budget stands; None where there is none, so that the move is not possible."""
        name = f"{element}.{cost}" if cost in OWN else cost
        return None if name not in self._budget else self.first_budget + self._budget[name]

    # -- wires
    def wire(self, element: int, port: str) -> int | None:
        """The channel that leaves an element by a port."""
        return self._out.get((element, port))

    def sender(self, channel: int) -> int:
        """The element that sends into a channel."""
        return next(element for (element, _), number in self._out.items() if number == channel)

    # -- reading a state
    def content(self, state: State, channel: int) -> tuple[Message, ...]:
        """The messages in a channel, oldest first."""
        return self._contents[state[self.first_channel + channel]]

    def silent(self, state: State) -> bool:
        """Whether no message is under way."""
        return not any(state[self.first_channel : self.first_budget])

    def tainted(self, state: State) -> bool:
        """Whether a loss, a fault or a failure has been spent on the way here."""
        return any(state[at] < full for at, full in zip(self._tainting, self._full, strict=True))

    def left(self, state: State) -> dict[str, int]:
        """What is left of the budgets."""
        return {name: state[self.first_budget + i] for name, i in self._budget.items()}

    def place(self, budget: str) -> int:
        """Where in a state a budget stands. Raises KeyError where there is none."""
        return self.first_budget + self._budget[budget]

    def _number(self, content: tuple[Message, ...]) -> int:
        if not self.ordered:
            # where any may come first, their order says nothing
            content = tuple(sorted(content, key=repr))
        found = self._numbers.get(content)
        if found is None:
            if len(content) > CAPACITY:
                raise Overflow
            found = self._numbers[content] = len(self._contents)
            self._contents.append(content)
        return found

    # -- moving
    def initial(self, reactions: Sequence[Reaction]) -> State:
        """The first state, from what each element has done to begin with."""
        state = [one.local for one in reactions] + [0] * len(self.channels) + list(self.budgets.values())
        for i, reaction in enumerate(reactions):
            self._sent(state, i, reaction)
        return tuple(state)

    def _sent(self, state: list[int], element: int, reaction: Reaction) -> None:
        for port, message in reaction.sent:
            channel = self._out.get((element, port))
            if channel is None:
                continue
            at = self.first_channel + channel
            state[at] = self._number((*self._contents[state[at]], message))

    def failed(self, state: State, move: Move) -> Reaction | None:
        """What went wrong where the element of a move took it; None where the move was a channel's."""
        if move.kind != "give":
            return None
        return next((one for one in self.elements[move.element].react(state[move.element], move.given) if one.problem), None)

    def successors(self, state: State) -> list[tuple[Move, State, Reaction | None]]:
        """Every move from a state and where it leads; no-op moves are left out."""
        found = list(self._deliveries(state))
        late: list[tuple[str, int, Input]] = []
        for i, element in enumerate(self.elements):
            for cost, given in element.inputs(state[i]):
                if cost in WAITING:
                    late.append((cost, i, given))
                    continue
                at = self._shared[i, cost] if cost else -1
                if at is None or (at >= 0 and not state[at]):
                    continue
                found += self._given(state, i, given, cost, at)
        if not any(move.cost not in ("loss", "duplicate", "failure") for move, _, _ in found):
            found += self._waiting(state, late)
        else:
            for cost, i, given in late:
                at = self._shared[i, cost]
                if at is not None and state[at]:
                    found += self._given(state, i, given, cost, at)
        return found

    def _waiting(
        self, state: State, late: Sequence[tuple[str, int, Input]]
    ) -> list[tuple[Move, State, Reaction | None]]:
        """What comes by itself where nothing else can happen."""
        made = [(cost, one) for cost, i, given in late for one in self._given(state, i, given, "", -1)]
        first = [one for cost, one in made if cost in PATIENT]
        if first and not any(element.over(state[i]) for i, element in enumerate(self.elements)):
            return first
        return [one for _, one in made]

    def _given(
        self, state: State, element: int, given: Input, cost: str, at: int
    ) -> list[tuple[Move, State, Reaction | None]]:
        made: list[tuple[Move, State, Reaction | None]] = []
        for reaction in self.elements[element].react(state[element], given):
            if reaction.local == state[element] and not reaction.sent and not reaction.problem:
                continue
            after = list(state)
            after[element] = reaction.local
            if at >= 0:
                after[at] -= 1
            self._sent(after, element, reaction)
            made.append((Move("give", element, given, cost), tuple(after), reaction))
        return made

    def _deliveries(self, state: State) -> Iterator[tuple[Move, State, Reaction | None]]:
        for channel, (element, port) in enumerate(self.channels):
            at = self.first_channel + channel
            if not state[at]:
                continue
            content = self._contents[state[at]]
            seen = set()
            for i, message in enumerate(content):
                if message in seen:
                    continue
                seen.add(message)
                given = ("message", port, message)
                rest = list(state)
                rest[at] = self._number((*content[:i], *content[i + 1 :]))
                if i == 0 or not self.ordered:
                    for reaction in self.elements[element].react(state[element], given):
                        after = list(rest)
                        after[element] = reaction.local
                        self._sent(after, element, reaction)
                        yield Move("give", element, given, ""), tuple(after), reaction
                if self._loss is not None and state[self._loss]:
                    rest[self._loss] -= 1
                    yield Move("lose", element, given, "loss"), tuple(rest), None
                if self._duplicate is not None and state[self._duplicate] and (i == 0 or not self.ordered):
                    more = list(state)
                    more[at] = self._number((*content[: i + 1], *content[i:]))
                    more[self._duplicate] -= 1
                    yield Move("duplicate", element, given, "duplicate"), tuple(more), None
