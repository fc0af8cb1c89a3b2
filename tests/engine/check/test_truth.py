"""Truth tables: which values are tried, and what the tables say of overlapping and missing guards."""

from __future__ import annotations

import dataclasses

import pytest

from calltable.engine.check.subjects import OTHER, GuardTypes, TooWideError, subjects, valuations
from calltable.engine.check.truth import Truth
from calltable.engine.model import expressions as x
from calltable.engine.model.machine import Event, Variable
from calltable.engine.model.problems import NOWHERE
from calltable.engine.model.text import format_expression
from calltable.engine.model.types import Type
from tests.engine.small import PHONE, load


@pytest.fixture(name="library")
def _library(tmp_path):
    return load(tmp_path, PHONE)


@pytest.fixture(name="scope")
def _scope(library):
    machine = library.machines["phone"]
    kinds = {
        "flag": Type("bool"), "maybe": Type("bool", optional=True), "size": Type("enum", values=("s", "m", "l")),
    }  # fmt: skip
    variables = {name: Variable(name, kind, None, "", NOWHERE) for name, kind in kinds.items()}
    fields = {
        "code": Type("int"), "name": Type("string"), "text": Type("string", optional=True), "wait": Type("duration"),
        "last": Type("int", optional=True),
    }  # fmt: skip
    events = {"e": Event("e", fields, must_take=False, doc="", source="interface")}
    return GuardTypes(dataclasses.replace(machine, variables=variables, events=events), library.catalogue, "e")


def lit(value):
    return x.Literal(value)


def compare(left, operator, right):
    return x.Compare(operator, left, right if isinstance(right, x.Field | x.Count) else lit(right))


CODE, NAME, TEXT, WAIT, LAST = (x.Field(name) for name in ("code", "name", "text", "wait", "last"))


@pytest.mark.parametrize(
    ("guard", "values"),
    [
        (x.Var("flag"), (False, True)),
        (x.Var("maybe"), (False, True, None)),
        (compare(x.Var("size"), "==", "m"), ("s", "m", "l")),
        (compare(CODE, "==", 486), (485, 486, 487)),
        (x.And((compare(CODE, ">=", 300), compare(CODE, "<", 302))), (299, 300, 301, 302, 303)),
        (x.In(CODE, (lit(5), lit(6))), (4, 5, 6, 7)),
        (compare(WAIT, ">", 2.0), (1.0, 2.0, 3.0)),
        (compare(WAIT, ">", 0.5), (0.25, 0.5, 1.5)),
        (compare(x.Count("b*", None), "==", 0), (0, 1)),
        (compare(NAME, "==", "a"), ("a", OTHER)),
        (compare(TEXT, "!=", "a"), ("a", OTHER, None)),
        (x.IsNull(TEXT), (OTHER, None)),
        (compare(CODE, "<", NAME), ("==", "!=")),
        (compare(CODE, "<", x.Count("b*", None)), ("<", "==", ">")),
        (compare(CODE, "<", LAST), ("<", "==", ">", "null")),
    ],
)
def test_a_subject_is_tried_with_the_values_that_can_make_a_difference(scope, guard, values):
    [subject] = subjects([guard], scope)
    assert subject.domain == values


def test_the_same_question_is_asked_once_whatever_its_form(scope):
    guards = [compare(CODE, "<", LAST), compare(LAST, "<=", CODE), x.Not(x.Var("flag")), x.Var("flag")]
    assert [len(s.domain) for s in subjects(guards, scope)] == [4, 2]


def test_more_children_in_a_state_than_there_are_is_not_tried(scope):
    found = subjects([compare(x.Count("b*", None), "<", 2), compare(x.Count("b*", "early"), "==", 1)], scope)
    assert all(early <= every for every, early in valuations(found))


def test_a_comparison_agrees_with_the_values_of_its_sides(scope):
    found = subjects([compare(CODE, "<", LAST), compare(CODE, "==", 3), compare(LAST, "==", 5)], scope)
    for stands, code, last in valuations(found):
        assert stands == ("null" if last is None else "<" if code < last else "==" if code == last else ">")


def test_too_many_conditions_are_an_error_that_says_how_many(scope):
    many = subjects([x.Call(f"p{i}", ()) for i in range(13)], scope)
    with pytest.raises(TooWideError, match="13 conditions"):
        list(valuations(many))


def row(library, row_id, guard, **changes):
    model = library.machines["phone"].rows["phone.active.hold"]
    return dataclasses.replace(model, id=row_id, guard=guard, **changes)


@pytest.fixture(name="truth")
def _truth(scope):
    return Truth(scope.machine, scope.catalogue)


def test_a_hole_is_widened_to_what_matters_and_says_so_as_a_guard(library, truth):
    guard = x.And((compare(CODE, ">=", 300), x.Var("flag")))
    also = x.And((compare(CODE, ">=", 300), x.Not(x.Var("flag"))))
    verdict = truth.decide([(row(library, "a", guard), row(library, "b", also))], "e")
    assert (str(verdict.hole), [format_expression(one) for one in verdict.hole.guards()]) == ("event.code = 299", ["event.code < 300"])
    assert verdict.taken == {"a", "b"}
    assert verdict.overlaps == ()


def test_an_earlier_tier_takes_what_it_wants_and_leaves_the_rest(library, truth):
    tiers = [(row(library, "narrow", x.Var("flag")),), (row(library, "wide", None),)]
    assert truth.decide(tiers, "e").taken == {"narrow", "wide"}
    tiers = [(row(library, "narrow", x.Or((x.Var("flag"), x.Not(x.Var("flag"))))),), (row(library, "wide2", None),)]
    assert truth.decide(tiers, "e").taken == {"narrow"}


def test_rows_of_a_later_tier_overlap_only_where_they_are_asked(library, truth):
    late = (row(library, "x", compare(CODE, ">", 5)), row(library, "y", compare(CODE, ">", 7)))
    tiers = [(row(library, "first", compare(CODE, ">", 6)),), late, (row(library, "rest", None),)]
    verdict = truth.decide(tiers, "e")
    assert verdict.overlaps == ()
    assert "y" not in verdict.taken
    [(one, other, cube)] = truth.decide([late, (row(library, "rest", None),)], "e").overlaps
    assert (one, other, str(cube)) == ("x", "y", "event.code = 8")


def test_null_is_neither_less_nor_greater(library, truth):
    pair = (row(library, "lt", compare(CODE, "<", LAST)), row(library, "ge", compare(CODE, ">=", LAST)))
    assert str(truth.decide([pair], "e").hole) == "one of event.code and event.last null"


def test_what_is_known_of_a_variable_is_the_only_thing_tried(library, truth):
    pair = [(row(library, "on", x.Var("flag")), row(library, "off", x.Not(x.Var("flag"))))]
    assert truth.decide(pair, "e", {"flag": True}).taken == {"on"}
    assert truth.decide(pair, "e", {"flag": False}).taken == {"off"}


@pytest.mark.parametrize(
    ("guard", "written"),
    [
        (x.Not(x.Var("flag")), ["flag"]),
        (x.Var("flag"), ["not flag"]),
        (x.Not(x.IsNull(TEXT)), ["event.text is null"]),
        (compare(x.Var("size"), "!=", "m"), ["size == 'm'"]),
        (x.In(NAME, (lit("a"), lit("b"))), ["event.name not in ['a', 'b']"]),
        (x.Or((compare(CODE, "<", 3), compare(CODE, ">", 5))), ["event.code == 3"]),
        (x.Or((compare(CODE, "<=", 3), compare(CODE, ">=", 5))), ["event.code > 3 and event.code < 5"]),
        (compare(CODE, "<", LAST), ["event.code == event.last"]),
    ],
)
def test_the_guard_of_a_hole_is_written_in_the_table_language(library, truth, guard, written):
    hole = truth.decide([(row(library, "only", guard),)], "e").hole
    assert [format_expression(one) for one in hole.guards()] == written
