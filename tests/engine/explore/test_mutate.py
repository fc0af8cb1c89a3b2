"""Mutants: they are what they say they are, and who notices them is told truly."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from calltable.adapters.sip.explore.compositions import COMPOSITIONS, EXTRA
from calltable.engine.explore.mutate import MISSED, UNCHANGED, Judge, mutants, tally
from calltable.engine.language.load import load_tables
from calltable.tools.commands.mutants import share, summary


@pytest.fixture(scope="module", name="library")
def _library():
    return load_tables()


@pytest.fixture(scope="module", name="judge")
def _judge(library):
    return Judge(library, COMPOSITIONS)


def mutant(library, machine, row, what):
    """The mutant of a row whose description begins with ``what``."""
    return next(one for one in mutants(library, [machine], EXTRA) if one.row == row and one.what.startswith(what))


def test_every_mutant_differs_from_its_table_in_one_row(library):
    count = 0
    for one in mutants(library, ["transaction/client", "leg/stray"]):
        rows, shipped = one.model.rows, library.machines[one.machine].rows
        changed = {key for key in shipped if rows.get(key) != shipped[key]}
        assert changed == {one.row}, str(one)
        assert set(rows) <= set(shipped)
        count += 1
    assert count > 100


def test_there_are_mutants_of_every_kind(library):
    kinds = Counter(one.kind for one in mutants(library, (), EXTRA))
    assert set(kinds) == {
        "delete row", "lose event", "drop action", "double action", "swap send", "add send", "drop publish", "drop set",
        "turn set", "negate guard", "drop guard", "stay", "wrong state",
    }  # fmt: skip
    assert min(kinds.values()) > 0


@pytest.mark.parametrize(
    ("machine", "row", "what", "caught"),
    [
        ("leg/uac", "uac.cancelling.success", "the row is gone", "gate 2"),
        ("leg/uac", "uac.cancelling.success", "sip.acknowledge is forgotten", "gate 5"),
        ("leg/uac", "leg.ending.final", "stays instead", "gate 3"),
        ("leg/uac", "leg.active.hangup", "goes to terminated", "gate 4"),
        ("leg/uac", "uac.unanswered.hangup", "sip.cancel is forgotten", "gate 3"),
        ("b2bua/bridge", "bridge.b.hung_up", "child.tell a user.hangup is forgotten", "call"),
        ("transaction/invite_client", "invite_client.unheard.a", "sip.retransmit is forgotten", "invite-transaction"),
    ],
)
def test_the_first_to_notice_is_named(library, judge, machine, row, what, caught):
    verdict = judge.judge(mutant(library, machine, row, what))
    assert verdict.caught.startswith(caught if machine != "b2bua/bridge" else "bridge"), verdict
    assert verdict.detail
    assert verdict.counts


@pytest.mark.slow
def test_what_nobody_can_see_is_no_mistake(library, judge):
    verdict = judge.judge(mutant(library, "b2bua/bridge", "bridge.unanswered.answered", "invite is not set"))
    assert (verdict.caught, verdict.why) == ("", UNCHANGED)
    assert not verdict.counts


@pytest.mark.slow
def test_a_sample_reaches_the_target(library, judge):
    every = list(mutants(library, (), EXTRA))
    chosen = random.Random(5).sample(every, 40)
    verdicts = [judge.judge(one) for one in chosen]
    assert share(verdicts) >= 0.9, [str(one.mutant) for one in verdicts if one.why == MISSED]
    assert sum(tally(verdicts).values()) == len(chosen)
    assert any("of the mutants that change behaviour are caught" in line for line in summary(verdicts))
