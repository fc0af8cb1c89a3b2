"""Reads the figures of sources from a configuration: ``limits: default``, ``limits: sources`` and what stands beside them.

The shape has been held to the schema before; what was complained about there is passed over here. What a schema cannot say, that a text
is an IP address or a network, is told with its place.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from calltable.limits import Figures, Plan, networks

if TYPE_CHECKING:
    from collections.abc import Collection

    from calltable.engine.language import Node
    from calltable.engine.model import Report
    from calltable.limits import Network

_FIGURES: Final = ("rate", "burst", "early", "calls", "transactions", "strays", "replies", "exempt")


def read_plan(limits: Node, bad: Collection[int], shed: float | None, report: Report) -> Plan:
    """The plan in a ``limits:`` section. ``bad`` are the nodes whose shape is wrong; ``shed`` was read already, seconds."""
    plan = Plan()
    given: dict[str, Any] = {}
    default = limits.get("default")
    if default is not None:
        plan = replace(plan, default=_figures(default, plan.default, bad))
    node = limits.get("sources")
    found: list[tuple[Network, Figures]] = []
    for item in node.items if node is not None and isinstance(node.value, list) else ():
        match = item.get("match") if isinstance(item.value, dict) else None
        if match is None:
            if id(item) not in bad:
                report.add(item.position, "a source says which one it is", code="value", hint="write match: 10.0.0.0/8")
            continue
        figures = _figures(item, plan.default, bad)
        found += [(_source(network), figures) for network in read_networks(match, bad, report)]
    if found:
        given["sources"] = tuple(found)
    share = limits.get("share")
    if share is not None and id(share) not in bad:
        given["share"] = int(share.text) / 100
    emergency = limits.get("emergency")
    if emergency is not None and id(emergency) not in bad:
        given["emergency"] = tuple(one.text for one in emergency.items)
    if shed is not None:
        given["shed"] = shed
    return replace(plan, **given)


def read_networks(node: Node, bad: Collection[int], report: Report) -> tuple[Network, ...]:
    """Networks, or addresses, in a list or alone."""
    found: list[Network] = []
    for item in node.items if isinstance(node.value, list) else (node,):
        if id(item) in bad and not isinstance(item.value, str):
            continue
        try:
            found += networks([item.text])
        except ValueError as error:
            report.add(item.position, str(error), code="value", hint="write 10.0.0.0/8, 192.0.2.1 or '2001:db8::/32'")
    return tuple(found)


def _source(network: Network) -> Network:
    """The network as sources are counted: an IPv6 address stands for the /64 that it is in."""
    return network.supernet(new_prefix=64) if network.version == 6 and network.prefixlen > 64 else network


def _figures(node: Node, default: Figures, bad: Collection[int]) -> Figures:
    given: dict[str, Any] = {}
    for name in _FIGURES:
        one = node.get(name)
        if one is not None and id(one) not in bad:
            given[name] = one.value
    return replace(default, **given)
