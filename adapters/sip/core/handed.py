"""A request outside any dialog, handed to a machine of its own: who takes which method is configuration of the stack (``accepts``).

The machine is started with the request (``transaction``, ``message``) and answers it with ``sip.respond``. One that ends
without an answer has its request answered with 500, so that nobody waits for ever (RFC 3261 §8.2.7).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from calltable.adapters.sip.core.legs import Legs
    from calltable.adapters.sip.message import Request
    from calltable.adapters.sip.transaction import ServerTransaction
    from calltable.engine.run import Executor, Queue, Session


class Handed:
    """The owner of the session that answers one request."""

    __slots__ = ("_legs", "_transaction")

    def __init__(self, legs: Legs, transaction: ServerTransaction) -> None:
        self._legs = legs
        self._transaction = transaction

    def start(self, executor: Executor, machine: str, request: Request) -> None:
        """Give the request to a new session of ``machine``. Raises LookupError for an unknown one."""
        executor.start(machine, self, transaction=self._transaction.key, message=request)

    def published(self, executor: Queue[Session], child: Session, name: str, fields: Mapping[str, Any]) -> None:  # noqa: ARG002
        """Count what it publishes; observers of the executor see the rest."""
        executor.counters[f"{child.machine.name} {name}"] += 1

    def child_ended(self, executor: Queue[Session], child: Session) -> None:  # noqa: ARG002
        """It is over: whatever it has not answered gets 500."""
        self._legs.refuse(self._transaction, 500)
