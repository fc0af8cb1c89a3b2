"""What one leg of a call may lend to another: the body and the end-to-end header fields of a message.

Everything that names a dialog, a hop or a network element stays on its own side (RFC 7092 §3): each leg makes
its own Via, From and To tags, Call-ID, CSeq, Contact and routes. What the two ends tell each other passes in
order and as it was written, unknown fields included.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias

from calltable.adapters.sip.core.bounds import Bounds
from calltable.adapters.sip.core.translation import NAMING
from calltable.adapters.sip.message import SINGLE_HEADERS, Content, Response, canonical_names, option_tags, printable

if TYPE_CHECKING:
    from calltable.adapters.sip.core.translation import Translation
    from calltable.adapters.sip.message import Message


_DEFAULT: Final = Bounds()
OWN: Final = frozenset({
    "via", "from", "to", "call-id", "cseq", "contact", "max-forwards", "record-route", "route", "path",
    "service-route", "content-length", "timestamp", "rseq", "rack", "proxy-require", "unsupported", "flow-timer",
})  # fmt: skip
"""Header fields that belong to a dialog or a hop and never cross."""
BETWEEN_NEIGHBOURS: Final = frozenset({"100rel", "outbound", "gruu", "path", "precondition", "sec-agree"})
"""Option tags of Supported that promise something between two neighbours, which each leg must promise itself."""
BETWEEN_ENDS: Final = frozenset({"timer", "replaces", "join", "tdialog"})
"""Option tags of Require that the two ends agree on, past whoever stands between (RFC 4028 §8; RFC 3891, RFC 3911, RFC 4538: what
names a dialog is translated)."""


_NONE: Final[frozenset[str]] = frozenset()


Lendable: TypeAlias = "Message | Content | None"
"""What tables call ``content``: a message that came in and lends its own, or content that an application supplies."""


def lent(source: Lendable, translation: Translation | None = None,
         bounds: Bounds = _DEFAULT) -> tuple[list[tuple[str, str]], bytes]:
    """The header fields and the body that ``source`` lends to a message on another leg.

    ``translation`` says what names a dialog in the words of the other leg; without it such fields pass as they are.
    """
    if source is None:
        return [], b""
    if isinstance(source, Content):
        return list(source.headers), source.body
    names = canonical_names
    status = source.status if isinstance(source, Response) else 0
    headers: list[tuple[str, str]] = []
    repeated = SINGLE_HEADERS & source.repeated.keys() if source.repeated else _NONE
    seen: set[str] = set()
    whole = source.body
    body = whole if len(whole) <= bounds.body else b""
    most = bounds.header_fields
    for line in source.headers:
        name = names[line[0]]
        if name in OWN and not (name == "unsupported" and status == 420):
            continue
        if name in repeated:
            if name in seen:
                continue  # nobody here needed it, but who gets it may refuse the message for it
            seen.add(name)
        if len(headers) >= most:
            break
        if name in NAMING and translation is not None:
            value = translation.header(name, line[1])
            if value:
                headers.append((line[0], value))
        elif name == "require":
            kept = [tag for tag in option_tags([line[1]]) if tag in BETWEEN_ENDS or status == 421]
            if kept:
                headers.append((line[0], ", ".join(kept)))
        elif name == "supported":
            kept = [tag for tag in option_tags([line[1]]) if tag not in BETWEEN_NEIGHBOURS]
            if not kept:
                continue
            headers.append((line[0], ", ".join(kept)))
        elif name == "allow":
            kept = [method for method in line[1].replace(" ", "").split(",") if method.upper() != "PRACK"]
            headers.append((line[0], ", ".join(kept)))
        else:
            headers.append(line)
    if whole and not body:
        headers = [line for line in headers if not names[line[0]].startswith("content-")]
    return [line if line[1].isprintable() else (line[0], printable(line[1])) for line in headers], body
