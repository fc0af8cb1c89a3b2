"""Peers that write whatever fits, or nearly fits, the calls that are up: the other side of the fuzz.

They read what comes with as little as it takes (``_field``), not with the codec under test.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

    from calltable.adapters.simulated.network import SimulatedTransport
    from calltable.adapters.sip.transport.address import Address
    from calltable.adapters.sip.transport.interface import Flow

SDP: Final = b"v=0\r\no=- 1 1 IN IP4 10.0.0.2\r\ns=-\r\nc=IN IP4 10.0.0.2\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n"
METHODS: Final = ("INVITE", "BYE", "INFO", "UPDATE", "REFER", "NOTIFY", "MESSAGE", "PRACK", "OPTIONS", "SUBSCRIBE", "PUBLISH", "BANANA", "ACK", "CANCEL")
CODES: Final = (100, 180, 180, 183, 199, 200, 200, 200, 200, 202, 299, 300, 302, 401, 404, 407, 408, 422, 481, 485, 486, 487, 491, 500, 503, 580, 600, 603, 699)


def value(data: bytes, name: bytes) -> bytes:
    """The first value of a header field."""
    found = re.search(rb"(?im)^" + name + rb"[ \t]*:[ \t]*([^\r\n]*)", data)
    return found[1] if found else b""


def tag(field_value: bytes) -> bytes:
    """The tag of a From or To value."""
    found = re.search(rb";tag=([^;>\s]+)", field_value)
    return found[1] if found else b""


@dataclass(eq=False)
class Dialog:
    """What a stranger knows of one call."""

    peer: Stranger
    call_id: bytes
    local: bytes
    local_tag: bytes
    remote: bytes
    remote_tag: bytes = b""
    target: bytes = b"sip:bob@10.0.0.1:5060"
    cseq: int = 0
    invite: bytes = b""
    """The INVITE that was sent last, for its CANCEL and ACK."""


@dataclass(eq=False)
class Stranger:
    """A peer at one address that sends what it is told by chance."""

    name: str
    transport: SimulatedTransport
    server: Address
    rng: Random
    send: Callable[[Stranger, bytes, Flow | None, Address | None], None]
    """Sends bytes in the stranger's name; breaks them now and then."""
    later: Callable[[float, Callable[[], None]], None]
    dialogs: list[Dialog] = field(default_factory=list)
    sent: list[bytes] = field(default_factory=list)

    @property
    def address(self) -> Address:
        """Where it listens."""
        return self.transport.listeners[0]

    def token(self) -> bytes:
        """A tag, branch or Call-ID."""
        return b"%012x" % self.rng.getrandbits(48)

    # -- as the transport's receiver
    def received(self, data: bytes, source: Address, local: Address, flow: Flow) -> None:
        """Answer a request after a while, acknowledge a response to an INVITE, mostly."""
        rng = self.rng
        if data.startswith(b"SIP/2.0 "):
            self._responded(data)
            return
        method = data.partition(b" ")[0]
        if method == b"ACK":
            return
        if method == b"INVITE" and not tag(value(data, b"to")):
            to = value(data, b"to")
            dialog = Dialog(self, value(data, b"call-id"), to, self.token(), value(data, b"from"), tag(value(data, b"from")))
            found = re.search(rb"<([^>]*)>", value(data, b"contact"))
            dialog.target = found[1] if found else dialog.target
            self._keep(dialog)
        else:
            dialog = next((d for d in self.dialogs if d.call_id == value(data, b"call-id")), None)
        own = dialog.local_tag if dialog is not None else self.token()
        for _ in range(rng.choice((0, 1, 1, 1, 2, 3))):
            delay = rng.choice((0.0, 0.0, 0.01, 0.3, 1.0, 5.0, 40.0))
            self.later(delay, partial(self.respond, data, rng.choice(CODES), own, flow, source))

    def transport_failed(self, remote: Address, flow: Flow | None, reason: str, data: bytes) -> None:
        """Nobody to tell."""

    def connection_closed(self, flow: Flow) -> None:
        """Nobody to tell."""

    # -- writing
    def respond(self, request: bytes, code: int, own: bytes, flow: Flow, source: Address) -> None:
        """Answer a request."""
        rng = self.rng
        to = value(request, b"to")
        if not tag(to) and rng.random() < 0.95:
            to += b";tag=" + (own if rng.random() < 0.9 else self.token())
        head, _, _ = request.partition(b"\r\n\r\n")
        vias = [line for line in head.split(b"\r\n") if line.lower().startswith(b"via:")]
        lines = [b"SIP/2.0 %d Whatever" % code, *vias, b"From: " + value(request, b"from"), b"To: " + to,
                 b"Call-ID: " + value(request, b"call-id"), b"CSeq: " + value(request, b"cseq")]  # fmt: skip
        if rng.random() < 0.9:
            lines.append(b"Contact: " + self.contact())
        body = SDP if rng.random() < 0.5 else b""
        if body:
            lines.append(b"Content-Type: application/sdp")
        self.send(self, b"\r\n".join([*lines, b"Content-Length: %d" % len(body), b"", b""]) + body, flow, source)

    def contact(self) -> bytes:
        """Its Contact value."""
        tail = "" if self.address.transport == "udp" else f";transport={self.address.transport}"
        return f"<sip:{self.name}@{self.address.hostport}{tail}>".encode()

    def invite(self) -> None:
        """Call somebody."""
        rng = self.rng
        user = rng.choice((b"bob", b"bob", b"bob", b"carol", b"alice", b"nobody", b"dead", b"busy"))
        target = b"sip:%b@10.0.0.1:5060" % user
        dialog = Dialog(self, self.token(), b"<sip:%b@example.com>" % self.name.encode(), self.token(), b"<%b>" % target, target=target)
        self._keep(dialog)
        self.ask(dialog, "INVITE")

    def ask(self, dialog: Dialog, method: str, *, cseq: int | None = None, branch: bytes = b"") -> None:
        """Send a request of a call."""
        rng = self.rng
        if cseq is None:
            dialog.cseq += rng.choice((1, 1, 1, 1, 0, 2))
            cseq = dialog.cseq
        remote_tag = dialog.remote_tag if rng.random() < 0.95 else rng.choice((b"", b"wrong"))
        transport = self.address.transport.upper().encode()
        lines = [
            b"%b %b SIP/2.0" % (method.encode(), dialog.target),
            b"Via: SIP/2.0/%b %b;branch=%b%b" % (transport, self.address.hostport.encode(), branch or b"z9hG4bK" + self.token(), rng.choice((b";rport", b""))),
            b"Max-Forwards: 70",
            b"From: %b;tag=%b" % (dialog.local, dialog.local_tag),
            b"To: " + dialog.remote + (b";tag=" + remote_tag if remote_tag else b""),
            b"Call-ID: " + dialog.call_id,
            b"CSeq: %d %b" % (cseq, method.encode()),
        ]
        if method not in ("BYE", "CANCEL", "ACK", "MESSAGE", "INFO") or rng.random() < 0.1:
            lines.append(b"Contact: " + self.contact())
        if method == "REFER":
            lines.append(b"Refer-To: <sip:carol@10.0.0.1>")
        if method in ("NOTIFY", "SUBSCRIBE", "PUBLISH"):
            lines += [b"Event: " + rng.choice((b"refer", b"refer;id=1", b"dialog")), b"Subscription-State: " + rng.choice((b"active;expires=60", b"terminated"))]
        if method == "PRACK":
            lines.append(b"RAck: 1 1 INVITE")
        if rng.random() < 0.1:
            lines.append(rng.choice((b"Require: timer", b"Supported: timer,100rel", b"Session-Expires: 1800;refresher=uac", b"Record-Route: <sip:10.0.0.77;lr>", b"Reason: SIP;cause=200")))
        body = SDP if method in ("INVITE", "UPDATE") and rng.random() < 0.7 else b""
        if body:
            lines.append(b"Content-Type: application/sdp")
        data = b"\r\n".join([*lines, b"Content-Length: %d" % len(body), b"", b""]) + body
        if method == "INVITE":
            dialog.invite = data
        self.send(self, data, None, None)

    def cancel(self, dialog: Dialog) -> None:
        """Cancel the last INVITE."""
        if dialog.invite:
            via = value(dialog.invite, b"via")
            found = re.search(rb";branch=([^;\s]+)", via)
            kept = dialog.remote_tag, dialog.target
            dialog.remote_tag, dialog.target = tag(value(dialog.invite, b"to")), dialog.invite.split(b" ")[1]
            self.ask(dialog, "CANCEL", cseq=int(value(dialog.invite, b"cseq").split()[0]), branch=found[1] if found else b"")
            dialog.remote_tag, dialog.target = kept

    def within(self) -> None:
        """Do something in a call that it knows."""
        if self.dialogs:
            dialog = self.rng.choice(self.dialogs)
            if self.rng.random() < 0.15:
                self.cancel(dialog)
            else:
                self.ask(dialog, self.rng.choice(METHODS[:3] if self.rng.random() < 0.5 else METHODS))

    def again(self) -> None:
        """Send something once more."""
        if self.sent:
            self.send(self, self.rng.choice(self.sent), None, None)

    def _responded(self, data: bytes) -> None:
        code = int(data[8:11]) if data[8:11].isdigit() else 0
        cseq, _, method = value(data, b"cseq").partition(b" ")
        dialog = next((d for d in self.dialogs if d.call_id == value(data, b"call-id")), None)
        if dialog is None or method.strip() != b"INVITE" or not cseq.isdigit():
            return
        if code < 300:
            dialog.remote_tag = tag(value(data, b"to")) or dialog.remote_tag
            found = re.search(rb"<([^>]*)>", value(data, b"contact"))
            dialog.target = found[1] if found else dialog.target
        if code >= 200 and self.rng.random() < 0.85:
            found = re.search(rb";branch=([^;\s,]+)", value(data, b"via"))
            own = found[1] if found and code >= 300 else b""
            kept, dialog.remote_tag = dialog.remote_tag, tag(value(data, b"to"))
            self.ask(dialog, "ACK", cseq=int(cseq), branch=own)
            dialog.remote_tag = kept if code >= 300 else dialog.remote_tag

    def _keep(self, dialog: Dialog) -> None:
        self.dialogs.append(dialog)
        del self.dialogs[:-6]
