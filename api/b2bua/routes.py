"""Where calls go: an ordered list of routes, the first that matches takes the call.

A route names what it looks at (Request-URI, source address, or a header field), a pattern, and a target (``target.py``) that
may use ``{user}``, the user part of the Request-URI, and named groups of the patterns. Patterns are matched in linear time
(``patterns.py``), because strangers write the text. ``Router`` is one way to find a target; a B2BUA takes any object with such a ``find``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from calltable.adapters.sip.message import MessageError, parse_uri
from calltable.adapters.sip.transport import KINDS
from calltable.b2bua.patterns import Pattern, PatternError
from calltable.b2bua.target import USER, Groups, TargetError, Template
from calltable.engine.model import close_matches

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from calltable.adapters.sip.message import Request, Uri
    from calltable.adapters.sip.transport import Address

_PLACEHOLDER = re.compile(r"\{(\w+)\}")
_BRACES = re.compile(r"\{[^{}]*\}?|\}")
_SOMETHING: Final = "1"
"""Stands for a placeholder while a target is checked: it may be a user, a host or a port."""
NOT_FOUND: Final = 404
_HOW: Final = "write sip:host, or sip:user@host:port"


class RouteError(ValueError):
    """A route that cannot work; the text says which and why, ``hint`` the fix. ``key`` is the part at fault, if it is one."""

    def __init__(self, message: str, key: str = "", hint: str = "") -> None:
        super().__init__(message)
        self.key = key
        self.hint = hint


class Routed(NamedTuple):
    """Where a call goes. ``target``: a SIP URI, or None where the call is answered with the status ``reject`` instead.

    ``headers`` are set on the INVITE in place of the caller's fields of these names; ``route`` is the name that logs give;
    ``reason`` says why a route that matched could not be used.
    """

    target: str | None = None
    headers: tuple[tuple[str, str], ...] = ()
    reject: int = NOT_FOUND
    route: str = ""
    reason: str = ""


class Finder(Protocol):
    """What finds a call's target. ``find`` is called on the loop and must not wait."""

    def find(self, request: Request, source: Address | None) -> str | int | Routed:
        """A target URI, a status (300 to 699) to answer with, or both with more as ``Routed``."""


@dataclass(frozen=True)
class Route:
    """One route. All patterns given must match (regular expressions in RE2 syntax, anywhere in the value unless anchored).

    ``target`` is a SIP URI. One without a user part gets the user part of the Request-URI; header fields behind ``?`` are set
    on the INVITE that is sent there. ``reject`` answers with a status instead. Raises RouteError.
    """

    target: str | None = None
    uri: str | None = None
    source: str | None = None
    header: tuple[str, str] | None = None
    reject: int | None = None
    name: str = ""
    _patterns: tuple[tuple[str, Pattern], ...] = field(default=(), init=False, repr=False, compare=False)
    _template: Template | None = field(default=None, init=False, repr=False, compare=False)
    _escaped: frozenset[str] = field(default=frozenset(), init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        for problem in problems(self.target, self.uri, self.source, self.header, self.reject, self.name):
            raise problem
        wanted = _wanted(self.uri, self.source, self.header)
        object.__setattr__(self, "_patterns", tuple((what, Pattern(text)) for _, what, text in wanted))
        object.__setattr__(self, "_template", None if self.target is None else Template(self.target))
        object.__setattr__(self, "_escaped", frozenset(name for what, one in self._patterns if what == "uri" for name in one.groups))

    @property
    def open(self) -> bool:
        """Whether it takes every call."""
        return not self._patterns

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
            groups = pattern.search(value)
            if groups is None:
                return None
            found.update(groups)
        return found

    def fill(self, request: Request, groups: dict[str, str]) -> Routed:
        """Where a request goes that it matches with these groups; 404 where a group does not fit its place in the target."""
        if self._template is None:
            return Routed(reject=self.reject or NOT_FOUND, route=self.name)
        try:
            target, headers = self._template.fill(request.uri, Groups(groups, self._escaped))
        except TargetError as error:
            return Routed(route=self.name, reason=str(error))
        return Routed(target, headers, route=self.name)


class Router:
    """An ordered list of routes."""

    def __init__(self, routes: Sequence[Route]) -> None:
        self.routes = tuple(routes)

    def find(self, request: Request, source: Address | None = None) -> Routed:
        """Where a request goes by the first route that matches; without one, 404."""
        for route in self.routes:
            groups = route.match(request, source)
            if groups is not None:
                return route.fill(request, groups)
        return Routed()


# --------------------------------------------------------------------------- what can be wrong with a route


def problems(target: str | None = None, uri: str | None = None, source: str | None = None, header: tuple[str, str] | None = None,
             reject: int | None = None, name: str = "", *, whole: bool = True) -> Iterator[RouteError]:  # fmt: skip
    """All that is wrong with the parts of a route. ``whole=False`` where some of them could not be read."""
    label = f"route {name}" if name else "a route"
    if whole and (target is None) == (reject is None):
        yield RouteError(f"{label}: give either target or reject")
    if reject is not None and not 300 <= reject <= 699:
        yield RouteError(f"{label}: reject takes a status from 300 to 699, not {reject}", "reject")
    groups, sound = {USER: ""}, whole
    for key, what, text in _wanted(uri, source, header):
        try:
            pattern = Pattern(text)
        except PatternError as error:
            sound = False
            yield RouteError(f"{label}: invalid {what} pattern {text!r}: {error}", key, error.hint)
            continue
        for group in pattern.groups:
            if groups.get(group):
                yield RouteError(f"{label}: the {what} pattern has a group {group}, as the {groups[group]} pattern", key, "rename one of them")
            groups[group] = what
    if target is not None:
        yield from _wrong_target(f"{label}: target", target, set(groups) if sound else None)


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
            hint = f"did you mean {{{close[0]}}}?" if close else "write {user} for the dialled user, or add a group (?P<name>…) to a pattern"
            yield RouteError(f"{label} uses {{{name}}}, but no pattern has a group (?P<{name}>…)", "target", hint)
            return
    filled = _PLACEHOLDER.sub(_SOMETHING, text)
    if "{" in filled or "}" in filled:
        shown = _BRACES.search(text)
        hint = "write {user} for the dialled user, or {name} for a group (?P<name>…) of a pattern"
        yield RouteError(f"{label} {text!r}: {shown[0] if shown else 'a brace'} is not a placeholder", "target", hint)
        return
    try:
        uri = parse_uri(filled)
    except MessageError as error:
        yield RouteError(f"{label} {text!r}: {error.reason}", "target", _HOW)
        return
    yield from _unusable(label, text, uri)


def _unusable(label: str, text: str, uri: Uri) -> Iterator[RouteError]:
    """What is wrong with a target that is a URI."""
    if not uri.is_sip:
        yield RouteError(f"{label} {text!r} is not a sip: URI", "target", _HOW)
    elif uri.scheme == "sips":
        yield RouteError(f"{label} {text!r}: TLS is not supported yet", "target", "write sip: if the network on the way is trusted")
    elif uri.transport not in (None, _SOMETHING, *KINDS):
        message = f"{label} {text!r}: transport {uri.transport!r} is not supported"
        yield RouteError(message, "target", f"supported: {', '.join(KINDS)}")
    else:
        try:
            Template(text)
        except TargetError as error:
            yield RouteError(f"{label} {text!r}: {error}", "target", error.hint)
