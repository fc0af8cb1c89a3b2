"""What ``calltable check`` and ``calltable serve --check`` both ask."""

from __future__ import annotations

from pathlib import Path

from calltable import tables
from calltable.engine.explore import system
from calltable.examination import examine
from calltable.loading import Recipe, read

TRANSACTIONS = (tables.files() / "transaction" / "client.yaml", tables.files() / "transaction" / "server.yaml")


def test_what_is_clean_and_explored_completely_has_no_problems():
    found = examine(Recipe(TRANSACTIONS))
    assert (found.problems, [one.name for one in found.machines]) == ([], ["transaction/client", "transaction/server"])
    assert found.states > 1000


def test_a_search_that_stopped_early_is_a_problem():
    found = examine(Recipe(TRANSACTIONS), limit=100)
    assert {one.code for one in found.problems} == {"not-explored"}
    assert "composition transaction was not explored completely: the search stopped after 10" in found.problems[0].message
    assert Path(found.problems[0].position.file) == TRANSACTIONS[0]


def test_a_full_channel_is_a_problem(monkeypatch):
    monkeypatch.setattr(system, "CAPACITY", 1)
    found = examine(Recipe(TRANSACTIONS))
    assert any("a channel would hold more than" in one.message for one in found.problems)


def test_the_static_checks_are_told_before_the_search_begins():
    happened = []
    examine(Recipe(TRANSACTIONS), told=lambda found: happened.append(len(found.machines)), progress=lambda *_: happened.append("search"), limit=1)
    assert happened[:1] == [2]


def test_without_a_search_only_the_static_checks_are_made():
    found = examine(Recipe(TRANSACTIONS), search=False)
    assert (found.problems, found.states) == ([], 0)


def test_given_tables_stand_beside_all_shipped_ones():
    """A leg that says one thing more breaks the bridge, which a server runs too."""
    assert "b2bua/bridge" in read(TRANSACTIONS).machines


