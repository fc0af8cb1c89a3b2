"""Offers and answers for calls without media (RFC 3264): everything is agreed on, nothing is ever sent.

A phone that only signals must still speak SDP, or nobody would talk to it. It offers one audio stream on the discard port
(9, RFC 863), inactive unless asked otherwise, and answers whatever it is offered line by line: audio that it could
have taken is accepted, everything else is rejected with port 0. Each new description that differs raises the
version in ``o=`` (§8).

``directions`` are the four of §5.1; what one side wants to send, the other can only receive.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable

Direction = Literal["sendrecv", "sendonly", "recvonly", "inactive"]

_DISCARD: Final = 9
_CODECS: Final = {"0": "PCMU/8000", "8": "PCMA/8000"}
_EVENTS: Final = "telephone-event/8000"
_EVENTS_FORMAT: Final = "101"
_DIRECTIONS: Final = ("sendrecv", "sendonly", "recvonly", "inactive")
_MOST_LINES: Final = 64
"""Media lines of one offer; nobody means more."""


class SignallingMedia:
    """One call's side of offer and answer.

    ``identity`` (a number) names the session in ``o=``. ``direction`` is what this side would like; held, it asks for
    ``sendonly`` in place of ``sendrecv``, and for ``inactive`` else (§8.4).
    """

    def __init__(self, identity: int, *, direction: Direction = "inactive") -> None:
        self.identity = identity
        self.direction = direction
        self.held = False
        self._version = 0
        self._last = ""
        self._lines: list[tuple[str, str]] = []
        """The media lines agreed on so far, kind and protocol: a later offer keeps their number and order (§8)."""

    @property
    def wanted(self) -> Direction:
        """The direction this side asks for now."""
        if not self.held:
            return self.direction
        return "sendonly" if self.direction == "sendrecv" else "inactive"

    def offer(self, host: str) -> bytes:
        """An offer of one audio stream; after an agreement, of the lines agreed on, the others still refused."""
        lines = self._lines or [("audio", "RTP/AVP")]
        parts: list[str] = []
        offered = False
        for kind, protocol in lines:
            if kind == "audio" and protocol == "RTP/AVP" and not offered:
                offered = True
                parts += self._audio([*_CODECS, _EVENTS_FORMAT], _EVENTS_FORMAT, self.wanted)
            else:
                parts.append(f"m={kind} 0 {protocol} 0")
        self._lines = list(lines)
        return self._write(host, parts)

    def answer(self, offer: bytes, host: str) -> bytes | None:
        """The answer to an offer, with a line for each of its lines (§6); None if there is nothing it can take.

        Raises ValueError where the offer is no session description.
        """
        parts: list[str] = []
        lines: list[tuple[str, str]] = []
        timing = "0 0"
        taken = False
        whole, sections = _sections(offer)
        for line in whole:
            if line.startswith("t="):
                timing = line[2:]
        session_direction = _direction(whole) or "sendrecv"
        for section in sections:
            kind, port, protocol, formats = _media(section[0])
            lines.append((kind, protocol))
            attributes = section[1:]
            chosen = [one for one in formats if one in _CODECS]
            if taken or kind != "audio" or port == 0 or protocol != "RTP/AVP" or not chosen:
                parts.append(f"m={kind} 0 {protocol} {' '.join(formats)}")
                continue
            taken = True
            theirs = _direction(attributes) or session_direction
            events = _events(attributes, formats)
            accepted = [*chosen, events] if events else chosen
            parts += self._audio(accepted, events, _mirrored(self.wanted, theirs))
        if not taken:
            return None
        self._lines = lines
        return self._write(host, parts, timing)

    def answered(self, answer: bytes) -> None:
        """Take note of an answer to our offer. Raises ValueError where it is no session description."""
        _, sections = _sections(answer)
        if sections:
            self._lines = [(kind, protocol) for kind, _, protocol, _ in (_media(one[0]) for one in sections)]

    def _audio(self, formats: Iterable[str], events: str, direction: str) -> list[str]:
        formats = list(formats)
        lines = [f"m=audio {_DISCARD} RTP/AVP {' '.join(formats)}"]
        lines += [f"a=rtpmap:{one} {_CODECS[one]}" for one in formats if one in _CODECS]
        if events:
            lines += [f"a=rtpmap:{events} {_EVENTS}", f"a=fmtp:{events} 0-16"]
        return [*lines, f"a={direction}"]

    def _write(self, host: str, media: list[str], timing: str = "0 0") -> bytes:
        place = f"IN {'IP6' if ':' in host else 'IP4'} {host}"
        rest = "\r\n".join(["s=-", f"c={place}", f"t={timing}", *media, ""])
        if rest != self._last:
            self._version += 1
            self._last = rest
        return f"v=0\r\no=- {self.identity} {self._version} {place}\r\n{rest}".encode()


def _sections(body: bytes) -> tuple[list[str], list[list[str]]]:
    """The lines of the whole session, and those of each media section, which begin with ``m=``."""
    lines = body.decode("utf-8", "replace").replace("\r\n", "\n").split("\n")
    lines = [line for line in lines if line]
    if not lines or lines[0] != "v=0":
        raise ValueError("the body is not a session description: it does not begin with v=0 (RFC 8866 §5.1)")
    whole: list[str] = []
    sections: list[list[str]] = []
    for line in lines:
        if line.startswith("m="):
            sections.append([line])
        else:
            (sections[-1] if sections else whole).append(line)
    if len(sections) > _MOST_LINES:
        raise ValueError(f"more than {_MOST_LINES} media lines")
    return whole, sections


def _media(line: str) -> tuple[str, int, str, list[str]]:
    """Kind, port, protocol and formats of an ``m=`` line."""
    words = line[2:].split()
    port = words[1].partition("/")[0] if len(words) > 3 else ""
    if not (port.isascii() and port.isdigit()):
        raise ValueError(f"not a media line: {line[:80]!r}")
    return words[0].lower(), int(port), words[2], words[3:]


def _direction(lines: Iterable[str]) -> str:
    return next((line[2:] for line in lines if line[:2] == "a=" and line[2:] in _DIRECTIONS), "")


def _events(lines: Iterable[str], formats: list[str]) -> str:
    """The format that carries telephone-events (RFC 4733), if one is offered."""
    for line in lines:
        if line.startswith("a=rtpmap:") and line.lower().rstrip().endswith(_EVENTS):
            number = line[len("a=rtpmap:"):].split()[0]
            if number in formats:
                return number
    return ""


def _mirrored(ours: str, theirs: str) -> str:
    """What we may answer (§6.1): we send only where they receive, and receive only where they send."""
    send = ours in ("sendrecv", "sendonly") and theirs in ("sendrecv", "recvonly")
    receive = ours in ("sendrecv", "recvonly") and theirs in ("sendrecv", "sendonly")
    return {(True, True): "sendrecv", (True, False): "sendonly", (False, True): "recvonly"}.get((send, receive), "inactive")
