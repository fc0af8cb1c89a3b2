"""Sessions that own sessions: starting children, telling them things, letting them go.

A child that is let go, by ``child.end`` or by the end of its parent, is told to hang up and ends through its own
rows; from then on nobody listens to it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from calltable.engine.model.machine import HANGUP, STARTED

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Mapping

    from calltable.engine.run.ports import Queue
    from calltable.engine.run.session import Session

_NOTHING: Mapping[str, Any] = {}


class Nobody:
    """The owner of sessions whose owner is gone: what they publish concerns no one."""

    def published(self, executor: Queue[Session], child: Session, name: str, fields: Mapping[str, Any]) -> None:
        """Nobody listens."""

    def child_ended(self, executor: Queue[Session], child: Session) -> None:
        """Nobody waits."""


NOBODY = Nobody()


def name_of(name: str, children: Container[str], started: int) -> tuple[str, str]:
    """The name and the prefix of a child to be started: ``k*`` gets the number after ``started``. Raises ValueError where it lives already."""
    prefix = name + "."
    if name.endswith("*"):
        return f"{name[:-1]}{started + 1}", prefix
    if name in children:
        msg = f"child {name} is alive already"
        raise ValueError(msg)
    return name, prefix


class Children:
    """The actions of one executor that concern children; what they lead to is queued.

    ``create`` makes a session of a machine for an owner, by name and with the prefix of what it publishes, and keeps it; ``admit`` takes in one
    that was made for the commit of the row that starts it.
    """

    __slots__ = ("_admit", "_create", "_queue")

    def __init__(
        self, queue: Queue[Session], create: Callable[[str, Session, str, str], Session], admit: Callable[[Session], None]
    ) -> None:
        self._queue = queue
        self._create = create
        self._admit = admit

    def start(self, session: Session, p: Mapping[str, Any]) -> None:
        """The action ``child.start``; ``made`` is the child where it was made for the commit. Raises ValueError where a child of that name lives."""
        made: Session | None = p.get("made")
        if made is None:
            name, prefix = name_of(p["name"], session.children or {}, session.started)
            child = self._create(p["machine"], session, name, prefix)
        else:
            child = made
            self._admit(child)
        if session.children is None:
            session.children = {}
        session.children[child.name] = child
        session.started += child.prefix.endswith("*.")
        self._queue.queue(child, STARTED, p.get("with") or _NOTHING)

    def tell(self, session: Session, p: Mapping[str, Any]) -> None:
        """The action ``child.tell``; a child that is gone is told nothing, which is counted."""
        to: str = p["to"]
        payload = p.get("with") or _NOTHING
        children = session.children or {}
        if to.endswith("*"):
            told = [child for child in children.values() if child.prefix == to + "."]
        else:
            told = [children[to]] if to in children else []
            if not told:
                self._queue.counters["told too late"] += 1
        for child in told:
            self._queue.queue(child, p["event"], payload, session)

    def end(self, session: Session, p: Mapping[str, Any]) -> None:
        """The action ``child.end``."""
        child = (session.children or {}).pop(p["name"], None)
        if child is not None:
            self._orphan(child)

    def end_all(self, session: Session) -> None:
        """The session has ended: its children end by their own rows."""
        for child in list((session.children or {}).values()):
            self._orphan(child)
        session.children = None

    def _orphan(self, child: Session) -> None:
        child.owner = NOBODY
        if HANGUP in child.machine.model.events:
            self._queue.queue(child, HANGUP, _NOTHING)
