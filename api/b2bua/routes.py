"""Where calls go: an ordered list of routes, the first that matches wins.

A route names what it looks at (Request-URI, source address, or a header field), a pattern, and a target. The target
may use ``{user}`` (the user part of the Request-URI) and named groups of the pattern.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from calltable.adapters.sip.message.errors import MessageError
from calltable.adapters.sip.message.uri import parse_uri
from calltable.adapters.sip.transport.sockets import KINDS
from calltable.engine.model.problems import close_matches

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from calltable.adapters.sip.message.message import Request
    from calltable.adapters.sip.message.uri import Uri
    from calltable.adapters.sip.transport.address import Address

_PLACEHOLDER = re.compile(r"\{(\w+)\}")
_BRACES = re.compile(r"\{[^{}]*\}?|\}")
_SOMETHING: Final = "1"
"""Stands for a placeholder while a target is checked: it may be a user, a host or a port."""
_COMPARED_WITHOUT_CASE: Final = frozenset({"isub", "ext", "phone-context"})
_USER_SAFE: Final = "-_.!~*'()&=+$,;?/%"
"""Characters that stand in the user part of a SIP URI as they are (RFC 3261 §25.1), and the ``%`` of what is escaped already."""


class RouteError(ValueError):
    """A route that cannot work; the text says which and why, ``hint`` the mend. ``key`` is the part at fault, if it is one."""

    def __init__(self, message: str, key: str = "", hint: str = "") -> None:
        super().__init__(message)
        self.key = key
        self.hint = hint


@dataclass(frozen=True)
class Route:
    """One route. All patterns given must match (regular expressions, anywhere in the value unless anchored).

    ``target`` is a SIP URI. One without a user part gets the user part of the Request-URI. ``reject`` answers with a
    status instead. Raises RouteError.
    """

    target: str | None = None
    uri: str | None = None
    source: str | None = None
    header: tuple[str, str] | None = None
    reject: int | None = None
    name: str = ""
    _patterns: tuple[tuple[str, re.Pattern[str]], ...] = field(default=(), init=False, repr=False)

    def __post_init__(self) -> None:
        for problem in problems(self.target, self.uri, self.source, self.header, self.reject, self.name):
            raise problem
        wanted = _wanted(self.uri, self.source, self.header)
        object.__setattr__(self, "_patterns", tuple((what, re.compile(text)) for _, what, text in wanted))

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


def problems(target: str | None = None, uri: str | None = None, source: str | None = None, header: tuple[str, str] | None = None,
             reject: int | None = None, name: str = "", *, whole: bool = True) -> Iterator[RouteError]:  # fmt: skip
    """All that is wrong with the parts of a route. ``whole=False`` where some of them could not be read."""
    label = f"route {name}" if name else "a route"
    if whole and (target is None) == (reject is None):
        yield RouteError(f"{label}: give either a target or a status to reject with")
    if reject is not None and not 300 <= reject <= 699:
        yield RouteError(f"{label}: reject takes a status from 300 to 699, not {reject}", "reject")
    groups, sound = {"user"}, whole
    for key, what, text in _wanted(uri, source, header):
        try:
            groups |= set(re.compile(text).groupindex)
        except re.error as error:
            sound = False
            yield RouteError(f"{label}: the {what} pattern {text!r} is no regular expression: {error}", key)
    if target is not None:
        yield from _wrong_target(f"{label}: target", target, groups if sound else None)


def _wanted(uri: str | None, source: str | None, header: tuple[str, str] | None) -> list[tuple[str, str, str]]:
    """The patterns given: the key, what it is called, and the pattern."""
    wanted = [("uri", "uri", uri), ("source", "source", source)]
    if header is not None:
        wanted.append(("header", f"header {header[0]}", header[1]))
    return [(key, what, text) for key, what, text in wanted if text is not None]


def _wrong_target(label: str, text: str, groups: set[str] | None) -> Iterator[RouteError]:
    """``groups`` are the names that may stand in braces; None where that cannot be told."""
    for name in _PLACEHOLDER.findall(text):
        if groups is not None and name not in groups:
            close = close_matches(name, groups)
            hint = f"did you mean {{{close[0]}}}?" if close else "write {user} for the dialled user, or name a group of a pattern so"
            yield RouteError(f"{label} uses {{{name}}}, but no pattern has a group (?P<{name}>…)", "target", hint)
            return
    filled = _PLACEHOLDER.sub(_SOMETHING, text)
    if "{" in filled or "}" in filled:
        shown = _BRACES.search(text)
        hint = "write {user} for the dialled user, or {name} for a group (?P<name>…) of a pattern"
        yield RouteError(f"{label} {text!r}: {shown[0] if shown else 'a brace'} stands for nothing", "target", hint)
        return
    try:
        uri = parse_uri(filled)
    except MessageError as error:
        yield RouteError(f"{label} {text!r}: {error.reason}", "target", "write sip:host, or sip:user@host:port")
        return
    if not uri.is_sip:
        yield RouteError(f"{label} {text!r} is no sip: URI", "target", "write sip:host, or sip:user@host:port")
    elif uri.scheme == "sips":
        yield RouteError(f"{label} {text!r}: there is no TLS yet", "target", "write sip: where the way there is safe without")
    elif uri.transport not in (None, _SOMETHING, *KINDS):
        message = f"{label} {text!r}: transport {uri.transport!r} is not supported"
        yield RouteError(message, "target", f"there are {', '.join(KINDS)}")


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
