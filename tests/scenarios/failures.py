"""When something breaks inside: a session that fails settles what it owes, tells the peer, and takes nobody with it.

These scenarios reach into the engine: they give ``engine.failed`` to one session, as an exception in its table or its adapter would,
or misuse a transaction from inside. No message from outside can do either.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from calltable.simulation import Simulation
from tests.scenarios.catalogue import scenario
from tests.scenarios.stories import (
    ANSWER,
    OFFER,
    OTHER,
    Bridge,
    called,
    called_second,
    joined,
    news,
    over,
    they_call,
    they_called,
    variants,
    we_called,
)  # fmt: skip

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from calltable.adapters.sip.message.message import Request
    from calltable.engine.run.records import Outcome
    from calltable.engine.run.session import Session


def find(sim: Simulation, node: str, machine: str, name: str = "") -> Session:
    """The one session of a machine on a node (with this in its name)."""
    found = [s for s in sim.engines[node].executor.sessions.values() if s.machine.name == machine and name in s.name]
    assert len(found) == 1, found
    return found[0]


def give(sim: Simulation, node: str, machine: str, event: str, name: str = "", **fields: object) -> Outcome:
    return sim.engines[node].executor.dispatch(find(sim, node, machine, name), event, fields)


def fail(sim: Simulation, node: str, machine: str, name: str = "") -> None:
    assert give(sim, node, machine, "engine.failed", name, reason="a test").kind == "taken"


# --------------------------------------------------------------------------- legs


@scenario("design §4: failures", "A placed leg fails while it is called, rings, is up, owes an ACK or is cancelled: the callee hears it")
def leg_fails_caller(sim: Simulation) -> None:
    for phase, sub in variants(sim, ("calling", "early", "active", "acknowledging", "cancelling", "ending")):
        call, bob, dialog = called(sub)
        if phase != "calling":
            dialog.respond(dialog.incoming, 180)
        if phase in ("active", "acknowledging", "ending"):
            dialog.respond(dialog.incoming, 200, body=ANSWER)
            bob.expect("ACK")
        sub.run(0.1)
        if phase == "acknowledging":
            call.manual = True
            call.reinvite(offer=False)
            dialog.respond(bob.expect("INVITE"), 200, body=OFFER)
            sub.run(0.1)
        if phase in ("cancelling", "ending"):
            call.hangup()
        fail(sub, "alice", "leg/uac")
        assert call.ended
        if phase == "acknowledging":
            assert bob.expect("ACK").cseq.number == 2
        if phase in ("active", "acknowledging", "ending"):
            dialog.respond(bob.expect("BYE"), 200)
        else:
            dialog.respond(dialog.incoming, 180)
            dialog.respond(bob.expect("CANCEL"), 200)
            dialog.respond(dialog.incoming, 487)
            bob.expect("ACK")


@scenario("design §4: failures", "An incoming leg fails in any state: its INVITE gets a final response, its dialog a BYE")
def leg_fails_callee(sim: Simulation) -> None:
    for phase, sub in variants(sim, ("incoming", "early", "answering", "active", "reinvited", "ending")):
        alice, dialog, call = they_call(sub)
        if phase == "early":
            call.ring()
        if phase not in ("incoming", "early"):
            call.answer()
            success = alice.expect(200)
            if phase != "answering":
                dialog.ack(success)
        sub.run(0.1)
        call.manual = True
        if phase == "reinvited":
            dialog.request("INVITE", body=OTHER)
            sub.run(0.1)
        if phase == "ending":
            call.hangup()
        fail(sub, "bob", "leg/uas")
        assert call.ended
        if phase in ("incoming", "early"):
            dialog.ack(alice.expect(500))
        else:
            if phase == "reinvited":
                dialog.ack(alice.expect(500, "INVITE"))
            dialog.respond(alice.expect("BYE"), 200)
        if phase == "answering":
            dialog.ack(success)


@scenario("design §4: failures", "A stray leg that fails, or was never started, goes away")
def stray_fails(sim: Simulation) -> None:
    call, bob, dialog = we_called(sim)
    dialog.respond(dialog.incoming, 200, body=ANSWER, to_tag="fork")
    bob.expect("ACK")
    bye = bob.expect("BYE")
    fail(sim, "alice", "leg/stray")
    dialog.respond(bye, 200)
    dialog.respond(bob.expect("BYE"), 200)  # the last resort does not ask what was sent before
    sim.engines["alice"].executor.create("leg/stray")
    sim.run(33)
    over(sim, call, bob, dialog)


@scenario("design §4: failures", "An action that raises fails its own session only: the INVITE gets 500, the next call is none the worse",
          tolerates=("effects failed",))  # fmt: skip
def effect_raises(sim: Simulation) -> None:
    sim.b2bua()
    alice, bob = sim.agent("alice"), sim.agent("bob")
    bob.incoming_call = lambda call: call.answer()
    handlers = sim.engines["b2bua"].executor.handlers
    find_route = handlers["route.find"]

    def broken(session: object, parameters: object) -> None:
        handlers["route.find"] = find_route
        raise RuntimeError("the database is gone")

    handlers["route.find"] = broken
    first = alice.call(sim.uri("b2bua", "bob"))
    sim.run(1)
    assert first.last("failed").fields["code"] >= 400
    second = alice.call(sim.uri("b2bua", "bob"))
    sim.run(1)
    assert second.state == "active"
    second.hangup()


# --------------------------------------------------------------------------- the bridge


@scenario("design §4: failures", "The coordinator fails in the middle of a call: both sides get their BYE")
def bridge_fails(sim: Simulation) -> None:
    bridge = joined(sim)
    fail(sim, "b2bua", "b2bua/bridge")
    bridge.alice_gets_bye()
    bridge.bob_gets_bye()


@scenario("design §4: failures", "One leg of a call fails, before or after the answer: the other is hung up")
def bridge_leg_fails(sim: Simulation) -> None:
    for (leg, phase), sub in variants(sim, [(leg, phase) for leg in ("uas", "uac") for phase in ("ringing", "answered", "connected")]):
        bridge = Bridge(sub)
        bridge.ring()
        success = None
        if phase == "connected":
            bridge.answer()
        elif phase == "answered":
            bridge.b.respond(bridge.invite, 200, body=ANSWER)
            success = bridge.alice.expect(200)
            bridge.bob.expect("ACK")
        fail(sub, "b2bua", f"leg/{leg}")
        sub.run(0.02)
        if phase == "ringing":
            final = next(m for m in news(bridge.alice) if m.status >= 300)
            bridge.a.ack(final)
            bridge.b.respond(bridge.bob.expect("CANCEL"), 200)
            bridge.b.respond(bridge.invite, 487)
            bridge.bob.expect("ACK")
        else:
            if success is not None:
                bridge.a.ack(success)
            bridge.alice_gets_bye()
            bridge.bob_gets_bye()


@scenario("design §4: failures", "A leg that ends without a word takes the other one with it")
def bridge_leg_vanishes(sim: Simulation) -> None:
    for leg, sub in variants(sim, ("uas", "uac")):
        bridge = joined(sub)
        executor = sub.engines["b2bua"].executor
        session = find(sub, "b2bua", f"leg/{leg}")
        # as if its own engine.failed row had raised as well: the executor's last resort
        executor._end(session)
        sub.run(0.01)
        if leg == "uas":
            bridge.bob_gets_bye()
        else:
            bridge.alice_gets_bye()


@scenario("design §4: failures", "A leg that takes too long to end is let go, and still ends by its own rows",
          config={"closing": 1.0}, slow=True)  # fmt: skip
def bridge_forgets_closing_legs(sim: Simulation) -> None:
    bridge = joined(sim)
    bridge.a.request("BYE")
    bridge.alice.expect(200, "BYE")
    sim.run(1.5)
    assert not sim.servers["b2bua"].calls
    assert sim.engines["b2bua"].snapshot()["dialogs"] == 1
    sim.run(32)
    assert sim.engines["b2bua"].snapshot()["dialogs"] == 0


@scenario("RFC 3261 §9", "A slow route: the caller cancels first, and the answer of the route comes late, whatever it says")
def route_answers_late(sim: Simulation) -> None:
    for answer, sub in variants(sim, ("route.target", "route.rejected")):
        sub.b2bua()
        alice, bob = sub.peer("alice"), sub.peer("bob")
        executor = sub.engines["b2bua"].executor
        waiting: list[Session] = []
        asked: list[Request] = []

        def find(session: Session, parameters: Mapping[str, Any], waiting: list[Session] = waiting, asked: list[Request] = asked) -> None:
            waiting.append(session)
            asked.append(parameters["message"])

        executor.handlers["route.find"] = find
        call = alice.call("b2bua", sub.uri("b2bua", "bob"))
        call.request("INVITE", body=OFFER)
        sub.run(0.1)
        held = sub.network.hold_next(lambda data, _, to: data.startswith(b"SIP/2.0 487"))
        call.cancel()
        sub.run(0.1)
        fields = {"target": sub.uri("bob"), "message": asked[0]} if answer == "route.target" else {"code": 404}
        for session in waiting:
            executor.post(session, answer, fields)
        held.release()
        call.ack(alice.expect(487))
        sub.run(1)
        assert not bob.times


@scenario("RFC 3261 §14.2", "The other side's leg cannot take a re-INVITE now: 491 to the side that asked")
def reinvite_refused_inside(sim: Simulation) -> None:
    bridge = Bridge(sim)
    bridge.b.respond(bridge.invite, 200, body=ANSWER)
    bridge.bob.expect("ACK")
    success = bridge.alice.expect(200)
    bridge.b.request("INVITE", body=OTHER)
    bridge.b.ack(bridge.bob.expect(491, "INVITE"))
    bridge.a.ack(success)
    sim.run(0.1)
    bridge.b.request("INVITE", body=OTHER)
    bridge.a.respond(bridge.alice.expect("INVITE"), 200, body=ANSWER)
    bridge.alice.expect("ACK")
    second = bridge.bob.expect(200, "INVITE")
    bridge.a.request("INVITE", body=OTHER)
    bridge.a.ack(bridge.alice.expect(491, "INVITE"))
    bridge.b.ack(second)
    sim.run(0.1)
    bridge.hangup()


@scenario("RFC 3264 §8", "The sides can no longer agree (a withdrawn re-INVITE is accepted after all): the call is ended",
          config={"unanswered_timeout": 10.0}, slow=True)  # fmt: skip
def sides_cannot_agree(sim: Simulation) -> None:
    for side, sub in variants(sim, ("a", "b")):
        bridge = joined(sub)
        one, peer, other, far = (
            (bridge.a, bridge.alice, bridge.b, bridge.bob) if side == "a" else (bridge.b, bridge.bob, bridge.a, bridge.alice)
        )
        one.request("INVITE", body=OTHER)
        again = far.expect_request("INVITE")
        other.respond(again, 100)
        one.ack(peer.expect_response(480, "INVITE"))
        far.expect("CANCEL")
        other.respond(again, 200, body=ANSWER)
        far.expect("ACK")
        bridge.alice_gets_bye()
        bridge.bob_gets_bye()


@scenario("RFC 3261 §9.1", "A re-INVITE that gets 100 and nothing more is withdrawn after three minutes, on both sides")
def reinvite_trying_for_ever(sim: Simulation) -> None:
    for side, sub in variants(sim, ("a", "b")):
        bridge = joined(sub)
        one, peer, other, far = (
            (bridge.a, bridge.alice, bridge.b, bridge.bob) if side == "a" else (bridge.b, bridge.bob, bridge.a, bridge.alice)
        )
        one.request("INVITE", body=OTHER)
        again = far.expect_request("INVITE")
        other.respond(again, 100)
        other.respond(far.expect("CANCEL", within=200), 200)
        other.respond(again, 487)
        far.expect("ACK")
        one.ack(peer.expect_response(487, "INVITE"))
        sub.run(0.1)
        bridge.hangup()


@scenario("RFC 3261 §12.2.2", "A request comes while the call is being ended but its leg still waits for an ACK: 481")
def request_while_closing(sim: Simulation) -> None:
    bridge = Bridge(sim)
    bridge.b.respond(bridge.invite, 200, body=ANSWER)
    bridge.bob.expect("ACK")
    success = bridge.alice.expect(200)
    bridge.a.learn(success)
    bridge.b.request("BYE")
    bridge.bob.expect(200, "BYE")
    bridge.a.request("INFO")
    bridge.alice.expect(481, "INFO")
    bridge.a.ack(success)
    bridge.alice_gets_bye()


@scenario("RFC 3261 §12.2.2", "The same on the callee's side: its 2xx to a re-INVITE waits for the ACK while the caller has hung up")
def request_while_closing_callee(sim: Simulation) -> None:
    bridge = joined(sim)
    bridge.b.request("INVITE", body=OTHER)
    bridge.a.respond(bridge.alice.expect("INVITE"), 200, body=ANSWER)
    bridge.alice.expect("ACK")
    success = bridge.bob.expect(200, "INVITE")
    bridge.a.request("BYE")
    bridge.alice.expect(200, "BYE")
    bridge.b.request("INFO")
    bridge.bob.expect(481, "INFO")
    bridge.b.ack(success)
    bridge.bob_gets_bye()


# --------------------------------------------------------------------------- transactions


@scenario("design §4: failures", "A transaction that fails tells its user like a transport that failed")
def transactions_fail(sim: Simulation) -> None:
    call, _, dialog = called(sim)
    fail(sim, "alice", "transaction/invite_client")
    assert call.last("failed").fields["code"] == 503
    dialog.respond(dialog.incoming, 200, body=ANSWER)
    sim.run(1)


@scenario("design §4: failures", "A request's transaction fails, before its answer or after: told once")
def request_transaction_fails(sim: Simulation) -> None:
    call, bob, dialog = we_called(sim)
    fail(sim, "alice", "transaction/invite_client")
    call.request("INFO")
    fail(sim, "alice", "transaction/client")
    assert call.last("response").fields["code"] == 503
    bob.expect("INFO")
    call.request("MESSAGE")
    dialog.respond(bob.expect("MESSAGE"), 200)
    sim.run(0.1)
    fail(sim, "alice", "transaction/client", "MESSAGE")
    assert call.heard.count("response") == 2
    over(sim, call, bob, dialog)


@scenario("design §4: failures", "A server transaction fails while the INVITE waits, after the 2xx, after its ACK, or after a failure")
def invite_server_fails(sim: Simulation) -> None:
    for phase, sub in variants(sim, ("proceeding", "accepted", "acknowledged", "completed")):
        alice, dialog, call = they_call(sub)
        if phase in ("accepted", "acknowledged"):
            call.answer()
            success = alice.expect(200)
            if phase == "acknowledged":
                dialog.ack(success)
                sub.run(0.1)
        elif phase == "completed":
            call.reject(486)
            alice.expect(486)
        fail(sub, "bob", "transaction/invite_server")
        if phase == "proceeding":
            assert call.last("cancelled").fields["by"] == "failure"
            dialog.ack(alice.expect(500, "INVITE"))
        if phase == "accepted":
            bye = alice.expect("BYE")
            alice.respond(bye, 200)
        elif phase == "acknowledged":
            over(sub, call, alice, dialog)
        sub.run(0.1)
        assert call.ended


@scenario("design §4: failures", "The transaction of a request fails: 500 at once, what the owner answers later goes nowhere, the call goes on")
def server_fails(sim: Simulation) -> None:
    alice, dialog, call = they_called(sim)
    call.manual = True
    dialog.request("INFO")
    sim.run(0.1)
    fail(sim, "bob", "transaction/server")
    alice.expect(500, "INFO")
    call.respond(200)
    sim.run(1)
    assert not alice.arrivals(200, "INFO")
    dialog.request("INFO")
    sim.run(0.1)
    call.respond(200)
    alice.expect(200, "INFO")
    fail(sim, "bob", "transaction/server")
    assert not alice.arrivals(500, "INFO")[1:]
    over(sim, call, alice, dialog)


@scenario("RFC 3261 §17", "Commands that a transaction cannot take in its state are refused, and nothing is sent")
def transactions_refuse(sim: Simulation) -> None:
    call, bob, dialog = called(sim)
    refused = []
    refused.append(give(sim, "alice", "transaction/invite_client", "user.acknowledge", message=None))
    dialog.respond(dialog.incoming, 200, body=ANSWER)
    bob.expect("ACK")
    refused += [give(sim, "alice", "transaction/invite_client", event) for event in ("user.cancel", "user.abandon")]
    give(sim, "alice", "transaction/invite_client", "transport.failed", reason="a repeated INVITE met nobody")
    over(sim, call, bob, dialog)
    sim.run(40)
    other, dave, theirs = called_second(sim)
    theirs.respond(theirs.incoming, 603)
    dave.expect("ACK")
    refused += [give(sim, "carol", "transaction/invite_client", event) for event in ("user.cancel", "user.abandon")]
    refused.append(give(sim, "carol", "transaction/invite_client", "user.acknowledge", message=None))
    give(sim, "carol", "transaction/invite_client", "transport.failed", reason="a test")
    assert other.ended
    assert {outcome.kind for outcome in refused} == {"refused"}


@scenario("RFC 6026 §8.7", "A server transaction refuses what contradicts its answer, and sends another 2xx where its user wants one")
def server_transactions_refuse(sim: Simulation) -> None:
    alice, dialog, call = they_called(sim)
    events = ("user.provisional", "user.failure")
    refused = [give(sim, "bob", "transaction/invite_server", event, message=None) for event in events]
    last = next(m for _, m in alice.times if getattr(m, "status", 0) == 200)
    session = find(sim, "bob", "transaction/invite_server")
    sent = session.context.last
    assert sent is None, "nothing is kept of a 2xx that was acknowledged"
    over(sim, call, alice, dialog)
    sim.run(40)
    dialog.request("OPTIONS")
    alice.expect(481, "OPTIONS")
    refused.append(give(sim, "bob", "transaction/server", "user.success", "OPTIONS", message=None))
    assert {outcome.kind for outcome in refused} == {"refused"}
    assert last.status == 200


@scenario("RFC 6026 §8.7", "Another 2xx of the same user goes out in the accepted state; after a failure nothing does")
def second_success(sim: Simulation) -> None:
    alice, dialog, call = they_call(sim)
    call.answer()
    session = find(sim, "bob", "transaction/invite_server")
    give(sim, "bob", "transaction/invite_server", "user.success", message=session.context.last)
    dialog.ack(alice.expect(200))
    sim.run(0.01)
    assert len(alice.arrivals(200)) == 2
    over(sim, call, alice, dialog)
    sim.run(40)
    second = alice.call("bob")
    second.request("INVITE", body=OFFER)
    sim.run(0.1)
    sim.agents["bob"].last.reject(486)
    events = ("user.provisional", "user.success", "user.failure")
    refused = [give(sim, "bob", "transaction/invite_server", event, message=None) for event in events]
    assert {outcome.kind for outcome in refused} == {"refused"}
    second.ack(alice.expect(486))
