"""Which source an address is, and which figures it has."""

from __future__ import annotations

import pytest

from calltable.limits.figures import Figures, Plan, networks, source_key


@pytest.mark.parametrize(("host", "key"), [
    ("192.0.2.7", "192.0.2.7"), ("2001:db8:1:2:3::9", "2001:db8:1:2::/64"), ("2001:db8:1:2:ffff::", "2001:db8:1:2::/64"),
    ("fe80::1%2", "fe80::/64"), ("::ffff:192.0.2.7", "192.0.2.7"), ("::1", "::/64"),
])  # fmt: skip
def test_a_source_is_an_ipv4_address_or_the_64_of_an_ipv6_address(host: str, key: str):
    assert source_key(host) == key


def test_the_longest_prefix_counts_whatever_the_order():
    wide, narrow = Figures(rate=1), Figures(rate=2)
    for sources in ([("10.0.0.0/8", wide), ("10.1.0.0/16", narrow)], [("10.1.0.0/16", narrow), ("10.0.0.0/8", wide)]):
        plan = Plan(sources=tuple((networks([text])[0], figures) for text, figures in sources))
        assert plan.figures("10.1.2.3") is narrow
        assert plan.figures("10.2.2.3") is wide
        assert plan.figures("11.2.2.3") is plan.default


def test_this_machine_has_no_limits_unless_it_is_named():
    assert Plan().figures("127.0.0.1", ("127.0.0.1",)).exempt
    assert not Plan().figures("127.0.0.2", ("127.0.0.1",)).exempt
    named = Plan(sources=((networks(["127.0.0.0/8"])[0], Figures(rate=3)),))
    assert named.figures("127.0.0.1", ("127.0.0.1",)).rate == 3


def test_ipv6_networks_match_the_source():
    plan = Plan(sources=((networks(["2001:db8::/32"])[0], Figures(exempt=True)),))
    assert plan.figures(source_key("2001:db8::5")).exempt
    assert not plan.figures(source_key("2001:db9::5")).exempt


@pytest.mark.parametrize("text", ["10.0.0.1/8", "somewhere", "10.0.0.0/33", ""])
def test_what_is_no_network_is_named(text: str):
    with pytest.raises(ValueError, match="is neither an IP address nor a network"):
        networks([text])
