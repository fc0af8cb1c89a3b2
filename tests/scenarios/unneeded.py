"""A header field that does not apply to a message, or that nobody needs there, never costs a call, however it reads."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.scenarios.catalogue import scenario
from tests.scenarios.stories import ANSWER, OTHER, Bridge, joined, variants

if TYPE_CHECKING:
    from calltable.simulation import Simulation

ODD = (
    ("Contact", ""), ("Contact", "<sip:alice@>"), ("m", "<sip:a@192.0.2.1;x=1;x=2>"), ("Contact", "<sip:a@>, *"),
    ("Record-Route", ""), ("Record-Route", "<sip:proxy@"), ("Supported", ",outbound"), ("Date", "soon"), ("Expires", "never"),
    ("Session-Expires", "x"), ("Route", "<sip:>"),
)  # fmt: skip

GOOD = {
    "Via": "SIP/2.0/UDP 10.0.0.2:5060;branch=z9hG4bKx", "Contact": "<sip:alice@10.0.0.2>",
    "Record-Route": "<sip:10.0.0.2;lr>",
}  # fmt: skip
INVITE = (
    "INVITE sip:bob@10.0.0.1 SIP/2.0\r\n" + "".join(f"{name}: {value}\r\n" for name, value in GOOD.items())
    + "Max-Forwards: 70\r\nFrom: <sip:alice@10.0.0.2>;tag=1\r\nTo: <sip:bob@10.0.0.1>\r\nCall-ID: empty\r\n"
    "CSeq: 1 INVITE\r\nContent-Length: 0\r\n\r\n"
)  # fmt: skip


@scenario("RFC 3261 §20", "A BYE with a field that has no place there, and malformed as well: the call ends all the same")
def odd_fields_in_a_bye(sim: Simulation) -> None:
    for odd, sub in variants(sim, ODD):
        bridge = joined(sub)
        bridge.a.request("BYE", headers=[odd])
        bridge.alice.expect(200, "BYE")
        bridge.bob_gets_bye()


@scenario("RFC 3261 §20", "An ACK with an odd field: taken, the 200 is not repeated")
def odd_fields_in_an_ack(sim: Simulation) -> None:
    for odd, sub in variants(sim, ODD):
        bridge = Bridge(sub)
        bridge.b.respond(bridge.invite, 200, body=ANSWER)
        bridge.a.ack(bridge.alice.expect_response(200, "INVITE"), headers=[odd])
        bridge.bob.expect("ACK")
        sub.run(2)
        assert len(bridge.alice.arrivals(200, "INVITE")) == 1
        bridge.hangup()


@scenario("RFC 3261 §20", "A CANCEL with an odd field: the call is cancelled")
def odd_fields_in_a_cancel(sim: Simulation) -> None:
    for odd, sub in variants(sim, ODD):
        bridge = Bridge(sub)
        bridge.ring()
        bridge.a.cancel(headers=[odd])
        bridge.alice.expect(200, "CANCEL")
        bridge.a.ack(bridge.alice.expect_response(487, "INVITE"))
        bridge.b.respond(bridge.bob.expect_request("CANCEL"), 200)
        bridge.b.respond(bridge.invite, 487)
        bridge.bob.expect("ACK")


@scenario("RFC 3261 §20", "A failure with an odd field: the caller hears it at once; a redirection loses only the contacts that cannot be read", slow=True)
def odd_fields_in_a_failure(sim: Simulation) -> None:
    for (code, odd), sub in variants(sim, [(code, odd) for code in (486, 302, 485) for odd in ODD]):
        bridge = Bridge(sub)
        bridge.b.respond(bridge.invite, code, headers=[odd])
        bridge.bob.expect("ACK")
        final = bridge.alice.expect_response(code, "INVITE", within=1)
        assert final.all("contact") == []
        bridge.a.ack(final)


@scenario("RFC 3261 §20", "A 180 with an odd field rings, and a request to the callee goes where the INVITE went")
def odd_fields_in_a_180(sim: Simulation) -> None:
    for odd, sub in variants(sim, ODD):
        bridge = Bridge(sub)
        bridge.b.respond(bridge.invite, 180, headers=[odd], contact=False)
        bridge.a.learn(bridge.alice.expect_response(180))
        bridge.a.request("INFO")
        bridge.b.respond(bridge.bob.expect_request("INFO"), 200)
        bridge.alice.expect(200, "INFO")
        bridge.answer()
        bridge.hangup()


@scenario("RFC 3261 §20", "The 200 to an INFO, with an odd field: the INFO has succeeded, and the target stays")
def odd_fields_in_a_200_to_info(sim: Simulation) -> None:
    for odd, sub in variants(sim, ODD):
        bridge = joined(sub)
        bridge.a.request("INFO")
        bridge.b.respond(bridge.bob.expect_request("INFO"), 200, headers=[odd])
        bridge.alice.expect(200, "INFO")
        bridge.hangup()


@scenario("RFC 3261 §13.2.2.4", "The 200 to an INVITE with a Contact that cannot be read: the call is up, the ACK goes where the INVITE went", slow=True)
def odd_fields_in_a_200(sim: Simulation) -> None:
    for (again, odd), sub in variants(sim, [(again, odd) for again in (False, True) for odd in ODD]):
        bridge = joined(sub) if again else Bridge(sub)
        invite = bridge.invite
        if again:
            bridge.a.request("INVITE", body=OTHER)
            invite = bridge.bob.expect_request("INVITE")
        bridge.b.respond(invite, 200, body=ANSWER, headers=[odd], contact=False)
        bridge.a.ack(bridge.alice.expect_response(200, "INVITE"))
        bridge.bob.expect("ACK", within=1)
        sub.run(0.1)
        bridge.hangup()


@scenario("RFC 3261 §8.2.2", "An INVITE with a malformed Date, Expires or Route, or two of them: nobody here needs them, the call goes on")
def odd_fields_in_an_invite(sim: Simulation) -> None:
    single = ("Date", "Expires", "Route", "Retry-After", "Supported")
    for odd, sub in variants(sim, [odd for odd in ODD if odd[0] in single]):
        bridge = Bridge(sub, headers=[odd, odd])
        bridge.ring()
        bridge.answer()
        bridge.hangup()


@scenario("RFC 3261 §7.3.1", "A field that may stand once and stands twice where nobody needs it passes once; a doubled Content-Type gets a re-INVITE refused")
def repeated_fields_pass_once(sim: Simulation) -> None:
    twice = [("Session-Expires", "1800"), ("x", "90"), ("Date", "soon"), ("Date", "late"), ("Content-Type", "application/sdp")]
    bridge = Bridge(sim)
    bridge.b.respond(bridge.invite, 200, body=ANSWER, headers=twice)
    answer = bridge.alice.expect_response(200, "INVITE")
    assert [answer.all(name) for name in ("session-expires", "date", "content-type")] == [["1800"], ["soon"], ["application/sdp"]]
    bridge.a.ack(answer)
    bridge.bob.expect("ACK")
    sim.run(0.1)
    bridge.a.request("INVITE", body=OTHER, headers=twice)
    bridge.a.ack(bridge.alice.expect_response(400, "INVITE"))
    bridge.hangup()


@scenario("RFC 4475 §3.1.2.1", "An empty Contact, Record-Route or Via line before a good one: 400 for an INVITE, and nothing is left behind")
def empty_lines_in_an_invite(sim: Simulation) -> None:
    for name, sub in variants(sim, ("Contact", "Record-Route", "Via")):
        sub.b2bua()
        alice = sub.peer("alice")
        line = f"{name}: {GOOD[name]}\r\n"
        alice.send(INVITE.replace(line, f"{name}: \r\n{line}"), "b2bua")
        refused = alice.expect_response(400, "INVITE", within=1)
        assert name.lower() in refused.reason.lower()
        assert refused.all("via") == [GOOD["Via"]]
