"""Streams that end under a call, and where responses go when the way they came is gone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from calltable.adapters.sip.message.message import Request
from calltable.simulation.rawpeers import RawCall
from tests.scenarios.catalogue import scenario
from tests.scenarios.stories import ANSWER, OFFER, variants

if TYPE_CHECKING:
    from calltable.adapters.sip.transport.address import Address
    from calltable.simulation import Simulation
    from calltable.simulation.rawpeers import RawPeer

ALICE, BOB, SERVER = "tcp:10.0.1.1:5060", "tcp:10.0.1.2:5060", "udp:10.0.1.3:5060 tcp:10.0.1.3:5060"


def close_all(peer: RawPeer) -> None:
    """The peer closes its connections."""
    for connection in list(peer.transport.connections.values()):
        peer.transport.close_flow(connection)


@scenario("RFC 3261 §18.4", "An INVITE that meets the end of its connection on the way goes on a new one, at once")
def invite_on_a_connection_that_ends(sim: Simulation) -> None:
    alice, bob = sim.peer("alice"), sim.peer("bob", BOB)
    sim.b2bua(address=SERVER, routes={"*": f"sip:bob@{bob.address.hostport};transport=tcp"})
    for code in (486, 200):
        dialog = alice.call("b2bua", "sip:bob@10.0.1.3")
        dialog.request("INVITE", body=OFFER)
        if bob.times:
            sim.run(0.003)
            close_all(bob)  # the INVITE leaves before the end of the stream arrives
        invite = bob.expect_request("INVITE", within=1)
        far = RawCall.of(bob, invite, "b2bua")
        far.respond(invite, code, body=ANSWER if code == 200 else b"")
        dialog.ack(alice.expect_response(code, "INVITE", within=1))
        bob.expect("ACK", within=1)
    assert sim.engines["b2bua"].stack.transport.stats["tcp_resent"] == 1
    dialog.request("BYE")
    alice.expect(200, "BYE")
    far.respond(bob.expect_request("BYE"), 200)


@scenario("RFC 3261 §18.2.2", "The caller's connection ends while it rings: the 486 goes on a new one to the Via's sent-by")
def response_on_a_new_connection(sim: Simulation) -> None:
    for crossing, sub in variants(sim, (False, True)):
        alice, bob = sub.peer("alice", ALICE), sub.agent("bob", BOB)
        dialog = alice.call("bob")
        dialog.request("INVITE", body=OFFER)
        sub.until(lambda bob=bob: bob.calls)
        close_all(alice)
        if not crossing:
            sub.run(1)
        bob.last.reject(486)
        dialog.ack(alice.expect_response(486, "INVITE", within=1))


@scenario("RFC 3261 §17.2.4", "The caller is gone: the response has nowhere to go, and nothing is kept for it")
def response_with_nowhere_to_go(sim: Simulation) -> None:
    for code, sub in variants(sim, (200, 486)):
        alice, bob = sub.peer("alice", ALICE), sub.agent("bob", BOB)
        alice.call("bob").request("INVITE", body=OFFER)
        sub.until(lambda bob=bob: bob.calls)
        call = bob.last
        alice.transport.detach()
        if code == 200:
            call.answer()
        else:
            call.reject(code)
        sub.run(0.5 if code == 486 else 40)
        assert call.ended


@scenario("RFC 3261 §18.2.2", "A Via with maddr gets its responses there over UDP, whatever rport says; a name or another IP version is no maddr")
def maddr(sim: Simulation) -> None:
    for (value, heeded), sub in variants(sim, (("10.9.9.9", True), ("other.example", False), ("2001:db8::1", False))):
        sub.b2bua()
        alice, other = sub.peer("alice", "udp:10.0.1.1:5060"), sub.peer("other", "udp:10.9.9.9:5062")
        alice.send(Request("OPTIONS", sub.uri("b2bua"), [
            ("Via", f"SIP/2.0/UDP 10.0.1.1:5062;branch=z9hG4bKm;maddr={value};rport"), ("Max-Forwards", "70"),
            ("From", "<sip:a@10.0.1.1>;tag=1"), ("To", "<sip:b@example.com>"), ("Call-ID", "maddr"), ("CSeq", "1 OPTIONS"),
            ("Content-Length", "0"),
        ]), "b2bua")  # fmt: skip
        (other if heeded else alice).expect_response(200, "OPTIONS", within=1)


@scenario("RFC 3581 §4", "A request is routed by where it came from, to the port, whatever its Via says")
def source_is_kept(sim: Simulation) -> None:
    for home, sub in variants(sim, ("udp:10.0.1.1:5060", ALICE)):
        b2bua = sub.b2bua(address=SERVER)
        alice = sub.peer("alice", home)
        seen: list[Address] = []
        route = b2bua.router.find

        def find(request: Request, source: Address, seen: list[Address] = seen, route: object = route) -> object:
            seen.append(source)
            return route(request, source)

        b2bua.router.find = find
        transport = alice.address.transport
        alice.send(Request("INVITE", "sip:nobody@10.0.1.3", [
            ("Via", f"SIP/2.0/{transport.upper()} 10.0.1.1:7777;branch=z9hG4bKm"), ("Max-Forwards", "70"),
            ("From", "<sip:a@10.0.1.1>;tag=1"), ("To", "<sip:b@example.com>"), ("Call-ID", "source"), ("CSeq", "1 INVITE"),
            ("Contact", "<sip:a@10.0.1.1>"), ("Content-Length", "0"),
        ]), "b2bua")  # fmt: skip
        sub.run(40)
        assert [one.host for one in seen] == ["10.0.1.1"]
        assert seen[0].port == (5060 if transport == "udp" else next(iter(alice.transport.connections.values())).port)
