"""Limits by source in ``calltable.yaml``: what is read, and what is told where it is wrong."""

from __future__ import annotations

import pytest

from calltable.limits import Figures, Plan
from calltable.server.config import ConfigError, parse_config

ROUTES = "routes: [{target: sip:a}]\n"


def plan(text: str) -> Plan:
    return parse_config(f"{ROUTES}{text}\n").sources


def problems(text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        parse_config(f"{ROUTES}{text}\n", "c.yaml")
    return [f"{one.position.line}:{one.position.column} {one.message}" for one in caught.value.problems]


def test_without_a_word_every_source_has_the_default_figures():
    assert plan("") == Plan()
    assert plan("limits: {calls: 5}") == Plan()


def test_figures_of_a_source_stand_on_those_of_all():
    found = plan("""limits:
  default: {rate: 5, early: 7}
  share: 30
  emergency: [110, '112']
  shed: 200ms
  sources:
    - {match: 10.0.0.0/8, rate: 300, burst: 900}
    - {match: ['192.0.2.1', '2001:db8::/32'], exempt: true}
""")
    assert found.default == Figures(rate=5, early=7)
    assert (found.share, found.emergency, found.shed) == (0.3, ("110", "112"), 0.2)
    assert found.figures("10.1.1.1") == Figures(rate=300, burst=900, early=7)
    assert found.figures("192.0.2.1").exempt
    assert found.figures("2001:db8::/64").exempt
    assert found.figures("192.0.2.2") == found.default


def test_a_single_ipv6_address_stands_for_its_64():
    assert plan("limits: {sources: [{match: '2001:db8::7', exempt: true}]}").figures("2001:db8::/64").exempt


def test_trusted_networks():
    assert [str(one) for one in parse_config(f"{ROUTES}trusted: [10.0.0.0/8, '::1']\n").trusted] == ["10.0.0.0/8", "::1/128"]


def test_all_mistakes_are_told_at_once():
    found = problems("""limits:
  default: {rate: 0, speed: 4}
  share: 200
  shed: soon
  sources:
    - {rate: 4}
    - {match: 10.0.0.1/8}
    - {match: [somewhere, 10.0.0.1]}
trusted: [nobody]
""")
    for place, words in (("3:19", "rate"), ("3:22", "speed"), ("4:10", "share"), ("5:9", "soon"), ("7:7", "which one"),
                         ("8:15", "10.0.0.1/8"), ("9:16", "somewhere"), ("10:11", "nobody")):  # fmt: skip
        assert any(line.startswith(f"{place} ") and words in line for line in found), (place, words, found)
