"""Who a URI names, whatever way leads there: the URI without the parameters that only say how its host is reached."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from calltable.adapters.sip.message import MessageError, Uri, parse_uri, printable, quote_string
from calltable.adapters.sip.transport import canonical_ip

if TYPE_CHECKING:
    from calltable.adapters.sip.transport import Address


_OF_THE_WAY: Final = frozenset({"transport", "maddr", "ttl", "lr", "received"})
"""Parameters of a URI that say how its host is reached, and mean nothing with another host."""


def identity(uri: str, display: str, local: Address) -> str:
    """The From value of a new leg: the caller's, but for a host that is a machine's address, which is ours then.

    A name (``sip:alice@example.com``) is an identity and passes; an IP address would show the other leg's network.
    """
    host = local.hostport
    if uri:
        try:
            parsed = parse_uri(uri)
        except MessageError:
            parsed = None
        if parsed is not None and parsed.is_sip and parsed.host and canonical_ip(parsed.host) is not None:
            kept = {name: value for name, value in parsed.params.items() if name not in _OF_THE_WAY}
            tail = str(Uri("", params=kept)).partition(":")[2]
            uri = f"{parsed.scheme}:{parsed.user}@{host}{tail}" if parsed.user else f"{parsed.scheme}:{host}{tail}"
    else:
        uri = f"sip:calltable@{host}"
    if not display:
        return f"<{uri}>"
    return f"{quote_string(printable(display))} <{uri}>"
