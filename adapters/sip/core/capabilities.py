"""What an element says it can do: Allow, worked out from the tables that run (RFC 3261 §20.5, §11.2).

A method is allowed where a machine that is a leg has an event for it, by the rule of ``requests.py``: ``sip.invite``, ``sip.bye``,
``sip.cancel``, ``sip.ack``; a machine with ``sip.request`` takes in the methods that are handed on as they are. OPTIONS is always answered. What
the configuration gives to a machine of its own outside dialogs (``accepts``) is allowed too. So a table that learns a method is
announced, and nothing else has to be told.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from calltable.adapters.sip.message import METHODS, PASSED_ON

if TYPE_CHECKING:
    from collections.abc import Mapping

    from calltable.engine.run import CompiledMachine


class Capabilities:
    """What the machines of one element can do; ``machines`` may change while it runs."""

    def __init__(self, machines: Mapping[str, CompiledMachine], accepts: Mapping[str, str]) -> None:
        self._machines = machines
        self.accepts = accepts
        """The machine that takes a request outside a dialog, by its method."""
        self._known: tuple[int, ...] = ()
        self._allow: tuple[str, ...] = ()

    @property
    def allow(self) -> tuple[str, ...]:
        """The methods that are taken, INVITE first and then as the RFCs list them."""
        running = tuple(map(id, self._machines.values()))
        if running != self._known or not self._allow:
            self._known, self._allow = running, self._worked_out()
        return self._allow

    def _worked_out(self) -> tuple[str, ...]:
        taken = {"OPTIONS", *self.accepts}
        for machine in self._machines.values():
            events = machine.model.events
            if "sip.bye" not in events:
                continue  # no leg
            taken |= {method for method in METHODS if f"sip.{method.lower()}" in events}
            if "sip.request" in events:
                taken.update(PASSED_ON)
        return tuple(sorted(taken, key=lambda method: (method != "INVITE", METHODS.index(method) if method in METHODS else len(METHODS))))
