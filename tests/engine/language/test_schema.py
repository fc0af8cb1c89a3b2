"""The JSON Schema: it is current, it takes the tables there are, and it knows the catalogue."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from calltable import tables
from calltable.engine.language.catalogue import load_catalogue
from calltable.engine.language.load import load_tables
from calltable.engine.language.schema import FILE_KINDS, schema_text, table_schema, words_of
from calltable.engine.language.source import read_source

SHIPPED = tables.files()
EXAMPLES = sorted((Path(__file__).parents[3] / "docs" / "examples").glob("*.yaml"))
OWN = sorted((Path(__file__).parent / "tables").glob("*.yaml"))
FILES = sorted([*SHIPPED.rglob("*.yaml"), *OWN])


@pytest.fixture(scope="module")
def shipped() -> dict:
    return json.loads((SHIPPED / "schema" / "table.schema.json").read_text(encoding="utf-8"))


def test_the_committed_schema_is_current():
    catalogue = load_catalogue(sorted((SHIPPED / "catalogue").glob("*.yaml")))
    committed = (SHIPPED / "schema" / "table.schema.json").read_text(encoding="utf-8")
    assert committed == schema_text(catalogue), "the catalogue has changed: run python -m calltable.tools.schemas"


def test_it_is_a_schema(shipped: dict):
    Draft202012Validator.check_schema(shipped)
    Draft202012Validator.check_schema(table_schema())


@pytest.mark.parametrize("file", [*FILES, *EXAMPLES], ids=lambda file: file.stem)
def test_the_shipped_schema_takes_every_table_those_with_a_catalogue_of_their_own_too(shipped: dict, file: Path):
    Draft202012Validator(shipped).validate(read_source(file.read_text(encoding="utf-8"), str(file)).data())


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_any_catalogue_will_do_for_the_shape_alone(file: Path):
    Draft202012Validator(table_schema()).validate(read_source(file.read_text(encoding="utf-8"), str(file)).data())


def test_an_editor_sees_actions_parameters_and_docs(shipped: dict):
    actions = shipped["$defs"]["action"]["anyOf"][1]["properties"]
    assert {"sip.bye", "timer.start", "child.tell"} <= set(actions)
    assert actions["timer.start"]["required"] == ["name", "after"]
    assert "timer.<name>" in actions["timer.start"]["description"]
    events = {one["const"]: one["description"] for one in shipped["$defs"]["event"]["anyOf"][0]["oneOf"]}
    assert "BYE" in events["sip.bye"]


@pytest.mark.parametrize(
    "row",
    [
        {"id": "a", "state": "s", "event": "sip.bye", "actions": ["sip.by"]},
        {"id": "a", "state": "s", "event": "sip.bye", "actions": [{"timer.start": {"nam": "x", "after": 1}}]},
        {"id": "a", "state": "s", "event": "sip.bye", "ignore": "sometimes"},
        {"id": "a", "state": "s", "event": "sip.bye", "nextstate": "t"},
        {"state": "s", "event": "sip.bye"},
    ],
)
def test_an_editor_underlines_mistakes(shipped: dict, row: dict):
    table = {"calltable": 1, "machine": "m", "initial": "s", "states": {"s": {}}, "rows": [row]}
    assert not Draft202012Validator(shipped).is_valid(table)


def test_a_file_holds_one_thing(shipped: dict):
    assert set(FILE_KINDS) <= set(shipped["$defs"])
    assert not Draft202012Validator(shipped).is_valid({"calltable": 1, "machine": "m", "fragment": "m"})


def test_a_schema_of_ones_own_knows_the_words_of_these_tables():
    library = load_tables(OWN)
    schema = json.loads(schema_text(library.catalogue, words_of(library.machines.values(), library.catalogue)))
    validator = Draft202012Validator(schema)
    for file in OWN:
        validator.validate(read_source(file.read_text(encoding="utf-8"), str(file)).data())
    row = schema["$defs"]["row"]["properties"]

    def offered(where):
        return {one["const"] for one in where["anyOf"][0]["oneOf"]}

    machine = library.machines["test/door"]
    assert machine.states.keys() | machine.groups.keys() <= offered(row["next_state"])
    assert machine.variables.keys() <= row["set"]["properties"].keys()
    assert {one.name for one in machine.events.values() if one.source == "child"} <= offered(schema["$defs"]["event"])
    fields = {f"$event.{name}" for event in machine.events.values() for name in event.fields}
    assert fields
    assert fields | {f"${name}" for name in machine.variables} <= offered(schema["$defs"]["value"])


def test_a_schema_of_ones_own_underlines_what_the_shipped_one_lets_pass(shipped: dict):
    """The shipped one cannot know whether there is an action ``bolt.sldie``."""
    library = load_tables(OWN)
    own = table_schema(library.catalogue, words_of(library.machines.values(), library.catalogue))
    row = {"id": "a", "state": "s", "event": "user.ring", "actions": ["bolt.sldie"]}
    table = {"calltable": 1, "machine": "m", "initial": "s", "states": {"s": {}}, "rows": [row]}
    assert Draft202012Validator(shipped).is_valid(table)
    assert not Draft202012Validator(own).is_valid(table)
