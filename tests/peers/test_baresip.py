"""baresip calls and is called through the B2BUA, opposite to SIPp and to another baresip."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.peers.baresip import MODULES, Baresip
from tests.peers.lossy import LOSSY, TIMERS, calling
from tests.peers.lossy import called as rings
from tests.peers.programs import find
from tests.peers.sipp import Callee, Caller, sdp

_modules = next((folder for folder in MODULES if (Path(folder) / "ctrl_tcp.so").exists()), None)
pytestmark = [
    pytest.mark.peer,
    pytest.mark.slow,
    pytest.mark.skipif(find("baresip") is None or _modules is None, reason="baresip is not installed (Debian: baresip-core)"),
]


@pytest.fixture
def phone(tmp_path):
    phones = []

    def start(name, **options):
        phones.append(Baresip(tmp_path, name, _modules, **options))
        return phones[-1]

    yield start
    for one in phones:
        one.stop()


@pytest.fixture(params=["udp", "tcp"])
def transport(request):
    return request.param


def uri(server, transport):
    return f"sip:bob@{server.address}" + (";transport=tcp" if transport == "tcp" else "")


def called(serving, phone, transport, config=None):
    """A server whose next hop is a baresip, and that baresip."""
    bob = phone("bob")
    hop = f"sip:bob@127.0.0.1:{bob.port}" + (";transport=tcp" if transport == "tcp" else "")
    return serving(transport, config, next_hop=hop), bob


@pytest.mark.parametrize("first", ["caller", "callee"])
def test_one_baresip_calls_another(serving, phone, transport, first):
    server, bob = called(serving, phone, transport)
    alice = phone("alice")
    alice.tell("dial", uri(server, transport))
    bob.expect("CALL_ESTABLISHED")
    alice.expect("CALL_ESTABLISHED")
    (alice if first == "caller" else bob).tell("hangup")
    bob.expect("CALL_CLOSED")
    alice.expect("CALL_CLOSED")
    server.quiet("calls", "dialogs")


def test_baresip_hangs_up_while_it_rings(serving, sipp, phone, transport):
    server = serving(transport)
    callee = Callee().recv("INVITE").respond(180).recv("CANCEL").respond(200).respond(487, to="INVITE").recv("ACK").linger()
    sipp.start("callee", callee, port=server.next_port, transport=transport)
    alice = phone("alice")
    alice.tell("dial", uri(server, transport))
    alice.expect("CALL_RINGING")
    alice.tell("hangup")
    alice.expect("CALL_CLOSED")
    sipp.finish()
    server.quiet("calls", "dialogs")


def test_baresip_calls_holds_resumes_and_hangs_up(serving, sipp, phone, transport):
    server = serving(transport)
    callee = (
        Callee().accept().recv("INVITE").check("a=(sendonly|inactive)").answer("recvonly").recv("ACK")
        .recv("INVITE").check("a=sendrecv").answer("sendrecv").recv("ACK").recv("BYE").respond(200).linger()
    )  # fmt: skip
    sipp.start("callee", callee, port=server.next_port, transport=transport)
    alice = phone("alice")
    alice.tell("dial", uri(server, transport))
    alice.expect("CALL_ESTABLISHED")
    alice.tell("hold")
    sipp.wait_for("callee", "\nACK sip:", 2)
    alice.tell("resume")
    sipp.wait_for("callee", "\nACK sip:", 3)
    alice.tell("hangup")
    sipp.finish()
    server.quiet("calls", "dialogs")


def test_baresip_is_held_resumed_and_left(serving, sipp, phone, transport):
    server, bob = called(serving, phone, transport)
    caller = (
        Caller().connect().reinvite(sdp("sendonly")).recv(100).recv(200).check("a=(recvonly|inactive)").ack()
        .reinvite(sdp("sendrecv")).recv(100).recv(200).check("a=sendrecv").ack().pause(100).bye().recv(200)
    )  # fmt: skip
    sipp.start("caller", caller, port=server.free_port(), remote=server.address, transport=transport)
    bob.expect("CALL_ESTABLISHED")
    bob.expect("CALL_CLOSED")
    sipp.finish()
    server.quiet("calls", "dialogs")


def test_baresip_is_called_holds_and_hangs_up(serving, sipp, phone, transport):
    server, bob = called(serving, phone, transport)
    caller = Caller().connect().recv("INVITE").check("a=(sendonly|inactive)").answer("recvonly").recv("ACK").recv("BYE").respond(200).linger()
    sipp.start("caller", caller, port=server.free_port(), remote=server.address, transport=transport)
    bob.expect("CALL_ESTABLISHED")
    bob.tell("hold")
    sipp.wait_for("caller", "\nACK sip:", 2)
    bob.tell("hangup")
    sipp.finish()
    bob.expect("CALL_CLOSED")
    server.quiet("calls", "dialogs")


def test_baresip_refuses(serving, sipp, phone, transport):
    bob = phone("bob", answer=False)
    server = serving(transport, next_hop=f"sip:bob@127.0.0.1:{bob.port};transport={transport}")
    caller = Caller().invite().recv(100).recv(180).recv(486).ack_refused().linger()
    sipp.start("caller", caller, port=server.free_port(), remote=server.address, transport=transport)
    bob.expect("CALL_INCOMING")
    bob.tell("hangup")
    sipp.finish()
    server.quiet("calls", "dialogs")


def test_calls_to_baresip_survive_loss(serving, sipp, phone):
    server, _ = called(serving, phone, "udp", {"timers": TIMERS})
    caller = calling().recv(200).of("invite").ack().of("invite").pause(100).bye().of("bye").recv(200).of("bye")
    sipp.start("caller", caller, *LOSSY, "-l", 1, port=server.free_port(), remote=server.address, calls=10, seconds=50)
    sipp.finish(60)
    server.quiet("calls", "dialogs")


def test_a_call_of_baresip_survives_loss(serving, sipp, phone):
    server = serving("udp", {"timers": TIMERS})
    sipp.start("callee", rings().answer().anytime("INVITE").anytime("ACK").recv("BYE").respond(200).safely().linger(100), *LOSSY,
               port=server.next_port, calls=5, seconds=50)
    alice = phone("alice")
    for _ in range(5):
        alice.tell("dial", uri(server, "udp"))
        alice.expect("CALL_ESTABLISHED", 20)
        alice.tell("hangup")
        alice.expect("CALL_CLOSED", 20)
    sipp.finish(60)
    server.quiet("calls", "dialogs")
