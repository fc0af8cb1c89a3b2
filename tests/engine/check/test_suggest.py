"""What is suggested for holes: pasted, it leaves none of them and brings nothing new, or it is withheld with the reason."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calltable.engine.check.check import check
from calltable.engine.language.load import load_tables
from calltable.engine.model.problems import TableError
from tests.engine.small import CATALOGUE, PHONE, changed, without

IDS = re.findall(r"id: (phone\.[\w.]+),", PHONE)
WITHHELD = "no fix is suggested"


def problems_of(text):
    return check(load_tables(texts={"catalogue.yaml": CATALOGUE, "phone.yaml": text}))


def pasted(text, problems):
    """The table with every suggestion of a report pasted in."""
    for problem in problems:
        if problem.code == "hole" and not problem.hint.startswith(WITHHELD):
            text += "".join(f"{line[4:]}\n" for line in problem.hint.splitlines()[1:])
    return text


def keys(problems):
    return {(one.code, one.row, one.state, one.event) for one in problems}


def holds(text):
    problems = problems_of(text)
    after = problems_of(pasted(text, problems))
    kept = [one for one in problems if one.code != "hole" or one.hint.startswith(WITHHELD)]
    assert keys(after) <= keys(kept), after
    ids = re.findall(r"- id: (\S+)", "\n".join(one.hint for one in problems))
    assert len(ids) == len(set(ids))
    return problems


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(gone=st.sets(st.sampled_from(IDS), min_size=1, max_size=4), narrowed=st.booleans(), flagged=st.booleans())
def test_pasting_every_suggestion_leaves_no_hole_and_brings_nothing_new(gone, narrowed, flagged):
    text = PHONE
    for one in gone:
        text = re.sub(rf"  - (\{{id: {re.escape(one)},.*\}}|id: {re.escape(one)}\n(    .*\n)+)\n?", "", text)
    if narrowed:
        text = text.replace("event: peer.info, ignore: late", "event: peer.info, guards: [event.code in [200, 300]], ignore: late")
    if flagged:
        text = text.replace("event: peer.bye, next_state: over", "event: peer.bye, guards: [tries > 2 or held], next_state: over", 1)
    try:
        load_tables(texts={"catalogue.yaml": CATALOGUE, "phone.yaml": text})
    except TableError:
        return  # an action is gone of which another row awaits the outcome
    holds(text)


def test_what_another_check_would_refuse_is_not_suggested():
    """The session waits for the outcome: to ignore it as late would be the next problem."""
    text = without("phone.opening.ready", without("phone.opening.failed"))
    problems = holds(text)
    assert not any("ignore: late" in one.hint for one in problems if "media" in one.event)


def test_every_case_that_is_not_handled_gets_a_row():
    text = changed(("event: peer.info, ignore: late", "event: peer.info, guards: [event.code == 5], ignore: late"))
    [hole] = holds(text)
    assert hole.message == "no row handles peer.info in states idle, opening, active, ending where event.code = 4, nor in 1 other case"
    assert hole.hint.count("- id: ") == 2


def test_a_word_of_an_enum_is_suggested_as_it_loads():
    text = changed(("  held: {type: bool}", "  held: {type: bool}\n  mood: {type: enum, values: [good, bad]}"),
                   ("guards: [held], set: {held: false}", "guards: [held and mood == good], set: {held: false, mood: bad}"))  # fmt: skip
    [hole] = holds(text)
    assert "mood == " in hole.hint


OVERLAY = "calltable: 1\noverlay: phone\nremove: [phone.ending.bye]\nreplace:\n  - {id: phone.hold, state: idle, event: user.hold, refuse: no}\n"


def test_what_an_overlay_causes_is_told_at_its_line():
    library = load_tables(texts={"catalogue.yaml": CATALOGUE, "phone.yaml": PHONE, "overlay.yaml": OVERLAY})
    told = [(str(one.position), one.state, one.event) for one in check(library)]
    assert told == [("overlay.yaml:3:10", "ending", "peer.bye"), ("overlay.yaml:5:10", "ending", "user.hold")]
