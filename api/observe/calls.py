"""The life of each call as log lines: started, routed, connected, ended.

``CallLog`` watches the coordinator's sessions only, whose steps are a third of a call's; at level debug it watches every step
of every session. Where nobody listens it watches nothing and costs nothing.

The line that ends a call says how: ``code`` is the final status that decided it, ``cause`` the event that did, ``by`` who that was,
``reason`` the Reason header field that came with it (RFC 3326), ``connected`` the seconds for which both sides could talk.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from calltable.adapters.sip.message import PROVISIONAL, Response
from calltable.engine.model import FAILED, STARTED
from calltable.observe.logs import QuickRecord
from calltable.observe.trace import leg_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from calltable.b2bua import B2BUA, CallRecord
    from calltable.engine.run import Session, Step

calls: Final = logging.getLogger("calltable.calls")
steps: Final = logging.getLogger("calltable.steps")

_CANCELLED: Final = 487
"""What a caller who cancels is answered with (RFC 3261 §9.2)."""


@dataclass(slots=True, eq=False)
class CallLog:
    """Watches the calls of ``b2bua`` as far as the level of the loggers asks for."""

    b2bua: B2BUA
    _causes: dict[int, Cause] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        """Watch only where somebody listens: every observer costs time at every step."""
        executor = self.b2bua.engine.executor
        if calls.isEnabledFor(logging.INFO):
            executor.watchers.setdefault(self.b2bua.machine, []).append(self._life)
        if steps.isEnabledFor(logging.DEBUG):
            executor.observers.append(self._step)

    def _step(self, step: Step) -> None:
        session, row, receipt = step.session, step.row, step.receipt
        leg = leg_of(session)
        known = session if leg is None else leg.session  # a transaction is told of with the leg it works for
        parts = {
            "call": known.root.path, "leg": "" if known.root is known else known.name,
            "machine": session.machine.name, "row": "" if row is None else row.id, "event": step.event,
            "before": session.state if receipt is None else receipt.before,
            "after": session.state if receipt is None else receipt.after,
            "publishes": ",".join(name for name, _ in step.publications),
            "detail": "" if step.outcome.kind == "taken" else step.outcome.detail,
        }  # fmt: skip
        steps.debug(step.outcome.kind, extra={"parts": parts})

    def _life(self, step: Step) -> None:
        session, event, payload, _, row, _, publications = step
        if row is None:
            return
        call = self.b2bua.records.get(session.id)
        if call is None:
            return
        if event == STARTED:
            self._causes[session.id] = Cause()
            _tell("call started", {
                "call": call.number, "from": call.caller, "to": call.called, "call_id": call.call_id, "source": call.source,
            })  # fmt: skip
            return
        cause = self._causes.get(session.id)
        if cause is None:
            return  # it began before anybody watched
        cause.learn(session, event, payload)
        if event == "route.target":
            _tell("call routed", {"call": call.number, "route": call.route, "target": call.target})
        for name, _ in publications:
            if name == "connected" and not cause.connected:
                cause.connected = True
                _tell("call connected", {"call": call.number, "after": self.b2bua.engine.executor.now - call.began})
        if row.final:
            del self._causes[session.id]
            self._ended(call, cause, row.id)

    def _ended(self, call: CallRecord, cause: Cause, row: str) -> None:
        now = self.b2bua.engine.executor.now
        _tell("call ended", {
            "call": call.number, "code": cause.code, "cause": cause.event, "by": cause.by, "reason": cause.reason, "route": call.route,
            "lasted": now - call.began, "connected": None if call.connected is None else now - call.connected, "row": row,
        })  # fmt: skip


@dataclass(slots=True)
class Cause:
    """Why a call ended, as far as it is known: what happened last before its legs were through with it."""

    event: str = ""
    by: str = ""
    code: int | None = None
    reason: str = ""
    connected: bool = False

    def learn(self, session: Session, event: str, payload: Mapping[str, Any]) -> None:
        """Take in one event of the coordinator."""
        child, _, what = event.rpartition(".")
        if what == "ended" and child != "user":
            return  # a leg is through: it was hung up or failed before
        message = payload.get("message")
        code = payload.get("code")
        if not isinstance(code, int):
            code = message.status if isinstance(message, Response) else _CANCELLED if what == "cancelled" else None
        if code is not None and code >= PROVISIONAL:
            self.code = code  # a provisional status ends no call
        self.event, self.by = event, _who(session, child, event)
        self.reason = ""
        if message is not None and what in ("hung_up", "cancelled", "failed"):
            self.reason = ", ".join(message.all("reason"))


def _who(session: Session, source: str, event: str) -> str:
    """Who an event comes from, as people say it."""
    if event == FAILED:
        return "server"
    leg = session.machine.model.children.get(source)
    if leg is not None:
        return "caller" if leg.machine == "leg/uas" else "callee"
    return {"user": "operator", "route": "route", "after": "timer", "timer": "timer"}.get(event.partition(".")[0], source)


def _tell(message: str, parts: Mapping[str, Any]) -> None:
    calls.handle(QuickRecord(calls.name, logging.INFO, message, parts))
