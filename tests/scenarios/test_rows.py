"""Which rows of the shipped tables the scenarios reach: all of them, but for those that are listed here with the reason."""

from __future__ import annotations

import pytest

from calltable.simulation import shipped_tables
from tests.scenarios.catalogue import reached

NO_DIALOG = "no request can be for a leg that has no dialog yet; the tables must say what would happen all the same"
IN_STEP = "the legs of a bridge run in one process and move in step: neither is told what it cannot do any more"
OUT_OF_REACH = {
    "b2bua/bridge: bridge.a.refused": IN_STEP,
    "b2bua/bridge: bridge.b.refused": IN_STEP,
    "b2bua/bridge: bridge.closing.progress": IN_STEP,
    "b2bua/bridge: bridge.closing.route": "a leg that waits for its route ends as soon as it is told to, and the call with it",
    "leg/stray: stray.cancel": "a CANCEL is for an INVITE that came in; a stray leg refuses all of those",
    "leg/uac: leg.reinviting.glare_over": "as the row says: no re-INVITE starts while the glare timer runs",
    "leg/uac: uac.cancelling.provisional": "our transaction keeps provisional responses after CANCEL to itself; others may not",
    "leg/uac: uac.idle.bye": NO_DIALOG,
    "leg/uac: uac.idle.requests": NO_DIALOG,
    "leg/uas: leg.reinviting.glare_over": "as the row says: no re-INVITE starts while the glare timer runs",
    "leg/uas: uas.idle.bye": NO_DIALOG,
    "leg/uas: uas.idle.requests": NO_DIALOG,
    "phone/caller: caller.answered.late": "a leg that is up or hanging up does not say again that it was answered",
}
"""Rows that totality asks for and no sequence of messages reaches, each with the reason."""


@pytest.mark.slow
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
