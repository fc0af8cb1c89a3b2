"""``calltable demo``: what ``make run`` shows."""

from __future__ import annotations

import signal

import pytest

from calltable.tools.main import main
from tests.tools.programs import program, run

pytestmark = pytest.mark.slow


def test_once_shows_the_ladder_with_its_rows_and_ends_well():
    code, text = run("demo", "--once", "--listen", "udp:127.0.0.1:0")
    assert code == 0
    assert ["alice", "calltable", "bob"] in [line.split() for line in text.splitlines()]
    for shown in ("─ INVITE", "180 Ringing (INVITE)", "200 OK (BYE)", "uac.unanswered.success", "bridge.a.hung_up"):
        assert shown in text
    assert text.endswith("the call was answered, and hung up on both sides")


def test_it_says_what_to_dial_and_edit_and_goes_on_until_ctrl_c():
    with program("demo", "--listen", "udp:127.0.0.1:0") as demo:
        dial = demo.line(" call sip:bob@").split()
        uri = dial[dial.index("call") + 1]
        demo.line("b2bua/bridge.yaml")
        demo.line("Ctrl-C ends")
        code, _ = run("call", uri, "--duration", "0.02")
        assert code == 0
        demo.line("─ INVITE")
        demo.line("bridge.b.ended_last")
        demo.signal(signal.SIGINT)
        assert demo.end() == 0


def test_a_table_that_breaks_the_call_ends_with_1(tmp_path):
    overlay = tmp_path / "o.yaml"
    overlay.write_text(
        "calltable: 1\noverlay: b2bua/bridge\nreplace:\n  - id: bridge.unanswered.progress\n    state: unanswered\n    event: b.progress\n"
        "    actions: [child.tell: {to: a, event: user.reject, with: {code: 486}}]\n    next_state: ringing\n",
        encoding="utf-8",
    )  # fmt: skip
    code, text = run("demo", "--once", "--listen", "udp:127.0.0.1:0", "--overlay", overlay)
    assert code == 1, text
    assert "486 Busy Here" in text


def test_a_listener_that_cannot_be_opened_is_told(capsys):
    assert main(["demo", "--once", "--listen", "udp:192.0.2.1:5060"]) == 2
    assert "this machine has no such address" in capsys.readouterr().err
