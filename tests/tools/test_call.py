"""``calltable call`` and ``answer``: states live, exit codes, Ctrl-C."""

from __future__ import annotations

import signal
import socket

import pytest

from calltable.tools.main import main
from tests.tools.programs import program, run

pytestmark = pytest.mark.slow


@pytest.fixture
def bob():
    """A phone that rings for 50 ms and then answers; and its URI."""
    with program("answer", "--listen", "udp:127.0.0.1:0", "--listen", "tcp:127.0.0.1:0", "--after", "50ms") as phone:
        line = phone.line("waiting for calls")
        phone.uri = "sip:bob@" + line.partition("udp:")[2].partition(",")[0]
        phone.tcp = "sip:bob@" + line.partition("tcp:")[2] + ";transport=tcp"
        yield phone


def states(text):
    """The states in the order shown."""
    return [line.split()[1] for line in text.splitlines() if line[:1] == " " and line.split()[0][0].isdigit()]


@pytest.mark.parametrize("transport", ["uri", "tcp"])
def test_a_call_is_shown_state_by_state_with_the_rows(bob, transport):
    code, text = run("call", getattr(bob, transport), "--duration", "0.05")
    assert code == 0, text
    assert states(text) == ["calling", "early", "active", "ending", "terminated"]
    assert "sip.invite.provisional 180 Ringing" in text
    assert "uac.unanswered.success" in text
    assert text.splitlines()[-1].startswith("answered, 0.0")
    assert text.endswith("ended by this side")


def test_hold_and_resume_are_seen_on_both_sides(bob):
    code, text = run("call", bob.uri, "--hold", "20ms", "--duration", "0.2")
    assert code == 0
    assert states(text) == ["calling", "early", "active", "reinviting", "active", "reinviting", "active", "ending", "terminated"]
    bob.line("reinvited")
    bob.line("reinvited")
    bob.line("terminated")


def test_ctrl_c_hangs_up_and_waits_for_the_end(bob):
    with program("call", bob.uri) as alice:
        alice.line("active")
        alice.signal(signal.SIGINT)
        assert alice.end() == 0
        assert alice.said[-1].endswith("ended by this side")
    bob.line("terminated")


def test_giving_up_before_the_answer_cancels_and_fails():
    with program("answer", "--listen", "udp:127.0.0.1:0", "--after", "20s") as phone:
        uri = "sip:bob@" + phone.line("waiting").rpartition("udp:")[2]
        code, text = run("call", uri, "--cancel-after", "0.05")
        assert code == 1
        assert states(text) == ["calling", "early", "cancelling", "terminated"]
        assert text.endswith("not answered: cancelled")
        phone.line("uas.waiting.cancel")


def test_a_second_ctrl_c_does_not_wait_for_a_peer_that_is_silent():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        with program("call", f"sip:bob@127.0.0.1:{silent.getsockname()[1]}") as alice:
            alice.line("calling")
            alice.signal(signal.SIGINT)
            alice.line("cancelling")
            assert alice.process.poll() is None
            alice.signal(signal.SIGINT)
            assert alice.end(5) == 1
            assert alice.said[-1] == "not answered: cancelled"


def test_a_name_that_leads_nowhere_is_said_to():
    code, text = run("call", "sip:bob@nowhere.invalid;transport=ws")
    assert code == 1
    assert "transport ws is not supported" in text


def test_a_refused_call_fails_with_its_status():
    with program("answer", "--listen", "udp:127.0.0.1:0", "--reject", "486", "--after", "0", "--calls", "1") as phone:
        uri = "sip:bob@" + phone.line("waiting").rpartition("udp:")[2]
        code, text = run("call", uri)
        assert code == 1
        assert text.endswith("not answered: 486 Busy Here")
        assert phone.end() == 0, "after one call it ends"


def test_the_other_side_may_hang_up():
    with program("answer", "--listen", "udp:127.0.0.1:0", "--after", "0", "--hangup-after", "20ms") as phone:
        uri = "sip:bob@" + phone.line("waiting").rpartition("udp:")[2]
        code, text = run("call", uri, "--from", "sip:alice@example.com")
        assert code == 0
        assert text.endswith("ended by the other side")
        assert phone.line("a call from").endswith("a call from sip:alice@example.com")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["call", "bob"], "'bob' cannot be called"),
        (["call", "sip:bob@127.0.0.1", "--from", "tel:1"], "'tel:1' cannot be the caller: write sip:user@host"),
        (["call", "sip:bob@127.0.0.1", "--via", "foo"], "'foo' cannot be an outbound proxy"),
        (["call", "sip:bob@127.0.0.1", "--listen", "udp:192.0.2.1:1"], "this machine has no such address"),
        (["answer", "--listen", "tls:127.0.0.1:1"], "not supported"),
    ],
)
def test_what_cannot_be_is_told(capsys, arguments, told):
    assert main(arguments) == 2
    assert told in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["call", "sip:bob@127.0.0.1", "--duration", "long"], "invalid time 'long': write seconds, or 500ms, 2.1s, 3m, 1h"),
        (["answer", "--calls", "0"], "invalid number of calls '0': give 1 or more"),
        (["answer", "--after", "-5s"], "invalid time '-5s': write seconds, or 500ms, 2.1s, 3m, 1h"),
        (["answer", "--reject", "200"], "invalid status '200' for a rejection: give 300 to 699"),
        (["answer", "--listen", "5060"], "'5060' is not a listener address"),
    ],
)
def test_a_malformed_argument_is_told(capsys, arguments, told):
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert told in capsys.readouterr().err
