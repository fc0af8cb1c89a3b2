"""SIP messages out of files: our own traces, packet captures (pcap, pcapng), and HEP3 packets one behind the other.

Whatever the file, what comes out is a list of ``Captured``: a message's bytes, when it was on the wire, and between which
addresses. Datagrams in fragments are put together again, TCP streams are cut into messages, cooked and loopback captures
are read, and HEP inside a capture is unwrapped. A trace of ours also has its steps, which say what the tables did then.

What is no SIP is passed over in silence; what is cut short (a capture with a snap length) is counted.
"""

from __future__ import annotations

import ipaddress
import re
import struct
import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import dpkt

from calltable.adapters.sip.message import MessageError, parse
from calltable.adapters.sip.transport import Address, Framer, canonical_ip
from calltable.observe import Entry, TraceError, read_trace

if TYPE_CHECKING:
    from pathlib import Path

_BEGINS: Final = re.compile(rb"[A-Z]+ sips?:")
_TWICE: Final = 0.002
"""Seconds; the same bytes between the same ends within less are one packet seen on two interfaces."""
_NAMES: Final = {1: "udp", 6: "tcp", 17: "udp"}
_NANO_MAGIC: Final = frozenset({b"\xa1\xb2\x3c\x4d", b"\x4d\x3c\xb2\xa1"})
_PCAP: Final = frozenset({b"\xa1\xb2\xc3\xd4", b"\xd4\xc3\xb2\xa1", b"\x0a\x0d\x0d\x0a"}) | _NANO_MAGIC


class CaptureError(ValueError):
    """A file cannot be read as any kind of capture; the text says which and why."""


@dataclass(frozen=True, slots=True)
class Captured:
    """One message on the wire. ``time`` in seconds of any clock; ``rows`` what a trace of ours says of it."""

    time: float
    source: Address
    destination: Address
    data: bytes
    direction: str = ""
    """``in`` or ``out`` as seen from the element that traced it; empty in captures of a network."""
    call: str = ""
    rows: tuple[str, ...] = ()


@dataclass(slots=True)
class Capture:
    """What a file holds. ``kind`` is ``trace``, ``pcap`` or ``hep``; ``steps`` are those of a trace of ours."""

    name: str
    kind: str
    messages: list[Captured]
    steps: list[Entry] = field(default_factory=list)
    cut: int = 0
    """Packets and streams that could not be read to their end."""


def read_capture(path: Path) -> Capture:
    """Read a file of any of the kinds, told apart by their first bytes. Raises CaptureError, OSError."""
    data = path.read_bytes()
    if not data.strip():
        raise CaptureError(f"{path}: the file is empty")
    if data[:4] in _PCAP:
        with path.open("rb") as file:
            return _pcap(file, str(path))
    if data.startswith(b"HEP3"):
        return _hep_file(data, str(path))
    if data.lstrip().startswith(b"{"):
        try:
            return from_trace(read_trace(data.decode("utf-8", "replace").splitlines(), str(path)), str(path))
        except TraceError as error:
            raise CaptureError(str(error)) from error
    raise CaptureError(
        f"{path}: this is not a trace (JSON lines of `calltable serve --trace`), a pcap or pcapng file, or HEP3 packets"
    )


# --------------------------------------------------------------------------- our own traces


def from_trace(entries: list[Entry], name: str = "trace") -> Capture:
    """The messages and steps of a trace. Raises CaptureError where it was written without the messages' texts."""
    messages = []
    for entry in entries:
        if entry.kind != "message":
            continue
        if not entry.text:
            raise CaptureError(f"{name}: the trace holds no texts of messages, so there is nothing to replay")
        data = entry.text.encode("utf-8", "surrogateescape")
        transport = _transport_of(data)
        source, destination = (_end(transport, text, name) for text in (entry.source, entry.destination))
        messages.append(
            Captured(entry.time, source, destination, data, entry.direction, entry.call, tuple(entry.rows))
        )
    return Capture(name, "trace", messages, [entry for entry in entries if entry.kind == "step"])


def _transport_of(data: bytes) -> str:
    """What the top Via says the message travels on; a trace's addresses do not say it."""
    try:
        return parse(data).via.transport.lower()
    except (MessageError, ValueError):
        return "udp"


def _end(transport: str, text: str, name: str) -> Address:
    try:
        return Address.parse(f"{transport}:{text}")
    except ValueError as error:
        raise CaptureError(f"{name}: {error}") from error


# --------------------------------------------------------------------------- packets


def _pcap(file: Any, name: str) -> Capture:
    try:
        reader = dpkt.pcap.UniversalReader(file)
        link = reader.datalink()
        found = Wire(name)
        for time, frame in reader:
            found.frame(float(time), bytes(frame), link)
    except (dpkt.Error, ValueError, struct.error) as error:
        raise CaptureError(f"{name}: not a whole capture: {error or type(error).__name__}") from error
    found.close()
    return Capture(name, "pcap", sorted(found.messages, key=lambda one: one.time), cut=found.cut)


class Wire:
    """Frames in, messages out."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.messages: list[Captured] = []
        self.cut = 0
        self._fragments: dict[tuple[bytes, bytes, int, int], dict[int, tuple[bytes, bool]]] = {}
        self._streams: dict[tuple[Address, Address], _Stream] = {}
        self._seen: dict[tuple[Address, Address, bytes], float] = {}

    def frame(self, time: float, frame: bytes, link: int) -> None:
        """Take one frame of the capture."""
        try:
            packet = _network(frame, link)
        except (dpkt.Error, struct.error, IndexError):
            self.cut += 1
            return
        if isinstance(packet, dpkt.ip.IP):
            whole = self._whole(packet)
            if whole is not None:
                self._transport(time, packet.src, packet.dst, packet.p, whole)
        elif isinstance(packet, dpkt.ip6.IP6):
            self._six(time, packet)

    def _six(self, time: float, packet: Any) -> None:
        fragment = getattr(packet, "extension_hdrs", {}).get(dpkt.ip.IP_PROTO_FRAGMENT)
        if fragment is None:
            inner = packet.data
            self._transport(time, packet.src, packet.dst, packet.p, bytes(inner))
            return
        key = (packet.src, packet.dst, fragment.id, fragment.nxt)
        whole = self._piece(key, fragment.frag_off * 8, bytes(packet.data), more=bool(fragment.m_flag))
        if whole is not None:
            self._transport(time, packet.src, packet.dst, fragment.nxt, whole)

    def _whole(self, packet: Any) -> bytes | None:
        """The payload of an IPv4 packet once all its fragments are there."""
        data = bytes(packet.data)
        if not packet.mf and not packet.offset:
            return data
        return self._piece((packet.src, packet.dst, packet.id, packet.p), packet.offset * 8, data, more=bool(packet.mf))

    def _piece(self, key: tuple[bytes, bytes, int, int], offset: int, data: bytes, *, more: bool) -> bytes | None:
        pieces = self._fragments.setdefault(key, {})
        pieces[offset] = (data, more)
        whole, at = b"", 0
        while at in pieces:
            part, goes_on = pieces[at]
            whole += part
            at += len(part)
            if not goes_on:
                del self._fragments[key]
                return whole
            if not part:
                return None
        return None

    def _transport(self, time: float, src: bytes, dst: bytes, protocol: int, data: bytes) -> None:
        hosts = str(ipaddress.ip_address(src)), str(ipaddress.ip_address(dst))
        try:
            if protocol == dpkt.ip.IP_PROTO_UDP:
                udp = dpkt.udp.UDP(data)
                ends = Address("udp", hosts[0], udp.sport), Address("udp", hosts[1], udp.dport)
                self._datagram(time, *ends, bytes(udp.data), short=len(udp.data) < udp.ulen - 8)
            elif protocol == dpkt.ip.IP_PROTO_TCP:
                tcp = dpkt.tcp.TCP(data)
                ends = Address("tcp", hosts[0], tcp.sport), Address("tcp", hosts[1], tcp.dport)
                self._segment(time, *ends, tcp)
        except (dpkt.Error, struct.error):
            self.cut += 1

    def _datagram(self, time: float, source: Address, destination: Address, data: bytes, *, short: bool) -> None:
        if data.startswith(b"HEP3"):
            unwrapped = hep(data)
            if unwrapped is not None:
                self.add(unwrapped)
        elif short:
            self.cut += looks_like_sip(data) or _BEGINS.match(data) is not None
        elif looks_like_sip(data):
            self.add(Captured(time, source, destination, data))

    def _segment(self, time: float, source: Address, destination: Address, tcp: Any) -> None:
        key = (source, destination)
        stream = self._streams.get(key)
        if stream is None or tcp.flags & dpkt.tcp.TH_SYN:
            self._forget(key)
            stream = self._streams[key] = _Stream(tcp.seq + bool(tcp.flags & dpkt.tcp.TH_SYN))
        if tcp.data:
            for message in stream.feed(tcp.seq, bytes(tcp.data)):
                self.add(Captured(time, source, destination, message))

    def _forget(self, key: tuple[Address, Address]) -> None:
        stream = self._streams.pop(key, None)
        self.cut += stream is not None and stream.broken

    def add(self, message: Captured) -> None:
        """Keep a message, unless it was seen on another interface just now."""
        key = (message.source, message.destination, message.data)
        last = self._seen.get(key)
        self._seen[key] = message.time
        if last is None or abs(message.time - last) > _TWICE:
            self.messages.append(message)

    def close(self) -> None:
        """The capture is over."""
        for key in list(self._streams):
            self._forget(key)
        self.cut += len(self._fragments)


class _Stream:
    """One direction of a TCP connection, put in order and cut into messages."""

    def __init__(self, sequence: int) -> None:
        self.next = sequence & 0xFFFFFFFF
        self.framer: Framer | None = Framer()
        self.early: dict[int, bytes] = {}
        self.started = False

    @property
    def broken(self) -> bool:
        """Whether something is left that was never read to its end."""
        return bool(self.early) or (self.framer is None and self.started)

    def feed(self, sequence: int, data: bytes) -> list[bytes]:
        """Take a segment; answers the messages that are whole now."""
        found: list[bytes] = []
        self.early[sequence] = max(data, self.early.get(sequence, b""), key=len)
        while True:
            for at in sorted(self.early, key=lambda at: (at - self.next) & 0xFFFFFFFF):
                behind = (self.next - at) & 0xFFFFFFFF  # how much of it was there already
                if behind > 0x7FFFFFFF:
                    continue
                fresh = self.early.pop(at)[behind:]
                self.next = (self.next + len(fresh)) & 0xFFFFFFFF
                found += self._cut(fresh)
                break
            else:
                return found

    def _cut(self, data: bytes) -> list[bytes]:
        if self.framer is None or not data:
            return []
        if not self.started and not looks_like_sip(data.lstrip(b"\r\n")):
            self.framer = None  # another protocol, or a capture that begins within a message
            return []
        self.started = True
        try:
            return [one for one in self.framer.feed(data) if isinstance(one, bytes)]
        except MessageError as error:
            self.framer = None
            return [one for one in getattr(error, "frames", []) if isinstance(one, bytes)]


def _network(frame: bytes, link: int) -> Any:
    """The IP packet in a frame, or whatever else is in it."""
    if link == dpkt.pcap.DLT_EN10MB:
        return dpkt.ethernet.Ethernet(frame).data
    if link == dpkt.pcap.DLT_LINUX_SLL:
        return dpkt.sll.SLL(frame).data
    if link == dpkt.pcap.DLT_LINUX_SLL2:
        return dpkt.sll2.SLL2(frame).data
    if link in (dpkt.pcap.DLT_NULL, dpkt.pcap.DLT_LOOP):
        frame = frame[4:]
    version = frame[0] >> 4
    if version not in (4, 6):
        raise CaptureError(f"frames of link type {link} are not known; capture on an Ethernet, loopback or «any» interface")
    return dpkt.ip.IP(frame) if version == 4 else dpkt.ip6.IP6(frame)


def looks_like_sip(data: bytes) -> bool:
    """Whether a datagram, or a stream's beginning, is a SIP message."""
    line = data.split(b"\r\n", 1)[0].split(b"\n", 1)[0]
    return line.startswith(b"SIP/2.0 ") or (line.endswith(b" SIP/2.0") and line.count(b" ") >= 2)


# --------------------------------------------------------------------------- HEP


def _hep_file(data: bytes, name: str) -> Capture:
    """HEP3 packets one behind the other, as ``nc -ul 9060 > file`` leaves them."""
    wire = Wire(name)
    at = 0
    while at + 6 <= len(data):
        length = int.from_bytes(data[at + 4 : at + 6], "big")
        packet = data[at : at + length]
        if not packet.startswith(b"HEP3") or length < 6:
            raise CaptureError(f"{name}: no HEP3 packet at byte {at}")
        if len(packet) < length:
            break
        message = hep(packet)
        if message is not None:
            wire.add(message)
        at += length
    wire.cut += at < len(data)
    return Capture(name, "hep", sorted(wire.messages, key=lambda one: one.time), cut=wire.cut)


def hep(packet: bytes) -> Captured | None:
    """The SIP message in a HEP3 packet (chunks of vendor, type, length and value); None where it holds none."""
    chunks: dict[int, bytes] = {}
    at, end = 6, min(len(packet), int.from_bytes(packet[4:6], "big"))
    while at + 6 <= end:
        vendor, kind, length = struct.unpack_from("!HHH", packet, at)
        if length < 6:
            return None
        if vendor == 0:
            chunks[kind] = packet[at + 6 : min(at + length, end)]
        at += length

    def number(kind: int) -> int:
        return int.from_bytes(chunks.get(kind, b""), "big")

    payload = chunks.get(0x0F)
    if payload is None and 0x10 in chunks:
        try:
            payload = zlib.decompress(chunks[0x10])
        except zlib.error:
            return None
    hosts = [_host(chunks.get(four) or chunks.get(six)) for four, six in ((3, 5), (4, 6))]
    if payload is None or None in hosts or not looks_like_sip(payload):
        return None
    transport = _NAMES.get(number(2), "udp")
    source, destination = (
        Address(transport, host or "", number(port)) for host, port in zip(hosts, (7, 8), strict=True)
    )
    return Captured(number(9) + number(10) / 1e6, source, destination, payload)


def _host(packed: bytes | None) -> str | None:
    try:
        return canonical_ip(str(ipaddress.ip_address(packed))) if packed else None
    except ValueError:
        return None
