"""Reading single header field values: Via, name-addr, CSeq, parameters, lists, numbers (RFC 3261 §20, §25).

Every function takes a value as :mod:`~calltable.adapters.sip.message.message` gives it: unfolded, without white space around
it. What does not follow the grammar raises :class:`~calltable.adapters.sip.message.errors.HeaderError`; nothing is guessed,
because a guess about where a tag or a URI ends is how two parties come to disagree about a dialog.

All patterns are linear: every repetition is possessive, or cannot match what follows it. From and To come by in every
message of a dialog in the same spelling, and most CSeq values are ``1 INVITE`` and ``2 BYE``, so short values of these are
remembered.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

from calltable.adapters.sip.message.errors import HeaderError, excerpt

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

BRANCH_COOKIE: Final = "z9hG4bK"
"""How a branch begins that identifies a transaction (RFC 3261 §8.1.1.7)."""

_TOKEN: Final = r"[A-Za-z0-9\-.!%*_+`'~]"  # noqa: S105  a character class, no secret
_QUOTED: Final = r'"(?:[^"\\]++|\\.)*+"'
_HOST: Final = r"\[[0-9A-Fa-f:.]++\]|[A-Za-z0-9_.-]++"
# More than the grammar's gen-value: base64 in tags and bare IPv6 in received are common and harmless.
_VALUE: Final = r'[^\x00-\x20\x7f;,"<>]'
_WS: Final = r"[ \t]*+"

_token = re.compile(f"{_TOKEN}++")
_cseq = re.compile(rf"([0-9]++)[ \t]++({_TOKEN}++)")
_digits = re.compile(r"0*+([0-9]*+)")
_plain_params = re.compile(f"(?:;{_TOKEN}++(?:={_VALUE}*+)?+)*+")
_param = re.compile(rf"{_WS};{_WS}({_TOKEN}++)(?:{_WS}={_WS}({_QUOTED}|{_VALUE}++))?+{_WS}", re.DOTALL)
_plain_via = re.compile(
    r"SIP/2\.0/(UDP|TCP) ([0-9A-Za-z.-]++):([0-9]{1,5});branch=([A-Za-z0-9\-.!%*_+`'~]++)"
    r"(;rport(?:=([0-9]++))?+)?+(?:;received=([0-9.]++))?+"
)
_via = re.compile(
    rf"{_TOKEN}++{_WS}/{_WS}{_TOKEN}++{_WS}/{_WS}({_TOKEN}++)[ \t]++({_HOST})(?:{_WS}:{_WS}([0-9]{{1,5}}))?+(.*+)",
    re.DOTALL,
)
_uri = r'[A-Za-z][A-Za-z0-9+.-]*+:[^\x00-\x20\x7f<>"]++'
_name_addr = re.compile(
    rf"({_QUOTED}|(?:(?:{_TOKEN}|[^\x00-\x7f])++{_WS})*+){_WS}<({_uri})>(.*+)",
    re.DOTALL,
)
_plain_addr = re.compile(rf"([A-Za-z0-9 ]*+)<({_uri})>(?:;tag=({_TOKEN}++))?+")
_addr_spec = re.compile(r'([A-Za-z][A-Za-z0-9+.-]*+:[^\x00-\x20\x7f<>";,?]++)([ \t;].*+)?+', re.DOTALL)
_list_stop = re.compile(r'[,"<]')
_quoted_string = re.compile(_QUOTED, re.DOTALL)
_quoted_pair = re.compile(r"\\(.)", re.DOTALL)

_MAX_PORT: Final = 65535
_CACHE_SIZE: Final = 1024
_CACHED_LENGTH: Final = 256
_CACHED_CSEQ: Final = 24
_addresses: dict[str, NameAddr] = {}
_cseqs: dict[str, CSeq] = {}


class CSeq(NamedTuple):
    """A CSeq value (RFC 3261 §20.16): sequence number and method."""

    number: int
    method: str


class Via(NamedTuple):
    """A Via value (RFC 3261 §20.42).

    ``transport`` is upper-case; ``host`` is as written, an IPv6 address in its brackets; ``port`` is None when not
    written (then the transport's default counts, §18.2.2). ``params`` maps lower-case names to values, None for a
    parameter without one.
    """

    transport: str
    host: str
    port: int | None
    params: Mapping[str, str | None]

    @property
    def branch(self) -> str | None:
        """The branch parameter; None before RFC 3261."""
        return self.params.get("branch")

    @property
    def received(self) -> str | None:
        """The address the message came from, where a server wrote it down (RFC 3261 §18.2.1); no brackets."""
        value = self.params.get("received")
        return value.strip("[]") if value else None

    @property
    def wants_rport(self) -> bool:
        """Whether there is an rport parameter, with a value or without (RFC 3581 §3)."""
        return "rport" in self.params

    @property
    def rport(self) -> int | None:
        """The port the message came from, where a server wrote it down (RFC 3581 §4); None if malformed."""
        value = self.params.get("rport")
        return number(value, _MAX_PORT) if value else None

    @property
    def sent_by(self) -> str:
        """Host and port as written, host in lower case: part of what matches a transaction (RFC 3261 §17.2.3)."""
        host = self.host.lower()
        return host if self.port is None else f"{host}:{self.port}"


class NameAddr(NamedTuple):
    """A From, To, Contact, Route … value: display name, URI, header parameters (RFC 3261 §20.10).

    ``display`` is decoded (no quotes, no quoted pairs). ``uri`` is the text between the angle brackets; read it with
    :func:`~calltable.adapters.sip.message.uri.parse_uri`. ``params`` maps lower-case names to values, None for a parameter
    without one; quoted values keep their quotes.
    """

    display: str
    uri: str
    params: Mapping[str, str | None]

    @property
    def tag(self) -> str | None:
        """The tag parameter (RFC 3261 §19.3)."""
        return self.params.get("tag")

    def __str__(self) -> str:
        """Write the value out, always with quotes and angle brackets."""
        name = f"{quote_string(self.display)} " if self.display else ""
        return f"{name}<{self.uri}>{format_params(self.params)}"


def parse_cseq(value: str) -> CSeq:
    """Read a CSeq value; the number must be below 2**31 (RFC 3261 §8.1.1.5)."""
    found = _cseqs.get(value)
    if found is not None:
        return found
    match = _cseq.fullmatch(value)
    if match is None:
        msg = f"Malformed CSeq {excerpt(value)}"
        raise HeaderError(msg)
    sequence = number(match[1], 2**31 - 1)
    if sequence is None:
        msg = "CSeq number is not below 2**31"
        raise HeaderError(msg)
    found = CSeq(sequence, match[2])
    if len(value) <= _CACHED_CSEQ:
        if len(_cseqs) >= _CACHE_SIZE:
            _cseqs.clear()
        _cseqs[value] = found
    return found


def parse_via(value: str) -> Via:
    """Read one Via value."""
    match = _plain_via.fullmatch(value)
    if match is not None and 0 < (plain_port := int(match[3])) <= _MAX_PORT:
        transport, host, _, branch, rport, seen, received = match.groups()
        params: dict[str, str | None] = {"branch": branch}
        if rport:
            params["rport"] = seen
        if received:
            params["received"] = received
        return Via(transport, host, plain_port, params)
    match = _via.fullmatch(value)
    if match is None:
        msg = f"Malformed Via {excerpt(value)}"
        raise HeaderError(msg)
    transport, host, port_text, tail = match.groups()
    port = int(port_text) if port_text else None
    if port is not None and not 0 < port <= _MAX_PORT:
        msg = f"Via has a port outside 1..{_MAX_PORT}"
        raise HeaderError(msg)
    return Via(transport.upper(), host, port, parse_params(tail, "Via"))


def parse_name_addr(value: str, name: str = "name-addr") -> NameAddr:
    """Read a name-addr or addr-spec with header parameters; ``name`` is the header for the error.

    Without angle brackets everything behind the first semicolon is header parameters, and a URI with a comma or a
    question mark is malformed (RFC 3261 §20.10).
    """
    found = _addresses.get(value)
    if found is None:
        found = _parse_name_addr(value, name)
        if len(value) <= _CACHED_LENGTH:
            if len(_addresses) >= _CACHE_SIZE:
                _addresses.clear()
            _addresses[value] = found
    return found


def forget_addresses() -> None:
    """Drop the addresses that are remembered: worth it when no call is up and its memory is to be given back."""
    _addresses.clear()


def _parse_name_addr(value: str, name: str) -> NameAddr:
    match = _plain_addr.fullmatch(value)
    if match is not None:
        return NameAddr(match[1].strip(), match[2], {"tag": match[3]} if match[3] else {})
    match = _name_addr.fullmatch(value)
    if match is not None:
        display, uri, tail = match.groups()
        if display.startswith('"'):
            display = unquote_string(display)
        return NameAddr(display.strip(), uri, parse_params(tail, name))
    match = _addr_spec.fullmatch(value)
    if match is not None:
        return NameAddr("", match[1], parse_params(match[2] or "", name))
    if value.startswith('"') and _quoted_string.match(value) is None:
        msg = f"Unterminated quoted string in {name}"
        raise HeaderError(msg)
    msg = f"Malformed {name} {excerpt(value)}"
    raise HeaderError(msg)


def parse_params(tail: str, name: str = "header") -> dict[str, str | None]:
    """Read ``;name=value;name`` into a dict of lower-case names; ``name`` is the header for the error.

    Quoted values keep their quotes. A parameter written twice is malformed (RFC 3261 §7.3.1).
    """
    params: dict[str, str | None] = {}
    if not tail:
        return params
    if _plain_params.fullmatch(tail):
        items = tail.split(";")
        for item in items:
            key, equals, value = item.partition("=")
            params[key.lower()] = value if equals else None
        del params[""]  # what stands before the first semicolon
        count = len(items) - 1
    else:
        position = count = 0
        while position < len(tail):
            match = _param.match(tail, position)
            if match is None:
                msg = f"Malformed parameters in {name}: {excerpt(tail[position:].strip())}"
                raise HeaderError(msg)
            params[match[1].lower()] = match[2]
            position = match.end()
            count += 1
    if count != len(params):
        msg = f"A parameter appears twice in {name}"
        raise HeaderError(msg)
    return params


def split_params(value: str, name: str = "header") -> tuple[str, dict[str, str | None]]:
    """Split ``something;param=value`` (Event, Reason, Session-Expires, Content-Type …) into both parts."""
    first, semicolon, tail = value.partition(";")
    return first.strip(" \t"), parse_params(semicolon + tail, name)


def format_params(params: Mapping[str, str | None]) -> str:
    """Write parameters as ``;name=value;name``."""
    return "".join(f";{name}" if value is None else f";{name}={value}" for name, value in params.items())


def split_list(value: str) -> list[str]:
    """Split at the commas that stand in neither quotes nor angle brackets; an empty value is no item.

    Never raises: a quote or bracket that is not closed holds the rest, which whoever reads the item will refuse.
    """
    if "," not in value:
        return [value] if value else []
    if '"' not in value and "<" not in value:
        return [item.strip(" \t") for item in value.split(",")]
    items: list[str] = []
    start = position = 0
    while (stop := _list_stop.search(value, position)) is not None:
        position = stop.end()
        if stop[0] == ",":
            items.append(value[start : stop.start()].strip(" \t"))
            start = position
        elif stop[0] == "<":
            close = value.find(">", position)
            position = len(value) if close < 0 else close + 1
        else:
            quoted = _quoted_string.match(value, stop.start())
            position = len(value) if quoted is None else quoted.end()
    items.append(value[start:].strip(" \t"))
    return items


def option_tags(values: Iterable[str]) -> list[str]:
    """Flatten Require, Supported … values into lower-case option tags, in order, empty ones left out (§20.32)."""
    return [tag.lower() for value in values for tag in split_list(value) if tag]


def number(text: str, maximum: int) -> int | None:
    """Read ``1*DIGIT`` up to a maximum, leading zeros allowed; None for anything else.

    ``int()`` alone would take signs, underscores, other scripts' digits, and refuse very long texts its own way.
    """
    if len(text) < 10 and text.isascii() and text.isdigit():
        value = int(text)
        return value if value <= maximum else None
    match = _digits.fullmatch(text)
    if match is None or not text or len(match[1]) > len(str(maximum)):
        return None
    result = int(match[1] or "0")
    return result if result <= maximum else None


def is_token(text: str) -> bool:
    """Whether a text is a token (RFC 3261 §25.1): a method, a header name, a tag."""
    return _token.fullmatch(text) is not None


_CONTROLS: Final = {code: " " for code in (*range(0x20), 0x7F) if chr(code) != "\t"}


def printable(text: str) -> str:
    """A value without control characters, a space for each: RFC 3261 §25.1 has none outside quoted pairs.

    For what passes from one dialog to another: what one side may write with a backslash before it, another element may
    read as the end of a line, and the value is written anew in any case. Bytes that are not UTF-8 stay.
    """
    return text if text.isprintable() else text.translate(_CONTROLS)


def quote_string(text: str) -> str:
    """Put a text in quotes (RFC 3261 §25.1, quoted-string)."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def unquote_string(text: str) -> str:
    """Take a quoted-string out of its quotes; a text without quotes comes back as it is."""
    if len(text) < 2 or text[0] != '"' or text[-1] != '"':
        return text
    inner = text[1:-1]
    return _quoted_pair.sub(r"\1", inner) if "\\" in inner else inner
