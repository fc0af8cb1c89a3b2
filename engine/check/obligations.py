"""Static checks 4 and 5: outcomes are awaited, and obligations are met exactly once.

Static check 4 looks at the actions of each row and at the state the row leads to. Static check 2 has made sure that every outcome
has a row there; this one makes sure that the row wants it. An action is reported if its last outcome reaches a session that
has ended, or is ignored as «late» in the very state that waits for it: nobody would learn what became of it.

Static check 5 follows *obligations*. The catalogue says which events and actions open one (``acquires``) and which meet
it (``releases``): a request needs a response, what was opened must be closed. The walk visits every state with everything
that may be open there, row by row, and reports an obligation that is

- still open when the session ends,
- met twice, or met although it was never opened,
- opened again before it was met.

The notation:

=====================  ================================================================================
``ack``                an obligation by that name
``response:{to}``      with the value of a parameter or field; ``{transaction}`` names the handle, which must be answered,
                       attached, or passed on (published, told to a child) in the same row
``dialog!``            opened once in a session's life: what opens or meets it again after that changes nothing
``ack?``               in ``releases`` only: met if it is open
``provisional:code``   in an event's ``acquires``: the event's field ``code`` meets nothing, it is provisional
=====================  ================================================================================

An outcome that meets an obligation can only arrive while it is open; that is how the walk knows which outcomes to expect.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, NamedTuple

from calltable.engine.model import STARTED, Obligation, Problem, value_text
from calltable.engine.model import expressions as x

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from calltable.engine.check.flow import Reachability
    from calltable.engine.check.sources import Edge
    from calltable.engine.model import Action, ActionSpec, Catalogue, Event, EventSpec, Machine, Row

LIMIT = 50_000
"""Configurations after which a machine is given up: more open obligations at once than a table should have."""

CLOSED = "closed:"
PROVISIONAL = "provisional:"
Debts = frozenset[str]


class Place(NamedTuple):
    """A state, with the obligations that are open there."""

    state: str
    owed: Debts


def gate_four(flow: Reachability) -> Iterator[Problem]:
    """Outcomes that nobody waits for."""
    machine, catalogue = flow.machine, flow.catalogue
    for row in machine.rows.values():
        if not any(flow.chooses(row, state, event) for state in row.states for event in row.events):
            continue
        for action in row.actions:
            spec = catalogue.actions.get(action.name)
            last = [one.event for one in spec.outcomes if not one.more] if spec is not None else []
            if not last:
                continue
            if row.next_state is not None and machine.states[row.next_state].final:
                yield _problem(
                    machine, row, "outcome-lost",
                    f"{action.name} leads to {_or(last)}, but this row ends the session",
                    "go to a state that waits for it, and end the session there", gate=4, state=row.next_state,
                )  # fmt: skip
                continue
            for state in (row.next_state,) if row.next_state is not None else row.states:
                for event in last:
                    rows = flow.rows(state, event)
                    if rows and all(one.kind == "ignore" for one in rows):
                        yield _problem(
                            machine, row, "outcome-ignored",
                            f"{action.name} leads to {event}, but state {state} ignores it (row {rows[0].id})",
                            f"add a row for {event} in state {state} that does something, or remove the action",
                            gate=4, state=state, event=event,
                        )  # fmt: skip


def gate_five(flow: Reachability) -> Iterator[Problem]:
    """Debts that are not settled exactly once, each with a path that shows it."""
    yield from _Walk(flow).problems()


class _Wrong(NamedTuple):
    code: str
    obligation: str
    message: str
    hint: str


class _Walk:
    """The walk over every state with everything that may be owed there."""

    def __init__(self, flow: Reachability) -> None:
        self.flow = flow
        self.machine = flow.machine
        self.seen: dict[Place, tuple[Place, Edge] | None] = {}
        self.found: dict[tuple[str, str, str], Problem] = {}
        self._events: dict[str, tuple[Sequence[str], Sequence[str]]] = {}

    def problems(self) -> Iterable[Problem]:
        """Walk, and answer what was found in the order of the walk."""
        machine = self.machine
        start = Place(machine.initial, frozenset())
        first = [edge for edge in self.flow.edges(machine.initial) if edge.event == STARTED]
        self.seen[start] = None
        queue: deque[Place] = deque()
        for edge in first:
            self._step(start, edge, queue)
        # what the table says of the time before is looked at row by row: nothing is owed yet
        for edge in self.flow.edges(machine.initial) if first else ():
            if edge.event != STARTED:
                self._step(start, edge, deque())
        if not first:
            queue.append(start)
        while queue and len(self.seen) < LIMIT:
            place = queue.popleft()
            if machine.states[place.state].final:
                continue
            for edge in self.flow.edges(place.state):
                if edge.event != STARTED:
                    self._step(place, edge, queue)
        return self.found.values()

    def _step(self, place: Place, edge: Edge, queue: deque[Place]) -> None:
        owed, wrongs = self._owed(place, edge)
        if owed is None:
            return
        if self.machine.states[edge.target].final:
            for obligation in sorted(owed):
                if not obligation.startswith(CLOSED):
                    wrongs.append(
                        _Wrong("unmet-obligation", obligation, f"the session ends with an unmet obligation: {self._words(obligation).what}", self._words(obligation).fix)
                    )
        after = Place(edge.target, owed)
        if after not in self.seen:
            self.seen[after] = (place, edge)
            queue.append(after)
        for wrong in wrongs:
            key = (wrong.code, wrong.obligation, edge.row.id)
            if key not in self.found:
                path = self._path(place, edge)
                self.found[key] = _problem(
                    self.machine, edge.row, wrong.code, wrong.message, f"{wrong.hint}\n{path}",
                    gate=5, state=place.state, event=edge.event,
                )  # fmt: skip

    def _path(self, place: Place, edge: Edge) -> str:
        steps = [(place, edge)]
        while (before := self.seen[steps[-1][0]]) is not None:
            steps.append(before)
        steps.reverse()
        lines = [f"{at.state} -- {one.event} -> {one.target}  (row {one.row.id})" for at, one in steps]
        return "path: " + "\n      ".join(lines)

    # -- one row
    def _owed(self, place: Place, edge: Edge) -> tuple[Debts | None, list[_Wrong]]:
        """What is owed after a row; None where its event cannot come. And what is wrong with it."""
        row, event = edge.row, edge.event
        owed = set(place.owed)
        wrongs: list[_Wrong] = []
        if row.kind in ("refuse", "defer"):
            return place.owed, wrongs  # the event stays with whoever sent it, or waits
        acquired, released = self._of_event(event)
        for obligation in released:
            plain = obligation.rstrip("?!")
            if plain not in owed and not obligation.endswith("?") and self._pending(event):
                return None, wrongs
            self._release(owed, obligation, wrongs, row, lenient=True)
        provisional = {obligation.removeprefix(PROVISIONAL) for obligation in acquired if obligation.startswith(PROVISIONAL)}
        for obligation in acquired:
            if not obligation.startswith(PROVISIONAL):
                self._acquire(owed, obligation, wrongs)
        if row.kind == "row":
            started = event == STARTED
            for action in row.actions:
                self._action(owed, action, wrongs, row, provisional=provisional, lenient=started)
            for handle in _handed_on(row, self.flow.catalogue):
                owed.discard(f"response:{handle}")
        for obligation in sorted(owed):
            if "$" in obligation or (obligation in acquired and obligation.startswith("response:")):
                # a request that came is answered, or handed on with its handle, by the row that takes it
                owed.discard(obligation)
                owing = self._words(obligation)
                wrongs.append(_Wrong(
                    "unmet-obligation", obligation, f"{event} requires {owing.what}, and the row neither sends it nor passes it on", owing.fix,
                ))  # fmt: skip
        return frozenset(owed), wrongs

    def _words(self, obligation: str) -> Obligation:
        """How the catalogue speaks of an obligation; one that a handle names is looked up by its kind (``response:{}``)."""
        owes = self.flow.catalogue.owes
        kind, colon, which = obligation.partition(":")
        of_handle = f"{kind}:{{}}" if colon and which.startswith("$") else obligation
        plain = Obligation(obligation, obligation, f"add an action that releases {obligation}")
        return owes.get(obligation) or owes.get(of_handle) or plain

    def _of_event(self, name: str) -> tuple[Sequence[str], Sequence[str]]:
        """What the arrival of the event opens and settles."""
        if name not in self._events:
            self._events[name] = self._looked_up(name)
        return self._events[name]

    def _looked_up(self, name: str) -> tuple[Sequence[str], Sequence[str]]:
        event = self.machine.events[name]
        spec = self._spec(event)
        if spec is not None:
            return [_filled(one, "$event.{}") for one in spec.acquires], spec.releases
        if event.source == "child":
            return [f"response:$event.{field}" for field in sorted(set(self._handed_by_child(event)))], ()
        return (), ()

    def _spec(self, event: Event) -> EventSpec | None:
        catalogue = self.flow.catalogue
        if event.name in catalogue.outcomes:
            return catalogue.outcomes[event.name]
        for name in self.machine.receives:
            if event.name in catalogue.interfaces[name].events:
                return catalogue.interfaces[name].events[event.name]
        return None

    def _handed_by_child(self, event: Event) -> Iterator[str]:
        """The fields by which a child hands on the duty to respond."""
        prefix, _, what = event.name.partition(".")
        child = self.machine.children.get(event.of) or self.machine.children.get(prefix)
        machine = self.flow.machines.get(child.machine) if child is not None else None
        if machine is None:
            return
        for row in machine.rows.values():
            if any("response:{" in one for name in row.events for one in self._acquired_by(machine, name)):
                for published in row.publish:
                    if published.name == what:
                        yield from (
                            name for name, value in published.fields.items()
                            if isinstance(value, x.Field) and event.fields[name].kind == "handle"
                        )  # fmt: skip

    def _acquired_by(self, machine: Machine, event: str) -> Sequence[str]:
        for name in machine.receives:
            events = self.flow.catalogue.interfaces[name].events
            if event in events:
                return events[event].acquires if not events[event].command else ()
        return ()

    def _pending(self, event: str) -> bool:
        return self.machine.events[event].source == "outcome"

    def _action(
        self, owed: set[str], action: Action, wrongs: list[_Wrong], row: Row, *, provisional: set[str], lenient: bool
    ) -> None:
        spec = self.flow.catalogue.actions.get(action.name)
        if spec is None:
            return
        values = {name: value_text(value) for name, value in action.parameters.items()}
        if not (spec.releases and _is_provisional(spec, action, provisional)):
            for template in spec.releases:
                self._release(owed, _filled(template, "{}", values), wrongs, row, lenient=lenient, action=action.name)
        for template in spec.acquires:
            self._acquire(owed, _filled(template, "{}", values), wrongs, action=action.name)

    def _acquire(self, owed: set[str], obligation: str, wrongs: list[_Wrong], action: str = "") -> None:
        name = obligation.rstrip("!")
        if obligation.endswith("!"):
            if CLOSED + name not in owed:
                owed.add(name)
        elif name in owed:
            wrongs.append(_Wrong(
                "obligation-reopened", name, f"{action or 'the event'} opens {self._words(name).what} again before it was met",
                "settle it first, or take the event in a state where it is not open",
            ))  # fmt: skip
        else:
            owed.add(name)

    def _release(
        self, owed: set[str], obligation: str, wrongs: list[_Wrong], row: Row, *, lenient: bool, action: str = ""
    ) -> None:
        name = obligation.rstrip("?!")
        once = obligation.rstrip("?").endswith("!")
        if name in owed:
            owed.discard(name)
        elif not lenient and not obligation.endswith("?"):
            wrongs.append(_Wrong(
                "no-obligation", name, f"{action} meets {self._words(name).what}, which is not due here",
                f"leave {action} out of row {row.id}, or find the row before it that settles it already",
            ))  # fmt: skip
        if once:
            owed.add(CLOSED + name)


def _is_provisional(spec: ActionSpec, action: Action, provisional: set[str]) -> bool:
    """Whether the action's status code is a provisional one, as far as the table tells."""
    if "code" not in spec.parameters:
        return False
    code = action.parameters.get("code")
    if isinstance(code, x.Literal):
        return isinstance(code.value, int) and code.value < 200
    return isinstance(code, x.Field) and code.name in provisional


def _handed_on(row: Row, catalogue: Catalogue) -> Iterator[str]:
    """The handles of the event that the row hands on: published, told to a child, or given to an action that takes them over."""
    values: list[x.Expression] = [value for one in row.publish for value in one.fields.values()]
    for action in row.actions:
        values += [v for v in action.parameters.values() if isinstance(v, x.Mapping)]
        spec = catalogue.actions.get(action.name)
        if action.name in ("child.start", "child.tell"):
            values += action.parameters.values()
        elif spec is not None:
            values += [action.parameters[one] for one in spec.takes_over if one in action.parameters]
    for value in values:
        yield from (value_text(node) for node in x.walk(value) if isinstance(node, x.Field))


def _filled(template: str, form: str, values: Mapping[str, str] | None = None) -> str:
    """An obligation with its ``{name}`` replaced."""
    head, brace, rest = template.partition("{")
    if not brace:
        return template
    name, _, tail = rest.partition("}")
    return head + (form.format(name) if values is None else values.get(name, "")) + tail


def _or(names: Sequence[str]) -> str:
    return " or ".join(names)


def _problem(
    machine: Machine, row: Row, code: str, message: str, hint: str, *, gate: int, state: str = "", event: str = ""
) -> Problem:
    return Problem(row.position, message, machine.name, row.id, state, event, hint, gate, code)
