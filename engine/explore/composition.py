"""A composition: which elements are joined to which, within which bounds. Data, and two factories.

What a message or an action means is not the engine's business: a part brings the ``Adapter`` that gives its actions
their meaning, a composition the properties that must hold in it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from calltable.engine.explore.scene import Adapter
    from calltable.engine.explore.system import State, System, Wire
    from calltable.engine.model import Catalogue


Broken = tuple[str, str]
"""The name of a property, and how a state breaks it."""


class Properties(Protocol):
    """What must hold in the states of a system."""

    def invariant(self, state: State) -> Broken | None:
        """The property that a state breaks, or None."""

    def final(self, state: State) -> bool:
        """Whether everything is over in this state."""


class Part(NamedTuple):
    """One element: its name, the adapter of its sessions, and what is started in it to begin with."""

    name: str
    adapter: Callable[[Catalogue], Adapter]
    start: tuple[str, str] | None = None
    """Slot and machine of the session that is there from the beginning."""
    choices: tuple[Mapping[str, Any], ...] = ({},)
    """The parameters to start with: one initial state for each."""
    takes: str = ""
    """The slot of the session that it begins when it is called."""

    @property
    def root(self) -> str:
        """The slot of its first session."""
        return self.start[0] if self.start is not None else self.takes or self.name


class Composition(NamedTuple):
    """Elements and wires, with bounds. ``needs`` names the tables without which it is left out."""

    name: str
    doc: str
    parts: tuple[Part, ...]
    wires: tuple[Wire, ...]
    needs: tuple[str, ...]
    quick: Mapping[str, int] | None
    full: Mapping[str, int] | None
    properties: Callable[[System, Sequence[Wire]], Properties]
    ordered: bool = True
    calls: bool = True
    """Whether its sessions are calls, which a simulation can repeat."""
