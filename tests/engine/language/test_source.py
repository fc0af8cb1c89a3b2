"""YAML with positions: what scalars mean, what is refused, and in which words."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from calltable.engine.language import source
from calltable.engine.language.load import load_tables
from calltable.engine.language.source import MAX_NODES, BrokenSource, Node, read_source
from calltable.engine.model.problems import Position


def member(text: str, key: str = "a") -> Node:
    return read_source(text, "f.yaml").mapping[key]


@pytest.mark.parametrize("word", ["on", "off", "yes", "no", "y", "n", "On", "1:30", "0x", "1_000", "2001-01-01", "1e", "=", "<<"])
def test_words_stay_words(word: str):
    assert member(f"a: {word}").value == word


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("true", True), ("false", False), ("null", None), ("~", None), ("", None), ("12", 12), ("-3", -3), ("0x1F", 31),
        ("0o17", 15), ("007", 7), ("1.5", 1.5), (".5", 0.5), ("1e3", 1000.0), ("500ms", "500ms"), ("'true'", "true"),
        ('"12"', "12"), ("9" * 40, "9" * 40),
    ],
)  # fmt: skip
def test_plain_scalars_follow_yaml_1_2(text: str, value: object):
    found = member(f"a: {text}").value
    assert found == value
    assert type(found) is type(value)


def test_every_value_knows_where_it_stands():
    root = read_source("a: 1\nb:\n  - x\n  - {c: 'd'}\n", "f.yaml")
    assert root.keys["b"] == Position("f.yaml", 2, 1)
    assert root.mapping["a"].position == Position("f.yaml", 1, 4)
    entry = root.mapping["b"].items[1]
    assert entry.position == Position("f.yaml", 4, 5)
    assert entry.keys["c"] == Position("f.yaml", 4, 6)
    assert entry.mapping["c"].position == Position("f.yaml", 4, 9)


def test_a_column_can_be_counted_into_a_scalar_on_one_line():
    assert member("a: ready and x").at(6) == Position("f.yaml", 1, 10)
    assert member("a: 'ready and x'").at(6) == Position("f.yaml", 1, 11)
    assert member("a: 'it''s'").at(3) == Position("f.yaml", 1, 4)
    assert member("a: >-\n  ready\n  and x\n").at(6) == Position("f.yaml", 1, 4)


def test_anchors_work_and_keep_the_place_they_were_written_at():
    root = read_source("a: &one {x: 1}\nb: *one\n", "f.yaml")
    assert root.mapping["b"].data() == {"x": 1}
    assert root.mapping["b"].position.line == 1


@pytest.mark.parametrize(
    ("text", "place", "message", "hint"),
    [
        ("a: 1\na: 2", "2:1", "key 'a' is written twice", "it stands at 1:1"),
        ("a:\n  b: 1\n  b: 2", "3:3", "key 'b' is written twice", "2:3"),
        ("a: [1, 2", "2:1", "a list that begins with «[» is not closed", "«]»"),
        ("a: {b: 1", "2:1", "a mapping that begins with «{» is not closed", "«}»"),
        ("a: b: c", "1:5", "a «:» stands where none can", "quotes"),
        ("a:\n\t- b", "2:1", "a character that YAML keeps for itself", "spaces, not tabs"),
        ("a: *x", "1:4", "names no anchor", "quotes"),
        ("a: 'x", "1:6", "not closed", "quote"),
        ("- a\nb: c", "2:1", "without its «- »", "indent"),
        ("--- 1\n--- 2\n", "2:1", "a second document", "own file"),
        ('a: "\\q"', "1:5", "begins no escape", "single quotes"),
        ("ab: \x01", "1:5", "control character", "remove"),
        ("? [a]\n: b", "1:3", "a list or mapping stands as a key", "a word"),
        ("a: &x [*x]", "1:4", "contains it", "cannot contain itself"),
    ],
)
def test_broken_yaml_is_told_in_plain_words(text: str, place: str, message: str, hint: str):
    with pytest.raises(BrokenSource) as caught:
        read_source(text, "f.yaml")
    (problem,) = caught.value.problems
    assert message in problem.message
    assert hint in problem.hint
    assert str(problem.position).removeprefix("f.yaml:") == place


def test_a_file_cannot_unfold_without_end():
    lines = ["a0: &a0 [x, x]"] + [f"a{i}: &a{i} [*a{i - 1}, *a{i - 1}]" for i in range(1, 40)]
    with pytest.raises(BrokenSource, match=f"more than {MAX_NODES} values"):
        read_source("\n".join(lines), "f.yaml")


def test_a_file_cannot_be_nested_without_end():
    with pytest.raises(BrokenSource, match="nested"):
        read_source("[" * 2000 + "]" * 2000, "f.yaml")


@settings(max_examples=150, deadline=None)
@given(st.text(alphabet=" \n\t-:[]{}&*!|>'\"%@`abc1#,?\\", max_size=40))
def test_any_text_is_read_or_refused(text: str):
    try:
        found = list(read_source(text, "f.yaml").keys.values())
    except BrokenSource as error:
        found = [problem.position for problem in error.problems]
        found = found or [Position("", 0, 0)]
    assert all(place.line >= 1 and place.column >= 1 for place in found)


ROOT = Path(__file__).parents[3]
EXAMPLES = [
    (f"{page.name}:{text[: found.start()].count(chr(10)) + 1}", found[1])
    for page in sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md")])
    for text in [page.read_text(encoding="utf-8")]
    for found in re.finditer(r"```yaml[^\n]*\n(.*?)```", text, re.DOTALL)
]
FILES = [(str(one.relative_to(ROOT)), one.read_text(encoding="utf-8")) for folder in ("tables", "docs") for one in sorted((ROOT / folder).rglob("*.yaml"))]


@pytest.mark.parametrize("text", [text for _, text in (*FILES, *EXAMPLES)], ids=[name for name, _ in (*FILES, *EXAMPLES)])
def test_every_yaml_parser_reads_what_is_shipped_alike(text):
    """PyYAML's own parser takes ``message?`` in braces for the beginning of a key; libyaml does not."""
    assert yaml.load(text, Loader=yaml.SafeLoader) == yaml.load(text, Loader=yaml.CSafeLoader)


def test_tables_load_without_libyaml(monkeypatch):
    with_libyaml = load_tables()
    monkeypatch.setattr(source, "_Loader", yaml.BaseLoader)
    assert load_tables().machines == with_libyaml.machines
