"""From captured messages to calls: which side is ours, and which dialogs belong together.

A capture of a network does not say whose table is to be walked. *Our side* is the element that took an INVITE and sent
one on (a B2BUA); where there is none, the one that took the INVITE. A trace of ours says it with every message. A call
of a B2BUA is the dialog that came in and those that it led to: a trace knows them, otherwise the outgoing INVITE goes
with the incoming one before it that it is most like (called user, caller, body).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final, TypeAlias

from calltable.adapters.sip.message import MessageError, Request, Response, mask, parse, parse_uri, visible
from calltable.adapters.sip.transport import Address, canonical_ip, default_port

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from calltable.observe import Entry
    from calltable.replay.capture import Capture, Captured


_SHOWN: Final = 20
"""Calls that a list of what there is names."""


@dataclass(frozen=True, slots=True)
class Spoken:
    """A captured message, parsed. ``out``: our side sent it."""

    time: float
    out: bool
    local: Address
    remote: Address
    message: Request | Response
    data: bytes
    rows: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        """What it is: ``INVITE``, ``180 (INVITE)``."""
        message = self.message
        return visible(message.method if isinstance(message, Request) else f"{message.status} ({message.cseq.method})")

    @property
    def opens(self) -> bool:
        """Whether it is an INVITE outside any dialog."""
        message = self.message
        return isinstance(message, Request) and message.method == "INVITE" and message.to_tag is None


@dataclass(slots=True)
class Call:
    """One call as our side saw it. ``name`` is the Call-ID of the leg that opened it.

    ``number`` is the one that the server gave it, as in its logs; in a capture that has none, its place from 1; empty for a call that the
    server numbered none, because it turned it away.
    """

    name: str
    messages: list[Spoken]
    steps: list[Entry] = field(default_factory=list)
    commands: Sequence[tuple[float, str]] | None = None
    """What an operator told the whole call, by time: None where only the messages show it (``hangups``)."""
    number: str = ""

    @property
    def call_ids(self) -> list[str]:
        """The Call-IDs of its legs, in order of appearance."""
        return list(dict.fromkeys(one.message.call_id for one in self.messages))

    @property
    def came_in(self) -> bool:
        """Whether it was opened by an INVITE that our side received."""
        return next((not one.out for one in self.messages if one.opens), True)

    @property
    def placed(self) -> list[Spoken]:
        """The INVITEs with which our side opened legs, repetitions left out."""
        first: dict[str, Spoken] = {}
        for one in self.messages:
            if one.out and one.opens:
                first.setdefault(one.message.call_id, one)
        return list(first.values())

    @property
    def start(self) -> float:
        """When its first message was on the wire."""
        return self.messages[0].time

    def __str__(self) -> str:
        """One line for lists of calls."""
        opening = next((one for one in self.messages if one.opens), self.messages[0]).message
        what = f"to {opening.uri}" if isinstance(opening, Request) else "already under way"
        return visible(mask(f"{self.name}  {what}, {len(self.messages)} messages"))


class CallError(LookupError):
    """The call that was asked for is not there, or cannot be told; the text says what there is."""


def calls(capture: Capture, local: Sequence[Address] = ()) -> list[Call]:
    """The calls in a capture, in order of their first message. ``local`` names our side's addresses where the capture
    does not make them plain. Messages outside calls (OPTIONS, REGISTER) are left out.

    Raises CallError where no call is in it.
    """
    parsed = _parsed(capture.messages)
    ours = set(local) or _our_side(parsed)
    spoken = [one for captured, message in parsed if (one := _spoken(captured, message, ours)) is not None]
    dialogs: dict[str, list[Spoken]] = {}
    for one in spoken:
        dialogs.setdefault(one.message.call_id, []).append(one)
    kept = {name: said for name, said in dialogs.items() if any(one.message.cseq.method == "INVITE" for one in said)}
    if not kept:
        where = f" at {', '.join(map(str, sorted(ours)))}" if local else ""
        raise CallError(f"{capture.name}: there is no call in it{where}; {len(capture.messages)} SIP messages were read")
    names = _names(capture.messages)
    groups = _by_trace(kept, names) if names else _by_likeness(kept)
    found = []
    for call_ids in groups:
        messages = sorted((one for name in call_ids for one in kept[name]), key=lambda one: one.time)
        number = names.get(call_ids[0], "")
        steps = [step for step in capture.steps if number and step.call == number]
        told = [(step.time, step.event) for step in steps if step.event.startswith("user.") and step.session == step.call]
        found.append(Call(call_ids[0], messages, steps, told if steps else None, number))
    found.sort(key=lambda call: call.start)
    if not names:
        for place, call in enumerate(found, 1):
            call.number = str(place)
    return found


def pick(found: Sequence[Call], wanted: str | None) -> Call:
    """The call that is asked for: by its number, or by (the beginning of) a Call-ID of any leg.

    Without a wish the only one. Raises CallError.
    """
    if wanted is None:
        if len(found) == 1:
            return found[0]
        raise CallError(f"there are {len(found)} calls; say which one, by its number or Call-ID:\n{_listed(found)}")
    hits = (
        [call for call in found if call.number == wanted]
        or [call for call in found if wanted in call.call_ids]
        or [call for call in found if not wanted.isdigit() and any(name.startswith(wanted) for name in call.call_ids)]
    )  # a number that no call has is a mistake, not the beginning of some Call-ID
    if len(hits) != 1:
        what = "no call has the number or Call-ID" if not hits else f"{len(hits)} calls have the number or Call-ID"
        raise CallError(f"{what} {visible(wanted)}; there are\n{_listed(found)}")
    return hits[0]


def _listed(found: Sequence[Call]) -> str:
    lines = [f"  {call.number + '.' if call.number else '–'} {call}" for call in found[:_SHOWN]]
    return "\n".join([*lines, f"  and {len(found) - _SHOWN} more"] if len(found) > _SHOWN else lines)


# --------------------------------------------------------------------------- whose is what


_Parsed: TypeAlias = "list[tuple[Captured, Request | Response]]"


def _parsed(messages: Iterable[Captured]) -> _Parsed:
    """What can be read, with the passing ports of connections replaced by the listeners behind them."""
    found: _Parsed = []
    listeners: dict[Address, Address] = {}
    for captured in messages:
        try:
            message = parse(captured.data)
            if not message.call_id or not message.cseq.method:
                continue
            via = message.via
        except (MessageError, ValueError):
            continue
        if captured.source.reliable and isinstance(message, Request):
            host = canonical_ip(via.host)
            if host is not None:
                transport = captured.source.transport
                listeners[captured.source] = Address(transport, host, via.port or default_port(transport))
        found.append((captured, message))
    return [
        (
            replace(one, source=listeners.get(one.source, one.source), destination=listeners.get(one.destination, one.destination)),
            message,
        )
        for one, message in found
    ]  # fmt: skip


def _our_side(parsed: _Parsed) -> set[Address]:
    """The addresses of the element whose table is walked."""
    traced = {one.destination if one.direction == "in" else one.source for one, _ in parsed if one.direction}
    if traced:
        return traced
    took, sent = set(), set()
    for one, message in parsed:
        if isinstance(message, Request) and message.method == "INVITE" and message.to_tag is None:
            took.add(one.destination)
            sent.add(one.source)
    both = {(one.host, one.port) for one in took} & {(one.host, one.port) for one in sent}
    ends = both or {(one.host, one.port) for one in took}
    return {end for one, _ in parsed for end in (one.source, one.destination) if (end.host, end.port) in ends}


def _spoken(captured: Captured, message: Request | Response, ours: set[Address]) -> Spoken | None:
    out = captured.direction == "out" if captured.direction else captured.source in ours
    local, remote = (captured.source, captured.destination) if out else (captured.destination, captured.source)
    if local not in ours:
        return None  # between others
    return Spoken(captured.time, out, local, remote, message, captured.data, captured.rows)


def _names(messages: Iterable[Captured]) -> dict[str, str]:
    """For each Call-ID the call that a trace gives it."""
    names: dict[str, str] = {}
    for one in messages:
        if one.call:
            try:
                names[parse(one.data).call_id] = one.call
            except (MessageError, ValueError):
                continue
    return names


def _by_trace(dialogs: dict[str, list[Spoken]], names: dict[str, str]) -> list[list[str]]:
    groups: dict[str, list[str]] = {}
    for call_id in sorted(dialogs, key=lambda name: dialogs[name][0].time):
        groups.setdefault(names.get(call_id, call_id), []).append(call_id)
    return list(groups.values())


def _by_likeness(dialogs: dict[str, list[Spoken]]) -> list[list[str]]:
    """Each dialog that came in, with those our side opened because of it."""
    opened = {name: next((one for one in said if one.opens), None) for name, said in dialogs.items()}
    order = sorted(dialogs, key=lambda name: dialogs[name][0].time)
    groups = {name: [name] for name in order if (first := opened[name]) is None or not first.out}
    for name in order:
        first = opened[name]
        if first is None or not first.out:
            continue
        behind = [
            (likeness, -len(groups[other]), before.time, other)
            for other, before in opened.items()
            if before is not None and not before.out and before.time <= first.time
            and (likeness := _likeness(before.message, first.message))
        ]  # fmt: skip
        if behind:
            groups[max(behind)[-1]].append(name)
        else:
            groups[name] = [name]
    return list(groups.values())


def _likeness(incoming: Request | Response, outgoing: Request | Response) -> int:
    """How much two INVITEs have in common; 0 where nothing says that the one led to the other."""
    if not (isinstance(incoming, Request) and isinstance(outgoing, Request)):
        return 0
    same_body = bool(incoming.body) and incoming.body == outgoing.body
    return 2 * same_body + 2 * (_user(incoming.uri) == _user(outgoing.uri)) + (_user(incoming.from_.uri) == _user(outgoing.from_.uri))


def _user(uri: str) -> str:
    try:
        return parse_uri(uri).user or ""
    except MessageError:
        return uri


def recorded(
    name: str, messages: Iterable[tuple[float, str, str, str, bytes]], commands: Sequence[tuple[float, str]] = ()
) -> Call:
    """A call from plain values, as written tests hold it: time (seconds), ``in`` or ``out``, source, destination, bytes.

    ``commands`` are what an operator told the whole call: time and event.

    Raises ValueError for an address, and MessageError for a message, that cannot be read.
    """
    spoken = []
    for time, direction, source, destination, data in messages:
        out = direction == "out"
        ends = Address.parse(source), Address.parse(destination)
        local, remote = ends if out else ends[::-1]
        spoken.append(Spoken(time, out, local, remote, parse(data), data))
    return Call(name, spoken, [], list(commands))


def hangup(call: Call) -> Spoken | None:
    """The message with which our side began to end a call of its own accord: nothing that came in before it had ended it.

    An operator may have hung up, or a timer of the table.
    """
    for one in call.messages:
        message = one.message
        ends = (
            message.method in ("BYE", "CANCEL") if isinstance(message, Request)
            else message.status >= 300 and message.cseq.method == "INVITE" and message.status != 491
        )  # fmt: skip
        if ends:
            return one if one.out else None
    return None
