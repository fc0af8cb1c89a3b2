"""Every scenario, over real SIP bytes: it ends as it must, at both sides, and nothing is left over."""

from __future__ import annotations

import pytest

from tests.scenarios.catalogue import load

SCENARIOS = load()


@pytest.mark.parametrize("name", SCENARIOS)
def test_scenario(name: str):
    SCENARIOS[name].run()
