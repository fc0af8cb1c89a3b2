"""Where durable sessions are kept: one interface for memory, a file and a cluster.

The executor commits every step of a durable session, with its receipt, before any of its effects leaves. The receipt's version
follows the one the step was computed on; a store that holds another version refuses it (``Conflict``), whole.
A store that answers later (a disk, a network) keeps the session's lane closed until it calls ``done``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from calltable.engine.run.records import Receipt


class Conflict(Exception):  # noqa: N818 - the word says it; it is no programming error
    """The store holds another version of the session than the one the step was computed on."""


class Commit(NamedTuple):
    """What one step makes true, all or nothing."""

    receipt: Receipt
    """The step: the version it leads to, the row, the states."""
    variables: Mapping[str, Any]
    """The new values of those that the row sets."""
    value: Any
    """The adapter's value after the step."""
    drawn: tuple[Any, ...]
    """What the row's effects have drawn, in order; None for an effect that draws nothing."""


class Record:
    """A session as it stands in a store."""

    __slots__ = ("digest", "drawn", "machine", "state", "value", "variables", "version")

    def __init__(self, machine: str, digest: str, version: int, state: str, variables: dict[str, Any], value: Any = None) -> None:
        self.machine = machine
        self.digest = digest
        self.version = version
        self.state = state
        self.variables = variables
        self.value = value
        self.drawn: tuple[Any, ...] = ()


class Store(Protocol):
    """What the executor asks of a store."""

    def create(self, key: int, record: Record) -> None:
        """Keep a new session. Raises ``Conflict`` where the key is taken."""

    def commit(self, commit: Commit, done: Callable[[int, Exception | None], None]) -> bool:
        """Replace the version before the commit's by what it leads to, all or nothing.

        True: it is kept. False: ``done`` will be called with the session's key and None or the reason it failed, once, and
        from the thread of the engine. Raises ``Conflict`` where the store already knows that it holds another version.
        """

    def remove(self, key: int) -> None:
        """Forget a session that has ended; unknown keys are fine."""

    def load(self) -> Iterator[tuple[int, Record]]:
        """Every session that is kept."""


class MemoryStore:
    """Keeps records in a dictionary: nothing survives the process, everything else holds."""

    def __init__(self) -> None:
        self._records: dict[int, Record] = {}

    def create(self, key: int, record: Record) -> None:
        """As ``Store`` says."""
        if key in self._records:
            msg = f"session {key} is kept already"
            raise Conflict(msg)
        self._records[key] = record

    def commit(self, commit: Commit, done: Callable[[int, Exception | None], None]) -> bool:  # noqa: ARG002
        """As ``Store`` says; always answers at once."""
        key, version = commit.receipt.session, commit.receipt.version
        record = self._records.get(key)
        if record is None or record.version != version - 1:
            held = "nothing" if record is None else f"version {record.version}"
            msg = f"session {key}: the step was computed on version {version - 1}, the store holds {held}"
            raise Conflict(msg)
        if commit.variables:
            record.variables.update(commit.variables)
        record.version = version
        record.state = commit.receipt.after
        record.value = commit.value
        record.drawn = commit.drawn
        return True

    def remove(self, key: int) -> None:
        """As ``Store`` says."""
        self._records.pop(key, None)
        if not self._records:
            self._records.clear()  # a dictionary keeps the room of its largest day until then

    def load(self) -> Iterator[tuple[int, Record]]:
        """As ``Store`` says."""
        return iter(self._records.items())

    def __len__(self) -> int:
        return len(self._records)
