"""Routes: what a target becomes, for every kind of Request-URI."""

from __future__ import annotations

import pytest

from calltable.adapters.sip.message.uri import parse_uri
from calltable.b2bua.routes import Route, Router, target
from calltable.simulation import Simulation


@pytest.mark.parametrize(
    ("template", "uri", "filled"),
    [
        ("sip:10.0.0.1:5070", "sip:bob@a", "sip:bob@10.0.0.1:5070"),
        ("sip:{user}@10.0.0.1", "sip:bob:secret@a", "sip:bob@10.0.0.1"),
        ("sip:9{user}@10.0.0.1", "sip:bob@a", "sip:9bob@10.0.0.1"),
        ("sip:front@10.0.0.1;transport=tcp", "sip:bob@a", "sip:front@10.0.0.1;transport=tcp"),
        ("sip:{user}@{who}", "sip:bob@a", "sip:bob@blue"),
        # nobody was dialled
        ("sip:10.0.0.1", "sip:a", "sip:10.0.0.1"),
        ("sip:{user}@10.0.0.1:5070", "sip:a", "sip:10.0.0.1:5070"),
        ("sip:{user}:{user}@10.0.0.1", "sip:a", "sip:10.0.0.1"),
        ("sip:9{user}@10.0.0.1", "sip:a", "sip:9@10.0.0.1"),
        ("sip:{nobody}@10.0.0.1", "sip:bob@a", "sip:bob@10.0.0.1"),
        # a number: RFC 3261 §19.1.6
        ("sip:10.0.0.1", "tel:+15551234", "sip:+15551234@10.0.0.1;user=phone"),
        ("sip:{user}@10.0.0.1:5070;lr", "tel:+1-555-1234", "sip:+1-555-1234@10.0.0.1:5070;lr;user=phone"),
        ("sip:10.0.0.1?Subject=x", "tel:112", "sip:112@10.0.0.1;user=phone?Subject=x"),
        ("sip:10.0.0.1;user=dialstring", "tel:112", "sip:112@10.0.0.1;user=dialstring"),
        ("sip:gate@10.0.0.1", "tel:112", "sip:gate@10.0.0.1"),
        ("sip:9{user}@10.0.0.1", "tel:112", "sip:9112@10.0.0.1"),
        (
            "sip:10.0.0.1", "tel:+358-555-1234567;phone-context=Example.COM;Later;PostD=pp22;isub=1411",
            "sip:+358-555-1234567;isub=1411;postd=pp22;later;phone-context=example.com@10.0.0.1;user=phone",
        ),
        ("sip:10.0.0.1", "tel:*21#;phone-context=a:b@c%40", "sip:*21%23;phone-context=a%3Ab%40c%40@10.0.0.1;user=phone"),
    ],
)  # fmt: skip
def test_a_target_is_filled_from_what_was_dialled(template, uri, filled):
    assert target(template, uri, {"who": "blue", "nobody": ""}) == filled
    parse_uri(filled)


@pytest.mark.parametrize(
    ("dialled", "template", "called"),
    [
        ("tel:+15551234;phone-context=x", "sip:10.0.0.9:5060", "sip:+15551234;phone-context=x@10.0.0.9:5060;user=phone"),
        ("tel:+15551234", "sip:{user}@10.0.0.9:5060", "sip:+15551234@10.0.0.9:5060;user=phone"),
        ("sip:b2bua.example.com", "sip:{user}@10.0.0.9:5060", "sip:10.0.0.9:5060"),
    ],
)
def test_a_number_or_nobody_reaches_the_callee(dialled, template, called):
    sim = Simulation(3)
    sim.b2bua().router = Router([Route(target=template)])
    alice, bob = sim.peer("alice"), sim.peer("bob", "udp:10.0.0.9:5060")
    call = alice.call("b2bua", dialled)
    call.request("INVITE")
    invite = bob.expect_request("INVITE")
    assert invite.uri == called
    bob.respond(invite, 486, to_tag="b")
    call.ack(alice.expect_response(486))
    sim.finish()
