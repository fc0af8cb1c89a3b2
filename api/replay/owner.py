"""The owner of a single leg in a replay: its commands are inferred from the messages that the leg sent.

In a phone's call no coordinator table answers, hangs up or holds; a person did, or the phone by itself. For each captured message
that the tables do not send on their own, ``CapturedOwner`` gives the leg the command that leads to it. It owns the
leg itself (``leg/uac``, ``leg/uas``), because the decisions of a phone's own table already show in the capture.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from calltable.adapters.sip.message import Request, Response, has_offer
from calltable.assembly import Refused
from calltable.phone import CallEvent, LegOwner

if TYPE_CHECKING:
    from calltable.adapters.sip.core import Stack
    from calltable.adapters.sip.transaction import ServerTransaction
    from calltable.adapters.sip.transport import Address
    from calltable.assembly import Engine
    from calltable.replay.calls import Spoken


class CapturedOwner(LegOwner):
    """Owns the one leg of a replay; the stack's application too."""

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine.executor)
        self._asked: dict[str, Any] = {}
        """Requests that the leg has published and that wait for an answer, by method."""
        engine.stack.application = self

    # -- as the stack's application
    def incoming(self, stack: Stack, transaction: ServerTransaction, request: Request, *, offer: bool) -> None:
        """Take the call that comes in."""
        if self.begun:
            stack.refuse(transaction, 486)
            return
        self.begin("leg/uas", {"transaction": transaction.key, "message": request, "offer": offer, "relay": False})

    def availability(self, request: Request, source: Address) -> tuple[int, tuple[tuple[str, str], ...]]:  # noqa: ARG002
        """What an INVITE would get now."""
        return 486 if self.begun else 200, ()

    # -- as the leg's owner
    def notice(self, event: CallEvent) -> None:
        """Remember what waits for an answer."""
        if event.name == "request":
            self._asked[event.fields["method"]] = event.fields["transaction"]

    # -- what was said
    def wants(self, one: Spoken) -> None:
        """Give the leg the command that leads to this message. If the tables refuse it, the message stays unsent and shows as a difference."""
        message = one.message
        if not self.begun:
            if isinstance(message, Request) and one.opens:
                self.begin("leg/uac", {
                    "target": message.uri, "message": message, "offer": has_offer(message), "relay": False, "from": message.from_.uri,
                })  # fmt: skip
            return
        event, payload = self._command(message)
        if event:
            with suppress(Refused):
                self.command(event, payload)

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
        leg = self.session.context
        return leg is None or not leg.dialog.confirmed
