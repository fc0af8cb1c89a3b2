"""Logs: one line a happening, with names for its parts, to read or to feed to a machine.

``set_up`` sends everything of calltable to standard error, as text or as JSON lines. ``CallLog`` watches an engine: at
level info it tells when a call starts, where it goes, when it is connected and how it ended; at debug each step of every session,
with call, leg, row, event, and the states before and after. Below info nothing watches, and logging costs nothing.

What comes from the network is untrusted: control characters never reach a terminal or break a line.
"""

from __future__ import annotations

import json
import logging
import sys
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, TextIO

from calltable.adapters.sip.message.message import Request, Response
from calltable.adapters.sip.transport.address import Address
from calltable.engine.model.machine import STARTED
from calltable.observe.trace import leg_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from calltable.assembly import Engine
    from calltable.engine.run.executor import Step
    from calltable.engine.run.session import Session

LEVELS: Final = ("debug", "info", "warning", "error")
FORMATS: Final = ("text", "json")

calls: Final = logging.getLogger("calltable.replay.calls")
steps: Final = logging.getLogger("calltable.steps")


def set_up(level: str = "info", form: str = "text", stream: TextIO | None = None) -> None:
    """Send calltable's logs from ``level`` on to ``stream`` (standard error), as ``text`` or ``json``."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonLines() if form == "json" else Text())
    logger = logging.getLogger("calltable")
    logger.handlers[:] = [handler]
    logger.setLevel(level.upper())
    logger.propagate = False


def fields(record: logging.LogRecord) -> Mapping[str, Any]:
    """The named parts of a record, given as ``extra={"parts": {…}}``."""
    found: Mapping[str, Any] = getattr(record, "parts", {})
    return found


def _moment(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Text(logging.Formatter):
    """``2026-01-31T12:00:00.000Z info  call started  call=17 from=sip:alice@example.com``."""

    def format(self, record: logging.LogRecord) -> str:
        """One line, and a traceback below it where there is one."""
        parts = " ".join(f"{name}={_word(value)}" for name, value in fields(record).items() if value not in (None, ""))
        message = _plain(record.getMessage())
        line = f"{_moment(record)} {record.levelname.lower():<7} {message}" + (f"  {parts}" if parts else "")
        return line + (f"\n{self.formatException(record.exc_info)}" if record.exc_info else "")


class JsonLines(logging.Formatter):
    """The same as an object: ``time``, ``level``, ``logger``, ``message``, and the named parts."""

    def format(self, record: logging.LogRecord) -> str:
        """One line."""
        line = {
            "time": _moment(record), "level": record.levelname.lower(), "logger": record.name,
            "message": record.getMessage(), **{k: v for k, v in fields(record).items() if v not in (None, "")},
        }  # fmt: skip
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=True, default=str)


def _plain(text: str) -> str:
    return text if text.isprintable() else json.dumps(text)[1:-1]


def _word(value: object) -> str:
    text = f"{value:.3f}" if isinstance(value, float) else str(value)
    return text if text.isprintable() and " " not in text and '"' not in text else json.dumps(text)


@dataclass(slots=True)
class _Call:
    """What is remembered of a running call until it is over."""

    began: float
    connected: float | None = None
    cause: str = ""
    code: int | None = None


@dataclass(slots=True, eq=False)
class CallLog:
    """Watches ``engine`` as far as the level of the loggers asks for; ``machine`` is what a call runs."""

    engine: Engine
    machine: str
    _calls: dict[int, _Call] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        """Watch only where somebody listens: every observer costs time at every step."""
        if calls.isEnabledFor(logging.INFO):
            self.engine.executor.observers.append(self._life)
        if steps.isEnabledFor(logging.DEBUG):
            self.engine.executor.observers.append(self._step)

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
        session = step.session
        if session.machine.name != self.machine or step.row is None:
            return
        if step.event == STARTED:
            self._calls[session.id] = _Call(self.engine.executor.now)
            calls.info("call started", extra={"parts": {"call": session.path, **_who(session, step.payload)}})
            return
        call = self._calls.get(session.id)
        if call is None:
            return
        now = self.engine.executor.now
        target = step.payload.get("target")
        if target is not None:
            calls.info("call routed", extra={"parts": {"call": session.path, "target": target}})
        connected = any(name == "connected" for name, _ in step.publications)
        if connected and call.connected is None:
            call.connected = now
            calls.info("call connected", extra={"parts": {"call": session.path, "after": now - call.began}})
        if not step.event.endswith(".ended"):
            # what happened last before the legs were through with it: a hang-up, a refusal
            call.cause, call.code = step.event, _code(step.payload)
        if step.row.final:
            del self._calls[session.id]
            calls.info("call ended", extra={"parts": {
                "call": session.path, "cause": call.cause, "code": call.code, "lasted": now - call.began,
                "connected": None if call.connected is None else now - call.connected, "row": step.row.id,
            }})  # fmt: skip


def _who(session: Session, payload: Mapping[str, Any]) -> dict[str, Any]:
    message, source = payload.get("message"), session.context
    found: dict[str, Any] = {}
    if isinstance(message, Request):
        found = {"from": message.from_.uri, "to": message.uri, "call_id": message.call_id}
    if isinstance(source, Address):
        found["source"] = str(source)
    return found


def _code(payload: Mapping[str, Any]) -> int | None:
    message = payload.get("message")
    code = payload.get("code")
    if isinstance(code, int):
        return code
    return message.status if isinstance(message, Response) else None
