"""Finding where a SIP URI leads (RFC 3263)."""

from calltable.adapters.sip.locate.lookup import Lookup

__all__ = [
    "Lookup",
]
