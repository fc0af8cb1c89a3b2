"""Sessions that own sessions: the actions ``child.start``, ``child.tell`` and ``child.end``.

A child that is detached, by ``child.end`` or because its parent has ended, is told to hang up and ends by its own rows; its later events are
discarded.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from calltable.engine.model import HANGUP, STARTED

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Mapping

    from calltable.engine.run.ports import Queue
    from calltable.engine.run.session import Session

_NOTHING: Mapping[str, Any] = {}


class Nobody:
    """The owner of sessions without an owner: what they publish is discarded."""

    def published(self, executor: Queue[Session], child: Session, name: str, fields: Mapping[str, Any]) -> None:
        """Discarded."""

    def child_ended(self, executor: Queue[Session], child: Session) -> None:
        """Nothing to do."""


NOBODY = Nobody()


def name_of(name: str, children: Container[str], started: int) -> tuple[str, str]:
    """The name and the prefix of a child to be started: ``k*`` gets the number after ``started``. Raises ValueError if it is alive already."""
    prefix = name + "."
    if name.endswith("*"):
        return f"{name[:-1]}{started + 1}", prefix
    if name in children:
        msg = f"child {name} is alive already"
        raise ValueError(msg)
    return name, prefix


class Children:
    """The actions of one executor that concern children; the resulting events are queued.

    ``create`` creates a session of a machine for an owner, with its name and the prefix of its publications, and keeps it; ``admit`` registers one that
    was created for the commit of the row that starts it.
    """

    __slots__ = ("_admit", "_create", "_queue")

    def __init__(
        self, queue: Queue[Session], create: Callable[[str, Session, str, str], Session], admit: Callable[[Session], None]
    ) -> None:
        self._queue = queue
        self._create = create
        self._admit = admit

    def start(self, session: Session, p: Mapping[str, Any]) -> None:
        """The action ``child.start``; ``made`` is the child, if it was created for the commit. Raises ValueError if a child of that name is alive."""
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
        """The action ``child.tell``; telling a child that has ended is counted, and does nothing else."""
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
