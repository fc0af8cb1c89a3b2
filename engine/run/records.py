"""What is left of a step: the outcome that its caller is told, the receipt that history keeps, and the record that a store keeps.

A ``Record`` is a session as plain values: with it, another process can go on where this one stopped. Nothing in it is a live object of the
engine: other sessions are named by their keys, timers by the seconds that they have left. Values of tables and adapters (variables, payloads,
``value``) stand in it as they are; they have to be plain too, or of a kind that the store's adapter can write down: see ``plain``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

HISTORY = 50
"""How many receipts a session keeps."""


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
    """A session as it stands after a step."""

    key: int
    machine: str
    digest: str
    """Of the table that it runs: a recovery has to find the same one."""
    version: int
    state: str
    variables: Mapping[str, Any]
    value: Any
    """The adapter's value."""
    effects: tuple[tuple[str, Mapping[str, Any]], ...]
    """What the last step asked for, with what was drawn for it: after a crash nobody knows whether it has left."""
    name: str
    prefix: str
    owner: int | None
    """The parent's key; None for a root, and for a child that was let go."""
    root_owner: str
    """What the owner of a root calls itself (its attribute ``known_as``): an application finds its own sessions by it."""
    started: int
    """How many children of its sets it has started: the next one gets the next number."""
    children: tuple[ChildRecord, ...]
    timers: tuple[TimerRecord, ...]
    deferred: tuple[DeferredRecord, ...]
    start: Mapping[str, Any] | None
    """The fields of its ``engine.started``, as long as that is not taken; None afterwards, and for a root, whose starter asks again."""
    time: float
    """When it was written, in seconds of the scheduler's clock: ``remaining`` counts from here."""

    @property
    def drawn(self) -> tuple[Any, ...]:
        """What each effect has drawn; None for one that draws nothing."""
        return tuple(parameters.get("drawn") for _, parameters in self.effects)


def from_plain(found: Mapping[str, Any], decode: Callable[[Any], Any] | None = None) -> Record:
    """The record that ``plain`` wrote. ``decode`` makes of a variable's value, the session's value or a payload what ``encode`` was given."""
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
    """A record, or a value in one, as what JSON can hold: dictionaries, lists, strings, numbers, booleans, None.

    ``encode`` writes down what is of another kind (a message, for example). Raises TypeError saying where a value stands that cannot be written.
    """
    if value is None or isinstance(value, str | bool | int | float):
        return value
    if isinstance(value, Record | ChildRecord | TimerRecord | DeferredRecord):
        return {name: plain(one, encode, f"{where}.{name}") for name, one in value._asdict().items()}
    if isinstance(value, Mapping):
        for key in value:
            if not isinstance(key, str):
                msg = f"{where}: the key {key!r} is no string"
                raise TypeError(msg)
        return {key: plain(one, encode, f"{where}.{key}") for key, one in value.items()}
    if type(value) in (list, tuple):
        return [plain(one, encode, f"{where}[{index}]") for index, one in enumerate(value)]
    if encode is not None:
        return encode(value)
    msg = f"{where}: {type(value).__name__} is a live object and cannot be kept"
    raise TypeError(msg)
