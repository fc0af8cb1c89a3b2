"""Finding calls that are up, and telling of them: what ``calltable calls`` and ``hangup`` ask a server for.

Every value here is plain data, ready for JSON. URIs are masked: they may hold passwords.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Final

from calltable.adapters.sip.core import Leg
from calltable.adapters.sip.message import mask

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from calltable.b2bua.b2bua import B2BUA
    from calltable.b2bua.call import CallRecord
    from calltable.engine.run import Session

LAST: Final = 8
"""Rows of each session that are shown: the last that it took."""


class SelectionError(ValueError):
    """A selection that cannot be: the text says why."""


@dataclass(frozen=True, slots=True)
class Selection:
    """Which calls are meant: those that meet everything that is given. Nothing given means all.

    ``call`` is a number or a Call-ID of the caller's side; ``state`` that of the coordinator; ``caller`` and ``called`` a part of the
    URI, whatever its case; ``route`` a name; ``older`` seconds since the call came in.
    """

    call: str | None = None
    state: str | None = None
    caller: str | None = None
    called: str | None = None
    route: str | None = None
    older: float | None = None

    @classmethod
    def of(cls, request: Mapping[str, Any]) -> Selection:
        """The selection in a request of the control socket. Raises SelectionError."""
        given: dict[str, Any] = {}
        for one in fields(cls):
            value = request.get(one.name)
            wanted: tuple[type, ...] = (int, float) if one.name == "older" else (str,)
            if value is not None and (isinstance(value, bool) or not isinstance(value, wanted)):
                raise SelectionError(f"{one.name} must be {'a number of seconds' if one.name == 'older' else 'a text'}, not {value!r}")
            given[one.name] = value
        return cls(**given)

    @property
    def everything(self) -> bool:
        """Whether it names no condition."""
        return all(getattr(self, one.name) is None for one in fields(self))

    def takes(self, call: CallRecord, now: float) -> bool:
        """Whether a call meets all conditions at the moment ``now``."""
        return (
            self.call in (None, call.number, call.call_id)
            and self.state in (None, call.session.state)
            and (self.caller is None or self.caller.lower() in call.caller.lower())
            and (self.called is None or self.called.lower() in call.called.lower())
            and self.route in (None, call.route)
            and (self.older is None or now - call.began >= self.older)
        )


def select(b2bua: B2BUA, selection: Selection) -> list[CallRecord]:
    """The calls that are meant, oldest first. Raises SelectionError for a call that is not up, naming what is."""
    now = b2bua.engine.executor.scheduler.time()
    found = [call for call in b2bua.records.values() if selection.takes(call, now)]
    if selection.call is not None and not any(selection.call in (call.number, call.call_id) for call in b2bua.records.values()):
        numbers = [call.number for call in b2bua.records.values()]
        up = ", ".join(numbers[:20]) + (f" and {len(numbers) - 20} more" if len(numbers) > 20 else "")
        raise SelectionError(f"no active call {selection.call}; {'active: ' + up if numbers else 'there are none'}")
    return found


def brief(b2bua: B2BUA, call: CallRecord) -> dict[str, Any]:
    """One call in a line."""
    now = b2bua.engine.executor.scheduler.time()
    return {
        "call": call.number, "state": call.session.state, "from": mask(call.caller), "to": mask(call.called), "route": call.route,
        "target": mask(call.target), "age": round(now - call.began, 3),
        "connected": None if call.connected is None else round(now - call.connected, 3), "source": call.source, "call_id": call.call_id,
    }  # fmt: skip


def whole(b2bua: B2BUA, call: CallRecord) -> dict[str, Any]:
    """One call with its sessions: states, dialogs, and the rows that they took last."""
    return {**brief(b2bua, call), "sessions": [_session(b2bua, one) for one in _below(call.session)]}


def _below(session: Session) -> Iterator[Session]:
    yield session
    for child in (session.children or {}).values():
        yield from _below(child)


def _session(b2bua: B2BUA, session: Session) -> dict[str, Any]:
    now = b2bua.engine.executor.scheduler.time()
    found: dict[str, Any] = {"session": session.path, "machine": session.machine.name, "state": session.state}
    if isinstance(session.context, Leg):
        found["call_id"] = session.context.dialog.call_id
    history = list(session.history or ())[-LAST:]
    found["rows"] = [
        {"row": one.row, "event": one.event, "before": one.before, "after": one.after, "ago": round(now - one.time, 3)} for one in history
    ]
    return found
