"""``calltable simulate``: a summary where all is well, the first failing call as a ladder where it is not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from calltable.tools.main import main

pytestmark = pytest.mark.slow

BROKEN = """
calltable: 1
overlay: b2bua/bridge
doc: wrong on purpose
replace:
  - id: bridge.b.reinvite_answered
    state: joined
    event: b.reinvite_answered
    overrides: bridge.b.late
    guards: [event.acknowledged]
    actions: [child.tell: {to: a, event: user.reject, with: {code: 488}}]
"""


def test_a_clean_run_says_what_it_did(capsys: pytest.CaptureFixture[str]):
    assert main(["simulate", "--calls", "40", "--loss", "0.1", "--seed", "x"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("40 calls (")
    assert "every session ended, and nothing was left over" in out


def test_json_has_the_figures_and_the_rows_that_no_call_reached(capsys: pytest.CaptureFixture[str]):
    assert main(["simulate", "--calls", "20", "--json", "--rows"]) == 0
    summary = json.loads(capsys.readouterr().out)
    assert summary["calls"] == 20
    assert summary["failure"] == ""
    assert "leg/uac: uac.idle.stuck" in summary["unreached"]
    assert "leg/uac: uac.start" not in summary["unreached"]


def test_a_failing_call_is_drawn_and_the_exit_code_is_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    overlay = tmp_path / "broken.yaml"
    overlay.write_text(BROKEN)
    assert main(["simulate", "--calls", "400", "--seed", "1", "--overlay", str(overlay)]) == 1
    out = capsys.readouterr().out
    assert "FAILED: call " in out
    assert "488" in out
    assert "│" in out
    for name, begin in (("call.html", "<!"), ("call.jsonl", "{"), ("call.txt", " ")):
        target = tmp_path / name
        assert main(["simulate", "--calls", "400", "--seed", "1", "--overlay", str(overlay), "--ladder", str(target)]) == 1
        assert target.read_text().startswith(begin)


@pytest.mark.parametrize(("arguments", "said"), [
    (["--loss", "2"], "invalid share '2'"),
    (["--calls", "0"], "invalid number of calls '0'"),
    (["--calls", "many"], "invalid number of calls 'many'"),
])  # fmt: skip
def test_nonsense_is_refused(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as caught:
        main(["simulate", *arguments])
    assert caught.value.code == 2
    assert said in capsys.readouterr().err


def test_tables_and_delays_that_cannot_be_are_usage_errors(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["simulate", "--delay", "2", "1"]) == 2
    overlay = tmp_path / "bad.yaml"
    overlay.write_text("calltable: 1\noverlay: leg/nobody\ndoc: x\n")
    assert main(["simulate", "--overlay", str(overlay)]) == 2
    assert "leg/nobody" in capsys.readouterr().err
