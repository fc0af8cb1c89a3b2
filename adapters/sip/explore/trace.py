"""A found trace as things that happened between parties: what a ladder is drawn from.

Messages are shown when they arrive; one that others overtake is shown when it is sent, too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from calltable.engine.explore import said

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from calltable.engine.explore import Message, Reaction, System, Told

REASONS = {
    100: "Trying", 180: "Ringing", 200: "OK", 408: "Request Timeout", 480: "Temporarily Unavailable",
    481: "Call Does Not Exist", 486: "Busy Here", 487: "Request Terminated", 491: "Request Pending",
    500: "Server Internal Error", 503: "Service Unavailable",
}  # fmt: skip


class Line(NamedTuple):
    """One line of a ladder. ``source`` and ``destination`` are names of elements, equal for what stays at home."""

    source: str
    destination: str
    text: str
    number: int
    method: str
    rows: tuple[str, ...]
    lost: bool = False


class _Sent(NamedTuple):
    message: Message
    rows: tuple[str, ...]
    step: int


def lines(system: System, trace: Sequence[Told]) -> Iterator[Line]:
    """The lines of a trace, in order."""
    names = [element.name for element in system.elements]
    flying: list[list[_Sent]] = [[] for _ in system.channels]
    wires = {target: number for number, target in enumerate(system.channels)}
    out: list[Line] = []
    for step, (move, reaction) in enumerate(trace):
        here = names[move.element]
        rows = _rows(reaction)
        if move.given[0] == "message":
            channel = wires[move.element, move.given[1]]
            sent = next((one for one in flying[channel] if one.message == move.given[2]), None)
            source = system.sender(channel)
            by = sent.rows if sent is not None else ()
            if move.kind == "duplicate":
                out.append(_message(move.given[2], here, here, by, note=" is doubled"))
                continue
            if sent is not None:
                flying[channel].remove(sent)
            out.append(_message(move.given[2], names[source], here, tuple(dict.fromkeys((*by, *rows))),
                                lost=move.kind == "lose"))  # fmt: skip
        else:
            out.append(Line(here, here, _happened(move.given), 0, "", rows))
        if reaction is not None:
            if reaction.answers:
                out.append(Line(here, here, said(reaction.answers), 0, "", ()))
            for port, message in reaction.sent:
                leaving = system.wire(move.element, port)
                if leaving is not None:
                    flying[leaving].append(_Sent(message, rows, step))
    yield from out
    for channel, left in enumerate(flying):
        for one in left:
            home, target = names[system.sender(channel)], names[system.channels[channel][0]]
            yield _message(one.message, home, home, one.rows, note=f" is on its way to {target}")


def _rows(reaction: Reaction | None) -> tuple[str, ...]:
    shown = () if reaction is None else reaction.shown
    return tuple(dict.fromkeys(one.row for one in shown))


def _message(
    message: Message, source: str, target: str, rows: tuple[str, ...], *, lost: bool = False, note: str = ""
) -> Line:
    text, number, method = label(message)
    return Line(source, target, text + note, number, method, rows, lost)


def label(message: Message) -> tuple[str, int, str]:
    """What a message is called on a ladder, with its CSeq number and method."""
    first = message[0]
    number = message[1] if len(message) > 1 else 1
    if isinstance(first, int):
        return f"{first} {REASONS.get(first, '')}".strip(), number, message[2] if len(message) > 2 else ""
    return first, number, first


def _happened(given: tuple[object, ...]) -> str:
    match given:
        case ("start",):
            return "starts"
        case ("event", slot, str(event), fields):
            shown = [f"{value}" for name, value in fields if name in ("code", "method", "reason")]  # type: ignore[attr-defined]
            if ("offer", False) in fields:  # type: ignore[operator]
                shown.append("without offer")
            where = f"{slot}: " if "." in str(slot) else ""
            return f"{where}{event.removeprefix('after.')} {' '.join(shown)}".strip()
        case ("outcome", _, action, event):
            return f"{action} answers {event}"
        case ("timeout", _, _, method, code):
            return f"{method} times out ({code})"
        case ("unacknowledged", *_):
            return "no ACK came"
        case ("answer", code):
            return f"user answers {code}"
        case _:
            return str(given[0])
