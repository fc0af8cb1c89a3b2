"""The fuzz itself: a short run finds nothing, a round can be repeated, and what is wrong is found and shown."""

from __future__ import annotations

from random import Random

import pytest

from calltable.adapters.sip.core.stack import Stack
from calltable.adapters.sip.message.build import build_request
from tests.fuzz import codec
from tests.fuzz.__main__ import main
from tests.fuzz.mutate import mutated
from tests.fuzz.rounds import Round
from tests.fuzz.tables import broken

GOOD = bytes(build_request("OPTIONS", "sip:b@example.com", [
    ("Via", "SIP/2.0/TCP 10.0.0.9;branch=z9hG4bK1"), ("From", "<sip:a@x>;tag=1"), ("To", "<sip:b@x>"), ("Call-ID", "c"), ("CSeq", "1 OPTIONS"),
]))  # fmt: skip


@pytest.mark.slow
def test_a_short_run_finds_nothing(capsys):
    assert main(["--messages", "1500", "--seed", "test"]) == 0
    assert "no fault found" in capsys.readouterr().out


def test_a_round_is_the_same_each_time():
    one, other = Round("same", 3, 10), Round("same", 3, 10)
    one.run()
    other.run()
    assert one.sent == other.sent
    assert one.expected
    assert len({data for _, _, data in one.sent}) > 8


@pytest.mark.slow
def test_a_broken_table_is_only_ever_a_table_error():
    assert broken("test", 1) == broken("test", 1)


def test_a_fault_is_shown_with_its_seed_and_message(capsys, monkeypatch):
    whole = Stack.received

    def raising(self, data, *rest):
        if b"BYE" in data:
            raise KeyError("a bug")
        whole(self, data, *rest)

    monkeypatch.setattr(Stack, "received", raising)
    assert main(["--messages", "100000", "--seed", "bug"]) == 1
    captured = capsys.readouterr()
    assert "a bug" in captured.err
    assert "again: python -m tests.fuzz --seed bug --round " in captured.out
    assert "BYE" in captured.out.partition("messages:\n")[2]


def test_an_unanswered_request_is_found(capsys, monkeypatch):
    monkeypatch.setattr(Stack, "_cancel", lambda *_: None)
    assert main(["--messages", "100000", "--seed", "bug"]) == 1
    assert "CANCEL" in capsys.readouterr().out


def test_changes_are_many_and_of_every_kind():
    rng = Random(1)
    assert len({mutated(rng, GOOD, 1) for _ in range(300)}) > 150


def test_the_codec_takes_what_is_right_and_refuses_what_is_not():
    assert codec.codec(GOOD) is not None
    assert codec.codec(GOOD.replace(b"Call-ID", b"Call ID")) is None
    assert codec.stream(Random(1), GOOD + b"\r\n\r\n" + GOOD) == [GOOD, GOOD]
