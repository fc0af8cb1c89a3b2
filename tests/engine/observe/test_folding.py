"""Repeated log records become a few lines and a count, on the virtual clock."""

from __future__ import annotations

import logging

import pytest

from calltable.adapters.simulated.clock import VirtualClock
from calltable.engine.observe.folding import FIRST, WINDOW, Folding


@pytest.fixture
def scene(caplog):
    """A clock, a folding logger, and what it has written."""
    logger = logging.getLogger("test.folding")
    caplog.set_level("INFO", logger.name)
    clock = VirtualClock()
    return clock, Folding(logger, clock), caplog


def told(caplog):
    return [(record.getMessage(), record.parts.get("repeated", 0)) for record in caplog.records]


def test_the_first_are_written_and_the_rest_counted_when_the_window_ends(scene):
    clock, log, caplog = scene
    for number in range(200_000):
        log.info("malformed message from %s", number)
    assert len(caplog.records) == FIRST
    clock.advance(WINDOW)
    assert told(caplog)[FIRST:] == [("malformed message from 199999", 200_000 - FIRST)]
    assert caplog.records[-1].parts["seconds"] == WINDOW


def test_after_the_window_records_are_written_again(scene):
    clock, log, caplog = scene
    for _ in range(FIRST + 1):
        log.info("x")
    clock.advance(WINDOW)
    log.info("x")
    assert told(caplog) == [*[("x", 0)] * FIRST, ("x", 1), ("x", 0)]


def test_a_flood_that_goes_on_writes_a_few_lines_a_window(scene):
    clock, log, caplog = scene
    for _ in range(1000):
        log.info("x")
        clock.advance(0.1)
    clock.advance(WINDOW)
    windows = 100 / WINDOW
    assert len(caplog.records) <= (FIRST + 1) * (windows + 1)
    assert sum(repeated or 1 for _, repeated in told(caplog)) == 1000


def test_what_is_rare_is_never_folded_and_arms_no_timer(scene):
    clock, log, caplog = scene
    for _ in range(20):
        log.warning("rare")
        clock.advance(WINDOW)
    assert told(caplog) == [("rare", 0)] * 20


def test_kinds_and_levels_are_counted_apart(scene):
    _, log, caplog = scene
    for _ in range(FIRST):
        log.info("a %s", 1)
        log.info("b %s", 1)
        log.warning("a %s", 1)
    assert len(caplog.records) == 3 * FIRST


def test_below_its_level_nothing_is_counted(scene):
    _, log, caplog = scene
    caplog.set_level("WARNING", log.log.name)
    for _ in range(100):
        log.info("x")
    assert not log._kinds
