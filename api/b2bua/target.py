r"""The target of a route: a SIP URI with places that a call fills.

A target such as ``sip:{user}@{who}.example.com;transport=tcp?X-Tenant={who}`` is taken apart once. What fills a placeholder was written by
a stranger, so it is made to fit the place it stands in and can never change what the rest of the target means: escaped in the user
part and in parameters (RFC 3261 §19.1.2), taken as a host or a port only where it is one, and without control characters in
a header field. What follows ``?`` never stands in a Request-URI (RFC 3261 §19.1.1, table 1): it becomes header fields of the request
(§19.1.5), if they are among those that a route may set.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import quote

from calltable.adapters.sip.message import MessageError, canonical, display_name, escape_param, parse_uri, unescape
from calltable.adapters.sip.transport import canonical_ip

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping

    from calltable.adapters.sip.message import Uri

USER: Final = "user"
"""The placeholder that stands for the user part of the Request-URI."""
SETTABLE: Final = frozenset({
    "accept-contact", "alert-info", "call-info", "diversion", "geolocation", "history-info", "organization", "priority", "privacy",
    "reason", "reject-contact", "reply-to", "request-disposition", "resource-priority", "subject", "user-to-user",
})  # fmt: skip
"""Header fields that a route may set, besides those whose names begin with ``X-`` or ``P-``: none that names a dialog, a hop or
a capability, which RFC 3261 §19.1.5 forbids to honour."""
MAY_BE_SET: Final = f"a route may set X-… and P-… fields, {', '.join(map(display_name, sorted(SETTABLE)))}"

_PLACEHOLDER: Final = re.compile(r"\{(\w+)\}")
_TOKEN: Final = re.compile(r"[A-Za-z0-9.!%*_+`'~-]+")
_HOST: Final = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,251}[A-Za-z0-9_.])?")
_PORT: Final = re.compile(r"[0-9]{1,5}")
_CONTROLS: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_ESCAPED: Final = re.compile(r"(%[0-9A-Fa-f]{2})")
_COMPARED_WITHOUT_CASE: Final = frozenset({"isub", "ext", "phone-context"})
_USER_SAFE: Final = "-_.!~*'()&=+$,;?/"
"""Characters that stand in the user part of a SIP URI as they are (RFC 3261 §25.1)."""

Piece = tuple[str, str]
"""A literal text and the placeholder behind it (empty at the end)."""


class TargetError(ValueError):
    """A template that can give no target, or values that do not fit their places; the text says why, ``hint`` the fix."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class Groups(NamedTuple):
    """What fills placeholders. ``escaped``: the names of those that were part of a URI, where ``%40`` is already an escape."""

    values: Mapping[str, str]
    escaped: Collection[str] = ()


class Template:
    """A target in parts. Raises TargetError for a header field that no route may set; ``fill`` for values that do not fit."""

    def __init__(self, text: str) -> None:
        self.text = text
        scheme, _, rest = text.partition(":")
        userinfo, at, place = rest.partition("@")
        if not at:
            userinfo, place = "", rest
        place, _, headers = place.partition("?")
        hostport, semicolon, params = place.partition(";")
        host, port = _split_port(hostport)
        self.scheme = scheme
        self.userinfo = userinfo
        self._user = _pieces(userinfo)
        self._host = _pieces(host)
        self._port = _pieces(port)
        self._params = _pieces(semicolon + params)
        self._marks_user = ";user=" in f"{semicolon}{params}".lower()
        self._headers = tuple(_header_fields(headers))

    def fill(self, uri: str, groups: Groups) -> tuple[str, tuple[tuple[str, str], ...]]:
        """The target for a call to ``uri``, and the header fields that it sets. Raises TargetError for values that do not fit.

        Without a user part it gets that of ``uri``. The user part of a ``tel:`` URI is its whole number with the parameters,
        marked ``;user=phone`` (RFC 3261 §19.1.6). Where nobody was dialled, a target that asks for ``{user}`` has no user part, and no ``@``.
        """
        dialled = parse_uri(uri)
        tel = dialled.scheme == "tel"
        user = subscriber(dialled) if tel else dialled.user or ""
        values = {USER: user, **groups.values}
        escaped = {*groups.escaped, USER} if USER not in groups.values else groups.escaped

        def in_user(name: str) -> str:
            return _escape_user(values.get(name, ""), escaped=name in escaped)

        def in_param(name: str) -> str:
            value = values.get(name, "")
            return escape_param(unescape(value) if name in escaped else value)

        userinfo = _filled(self._user, in_user)
        if userinfo[:1] in ("", ":"):
            userinfo = user
        host = self._filled_host(values)
        port = _filled(self._port, lambda name: _port(name, values.get(name, "")))
        place = f"{host}:{port}" if port else host
        params = _filled(self._params, in_param)
        if tel and userinfo == user and not self._marks_user:
            params += ";user=phone"
        headers = tuple((name, _filled(pieces, lambda name: _CONTROLS.sub(" ", values.get(name, "")))) for name, pieces in self._headers)
        target = f"{self.scheme}:{userinfo}@{place}{params}" if userinfo else f"{self.scheme}:{place}{params}"
        try:
            parse_uri(target)
        except MessageError as error:
            raise TargetError(error.reason) from None
        return target, headers

    def _filled_host(self, values: Mapping[str, str]) -> str:
        if len(self._host) == 2 and self._host[0][0] == "" and self._host[1] == ("", ""):
            literal = canonical_ip(values.get(self._host[0][1], "").strip("[]"))
            if literal is not None:
                return f"[{literal}]" if ":" in literal else literal
        return _filled(self._host, lambda name: _host(name, values.get(name, "")))


def _split_port(hostport: str) -> tuple[str, str]:
    if hostport.startswith("["):
        host, bracket, rest = hostport.partition("]")
        return host + bracket, rest.removeprefix(":")
    host, _, port = hostport.partition(":")
    return host, port


def _pieces(text: str) -> tuple[Piece, ...]:
    parts = _PLACEHOLDER.split(text)
    return tuple(zip(parts[::2], [*parts[1::2], ""], strict=True))


def _filled(pieces: tuple[Piece, ...], value: Callable[[str], str]) -> str:
    if len(pieces) == 1 and not pieces[0][1]:
        return pieces[0][0]
    return "".join(literal + (value(name) if name else "") for literal, name in pieces)


def _host(name: str, value: str) -> str:
    if not _HOST.fullmatch(value):
        raise TargetError(f"{{{name}}} is not a host name: {value[:80]!r}")
    return value


def _port(name: str, value: str) -> str:
    if not _PORT.fullmatch(value) or not 0 < int(value) <= 65535:
        raise TargetError(f"{{{name}}} is not a port (1-65535): {value[:80]!r}")
    return value


def _escape_user(text: str, *, escaped: bool) -> str:
    if not escaped:
        return quote(text, safe=_USER_SAFE, errors="surrogateescape")
    # what is an escape already stays one: RFC 3261 §19.1.2 forbids to escape twice
    parts = _ESCAPED.split(text)
    return "".join(part if at % 2 else quote(part, safe=_USER_SAFE, errors="surrogateescape") for at, part in enumerate(parts))


def _header_fields(text: str) -> Iterator[tuple[str, tuple[Piece, ...]]]:
    for item in filter(None, text.split("&")):
        name, _, value = item.partition("=")
        name = unescape(name)
        key = canonical(name).lower()
        if not _TOKEN.fullmatch(name) or not (key in SETTABLE or key.startswith(("x-", "p-"))):
            raise TargetError(f"a route may not set the header field {name!r}", MAY_BE_SET)
        pieces = tuple((unescape(literal), group) for literal, group in _pieces(value))
        if any(_CONTROLS.search(literal) for literal, _ in pieces):
            raise TargetError(f"the value of {name} holds a control character", "leave it out")
        yield display_name(name), pieces


def subscriber(uri: Uri) -> str:
    """The telephone-subscriber of a ``tel:`` URI, as the user part of a SIP URI: RFC 3261 §19.1.6.

    What is compared without case is in lower case, and the parameters are in order, so that one number is written one way.
    """
    order = {"isub": "0", "postd": "1"}
    parts = [uri.opaque.lower()]
    for name, value in sorted(uri.params.items(), key=lambda one: order.get(one[0], "2") + one[0]):
        folded = value.lower() if value and name in _COMPARED_WITHOUT_CASE else value
        parts.append(name if folded is None else f"{name}={folded}")
    return quote(";".join(parts), safe=_USER_SAFE + "%", errors="surrogateescape")
