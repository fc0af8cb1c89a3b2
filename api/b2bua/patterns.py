"""Regular expressions for text that strangers write: matched in linear time, whatever the pattern and the text.

Python's ``re`` backtracks, so that an ordinary pattern with two wildcards keeps the loop busy for a minute over a header field of
16 kB, and no signal is served meanwhile. RE2 runs a finite automaton instead; look-around and backreferences, which no
automaton has, are refused when the pattern is compiled.
"""

from __future__ import annotations

import re
from typing import Final

import re2

_OPTIONS: Final = re2.Options()
_OPTIONS.log_errors = False
_UNDECODABLE: Final = re.compile("[\ud800-\udfff]")
_BEYOND: Final = (
    ("(?=", "look-ahead"), ("(?!", "look-ahead"), ("(?<=", "look-behind"), ("(?<!", "look-behind"), ("(?>", "atomic groups"),
    ("(?(", "conditional groups"),
)  # fmt: skip
_ENDS: Final = {r"\Z": r"\z", r"\z": r"\z"}


class PatternError(ValueError):
    """A text that is no regular expression, or one that needs backtracking; ``hint`` says how to fix it."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class Pattern:
    """A compiled regular expression with its named groups. Raises PatternError."""

    __slots__ = ("_compiled", "_groups", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        try:
            self._compiled = re2.compile(text, _OPTIONS)
        except (re2.error, UnicodeError) as error:
            raise _explained(text, error) from None
        self._groups = tuple(self._compiled.groupindex.items())

    @property
    def groups(self) -> tuple[str, ...]:
        """The names of its groups ``(?P<name>…)``."""
        return tuple(name for name, _ in self._groups)

    def search(self, text: str) -> dict[str, str] | None:
        """What the named groups matched (empty for one that took no part), or None where nothing in ``text`` matches.

        A byte that was no UTF-8 (a surrogate escape in ``text``) is matched as U+FFFD.
        """
        data = text.encode() if text.isascii() else _UNDECODABLE.sub("\ufffd", text).encode()
        found = self._compiled.search(data)
        if found is None:
            return None
        return {name: (found[number] or b"").decode("utf-8", "replace") for name, number in self._groups}


def _explained(text: str, error: Exception) -> PatternError:
    """What is wrong in words: what RE2 lacks is told apart from mistakes."""
    for sign, name in _BEYOND:
        if sign in text:
            return PatternError(f"{name} {sign!r} is not supported", "patterns are matched in linear time (RE2 syntax)")
    reason = error.args[0].decode("utf-8", "replace") if error.args and isinstance(error.args[0], bytes) else str(error)
    what, _, where = reason.partition(": ")
    shown = f"{what} in {where!r}" if where and where != text else what
    if where in _ENDS:
        return PatternError(shown, r"write $ (or \z) for the end of the text")
    if where[:1] == "\\" and where[1:2].isdigit():
        return PatternError(f"the backreference {where} is not supported", "patterns are matched in linear time (RE2 syntax)")
    return PatternError(shown)
