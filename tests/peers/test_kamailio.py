"""Kamailio as a record-routing proxy on both sides of the B2BUA: caller, proxy, B2BUA, proxy, callee.

The proxies answer 403 to a request inside a dialog that does not carry their Route, and the scenarios see that every
request inside the dialog came through the proxy, in both directions (RFC 3261 §12.1, §12.2.1.1, §16.12).
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.peers.lossy import LOSSY, T1, TIMERS, callee_ends, caller_ends
from tests.peers.ports import free_port, wait_bound
from tests.peers.programs import Program, find
from tests.peers.sipp import Callee, Caller, sdp

CONFIG = Path(__file__).with_name("kamailio.cfg")
_modules = next((folder for folder in sorted(Path("/usr").glob("lib*/**/kamailio/modules")) if (folder / "tm.so").exists()), None)
pytestmark = [
    pytest.mark.peer,
    pytest.mark.slow,
    pytest.mark.skipif(find("kamailio") is None or _modules is None, reason="Kamailio is not installed (Debian: kamailio)"),
]


@pytest.fixture(params=["udp", "tcp"])
def between(request, serving, tmp_path, sipp):
    """A B2BUA between two proxies: run scenarios through them with ``between(caller, callee)``."""
    yield from through(serving, tmp_path, sipp, request.param)


@pytest.fixture
def between_losses(serving, tmp_path, sipp):
    """The same for a network that loses messages."""
    yield from through(serving, tmp_path, sipp, "udp", {"timers": TIMERS}, t1=T1)


def through(serving, tmp_path, sipp, transport, config=None, t1=500):
    proxies: list[Program] = []
    inner, outer, callee_port = free_port(), free_port(), free_port()
    server = serving(transport, config, next_hop=f"sip:127.0.0.1:{outer};transport={transport}")

    def proxy(name: str, port: int, next_port: int) -> None:
        folder = tmp_path / name
        folder.mkdir()
        text = CONFIG.read_text().replace("PORT\n", f"{port}\n").replace("MODULES", f"{_modules}/")
        for factor in (64, 8, 1):
            text = text.replace(f"{factor}*T1", str(factor * t1))
        file = folder / "kamailio.cfg"
        file.write_text(text.replace("NEXT", str(next_port)).replace("TRANSPORT", transport))
        command = [find("kamailio") or "kamailio", "-DD", "-E", "-m", "64", "-M", "8", "-Y", folder, "-P", folder / "pid", "-f", file]
        program = Program(command, folder, name)
        proxies.append(program)
        for tcp in (False, True):
            if not wait_bound(port, tcp=tcp, while_=program.running):
                raise AssertionError(f"Kamailio does not listen on {port}:\n{program.output}")

    proxy("inner", inner, server.port)
    proxy("outer", outer, callee_port)

    def run(caller: Caller, callee: Callee, *options: object, calls: int = 1) -> None:
        sipp.start("callee", callee, *options, port=callee_port, transport=transport, calls=calls, seconds=50)
        sipp.start("caller", caller, *options, port=free_port(), remote=f"127.0.0.1:{inner}", transport=transport, calls=calls, seconds=50)
        sipp.finish(60)
        server.quiet("calls", "dialogs")

    run.inner, run.outer = f"127.0.0.1:{inner};branch", f"127.0.0.1:{outer};branch"
    yield run
    for program in proxies:
        program.stop(3)


def test_a_call_that_the_caller_ends(between):
    between(
        Caller().connect().pause(50).bye().recv(200),
        Callee().recv("INVITE").check(between.outer, "Via").respond(180).answer().recv("ACK").check(between.outer, "Via")
        .recv("BYE").check(between.outer, "Via").respond(200).linger(),
    )  # fmt: skip


def test_a_call_that_the_callee_ends(between):
    between(
        Caller().connect().recv("BYE").check(between.inner, "Via").respond(200).linger(),
        Callee().accept().pause(50).bye().recv(200),
    )  # fmt: skip


def test_requests_of_both_sides_keep_to_the_route(between):
    between(
        Caller().connect().reinvite(sdp("sendonly")).recv(100).recv(200).ack().request("INFO").recv(200)
        .recv("INVITE").check(between.inner, "Via").answer("sendrecv").recv("ACK").check(between.inner, "Via")
        .recv("MESSAGE").check(between.inner, "Via").respond(200).pause(50).bye().recv(200),
        Callee().accept().recv("INVITE").check(between.outer, "Via").answer("recvonly").recv("ACK").check(between.outer, "Via")
        .recv("INFO").check(between.outer, "Via").respond(200).pause(50)
        .reinvite(sdp("sendrecv")).recv(100).recv(200).ack().request("MESSAGE").recv(200).recv("BYE").respond(200).linger(),
    )  # fmt: skip


def test_a_call_that_is_cancelled(between):
    between(
        Caller().invite().recv(100).recv(180).cancel().recv(200).refused(487).linger(),
        Callee().recv("INVITE").respond(180).recv("CANCEL").respond(200).respond(487, to="INVITE").recv("ACK").linger(),
    )  # fmt: skip


def test_a_call_that_is_refused(between):
    between(
        Caller().invite().recv(100).refused(486).linger(),
        Callee().recv("INVITE").respond(486).recv("ACK").linger(),
    )  # fmt: skip


@pytest.mark.parametrize("kind", [caller_ends, callee_ends], ids=lambda kind: kind.__name__)
def test_calls_survive_loss_at_both_ends(between_losses, kind):
    caller, callee = kind()
    between_losses(caller, callee, *LOSSY, calls=50)
