"""One element in the explorer: sessions of compiled tables and an abstract adapter, as a pure transducer.

An element is what one executor would run: a user agent with its leg, or a B2BUA with a bridge and two. Its local
state is one hashable value; ``react(local, input)`` gives it one external input, carries every follow-up through
as ``engine/executor.py`` does (first in, first out, effects before publications, deferred events after a change
of state), and answers the next local state, the messages that left through its *ports*, and what to show of it: once, or
once for each way in which the predicates that were asked can answer. It is
a function, so its answers are remembered: the search meets the same local state in thousands of places.

The cells are the very functions that the executor runs. Of the variables only those are part of a state that a
guard reads or that flow on into other events (``kept_variables``); messages and URIs are one opaque token.
"""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Any, NamedTuple

from calltable.engine.explore.scene import ENDED, NOBODY, Actor, Message, Scene, Shown, Violation
from calltable.engine.model import FAILED
from calltable.engine.model import expressions as x

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterator, Mapping

    from calltable.engine.explore.choices import Answers, Choices
    from calltable.engine.explore.scene import Adapter, Input
    from calltable.engine.model import Machine
    from calltable.engine.run import CompiledMachine


class Reaction(NamedTuple):
    """What came of one input: the next local state, messages by port, what happened, and what was wrong."""

    local: int
    sent: tuple[tuple[str, Message], ...]
    shown: tuple[Shown, ...]
    problem: str
    code: str
    answers: Answers = ()
    """What predicates were asked on the way, and answered."""


class ActorCode(NamedTuple):
    """A live session as a value. ``values`` are those of ``kept_variables``, ``parent`` is a slot or empty."""

    slot: str
    machine: str
    state: str
    values: tuple[Any, ...]
    armed: tuple[str, ...]
    timers: tuple[tuple[str, bool], ...]
    deferred: tuple[tuple[str, tuple[tuple[str, Any], ...]], ...]
    parent: str
    prefix: str
    started: int


class LocalCode(NamedTuple):
    """A local state as a value: live sessions, the slots of those that are over, and the adapter's state."""

    actors: tuple[ActorCode, ...]
    over: tuple[str, ...]
    adapter: Hashable


def kept_variables(machine: Machine, watched: frozenset[str] = frozenset()) -> tuple[str, ...]:
    """The variables that a state has to hold: read by a guard, or handed on where somebody may look at it.

    Messages, URIs and durations that no guard reads only travel; they are one token everywhere.
    """
    guarded = {
        node.name
        for row in machine.rows.values() if row.guard is not None
        for node in x.walk(row.guard) if isinstance(node, x.Var)
    }  # fmt: skip
    handed = {
        node.name
        for row in machine.rows.values()
        for value in (
            *(v for action in row.actions for v in action.parameters.values()),
            *(v for one in row.publish for v in one.fields.values()),
        )
        for node in x.walk(value) if isinstance(node, x.Var)
    }  # fmt: skip
    plain = {name for name in handed if machine.variables[name].type.kind in ("bool", "int", "enum", "handle")}
    kept = guarded | plain | (watched & machine.variables.keys())
    while True:
        feeding = {
            node.name
            for row in machine.rows.values() for name, value in row.set.items() if name in kept
            for node in x.walk(value) if isinstance(node, x.Var)
        }  # fmt: skip
        if feeding <= kept:
            return tuple(sorted(kept))
        kept |= feeding


class Element:
    """A transducer: ``react`` and ``inputs`` are pure functions of a local state, given by its number."""

    def __init__(
        self, name: str, machines: Mapping[str, CompiledMachine], adapter: Adapter, choices: Choices,
        *, watched: Mapping[str, frozenset[str]] | None = None,
    ) -> None:  # fmt: skip
        self.name = name
        self.machines = machines
        self.adapter = adapter
        self.choices = choices
        self.kept = {
            name: kept_variables(one.model, (watched or {}).get(name, frozenset())) for name, one in machines.items()
        }
        self.codes: list[LocalCode] = []
        self.starts: list[int] = []
        """The local states that ``initial`` made."""
        self._numbers: dict[Any, int] = {}
        self._reactions: dict[tuple[int, Input], tuple[Reaction, ...]] = {}
        self._inputs: dict[int, tuple[tuple[str, Input], ...]] = {}

    # -- states as values
    def number(self, scene: Scene) -> int:
        """The number of a scene's local state."""
        code = LocalCode(
            tuple(self._actor_code(actor) for _, actor in sorted(scene.actors.items())),
            tuple(sorted(scene.over)),
            self.adapter.code(),
        )
        found = self._numbers.get(code)
        if found is None:
            found = self._numbers[code] = len(self.codes)
            self.codes.append(code)
        return found

    def _actor_code(self, actor: Actor) -> ActorCode:
        session = actor.session
        machine = session.machine.name
        return ActorCode(
            actor.slot, machine, session.state, tuple([getattr(session, "v_" + name) for name in self.kept[machine]]),
            actor.armed, tuple(sorted(actor.timers.items())),
            tuple((event, tuple(sorted(held.items()))) for event, held in actor.deferred),
            "" if actor.parent is None else actor.parent.slot, session.prefix, session.started,
        )  # fmt: skip

    def scene(self, local: int) -> Scene:
        """The local state laid out."""
        scene = Scene(self.machines, self.adapter, self.choices)
        actors, over, adapter = self.codes[local]
        parents: list[tuple[Actor, str]] = []
        for slot, machine, state, values, armed, timers, deferred, parent, prefix, started in actors:
            compiled = self.machines[machine]
            session = compiled.session(0, slot.rpartition(".")[2], prefix, NOBODY)
            session.state = state
            session.cells = compiled.cells[state]
            session.started = started
            for name, value in zip(self.kept[machine], values, strict=True):
                setattr(session, "v_" + name, value)
            actor = Actor(slot, session, None)
            actor.armed = armed
            actor.timers = dict(timers)
            actor.deferred = [(event, dict(held)) for event, held in deferred]
            scene.actors[slot] = actor
            if deferred:
                scene.holding.add(slot)
            if parent:
                parents.append((actor, parent))
        for actor, parent in parents:
            above = actor.parent = scene.actors[parent]
            if above.session.children is None:
                above.session.children = {}
            above.session.children[actor.session.name] = actor.session
        scene.over = list(over)
        self.adapter.load(adapter)
        return scene

    # -- what happens
    def react(self, local: int, given: Input) -> tuple[Reaction, ...]:
        """What may come of one input: more than one reaction where predicates are asked.

        ``("message", port, message)`` came in; ``("event", slot, event, fields)`` is a command of the owner, a timer
        or a failure; everything else is the adapter's.
        """
        key = (local, given)
        found = self._reactions.get(key)
        if found is None:
            found = self._reactions[key] = tuple(self._branches(lambda: self._react(local, given)))
        return found

    def _branches(self, work: Callable[[], Reaction]) -> Iterator[Reaction]:
        """What work comes to, for each way in which predicates can answer."""
        self.choices.begin()
        yield work()
        while self.choices.again():
            yield work()

    def _react(self, local: int, given: Input) -> Reaction:
        scene = self.scene(local)
        problem = code = ""
        try:
            self._give(scene, given)
            scene.drain()
            self.adapter.settle(scene)
        except Violation as found:
            problem, code = str(found), found.code
        after = local if problem else self.number(scene)
        return Reaction(after, tuple(scene.sent), tuple(scene.shown), problem, code, self.choices.answers())

    def _give(self, scene: Scene, given: Input) -> None:
        kind = given[0]
        if kind == "message":
            self.adapter.receive(scene, given[1], given[2])
        elif kind == "event":
            _, slot, event, fields = given
            actor = scene.actors[slot]
            if event.startswith("timer.") and not actor.timers[event[6:]]:
                del actor.timers[event[6:]]
            elif event.startswith("after."):
                # the executor forgets a timer that has fired; the others of the state go on
                actor.armed = tuple(one for one in actor.armed if one != event)
            scene.post(actor, event, dict(fields))
        else:
            self.adapter.give(scene, given)

    def inputs(self, local: int) -> tuple[tuple[str, Input], ...]:
        """The inputs that may come from inside: timers, failures, and what the adapter offers, with their costs."""
        found = self._inputs.get(local)
        if found is None:
            scene = self.scene(local)
            made: list[tuple[str, Input]] = []
            for slot, actor in sorted(scene.actors.items()):
                made += [("timer", ("event", slot, event, ())) for event in actor.armed]
                made += [
                    ("again" if repeats else "timer", ("event", slot, "timer." + name, ()))
                    for name, repeats in sorted(actor.timers.items())
                ]
                if FAILED in actor.session.cells:
                    made.append(("failure", ("event", slot, FAILED, (("reason", "injected"),))))
            made += self.adapter.inputs(scene)
            found = self._inputs[local] = tuple(made)
        return found

    def initial(self, slot: str = "", machine: str = "", fields: Mapping[str, Any] | None = None) -> tuple[Reaction, ...]:
        """The states before anything happened, or with one session started."""
        made = tuple(self._branches(lambda: self._initial(slot, machine, fields or {})))
        self.starts += [one.local for one in made]
        return made

    def _initial(self, slot: str, machine: str, fields: Mapping[str, Any]) -> Reaction:
        scene = Scene(self.machines, self.adapter, self.choices)
        self.adapter.load(None)
        problem = code = ""
        if slot:
            try:
                scene.start(slot, machine, fields)
                scene.drain()
            except Violation as found:
                problem, code = str(found), found.code
        return Reaction(self.number(scene), tuple(scene.sent), tuple(scene.shown), problem, code, self.choices.answers())

    def over(self, local: int) -> bool:
        """Whether there were sessions and none is left."""
        actors, over, _ = self.codes[local]
        return bool(over) and not actors

    def states(self, local: int) -> dict[str, str]:
        """Slot to state, ``ended`` where the session is over."""
        actors, over, _ = self.codes[local]
        return {**dict.fromkeys(over, ENDED), **{one.slot: one.state for one in actors}}

    def reactions(self) -> Iterator[Reaction]:
        """Every reaction that was asked for so far."""
        return chain.from_iterable(self._reactions.values())

    def asked(self) -> Iterator[tuple[int, Input]]:
        """Every local state and input that was asked for so far."""
        return iter(self._reactions)
