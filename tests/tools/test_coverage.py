"""``calltable coverage``: a simulated call's coverage, reported."""

from __future__ import annotations

import json
import re

import pytest

from calltable.engine.observe.coverage import Coverage
from calltable.simulation import Simulation
from calltable.tools.main import main


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    """What one answered call through a B2BUA reaches."""
    simulation = Simulation(seed=1)
    server = simulation.b2bua()
    coverage = Coverage(simulation.tables.library.catalogue)
    server.engine.executor.observers.append(coverage)
    alice, bob = simulation.agent("alice"), simulation.agent("bob")
    call = alice.call(simulation.uri("b2bua", "bob"))
    simulation.run(1.0)
    bob.last.answer()
    simulation.run(1.0)
    call.hangup()
    simulation.finish()
    path = tmp_path_factory.mktemp("coverage") / "one.json"
    coverage.hits().write(path)
    return path


def test_the_report_names_what_was_not_reached(file, capsys):
    assert main(["coverage", str(file), "--table", "b2bua/bridge"]) == 0
    out = capsys.readouterr().out
    assert "b2bua/bridge  rows" in out
    assert "- bridge.routing.rejected  (routing: route.rejected)" in out
    assert "- bridge.joined.confirmed " not in out
    assert "½ bridge.unanswered.answered  guard «event.acknowledged» never failed" in out


def test_rows_and_cases_are_listed_on_request(file, capsys):
    main(["coverage", str(file), "--table", "b2bua/bridge", "--all", "--cases"])
    out = capsys.readouterr().out
    assert "+ bridge.start  (idle: engine.started)  1 times" in out
    assert "1 × event.acknowledged = true" in out


def test_too_little_exits_1(file):
    assert main(["coverage", str(file), "--under", "1"]) == 0
    assert main(["coverage", str(file), "--under", "99.9"]) == 1


def test_files_are_added_up_and_written(file, tmp_path, capsys):
    both = tmp_path / "both.json"
    assert main(["coverage", str(file), str(file), "-o", str(both), "--format", "json", "--table", "leg/uac"]) == 0
    (found,) = json.loads(capsys.readouterr().out)
    assert found["reached"]["uac.start"] == 2
    assert main(["coverage", str(both), "--format", "json", "--table", "leg/uac"]) == 0
    assert json.loads(capsys.readouterr().out) == [found]


def test_what_cannot_be_read_exits_2(tmp_path, capsys):
    wrong = tmp_path / "wrong.json"
    wrong.write_text("{}")
    assert main(["coverage", str(wrong)]) == 2
    assert "not a coverage file" in capsys.readouterr().err
    assert main(["coverage", str(tmp_path / "none.json")]) == 2


def test_a_drawn_table_is_coloured(file, tmp_path, capsys):
    assert main(["render", "b2bua/bridge", "--coverage", str(file)]) == 0
    out = capsys.readouterr().out
    assert "linkStyle 1 stroke:#1a7f37" in out
    assert "stroke:#d1242f" in out
    assert main(["render", "b2bua/bridge", "--format", "dot", "--coverage", str(file)]) == 0
    out = capsys.readouterr().out
    assert re.search(r'"s_idle" -> .*, color="#1a7f37"\];', out)
    assert re.search(r'color="#d1242f", style=dashed\];', out)


@pytest.mark.slow
def test_a_page_is_coloured_by_rows(file, tmp_path):
    pytest.importorskip("pygraphviz")
    page = tmp_path / "tables.html"
    assert main(["render", "b2bua/bridge", "leg/uac", "-o", str(page), "--coverage", str(file)]) == 0
    text = page.read_text()
    assert 'svg.diagram[aria-label="leg/uac"] .row[data-row="uac.start"] tspan { fill: var(--reached); }' in text
    assert 'article[data-row="bridge.routing.rejected"]::after { content: "never reached"' in text
    picture = tmp_path / "bridge.svg"
    assert main(["render", "b2bua/bridge", "-o", str(picture), "--coverage", str(file)]) == 0
    assert '.arrow[data-rows~="bridge.start"] path { stroke: var(--reached);' in picture.read_text()
