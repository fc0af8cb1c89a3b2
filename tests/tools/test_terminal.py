from __future__ import annotations

import io

import pytest

from calltable.adapters.sip.message.redact import visible
from calltable.tools.terminal import cells, colours, columns, wrapped


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_colours_are_for_terminals_that_want_them(monkeypatch):
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    assert colours(Terminal())
    assert not colours(io.StringIO())
    monkeypatch.setenv("TERM", "dumb")
    assert not colours(Terminal())
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", "1")
    assert not colours(Terminal())


@pytest.mark.parametrize(("text", "shown"), [
    ("plain é 転", "plain é 転"),
    ("\x1b[31m", "\\x1b[31m"),
    ("a\tb\n", "a\\x09b\\x0a"),
    ("\u202egnp", "\\u202egnp"),
    ("\udcff", "\\xff"),
])
def test_what_is_not_printable_is_written_as_an_escape(text, shown):
    assert visible(text) == shown


def test_columns_are_those_of_a_terminal():
    assert columns("abc") == 3
    assert columns("転送") == 4
    assert columns("e\u0301") == 1
    assert cells("転a") == ["転", "", "a"]
    assert cells("e\u0301x") == ["e\u0301", "x"]


@pytest.mark.parametrize("room", [2, 3, 5, 8, 13, 40])
def test_wrapped_lines_fit_and_lose_nothing(room):
    text = "ACK sip:somebody@very.long.example.com;transport=udp 転送できません done"
    lines = wrapped(text, room)
    assert all(columns(line) <= room for line in lines), lines
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")


def test_lines_break_at_blanks_and_else_at_signs():
    assert wrapped("one two three", 8) == ["one two", "three"]
    assert wrapped("127.0.0.1:5060", 11) == ["127.0.0.1:", "5060"]
    assert wrapped("", 5) == [""]
