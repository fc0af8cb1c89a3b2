"""Overlays: changing a table by the ids of its rows, and what they may not do."""

from __future__ import annotations

from pathlib import Path

import pytest

from calltable.engine.check.check import check
from calltable.engine.language.load import load_tables
from calltable.engine.model.machine import Machine
from calltable.engine.model.problems import Problem, TableError

TABLES = Path(__file__).parent / "tables"
HEAD = "calltable: 1\noverlay: test/door\n"


def door(*overlays: str) -> Machine:
    texts = {f"o{number}.yaml": HEAD + text for number, text in enumerate(overlays)}
    return load_tables([TABLES], texts=texts).machines["test/door"]


def problems(*overlays: str) -> list[Problem]:
    with pytest.raises(TableError) as caught:
        door(*overlays)
    return caught.value.problems


def test_rows_are_added_replaced_and_removed():
    before = door()
    after = door(
        "variables: {rung: int}\n"
        "add: [{id: mine.knock, state: shut, event: wire.scratch, overrides: bell.scratch, set: {rung: 1}}]\n"
        "replace: [{id: door.nag, state: [shut, moving, open], event: timer.nag, ignore: late}]\n"
        "remove: [door.open.close]\n"
    )
    assert after.rows["mine.knock"].origin == "overlay o0.yaml"
    assert after.rows["door.nag"].kind == "ignore"
    assert "door.open.close" not in after.rows
    assert "after.door.open.close" not in after.events
    assert after.variables["rung"].default == 0
    assert before.digest != after.digest
    assert after.rows["door.leave"] == before.rows["door.leave"]


def test_a_row_of_an_included_fragment_can_be_replaced():
    after = door("replace: [{id: bell.scratch, state: any, event: wire.scratch, set: {knocks: 9}}]\n")
    assert after.rows["bell.scratch"].kind == "row"


def test_new_states_and_interfaces_can_come_along():
    after = door(
        "states: {cellar: {lasts: ever}}\nchildren: {cat: {machine: test/lamp}}\npublishes: {purr: {}}\n"
        "groups: {deep: [cellar, shut]}\nreceives: [user.door]\n"
        "add:\n  - {id: down, state: deep, event: user.paint, publish: [purr], next_state: cellar}\n"
    )
    assert dict(after.rows["down"].states) == {"shut": 2, "cellar": 2}
    assert "cat.lit" in after.events


def test_an_overlay_file_can_be_given_by_name(tmp_path: Path):
    file = tmp_path / "o.yaml"
    file.write_text(HEAD + "remove: [door.open.close]\n")
    assert "door.open.close" not in load_tables([TABLES], overlays=[file]).machines["test/door"].rows


def test_only_overlays_are_given_as_overlays():
    with pytest.raises(TableError, match="a machine is given where an overlay is expected"):
        load_tables([TABLES / "catalogue.yaml"], overlays=[TABLES / "lamp.yaml"])


@pytest.mark.parametrize(
    ("text", "code", "place", "message", "hint"),
    [
        ("remove: [bell.cut]", "locked", "3:10", "'bell.cut' is locked and cannot be removed", "A cut wire ends everything"),
        ("replace: [{id: bell.cut, state: any, event: wire.cut, next_state: gone}]", "locked", "3:16", "cannot be replaced", ""),
        ("add: [{id: my.cut, state: shut, event: wire.cut, next_state: shut, overrides: bell.cut}]", "locked", "3:12",
         "row my.cut would override bell.cut", "not remove"),
        ("add: [{id: my.cut, state: any, event: wire.cut, guards: [ready], priority: 1, next_state: shut}]", "locked", "3:12",
         "row my.cut would override bell.cut", ""),
        ("remove: [door.open.clos]", "unknown-row", "3:10", "there is no row 'door.open.clos' to be removed", "door.open.close?"),
        ("replace: [{id: door.nog, state: shut, event: timer.nag, ignore: late}]", "unknown-row", "3:16", "to be replaced", "door.nag?"),
        ("add: [{id: door.nag, state: shut, event: timer.nag, ignore: late}]", "duplicate", "3:12", "is defined twice", "replace:"),
        ("states: {shut: {}}", "duplicate", "3:10", "state 'shut' is defined twice", "door.yaml:25:3"),
        ("variables: {ready: int}", "duplicate", "3:13", "variable 'ready' is defined twice", "door.yaml:"),
        ("rows: []", "unknown-key", "3:1", "no key 'rows'", ""),
        ("add: [{id: a, state: shut, event: wire.scratch, set: {ready: true}}]", "overrides", "3:12", "overrides the broader row bell.scratch",
         "overrides: bell.scratch"),
        ("remove: [door.nag, door.nag]", "overlay-conflict", "3:20", "changed by o0.yaml already", "once"),
    ],
)
def test_what_an_overlay_may_not_do(text: str, code: str, place: str, message: str, hint: str):
    (found,) = problems(text + "\n")
    assert (found.code, str(found.position)) == (code, f"o0.yaml:{place}"), str(found)
    assert message in found.message
    assert hint in found.hint
    assert found.table == "test/door"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("remove: [door.open.close]", "remove: [door.open.close]"),
        ("remove: [door.open.close]", "replace: [{id: door.open.close, state: open, after: 9s, next_state: shut}]"),
        ("replace: [{id: door.open.close, state: open, after: 9s, next_state: shut}]",
         "replace: [{id: door.open.close, state: open, after: 8s, next_state: shut}]"),
        ("add: [{id: my.row, state: open, after: 9s, next_state: shut}]", "add: [{id: my.row, state: open, after: 8s, next_state: shut}]"),
    ],
)  # fmt: skip
def test_two_overlays_cannot_touch_one_row(one: str, other: str):
    found = [problem for problem in problems(one + "\n", other + "\n") if problem.code == "overlay-conflict"]
    assert len(found) == 1
    assert found[0].position.file == "o1.yaml"
    assert "o0.yaml" in found[0].message


def test_two_overlays_can_touch_different_rows():
    after = door("remove: [door.open.close]\n", "replace: [{id: door.nag, state: [shut, moving, open], event: timer.nag, ignore: late}]\n")
    assert "door.open.close" not in after.rows
    assert after.rows["door.nag"].kind == "ignore"


def test_the_target_must_be_there_and_be_a_machine():
    with pytest.raises(TableError) as caught:
        load_tables([TABLES], texts={"o.yaml": "calltable: 1\noverlay: test/dor\n", "p.yaml": "calltable: 1\noverlay: test/bell\n"})
    first, second = caught.value.problems
    assert (str(first.position), first.hint) == ("o.yaml:2:10", "did you mean test/door?")
    assert "it is a fragment" in second.hint


@pytest.mark.parametrize(("machine", "row"), [
    ("b2bua/bridge", "bridge.a.request_early"), ("b2bua/bridge", "bridge.b.hung_up"), ("b2bua/bridge", "bridge.unanswered.answered"),
    ("b2bua/bridge", "bridge.late"), ("leg/uac", "uac.cancelling.failure"), ("leg/uac", "leg.reanswered.hangup"), ("leg/uas", "uas.waiting.hangup"),
])  # fmt: skip
def test_what_is_suggested_for_a_removed_row_loads_when_it_is_pasted(tmp_path, machine, row):
    head = f"calltable: 1\noverlay: {machine}\nremove: [{row}]\n"
    overlay = tmp_path / "o.yaml"
    overlay.write_text(head)
    library = load_tables(overlays=[overlay])
    holes = [problem for problem in check(library) if problem.code == "hole"]
    suggested = [problem.hint.partition("\n")[2] for problem in holes]
    assert suggested
    assert row in library.machines[machine].removed
    overlay.write_text(head + "add:\n" + "\n".join(suggested) + "\n")
    mended = load_tables(overlays=[overlay])
    assert check(mended) == []
    removed = load_tables().machines[machine].rows[row]
    for hole in holes:
        states, events = set(hole.state.split(", ")), set(hole.event.split(", "))
        rows = mended.machines[machine].rows.values()
        new = [one for one in rows if states <= one.states.keys() and events <= set(one.events) and one.doc.endswith(row)]
        assert new
        for one in new:
            assert (one.kind, one.note, one.next_state) == (removed.kind, removed.note, removed.next_state)
            assert [(a.name, a.parameters) for a in one.actions] == [(a.name, a.parameters) for a in removed.actions]


def test_a_suggestion_says_what_it_overrides(tmp_path):
    overlay = tmp_path / "o.yaml"
    overlay.write_text(
        "calltable: 1\noverlay: b2bua/bridge\nreplace:\n  - {id: bridge.b.hung_up, state: any, event: b.hung_up, guards: [a_ended], next_state: closing}\n"
    )
    hints = [problem.hint for problem in check(load_tables(overlays=[overlay])) if problem.code == "hole"]
    assert hints
    assert all("overrides: bridge.b.hung_up\n" in hint for hint in hints)
