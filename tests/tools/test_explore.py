"""``calltable explore`` as its users meet it."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from pathlib import Path

import pytest

import calltable.tables as shipped
from calltable.adapters.sip.explore.compositions import COMPOSITIONS
from calltable.engine.explore.explorer import explore
from calltable.engine.language.load import load_tables
from calltable.engine.run.compile import compile_machine
from calltable.loading import Tables
from calltable.simulation import SimulationError, shipped_tables
from calltable.simulation.retrace import Retrace, retrace
from calltable.tools import UsageError
from calltable.tools.commands.written import written
from calltable.tools.main import main

FORGOTTEN = """\
calltable: 1
overlay: leg/uac
doc: The owner hangs up, and the callee is not told.
replace:
  - id: uac.unanswered.hangup
    state: unanswered
    event: user.hangup
    next_state: cancelling
add:
  - {id: forgotten.patience, state: cancelling, after: 5m, actions: [sip.abandon], next_state: terminated}
"""


@pytest.fixture(name="overlay")
def _overlay(tmp_path):
    path = tmp_path / "forgotten.yaml"
    path.write_text(FORGOTTEN)
    return path


def test_the_compositions_are_listed(capsys):
    assert main(["explore", "--list"]) == 0
    out = capsys.readouterr().out
    assert "bridge" in out
    assert "quick: caller.command" in out


def test_a_clean_composition_is_counted(capsys):
    assert main(["explore", "--only", "transaction"]) == 0
    out = capsys.readouterr().out
    assert "ok" in out
    assert "nothing found" in out
    assert "exhaustive within these bounds" in out


def test_a_violation_is_drawn_with_its_rows(overlay, capsys):
    assert main(["explore", "--overlay", str(overlay), "--only", "call"]) == 1
    out = capsys.readouterr().out
    assert "the call of caller was hung up and the network is silent, yet caller lives on" in out
    assert "INVITE ─" in out
    assert "uac.start · uas.start" in out
    assert "⟲ user.hangup" in out


def test_the_check_runs_the_explorer_too(overlay, capsys):
    assert main(["check", "--overlay", str(overlay)]) == 1
    out = capsys.readouterr().out
    assert "[left-behind]" in out
    assert f"{overlay.name}:5:5" in out
    assert main(["check", "--overlay", str(overlay), "--no-explore"]) == 0


@pytest.mark.parametrize(("name", "begin"), [("call.html", "<!DOCTYPE html>"), ("call.mmd", "sequenceDiagram"), ("call.txt", "  ")])
def test_the_ladder_is_written(overlay, tmp_path, name, begin):
    main(["explore", "--overlay", str(overlay), "--only", "call", "-o", str(tmp_path / name)])
    text = (tmp_path / name).read_text()
    assert text.lower().startswith(begin.lower())
    assert "uas.start" in text


def test_the_written_test_fails_on_the_broken_table_and_passes_on_the_mended_one(overlay, tmp_path):
    test = tmp_path / "test_found.py"
    main(["explore", "--overlay", str(overlay), "--only", "call", "--write-test", str(test)])
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(test)]
    broken = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert broken.returncode == 1
    assert "is still up, though it was hung up" in broken.stdout
    overlay.write_text(FORGOTTEN.replace("    next_state", "    actions: [sip.cancel]\n    next_state"))
    mended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert mended.returncode == 0, mended.stdout


def test_the_missing_ack_to_a_late_200_is_replayed(tmp_path):
    """The classic: CANCEL crosses 200, and the row that acknowledges it does not say BYE."""
    folder = Path(shipped.__file__).parent
    text = (folder / "leg" / "uac.yaml").read_text()
    row = "  - id: uac.cancelling.success\n"
    assert row in text
    begin = text.index(row)
    end = text.index("  - ", begin + 5)
    mine = tmp_path / "uac.yaml"
    mine.write_text(text[:begin] + text[end:])
    assert main(["check", str(mine), "--no-explore"]) == 1  # a hole: gate 2 sees it before the first call
    assert main(["explore", str(mine), "--only", "call", "--write-test", str(tmp_path / "test_late.py")]) == 1
    text = (tmp_path / "test_late.py").read_text()
    assert "callee -> caller: 200 INVITE 1" in text
    assert "caller: user.hangup" in text


def test_properties_of_ones_own(tmp_path, capsys):
    mine = tmp_path / "mine.yaml"
    mine.write_text("calltable: 1\nproperties:\n  - {name: nobody rings, in: [call], never: {callee: early}}\n")
    assert main(["explore", "--only", "call", "--properties", str(mine)]) == 1
    assert "«nobody rings» does not hold" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--only", "cal"], "there is no composition cal"),
        (["--properties", "none.yaml"], "none.yaml"),
        (["--mutate", "--table", "leg/uca"], "no table leg/uca"),
        (["nowhere.yaml"], "nowhere.yaml"),
    ],
)
def test_what_is_not_there_is_told(arguments, text, capsys):
    assert main(["explore", *arguments]) == 2
    assert text in capsys.readouterr().err


def test_a_sample_of_mutants_is_reported(capsys):
    main(["explore", "--mutate", "--table", "transaction/server", "--sample", "12", "--seed", "3"])
    out = capsys.readouterr().out
    assert "12 of " in out
    assert "caught by" in out
    assert "(seed 3)" in out


def test_a_script_that_is_none_is_told():
    with pytest.raises(ValueError, match="not a step of a script"):
        retrace("what is this")


def test_a_replay_of_a_good_call_finds_nothing():
    simulation = retrace("""
        caller: call
        caller -> callee: INVITE 1
        callee -> caller: 100 INVITE 1
        callee: user.answer
        callee -> caller: 200 INVITE 1
        caller -> callee: ACK 1
        caller: user.hangup
    """, over=True)  # fmt: skip
    assert simulation.agents["callee"].last.ended


def test_a_replay_tells_what_goes_on(overlay):
    with pytest.raises(SimulationError, match="is still up, though it was hung up"):
        retrace("caller: call\ncaller -> callee: INVITE 1\ncaller: user.hangup", overlays=[overlay], over=True)


def test_a_replaced_leg_that_still_speaks_is_no_trouble(tmp_path):
    """Every fail-over lets a leg go and starts another under its name: what the first one still says is stale by design."""
    divert = (Path(__file__).parents[2] / "docs" / "examples" / "divert.yaml").read_text(encoding="utf-8")
    overlay = tmp_path / "divert.yaml"
    overlay.write_text(divert.replace("sip:voicemail@127.0.0.1:5172", "sip:second@10.0.0.4:5060"), encoding="utf-8")
    simulation = retrace("""
        caller: call
        caller -> b2bua: INVITE 1
        b2bua -> callee: INVITE 1
        callee: user.reject 486
        callee -> b2bua: 486 INVITE 1
        b2bua -> second: INVITE 1
        second: user.answer
        second -> b2bua: 200 INVITE 1
        b2bua -> caller: 200 INVITE 1
        caller: user.hangup
    """, overlays=[overlay], over=True)
    assert simulation.reached["b2bua/bridge", "divert.busy"] == 1
    assert simulation.engines["b2bua"].executor.counters["stale"] > 0


def test_an_outcome_that_no_row_handles_is_trouble():
    """The row that acknowledges a late 200 is gone: the engine counts the 200 as stale, the test must fail."""
    texts = {str(path): path.read_text(encoding="utf-8") for path in Path(shipped.__file__).parent.rglob("*.yaml")}
    (file,) = [one for one in texts if one.endswith("uac.yaml")]
    begin = texts[file].index("  - {id: uac.cancelling.failure")
    texts[file] = texts[file][:begin] + texts[file][texts[file].index("\n", begin) + 1 :]
    tables = Tables.__new__(Tables)  # not checked: the checks would refuse it
    tables.library = load_tables(texts=texts)
    tables.config = shipped_tables().config
    tables.machines = {name: compile_machine(one, tables.config) for name, one in tables.library.machines.items()}
    assert "uac.cancelling.failure" not in tables.library.machines["leg/uac"].rows
    played = Retrace("caller: call\ncaller -> callee: INVITE 1\ncallee: user.progress 180\ncallee -> caller: 180 INVITE 1\ncaller: user.hangup",
                     tables)  # fmt: skip
    played.walk()
    with pytest.raises(SimulationError, match=r"has no row for sip\.invite\.failure"):
        played.settle()


def test_a_violation_that_no_call_shows_is_not_written_as_a_test():
    library = load_tables()
    client = library.machines["transaction/client"]
    rows = {name: row for name, row in client.rows.items() if name != "client.waiting.final"}
    machines = {**library.machines, client.name: dataclasses.replace(client, rows=rows)}
    (found,) = explore(machines, library.catalogue, COMPOSITIONS, only=["transaction"])
    with pytest.raises(UsageError, match="does not show"):
        written(found)


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["check", "--no-explore"], 0),
        (["explore", "--only", "transaction"], 0),
        (["simulate", "--calls", "1", "--tables"], 2),
        (["serve", "--check", "--next-hop", "sip:127.0.0.1:5099", "--tables"], 1),
    ],
)
def test_no_command_stumbles_over_a_predicate_of_ones_own(arguments, code, capsys):
    examples = Path(__file__).parents[2] / "docs" / "examples"
    door, keeper = str(examples / "door.yaml"), str(examples / "doorkeeper.yaml")
    more = ["--tables"] if arguments[-1] == "--tables" else []
    assert main([*arguments, door, *more, keeper]) == code
    assert ("the predicate office_hours" in capsys.readouterr().err) == bool(code)
