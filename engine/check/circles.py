"""Circles in a graph of states: strongly connected components that nothing leads out of."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence

    from calltable.engine.check.sources import Edge

Node = TypeVar("Node", bound="Hashable")


def closed_circles(states: Iterable[str], edges: Mapping[str, Sequence[Edge]]) -> list[set[str]]:
    """The sets of states that can all follow one another, and that no edge leaves. A state without edges is one, too."""
    after = {state: {edge.target for edge in edges.get(state, ())} for state in states}
    return [circle for circle in components(after) if all(after.get(state, set()) <= circle for state in circle)]


def components(after: Mapping[Node, Iterable[Node]]) -> Iterator[set[Node]]:
    """The strongly connected components of a graph (Tarjan's algorithm, without recursion)."""
    number: dict[Node, int] = {}
    low: dict[Node, int] = {}
    stack: list[Node] = []
    waiting: set[Node] = set()
    for start in after:
        if start in number:
            continue
        walk = [(start, iter(after[start]))]
        number[start] = low[start] = len(number)
        stack.append(start)
        waiting.add(start)
        while walk:
            node, rest = walk[-1]
            for target in rest:
                if target not in number:
                    number[target] = low[target] = len(number)
                    stack.append(target)
                    waiting.add(target)
                    walk.append((target, iter(after.get(target, ()))))
                    break
                if target in waiting:
                    low[node] = min(low[node], number[target])
            else:
                walk.pop()
                if walk:
                    low[walk[-1][0]] = min(low[walk[-1][0]], low[node])
                if low[node] == number[node]:
                    circle: set[Node] = set()
                    while node not in circle:
                        circle.add(stack.pop())
                    waiting -= circle
                    yield circle
