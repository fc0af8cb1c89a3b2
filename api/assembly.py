"""Everything assembled: tables loaded, checked and compiled, an executor, and a SIP stack on a transport.

``Engine`` is what applications embed; ``B2BUA`` and ``Softphone`` are two of them. It opens no socket by itself: it is
given a transport and a scheduler, real ones or simulated ones, and behaves the same on both.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from calltable.adapters.sip.core import Stack
from calltable.engine.observe import watch
from calltable.engine.run import Executor

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Mapping

    from calltable.adapters.sip.core import Admission, Application, Bounds, Screening, Trust
    from calltable.adapters.sip.transaction import Locator
    from calltable.adapters.sip.transport import Transport
    from calltable.engine.run import Scheduler, Session, Store
    from calltable.loading import Tables


class Refused(Exception):  # noqa: N818 - it is an answer, not an accident
    """A command that the table does not allow now; ``reason`` is what the row says."""

    def __init__(self, event: str, state: str, reason: str) -> None:
        super().__init__(f"{event} refused in state {state}: {reason}")
        self.event = event
        self.state = state
        self.reason = reason


class Engine:
    """An executor and a SIP stack that run the same tables.

    ``admission`` limits what each source may ask (``calltable.limits``); without it there are no such limits. ``trust`` says whose statements of identity
    pass (RFC 3325); without it all do. ``bounds`` limits what one call can make grow. ``accepts`` names the machine that takes a request outside any
    dialog, by its method (``{"MESSAGE": "service/message"}``): it is started with ``transaction`` and ``message``, and answers with ``sip.respond``.
    ``rng`` seeds everything that is random (back-off, tags, branches); leave it out for names nobody can guess.
    """

    def __init__(
        self,
        tables: Tables,
        scheduler: Scheduler,
        transport: Transport,
        locator: Locator,
        *,
        application: Application | None = None,
        screening: Screening | None = None,
        admission: Admission | None = None,
        trust: Trust | None = None,
        store: Store | None = None,
        rng: random.Random | None = None,
        host: str = "",
        bounds: Bounds | None = None,
        accepts: Mapping[str, str] | None = None,
    ) -> None:
        self.tables = tables
        self.executor = Executor(scheduler, store=store, rng=rng)
        watch(self.executor, tables.library.catalogue)
        self.stack = Stack(
            self.executor, transport, locator, application=application, screening=screening, admission=admission, trust=trust, rng=rng,
            host=host, bounds=bounds, accepts=accepts,
        )

    def run(self, *, handlers: Mapping[str, Callable[[Session, Mapping[str, Any]], None]] | None = None) -> None:
        """Make the tables' machines available; ``handlers`` maps names of actions, beside those of SIP, to the functions behind them.

        Machines with an action that has no handler are left out; starting one raises LookupError.
        """
        self.executor.handlers.update(handlers or {})
        for machine in self.tables.machines.values():
            actions = {action.name for row in machine.model.rows.values() for action in row.actions}
            if actions <= self.executor.handlers.keys():
                self.executor.add(machine)

    def snapshot(self) -> dict[str, Any]:
        """The number of sessions, timers, transactions and dialogs, and all counters since the start."""
        return {**self.stack.snapshot(), "counters": dict(self.executor.counters)}
