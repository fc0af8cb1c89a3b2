"""A local state laid out to work on: live sessions, the queue, and what has left; with the executor's order of things.

What ``engine/executor.py`` does with time, stores and callbacks is done here without: first in, first out, effects before
publications, deferred events after a change of state, children taken down through their own hang-up rows. An adapter
gives actions their meaning.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from calltable.engine.model import STARTED
from calltable.engine.run import DEFER, IGNORE, REFUSE, step

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator, Mapping

    from calltable.engine.explore.choices import Choices
    from calltable.engine.model import Machine, Type
    from calltable.engine.run import CompiledMachine, Queue, RowCode, Session

TOKEN = "…"  # noqa: S105 - a stand-in for any message, URI or text, no secret
"""What a message, a URI or a text is here: there, and no more is known of it."""

FOLLOWUPS = 32
DEFERRED = 8
"""How many events a session may defer before the run fails: the executor has room for more."""

HANGUP = "user.hangup"

BEYOND = "beyond"
"""The code of what is no violation, but more than a composition holds: such moves are not followed, and counted."""

FORMER = "~"
"""Put before the slot of a session that was let go when another takes its place."""

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

    def succeeded(self, slot: str, former: str) -> None:
        """A slot is given to another session; what its first one has, or had, goes by the name ``former`` from now on."""

    def ended(self, scene: Scene, actor: Actor) -> None:
        """A session has reached a final state."""

    def settle(self, scene: Scene) -> None:
        """Everything that followed from one input is done; ``scene.shown`` holds it."""


class Nobody:
    """Sessions here have no owner that is called back: the scene carries what they publish."""

    def published(self, executor: Queue[Session], child: Session, name: str, fields: Mapping[str, Any]) -> None:
        """Nothing."""

    def child_ended(self, executor: Queue[Session], child: Session) -> None:
        """Nothing."""


NOBODY = Nobody()


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

    def __init__(self, machines: Mapping[str, CompiledMachine], adapter: Adapter, choices: Choices) -> None:
        self.machines = machines
        self.choices = choices
        self.actors: dict[str, Actor] = {}
        self.over: list[str] = []
        self.adapter = adapter
        self.queue: deque[tuple[Actor, str, Mapping[str, Any], Actor | None]] = deque()
        self.sent: list[tuple[str, Message]] = []
        self.shown: list[Shown] = []
        self.holding: set[str] = set()
        """The slots of sessions that held deferred events to begin with."""
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
        if slot in self.actors and (parent is None or self.actors[slot].parent is not None):
            raise EffectError(f"{slot} is alive already")
        if slot in self.actors or slot in self.over:
            self._succeeded(slot)
        compiled = self.machines[machine]
        name = slot.rpartition(".")[2]
        actor = Actor(slot, compiled.session(0, name, "", NOBODY), parent)
        self.actors[slot] = actor
        self._arm(actor)
        self.post(actor, STARTED, payload)
        return actor

    def _succeeded(self, slot: str) -> None:
        """Another session takes a slot: one that was let go and has not ended yet makes room."""
        former = FORMER + slot
        while former in self.actors:
            former = FORMER + former
        if slot in self.over:
            self.over.remove(slot)
        else:
            self.actors[slot].slot = former
            self.actors[former] = self.actors.pop(slot)
            if slot in self.holding:
                self.holding.add(former)
        self.adapter.succeeded(slot, former)

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
                if (actor.session.children or {}).get(origin.session.name, origin.session) is origin.session:
                    self.take(actor, event, payload)  # else another child has taken its name
            elif not origin.session.prefix or not event.startswith(origin.session.prefix):
                self.take(actor, event, payload)  # the owner's last word; of a child that was let go it is stale

    def take(self, actor: Actor, event: str, payload: Mapping[str, Any]) -> tuple[str, str]:
        """Give a session an event; answers what became of it."""
        session = actor.session
        if session.ended:
            return "ended", ""
        self.choices.forget()
        if event not in session.cells:
            raise Violation("unhandled", f"no row of {session.machine.name} takes {event} in state {session.state}")
        try:
            taken = step.take(session, event, payload)
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
        _, _, effects, publications = taken
        moves = step.enter(session, taken)
        if moves:
            actor.armed = ()
        self._show(actor, event, row, "taken", before, tuple(name for name, _ in publications))
        for name, parameters in effects:
            try:
                self._perform(actor, name, parameters)
            except EffectError as error:
                raise Violation("engine-failure", f"{name} of row {row.id} fails: {error}") from error
        for name, fields in publications:
            self._publish(actor, name, fields)
        if moves:
            if row.final:
                self.end(actor)
            else:
                self._arm(actor)
                if actor.deferred:
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
                    _stale(actor, child.session)
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
        _stale(actor, child.session)
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
        if session.machine.after[session.state]:
            self.choices.forget()
        actor.armed = tuple(event for event, _ in step.arms(session))


def _stale(parent: Actor, child: Session) -> None:
    """Nobody listens any more to a child that is let go, or whose name another takes: nor to what the parent has deferred of it."""
    parent.deferred = [
        (event, held) for event, held in parent.deferred
        if not event.startswith(child.prefix) or held.get("child", child.name) != child.name
    ]  # fmt: skip


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
