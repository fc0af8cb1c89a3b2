"""What people do to tables: copy the folder, edit a line, check it. Each mistake is told with its place and its mend."""

from __future__ import annotations

import re
import shutil
from typing import TYPE_CHECKING

import pytest

from calltable import TableError, Tables
from calltable.simulation import Simulation
from calltable.tables import files
from calltable.tools.main import main

if TYPE_CHECKING:
    from pathlib import Path

UAS = "leg/uas.yaml"
UAC = "leg/uac.yaml"
LEG = "leg/established.yaml"
BRIDGE = "b2bua/bridge.yaml"
TRANSACTION = "transaction/invite_client.yaml"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return shutil.copytree(files(), tmp_path / "tables")


def edit(folder: Path, name: str, old: str, new: str) -> Path:
    path = folder / name
    text = path.read_text(encoding="utf-8")
    assert old in text, f"{name} no longer holds {old!r}"
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    return path


def without_row(folder: Path, name: str, row: str) -> Path:
    path = folder / name
    text = path.read_text(encoding="utf-8")
    found = re.search(rf"(?ms)^  - (?:\{{id: {re.escape(row)},.*?\}}\n|id: {re.escape(row)}\n.*?)(?=^  (?:- |#)|\Z)", text)
    assert found, f"{name} has no row {row}"
    path.write_text(text.replace(found[0], "", 1), encoding="utf-8")
    return path


def told(folder: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """What ``calltable check`` says of the folder, which must not pass."""
    assert main(["check", str(folder)]) == 1
    return capsys.readouterr().out


def test_a_copy_of_the_shipped_tables_passes(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(folder)]) == 0
    assert "b2bua/bridge" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "row", "state", "event"),
    [
        (UAS, "uas.answering.bye", "answering", "sip.bye"),
        (UAS, "uas.waiting.hangup", "incoming", "user.hangup"),
        (UAC, "uac.cancelling.success", "cancelling", "sip.invite.success"),
        (UAC, "uac.unanswered.failure", "calling", "sip.invite.failure"),
        (LEG, "leg.reinvited.hangup", "reinvited", "user.hangup"),
        (LEG, "leg.both.final", "ending_both", "sip.bye.final"),
        (BRIDGE, "bridge.unanswered.failed", "ringing", "b.failed"),
        (TRANSACTION, "invite_client.withdrawn.provisional", "withdrawn", "sip.provisional"),
    ],
)
def test_a_removed_row_is_a_hole(
    folder: Path, capsys: pytest.CaptureFixture[str], name: str, row: str, state: str, event: str
) -> None:
    without_row(folder, name, row)
    said = told(folder, capsys)
    assert re.search(rf"{re.escape(name)}:\d+:\d+: no row handles [^\n]*{re.escape(event)}\b", said), said
    assert state in said
    assert "add a row" in said or "no fix is suggested: the simple ones cause another problem" in said


@pytest.mark.parametrize(
    ("name", "old", "new", "complaint", "mend"),
    [
        (UAC, "actions: [sip.cancel]", "actions: [sip.cancle]", "sip.cancle", "sip.cancel"),
        (UAS, "event: user.progress", "event: user.progres", "user.progres", "user.progress"),
        (UAC, "guards: [offered]", "guards: [offerd]", "offerd", "offered"),
        (LEG, "set: {waiting: false}", "set: {wating: false}", "wating", "waiting"),
        (UAS, "next_state: answering", "next_state: answring", "answring", "answering"),
        (UAS, "state: answering\n", "state: anwsering\n", "anwsering", "answering"),
        (UAS, "initial: idle", "intial: idle", "intial", "initial"),
        (UAS, "    next_state: early\n", "    nextstate: early\n", "nextstate", "next_state"),
        (BRIDGE, "event: b.answered", "event: b.answerd", "b.answerd", "b.answered"),
        (BRIDGE, "after: $config.closing", "after: $config.closin", "closin", "closing"),
        (BRIDGE, "event: user.answer, with", "event: user.anser, with", "user.anser", "user.answer"),
        (UAC, "progress: {code: $event.code", "progres: {code: $event.code", "progres", "progress"),
    ],
)
def test_a_misspelt_name_is_told_with_the_right_one(
    folder: Path, capsys: pytest.CaptureFixture[str], name: str, old: str, new: str, complaint: str, mend: str
) -> None:
    path = edit(folder, name, old, new)
    line = path.read_text(encoding="utf-8").split(new, 1)[0].count("\n") + 1
    said = told(folder, capsys)
    assert re.search(rf"{re.escape(name)}:{line}:\d+: [^\n]*{re.escape(complaint)}", said), said
    assert re.search(rf"did you mean[^\n]*{re.escape(mend)}", said), said


@pytest.mark.parametrize(
    ("name", "old", "new", "complaint"),
    [
        (UAC, "guards: [event.code != 100]", "guards: [event.code >= 100]", "uac.unanswered.trying"),
        (UAC, "set: {offered: $event.offer,", "set: {offered: $event.target,", "bool"),
        (TRANSACTION, "    publish: [cancelled]\n    next_state: terminated\n", "    publish: [cancelled]\n", "cancelling"),
    ],
    ids=["overlapping guards", "a wrong type", "a state without a way out"],
)
def test_what_cannot_be_right_is_told(
    folder: Path, capsys: pytest.CaptureFixture[str], name: str, old: str, new: str, complaint: str
) -> None:
    edit(folder, name, old, new)
    said = told(folder, capsys)
    assert re.search(rf"{re.escape(name)}:\d+:\d+: ", said), said
    assert complaint in said


def test_a_broken_file_is_told_and_the_others_are_still_looked_at(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    edit(folder, UAS, "rows:\n", "rows: [\n")
    edit(folder, BRIDGE, "initial: idle", "intial: idle")
    said = told(folder, capsys)
    assert re.search(r"leg/uas\.yaml:\d+:\d+: ", said), said
    assert "did you mean" in said


def test_all_mistakes_of_all_files_are_told_at_once(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    edit(folder, UAC, "actions: [sip.cancel]", "actions: [sip.cancle]")
    edit(folder, UAS, "next_state: answering", "next_state: answring")
    edit(folder, BRIDGE, "event: b.answered", "event: b.answerd")
    said = told(folder, capsys)
    assert all(word in said for word in ("sip.cancle", "answring", "b.answerd"))


def overlay(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "overlay.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_locked_row_stays(tmp_path: Path) -> None:
    path = overlay(tmp_path, "calltable: 1\noverlay: leg/uas\nremove: [uas.waiting.cancel]\n")
    with pytest.raises(TableError, match="locked"):
        Tables(overlays=[path])


def test_an_overlay_that_opens_a_hole_does_not_load(tmp_path: Path) -> None:
    path = overlay(tmp_path, "calltable: 1\noverlay: b2bua/bridge\nremove: [bridge.unanswered.failed]\n")
    with pytest.raises(TableError, match=r"no row handles b\.failed"):
        Tables(overlays=[path])


def test_two_overlays_do_not_touch_one_row(tmp_path: Path) -> None:
    text = "calltable: 1\noverlay: b2bua/bridge\nremove: [bridge.unanswered.failed]\n"
    first = tmp_path / "first.yaml"
    second = tmp_path / "second.yaml"
    first.write_text(text, encoding="utf-8")
    second.write_text(text, encoding="utf-8")
    with pytest.raises(TableError, match=r"bridge\.unanswered\.failed"):
        Tables(overlays=[first, second])


FORWARD = """\
calltable: 1
overlay: b2bua/bridge
doc: Who does not answer within five seconds, or is busy, is covered by somebody else.
add:
  - id: desk.no_answer
    state: ringing
    after: 5s
    actions:
      - child.end: {name: b}
      - child.start: {name: b, machine: leg/uac, with: {target: "sip:carol@10.0.9.9:5060", message: $invite, offer: $offer, relay: true}}
    next_state: calling
    doc: nobody picked up
  - id: desk.busy
    state: [calling, ringing]
    event: b.failed
    overrides: bridge.unanswered.failed
    guards: [event.code == 486]
    actions:
      - child.start: {name: b, machine: leg/uac, with: {target: "sip:carol@10.0.9.9:5060", message: $invite, offer: $offer, relay: true}}
    next_state: calling
    doc: busy
"""


@pytest.mark.parametrize("busy", [False, True], ids=["nobody picks up", "busy"])
def test_an_overlay_changes_what_calls_do(tmp_path: Path, *, busy: bool) -> None:
    tables = Tables(overlays=[overlay(tmp_path, FORWARD)])
    sim = Simulation(seed=1)
    sim.b2bua(tables=tables)
    alice, carol, bob = sim.agent("alice"), sim.agent("carol", "udp:10.0.9.9:5060"), sim.agent("bob")
    carol.incoming_call = lambda incoming: incoming.answer()
    bob.incoming_call = lambda incoming: incoming.reject(486) if busy else incoming.ring()
    call = alice.call(sim.uri("b2bua", "bob"))
    sim.run(4)
    assert bool(carol.calls) is busy
    sim.run(3)
    assert call.state == carol.last.state == "active"
    assert bob.last.heard == (["incoming"] if busy else ["incoming", "cancelled"])
    call.hangup()
    sim.finish()
    assert carol.last.heard[-1] == "hung_up"


def test_without_the_overlay_it_rings_on() -> None:
    sim = Simulation(seed=1)
    sim.b2bua()
    alice, bob = sim.agent("alice"), sim.agent("bob")
    bob.incoming_call = lambda incoming: incoming.ring()
    call = alice.call(sim.uri("b2bua", "bob"))
    sim.run(60)
    assert call.state == bob.last.state == "early"
    call.hangup()
    sim.finish()
