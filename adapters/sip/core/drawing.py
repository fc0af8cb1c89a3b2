"""What legs draw before a row is committed: dialogs, CSeq numbers, tags and branches (``engine/run/ports.py``, ``Draw``).

A leg's dialogs are its session's value. They move in two ways only: with the event that a message is (``requests.py``), and here, by what a
row is about to send. Both are part of the row's commit, so that no number leaves that is not kept; what was drawn is kept too, and sending it
again after a crash is the same transaction, not a second request (RFC 3261 §17.2.3).

Nothing here sends or decides: ``asking.py`` and ``answering.py`` write what was drawn.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

from calltable.adapters.sip.core.leg import Leg
from calltable.adapters.sip.core.translation import shown_to
from calltable.adapters.sip.dialog import Dialog, Dialogs, request_target
from calltable.adapters.sip.message import BRANCH_COOKIE, TARGET_REFRESH, Request, Response

if TYPE_CHECKING:
    from collections.abc import Mapping

    from calltable.adapters.sip.core.bounds import Bounds
    from calltable.adapters.sip.core.index import Index
    from calltable.adapters.sip.transaction import Sender, ServerTransaction, Transactions
    from calltable.engine.run import Executor, Session


Drawn: TypeAlias = "tuple[str, str | None, int, str]"


class Numbered(NamedTuple):
    """A request that a row will send: its dialog's tags, its CSeq number, the branch of its first attempt. Drawn as a plain tuple."""

    local_tag: str
    remote_tag: str | None
    number: int
    branch: str


_NO_DIALOG: Final = "the leg has no dialog"


class Drawing:
    """Draws for the actions of leg tables."""

    def __init__(self, executor: Executor, sender: Sender, transactions: Transactions, index: Index, bounds: Bounds) -> None:
        self._sender = sender
        self._transactions = transactions
        self._index = index
        self._bounds = bounds
        executor.draw({
            "sip.attach": self.attach,
            "sip.respond": self.respond,
            "sip.accept": self.accept,
            "sip.invite": self.invite,
            "sip.acknowledge": self.acknowledge,
            "sip.bye": self.within,
            "sip.probe": self.within,
            "sip.request": self.request,
            "sip.hangup_all": self.hangup_all,
        })

    # -- as the callee
    def attach(self, session: Session, p: Mapping[str, Any], value: Any) -> tuple[Any, None]:  # noqa: ARG002
        """The dialog of the INVITE that opens a leg (§12.1.1); of a re-INVITE, nothing. Raises ValueError, MessageError."""
        if value is not None:
            return value, None
        transaction = self._transactions.servers.get(p["transaction"])
        if transaction is None or transaction.request is None:
            msg = "the INVITE was answered before a leg took it"
            raise ValueError(msg)
        sender = self._sender
        contact = sender.contact(sender.transport.local_for(transaction.to, transaction.local))
        return Dialogs.of_request(transaction.request, sender.token(), contact, transaction.local), None

    def server(self, leg: Leg, to: str) -> ServerTransaction | None:
        """The request of the peer that ``to`` names: the INVITE, BYE or CANCEL that waits, or the one with this key."""
        if to == "invite":
            return leg.invite_server
        if to == "bye":
            return leg.bye_server
        if to == "cancel":
            return leg.cancel_server
        return self._transactions.servers.get(to)

    def respond(self, session: Session, p: Mapping[str, Any], value: Any) -> tuple[Any, Any]:
        """The dialog that a response is of, and what the response makes of it."""
        leg = session.context
        transaction = self.server(leg, p["to"]) if isinstance(leg, Leg) else None
        request = transaction.request if transaction is not None else None
        if request is None or value is None:
            return value, None
        return self._responded(value, request, p["code"], p.get("message"))

    def accept(self, session: Session, p: Mapping[str, Any], value: Any) -> tuple[Any, Any]:
        """The same for the 200 to the INVITE that waits: its dialog is confirmed (§13.3.1.4)."""
        drawn = self.respond(session, {"to": "invite", "code": 200, "message": p.get("message")}, value)
        dialogs: Dialogs = drawn[0]
        return dialogs.placed(dialogs.current.accepted()), drawn[1]

    def _responded(self, dialogs: Dialogs, request: Request, code: int, source: Any) -> tuple[Dialogs, tuple[str, str | None]]:
        tag = request.to_tag
        invite = tag is None and request.method == "INVITE"
        if invite and 100 < code < 300 and isinstance(source, Response) and (other := source.to_tag):
            dialogs = self._speaking(dialogs, other)
        dialog = dialogs.current
        if tag is not None:
            dialog = dialogs.find(tag, request.from_tag) or dialog
        if 200 <= code < 300 and request.method in TARGET_REFRESH and not invite:
            # not by a request that is refused: RFC 6141 §4.6
            dialogs = dialogs.placed(dialog.refreshed(request))
        return dialogs, (dialog.local_tag, dialog.remote_tag)

    def _speaking(self, dialogs: Dialogs, other: str) -> Dialogs:
        """Show the caller an early dialog for each of the callee's.

        A forking callee answers with several tags and several descriptions. Under one tag the caller would take the first
        description for the answer to all of them.
        """
        known = dialogs.tag_of(other) is not None
        if not known and len(dialogs.shown) >= self._bounds.forks:
            return dialogs  # it shares the dialog of the one before
        return dialogs.shows(other, "" if known or not dialogs.shown else self._sender.token())

    # -- as the caller
    def invite(self, session: Session, p: Mapping[str, Any], value: Any) -> tuple[Any, Drawn]:
        """The dialog of a new leg (§13.2.1), and the number of its INVITE."""
        if value is None:
            sender, target = self._sender, request_target(p["target"])
            value = Dialogs(Dialog(f"{sender.token()}@{sender.host}", "", sender.token(), f"<{target}>", target))
        return self.within(session, p, value)

    def within(self, session: Session, p: Mapping[str, Any], value: Any) -> tuple[Any, Drawn]:  # noqa: ARG002
        """The next number of the dialog the leg speaks in (§12.2.1.1)."""
        if value is None:
            raise ValueError(_NO_DIALOG)
        return self._numbered(value, value.current)

    def _numbered(self, dialogs: Dialogs, dialog: Dialog) -> tuple[Dialogs, Drawn]:
        number = dialog.local_cseq + 1
        drawn = dialog.local_tag, dialog.remote_tag, number, f"{BRANCH_COOKIE}{self._sender.token()}"
        return dialogs.placed(dialog.numbered(number)), drawn

    def request(self, session: Session, p: Mapping[str, Any], value: Any) -> tuple[Any, Any]:  # noqa: ARG002
        """The number of a request in the dialog that stands for the one its source came in by; None where there is none."""
        if value is None:
            raise ValueError(_NO_DIALOG)
        source, method = p.get("message"), p["method"]
        dialog = shown_to(value, self._index.of(source), source) if isinstance(source, Request) else value.current
        if dialog is None or dialog.remote_tag is None:
            return value, None
        dialogs, drawn = self._numbered(value, dialog)
        if method == "REFER" and isinstance(source, Request):
            referred = (*dialogs.referred, (source.cseq.number, drawn[2]))
            dialogs = dialogs._replace(referred=referred[-self._bounds.referred :])
        if method == "BYE" and dialogs.forked:
            dialogs = dialogs.without(dialog)
        return dialogs, drawn

    def acknowledge(self, session: Session, p: Mapping[str, Any], value: Any) -> tuple[Any, str]:  # noqa: ARG002
        """The branch of the ACK to a 2xx (§13.2.2.4)."""
        return value, f"{BRANCH_COOKIE}{self._sender.token()}"

    def hangup_all(self, session: Session, p: Mapping[str, Any], value: Any) -> tuple[Any, Drawn | None]:
        """The number of the BYE, where there is a dialog to end; a 2xx that no row has taken confirms it all the same."""
        leg = session.context
        if value is not None and isinstance(leg, Leg) and leg.unacknowledged is not None and not value.current.confirmed:
            value = leg.spoiled(*leg.unacknowledged)(value)
        if value is None or not value.current.confirmed or value.current.remote_tag is None:
            return value, None
        return self.within(session, p, value)
