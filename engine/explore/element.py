"""One SIP element in the explorer: sessions of compiled tables and an abstract adapter, as a pure transducer.

An element is what one executor would run: a user agent with its leg, or a B2BUA with a bridge and two. Its local
state is one hashable value; ``react(local, input)`` gives it one external input, carries every follow-up through
as ``engine/executor.py`` does (first in, first out, effects before publications, deferred events after a change
of state), and answers the next local state, the messages that left through its *ports*, and what to show of it. It is
a function, so its answers are remembered: the search meets the same local state in thousands of places.

The cells are the very functions that the executor runs. Of the variables only those are part of a state that a
guard reads or that flow on into other events (``kept_variables``); messages and URIs are one opaque token.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from calltable.engine import expressions as x
from calltable.engine.compile import DEFER, IGNORE, REFUSE
from calltable.engine.model import FAILED, STARTED

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator, Mapping

    from calltable.engine.compile import CompiledMachine, RowCode
    from calltable.engine.executor import Executor
    from calltable.engine.model import Machine, Type
    from calltable.engine.session import Session

TOKEN = "…"  # noqa: S105 - a stand-in for any message, URI or text, no secret
"""What a message, a URI or a text is here: there, and no more is known of it."""

FOLLOWUPS = 32
DEFERRED = 8
"""How many events a session may defer before the run fails: the executor has room for more."""

HANGUP = "user.hangup"

Input = tuple[Any, ...]
"""``(kind, …)``: see ``Element.react``."""
Message = tuple[Any, ...]


class Shown(NamedTuple):
    """One event that a session was given, for the trace. ``row`` is empty where none took it."""

    slot: str
    machine: str
    event: str
    row: str
    kind: str
    before: str
    after: str
    publications: tuple[str, ...]


class Reaction(NamedTuple):
    """What came of one input: the next local state, messages by port, what happened, and what was wrong."""

    local: int
    sent: tuple[tuple[str, Message], ...]
    shown: tuple[Shown, ...]
    problem: str
    code: str


class Violation(Exception):  # noqa: N818 - it is a finding, not an accident
    """Something that must never happen; ``code`` names the property."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


class EffectError(Exception):
    """An effect that the real adapter would fail on too: the session gets ``engine.failed``."""


class Adapter(Protocol):
    """The abstract semantics of an adapter: what actions mean, and what comes in from outside.

    An adapter keeps its own state between ``load`` and ``code``. It may raise ``Violation``.
    """

    def load(self, code: Hashable) -> None:
        """Take up a state that ``code`` gave."""

    def code(self) -> Hashable:
        """The state as one hashable value."""

    def perform(self, scene: Scene, actor: Actor, action: str, parameters: Mapping[str, Any]) -> None:
        """Carry out an action of a row."""

    def receive(self, scene: Scene, port: str, message: Message) -> None:
        """A message came in through a port."""

    def give(self, scene: Scene, given: Input) -> None:
        """An input of the adapter's own kind (a transaction timing out, an outcome, …)."""

    def inputs(self, scene: Scene) -> Iterator[tuple[str, Input]]:
        """The inputs that may come now, each with what it costs (a budget's name, or empty)."""

    def published(self, scene: Scene, actor: Actor, name: str, fields: Mapping[str, Any]) -> None:
        """A root session published something: there is no parent to take it."""

    def ended(self, scene: Scene, actor: Actor) -> None:
        """A session has reached a final state."""

    def settle(self, scene: Scene) -> None:
        """Everything that followed from one input is done; ``scene.shown`` holds it."""


class _Nobody:
    """Sessions here have no owner that is called back: the scene carries what they publish."""

    def published(self, executor: Executor, child: Session, name: str, fields: Mapping[str, Any]) -> None:
        """Nothing."""

    def child_ended(self, executor: Executor, child: Session) -> None:
        """Nothing."""


_NOBODY = _Nobody()


class Actor:
    """A live session in a scene: the engine's own session object, with timers by name instead of by time."""

    __slots__ = ("armed", "deferred", "parent", "session", "slot", "started", "timers")

    def __init__(self, slot: str, session: Session, parent: Actor | None) -> None:
        self.slot = slot
        self.session = session
        self.parent = parent
        self.started = False
        self.armed: tuple[str, ...] = ()
        self.timers: dict[str, bool] = {}
        """Named timers that run; True where they repeat."""
        self.deferred: list[tuple[str, Mapping[str, Any]]] = []

    @property
    def ended(self) -> bool:
        """Whether it has reached a final state."""
        return self.session.ended


ENDED = "ended"
"""The code of a session that is over."""


class Scene:
    """A local state laid out to work on: live sessions by slot, the queue, and what has left."""

    def __init__(self, element: Element) -> None:
        self.element = element
        self.actors: dict[str, Actor] = {}
        self.over: list[str] = []
        self.adapter = element.adapter
        self.queue: deque[tuple[Actor, str, Mapping[str, Any], Actor | None]] = deque()
        self.sent: list[tuple[str, Message]] = []
        self.shown: list[Shown] = []
        self._follow = 0

    # -- for adapters
    def send(self, port: str, message: Message) -> None:
        """Put a message on the wire."""
        self.sent.append((port, message))

    def post(self, actor: Actor, event: str, payload: Mapping[str, Any]) -> None:
        """Queue an event for a session; fields that are not given are filled in."""
        self.queue.append((actor, event, complete(actor.session.machine.model, event, payload), None))

    def actor(self, slot: str) -> Actor | None:
        """The live session in a slot."""
        return self.actors.get(slot)

    def start(self, slot: str, machine: str, payload: Mapping[str, Any], parent: Actor | None = None) -> Actor:
        """Make a session and queue its ``engine.started``."""
        if slot in self.actors:
            raise EffectError(f"{slot} is alive already")
        compiled = self.element.machines[machine]
        name = slot.rpartition(".")[2]
        actor = Actor(slot, compiled.session(0, name, "", _NOBODY), parent)
        self.actors[slot] = actor
        if slot in self.over:
            self.over.remove(slot)
        self._arm(actor)
        self.post(actor, STARTED, payload)
        return actor

    # -- the executor's order
    def drain(self) -> None:
        """Carry everything through that is queued."""
        while self.queue:
            self._follow += 1
            if self._follow > FOLLOWUPS * max(1, len(self.actors)):
                raise Violation("followups", f"more than {FOLLOWUPS} follow-up events; the last one {self.queue[0][1]}")
            actor, event, payload, origin = self.queue.popleft()
            if origin is None:
                self.take(actor, event, payload)
            elif actor.parent is origin:
                kind, reason = self.take(actor, event, payload)
                if kind == "refused":
                    prefix = actor.session.prefix
                    told = {"event": event, "reason": reason, "child": actor.session.name}
                    self.queue.append((origin, prefix + "refused", told, actor))
            elif origin.parent is actor:
                self.take(actor, event, payload)

    def take(self, actor: Actor, event: str, payload: Mapping[str, Any]) -> tuple[str, str]:
        """Give a session an event; answers what became of it."""
        session = actor.session
        if session.ended:
            return "ended", ""
        cell = session.cells.get(event)
        if cell is None:
            raise Violation("unhandled", f"no row of {session.machine.name} takes {event} in state {session.state}")
        try:
            taken = cell(session, payload)
        except (KeyError, TypeError, ValueError) as error:
            raise Violation("engine-failure", f"{session.machine.name} failed on {event}: {error!r}") from error
        if taken is None:
            raise Violation("unhandled", f"no guard of {session.machine.name} takes {event} in state {session.state}")
        row: RowCode = taken[0]
        before = session.state
        if row.kind == IGNORE:
            self._show(actor, event, row, "ignored", before)
            return "ignored", row.model.note
        if row.kind == REFUSE:
            self._show(actor, event, row, "refused", before)
            return "refused", row.model.note
        if row.kind == DEFER:
            self._show(actor, event, row, "deferred", before)
            if len(actor.deferred) >= DEFERRED:
                raise Violation("deferrals", f"{actor.slot} holds more than {DEFERRED} deferred events")
            actor.deferred.append((event, payload))
            return "deferred", ""
        _, changes, effects, publications = taken
        for slot, value in zip(row.slots, changes, strict=True):
            setattr(session, slot, value)
        if row.next_state is not None:
            session.state = row.next_state
            session.cells = session.machine.cells[row.next_state]
            actor.armed = ()
        self._show(actor, event, row, "taken", before, tuple(name for name, _ in publications))
        for name, parameters in effects:
            try:
                self._perform(actor, name, parameters)
            except EffectError as error:
                raise Violation("engine-failure", f"{name} of row {row.id} fails: {error}") from error
        for name, fields in publications:
            self._publish(actor, name, fields)
        if row.next_state is not None:
            if row.final:
                self.end(actor)
            else:
                self._arm(actor)
                if before != session.state and actor.deferred:
                    waiting, actor.deferred = actor.deferred, []
                    self.queue.extendleft((actor, one, held, None) for one, held in reversed(waiting))
        return "taken", row.id

    def _show(
        self, actor: Actor, event: str, row: RowCode, kind: str, before: str, publications: tuple[str, ...] = ()
    ) -> None:
        session = actor.session
        self.shown.append(
            Shown(actor.slot, session.machine.name, event, row.id, kind, before, session.state, publications)
        )

    def _perform(self, actor: Actor, name: str, p: Mapping[str, Any]) -> None:
        match name:
            case "timer.start":
                actor.timers[p["name"]] = p.get("repeat") is not None
            case "timer.stop":
                actor.timers.pop(p["name"], None)
            case "child.start":
                self._child_start(actor, p)
            case "child.tell":
                payload = p.get("with") or {}
                for child in self._children(actor, p["to"]):
                    machine = child.session.machine.model
                    full = complete(machine, p["event"], payload)
                    self.queue.append((child, p["event"], full, actor))
            case "child.end":
                for child in self._children(actor, p["name"]):
                    self._orphan(child)
            case _:
                self.adapter.perform(self, actor, name, p)

    def _child_start(self, actor: Actor, p: Mapping[str, Any]) -> None:
        name: str = p["name"]
        prefix = name + "."
        session = actor.session
        if name.endswith("*"):
            session.started += 1
            name = f"{name[:-1]}{session.started}"
        machine = p.get("machine") or session.machine.model.children[p["name"]].machine
        slot = f"{actor.slot}.{name}"
        child = self.start(slot, machine, p.get("with") or {}, actor)
        child.session.prefix = prefix
        if session.children is None:
            session.children = {}
        session.children[name] = child.session

    def _children(self, actor: Actor, to: str) -> list[Actor]:
        children = actor.session.children or {}
        if to.endswith("*"):
            names = [name for name, child in children.items() if child.prefix == to + "."]
        else:
            names = [to] if to in children else []
        return [self.actors[f"{actor.slot}.{name}"] for name in names]

    def _publish(self, actor: Actor, name: str, fields: Mapping[str, Any]) -> None:
        parent = actor.parent
        self.adapter.published(self, actor, name, fields)
        if parent is not None:
            self._tell_parent(actor, parent, actor.session.prefix + name, fields)

    def _tell_parent(self, actor: Actor, parent: Actor, event: str, fields: Mapping[str, Any]) -> None:
        full = complete(parent.session.machine.model, event, fields)
        if "*" in actor.session.prefix or event.endswith((".ended", ".refused")):
            full["child"] = actor.session.name
        self.queue.append((parent, event, full, actor))

    def _orphan(self, child: Actor) -> None:
        parent = child.parent
        child.parent = None
        if parent is not None and parent.session.children is not None:
            parent.session.children.pop(child.session.name, None)
        if HANGUP in child.session.machine.model.events:
            self.queue.append((child, HANGUP, {}, None))

    def end(self, actor: Actor) -> None:
        """A session reached a final state: its children go down, its parent is told."""
        session = actor.session
        session.ended = True
        del self.actors[actor.slot]
        self.over.append(actor.slot)
        actor.timers = {}
        actor.armed = ()
        actor.deferred = []
        for child in [one for one in self.actors.values() if one.parent is actor]:
            self._orphan(child)
        self.adapter.ended(self, actor)
        parent = actor.parent
        if parent is not None:
            if parent.session.children is not None:
                parent.session.children.pop(session.name, None)
            self._tell_parent(actor, parent, session.prefix + "ended", {})

    def _arm(self, actor: Actor) -> None:
        session = actor.session
        arms = session.machine.after[session.state]
        actor.armed = tuple(event for event, delay in arms if delay(session) is not None)


def complete(machine: Machine, event: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """A payload with every field that the event has; what is not given is the token, or null where it may be."""
    known = machine.events.get(event)
    fields: Mapping[str, Type] = known.fields if known is not None else {}
    return {name: given[name] if name in given else blank(kind) for name, kind in fields.items()} | {
        name: value for name, value in given.items() if name not in fields
    }


def blank(kind: Type) -> Any:
    """A value of a type where nothing is known of it."""
    if kind.optional:
        return None
    match kind.kind:
        case "bool":
            return False
        case "int":
            return 0
        case "duration":
            return 0.0
        case "enum":
            return kind.values[0]
        case _:
            return TOKEN


def kept_variables(machine: Machine) -> tuple[str, ...]:
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
    kept = guarded | plain
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

    def __init__(self, name: str, machines: Mapping[str, CompiledMachine], adapter: Adapter) -> None:
        self.name = name
        self.machines = machines
        self.adapter = adapter
        self.kept = {name: kept_variables(one.model) for name, one in machines.items()}
        self.codes: list[Any] = []
        self._numbers: dict[Any, int] = {}
        self._reactions: dict[tuple[int, Input], Reaction] = {}
        self._inputs: dict[int, tuple[tuple[str, Input], ...]] = {}

    # -- states as values
    def number(self, scene: Scene) -> int:
        """The number of a scene's local state."""
        code = (
            tuple(self._actor_code(actor) for _, actor in sorted(scene.actors.items())),
            tuple(sorted(scene.over)),
            self.adapter.code(),
        )
        found = self._numbers.get(code)
        if found is None:
            found = self._numbers[code] = len(self.codes)
            self.codes.append(code)
        return found

    def _actor_code(self, actor: Actor) -> tuple[Any, ...]:
        session = actor.session
        machine = session.machine.name
        return (
            actor.slot, machine, session.state, tuple([getattr(session, "v_" + name) for name in self.kept[machine]]),
            actor.armed, tuple(sorted(actor.timers.items())),
            tuple((event, tuple(sorted(held.items()))) for event, held in actor.deferred),
            "" if actor.parent is None else actor.parent.slot, session.prefix, session.started,
        )  # fmt: skip

    def scene(self, local: int) -> Scene:
        """The local state laid out."""
        scene = Scene(self)
        actors, over, adapter = self.codes[local]
        parents: list[tuple[Actor, str]] = []
        for slot, machine, state, values, armed, timers, deferred, parent, prefix, started in actors:
            compiled = self.machines[machine]
            session = compiled.session(0, slot.rpartition(".")[2], prefix, _NOBODY)
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
    def react(self, local: int, given: Input) -> Reaction:
        """What comes of one input.

        ``("message", port, message)`` came in; ``("event", slot, event, fields)`` is a command of the owner, a timer
        or a failure; everything else is the adapter's.
        """
        key = (local, given)
        found = self._reactions.get(key)
        if found is None:
            found = self._reactions[key] = self._react(local, given)
        return found

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
        return Reaction(after, tuple(scene.sent), tuple(scene.shown), problem, code)

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

    def initial(self, slot: str = "", machine: str = "", fields: Mapping[str, Any] | None = None) -> Reaction:
        """The state before anything happened, or with one session started."""
        scene = Scene(self)
        self.adapter.load(None)
        problem = code = ""
        if slot:
            try:
                scene.start(slot, machine, fields or {})
                scene.drain()
            except Violation as found:
                problem, code = str(found), found.code
        return Reaction(self.number(scene), tuple(scene.sent), tuple(scene.shown), problem, code)

    def over(self, local: int) -> bool:
        """Whether there were sessions and none is left."""
        actors, over, _ = self.codes[local]
        return bool(over) and not actors

    def states(self, local: int) -> dict[str, str]:
        """Slot to state, ``ended`` where the session is over."""
        actors, over, _ = self.codes[local]
        return {**dict.fromkeys(over, ENDED), **{one[0]: one[2] for one in actors}}

    def reactions(self) -> Iterator[Reaction]:
        """Every reaction that was asked for so far."""
        return iter(self._reactions.values())
