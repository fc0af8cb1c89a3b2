"""The owner of a single leg, as a capture shows him: what he must have told the leg follows from what it sent.

Replays of a softphone's side have no coordinator table that answers, hangs up or holds; a person did. For each message
that was captured and that the tables do not send by themselves, ``LegOwner`` gives the leg the command that leads to it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from calltable.adapters.sip.message.body import has_offer
from calltable.adapters.sip.message.message import Request, Response

if TYPE_CHECKING:
    from collections.abc import Mapping

    from calltable.adapters.sip.core.stack import Stack
    from calltable.adapters.sip.transaction.server import ServerTransaction
    from calltable.adapters.sip.transport.address import Address
    from calltable.assembly import Engine
    from calltable.engine.run.ports import Queue
    from calltable.engine.run.session import Session
    from calltable.replay.calls import Call, Spoken


class LegOwner:
    """Owns the one leg of a replay: the stack's application and the leg session's owner."""

    def __init__(self, engine: Engine, call: Call) -> None:
        self.engine = engine
        self.call = call
        self.session: Session | None = None
        self._asked: dict[str, Any] = {}
        """Requests that the leg has published and that wait for an answer, by method."""
        engine.stack.application = self

    # -- as the stack's application
    def incoming(self, stack: Stack, transaction: ServerTransaction, request: Request, *, offer: bool) -> None:
        """Take the call that comes in."""
        if self.session is not None:
            stack.refuse(transaction, 486)
            return
        self.session = stack.executor.create("leg/uas", self)
        stack.executor.dispatch(
            self.session, "engine.started", {"transaction": transaction.key, "message": request, "offer": offer, "relay": False}
        )

    def availability(self, request: Request, source: Address) -> tuple[int, tuple[tuple[str, str], ...]]:  # noqa: ARG002
        """What an INVITE would get now."""
        return 486 if self.session is not None else 200, ()

    # -- as the leg's owner
    def published(self, executor: Queue[Session], child: Session, name: str, fields: Mapping[str, Any]) -> None:  # noqa: ARG002
        """Remember what waits for an answer."""
        if name == "request":
            self._asked[fields["method"]] = fields["transaction"]

    def child_ended(self, executor: Queue[Session], child: Session) -> None:
        """The leg is over."""

    # -- what was said
    def wants(self, one: Spoken) -> None:
        """Tell the leg what leads to this message."""
        message = one.message
        if self.session is None:
            if isinstance(message, Request) and one.opens:
                self._place(message)
            return
        event, payload = self._command(message)
        if event:
            self.engine.executor.dispatch(self.session, event, payload)

    def _place(self, invite: Request) -> None:
        executor = self.engine.executor
        self.session = executor.create("leg/uac", self)
        executor.dispatch(self.session, "engine.started", {
            "target": invite.uri, "message": invite, "offer": has_offer(invite), "relay": False, "from": invite.from_.uri,
        })  # fmt: skip

    def _command(self, message: Request | Response) -> tuple[str, dict[str, Any]]:
        if isinstance(message, Response):
            method, code = message.cseq.method, message.status
            if method == "INVITE":
                if code < 200:
                    return ("user.progress", {"code": code, "message": message}) if code > 100 else ("", {})
                return ("user.answer", {"message": message}) if code < 300 else ("user.reject", {"code": code, "message": message})
            if method in self._asked:
                return "user.respond", {"transaction": self._asked.pop(method), "code": code, "message": message}
            return "", {}
        match message.method:
            case "BYE":
                return "user.hangup", {}
            case "CANCEL":
                return ("user.hangup" if self._early() else "user.cancel"), {}
            case "INVITE":
                return "user.reinvite", {"message": message, "offer": has_offer(message)}
            case "ACK":
                return "user.acknowledge", {"message": message}
            case method:
                return "user.request", {"method": method, "message": message, "transaction": None}

    def _early(self) -> bool:
        leg = self.session.context if self.session is not None else None
        return leg is None or not leg.dialog.confirmed
