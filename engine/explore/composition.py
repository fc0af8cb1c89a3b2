"""A composition: which elements are joined to which, within which bounds. Data only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

    from calltable.adapters.sip.explore.commands import Wiring
    from calltable.adapters.sip.explore.transactions import Role
    from calltable.engine.explore.system import Wire


class Part(NamedTuple):
    """One element: its name, how its sessions meet the network, and what is started in it to begin with."""

    name: str
    plan: Wiring
    start: tuple[str, str] | None = None
    choices: tuple[Mapping[str, Any], ...] = ({},)
    """The parameters to start with: one initial state for each."""
    role: Role | None = None
    """For an element that is one transaction, instead of ``plan``."""


class Composition(NamedTuple):
    """Elements and wires, with bounds. ``needs`` names the tables without which it is left out."""

    name: str
    doc: str
    parts: tuple[Part, ...]
    wires: tuple[Wire, ...]
    needs: tuple[str, ...]
    quick: Mapping[str, int] | None
    full: Mapping[str, int] | None
    ordered: bool = True
