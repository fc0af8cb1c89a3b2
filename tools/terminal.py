"""Text on a terminal: wide letters count as two columns, colours only where they are wanted."""

from __future__ import annotations

import os
import unicodedata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import TextIO


def colours(stream: TextIO) -> bool:
    """Whether to write colours: to a terminal that can show them, unless ``NO_COLOR`` is set (no-color.org)."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def columns(text: str) -> int:
    """How many columns the text takes on a terminal: two for a wide letter, none for a combining one (Unicode TR 11)."""
    if text.isascii():
        return len(text)
    return sum(map(_width, text))


def _width(letter: str) -> int:
    if unicodedata.combining(letter) or unicodedata.category(letter) in {"Mn", "Me"}:
        return 0
    return 2 if unicodedata.east_asian_width(letter) in {"W", "F"} else 1


def cells(text: str) -> list[str]:
    """The text as one entry a column: a wide letter is followed by an empty one, combining letters stay with theirs."""
    found: list[str] = []
    for letter in text:
        width = _width(letter)
        if width == 0 and found:
            found[-2 if found[-1] == "" and len(found) > 1 else -1] += letter
        else:
            found += [letter, ""][:width] or [letter]
    return found


def wrapped(text: str, room: int) -> list[str]:
    """The text in lines of at most ``room`` columns (two at least), broken at blanks, else behind ``:@;,/.-``, else anywhere."""
    return list(_lines(text, max(room, 2))) or [""]


def _lines(text: str, room: int) -> Iterator[str]:
    rest = text.strip()
    while columns(rest) > room:
        end = used = 0
        while used + _width(rest[end]) <= room:
            used += _width(rest[end])
            end += 1
        at = rest.rfind(" ", 1, end + 1)
        if at < 0:
            at = max((rest.rfind(sign, 1, end) + 1 for sign in ":@;,/.-"), default=0)
            at = at if at > end // 2 else end
        yield rest[:at].rstrip()
        rest = rest[at:].lstrip()
    if rest:
        yield rest
