"""The shipped tables, loaded once; and small tables given as text, running on a virtual clock."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from calltable.adapters.simulated.clock import VirtualClock
from calltable.engine.check.flow import Reachability, analyse
from calltable.engine.language.load import Library, load_tables
from calltable.engine.run.compile import compile_machine
from calltable.engine.run.executor import Executor, Step
from calltable.engine.run.program import CompiledMachine

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from calltable.engine.run.session import Session


class Shipped(NamedTuple):
    """The shipped tables with everything that is known of them."""

    library: Library
    config: Mapping[str, Any]
    machines: Mapping[str, CompiledMachine]
    flows: Mapping[str, Reachability]


@pytest.fixture(scope="session")
def shipped() -> Shipped:
    library = load_tables()
    config = {name: parameter.default for name, parameter in library.catalogue.config.items()}
    return Shipped(
        library,
        config,
        {name: compile_machine(model, config) for name, model in library.machines.items()},
        {name: analyse(model, library.catalogue, library.machines) for name, model in library.machines.items()},
    )


CATALOGUE = """\
calltable: 1
catalogue: small
doc: What the tables of these tests draw on.
config:
  low: {type: duration, default: 100ms}
interfaces:
  user.small:
    commands: true
    doc: What a test asks.
    events:
      user.go: {doc: go}
      user.a: {doc: a, fields: {n: int}}
      user.b: {doc: b, fields: {n: int}}
      user.c: {doc: c}
      user.hangup: {doc: the end, must_take: true}
outcomes:
  work.done: {doc: it is done, fields: {n: int}}
actions:
  work: {doc: has an outcome, parameters: {n: {type: int, default: 0}}, outcomes: [work.done]}
  note: {doc: leaves a trace, parameters: {text: string, value: {type: int?, default: null}, wait: {type: duration?, default: null}}}
  break: {doc: raises}
predicates:
  explode: {parameters: [int], returns: bool, doc: raises on zero}
"""


class World:
    """An executor on a virtual clock with tables given as text; it notes down everything that leaves.

    ``log`` holds, in order, what was seen: ``note`` and ``work`` effects, commits, publications to the owner, ends.
    """

    def __init__(self, *tables: str, store: Any = None, handlers: Mapping[str, Any] | None = None) -> None:
        self.library = load_tables(texts={"small.yaml": CATALOGUE, **{f"table{i}.yaml": one for i, one in enumerate(tables)}})
        self.clock = VirtualClock(100.0)
        self.log: list[Any] = []
        self.steps: list[Step] = []
        self.executor = Executor(
            self.clock,
            handlers={"note": self.note, "work": self.work, "break": self.break_, **(handlers or {})},
            store=store,
            rng=random.Random(7),
        )
        self.machines = {
            name: compile_machine(model, {"low": 0.1}, {"explode": lambda n: 1 // n > 5})
            for name, model in self.library.machines.items()
        }
        self.executor.add(*self.machines.values())
        self.executor.observers.append(self.steps.append)
        self.executor.on_end.append(lambda session: self.log.append(("gone", session.path)))

    # -- handlers
    def note(self, session: Session, parameters: Mapping[str, Any]) -> None:
        self.log.append(("note", *parameters.values()))

    def work(self, session: Session, parameters: Mapping[str, Any]) -> None:
        self.log.append(("work", *parameters.values()))

    def break_(self, session: Session, parameters: Mapping[str, Any]) -> None:
        raise RuntimeError("the adapter is broken")

    # -- the owner of root sessions
    def published(self, executor: Executor, child: Session, name: str, fields: Mapping[str, Any]) -> None:
        self.log.append(("published", name, dict(fields)))

    def child_ended(self, executor: Executor, child: Session) -> None:
        self.log.append(("ended", child.name or child.machine.name))

    # -- driving
    def start(self, machine: str, **parameters: Any) -> Session:
        session = self.executor.start(machine, owner=self, **parameters)
        self.clock.run(self.clock.time())
        return session

    def give(self, session: Session, event: str, **payload: Any) -> Any:
        return self.executor.dispatch(session, event, payload)

    def rows(self) -> list[str]:
        """The ids of the rows taken so far."""
        return [step.row.id for step in self.steps if step.row is not None and step.outcome.kind == "taken"]

    def notes(self) -> list[Any]:
        """What ``note`` was told, its texts only, since the last time this was asked."""
        found = [entry[1] for entry in self.log if entry[0] == "note"]
        self.log = [entry for entry in self.log if entry[0] != "note"]
        return found


@pytest.fixture
def world() -> Callable[..., World]:
    return World
