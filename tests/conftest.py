"""What every test stands on: nothing reaches beyond this machine, Hypothesis is repeatable, slow programs are told.

Tests never sleep: time is a virtual clock that the test moves.
"""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

# CI draws the same examples every time, so that a red run means the change and not the dice; a developer's run
# goes on looking.
settings.register_profile("ci", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("developer", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("ci" if os.environ.get("CI") else "developer")
