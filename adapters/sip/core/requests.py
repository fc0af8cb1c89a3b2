"""From transactions to legs: one rule that names the event a request or a response is for its leg.

The event of a request of the peer is ``sip.<method>`` where the leg's machine has such an event, ``sip.request`` else. The event of
what came of a request of ours is ``sip.<method>.<class>`` where the machine has it; then ``sip.<method>.final`` for a final class;
then the same of ``sip.request``. A class is ``provisional``, ``success``, ``glare`` (491) or ``failure``. The payload
says the method and the ``purpose`` that the row gave the request, so that rows tell apart what shares an event. What a machine has no event
for is not told.

A BYE that ends one of several early dialogs is a request inside that dialog and not the end of the leg (RFC 3261 §15): ``sip.request``.
"""

from __future__ import annotations

import logging
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from calltable.adapters.sip.core.drawing import Numbered
from calltable.adapters.sip.message import SUCCESS, TARGET_REFRESH, has_offer
from calltable.adapters.sip.transaction import only_here
from calltable.engine.model import FAILED

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from calltable.adapters.sip.core.leg import Leg
    from calltable.adapters.sip.dialog import Dialog, Dialogs
    from calltable.adapters.sip.message import Request, Response
    from calltable.adapters.sip.transaction import ClientTransaction, ServerTransaction
    from calltable.engine.run import Change, Session

log = logging.getLogger("calltable.sip")

_GLARE: Final = 491


def event_of(session: Session, method: str, outcome: str = "") -> str | None:
    """The event that a request with ``method`` is for a session; with ``outcome``, what came of one. None: its machine has none."""
    events = session.machine.model.events
    for name in (method.lower(), "request"):
        if not outcome:
            if (event := f"sip.{name}") in events:
                return event
            continue
        if (event := f"sip.{name}.{outcome}") in events:
            return event
        if outcome != "provisional" and (event := f"sip.{name}.final") in events:
            return event
    return None


def deliver(leg: Leg, transaction: ServerTransaction, request: Request, dialog: Dialog) -> bool:
    """Give a request inside ``dialog``, whose order has been checked (§12.2.2), to its leg; False where its machine takes none."""
    method = request.method
    ends_fork = method == "BYE" and leg.dialogs.forked
    event = event_of(leg.session, "request" if ends_fork else method)
    if event is None:
        return False
    if event == "sip.bye":
        only_here(leg.invite_client)
        leg.bye_server = transaction
    else:
        if leg.open is None:
            leg.open = []
        leg.open.append(transaction)

    def change(dialogs: Dialogs) -> Dialogs:
        counted = dialogs.counted(request, dialog)
        return counted.without(dialog) if ends_fork else counted

    payload = {"message": request, "transaction": transaction.key, "offer": has_offer(request), "method": method}
    leg.port.post(leg.session, event, payload, change)
    return True


class Asked:
    """The user of one request of a leg: what comes of it becomes an event of the leg, with what it makes of the dialogs."""

    __slots__ = ("drawn", "fields", "leg", "method", "one_fork")

    def __init__(self, leg: Leg, method: str, fields: Mapping[str, Any], drawn: Sequence[Any] | None, *, one_fork: bool = False) -> None:
        self.leg = leg
        self.one_fork = one_fork
        """It is a BYE that ends one of several early dialogs."""
        self.method = method
        self.fields = fields
        self.drawn = Numbered._make(drawn) if drawn is not None else None
        """The dialog that it was sent in, and its number; None where it was never sent."""

    def responded(self, transaction: ClientTransaction | None, kind: str, code: int, message: Response | None) -> None:
        """Tell the leg. Without a transaction the request was never sent."""
        leg = self.leg
        try:
            self._tell(transaction, kind, code, message)
        except Exception as error:
            log.exception("%s: %s of its %s cannot be taken", leg.session.path, code, self.method)
            change = None
            if self.method == "INVITE" and kind == "success" and transaction is not None and message is not None:
                change = leg.spoiled(transaction, message)
            leg.port.post(leg.session, FAILED, {"reason": f"{code} to {self.method}: {error!r}"}, change)

    def _tell(self, transaction: ClientTransaction | None, kind: str, code: int, message: Response | None) -> None:
        leg = self.leg
        change: Change | None = None
        if self.method == "INVITE":
            if not leg.heard(transaction, kind, message):
                return
            change = leg.moved(kind, code, message)
        elif (
            kind == "success" and self.method in TARGET_REFRESH and message is not None and message.status < SUCCESS
            and self.drawn is not None
        ):  # fmt: skip
            change = partial(_refreshed, tags=(self.drawn.local_tag, self.drawn.remote_tag), response=message)
        event = event_of(leg.session, "request" if self.one_fork else self.method, _outcome(kind, code))
        if event is not None:
            contact = message.contact_uri if message is not None and 300 <= code < 400 else None
            fields = {**self.fields, "method": self.method, "code": code, "message": message, "contact": contact}
            leg.port.post(leg.session, event, fields, change)

    def unsent(self, code: int) -> None:
        """The request could not be sent: the same as a failure without a response."""
        self.responded(None, "failure", code, None)


def _outcome(kind: str, code: int) -> str:
    return "glare" if kind == "failure" and code == _GLARE else kind


def _refreshed(dialogs: Dialogs, *, tags: tuple[str, str | None], response: Response) -> Dialogs:
    dialog = dialogs.find(*tags)
    return dialogs if dialog is None else dialogs.placed(dialog.refreshed(response))
