"""The explorer with the rows that are off by default: legs that ask whether their peer is there, calls that last only so long."""

from __future__ import annotations

import dataclasses

import pytest

from calltable.adapters.sip.explore.compositions import COMPOSITIONS
from calltable.engine.explore.explorer import explore
from calltable.engine.language.load import load_tables


@pytest.mark.slow
@pytest.mark.parametrize("name", ["call", "bridge-timers"])
def test_the_tables_hold_with_everything_on_that_a_server_has_on(name: str):
    library = load_tables()
    config = dict(library.catalogue.config)
    for setting, value in (("liveness_check", True), ("max_duration", 43_200.0)):
        config[setting] = dataclasses.replace(config[setting], default=value)
    catalogue = dataclasses.replace(library.catalogue, config=config)
    (found,) = explore(library.machines, catalogue, COMPOSITIONS, only=[name])
    assert found.result.finding is None
    assert found.result.complete
    assert ("leg/uac", "leg.active.check_first") in found.result.rows
