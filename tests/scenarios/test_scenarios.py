"""Every scenario, over real SIP bytes: it ends as it must, at both sides, and nothing is left over."""

from __future__ import annotations

import pytest

from tests.scenarios.catalogue import load

SCENARIOS = load()


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] if story.slow else []) for name, story in SCENARIOS.items()]
)
def test_scenario(name: str):
    SCENARIOS[name].run()
