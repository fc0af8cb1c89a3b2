"""The checks' work grows with the table, not with its square: counted in calls of functions, so that no clock decides."""

from __future__ import annotations

import sys

import pytest

from calltable.engine.check.check import check
from calltable.engine.language.load import load_tables
from tests.engine.small import CATALOGUE
from tests.engine.wide import SHAPES


def calls(work) -> int:
    """How many functions a piece of work calls, those written in C and steps of generators included."""
    count = 0

    def note(frame, event, argument):
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(note)
    try:
        work()
    finally:
        sys.setprofile(None)
    return count


def load(shape, size):
    return load_tables(texts={"catalogue.yaml": CATALOGUE, "wide.yaml": SHAPES[shape](size)})


@pytest.mark.parametrize("shape", SHAPES)
def test_a_table_twice_as_wide_takes_about_twice_the_work(shape):
    counted = []
    for size in (20, 80):
        library = load(shape, size)
        counted.append(calls(lambda library=library: check(library)))
    # four times the rows: four times the work, and a little for sorting; the square would be sixteen times
    assert counted[1] < 5 * counted[0], counted


@pytest.mark.slow
def test_loading_grows_alike():
    load("sound", 1)
    counted = [calls(lambda size=size: load("sound", size)) for size in (20, 80)]
    assert counted[1] < 5 * counted[0], counted
