"""Gates 4 and 5: what is owed is paid once, and the message shows the path."""

from __future__ import annotations

import dataclasses

import pytest

from calltable.engine.check.check import check
from calltable.engine.language.load import load_tables
from calltable.engine.model import expressions as x
from calltable.engine.model.machine import Action


@pytest.fixture(scope="module", name="library")
def _library():
    return load_tables()


@pytest.fixture(name="problems")
def _problems(library):
    """The problems of the shipped tables with one row changed: ``problems(machine, row, **changes)``."""

    def found(machine, row, **changes):
        model = library.machines[machine]
        rows = {**model.rows, row: dataclasses.replace(model.rows[row], **changes)}
        broken = dataclasses.replace(model, rows=rows)
        return check(dataclasses.replace(library, machines={**library.machines, machine: broken}))

    return found


def without(library, machine, row, action, **parameters):
    """The actions of a row without one."""
    of = library.machines[machine].rows[row].actions
    kept = tuple(
        one for one in of
        if one.name != action or any(getattr(one.parameters[k], "value", None) != v for k, v in parameters.items())
    )  # fmt: skip
    assert len(kept) < len(of)
    return kept


def test_the_shipped_tables_owe_nothing(library):
    assert check(library) == []


@pytest.mark.parametrize(
    ("machine", "row", "action", "parameters", "debt"),
    [
        ("leg/uac", "uac.cancelling.success", "sip.acknowledge", {}, "ACK"),
        ("leg/uac", "uac.cancelling.success", "sip.bye", {}, "BYE"),
        ("leg/uas", "uas.waiting.cancel", "sip.respond", {"to": "cancel"}, "CANCEL"),
        ("leg/uas", "uas.waiting.cancel", "sip.respond", {"to": "invite"}, "INVITE"),
        ("leg/uas", "uas.waiting.hangup", "sip.respond", {}, "INVITE"),
        ("leg/uac", "leg.quiet.bye", "sip.respond", {}, "BYE"),
        ("leg/uac", "leg.lingering.stuck", "sip.abandon", {}, "INVITE"),
        ("leg/uac", "leg.acknowledging.bye", "sip.acknowledge", {}, "ACK"),
    ],
)
def test_a_forgotten_action_leaves_a_debt_and_the_path_is_shown(library, problems, machine, row, action, parameters, debt):
    found = problems(machine, row, actions=without(library, machine, row, action, **parameters))
    owed = [one for one in found if one.gate == 5]
    assert owed
    assert debt in owed[0].message
    assert "path: idle -- engine.started -> " in owed[0].hint
    assert f"(row {row})" in owed[0].hint


def test_answering_twice_is_told(library, problems):
    of = library.machines["leg/uas"].rows["uas.waiting.reject"].actions
    found = problems("leg/uas", "uas.waiting.reject", actions=of + of)
    assert [one.code for one in found] == ["no-obligation"]
    assert "meets the final response to the INVITE, which is not due here" in found[0].message


def test_a_second_bye_is_told(library, problems):
    position = library.machines["leg/uac"].rows["leg.over.hangup"].position
    found = problems("leg/uac", "leg.over.hangup", actions=(Action("sip.bye", {}, position),))
    assert "no-obligation" in {one.code for one in found}


def test_a_provisional_response_settles_nothing(library, problems):
    literal = dict(library.machines["leg/uas"].rows["uas.waiting.progress"].actions[0].parameters) | {"code": x.Literal(183)}
    action = dataclasses.replace(library.machines["leg/uas"].rows["uas.waiting.progress"].actions[0], parameters=literal)
    assert problems("leg/uas", "uas.waiting.progress", actions=(action,)) == []
    final = dataclasses.replace(action, parameters=literal | {"code": x.Literal(486)})
    found = problems("leg/uas", "uas.waiting.progress", actions=(final,))
    assert {one.code for one in found} == {"no-obligation"}  # whatever answers next answers for the second time


def test_a_request_that_nobody_answers_nor_hands_on_is_told(problems):
    found = problems("leg/uac", "leg.confirmed.request", publish=())
    assert found
    assert {one.code for one in found} == {"unmet-obligation"}
    assert "neither sends it nor passes it on" in found[0].message


def test_a_b2bua_has_to_carry_on_what_a_leg_hands_it(problems):
    found = problems("b2bua/bridge", "bridge.a.request", actions=())
    assert {(one.gate, one.code) for one in found} == {(5, "unmet-obligation")}


def test_a_session_does_not_end_before_the_outcome_of_its_last_action(problems):
    found = [one for one in problems("leg/uac", "leg.active.hangup", next_state="terminated") if one.gate == 4]
    assert [one.code for one in found] == ["outcome-lost"]
    assert "sip.bye leads to sip.bye.final, but this row ends the session" in found[0].message


def test_an_outcome_is_not_ignored_where_it_is_awaited(library, problems):
    found = problems(
        "leg/uac", "leg.ending.final", kind="ignore", note="late", next_state=None, actions=(), set={}, publish=()
    )
    assert "outcome-ignored" in {one.code for one in found}
