"""What one side of a B2BUA may learn of the other, and what is refused before any call begins."""

from __future__ import annotations

from calltable.adapters.sip.core.screening import Screening
from calltable.adapters.sip.message.message import Request, Response
from calltable.limits import Figures, Plan
from calltable.simulation import Simulation
from tests.scenarios.catalogue import scenario
from tests.scenarios.stories import ANSWER, OFFER, OTHER, Bridge, joined, text

HOP = {
    "Record-Route": "<sip:192.0.2.9;lr>", "Path": "<sip:192.0.2.9>", "Timestamp": "4", "In-Reply-To": "x@192.0.2.9",
    "RSeq": "7", "Flow-Timer": "120",
}  # fmt: skip
END = {
    "Subject": "lunch", "User-Agent": "raw/1", "P-Asserted-Identity": "<sip:carol@example.com>", "Privacy": "id",
    "X-Own": "a,b", "Date": "Sat, 13 Nov 2010 23:29:00 GMT", "Priority": "urgent", "Alert-Info": "<http://x/ring>",
    "Call-Info": "<http://x/y>;purpose=icon", "Organization": "Boxes", "Expires": "90", "Session-Expires": "1800",
    "Min-SE": "90", "Accept": "application/sdp", "Reason": 'SIP;cause=200;text="x"', "Diversion": "<sip:d@example.com>",
    "Geolocation": "<cid:x>", "User-to-User": "56a3;encoding=hex", "History-Info": "<sip:h@example.com>;index=1",
}  # fmt: skip


def secrets(bridge: Bridge, side: str) -> set[str]:
    """What identifies one side: its Call-ID, tags, branches and addresses."""
    peer, dialog = (bridge.alice, bridge.a) if side == "a" else (bridge.bob, bridge.b)
    found = {dialog.call_id, dialog.local_tag, peer.address.host}
    for packet in bridge.sim.packets(peer.name) + bridge.sim.packets(None, peer.name):
        for line in packet.data.decode().split("\r\n"):
            if line.lower().startswith("via:") and ";branch=" in line:
                found.add(line.partition(";branch=")[2].partition(";")[0])
            if line.lower().startswith(("from:", "to:")) and ";tag=" in line:
                found.add(line.partition(";tag=")[2])
    return found


@scenario("RFC 7092 §3", "Nothing that names one side shows on the other: Call-ID, tags, branches, Contact, addresses outside the SDP")
def nothing_shows(sim: Simulation) -> None:
    bridge = Bridge(sim)
    bridge.ring()
    bridge.answer()
    for one, peer, other, far in (
        (bridge.a, bridge.alice, bridge.b, bridge.bob), (bridge.b, bridge.bob, bridge.a, bridge.alice),
    ):  # fmt: skip
        one.request("INFO", headers=HOP)
        other.respond(far.expect_request("INFO"), 200, headers=HOP)
        peer.expect(200, "INFO")
        one.request("INVITE", body=OTHER, headers=HOP)
        other.respond(far.expect_request("INVITE"), 200, body=ANSWER, headers={"In-Reply-To": "z", "RSeq": "9"})
        far.expect("ACK")
        one.ack(peer.expect_response(200, "INVITE"))
        sim.run(0.1)
    bridge.hangup()
    for side, far in (("a", "bob"), ("b", "alice")):
        known = secrets(bridge, side)
        assert len(known) > 8
        for packet in sim.packets("b2bua", far):
            head = packet.data.partition(b"\r\n\r\n")[0].decode()
            shown = {secret for secret in known if secret in head}
            assert not shown, f"{far} sees {shown} of the other side in\n{head}"
    for peer in (bridge.alice, bridge.bob):
        for _, message in peer.times:
            for name in ("path", "in-reply-to", "rseq", "flow-timer"):
                assert message.get(name) is None


@scenario("RFC 3261 §19.1.1", "A URI that is called with header fields and a method: neither stands in the Request-URI nor in To, nor becomes a header field")
def called_with_headers(sim: Simulation) -> None:
    alice, bob = sim.agent("alice"), sim.peer("bob")
    alice.call(f"{sim.uri('bob')};method=INVITE?X-Evil=1&Route=%3Csip:evil%3E")
    invite = bob.expect_request("INVITE")
    assert (invite.uri, invite.to.uri) == (sim.uri("bob"), sim.uri("bob"))
    assert invite.get("x-evil") is None
    assert invite.get("route") is None
    bob.respond(invite, 486, to_tag="b")
    bob.expect_request("ACK")


@scenario("RFC 7092 §3", "What the two ends tell each other passes as it was written, in order, unknown fields included")
def end_to_end_fields_pass(sim: Simulation) -> None:
    sim.b2bua()
    alice, bob = sim.peer("alice"), sim.peer("bob")
    call = alice.call("b2bua", sim.uri("b2bua", "bob"))
    call.request("INVITE", headers={**END, "Supported": "timer, 100rel, replaces, x-own", "Allow": "INVITE, ACK, PRACK, BYE"},
                 body=OFFER)  # fmt: skip
    invite = bob.expect_request("INVITE")
    assert [name for name, _ in invite.headers if name in END] == list(END)
    assert {name: invite.get(name) for name in END} == END
    assert invite.option_tags("supported") == ["timer", "replaces", "x-own"], "what each leg would have to promise itself does not pass"
    assert "PRACK" not in (invite.get("allow") or "")
    assert invite.body == OFFER
    bob.respond(invite, 180, to_tag="t", headers=END)
    assert {name: alice.expect_response(180).get(name) for name in ["Subject"]} == {"Subject": "lunch"}
    bob.respond(invite, 486, to_tag="t", headers=END)
    bob.expect("ACK")
    final = alice.expect_response(486)
    assert {name: final.get(name) for name in END} == END
    call.ack(final)


@scenario("RFC 3261 §25.1", "Control characters in header fields, names and reason phrases do not pass: a space stands for each")
def control_characters(sim: Simulation) -> None:
    odd = "a\0b\x07c\x1bd\x7fe"
    bridge = Bridge(sim, headers={"Subject": odd, "X-Own": f'"{odd}"', "Reason": f'SIP;text="{odd}"'})
    for name in ("subject", "x-own", "reason"):
        assert "a b c d e" in (bridge.invite.get(name) or "")
    bridge.b.respond(bridge.invite, 302, odd, headers={"Contact": '"x\\\0y" <sip:c@example.com>', "Warning": odd})
    bridge.bob.expect("ACK")
    final = bridge.alice.expect_response(302)
    assert final.reason == "a b c d e"
    assert final.get("warning") == "a b c d e"
    bridge.a.ack(final)
    other = bridge.alice.call("b2bua", sim.uri("b2bua", "bob"))
    other.local = '"x\\\0y\x07" <sip:alice@example.com>'
    other.request("INVITE", body=OFFER)
    invite = bridge.bob.expect_request("INVITE")
    assert invite.from_.display == "x y"
    bridge.bob.respond(invite, 486, to_tag="t")
    bridge.bob.expect("ACK")
    other.ack(bridge.alice.expect_response(486))
    for packet in sim.packets("b2bua", "bob") + [one for one in sim.packets("b2bua", "alice") if b" 302 " in one.data]:
        assert not set(packet.data) & {0, 7, 0x1B, 0x7F}


@scenario("RFC 3261 §8.1.1.6", "Max-Forwards counts down through the B2BUA, and 483 answers a call that has none left")
def max_forwards(sim: Simulation) -> None:
    sim.b2bua()
    alice, bob = sim.peer("alice"), sim.peer("bob")
    first = alice.call("b2bua", sim.uri("b2bua", "bob"))
    first.request("INVITE", body=OFFER, max_forwards=10)
    invite = bob.expect_request("INVITE")
    assert invite.max_forwards == 9
    bob.respond(invite, 486, to_tag="t")
    bob.expect("ACK")
    first.ack(alice.expect_response(486))
    second = alice.call("b2bua", sim.uri("b2bua", "bob"))
    second.request("INVITE", body=OFFER, max_forwards=0)
    second.ack(alice.expect_response(483))


@scenario("RFC 3261 §16.3", "A B2BUA that calls itself: Max-Forwards ends the loop with 483, and every call of it")
def loop_ends(sim: Simulation) -> None:
    sim.b2bua(routes={"loop": "sip:loop@10.0.0.1:5060"})
    alice = sim.peer("alice")
    call = alice.call("b2bua", "sip:loop@10.0.0.1:5060")
    call.request("INVITE", body=OFFER, max_forwards=20)
    call.ack(alice.expect_response(483))


@scenario("RFC 3261 §8.2.2.3", "Require with an extension we lack: 420 with Unsupported; 100rel is such a one")
def bad_extension(sim: Simulation) -> None:
    sim.b2bua()
    alice = sim.peer("alice")
    for field, tags in (("Require", "100rel"), ("Require", "nothing, timer"), ("Proxy-Require", "foo")):
        call = alice.call("b2bua", sim.uri("b2bua", "bob"))
        call.request("INVITE", body=OFFER, headers={field: tags})
        final = alice.expect_response(420)
        assert final.get("unsupported") == tags.partition(",")[0]
        call.ack(final)


@scenario("RFC 3262 §3", "Supported: 100rel of the caller is not passed on, so no callee sends a reliable response; a PRACK gets 481")
def reliable_responses_are_not_promised(sim: Simulation) -> None:
    sim.b2bua()
    alice, bob = sim.peer("alice"), sim.peer("bob")
    call = alice.call("b2bua", sim.uri("b2bua", "bob"))
    call.request("INVITE", body=OFFER, headers={"Supported": "100rel"})
    invite = bob.expect_request("INVITE")
    assert "100rel" not in (invite.get("supported") or "")
    call.request("PRACK", headers={"RAck": "1 1 INVITE"})
    alice.expect(481, "PRACK")
    bob.respond(invite, 603, to_tag="t")
    bob.expect("ACK")
    call.ack(alice.expect_response(603))


@scenario("RFC 3261 §8.2", "Refused before any call: 405, 481, 501, 416, 400, 505 where the RFC asks for them")
def refused_at_the_door(sim: Simulation) -> None:
    sim.b2bua()
    alice = sim.peer("alice")

    def ask(method: str, code: int, **fields: object) -> Response:
        call = alice.call("b2bua", sim.uri("b2bua", "bob"))
        call.request(method, **fields)
        response = alice.expect_response(code, method)
        if method == "INVITE":
            call.ack(response)
        return response

    assert "INVITE" in (ask("REGISTER", 405).get("allow") or "")
    ask("SUBSCRIBE", 405)
    ask("MESSAGE", 405)
    assert "INVITE" in (ask("BANANA", 501).get("allow") or "")
    for method in ("BYE", "INFO", "UPDATE", "NOTIFY", "PRACK"):
        ask(method, 481)
    ask("INVITE", 416, uri="http://example.com/")
    ask("INVITE", 400, contact=False)
    call = alice.call("b2bua", sim.uri("b2bua", "bob"))
    request = call.request("OPTIONS")
    alice.expect(404, "OPTIONS")
    alice.send(bytes(request).replace(b"SIP/2.0\r\n", b"SIP/3.0\r\n", 1).replace(b"branch=", b"branch=z9hG4bKx"), "b2bua")
    alice.expect(505)


@scenario("RFC 3261 §11.2", "OPTIONS is answered by the server itself, with what it can do")
def options(sim: Simulation) -> None:
    sim.b2bua()
    alice = sim.peer("alice")
    alice.call("b2bua").request("OPTIONS")
    response = alice.expect_response(200, "OPTIONS")
    for name in ("allow", "accept", "accept-encoding", "accept-language", "supported"):
        assert response.get(name)


@scenario("RFC 3261 §11.2", "OPTIONS gets the status that an INVITE from there would get now, with what the server can do all the same")
def options_like_invite(sim: Simulation) -> None:
    server = sim.b2bua(routes={"closed": 403, "bob": "sip:bob@10.0.0.9"}, max_calls=1)
    alice, _ = sim.peer("alice"), sim.peer("bob", "udp:10.0.0.9:5060")

    def asked(user: str, status: int) -> Response:
        alice.call("b2bua", sim.uri("b2bua", user)).request("OPTIONS")
        response: Response = alice.expect_response(status, "OPTIONS")
        for name in ("allow", "accept", "accept-encoding", "accept-language", "supported"):
            assert response.get(name)
        return response

    for user, status in (("bob", 200), ("closed", 403), ("nobody", 404)):
        asked(user, status)
    server.draining = True
    assert asked("bob", 503).get("retry-after") == "5"
    server.draining = False
    call = alice.call("b2bua", sim.uri("b2bua", "bob"))
    call.request("INVITE")
    sim.run(0.1)
    asked("bob", 503)
    call.cancel()


@scenario("RFC 3261 §11.2", "OPTIONS from a source that holds all the calls it may gets 503, as its INVITE would")
def options_of_a_full_source(sim: Simulation) -> None:
    sim.b2bua(sources=Plan(default=Figures(calls=1)))
    alice, _, carol = sim.peer("alice"), sim.peer("bob"), sim.peer("carol")
    call = alice.call("b2bua", sim.uri("b2bua", "bob"))
    call.request("INVITE", body=OFFER)
    sim.run(0.1)
    for peer, status in ((alice, 503), (carol, 200)):
        peer.call("b2bua", sim.uri("b2bua", "bob")).request("OPTIONS")
        peer.expect_response(status, "OPTIONS")
    call.cancel()


@scenario("RFC 3261 §8.2.2.2", "A merged request (the same INVITE by another way) gets 482 and starts no second call")
def merged_request(sim: Simulation) -> None:
    bridge = Bridge(sim)
    bridge.a.request("INVITE", body=OFFER, cseq=1, branch="z9hG4bKanother")
    final = bridge.alice.expect_response(482)
    bridge.a.request("ACK", cseq=1, branch="z9hG4bKanother", contact=False)
    sim.run(0.1)
    assert final.via.branch == "z9hG4bKanother"
    assert len(bridge.bob.arrivals("INVITE")) == 1
    bridge.answer()
    bridge.hangup()


@scenario("RFC 3261 §12.2.2", "A request whose CSeq is lower than the last gets 500, and does not pass")
def cseq_out_of_order(sim: Simulation) -> None:
    bridge = joined(sim)
    bridge.a.request("INFO")
    bridge.b.respond(bridge.bob.expect_request("INFO"), 200)
    bridge.alice.expect(200, "INFO")
    bridge.a.request("INFO", cseq=1)
    bridge.alice.expect(500, "INFO")
    assert len(bridge.bob.arrivals("INFO")) == 1
    bridge.hangup()


@scenario("RFC 3261 §12.2.2", "A request with the right Call-ID and a wrong tag belongs to no dialog: 481")
def wrong_tag(sim: Simulation) -> None:
    bridge = joined(sim)
    right = bridge.a.remote_tag
    bridge.a.remote_tag = "wrong"
    bridge.a.request("BYE")
    bridge.alice.expect(481, "BYE")
    bridge.a.remote_tag = right
    bridge.hangup()


@scenario("RFC 3261 §12.2.2", "In-dialog requests are held to Require as well: 420")
def bad_extension_in_dialog(sim: Simulation) -> None:
    bridge = joined(sim)
    bridge.a.request("INFO", headers={"Require": "foo"})
    assert bridge.alice.expect_response(420, "INFO").get("unsupported") == "foo"
    bridge.hangup()


@scenario("RFC 3261 §8.2.3", "A user agent that takes only SDP answers other bodies with 415; with no application at all, 480")
def unsupported_media_type(sim: Simulation) -> None:
    sim.agent("bob", screening=Screening(any_content=False))
    sim.engine("idle").run()
    alice = sim.peer("alice")
    call = alice.call("bob")
    call.request("INVITE", body=b"<x/>", content_type="text/xml")
    final = alice.expect_response(415)
    assert final.get("accept") == "application/sdp"
    call.ack(final)
    call = alice.call("idle")
    call.request("INVITE", body=OFFER)
    call.ack(alice.expect_response(480))


@scenario("RFC 3581 §4", "Responses go back to where the request came from, and Via says received and rport")
def symmetric_response(sim: Simulation) -> None:
    sim.b2bua()
    alice = sim.peer("alice")
    request = Request("OPTIONS", sim.uri("b2bua"), [
        ("Via", "SIP/2.0/UDP private.invalid:9999;rport;branch=z9hG4bKnat"), ("Max-Forwards", "70"),
        ("From", "<sip:a@private.invalid>;tag=1"), ("To", "<sip:b@example.com>"), ("Call-ID", "nat"), ("CSeq", "1 OPTIONS"),
        ("Content-Length", "0"),
    ])  # fmt: skip
    alice.send(request, "b2bua")
    via = alice.expect_response(200).via
    assert via.params["received"] == alice.address.host
    assert via.params["rport"] == "5060"


@scenario("RFC 3261 §17.2.3", "A peer of RFC 2543 without a branch cookie: its repeated INVITE, ACK and CANCEL still find their transaction")
def peer_of_rfc_2543(sim: Simulation) -> None:
    sim.b2bua()
    alice, bob = sim.peer("alice"), sim.peer("bob")
    call = alice.call("b2bua", sim.uri("b2bua", "bob"))
    invite = call.request("INVITE", body=OFFER, branch="1")
    seen = bob.expect_request("INVITE")
    call.again(invite)
    bob.respond(seen, 180, to_tag="t")
    call.cancel()
    alice.expect(200, "CANCEL")
    call.ack(alice.expect_response(487))
    bob.respond(bob.expect_request("CANCEL"), 200)
    bob.respond(seen, 487, to_tag="t")
    bob.expect("ACK")
    sim.run(1)
    assert len(bob.arrivals("INVITE")) == 1
    assert len(alice.arrivals(487)) == 1


@scenario("RFC 3261 §18.1.2", "Responses that belong to nothing, carry two Vias or are no SIP at all are counted and dropped")
def stray_responses(sim: Simulation) -> None:
    bridge = joined(sim)
    stray = bridge.b.respond(bridge.invite, 200, body=ANSWER)
    bridge.bob.expect("ACK")
    doubled = text(stray).replace("Via:", "Via: SIP/2.0/UDP 10.0.0.77;branch=z9hG4bKzz\r\nVia:", 1)
    bridge.bob.send(doubled, "b2bua")
    bridge.bob.send(text(stray).replace("branch=z9hG4bK", "branch=z9hG4bKzz", 1), "b2bua")
    bridge.bob.send("not SIP at all", "b2bua")
    sim.run(1)
    counters = sim.engines["b2bua"].executor.counters
    assert counters["stray responses"] == 1
    assert counters["malformed"] == 2
    bridge.a.request("ACK", cseq=99, contact=False)
    sim.run(0.1)
    assert counters["stray ACKs"] == 1
    bridge.hangup()
