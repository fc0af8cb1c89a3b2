"""A SIP peer without any behaviour: it sends exactly the messages it is told to and keeps those that come.

It has no transactions and no dialogs of its own making: nothing is repeated, acknowledged or answered unless the test says
so. That is what it is for: to do what no table of ours would ever do, at the very moment it hurts.

``RawCall`` helps to write messages that belong together; every field can still be overridden.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from calltable.adapters.sip.message import MessageError, Request, Response, build_response, parse

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Iterable, Mapping

    from calltable.adapters.simulated import SimulatedTransport
    from calltable.adapters.sip.transport import Address, Flow

Headers: TypeAlias = "Mapping[str, str] | Iterable[tuple[str, str]]"


class World(Protocol):
    """What a raw peer needs to know of the world it lives in: the time, the other nodes, and a source of random values."""

    addresses: dict[str, Address]

    @property
    def now(self) -> float:
        """Seconds since the start."""

    def until(self, done: Callable[[], object], within: float = ...) -> None:
        """Go on until ``done()`` is true. Raises ``SimulationError`` where it is not within so many seconds."""

    def uri(self, name: str, user: str | None = None) -> str:
        """The SIP URI of a node."""

    def listeners(self, name: str) -> tuple[Address, ...]:
        """Every address of a node."""

    def random(self, name: str) -> random.Random:
        """A random source of its own for a name."""


class RawPeer:
    """A peer at one address. ``inbox`` holds what has come and was not yet expected."""

    def __init__(self, name: str, simulation: World, transport: SimulatedTransport) -> None:
        self.name = name
        self.simulation = simulation
        self.transport = transport
        self.address: Address = transport.listeners[0]
        self.inbox: list[Request | Response] = []
        self.times: list[tuple[float, Request | Response]] = []
        """Everything that ever came, with its time in seconds."""
        self.garbage: list[bytes] = []
        """What came and is no SIP message."""
        self.failures: list[str] = []
        """What the transport said could not be delivered."""
        self._flows: dict[int, tuple[Flow, Address]] = {}
        self._random = simulation.random(name)

    # -- as the transport's receiver
    def received(self, data: bytes, source: Address, local: Address, flow: Flow) -> None:  # noqa: ARG002
        """Keep a message."""
        try:
            message = parse(data)
        except MessageError:
            self.garbage.append(data)
            return
        self.inbox.append(message)
        self.times.append((self.simulation.now, message))
        self._flows[id(message)] = (flow, source)

    def transport_failed(self, remote: Address, flow: Flow | None, reason: str, data: bytes) -> None:  # noqa: ARG002
        """Keep the reason."""
        self.failures.append(reason)

    def connection_closed(self, flow: Flow) -> None:
        """Nothing to do: whoever writes the test closed it."""

    @property
    def contact(self) -> str:
        """Its Contact value."""
        tail = "" if self.address.transport == "udp" else f";transport={self.address.transport}"
        return f"<sip:{self.name}@{self.address.hostport}{tail}>"

    # -- sending
    def token(self) -> str:
        """A tag, branch or Call-ID that nobody else uses."""
        return f"{self._random.getrandbits(48):012x}"

    def send(self, message: Request | Response | bytes | str, to: str | Address) -> None:
        """Send a message, or any bytes at all, to a node (by name) or an address."""
        address = self._address(to) if isinstance(to, str) else to
        data = message.encode() if isinstance(message, str) else bytes(message)
        self.transport.send(data, address)

    def respond(self, request: Request, status: int, reason: str | None = None, *, to_tag: str | None = None,
                headers: Headers = (), body: bytes = b"", contact: bool = True) -> Response:
        """Answer a request on the way it came. ``contact`` adds ours to what makes or refreshes a dialog."""
        lines = _pairs(headers)
        if contact and request.method == "INVITE" and 100 < status < 300:
            lines = [("Contact", self.contact), *lines]
        if body:
            lines.append(("Content-Type", "application/sdp"))
        response = build_response(request, status, reason, to_tag=to_tag, headers=lines, body=body)
        flow, source = self._flows[id(request)]
        self.transport.send(bytes(response), source, None, flow)
        return response

    def call(self, to: str, uri: str | None = None) -> RawCall:
        """Something like a call, from here to a node; nothing is sent yet."""
        return RawCall(self, to, uri or self.simulation.uri(to))

    # -- expecting
    def expect(self, what: str | int, method: str | None = None, within: float = 40.0) -> Any:
        """The next message of a kind: a method, or a status (``method`` says to which request). Lets time pass for it.

        Others that come first stay in ``inbox``. Raises ``SimulationError`` where none comes within so many seconds.
        """
        found = self._take(what, method)
        if found is None:
            self.simulation.until(lambda: self._find(what, method) is not None, within)
            found = self._take(what, method)
        return found

    def expect_request(self, method: str, within: float = 40.0) -> Request:
        """As ``expect``, for requests."""
        request: Request = self.expect(method, within=within)
        return request

    def expect_response(self, status: int, method: str | None = None, within: float = 40.0) -> Response:
        """As ``expect``, for responses."""
        response: Response = self.expect(status, method, within)
        return response

    def arrivals(self, what: str | int, method: str | None = None) -> list[float]:
        """When messages of a kind came, seconds."""
        return [when for when, message in self.times if _matches(message, what, method)]

    def _address(self, node: str) -> Address:
        """Where a node listens on our transport; it may be gone by now."""
        first = self.simulation.addresses[node]
        listeners = [one for one in self.simulation.listeners(node) if one.transport == self.address.transport]
        return listeners[0] if listeners else first

    def _find(self, what: str | int, method: str | None) -> int | None:
        return next((i for i, message in enumerate(self.inbox) if _matches(message, what, method)), None)

    def _take(self, what: str | int, method: str | None) -> Request | Response | None:
        place = self._find(what, method)
        return None if place is None else self.inbox.pop(place)


class RawCall:
    """The fields that the messages of one call share, at the raw peer's end."""

    def __init__(self, peer: RawPeer, node: str, uri: str) -> None:
        self.peer = peer
        self.node = node
        self.uri = uri
        self.call_id = f"{peer.token()}@{peer.name}"
        self.local_tag = peer.token()
        self.local = f"<sip:{peer.name}@{peer.address.hostport}>"
        self.remote = f"<{uri}>"
        self.remote_tag: str | None = None
        self.target = uri
        self.routes: list[str] = []
        self.cseq = 0
        self.invite: Request | None = None
        """The latest INVITE that was sent."""
        self.incoming: Request | None = None
        """The INVITE that opened the call, where it came in."""

    @classmethod
    def of(cls, peer: RawPeer, invite: Request, node: str) -> RawCall:
        """The call that an INVITE opens, at the end that was called."""
        call = cls(peer, node, invite.contact_uri or "")
        call.incoming = invite
        call.call_id = invite.call_id
        call.local = invite.get("to") or ""
        call.remote = f"<{invite.from_.uri}>"
        call.remote_tag = invite.from_tag
        call.routes = invite.values("record-route")
        return call

    def request(self, method: str, *, body: bytes = b"", headers: Headers = (), cseq: int | None = None,
                branch: str | None = None, uri: str | None = None, contact: bool = True, max_forwards: int = 70,
                content_type: str = "application/sdp") -> Request:
        """Write and send a request."""
        if cseq is None:
            self.cseq += 1
            cseq = self.cseq
        address = self.peer.address
        transport = address.transport
        to = f"{self.remote};tag={self.remote_tag}" if self.remote_tag else self.remote
        lines = [
            ("Via", f"SIP/2.0/{transport.upper()} {address.hostport};branch={branch or 'z9hG4bK' + self.peer.token()};rport"),
            ("Max-Forwards", str(max_forwards)),
            *(("Route", route) for route in self.routes),
            ("From", f"{self.local};tag={self.local_tag}"), ("To", to),
            ("Call-ID", self.call_id), ("CSeq", f"{cseq} {method}"),
        ]  # fmt: skip
        if contact and method not in ("BYE", "CANCEL"):
            lines.append(("Contact", self.peer.contact))
        lines += _pairs(headers)
        if body:
            lines.append(("Content-Type", content_type))
        lines.append(("Content-Length", str(len(body))))
        request = Request(method, uri or self.target, lines, body)
        if method == "INVITE":
            self.invite = request
        self.peer.send(request, self.node)
        return request

    def learn(self, response: Response) -> Response:
        """Take the remote tag, target and routes from a response that makes a dialog."""
        self.remote_tag = response.to_tag
        self.target = response.contact_uri or self.target
        self.routes = list(reversed(response.values("record-route")))
        return response

    def ack(self, response: Response, *, body: bytes = b"", headers: Headers = (), branch: str | None = None) -> Request:
        """Acknowledge a final response to an INVITE; a failure in the INVITE's own transaction."""
        if 200 <= response.status < 300:
            self.learn(response)
            return self.request("ACK", body=body, headers=headers, cseq=response.cseq.number, branch=branch)
        tag, self.remote_tag = self.remote_tag, response.to_tag
        sent = self.request("ACK", cseq=response.cseq.number, branch=branch or response.via.branch, contact=False,
                            uri=self.invite.uri if self.invite is not None else None)  # fmt: skip
        self.remote_tag = tag
        return sent

    def cancel(self, headers: Headers = ()) -> Request:
        """Cancel the latest INVITE."""
        invite = self.invite
        if invite is None:
            msg = "there is no INVITE to cancel"
            raise ValueError(msg)
        tag, self.remote_tag = self.remote_tag, invite.to_tag
        sent = self.request("CANCEL", cseq=invite.cseq.number, branch=invite.via.branch, uri=invite.uri, headers=headers)
        self.remote_tag = tag
        return sent

    def again(self, request: Request) -> None:
        """Send the very same request once more."""
        self.peer.send(request, self.node)

    def respond(self, request: Request, status: int, reason: str | None = None, *, headers: Headers = (),
                body: bytes = b"", to_tag: str | None = None, contact: bool = True) -> Response:
        """Answer a request of this call with our tag."""
        return self.peer.respond(request, status, reason, to_tag=to_tag or self.local_tag, headers=headers, body=body,
                                 contact=contact)  # fmt: skip


def _pairs(headers: Headers) -> list[tuple[str, str]]:
    return list(headers.items() if hasattr(headers, "items") else headers)


def _matches(message: Request | Response, what: str | int, method: str | None) -> bool:
    if isinstance(message, Request):
        return message.method == what
    return message.status == what and (method is None or message.cseq.method == method)

