"""Routes: what a target becomes, and that what strangers write can neither stall the server nor choose where a call goes."""

from __future__ import annotations

import time

import pytest

from calltable.adapters.sip.message.message import Request
from calltable.adapters.sip.message.uri import parse_uri
from calltable.b2bua.b2bua import B2BUA
from calltable.b2bua.patterns import Pattern, PatternError
from calltable.b2bua.routes import Route, RouteError, Router
from calltable.b2bua.target import Groups, Template
from calltable.simulation import Simulation


def invite(uri="sip:bob@a", **headers):
    return Request("INVITE", uri, [(name.replace("_", "-"), value) for name, value in headers.items()])


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
        ("sip:10.0.0.1?Subject=x", "tel:112", "sip:112@10.0.0.1;user=phone"),
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
    assert Template(template).fill(uri, Groups({"who": "blue", "nobody": ""}))[0] == filled
    parse_uri(filled)


# --------------------------------------------------------------------------- time


@pytest.mark.parametrize("pattern", ["^(.*)(.*)x$", "(a*)*b", "^sip:(a+)+@", "(a|aa)+$", ".*.*=.*"])
def test_no_pattern_takes_long_whatever_the_text(pattern):
    """Python's re takes more than a minute for each of these."""
    route = Route(header=("X-Long", pattern), target="sip:10.0.0.1")
    request = invite(X_Long="a" * 16_000 + "!")
    before = time.process_time()
    route.match(request, None)
    assert time.process_time() - before < 0.2


@pytest.mark.parametrize(
    ("pattern", "told"),
    [
        ("(?=x)", "look-ahead '(?=' is not supported"),
        ("(?<!x)y", "look-behind '(?<!' is not supported"),
        (r"(a)\1", r"the backreference \1 is not supported"),
        (r"x\Z", "invalid escape sequence"),
        ("(", "missing )"),
        ("a{5000}", "invalid repetition size"),
    ],
)
def test_a_pattern_that_needs_backtracking_is_refused_in_words(pattern, told):
    with pytest.raises(PatternError) as caught:
        Pattern(pattern)
    assert told in str(caught.value)


def test_a_pattern_matches_text_that_is_not_utf_8():
    assert Pattern("^(?P<all>.*)$").search("a\udcffz") == {"all": "a\ufffdz"}
    assert Pattern("^(?P<one>ü)|(?P<none>x)").search("ü") == {"one": "ü", "none": ""}


# --------------------------------------------------------------------------- what a group may fill


WHO = "(?P<who>.*)"


@pytest.mark.parametrize(
    ("target", "value", "uri"),
    [
        # the user part: escaped, RFC 3261 §19.1.2
        ("sip:{who}@10.0.0.1", "bob", "sip:bob@10.0.0.1"),
        ("sip:{who}@10.0.0.1", "a@evil.example:99;x", "sip:a%40evil.example%3A99;x@10.0.0.1"),
        ("sip:{who}@10.0.0.1", "50%40 <x>", "sip:50%2540%20%3Cx%3E@10.0.0.1"),
        ("sip:{who}:pass@10.0.0.1", "a:b", "sip:a%3Ab:pass@10.0.0.1"),
        # the host: a host and nothing else
        ("sip:{who}", "blue.example.com", "sip:bob@blue.example.com"),
        ("sip:{who}", "[2001:db8::1]", "sip:bob@[2001:db8::1]"),
        ("sip:{who}", "127.0.0.1:24430;x=", None),
        ("sip:{who}.example.com", "evil.example#", None),
        ("sip:{who}.example.com", "evil.example;x=", None),
        ("sip:{who}.example.com", "a@evil.example", None),
        ("sip:{who}.example.com", "[::1]", None),
        ("sip:{who}", "", None),
        ("sip:10.0.0.1:{who}", "5070", "sip:bob@10.0.0.1:5070"),
        ("sip:10.0.0.1:{who}", "70000", None),
        ("sip:10.0.0.1:{who}", "5070;lr", None),
        # a parameter
        ("sip:10.0.0.1;tgrp={who}", "a;transport=tcp", "sip:bob@10.0.0.1;tgrp=a%3Btransport%3Dtcp"),
    ],
)
def test_a_group_cannot_change_what_the_rest_of_a_target_means(target, value, uri):
    router = Router([Route(header=("X-Who", f"^{WHO}$"), target=target)])
    found = router.find(invite(X_Who=value))
    assert found.target == uri
    assert found.reject == 404


def test_a_group_of_a_uri_keeps_its_escapes():
    router = Router([Route(uri=r"^sip:(?P<who>[^@]*)@", target="sip:{who}@10.0.0.1;x={who}")])
    assert router.find(invite("sip:a%40b@h")).target == "sip:a%40b@10.0.0.1;x=a%40b"


def test_two_patterns_may_not_have_the_same_group():
    with pytest.raises(RouteError, match="has a group who, as the uri pattern"):
        Route(uri=WHO, header=("X-A", WHO), target="sip:a")


# --------------------------------------------------------------------------- header fields


def test_header_fields_of_a_target_are_set_on_the_invite_and_stand_in_no_uri():
    """RFC 3261 §19.1.1, table 1: no headers in a Request-URI nor To; §19.1.5: they become header fields."""
    sim = Simulation(3)
    sim.b2bua().router = Router([Route(header=("X-Who", WHO), target="sip:10.0.0.9?X-Tenant={who}&Subject=for%20you&X-Other=1")])
    alice, bob = sim.peer("alice"), sim.peer("bob", "udp:10.0.0.9:5060")
    call = alice.call("b2bua", "sip:bob@a")
    call.request("INVITE", headers={"X-Who": "acme%0d%0aX-Evil: 1", "X-Tenant": "forged", "X-Kept": "2"})
    sent = bob.expect_request("INVITE")
    assert sent.uri == "sip:bob@10.0.0.9"
    assert sent.to.uri == "sip:bob@10.0.0.9"
    assert sent.all("x-tenant") == ["acme%0d%0aX-Evil: 1"]
    assert (sent.get("subject"), sent.get("x-other"), sent.get("x-kept"), sent.get("x-evil")) == ("for you", "1", "2", None)
    bob.respond(sent, 486, to_tag="b")
    call.ack(alice.expect_response(486))
    sim.finish()


@pytest.mark.parametrize("name", ["Via", "From", "f", "Route", "Call-ID", "CSeq", "Contact", "Content-Type", "body", "a%0d%0ab"])
def test_a_route_that_sets_what_no_route_may_set_is_refused(name):
    """RFC 3261 §19.1.5."""
    with pytest.raises(RouteError, match="may not set the header field") as caught:
        Route(target=f"sip:10.0.0.1?{name}=x")
    assert "Subject" in caught.value.hint


def test_a_header_value_with_a_line_end_is_refused():
    with pytest.raises(RouteError, match="holds a control character"):
        Route(target="sip:10.0.0.1?Subject=a%0d%0aX:b")


# --------------------------------------------------------------------------- routers


@pytest.mark.parametrize(("answer", "status"), [(486, 486), ("sip:bob@10.0.0.9", 180)])
def test_any_object_with_find_is_a_router(answer, status):
    class Mine:
        def find(self, request, source):
            return answer

    sim = Simulation(3)
    sim.b2bua().router = Mine()
    alice, bob = sim.peer("alice"), sim.peer("bob", "udp:10.0.0.9:5060")
    call = alice.call("b2bua", "sip:bob@a")
    call.request("INVITE")
    if status == 180:
        sent = bob.expect_request("INVITE")
        bob.respond(sent, 180, to_tag="b")
        alice.expect_response(180)
        bob.respond(sent, 486, to_tag="b")
    call.ack(alice.expect_response(486))
    sim.finish()


def test_what_is_no_router_is_refused_at_once():
    with pytest.raises(TypeError, match=r"it has no method find\(request, source\)"):
        B2BUA(Simulation(1).engine("x", "udp:10.0.0.1:5060"), {"bob": "sip:a"})


# --------------------------------------------------------------------------- numbers


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
