"""Where calls go: an ordered list of routes, the first that matches wins.

A route names what it looks at (Request-URI, source address, or a header field), a pattern, and a target. The target
may use ``{user}`` (the user part of the Request-URI) and named groups of the pattern.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from calltable.adapters.sip.errors import MessageError
from calltable.adapters.sip.uri import parse_uri

if TYPE_CHECKING:
    from collections.abc import Sequence

    from calltable.adapters.sip.message import Request
    from calltable.adapters.sip.transport import Address
    from calltable.adapters.sip.uri import Uri

_PLACEHOLDER = re.compile(r"\{(\w+)\}")
_COMPARED_WITHOUT_CASE: Final = frozenset({"isub", "ext", "phone-context"})
_USER_SAFE: Final = "-_.!~*'()&=+$,;?/%"
"""Characters that stand in the user part of a SIP URI as they are (RFC 3261 §25.1), and the ``%`` of what is escaped already."""


class RouteError(ValueError):
    """A route that cannot work; the text says which and why."""


@dataclass(frozen=True)
class Route:
    """One route. All patterns given must match (regular expressions, anywhere in the value unless anchored).

    ``target`` is a SIP URI. One without a user part gets the user part of the Request-URI. ``reject`` answers with a
    status instead.
    """

    target: str | None = None
    uri: str | None = None
    source: str | None = None
    header: tuple[str, str] | None = None
    reject: int | None = None
    name: str = ""
    _patterns: tuple[tuple[str, re.Pattern[str]], ...] = field(default=(), init=False, repr=False)

    def __post_init__(self) -> None:
        label = f"route {self.name}" if self.name else "a route"
        if (self.target is None) == (self.reject is None):
            msg = f"{label}: give either a target or a status to reject with"
            raise RouteError(msg)
        if self.reject is not None and not 300 <= self.reject <= 699:
            msg = f"{label}: reject takes a status from 300 to 699, not {self.reject}"
            raise RouteError(msg)
        wanted = [("uri", self.uri), ("source", self.source)]
        if self.header is not None:
            wanted.append((f"header {self.header[0]}", self.header[1]))
        patterns = []
        groups = {"user"}
        for what, text in wanted:
            if text is None:
                continue
            try:
                pattern = re.compile(text)
            except re.error as error:
                msg = f"{label}: the {what} pattern {text!r} is no regular expression: {error}"
                raise RouteError(msg) from None
            patterns.append((what, pattern))
            groups |= set(pattern.groupindex)
        object.__setattr__(self, "_patterns", tuple(patterns))
        if self.target is not None:
            for name in _PLACEHOLDER.findall(self.target):
                if name not in groups:
                    msg = f"{label}: target uses {{{name}}}, but no pattern has a group (?P<{name}>…)"
                    raise RouteError(msg)
            try:
                if not parse_uri(_PLACEHOLDER.sub("x", self.target)).is_sip:
                    msg = f"{label}: target {self.target!r} is no sip: URI"
                    raise RouteError(msg)
            except MessageError as error:
                msg = f"{label}: target {self.target!r}: {error.reason}"
                raise RouteError(msg) from None

    def match(self, request: Request, source: Address | None) -> dict[str, str] | None:
        """The named groups of all patterns, or None where one does not match."""
        found: dict[str, str] = {}
        for what, pattern in self._patterns:
            if what == "uri":
                value = request.uri
            elif what == "source":
                value = source.hostport if source is not None else ""
            else:
                value = ", ".join(request.all(what.removeprefix("header ")))
            match = pattern.search(value)
            if match is None:
                return None
            found.update({name: text or "" for name, text in match.groupdict().items()})
        return found


class Router:
    """An ordered list of routes."""

    def __init__(self, routes: Sequence[Route]) -> None:
        self.routes = tuple(routes)

    def find(self, request: Request, source: Address | None = None) -> str | int:
        """The target URI for a request, or the status to answer with: the route's own, or 404."""
        for route in self.routes:
            groups = route.match(request, source)
            if groups is None:
                continue
            if route.reject is not None or route.target is None:
                return route.reject or 404
            return target(route.target, request.uri, groups)
        return 404


def target(template: str, uri: str, groups: dict[str, str]) -> str:
    """Fill a target: its placeholders, and the user part of ``uri`` where it has none.

    The user part of a ``tel:`` URI is its whole number with the parameters, marked ``;user=phone`` (RFC 3261 §19.1.6). Where
    nobody was dialled, a target that asks for ``{user}`` has no user part, and no ``@``.
    """
    dialled = parse_uri(uri)
    user = subscriber(dialled) if dialled.scheme == "tel" else dialled.user or ""
    filled = _PLACEHOLDER.sub(lambda m: groups.get(m[1], user if m[1] == "user" else ""), template)
    scheme, _, rest = filled.partition(":")
    userinfo, at, place = rest.partition("@")
    if not at:
        userinfo, place = "", rest
    if userinfo[:1] in ("", ":"):
        userinfo = user
    if dialled.scheme == "tel" and userinfo == user:
        place, mark, headers = place.partition("?")
        if ";user=" not in place.lower():
            place += ";user=phone"
        place += mark + headers
    return f"{scheme}:{userinfo}@{place}" if userinfo else f"{scheme}:{place}"


def subscriber(uri: Uri) -> str:
    """The telephone-subscriber of a ``tel:`` URI, as the user part of a SIP URI: RFC 3261 §19.1.6.

    What is compared without case is in lower case, and the parameters are in order, so that one number is written one way.
    """
    order = {"isub": "0", "postd": "1"}
    parts = [uri.opaque.lower()]
    for name, value in sorted(uri.params.items(), key=lambda one: order.get(one[0], "2") + one[0]):
        folded = value.lower() if value and name in _COMPARED_WITHOUT_CASE else value
        parts.append(name if folded is None else f"{name}={folded}")
    return quote(";".join(parts), safe=_USER_SAFE, errors="surrogateescape")
