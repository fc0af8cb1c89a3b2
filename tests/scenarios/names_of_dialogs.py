"""What names a dialog of one leg of a B2BUA is said in the words of the other leg: REFER ids, Replaces, Join, Target-Dialog, In-Reply-To."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote, unquote

from calltable.adapters.sip.core.bounds import Bounds
from calltable.simulation.rawpeers import RawCall
from tests.scenarios.catalogue import scenario
from tests.scenarios.stories import ANSWER, OFFER, joined, variants

if TYPE_CHECKING:
    from calltable.adapters.sip.message.message import Request
    from calltable.simulation import Simulation
    from calltable.simulation.rawpeers import RawPeer
    from tests.scenarios.stories import Bridge

REFER_TO = {"Refer-To": "<sip:carol@example.com>"}


def notified(event: str) -> dict[str, str]:
    return {"Event": event, "Subscription-State": "active;expires=60"}


@scenario("RFC 3515 §2.4.6", "The id of a refer subscription is the CSeq number of its REFER on each leg, in NOTIFYs and in the SUBSCRIBE that ends it")
def refer_ids_are_translated(sim: Simulation) -> None:
    for side, sub in variants(sim, ("caller refers", "callee refers")):
        bridge = joined(sub)
        here, near, there, far = bridge.a, bridge.alice, bridge.b, bridge.bob
        if side == "callee refers":
            here, near, there, far = bridge.b, bridge.bob, bridge.a, bridge.alice
        near_numbers, far_numbers = [], []
        for _ in range(3):
            here.cseq += 4
            here.request("REFER", headers=REFER_TO)
            refer = far.expect_request("REFER")
            there.respond(refer, 202)
            near.expect(202, "REFER")
            near_numbers.append(here.cseq)
            far_numbers.append(refer.cseq.number)
        assert near_numbers != far_numbers
        for ours, theirs in zip(near_numbers, far_numbers, strict=True):
            there.request("NOTIFY", headers=notified(f"refer;id={theirs}"), body=b"SIP/2.0 100 Trying\r\n", content_type="message/sipfrag")
            notify = near.expect_request("NOTIFY")
            assert notify.get("event") == f"refer;id={ours}"
            here.respond(notify, 200)
            far.expect(200, "NOTIFY")
        here.request("SUBSCRIBE", headers={"Event": f"refer;id={near_numbers[1]}", "Expires": "0"})
        subscribe = far.expect_request("SUBSCRIBE")
        assert subscribe.get("event") == f"refer;id={far_numbers[1]}"
        there.respond(subscribe, 200)
        near.expect(200, "SUBSCRIBE")
        for event in ("refer", "refer;id=999", "dialog;id=1", "refer;id=x"):
            there.request("NOTIFY", headers=notified(event))
            notify = near.expect_request("NOTIFY")
            assert notify.get("event") == event, "what no REFER of this call made passes as it is"
            here.respond(notify, 200)
            far.expect(200, "NOTIFY")
        bridge.hangup()


@scenario("RFC 3515 §2.4.6", "Of many REFERs in one call, the latest are remembered")
def refers_are_bounded(sim: Simulation) -> None:
    bridge = joined(sim)
    for _ in range(Bounds().referred + 4):
        bridge.a.request("REFER", headers=REFER_TO)
        bridge.b.respond(bridge.bob.expect_request("REFER"), 202)
        bridge.alice.expect(202, "REFER")
    leg = next(leg for leg in sim.engines["b2bua"].stack.legs.dialogs.values() if leg.dialogs.referred)
    assert len(leg.dialogs.referred) == Bounds().referred
    bridge.hangup()


def second_call(bridge: Bridge, sim: Simulation) -> tuple[RawCall, RawPeer, RawCall]:
    """Alice's other call, to carol, through the same B2BUA: (her end, carol, carol's end)."""
    carol = sim.peer("carol")
    other = bridge.alice.call("b2bua", sim.uri("b2bua", "carol"))
    other.request("INVITE", body=OFFER)
    invite = carol.expect_request("INVITE")
    end = RawCall.of(carol, invite, "b2bua")
    end.respond(invite, 200, body=ANSWER)
    other.ack(bridge.alice.expect_response(200, "INVITE"))
    carol.expect("ACK")
    sim.run(0.1)
    return other, carol, end


def named(call: RawCall, own: str, peers: str) -> str:
    """The dialog at this end as its peer sees it: its own tag is the remote tag here."""
    return f"{call.call_id};{own}={call.remote_tag};{peers}={call.local_tag}"


def as_recipient(call: RawCall, own: str, peers: str) -> str:
    """The dialog at this end as this end itself sees it."""
    return f"{call.call_id};{own}={call.local_tag};{peers}={call.remote_tag}"


def finish(sim: Simulation, *ends: tuple[RawCall, RawPeer, RawCall, RawPeer]) -> None:
    for here, near, there, far in ends:
        here.request("BYE")
        near.expect(200, "BYE")
        there.respond(far.expect_request("BYE"), 200)
    sim.run(0.1)


@scenario("RFC 3891 §5", "Attended transfer: the Replaces in a Refer-To names, on the other leg, the dialog that carol knows; the INVITE with it reaches her as it is")
def replaces_in_refer_to_is_translated(sim: Simulation) -> None:
    bridge = joined(sim)
    other, carol, end = second_call(bridge, sim)
    replaces = quote(named(other, "to-tag", "from-tag"), safe="")
    bridge.a.request("REFER", headers={"Refer-To": f'"Carol" <sip:carol@10.0.0.1?Replaces={replaces}&Subject=x>'})
    refer = bridge.bob.expect_request("REFER")
    found = refer.get("refer-to") or ""
    assert found.startswith('"Carol" <sip:carol@10.0.0.1?Replaces=')
    assert found.endswith("&Subject=x>")
    said = unquote(found.partition("Replaces=")[2].partition("&")[0])
    assert said == as_recipient(end, "to-tag", "from-tag")
    bridge.b.respond(refer, 202)
    bridge.alice.expect(202, "REFER")
    transferred = bridge.bob.call("b2bua", sim.uri("b2bua", "carol"))
    transferred.request("INVITE", body=OFFER, headers={"Replaces": said, "Require": "replaces"})
    invite = carol.expect_request("INVITE")
    assert (invite.get("replaces"), invite.get("require")) == (said, "replaces")
    new = RawCall.of(carol, invite, "b2bua")
    new.respond(invite, 200, body=ANSWER)
    transferred.ack(bridge.bob.expect_response(200, "INVITE"))
    carol.expect("ACK")
    sim.run(0.1)
    finish(sim, (bridge.a, bridge.alice, bridge.b, bridge.bob), (other, bridge.alice, end, carol), (transferred, bridge.bob, new, carol))


@scenario("RFC 3891 §3, RFC 3911 §4, RFC 4538 §3", "Replaces, Join and Target-Dialog of an INVITE name the far end's dialog where they named the near one; others pass as they are")
def dialogs_in_an_invite_are_translated(sim: Simulation) -> None:
    bridge = joined(sim)
    dave = sim.peer("dave")
    for name, own, peers in (("Replaces", "to-tag", "from-tag"), ("Join", "to-tag", "from-tag"), ("Target-Dialog", "local-tag", "remote-tag")):
        foreign = f"elsewhere@example.com;{own}=1;{peers}=2"
        for value, wanted in ((named(bridge.a, own, peers), as_recipient(bridge.b, own, peers)), (foreign, foreign)):
            call = dave.call("b2bua", sim.uri("b2bua", "bob"))
            call.request("INVITE", body=OFFER, headers={name: value})
            invite = bridge.bob.expect_request("INVITE")
            assert invite.get(name) == wanted
            RawCall.of(bridge.bob, invite, "b2bua").respond(invite, 486)
            bridge.bob.expect("ACK")
            call.ack(dave.expect_response(486))
    bridge.hangup()


@scenario("RFC 3261 §20.21", "In-Reply-To: the Call-IDs of calls that are up here are those of the other leg; others stay on their side")
def in_reply_to_is_translated(sim: Simulation) -> None:
    bridge = joined(sim)
    call = bridge.alice.call("b2bua", sim.uri("b2bua", "bob"))
    call.request("INVITE", body=OFFER, headers={"In-Reply-To": f"x@y, {bridge.a.call_id}"})
    invite: Request = bridge.bob.expect_request("INVITE")
    assert invite.get("in-reply-to") == bridge.b.call_id
    RawCall.of(bridge.bob, invite, "b2bua").respond(invite, 486)
    bridge.bob.expect("ACK")
    call.ack(bridge.alice.expect_response(486))
    bridge.hangup()
