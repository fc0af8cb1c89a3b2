"""The torture messages of RFC 4475 on real sockets: whatever comes, the next OPTIONS is answered.

How each message is to be judged is tested with the parser and the stack; here it is the running server that has to
live on, and to have nothing left of it afterwards.
"""

from __future__ import annotations

import contextlib
import itertools
import socket
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[3] / "shared" / "data" / "rfc4475"
MESSAGES = sorted(FOLDER.glob("*.dat"))
_number = itertools.count(1)

pytestmark = [
    pytest.mark.peer,
    pytest.mark.slow,
    pytest.mark.skipif(not MESSAGES, reason=f"the RFC 4475 messages are not in {FOLDER}"),
]


def options(host: str, port: int, transport: str) -> bytes:
    number = next(_number)
    return (
        f"OPTIONS sip:{host} SIP/2.0\r\nVia: SIP/2.0/{transport} {host}:{port};branch=z9hG4bKtorture{number};rport\r\n"
        f"From: <sip:after@{host}>;tag={number}\r\nTo: <sip:{host}>\r\nCall-ID: torture{number}@{host}\r\nCSeq: 1 OPTIONS\r\n"
        f"Contact: <sip:after@{host}:{port}>\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n"
    ).encode()


@pytest.fixture(scope="module")
def target(serving):
    """A server whose next hop takes everything and says nothing."""
    server = serving("udp")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as deaf:
        deaf.bind(("127.0.0.1", server.next_port))
        yield "127.0.0.1", server.port


def answered(sock: socket.socket, transport: str, to: tuple[str, int]) -> None:
    """Ask, and wait for the 200 to this very question; what the torture message brought may come before."""
    host, port = sock.getsockname()
    question = options(host, port, transport)
    branch = question.split(b"branch=")[1].split(b";")[0]
    sock.settimeout(5)
    if transport == "UDP":
        sock.sendto(question, to)
    else:
        sock.sendall(question)
    got = b""
    while not (b"SIP/2.0 200 OK\r\n" in got and branch in got):
        piece = sock.recv(65536)
        assert piece, f"closed after {got!r}"
        got += piece


@pytest.mark.parametrize("path", MESSAGES, ids=lambda path: path.stem)
def test_a_torture_message_over_udp(target, path):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        sock.sendto(path.read_bytes(), target)
        answered(sock, "UDP", target)


@pytest.mark.parametrize("path", MESSAGES, ids=lambda path: path.stem)
def test_a_torture_message_over_tcp(target, path):
    """The connection of a broken message may be closed (RFC 3261 §18.3); another one must do."""
    with socket.create_connection(target, 5) as broken, socket.create_connection(target, 5) as sock:
        broken.sendall(path.read_bytes())
        answered(sock, "TCP", target)
        with contextlib.suppress(OSError):
            broken.shutdown(socket.SHUT_WR)
        answered(sock, "TCP", target)


def test_rubbish_of_every_size(target):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        for size in (0, 1, 2, 3, 4, 100, 1500, 9000, 65000):
            for byte in (b"\0", b"\r\n", b" ", b"A", b"\xff"):
                sock.sendto((byte * size)[:65000], target)
        answered(sock, "UDP", target)
