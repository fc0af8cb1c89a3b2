"""The owner of a leg: holds its session, gives it commands, keeps its events.

A ``LegOwner`` makes no decisions. It owns one root session: either a leg (``leg/uac``, ``leg/uas``), or a phone's call
(``phone/caller``, ``phone/callee``), whose child ``leg`` is the leg. A command goes to the session's table. If that table or the leg's
refuses it, ``Refused`` is raised with the reason given in the row, so a refused command never looks like success.

Commands given in the middle of a step (from ``on_event``, for example) are queued; a refusal then arrives as the
event ``command_refused``.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from calltable.adapters.sip.message import Response
from calltable.assembly import Refused
from calltable.engine.model import STARTED

if TYPE_CHECKING:
    from collections.abc import Mapping

    from calltable.engine.run import Executor, Queue, Session

ENDED: Final = "ended"
"""The event that comes last."""
REFUSED: Final = "command_refused"
"""What a phone's call publishes where its leg refuses a command."""
HISTORY: Final = 200
"""Events that an owner remembers."""
_NOTHING: Mapping[str, Any] = MappingProxyType({})
_WHY: Final = {408: "nobody answered", 487: "cancelled", 500: "the call failed here", 503: "cannot be reached"}


class CallEvent(NamedTuple):
    """Something that a call has published; ``time`` in seconds of the engine's clock."""

    time: float
    name: str
    fields: Mapping[str, Any]

    @property
    def code(self) -> int:
        """The SIP status that goes with it, else 0."""
        return int(self.fields.get("code") or 0)

    @property
    def reason(self) -> str:
        """In words, what the peer or the table says about it."""
        message = self.fields.get("message")
        if isinstance(message, Response):
            return str(message.reason)
        if self.name == "failed" and not message:
            return _WHY.get(self.code, "")
        return str(self.fields.get("by") or self.fields.get("reason") or "")


class LegOwner:
    """The owner of one leg. ``events`` is what it has said, in order, the last 200 of it; ``ended`` comes last."""

    def __init__(self, executor: Executor) -> None:
        self.executor = executor
        self.events: list[CallEvent] = []
        self.heard_of = 0
        """How many events there were, also those that are forgotten by now."""
        self._session: Session | None = None
        self._leg: Session | None = None
        self._commanding = False
        self._refusal: CallEvent | None = None

    # -- the session
    def begin(self, machine: str, parameters: Mapping[str, Any], name: str = "") -> Session:
        """Start a root session of ``machine`` that this owner holds. Raises LookupError for an unknown machine."""
        session = self.adopt(self.executor.create(machine, self, name))
        self.executor.post(session, STARTED, parameters)
        self._leg = self.leg
        return session

    def adopt(self, session: Session) -> Session:
        """Hold a session that was created for this owner and is not started yet."""
        self._session = session
        return session

    @property
    def begun(self) -> bool:
        """Whether there is a session, or was one."""
        return self._session is not None

    @property
    def session(self) -> Session:
        """The session that is owned. Raises LookupError where nothing has begun."""
        if self._session is None:
            raise LookupError("the call has not begun")
        return self._session

    @property
    def leg(self) -> Session | None:
        """The session of the leg, also when it has ended; None as long as there is none."""
        session = self._session
        if self._leg is None and session is not None:
            self._leg = (session.children or {}).get("leg") if "leg" in session.machine.model.children else session
        return self._leg

    @property
    def state(self) -> str:
        """The state of the leg, by the name its table gives it; before there is one, that of the call."""
        found = self.leg or self._session
        return "idle" if found is None else found.state

    @property
    def ended(self) -> bool:
        """Whether the call is over."""
        return self._session is not None and self._session.ended

    # -- commands
    def command(self, event: str, fields: Mapping[str, Any] = _NOTHING) -> None:
        """Give a command. Raises Refused where its table, or the table of the leg behind it, refuses it."""
        session, state = self._session, self.state  # asking for the state also remembers the leg, before it may end
        if session is None:
            raise Refused(event, state, "the call has not begun")
        self._commanding = True
        try:
            outcome = self.executor.dispatch(session, event, fields)
        finally:
            self._commanding = False
        if not outcome.ok:
            raise Refused(event, state, "the call is over" if outcome.kind == ENDED else outcome.detail or "no row handles it")
        refusal, self._refusal = self._refusal, None
        if refusal is not None:
            raise Refused(refusal.fields["event"], state, refusal.reason)

    # -- what is said
    def published(self, executor: Queue[Session], child: Session, name: str, fields: Mapping[str, Any]) -> None:  # noqa: ARG002
        """Keep what the session says, and tell ``notice``."""
        event = CallEvent(executor.now, name, fields)
        if name == REFUSED and self._commanding:
            self._refusal = event  # raised where the command was given
        else:
            self._keep(event)

    def child_ended(self, executor: Queue[Session], child: Session) -> None:  # noqa: ARG002
        """Keep that it is over, and tell ``notice``."""
        self._keep(CallEvent(executor.now, ENDED, _NOTHING))

    def _keep(self, event: CallEvent) -> None:
        self.events.append(event)
        self.heard_of += 1
        if len(self.events) > HISTORY:
            del self.events[0]
        if self._leg is None and event.name != ENDED:
            self._leg = self.leg
        self.notice(event)

    def notice(self, event: CallEvent) -> None:
        """Told of each event once it is kept. Nothing to do here."""
