"""Which rows of the shipped tables the scenarios reach: all of them, but for those that are listed here with the reason."""

from __future__ import annotations

from calltable.simulation import shipped_tables
from tests.scenarios.catalogue import reached

OUT_OF_REACH: dict[str, str] = {}


def test_every_shipped_row_is_reached_by_a_scenario():
    rows = reached()
    missing = {
        f"{name}: {row}"
        for name, machine in shipped_tables().machines.items()
        for row in machine.model.rows
        if (name, row) not in rows
    }
    assert sorted(missing - OUT_OF_REACH.keys()) == []
    assert sorted(OUT_OF_REACH.keys() - missing) == [], "these are reached by now: take them off the list"
