"""Static check 3: nothing in a table is out of reach, and no session can wait for ever.

Some events *must come* sooner or later, whatever the parties do: an ``after`` row's, a running timer's, the
outcome of an awaited action, the end of a child (its own table is checked too), ``engine.started``; what a child that may
last and an action that the other side may leave open are good for, ``certain.py`` says. Two things
together keep a session from waiting for ever, and each state is held to both:

1. in every way of reaching the state at least one such event is on its way. A timer that keeps firing without
   a row that leaves the state does not count;
2. along rows that take such events a path leads to a final state, or to a state that declares with ``lasts``
   that the parties may stay there as long as they like. (A circle of timers is no way out.)

A state that ``lasts`` needs a row that leads out for an event its parties must be able to end it with.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from calltable.engine.check.circles import closed_circles
from calltable.engine.check.sources import Source, literal
from calltable.engine.model import FAILED, STARTED, Problem

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from collections.abc import Set as AbstractSet

    from calltable.engine.check.flow import Config, Reachability, Step
    from calltable.engine.check.sources import Edge
    from calltable.engine.model import Machine, Row, State

JOINT = 8
"""How many sources are looked at together to see whether one of them is always live."""

SHOWN = 12
"""How many rows of a path a message names."""


def gate_three(flow: Reachability) -> Iterator[Problem]:
    """Unreachable states, states without a way out, waiting and deferring for ever. Dead rows are apart."""
    machine = flow.machine
    live = [machine.states[name] for name in machine.states if name in flow.reachable and not machine.states[name].final]
    yield from _unreachable(flow)
    yield from _unborn(flow)
    yield from _lasting(flow)
    edges = {state.name: flow.edges(state.name) for state in live}
    ends = {name for name, state in machine.states.items() if state.final}
    # a session that fails ends too, but a fault is not a way out
    regular = {name: [edge for edge in of if edge.event != FAILED] for name, of in edges.items()}
    stuck = {state.name for state in live} - _leading_to(ends, regular)
    for state in live:
        if state.name in stuck:
            yield _at(
                machine, state, "no-way-out", f"no final state is reachable from {state.name}",
                f"add a row that leads to {_or(sorted(ends))}; from here {_whereto(_beyond(state.name, regular))} can be reached",
            )  # fmt: skip
    yield from _waiting(flow, [state for state in live if state.name not in stuck], edges, ends)
    yield from _deferring(flow, edges)


# --------------------------------------------------------------------------- reach


def _unborn(flow: Reachability) -> Iterator[Problem]:
    """Children that are told something, or let go, where no path has started them yet."""
    machine = flow.machine
    for row in machine.rows.values():
        states = [state for state in row.states if state in flow.reachable]
        started: set[str] = set()
        for action in row.actions:
            name = literal(action, "to" if action.name == "child.tell" else "name")
            if action.name == "child.start":
                started.add(name or "")
            elif action.name in ("child.tell", "child.end") and name in machine.children and name not in started:
                alive = flow.alive.get(Source("child", name or ""), set())
                if states and not alive.intersection(states):
                    what = "sent an event" if action.name == "child.tell" else "detached"
                    yield Problem(
                        action.position, f"child {name} is {what} where it is never running", machine.name, row.id, row.state_text,
                        row.events[0] if len(row.events) == 1 else "",
                        f"start it first, or remove the action: it can be running in {_or(sorted(alive)) if alive else 'no state'}", 3, "child-unborn",
                    )  # fmt: skip


def _unreachable(flow: Reachability) -> Iterator[Problem]:
    machine = flow.machine
    for state in machine.states.values():
        if state.name in flow.reachable:
            continue
        leading = [row.id for row in machine.rows.values() if row.next_state == state.name]
        hint = (
            f"{_rows(leading)} would lead here, but can never match" if leading
            else "add a row that leads here, or remove the state"
        )  # fmt: skip
        yield _at(machine, state, "unreachable-state", f"state {state.name} is unreachable", hint)


def dead_rows(flows: Sequence[Reachability]) -> Iterator[Problem]:
    """Rows that are never taken. One of a fragment is dead only if it is dead wherever it is included."""
    verdicts: dict[tuple[str, str, str], list[tuple[Reachability, Row, str]]] = {}
    for flow in flows:
        for row in flow.machine.rows.values():
            key = (row.origin or flow.machine.name, row.id, str(row.position))
            verdicts.setdefault(key, []).append((flow, row, why_dead(flow, row)))
    for found in verdicts.values():
        flow, row, why = found[0]
        if all(reason for _, _, reason in found):
            event = row.events[0] if len(row.events) == 1 else ""
            yield Problem(
                row.position, f"row {row.id} is never taken: {why}", flow.machine.name, row.id, row.state_text, event,
                "remove the row, or fix what prevents it from matching", 3, "dead-row",
            )  # fmt: skip


def why_dead(flow: Reachability, row: Row) -> str:
    """Why the row is never taken, or an empty text. One whose states are all out of reach is not reported."""
    states = [state for state in row.states if state in flow.reachable and not flow.machine.states[state].final]
    if not states:
        return ""
    if not flow.truth.satisfiable(row):
        return f"its guards can never be true ({row.guard_text})"
    cells = [(state, event) for state in states for event in row.events if flow.may_arrive(state, event)]
    if not cells:
        return "; ".join(dict.fromkeys(_never(flow, event) for event in row.events))
    first: set[str] = set()
    for state, event in cells:
        if flow.chooses(row, state, event):
            return ""
        first.update(one.id for one in flow.rows(state, event))
    return f"{_rows(sorted(first))} take{'s' if len(first) == 1 else ''} every case first"


def _never(flow: Reachability, event: str) -> str:
    """Why an event does not come where a row waits for it."""
    if event == STARTED:
        return f"{event} arrives only in state {flow.machine.initial}, when the session starts"
    sources = flow.producers.get(event, {})
    if not sources:
        known = flow.machine.events.get(event)
        if known is not None and known.source == "child":
            return f"the machine of child {known.of} never raises {event}"
        return f"no action that can lead to {event} is used"
    names = _or(sorted({str(source) for source in sources}))
    alive = sorted({state for source in sources for state in flow.alive.get(source, ())})
    where = f"is active only in {_or(alive)}" if alive else "is never active"
    return f"{event} cannot arrive there: {names} {where}"


# --------------------------------------------------------------------------- waiting


def _waiting(
    flow: Reachability, states: Sequence[State], edges: Mapping[str, Sequence[Edge]], ends: set[str]
) -> Iterator[Problem]:
    machine = flow.machine
    driven = {name: [edge for edge in of if must_come(flow, name, edge.event)] for name, of in edges.items()}
    provided = _Provided(flow, edges)
    paths = {state.name: provided.path(state.name) for state in states if not state.lasts}
    lasting = {name for name, state in machine.states.items() if state.lasts}
    told = {name for name, path in paths.items() if path is not None}
    unsafe = paths.keys() - _leading_to(ends | lasting | told, driven)
    # states that only lead into a circle are not told beside it
    circling = {state for circle in closed_circles(unsafe, driven) for state in circle}
    for state in states:
        path = paths.get(state.name)
        if path is not None:
            shown = path if len(path) <= SHOWN else [*path[:2], f"… {len(path) - SHOWN + 1} more …", *path[3 - SHOWN :]]
            way = f"after {_rows(shown, ' → ')}, " if path else ""
            message = f"a session can wait forever in state {state.name}: {way}no event is certain to arrive"
        elif state.name in circling:
            events = sorted({edge.event for edge in driven[state.name]})
            more = f": a session can loop forever on {_or(events)}" if events else ""
            message = f"no final state is reachable from {state.name} by events that must arrive{more}"
        else:
            continue
        yield _at(
            machine, state, "waits-for-ever", message,
            "add an `after` row that leaves the state, start a timer before entering it, or, if the parties may stay as long "
            'as they like, declare `lasts: "until …"`',
        )  # fmt: skip


def must_come(flow: Reachability, state: str, event: str) -> bool:
    """Whether the event ends something that must end: it can be relied on to come while that is live."""
    if not flow.may_arrive(state, event):
        return False
    return event == STARTED or any(ends or source.kind == "repeating" for source, ends in flow.producers.get(event, {}).items())


class _Provided:
    """Whether something that must come is on its way, in every way of reaching a state."""

    def __init__(self, flow: Reachability, edges: Mapping[str, Sequence[Edge]]) -> None:
        self.flow = flow
        self.sources: dict[str, list[Source]] = {}
        """By state, what may be on its way there, and is worth waiting for."""
        leaving = {state: {edge.event for edge in of if edge.target != state} for state, of in edges.items()}
        for source in flow.sources:
            events = flow.raised[source]
            for state in self._places(source):
                if any(events.values()) or (source.kind == "repeating" and leaving.get(state, frozenset()) & events.keys()):
                    self.sources.setdefault(state, []).append(source)
        self._bare: dict[Source, set[str]] = {}
        self._walks: dict[tuple[Source, ...], dict[Config, Step] | None] = {}

    def _places(self, source: Source) -> AbstractSet[str]:
        if source.kind == "after":
            return self.flow.machine.rows[source.name].states.keys()
        return self.flow.alive.get(source, set())

    def path(self, state: str) -> list[str] | None:
        """A shortest list of rows that leads into the state with nothing on its way; None where there is none."""
        wanted = self.sources.get(state, [])
        if any(state not in self._without(source) for source in wanted):
            return None
        groups = [[source, *self.flow.certainty.of(source)] for source in wanted[:JOINT]]
        sources = [one for group in groups for one in group]
        # around the state first, which costs little; the walk from the start shows the path
        near = self._walk(sources, region={place for source in wanted[:JOINT] for place in self._places(source)} | {state})
        if near is not None and not any(at == state and not _relied_on(groups, counts) for at, counts, _ in near):
            return None
        path = None
        for exact in (False, True):
            seen = self._walk(sources, exact=exact)
            if seen is not None:
                config = next((one for one in seen if one[0] == state and not _relied_on(groups, one[1])), None)
                if config is None:
                    return None
                path = _path(seen, config)
        return path

    def _without(self, source: Source) -> set[str]:
        """The states in which the source is not sure to be on its way."""
        if source not in self._bare:
            group = [source, *self.flow.certainty.of(source)]
            walked = self._walk(group, region=set(self._places(source))) or {}
            self._bare[source] = {name for name, counts, _ in walked if not _relied_on([group], counts)}
        return self._bare[source]

    def _walk(self, group: Sequence[Source], *, exact: bool = False, region: set[str] | None = None) -> dict[Config, Step] | None:
        if region is not None and not any(source.kind == "held" for source in group):
            return self.flow.walk(group, region=region)
        key = (*group, Source("held", "")) if exact else tuple(group)
        if key not in self._walks:
            self._walks[key] = self.flow.walk(group, exact=exact)
        return self._walks[key]


def _relied_on(groups: Sequence[Sequence[Source]], counts: Sequence[int]) -> bool:
    """Whether one source (the first of each group) is live, and can be relied on where that takes one of the others."""
    at = 0
    for group in groups:
        live, *others = counts[at : at + len(group)]
        if live and (not others or any(others)):
            return True
        at += len(group)
    return False


def _path(seen: Mapping[Config, Step], config: Config) -> list[str]:
    rows: list[str] = []
    at: Config | None = config
    while at is not None and (step := seen[at]) is not None:
        at, edge = step
        rows.append(edge.row.id)
    return rows[::-1]


def _lasting(flow: Reachability) -> Iterator[Problem]:
    machine = flow.machine
    for state in machine.states.values():
        if not state.lasts or state.name not in flow.reachable:
            continue
        if state.final:
            yield _at(machine, state, "lasts-in-final", f"state {state.name} is final and cannot have `lasts`",
                      "remove `lasts`")  # fmt: skip
            continue
        outs = [
            edge for edge in flow.edges(state.name)
            if edge.target != state.name and machine.events[edge.event].must_take
            and machine.events[edge.event].source == "interface"
        ]  # fmt: skip
        if not outs:
            ways = sorted(e.name for e in machine.events.values() if e.must_take and e.source == "interface")
            yield _at(
                machine, state, "lasts-without-exit",
                f"state {state.name} may last ({state.lasts}), but no event lets a party end it",
                f"add a row that leaves it on {_or(ways)}" if ways else "receive an interface with an event that is `must_take`",
            )  # fmt: skip


# --------------------------------------------------------------------------- deferring


def _deferring(flow: Reachability, edges: Mapping[str, Sequence[Edge]]) -> Iterator[Problem]:
    """Deferred events that no later state takes, or that are held where a session may stay as long as it likes."""
    machine = flow.machine
    following: dict[str, set[str]] = {}
    for row in machine.rows.values():
        for event in row.events if row.kind == "defer" else ():
            if event not in following:
                taking = {state for state in edges if any(one.kind == "row" for one in flow.rows(state, event))}
                following[event] = _leading_to(taking, edges)
            later = following[event]
            held = [
                state for state in row.states
                if state in edges and flow.may_arrive(state, event) and flow.chooses(row, state, event)
            ]  # fmt: skip
            hopeless = [
                state for state in held if not any(edge.target in later for edge in edges[state] if edge.target != state)
            ]  # fmt: skip
            lasting = [state for state in held if machine.states[state].lasts]
            where = ", ".join(hopeless or lasting)
            if hopeless:
                message = f"{event} is deferred in {where}, but no later state handles it"
                later_ = [one for one in _beyond(hopeless[0], edges) if not machine.states[one].final]
                hint = f"handle {event} in {_or(later_)}, or refuse or ignore it here" if later_ else "refuse or ignore it here"
            elif lasting:
                message = f"{event} is deferred in {where}, which may last: {machine.states[lasting[0]].lasts}"
                hint = "handle it there, or refuse or ignore it: a deferred event waits until the state is left"
            else:
                continue
            yield Problem(row.position, message, machine.name, row.id, where, event, hint, 3, "deferred-for-ever")


# --------------------------------------------------------------------------- graphs and words


def _leading_to(goals: Iterable[str], edges: Mapping[str, Sequence[Edge]]) -> set[str]:
    """The goals, and every state from which a path leads to one."""
    before: dict[str, list[str]] = {}
    for state, of in edges.items():
        for edge in of:
            before.setdefault(edge.target, []).append(state)
    found = set(goals)
    todo = list(found)
    while todo:
        new = [state for state in before.get(todo.pop(), ()) if state not in found]
        found.update(new)
        todo += new
    return found


def _beyond(state: str, edges: Mapping[str, Sequence[Edge]]) -> list[str]:
    """The states that can follow, nearest first, without ``state`` itself."""
    found: dict[str, None] = {}
    queue = deque([state])
    while queue:
        for edge in edges.get(queue.popleft(), ()):
            if edge.target not in found and edge.target != state:
                found[edge.target] = None
                queue.append(edge.target)
    return list(found)


def _at(machine: Machine, state: State, code: str, message: str, hint: str) -> Problem:
    return Problem(state.position, message, machine.name, "", state.name, "", hint, 3, code)


def _rows(ids: Sequence[str], joint: str = ", ") -> str:
    return f"row{'s' if len(ids) > 1 else ''} {joint.join(ids)}"


def _whereto(states: list[str]) -> str:
    return f"only {_or(states)}" if states else "no other state"


def _or(names: Sequence[str]) -> str:
    return " or ".join(filter(None, (", ".join(names[:-1]), names[-1]))) if names else "nothing"
