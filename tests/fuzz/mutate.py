"""Breaking messages: changes to bytes, lines and values, the way peers, boxes in between and strangers break them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

PIECES: Final = (
    b"", b"\r", b"\n", b"\r\n", b"\r\n ", b" ", b"\t", b":", b";", b",", b'"', b"<", b">", b"\0", b"\x07", b"\x7f", b"\xff",
    b"\xc3\xa9", b"\xc2\x85", b"0", b"-1", b"\\", b"=", b"%", b"%00", b"?", b"@", b"*", b"SIP/2.0", b"tag=", b";tag=x", b";lr",
    b";maddr=10.0.9.9", b";rport", b";branch=z9hG4bK", b"z9hG4bK", b"Via: ", b"\r\n\r\n", b"sip:", b"sips:a@b", b"tel:1", b"[::1]", b"4294967296", b"99999999999999999999",
)  # fmt: skip
VALUES: Final = (
    b"", b" ", b",", b",,", b";", b"*", b"<>", b"<sip:>", b"<sip:a@>", b"sip:a@b", b"<sip:a@10.0.0.99>", b'"', b'"a" <sip:a@b>', b"<sip:a@b;x=1;x=2>",
    b"<sip:a@10.0.0.2>, <sip:b@10.0.0.3>", b"0", b"-1", b"1", b"70", b"255", b"256", b"2147483647", b"2147483648", b"1 INVITE", b"2 BYE", b"1 ACK",
    b"99999999999999999999999", b"SIP/2.0/UDP 10.0.0.9;branch=z9hG4bKx", b"SIP/2.0/TCP 10.0.0.9:0", b"SIP/2.0/UDP", b"timer", b"100rel", b"replaces,x", b"application/sdp",
    b"multipart/mixed;boundary=x", b"refer;id=1", b"terminated;reason=noresource", b"active;expires=0", b"1800;refresher=uac", b"x;y;z", b"\xff\xfe", b"a\0b",
)  # fmt: skip
HEADERS: Final = (
    b"Via", b"v", b"From", b"f", b"To", b"t", b"Call-ID", b"i", b"CSeq", b"Max-Forwards", b"Contact", b"m", b"Content-Length", b"l", b"Content-Type", b"c",
    b"Record-Route", b"Route", b"Require", b"Proxy-Require", b"Supported", b"k", b"Date", b"Expires", b"Event", b"o", b"Refer-To", b"r", b"Replaces",
    b"Session-Expires", b"x", b"Min-SE", b"RSeq", b"RAck", b"Reason", b"Retry-After", b"Timestamp", b"Subject", b"Allow", b"Warning", b"X-Any",
    b"Subscription-State", b"Target-Dialog", b"Join", b"In-Reply-To", b"P-Asserted-Identity", b"Privacy", b"User-Agent",
)  # fmt: skip


def mutated(rng: Random, data: bytes, times: int) -> bytes:
    """The message with so many changes."""
    for _ in range(times):
        data = rng.choice(_CHANGES)(rng, data)
        if len(data) > 20_000:
            data = data[:20_000]
    return data


def _span(rng: Random, data: bytes, most: int) -> tuple[int, int]:
    start = rng.randrange(len(data) + 1)
    return start, min(len(data), start + rng.randrange(most))


def _splice(rng: Random, data: bytes) -> bytes:
    start, end = _span(rng, data, 8)
    return data[:start] + rng.choice(PIECES) + data[end:]


def _bits(rng: Random, data: bytes) -> bytes:
    if not data:
        return data
    at = rng.randrange(len(data))
    return data[:at] + bytes([data[at] ^ (1 << rng.randrange(8))]) + data[at + 1 :]


def _cut(rng: Random, data: bytes) -> bytes:
    start, end = _span(rng, data, 200)
    return data[:start] + data[end:]


def _end(rng: Random, data: bytes) -> bytes:
    return data[: rng.randrange(len(data) + 1)]


def _double(rng: Random, data: bytes) -> bytes:
    start, end = _span(rng, data, 120)
    return data[:end] + data[start:end] * rng.choice((1, 1, 2, 40)) + data[end:]


def _lines(change: Callable[[Random, list[bytes]], None]) -> Callable[[Random, bytes], bytes]:
    def apply(rng: Random, data: bytes) -> bytes:
        head, mark, body = data.partition(b"\r\n\r\n")
        lines = head.split(b"\r\n")
        if len(lines) > 1:
            change(rng, lines)
        return b"\r\n".join(lines) + mark + body

    return apply


def _drop(rng: Random, lines: list[bytes]) -> None:
    del lines[rng.randrange(1, len(lines))]


def _repeat(rng: Random, lines: list[bytes]) -> None:
    lines.insert(rng.randrange(1, len(lines) + 1), lines[rng.randrange(1, len(lines))])


def _swap(rng: Random, lines: list[bytes]) -> None:
    one, other = rng.randrange(1, len(lines)), rng.randrange(1, len(lines))
    lines[one], lines[other] = lines[other], lines[one]


def _value(rng: Random, lines: list[bytes]) -> None:
    at = rng.randrange(1, len(lines))
    name = lines[at].partition(b":")[0]
    lines[at] = name + b": " + rng.choice(VALUES)


def _add(rng: Random, lines: list[bytes]) -> None:
    lines.insert(rng.randrange(1, len(lines) + 1), rng.choice(HEADERS) + b": " + rng.choice(VALUES))


def _rename(rng: Random, lines: list[bytes]) -> None:
    at = rng.randrange(1, len(lines))
    lines[at] = rng.choice(HEADERS) + b":" + lines[at].partition(b":")[2]


def _fold(rng: Random, lines: list[bytes]) -> None:
    at = rng.randrange(1, len(lines))
    lines[at] = lines[at].replace(b" ", b"\r\n ", 1)


def _case(rng: Random, lines: list[bytes]) -> None:
    at = rng.randrange(1, len(lines))
    name, colon, value = lines[at].partition(b":")
    lines[at] = (name.upper() if rng.random() < 0.5 else name.lower()) + colon + value


def _start(rng: Random, lines: list[bytes]) -> None:
    words = lines[0].split(b" ")
    at = rng.randrange(len(words))
    words[at] = rng.choice((
        b"INVITE", b"ACK", b"BYE", b"CANCEL", b"INFO", b"UPDATE", b"REFER", b"NOTIFY", b"PRACK", b"MESSAGE", b"OPTIONS", b"SUBSCRIBE", b"PUBLISH", b"BANANA",
        b"SIP/2.0", b"SIP/3.0", b"sip:bob@10.0.0.1", b"sips:bob@10.0.0.1", b"tel:+1", b"*", b"", b"100", b"180", b"199", b"200", b"302", b"401", b"487", b"491", b"503", b"699", b"700",
    ))  # fmt: skip
    lines[0] = b" ".join(words)


def _number(rng: Random, data: bytes) -> bytes:
    found = list(re.finditer(rb"[0-9]+", data))
    if not found:
        return data
    spot = rng.choice(found)
    return data[: spot.start()] + rng.choice((b"0", b"1", b"65536", b"2147483648", b"18446744073709551616", b"-5", b"")) + data[spot.end() :]


_CHANGES: Final = (
    _splice, _splice, _bits, _cut, _end, _double, _number, _lines(_drop), _lines(_drop), _lines(_repeat), _lines(_swap), _lines(_value), _lines(_value),
    _lines(_add), _lines(_add), _lines(_rename), _lines(_fold), _lines(_case), _lines(_start),
)  # fmt: skip
