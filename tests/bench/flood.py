"""What a flood from one address does to everybody else: an honest caller, quiet and beside each kind of flood.

    python -m tests.bench.flood [KIND …] [--rate N] [--seconds N] [--json FILE]

A B2BUA is started for each kind, with the default configuration of ``calltable serve``. An honest caller at one loopback address places
ten calls a second through it to a callee; the first seconds are quiet, then a flood comes from another address.
Measured are the times from INVITE to 200 in both phases, the server's CPU and memory, and what the flooder was sent. The goal: the
honest caller's 99th percentile is at most twice what it was, and all its calls are answered.

Everything is bound to the loopback interface, and bounded: in time by ``--seconds``, in number by ``--rate`` times that.
"""

from __future__ import annotations

import argparse
import itertools
import multiprocessing
import os
import random
import re
import shlex
import socket
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.bench.driver import ROOT, CannotRunError, Figure, finish, serve_command

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

KINDS = ("unacked", "held", "rejected", "malformed", "options", "register", "responses")
SERVER, CALLEE, HONEST, FLOODER = "127.0.0.1", "127.0.0.2", "127.0.0.3", "127.0.0.66"
CALLS_A_SECOND = 10
MOST = 100_000
"""Messages of one flood, whatever is asked for."""
GOAL = 2.0
SDP = b"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 9 RTP/AVP 0\r\n"

_numbers = itertools.count()


def token() -> str:
    return f"{random.getrandbits(48):012x}{next(_numbers)}"


def bound(host: str) -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
    sock.bind((host, 0))
    return sock


def free_port(host: str) -> int:
    with bound(host) as sock:
        return int(sock.getsockname()[1])


def value(message: bytes, name: str) -> str:
    found = re.search(rf"^{name}:[ \t]*([^\r\n]*)".encode(), message, re.MULTILINE | re.IGNORECASE)
    return found[1].decode() if found else ""


def request(method: str, host: str, port: int, user: str, to: tuple[str, int], call: str, *, number: int = 1, to_line: str = "",
            uri: str = "", branch: str = "", body: bytes = b"") -> bytes:
    head = (
        f"{method} {uri or f'sip:{user}@{to[0]}:{to[1]}'} SIP/2.0\r\nVia: SIP/2.0/UDP {host}:{port};branch=z9hG4bK{branch or token()};rport\r\n"
        f"Max-Forwards: 70\r\nFrom: <sip:f@{host}>;tag={call}\r\nTo: {to_line or f'<sip:{user}@{to[0]}>'}\r\nCall-ID: {call}\r\n"
        f"CSeq: {number} {method}\r\nContact: <sip:f@{host}:{port}>\r\n"
        + ("Content-Type: application/sdp\r\n" if body else "") + f"Content-Length: {len(body)}\r\n\r\n"
    )  # fmt: skip
    return head.encode() + body


def acknowledge(sock: socket.socket, answer: bytes, host: str, port: int, to: tuple[str, int]) -> None:
    contact = value(answer, "contact").strip("<>")
    sock.sendto(request("ACK", host, port, "", to, value(answer, "call-id"), to_line=value(answer, "to"), uri=contact), to)


# --------------------------------------------------------------------------- the callee


def callee(port: int) -> None:
    """Answers INVITEs with 180 and 200 (``busy``: 486), and everything else with 200."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
    sock.bind((CALLEE, port))
    while True:
        data, source = sock.recvfrom(65535)
        method = data.split(b" ", 1)[0]
        if method in (b"ACK", b"SIP/2.0"):
            continue
        vias = "".join(f"Via: {one.decode()}\r\n" for one in re.findall(rb"^Via:[ \t]*([^\r\n]*)", data, re.MULTILINE))
        to = value(data, "to")
        tagged = to if ";tag=" in to else f"{to};tag={value(data, 'call-id')[:8]}"
        copied = f"{vias}From: {value(data, 'from')}\r\nTo: {tagged}\r\nCall-ID: {value(data, 'call-id')}\r\nCSeq: {value(data, 'cseq')}\r\n"
        contact = f"Contact: <sip:{CALLEE}:{port}>\r\n"
        answers = [f"SIP/2.0 200 OK\r\n{copied}Content-Length: 0\r\n\r\n"]
        if method == b"INVITE" and data.startswith(b"INVITE sip:busy"):
            answers = [f"SIP/2.0 486 Busy Here\r\n{copied}Content-Length: 0\r\n\r\n"]
        elif method == b"INVITE":
            answers = [
                f"SIP/2.0 180 Ringing\r\n{copied}{contact}Content-Length: 0\r\n\r\n",
                f"SIP/2.0 200 OK\r\n{copied}{contact}Content-Type: application/sdp\r\nContent-Length: {len(SDP)}\r\n\r\n{SDP.decode()}",
            ]
        for answer in answers:
            sock.sendto(answer.encode(), source)


# --------------------------------------------------------------------------- the flood


def writer(kind: str, host: str, port: int, to: tuple[str, int]) -> Callable[[], bytes]:
    """What makes the messages of a flood."""
    user = "busy" if kind == "rejected" else "ok"

    def invite() -> bytes:
        return request("INVITE", host, port, user, to, token(), body=SDP)

    def other() -> bytes:
        return request(kind.upper(), host, port, user, to, token())

    def malformed() -> bytes:
        return request("INVITE", host, port, user, to, token()).replace(b"CSeq: 1", b"CSeq: one").replace(b"From: <", b"From: <<")

    def response() -> bytes:
        return (
            f"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP {to[0]}:{to[1]};branch=z9hG4bK{token()}\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:c@d>;tag=2\r\n"
            f"Call-ID: {token()}\r\nCSeq: 1 INVITE\r\nContent-Length: 0\r\n\r\n"
        ).encode()

    return {"options": other, "register": other, "malformed": malformed, "responses": response}.get(kind, invite)


def flood(kind: str, to: tuple[str, int], rate: int, seconds: float, told: Any) -> None:
    """Send so many messages a second, and count what comes back."""
    sock = bound(FLOODER)
    sock.setblocking(False)
    port = sock.getsockname()[1]
    make = writer(kind, FLOODER, port, to)
    replies = received = sent = sent_bytes = 0
    start = time.monotonic()
    total = min(MOST, int(rate * seconds))
    end = start + seconds + 1
    while (now := time.monotonic()) < end:
        while sent < min(total, int((now - start) * rate) + 1):
            data = make()
            sent += 1
            sent_bytes += len(data)
            try:
                sock.sendto(data, to)
            except BlockingIOError:
                break
        while True:
            try:
                data, _ = sock.recvfrom(65535)
            except BlockingIOError:
                break
            replies += 1
            received += len(data)
            if kind == "held" and data.startswith(b"SIP/2.0 200") and value(data, "cseq").endswith("INVITE"):
                acknowledge(sock, data, FLOODER, port, to)
        time.sleep(0.001)
    told.put({"sent": sent, "sent_bytes": sent_bytes, "replies": replies, "received_bytes": received})


# --------------------------------------------------------------------------- the honest caller


@dataclass
class Honest:
    """Places one call after another; each is hung up as soon as it is answered."""

    to: tuple[str, int]
    sock: socket.socket = field(default_factory=lambda: bound(HONEST))
    failed: int = 0

    def calls(self, seconds: float) -> list[float]:
        """Set-up times, seconds, of the calls of so many seconds."""
        found, start = [], time.monotonic()
        for number in range(int(seconds * CALLS_A_SECOND)):
            wait = start + number / CALLS_A_SECOND - time.monotonic()
            if wait > 0:
                time.sleep(wait)
            took = self.call()
            if took is None:
                self.failed += 1
            else:
                found.append(took)
        return found

    def call(self) -> float | None:
        """The time from INVITE to 200, seconds; None where none came."""
        port = self.sock.getsockname()[1]
        call = token()
        invite = request("INVITE", HONEST, port, "ok", self.to, call, body=SDP)
        begun = time.monotonic()
        answer = self._ask(invite, call, "INVITE")
        if answer is None:
            return None
        took = time.monotonic() - begun
        acknowledge(self.sock, answer, HONEST, port, self.to)
        contact = value(answer, "contact").strip("<>")
        self._ask(request("BYE", HONEST, port, "", self.to, call, number=2, to_line=value(answer, "to"), uri=contact), call, "BYE")
        return took

    def _ask(self, data: bytes, call: str, method: str) -> bytes | None:
        """Send, with the repetitions of Timers A and E (RFC 3261 §17.1), until a final response comes; a 2xx, or None."""
        for patience in (0.5, 1.0, 2.0, 4.0):
            self.sock.sendto(data, self.to)
            end = time.monotonic() + patience
            while (left := end - time.monotonic()) > 0:
                self.sock.settimeout(left)
                try:
                    answer, _ = self.sock.recvfrom(65535)
                except TimeoutError:
                    break
                if answer.startswith(b"SIP/2.0 ") and not answer.startswith(b"SIP/2.0 1") and value(answer, "call-id") == call \
                        and value(answer, "cseq").endswith(method):  # fmt: skip
                    return answer if answer.startswith(b"SIP/2.0 2") else None
        return None


# --------------------------------------------------------------------------- the server


class Server:
    """``calltable serve`` as a process of its own."""

    def __init__(self, callee_port: int) -> None:
        self.port = free_port(SERVER)
        command = serve_command().format(host=SERVER, port=self.port, next_host=CALLEE, next_port=callee_port)
        self.process = subprocess.Popen(shlex.split(command), cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def ready(self) -> None:
        """Wait until it answers. Raises CannotRunError."""
        honest = Honest((SERVER, self.port))
        for _ in range(20):
            if self.process.poll() is not None:
                raise CannotRunError("calltable serve has ended")
            if honest.call() is not None:
                return
        raise CannotRunError("calltable serve does not answer")

    def cpu(self) -> float:
        """Seconds of CPU so far."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def memory(self) -> float:
        """Resident memory, MB."""
        text = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+)", text)[1]) / 1024  # type: ignore[index]

    def close(self) -> None:
        self.process.kill()
        self.process.wait()


def measure(kind: str, rate: int, seconds: float, callee_port: int) -> dict[str, Any]:
    """One kind of flood: the honest caller before and during it."""
    server = Server(callee_port)
    told: Any = multiprocessing.Queue()
    flooder = multiprocessing.Process(target=flood, args=(kind, (SERVER, server.port), rate, seconds, told), daemon=True)
    try:
        server.ready()
        honest = Honest((SERVER, server.port))
        memory, cpu, start = server.memory(), server.cpu(), time.monotonic()
        quiet = honest.calls(seconds)
        quiet_cpu = (server.cpu() - cpu) / (time.monotonic() - start)
        flooder.start()
        time.sleep(0.5)
        cpu, start = server.cpu(), time.monotonic()
        flooded = honest.calls(seconds - 0.5)
        flood_cpu = (server.cpu() - cpu) / (time.monotonic() - start)
        counted = told.get(timeout=30)
        return {
            "kind": kind, "rate": rate, "seconds": seconds, "quiet": quiet, "flooded": flooded, "failed": honest.failed,
            "quiet_cpu": quiet_cpu, "flood_cpu": flood_cpu, "memory_before": memory, "memory": server.memory(), **counted,
        }  # fmt: skip
    finally:
        if flooder.is_alive():
            flooder.terminate()
        server.close()


def figures(run: dict[str, Any]) -> Iterator[Figure]:
    """What a run has shown."""
    kind = run["kind"]
    p99 = {phase: statistics.quantiles(run[phase], n=100)[98] * 1000 for phase in ("quiet", "flooded")}
    for phase in ("quiet", "flooded"):
        yield Figure(f"{kind}: set-up, median, {phase}", statistics.median(run[phase]) * 1000, "ms")
        yield Figure(f"{kind}: set-up, 99 %, {phase}", p99[phase], "ms")
    yield Figure(f"{kind}: 99 %, flooded / quiet", p99["flooded"] / p99["quiet"], "×", GOAL)
    yield Figure(f"{kind}: honest calls that failed", run["failed"], "", 0)
    yield Figure(f"{kind}: CPU of the server, quiet", 100 * run["quiet_cpu"], "%")
    yield Figure(f"{kind}: CPU of the server, flooded", 100 * run["flood_cpu"], "%")
    yield Figure(f"{kind}: memory of the server after it", run["memory"], "MB")
    yield Figure(f"{kind}: replies to {run['sent']} messages", run["replies"])
    yield Figure(f"{kind}: bytes back for each byte", run["received_bytes"] / run["sent_bytes"], "×")


def main(arguments: list[str] | None = None) -> int:
    """Run the floods that are asked for; 1 where a goal is missed."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.flood", description="What a flood from one address does to the others.")
    parser.add_argument("kinds", metavar="KIND", nargs="*", help=f"of {', '.join(KINDS)}; default: all")
    parser.add_argument("--rate", type=int, default=1000, help="messages a second (default: 1000)")
    parser.add_argument("--seconds", type=float, default=10.0, help="length of each phase (default: 10)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures here")
    asked = parser.parse_args(arguments)
    unknown = [kind for kind in asked.kinds if kind not in KINDS]
    if unknown:
        parser.error(f"there is no flood {unknown[0]}; there are {', '.join(KINDS)}")
    if not sys.platform.startswith("linux"):
        print("skipped: every address of 127.0.0.0/8 is needed, and /proc")
        return 0
    port = free_port(CALLEE)
    answering = multiprocessing.Process(target=callee, args=(port,), daemon=True)
    answering.start()
    found: list[Figure] = []
    runs: list[dict[str, Any]] = []
    told: list[str] = []
    try:
        for kind in asked.kinds or KINDS:
            run = measure(kind, asked.rate, min(60.0, asked.seconds), port)
            runs.append(run)
            found += figures(run)
            print(f"   {kind}: {run['sent']} sent, {run['replies']} replies, {run['failed']} honest calls failed", file=sys.stderr, flush=True)
    except CannotRunError as reason:
        told.append(f"left out: {reason}")
    finally:
        answering.terminate()
    return finish("flood", found, runs, asked.json, told)


if __name__ == "__main__":
    sys.exit(main())
