"""Reading captures: packets of every dress, HEP3, our own traces; and what is none of these."""

from __future__ import annotations

import socket
import struct
import zlib
from pathlib import Path

import dpkt
import pytest

from calltable.adapters.sip.transport.address import Address
from calltable.observe.entry import Entry, dump
from calltable.replay.capture import CaptureError, hep, read_capture

A, B = Address("udp", "192.0.2.1", 5060), Address("udp", "192.0.2.2", 5070)


def message(number: int = 1, body: bytes = b"") -> bytes:
    return (
        f"OPTIONS sip:b@192.0.2.2 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK{number}\r\n"
        f"From: <sip:a@192.0.2.1>;tag=1\r\nTo: <sip:b@192.0.2.2>\r\nCall-ID: c{number}\r\nCSeq: {number} OPTIONS\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    ).encode() + body


def udp(data: bytes, source: Address = A, destination: Address = B) -> bytes:
    return bytes(dpkt.udp.UDP(sport=source.port, dport=destination.port, ulen=8 + len(data), data=data))


def ip(payload: bytes, *, protocol: int = 17, source: Address = A, destination: Address = B, **fields) -> bytes:
    ends = {"src": socket.inet_aton(source.host), "dst": socket.inet_aton(destination.host)}
    return bytes(dpkt.ip.IP(p=protocol, len=20 + len(payload), data=payload, **ends, **fields))


def ethernet(packet: bytes, kind: int = 0x0800) -> bytes:
    return b"\0" * 12 + kind.to_bytes(2, "big") + packet


def pcap(path: Path, frames: list[bytes], link: int = dpkt.pcap.DLT_EN10MB, step: float = 0.1, writer=dpkt.pcap.Writer) -> Path:
    with path.open("wb") as file:
        made = writer(file, linktype=link)
        for number, frame in enumerate(frames):
            made.writepkt(frame, ts=100.0 + number * step)
    return path


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "capture"


def read(path: Path) -> list[bytes]:
    return [one.data for one in read_capture(path).messages]


def test_datagrams_are_read_with_their_ends_and_times(file):
    found = read_capture(pcap(file, [ethernet(ip(udp(message(1)))), ethernet(ip(udp(message(2), B, A), source=B, destination=A))]))
    assert [(one.source, one.destination) for one in found.messages] == [(A, B), (B, A)]
    assert [one.time for one in found.messages] == [pytest.approx(100.0), pytest.approx(100.1)]
    assert [one.data for one in found.messages] == [message(1), message(2)]
    assert found.kind == "pcap"


@pytest.mark.parametrize(("link", "dress"), [
    (dpkt.pcap.DLT_LINUX_SLL, lambda packet: struct.pack("!HHH8sH", 0, 1, 6, b"", 0x0800) + packet),
    (dpkt.pcap.DLT_LINUX_SLL2, lambda packet: struct.pack("!HHIHBB8s", 0x0800, 0, 1, 1, 0, 6, b"") + packet),
    (dpkt.pcap.DLT_NULL, lambda packet: struct.pack("=I", 2) + packet),
    (101, lambda packet: packet),
    (dpkt.pcap.DLT_EN10MB, lambda packet: ethernet(struct.pack("!HH", 5, 0x0800) + packet, 0x8100)),
])
def test_cooked_loopback_raw_and_vlan_frames_are_read(file, link, dress):
    assert read(pcap(file, [dress(ip(udp(message())))], link)) == [message()]


def test_pcapng_is_read(file):
    assert read(pcap(file, [ethernet(ip(udp(message())))], writer=dpkt.pcapng.Writer)) == [message()]


def test_ipv6_is_read(file):
    data = message()
    inner = udp(data)
    packet = dpkt.ip6.IP6(src=socket.inet_pton(socket.AF_INET6, "2001:db8::1"), dst=socket.inet_pton(socket.AF_INET6, "2001:db8::2"),
                          nxt=17, hlim=64, plen=len(inner), data=inner)
    packet.extension_hdrs = {}
    (one,) = read_capture(pcap(file, [ethernet(bytes(packet), 0x86DD)])).messages
    assert (one.source.host, one.destination.host, one.data) == ("2001:db8::1", "2001:db8::2", data)


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
def test_datagrams_in_fragments_are_put_together_in_any_order(file, order):
    whole = udp(message(body=b"x" * 3000))
    pieces = [(0, whole[:1480], 1), (1480, whole[1480:2960], 1), (2960, whole[2960:], 0)]
    frames = [ethernet(ip(data, id=7, mf=more, offset=at // 8)) for at, data, more in (pieces[number] for number in order)]
    assert read(pcap(file, frames)) == [message(body=b"x" * 3000)]


def test_a_fragment_that_never_came_is_counted(file):
    whole = udp(message(body=b"x" * 3000))
    found = read_capture(pcap(file, [ethernet(ip(whole[:1480], id=7, mf=1, offset=0))]))
    assert (found.messages, found.cut) == ([], 1)


def segment(sequence: int, data: bytes, flags: int = dpkt.tcp.TH_ACK) -> bytes:
    return ethernet(ip(bytes(dpkt.tcp.TCP(sport=A.port, dport=B.port, seq=sequence, flags=flags, data=data)), protocol=6))


def test_a_stream_is_put_in_order_and_cut_into_messages(file):
    data = message(1) + b"\r\n\r\n" + message(2, b"body")
    start = 0xFFFFFFF0  # the sequence numbers wrap round
    parts = [(0, 100), (100, 300), (250, 400), (400, len(data))]
    frames = [segment((start + 1 + low) & 0xFFFFFFFF, data[low:high]) for low, high in parts]
    syn = segment(start, b"", dpkt.tcp.TH_SYN)
    assert read(pcap(file, [syn, *frames])) == [message(1), message(2, b"body")]
    assert read(pcap(file, [syn, frames[0], frames[2], frames[1], frames[1], frames[3]])) == [message(1), message(2, b"body")]


def test_a_stream_whose_beginning_was_not_captured_is_read_from_the_next_message(file):
    found = read_capture(pcap(file, [segment(5000, message(1)), segment(5000 + len(message(1)), message(2))]))
    assert [one.data for one in found.messages] == [message(1), message(2)]
    assert found.messages[0].source.transport == "tcp"


def test_a_packet_seen_on_two_interfaces_is_one_but_a_repetition_is_two(file):
    frame = ethernet(ip(udp(message())))
    assert len(read(pcap(file, [frame, frame], step=0.0001))) == 1
    assert len(read(pcap(file, [frame, frame], step=0.5))) == 2


def test_what_is_no_sip_is_passed_over_and_what_was_cut_off_is_counted(file):
    found = read_capture(pcap(file, [
        ethernet(ip(udp(b"\x80\x00rtp"))), ethernet(b"\0" * 30, 0x0806), ethernet(ip(udp(message()))[:60]), ethernet(ip(udp(message()))),
    ]))
    assert [one.data for one in found.messages] == [message()]
    assert found.cut == 1


def chunk(kind: int, value: bytes) -> bytes:
    return struct.pack("!HHH", 0, kind, 6 + len(value)) + value


def hep_packet(data: bytes, *, packed: bool = False, more: bytes = b"") -> bytes:
    body = b"".join([
        chunk(1, b"\x02"), chunk(2, b"\x11"), chunk(3, socket.inet_aton(A.host)), chunk(4, socket.inet_aton(B.host)),
        chunk(7, struct.pack("!H", A.port)), chunk(8, struct.pack("!H", B.port)), chunk(9, struct.pack("!I", 1700)),
        chunk(10, struct.pack("!I", 250000)), chunk(11, b"\x01"), more,
        chunk(0x10, zlib.compress(data)) if packed else chunk(0x0F, data),
    ])
    return b"HEP3" + struct.pack("!H", 6 + len(body)) + body


@pytest.mark.parametrize("packed", [False, True])
def test_hep_packets_are_unwrapped(packed):
    one = hep(hep_packet(message(), packed=packed, more=struct.pack("!HHH", 40, 1, 8) + b"xx"))
    assert one is not None
    assert (one.time, one.source, one.destination, one.data) == (1700.25, A, B, message())


def test_hep_packets_one_behind_the_other_are_a_capture(file):
    file.write_bytes(hep_packet(message(1)) + hep_packet(b"no sip at all") + hep_packet(message(2)) + hep_packet(message(3))[:-4])
    found = read_capture(file)
    assert [one.data for one in found.messages] == [message(1), message(2)]
    assert (found.kind, found.cut) == ("hep", 1)


def test_hep_inside_a_packet_capture_is_unwrapped(file):
    (one,) = read_capture(pcap(file, [ethernet(ip(udp(hep_packet(message()))))])).messages
    assert (one.time, one.data) == (1700.25, message())


@pytest.mark.parametrize("broken", [b"", b"HEP3", b"HEP3\x00\x07x", hep_packet(message())[:6] + b"\0\0\0\x0f\0\0"])
def test_a_broken_hep_packet_is_nothing(broken):
    assert hep(broken) is None


def test_a_trace_is_a_capture_with_directions_and_steps(file):
    heard = Entry(5.0, "message", "in", "192.0.2.1:5060", "192.0.2.2:5070", text=message().decode(), call="1", rows=("r",))
    file.write_text("\n".join(map(dump, [heard, Entry(5.0, "step", row="r", call="1")])))
    found = read_capture(file)
    assert [(one.source, one.destination, one.direction, one.call, one.rows) for one in found.messages] == [(A, B, "in", "1", ("r",))]
    assert [step.row for step in found.steps] == ["r"]


@pytest.mark.parametrize(("content", "says"), [
    (b"", "empty"), (b"hello", "not a trace"), (b'{"kind": "message"}', "time must be"), (b"\xd4\xc3\xb2\xa1\0\0", "not a whole capture"),
    (b"HEP3\x00\x02", "no HEP3 packet at byte 0"),
    (dump(Entry(1.0, "message", source="192.0.2.1:5060", destination="192.0.2.2:5060")).encode(), "no texts"),
])
def test_what_cannot_be_read_is_told(file, content, says):
    file.write_bytes(content)
    with pytest.raises(CaptureError, match=says):
        read_capture(file)


def test_frames_of_an_unknown_link_are_told(file):
    with pytest.raises(CaptureError, match="link type 127"):
        read_capture(pcap(file, [b"\0" * 60], 127))
