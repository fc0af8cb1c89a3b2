"""A session: one running instance of a machine.

A session is a slotted object. Each compiled machine has a subclass of its own with a slot ``v_<name>`` for each variable, so that a guard reads an
attribute. Nothing is decided here: compiled cells choose rows, the executor applies them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Protocol, TypeAlias

if TYPE_CHECKING:
    from collections import deque
    from collections.abc import Callable, Iterator, Mapping

    from calltable.engine.run.ports import Change, Queue
    from calltable.engine.run.program import CompiledMachine
    from calltable.engine.run.records import Receipt
    from calltable.engine.run.timer_heap import Timer

Payload = "Mapping[str, Any]"
Deferred: TypeAlias = "tuple[str, Mapping[str, Any], Session | None]"
Waiting: TypeAlias = "tuple[str, Mapping[str, Any], Session | None, Change | None]"


class Owner(Protocol):
    """Whoever started a session: another session, or for a root an adapter or application object.

    It may have an attribute ``known_as``: the name by which a restarted application finds its sessions again (see ``recovery.py``).
    """

    def published(self, executor: Queue[Session], child: Session, name: str, fields: Mapping[str, Any]) -> None:
        """``child`` published ``name``."""

    def child_ended(self, executor: Queue[Session], child: Session) -> None:
        """``child`` reached a final state and is gone."""


class Session:
    """One running instance of a machine. Created by ``Executor.create`` and ``start`` only."""

    __slots__ = (
        "armed", "busy", "cells", "children", "context", "deferred", "drain", "ended", "followups", "history",
        "id", "inbox", "name", "owner", "prefix", "started", "state", "timers", "value", "version",
    )  # fmt: skip

    machine: ClassVar[CompiledMachine]
    id: int
    name: str
    prefix: str
    owner: Owner
    state: str
    cells: dict[str, Callable[[Session, Mapping[str, Any]], Any]]
    version: int
    context: Any
    """The adapter's own; the engine neither reads nor stores it."""
    value: Any
    """The adapter's own, immutable, and committed with the session: see ``ports.py``."""
    timers: dict[str, Timer[Session]] | None
    armed: list[Timer[Session]] | None
    children: dict[str, Session] | None
    deferred: list[Deferred] | None
    inbox: list[Waiting | Timer[Session]] | None
    history: deque[Receipt] | None
    started: int
    followups: int
    drain: int
    busy: bool
    ended: bool

    def __init__(self, number: int, name: str, prefix: str, owner: Owner) -> None:
        machine = self.machine
        self.id = number
        self.name = name
        self.prefix = prefix
        self.owner = owner
        self.state = machine.initial
        self.cells = machine.cells[machine.initial]
        self.version = self.started = self.followups = self.drain = 0
        self.context = self.value = self.timers = self.armed = self.children = self.deferred = self.inbox = self.history = None
        self.busy = self.ended = False
        machine.begin(self)

    # -- a session owns sessions: what they publish are its events
    def published(self, executor: Queue[Session], child: Session, name: str, fields: Mapping[str, Any]) -> None:
        """A child's publication is an event of its parent: ``<child>.<name>``."""
        if "*" in child.prefix:
            fields = {**fields, "child": child.name}
        executor.queue(self, child.prefix + name, fields, child)

    def child_ended(self, executor: Queue[Session], child: Session) -> None:
        """A child's end is an event of its parent: ``<child>.ended``."""
        if self.children is not None:
            self.children.pop(child.name, None)
        executor.queue(self, child.prefix + "ended", {"child": child.name}, child)

    def copy(self) -> Session:
        """An unregistered session in the same state with the same variables, to evaluate guards on. It has no children and no timers."""
        made = type(self)(self.id, self.name, self.prefix, self.owner)
        for name in self.machine.model.variables:
            setattr(made, "v_" + name, getattr(self, "v_" + name))
        made.state, made.cells, made.version = self.state, self.cells, self.version
        return made

    # -- reading
    @property
    def variables(self) -> dict[str, Any]:
        """The current values by name."""
        return {name: getattr(self, "v_" + name) for name in self.machine.model.variables}

    @property
    def path(self) -> str:
        """The session's name in logs: ``17`` for a root, ``17.b`` for its child ``b``."""
        owner = self.owner
        return f"{owner.path}.{self.name}" if isinstance(owner, Session) else (self.name or str(self.id))

    @property
    def root(self) -> Session:
        """The session at the top: the call."""
        session = self
        while isinstance(session.owner, Session):
            session = session.owner
        return session

    def count(self, child: str, state: str | None = None) -> int:
        """The number of children of the set ``child*`` that are alive, or in ``state``."""
        prefix = child.rstrip("*") + "*."
        return sum(
            1
            for one in (self.children or {}).values()
            if one.prefix == prefix and (state is None or one.state == state)
        )

    def family(self) -> Iterator[Session]:
        """The session and everything below it."""
        yield self
        for child in list((self.children or {}).values()):
            yield from child.family()

    def __repr__(self) -> str:
        return f"<{self.machine.name} {self.path} in {self.state}>"


def session_class(machine: CompiledMachine) -> type[Session]:
    """The class of a machine's sessions, with a slot ``v_<name>`` for each variable."""
    return type("Session", (Session,), {"__slots__": tuple("v_" + name for name in machine.model.variables), "machine": machine})


