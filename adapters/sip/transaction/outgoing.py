"""A message that is ready to leave: its bytes, where to, where from."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from calltable.adapters.sip.message import Request, Response
    from calltable.adapters.sip.transport import Address, Flow


class Sent:
    """A message that is kept only to be sent again: its bytes, a fifth of what the message takes."""

    __slots__ = ("data",)

    def __init__(self, message: Request | Response | Sent) -> None:
        self.data = bytes(message)

    def __bytes__(self) -> bytes:
        return self.data


class Outgoing(NamedTuple):
    """A message on its way: where to, from which listener, on which flow, and the row that wanted it."""

    message: Request | Response | Sent
    to: Address
    source: Address | None
    flow: Flow | None
    cause: str = ""

    def kept(self) -> Outgoing:
        """The same to send again, for no other reason than its transaction's."""
        return Outgoing(Sent(self.message), self.to, self.source, self.flow)
