"""URIs as SIP uses them: ``sip:``, ``sips:``, ``tel:``, and any other scheme as an opaque text (RFC 3261 §19.1).

A :class:`Uri` keeps every part as it was written, escapes included, so ``str(parse_uri(text))`` is the text again;
decoding happens when a part is asked for, and once only: ``%2541`` is ``%41``, never ``A``. Two URIs that mean the
same may be written differently; ``==`` compares what is written, :func:`equivalent` what is meant (§19.1.4).

Parsing is one regular expression without backtracking (every repetition is possessive), so it is linear in the length
of the text. Short results are remembered, because the same few URIs come by in every message of a call.

The grammar is kept where it decides what a URI means, and relaxed where it does not: the user part may hold any
character that cannot end it, since ``#`` and raw UTF-8 come from real telephones.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import quote, unquote_to_bytes

from calltable.adapters.sip.message.errors import UriError, excerpt

if TYPE_CHECKING:
    from collections.abc import Mapping

_SIP = re.compile(
    r"""(?P<scheme>sips?):
        (?:(?P<user>(?:[^\x00-\x20\x7f@:<>"%]|%[0-9A-F]{2})++)
           (?::(?P<password>(?:[^\x00-\x20\x7f@<>"%]|%[0-9A-F]{2})*+))?+@)?
        (?P<host>\[[0-9A-F:.]++\]|[A-Z0-9_.-]++)
        (?::(?P<port>[0-9]{1,5}))?+
        (?P<params>(?:;[^\x00-\x20\x7f;?<>"@]*+)*+)
        (?:\?(?P<headers>[^\x00-\x20\x7f<>"?]*+))?+""",
    re.VERBOSE | re.IGNORECASE | re.ASCII,
)
_TEL = re.compile(r"(tel):([0-9A-F*#().+-]++)((?:;[^\x00-\x20\x7f;<>\"]++)*+)", re.IGNORECASE | re.ASCII)
_OTHER = re.compile(r"([A-Z][A-Z0-9+.-]*+):([^\x00-\x20\x7f<>\"]++)", re.IGNORECASE | re.ASCII)
_VISUAL_SEPARATORS: Final = str.maketrans("", "", "-.()")
_MAX_PORT: Final = 65535

_USER_SAFE: Final = "-_.!~*'()&=+$,;?/"
_PARAM_SAFE: Final = "-_.!~*'()[]/:&+$"
_ESCAPE = re.compile(r"%([0-9A-Fa-f]{2})")
_ASCII: Final = "".join(map(chr, range(0x21, 0x7F)))
# RFC 2396 §2.2: an escaped one of these is not the same as a bare one. '%' is not in the set there, but has no bare form.
_RESERVED: Final = frozenset(";/?:@&=+$,%")
# RFC 3261 §19.1.4: present in one URI only, these make the two differ, whatever default the other would have.
_NEVER_IGNORED: Final = frozenset({"user", "ttl", "method", "maddr", "transport"})

_CACHE_SIZE: Final = 1024
_CACHED_LENGTH: Final = 256
_cache: dict[str, Uri] = {}


class Uri(NamedTuple):
    """A URI in parts, as written; ``==`` compares exactly, :func:`equivalent` by meaning.

    ``scheme`` is lower-case. For sip and sips ``host`` is a name, an IPv4 address, or an IPv6 address without its
    brackets; ``port`` is None when not written. ``params`` maps lower-case names to values, None for a parameter
    without one. ``headers`` are the pairs behind ``?``. For tel the number is in ``opaque``; for any other scheme
    everything after the colon is.
    """

    scheme: str
    user: str | None = None
    password: str | None = None
    host: str = ""
    port: int | None = None
    params: Mapping[str, str | None] = {}
    headers: tuple[tuple[str, str], ...] = ()
    opaque: str = ""

    @property
    def username(self) -> str | None:
        """The user part with its escapes decoded (RFC 3261 §19.1.2); may hold any character, even NUL."""
        return None if self.user is None else unescape(self.user)

    @property
    def transport(self) -> str | None:
        """The transport parameter in lower case, or None."""
        value = self.params.get("transport")
        return value.lower() if value else None

    @property
    def decoded_params(self) -> dict[str, str | None]:
        """The parameters with the escapes in names and values decoded: ``%6C%72`` is ``lr`` (RFC 4475 §3.1.1.3)."""
        return {
            unescape(name).lower(): None if value is None else unescape(value) for name, value in self.params.items()
        }

    @property
    def is_sip(self) -> bool:
        """Whether the scheme is sip or sips: only then host, port and params mean anything."""
        return self.scheme in ("sip", "sips")

    def __str__(self) -> str:
        """Write the URI out (RFC 3261 §19.1.1)."""
        tail = "".join(f";{name}" if value is None else f";{name}={value}" for name, value in self.params.items())
        if not self.is_sip:
            return f"{self.scheme}:{self.opaque}{tail}"
        userinfo = ""
        if self.user is not None:
            userinfo = f"{self.user}@" if self.password is None else f"{self.user}:{self.password}@"
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = "" if self.port is None else f":{self.port}"
        if self.headers:
            tail += "?" + "&".join(f"{name}={value}" for name, value in self.headers)
        return f"{self.scheme}:{userinfo}{host}{port}{tail}"


def parse_uri(text: str) -> Uri:
    """Read a URI; raises :class:`UriError` (status 400) saying what is wrong with it.

    An unknown scheme is not an error: the core that may not use it answers 416 (RFC 3261 §8.2.2.1).
    """
    found = _cache.get(text)
    if found is None:
        found = _parse(text)
        if len(text) <= _CACHED_LENGTH:
            if len(_cache) >= _CACHE_SIZE:
                _cache.clear()
            _cache[text] = found
    return found


def forget_uris() -> None:
    """Drop the URIs that are remembered: worth it when no call is up and its memory is to be given back."""
    _cache.clear()


def host_port(text: str) -> tuple[str, int | None, str | None]:
    """Give (host, port or None, transport or None) of a sip or sips URI: where RFC 3263 begins.

    An IPv6 address comes without its brackets. Raises :class:`UriError` for a malformed URI or another scheme.
    """
    uri = parse_uri(text)
    if not uri.host:
        msg = f"URI {excerpt(text)} has no host: its scheme is {uri.scheme}"
        raise UriError(msg)
    return uri.host, uri.port, uri.transport


def _parse(text: str) -> Uri:
    match = _SIP.fullmatch(text)
    if match is not None:
        scheme, user, password, host, port_text, tail, headers = match.groups()
        port = int(port_text) if port_text else None
        if port is not None and not 0 < port <= _MAX_PORT:
            msg = f"URI {excerpt(text)} has a port outside 1..{_MAX_PORT}"
            raise UriError(msg)
        return Uri(
            scheme.lower(),
            user,
            password,
            host[1:-1] if host[0] == "[" else host,
            port,
            _params(tail, text) if tail else {},
            _headers(headers, text) if headers else (),
        )
    match = _TEL.fullmatch(text)
    if match is not None:
        return Uri("tel", opaque=match[2], params=_params(match[3], text))
    match = _OTHER.fullmatch(text)
    if match is None or match[1].lower() in ("sip", "sips", "tel"):
        raise UriError(_diagnose(text))
    return Uri(match[1].lower(), opaque=match[2])


def _params(tail: str, text: str) -> dict[str, str | None]:
    params: dict[str, str | None] = {}
    for item in tail.split(";"):
        if item:
            name, equals, value = item.partition("=")
            name = name.lower()
            if not name or name in params:
                msg = f"URI {excerpt(text)} has a parameter without a name, or one twice"
                raise UriError(msg)
            params[name] = value if equals else None
    return params


def _headers(headers: str, text: str) -> tuple[tuple[str, str], ...]:
    pairs = []
    for item in headers.split("&"):
        name, equals, value = item.partition("=")
        if not (name and equals):
            msg = f"URI {excerpt(text)} has a header without a name or a value behind '?'"
            raise UriError(msg)
        pairs.append((name, value))
    return tuple(pairs)


def _diagnose(text: str) -> str:
    """Say in words why no pattern matched."""
    shown = excerpt(text)
    if any(char in text for char in '<>"'):
        return f"URI {shown} holds a quote or an angle bracket"
    if any(char.isspace() for char in text):
        return f"URI {shown} holds white space"
    scheme, colon, rest = text.partition(":")
    if not colon or not scheme:
        return f"URI {shown} has no scheme"
    if not rest:
        return f"URI {shown} has nothing behind its scheme"
    return f"Malformed {scheme[:10].lower()} URI {shown}" if scheme.isalpha() else f"Malformed URI {shown}"


def unescape(text: str) -> str:
    """Decode every ``%HH`` once, as UTF-8; bytes that are not UTF-8 come as surrogate escapes."""
    return unquote_to_bytes(text.encode("utf-8", "surrogateescape")).decode("utf-8", "surrogateescape")


def escape_user(text: str) -> str:
    """Escape a text for the user part of a sip URI (RFC 3261 §25.1, user)."""
    return quote(text, safe=_USER_SAFE, errors="surrogateescape")


def escape_param(text: str) -> str:
    """Escape a text for the name or value of a URI parameter (RFC 3261 §25.1, paramchar)."""
    return quote(text, safe=_PARAM_SAFE, errors="surrogateescape")


def equivalent(one: Uri, other: Uri) -> bool:
    """Whether two URIs mean the same: RFC 3261 §19.1.4 for sip and sips, RFC 3966 §4 for tel, else as written."""
    if one.scheme != other.scheme:
        return False
    if one.scheme == "tel":
        return _tel_number(one) == _tel_number(other) and _folded(one.params) == _folded(other.params)
    if not one.is_sip:
        return one == other
    return (
        _same_escaped(one.user, other.user)
        and _same_escaped(one.password, other.password)
        and one.host.lower() == other.host.lower()
        and one.port == other.port
        and _same_params(one.params, other.params)
        and _header_set(one) == _header_set(other)
    )


def _tel_number(uri: Uri) -> str:
    return uri.opaque.translate(_VISUAL_SEPARATORS).lower()


def _folded(params: Mapping[str, str | None]) -> dict[str, str | None]:
    return {_normal(name).lower(): None if value is None else _normal(value).lower() for name, value in params.items()}


def _normal(text: str) -> str:
    """Bring escapes to one spelling: bare where the bare character means the same, upper-case hex elsewhere."""
    return _ESCAPE.sub(_normal_escape, quote(text, safe=_ASCII, errors="surrogateescape"))


def _normal_escape(match: re.Match[str]) -> str:
    char = chr(int(match[1], 16))
    return char if "\x20" < char < "\x7f" and char not in _RESERVED else match[0].upper()


def _same_escaped(one: str | None, other: str | None) -> bool:
    if one is None or other is None:
        return one is other
    return one == other or _normal(one) == _normal(other)


def _same_params(one: Mapping[str, str | None], other: Mapping[str, str | None]) -> bool:
    first, second = _folded(one), _folded(other)
    return all(
        first[name] == second[name] if name in first and name in second else name not in _NEVER_IGNORED
        for name in first.keys() | second.keys()
    )


def _header_set(uri: Uri) -> list[tuple[str, str]]:
    return sorted((_normal(name).lower(), _normal(value)) for name, value in uri.headers)
