"""What surrounds a replayed stack: a wire that catches what is sent, and a lookup and routes that answer as the capture shows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from calltable.adapters.sip.message import MessageError, Request, Response, host_port
from calltable.adapters.sip.transport import Address, canonical_ip, choose_listener, default_port

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from calltable.adapters.sip.transport import Flow, Receiver
    from calltable.replay.calls import Call


class Wire:
    """A transport that catches what is sent."""

    def __init__(self, listeners: Sequence[Address], sent: Callable[[bytes, Address], None]) -> None:
        self.listeners = tuple(listeners)
        self.stats: dict[str, int] = {}
        self.receiver: Receiver | None = None
        self._sent = sent

    def start(self, receiver: Receiver) -> None:
        """Say who is to be told."""
        self.receiver = receiver

    def local_for(self, to: Address, source: Address | None = None) -> Address | None:
        """The address for Via and Contact."""
        return choose_listener(self.listeners, to, source, lambda _: None)

    def send(self, data: bytes, to: Address, source: Address | None = None, flow: Flow | None = None) -> None:  # noqa: ARG002
        """Catch a message."""
        self._sent(data, to)

    def close_flow(self, flow: Flow) -> None:
        """There are no connections."""

    async def close(self) -> None:
        """There is nothing to close."""


class Lookup:
    """Finds where a URI led to in the capture; literal addresses need no capture."""

    def __init__(self, call: Call) -> None:
        self._known: dict[str, dict[Address, None]] = {}
        for one in call.messages:
            if one.out and isinstance(one.message, Request):
                self._known.setdefault(one.message.uri, {})[one.remote] = None
        self._others = [one.remote for one in call.placed]

    def find(self, uri: str, done: Callable[[Sequence[Address], str], None]) -> None:
        """Answer with the addresses that the capture shows."""
        if uri in self._known:
            done(list(self._known[uri]), "")
            return
        try:
            host, port, transport = host_port(uri)
        except MessageError as error:
            done((), error.reason)
            return
        literal = canonical_ip(host)
        if literal is not None:
            done([Address(transport or "udp", literal, port or default_port(transport or "udp"))], "")
        elif self._others:
            done(self._others[:1], "")
        else:
            done((), f"the capture does not show where {uri} leads")


class Routes:
    """Sends the call where the capture shows it went, or refuses it as it was refused then."""

    def __init__(self, call: Call) -> None:
        self._targets = [one.message.uri for one in call.placed if isinstance(one.message, Request)]
        finals = [
            one.message.status for one in call.messages
            if one.out and isinstance(one.message, Response) and one.message.cseq.method == "INVITE" and one.message.status >= 300
        ]  # fmt: skip
        self._refusal = finals[0] if finals else 404

    def find(self, request: Request, source: Address | None = None) -> str | int:  # noqa: ARG002
        """The next target that the capture shows, or its refusal."""
        return self._targets.pop(0) if self._targets else self._refusal
