"""The results of a step: the outcome for its caller, the receipt for the history, and the record for the store.

A ``Record`` is a session as plain values, from which another process can continue. It holds no live object of the engine: other sessions are given by
their keys, timers by their remaining seconds. Values of tables and adapters (variables, payloads, ``value``) are included as they are; they must be
plain too, or of a kind that the store can encode: see ``plain``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

HISTORY = 50
"""Receipts that a session keeps."""


class Outcome(NamedTuple):
    """What became of one event.

    ``kind`` is ``taken`` (``detail`` is the row's id), ``ignored`` (the kind of ignoring), ``refused`` (the
    reason), ``deferred``, ``queued`` (the engine is at work; it will be taken in turn), ``pending`` (taken;
    the store has yet to confirm), ``stale`` (the session no longer waits for it), ``unhandled`` or ``ended``.
    """

    kind: str
    detail: str = ""

    @property
    def ok(self) -> bool:
        """Whether the event had the effect it was sent for, now or in turn."""
        return self.kind in _OK


_OK = frozenset({"taken", "deferred", "queued", "pending"})
QUEUED = Outcome("queued")
PENDING = Outcome("pending")
STALE = Outcome("stale")
ENDED = Outcome("ended")
UNHANDLED = Outcome("unhandled")
OVERFLOW = Outcome("refused", "the session's inbox is full")


class Receipt(NamedTuple):
    """The record of one committed step: times in seconds of the scheduler's clock."""

    session: int
    version: int
    row: str
    event: str
    before: str
    after: str
    time: float


class ChildRecord(NamedTuple):
    """A child by its name, the prefix of what it publishes, and the key of its own record; a child that is not durable has none."""

    name: str
    prefix: str
    key: int


class TimerRecord(NamedTuple):
    """A timer that runs. ``name`` is empty for an ``after`` row. Times in seconds; ``interval`` is None unless it repeats."""

    event: str
    name: str
    remaining: float
    interval: float | None = None
    factor: float = 1.0
    limit: float | None = None


class DeferredRecord(NamedTuple):
    """An event that waits for another state; ``origin`` is the key of the child or owner that it came from.

    ``due``: the session has just moved to one, and the event is being given again.
    """

    event: str
    payload: Mapping[str, Any]
    origin: int | None
    due: bool = False


class Record(NamedTuple):
    """A session after a step."""

    key: int
    machine: str
    digest: str
    """The digest of its table: a recovery needs the same table."""
    version: int
    state: str
    variables: Mapping[str, Any]
    value: Any
    """The adapter's value."""
    effects: tuple[tuple[str, Mapping[str, Any]], ...]
    """The effects of the last step, with what was drawn for them: after a crash it is unknown whether they were carried out."""
    name: str
    prefix: str
    owner: int | None
    """The parent's key; None for a root, and for a child that was let go."""
    root_owner: str
    """For a root, the attribute ``known_as`` of its owner: an application finds its sessions again by it."""
    started: int
    """The number of children of sets that it has started: the next child gets the next number."""
    children: tuple[ChildRecord, ...]
    timers: tuple[TimerRecord, ...]
    deferred: tuple[DeferredRecord, ...]
    start: Mapping[str, Any] | None
    """The fields of its ``engine.started`` while that has not been handled; None afterwards, and for a root, whose starter will ask again."""
    time: float
    """When it was written, in seconds of the scheduler's clock: ``remaining`` counts from here."""

    @property
    def drawn(self) -> tuple[Any, ...]:
        """What each effect has drawn; None for one that draws nothing."""
        return tuple(parameters.get("drawn") for _, parameters in self.effects)


def from_plain(found: Mapping[str, Any], decode: Callable[[Any], Any] | None = None) -> Record:
    """The record that ``plain`` encoded. ``decode`` restores variables, the session's value and payloads that ``encode`` had to encode."""
    read = decode or _as_it_is
    fields = dict(found)
    for name in ("variables", "value", "start"):
        fields[name] = read(fields[name])
    fields["effects"] = tuple((name, read(parameters)) for name, parameters in fields["effects"])
    fields["children"] = tuple(ChildRecord(**one) for one in fields["children"])
    fields["timers"] = tuple(TimerRecord(**one) for one in fields["timers"])
    fields["deferred"] = tuple(DeferredRecord(**{**one, "payload": read(one["payload"])}) for one in fields["deferred"])
    return Record(**fields)


def _as_it_is(value: Any) -> Any:
    return value


def plain(value: Any, encode: Callable[[Any], Any] | None = None, where: str = "record") -> Any:
    """A record, or a value in one, as JSON can hold it: dictionaries, lists, strings, numbers, booleans, None.

    ``encode`` writes down what is of another kind (a message, for example). Raises TypeError saying where a value stands that cannot be written.
    """
    if value is None or isinstance(value, str | bool | int | float):
        return value
    if isinstance(value, Record | ChildRecord | TimerRecord | DeferredRecord):
        return {name: plain(one, encode, f"{where}.{name}") for name, one in value._asdict().items()}
    if isinstance(value, Mapping):
        for key in value:
            if not isinstance(key, str):
                msg = f"{where}: the key {key!r} is not a string"
                raise TypeError(msg)
        return {key: plain(one, encode, f"{where}.{key}") for key, one in value.items()}
    if type(value) in (list, tuple):
        return [plain(one, encode, f"{where}[{index}]") for index, one in enumerate(value)]
    if encode is not None:
        return encode(value)
    msg = f"{where}: {type(value).__name__} is a live object and cannot be kept"
    raise TypeError(msg)
