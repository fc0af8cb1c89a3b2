"""The page of races names every race and every scenario that there is, and none that there is not."""

from __future__ import annotations

import re

from tests.scenarios.catalogue import load
from tests.scenarios.page import PAGE
from tests.scenarios.races import RACES

MEND = "run python -m tests.scenarios.page"


def test_the_page_is_up_to_date_with_the_scenarios():
    text = PAGE.read_text(encoding="utf-8")
    named = set(re.findall(r"`(\w+)` \| ", text)) | set(re.findall(r'<details id="(\w+)">', text))
    assert named == set(load()), MEND
    assert [race.wrong for race in RACES if race.wrong not in text] == [], MEND


def test_every_race_names_scenarios_that_exist_or_says_what_it_waits_for():
    stories = load()
    for race in RACES:
        assert set(race.scenarios) <= stories.keys()
        assert race.scenarios or race.missing
