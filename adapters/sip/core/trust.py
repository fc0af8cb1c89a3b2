"""Whose statements of identity are believed (RFC 3325).

A P-Asserted-Identity says who a caller is, on the word of the network element that wrote it. So it passes only where that element is
trusted: from anybody else it is taken out of the message before anything reads it, whichever way it goes, request or response (§5). Towards
somebody who is not trusted an identity is taken out where its owner asked for privacy (``Privacy: id``, §7, §9.3). The Privacy field
itself always passes: it asks for less to be told, never for more.

Beside P-Asserted-Identity and P-Preferred-Identity, the fields that are only valid inside one trust domain are held to the same rule:
Remote-Party-ID, P-Asserted-Service (RFC 6050), and the charging fields of RFC 7315.
"""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

    from calltable.adapters.sip.message import Message
    from calltable.adapters.sip.transport import Address

    Network = ipaddress.IPv4Network | ipaddress.IPv6Network

ASSERTED: Final = (
    "p-asserted-identity", "p-preferred-identity", "remote-party-id", "p-asserted-service", "p-charging-vector", "p-charging-function-addresses",
)  # fmt: skip
"""Header fields that are worth what the word of their writer is worth."""
IDENTITY: Final = frozenset({"p-asserted-identity", "p-preferred-identity", "remote-party-id"})
"""Those of them that name a person."""
_STATEMENTS: Final = frozenset(ASSERTED)
_HOSTS: Final = 4096
"""Hosts whose verdict is remembered."""


class Trust:
    """The networks that are trusted. Without any, no statement passes."""

    def __init__(self, networks: Iterable[Network] = ()) -> None:
        self._networks: tuple[Network, ...] = ()
        self._known: dict[str, bool] = {}
        self.withholds = False
        """Whether anything that leaves may hold a statement at all: without a trusted network none has come in."""
        self.renew(networks)

    def renew(self, networks: Iterable[Network]) -> None:
        """Trust these from now on."""
        self._networks = tuple(networks)
        self._known = {}
        self.withholds = bool(self._networks)

    def trusts(self, host: str) -> bool:
        """Whether an IP address is trusted."""
        if not self._networks:
            return False
        known = self._known.get(host)
        if known is None:
            if len(self._known) >= _HOSTS:
                self._known.clear()
            address = ipaddress.ip_address(host.partition("%")[0])
            known = self._known[host] = any(address.version == one.version and address in one for one in self._networks)
        return known

    def came(self, message: Message, source: Address) -> None:
        """Take out of a message what its sender may not state."""
        first = message.first
        if not _STATEMENTS.isdisjoint(first) and not self.trusts(source.host):
            for name in _STATEMENTS.intersection(first):
                message.remove(name)

    def leaves(self, message: Message, to: Address) -> None:
        """Take out of a message that is about to leave what its owner does not want a stranger to know."""
        lines = [(name.lower(), value) for name, value in message.headers if name[:1] in "PpRr"]
        found = [name for name, _ in lines if name in IDENTITY]
        if found and not self.trusts(to.host):
            wanted = {part.strip().lower() for name, value in lines if name == "privacy" for part in value.split(";")}
            if "id" in wanted:
                for name in found:
                    message.remove(name)
