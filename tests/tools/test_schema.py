"""``calltable schema`` as its users meet it."""

from __future__ import annotations

import json
from pathlib import Path

from jsonschema import Draft202012Validator

from calltable.engine.language.source import read_source
from calltable.tools.main import main

TABLES = Path(__file__).parent / "tables"


def test_the_schema_takes_the_tables_that_it_is_made_of(tmp_path):
    path = tmp_path / "table.schema.json"
    assert main(["schema", str(TABLES), "-o", str(path)]) == 0
    validator = Draft202012Validator(json.loads(path.read_text(encoding="utf-8")))
    for file in TABLES.glob("*.yaml"):
        validator.validate(read_source(file.read_text(encoding="utf-8"), str(file)).data())


def test_tables_that_do_not_load_give_their_problems_and_no_schema(tmp_path, capsys):
    path = tmp_path / "m.yaml"
    path.write_text("calltable: 1\nmachine: m\ninitial: nowhere\nstates: {one: {final: true}}\n", encoding="utf-8")
    assert main(["schema", str(path)]) == 1
    told = capsys.readouterr()
    assert told.out == ""
    assert f"{path}:3:10: unknown state 'nowhere'" in told.err
    assert "see `calltable check`" in told.err


def test_a_file_that_is_not_there_is_exit_code_2(tmp_path):
    assert main(["schema", str(tmp_path / "nowhere.yaml")]) == 2
