"""The grammar of guards: what it reads, what it writes back, and how it complains."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calltable.engine.language.guards import GuardError, parse_guard
from calltable.engine.model import expressions as x
from calltable.engine.model.problems import Position
from calltable.engine.model.text import format_expression

HERE = Position("f.yaml", 3, 10)


def read(text: str) -> x.Expression:
    return parse_guard(text, HERE)


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("ready", x.Var("ready")),
        ("event.code", x.Field("code")),
        ("config.t1", x.Config("t1")),
        ("not a", x.Not(x.Var("a"))),
        ("not not a", x.Not(x.Not(x.Var("a")))),
        ("a and b or c", x.Or((x.And((x.Var("a"), x.Var("b"))), x.Var("c")))),
        ("a and (b or c)", x.And((x.Var("a"), x.Or((x.Var("b"), x.Var("c")))))),
        ("not a == b", x.Not(x.Compare("==", x.Var("a"), x.Var("b")))),
        ("a == 'x'", x.Compare("==", x.Var("a"), x.Literal("x"))),
        ('a == "it\'s"', x.Compare("==", x.Var("a"), x.Literal("it's"))),
        ("a >= -3", x.Compare(">=", x.Var("a"), x.Literal(-3))),
        ("a < 500ms", x.Compare("<", x.Var("a"), x.Literal(0.5))),
        ("a < 2.1s", x.Compare("<", x.Var("a"), x.Literal(2.1))),
        ("a < 3m", x.Compare("<", x.Var("a"), x.Literal(180.0))),
        ("a<1h", x.Compare("<", x.Var("a"), x.Literal(3600.0))),
        ("a is null", x.IsNull(x.Var("a"))),
        ("a is not null", x.Not(x.IsNull(x.Var("a")))),
        ("a in [486, 600]", x.In(x.Var("a"), (x.Literal(486), x.Literal(600)))),
        ("a not in [local, 'far']", x.Not(x.In(x.Var("a"), (x.Literal("local"), x.Literal("far"))))),
        ("count(b*) > 1", x.Compare(">", x.Count("b*", None), x.Literal(1))),
        ("count(b*, ringing) == 0", x.Compare("==", x.Count("b*", "ringing"), x.Literal(0))),
        ("has_sdp(event.message)", x.Call("has_sdp", (x.Field("message"),))),
        ("f()", x.Call("f", ())),
        ("f(a, 1) and g(true)", x.And((x.Call("f", (x.Var("a"), x.Literal(1))), x.Call("g", (x.Literal(True),))))),
    ],
)
def test_reading(text: str, tree: x.Expression):
    assert read(text) == tree
    assert read(format_expression(tree)) == tree


@pytest.mark.parametrize(
    ("text", "column", "message", "hint"),
    [
        ("", 0, "empty", ""),
        ("a and", 5, "expected a value, found the end", ""),
        ("a b", 2, "unexpected 'b'", "joined by «and»"),
        ("a == ", 4, "expected a value", ""),
        ("a = 1", 2, "unexpected '='", "write «==»"),
        ("a && b", 2, "unexpected '&&'", "write «and»"),
        ("a || b", 2, "unexpected '||'", "write «or»"),
        ("!a", 0, "unexpected '!'", "write «not»"),
        ("$a", 0, "unexpected '$'", "have no $"),
        ("a + 1", 2, "unexpected '+'", "no arithmetic"),
        ("(a", 2, "expected «)»", ""),
        ("a in 5", 5, "expected «[» after «in»", ""),
        ("a in [b == 1]", 8, "expected «,»", ""),
        ("a in [event.x]", 6, "is not a constant", "constants only"),
        ("a is 5", 5, "expected «null»", ""),
        ("1 < a < 3", 6, "cannot be chained", "a < b and b < c"),
        ("a == 'x", 5, "unexpected", "close the quote"),
        ("otherwise", 0, "expected a value, found 'otherwise'", "stands alone"),
        ("b* > 1", 0, "is a set of children", "count(b*)"),
        ("door.x", 0, "unknown name 'door.x'", "event.<field>"),
        ("count(5)", 6, "expected the name of a child", ""),
        ("5x > 1", 0, "unexpected '5'", ""),
        ("f(a", 3, "expected «)» to close f(", "needs quotes"),
        ("__import__('os').system('x')", 16, "unexpected '.'", ""),
        ("[x for x in y]", 0, "expected a value", ""),
    ],
)
def test_complaints_point_at_the_word(text: str, column: int, message: str, hint: str):
    with pytest.raises(GuardError) as caught:
        read(text)
    error = caught.value
    assert message in error.message
    assert hint in error.hint
    assert error.position == Position("f.yaml", 3, 10 + column)


def test_nesting_is_bounded():
    with pytest.raises(GuardError, match="deep"):
        read("(" * 1000 + "a" + ")" * 1000)
    with pytest.raises(GuardError, match="more than 40 levels deep"):
        read("not " * 1000 + "a")


names = st.sampled_from(["a", "b", "ready", "reason"])
literals = st.one_of(
    st.booleans(), st.none(), st.integers(-999, 999), st.sampled_from([0.5, 2.1, 32.0, 180.0, 3600.0, 0.0]),
    st.text(alphabet="abc xyz_-%*'", max_size=6),
).map(x.Literal)  # fmt: skip
operands = st.one_of(
    names.map(x.Var), names.map(x.Field), names.map(x.Config), literals,
    st.builds(x.Count, st.just("b*"), st.sampled_from([None, "ringing"])),
    st.builds(x.Call, st.just("f"), st.lists(names.map(x.Var), max_size=2).map(tuple)),
)  # fmt: skip
relations = st.one_of(
    st.builds(x.Compare, st.sampled_from(["==", "!=", "<", "<=", ">", ">="]), operands, operands),
    st.builds(x.In, operands, st.lists(literals, min_size=1, max_size=3).map(tuple)),
    st.builds(x.IsNull, operands),
    names.map(x.Var),
)
trees = st.recursive(
    relations,
    lambda inner: st.one_of(
        st.builds(x.Not, inner),
        st.lists(inner, min_size=2, max_size=3).map(lambda items: x.And(tuple(items))),
        st.lists(inner, min_size=2, max_size=3).map(lambda items: x.Or(tuple(items))),
        st.builds(x.Compare, st.just("=="), inner, operands),
    ),
    max_leaves=8,
)


@settings(max_examples=300, deadline=None)
@given(trees)
def test_what_is_written_reads_back_as_the_same_tree(tree: x.Expression):
    assert read(format_expression(tree)) == tree


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet="ab()[],.<>=!'\"*1 0msnotadri%$&|-", max_size=30))
def test_any_text_is_read_or_refused(text: str):
    try:
        read(text)
        error = None
    except GuardError as caught:
        error = caught
    if error is not None:
        assert error.position.line == HERE.line
        assert HERE.column <= error.position.column <= HERE.column + len(text)
