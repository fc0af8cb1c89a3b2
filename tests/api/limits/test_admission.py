"""What one source may ask for, over real SIP bytes on a virtual clock; the others must not notice."""

from __future__ import annotations

import logging
import tracemalloc
from dataclasses import replace

import pytest

from calltable.adapters.sip.core.admission import Gate
from calltable.adapters.sip.message.message import Request
from calltable.adapters.sip.message.parse import parse
from calltable.adapters.sip.transport.address import Address
from calltable.limits import Figures, Overload, Plan, SourceAdmission, networks
from calltable.limits.account import SourceAccount
from calltable.simulation import Simulation

SMALL = Figures(rate=2, burst=4, early=3, calls=5, transactions=50, strays=5, replies=2)


def world(figures: Figures = SMALL, **plan) -> Simulation:
    sim = Simulation("limits")
    sim.b2bua(sources=Plan(default=figures, **plan), max_calls=100, routes={"busy": 486, "bob": "sip:bob@10.0.0.3", "112": "sip:bob@10.0.0.3"})
    sim.peer("mallory")
    return sim


def ask(sim: Simulation, user: str = "busy", method: str = "INVITE", peer: str = "mallory"):
    call = sim.peers[peer].call("b2bua", sim.uri("b2bua", user))
    call.request(method)
    return call


def statuses(sim: Simulation, peer: str = "mallory") -> list[int]:
    return [message.status for message in sim.peers[peer].inbox if not isinstance(message, Request) and message.status != 100]


def count(sim: Simulation, what: str) -> int:
    return sim.engines["b2bua"].executor.counters[what]


def test_a_burst_passes_and_then_the_rate():
    sim = world()
    for _ in range(7):
        ask(sim, method="OPTIONS")
    sim.run(0.1)
    assert statuses(sim).count(503) == 2, "as many refusals as a source gets in a second"
    assert len(statuses(sim)) == 6
    assert count(sim, "over limit: rate") == 3
    sim.run(1)
    sim.peers["mallory"].inbox.clear()
    for _ in range(3):
        ask(sim, method="OPTIONS")
    sim.run(0.1)
    assert max(statuses(sim)) == 503
    assert statuses(sim).count(503) == 1
    sim.finish()


def test_a_refusal_says_when_to_come_again_and_is_smaller_than_its_request_and_keeps_no_state():
    sim = world()
    for _ in range(4):
        ask(sim, method="OPTIONS")
    sim.run(0.1)
    transactions = len(sim.engines["b2bua"].stack.transactions.servers)
    call = sim.peers["mallory"].call("b2bua")
    sent = call.request("INVITE")
    answer = sim.peers["mallory"].expect_response(503)
    assert answer.get("retry-after") == "5"
    assert len(bytes(answer)) <= len(bytes(sent))
    assert len(sim.engines["b2bua"].stack.transactions.servers) == transactions
    call.again(sent)
    assert bytes(sim.peers["mallory"].expect_response(503)) == bytes(answer), "the same tag, though nothing was kept"
    sim.finish()


def test_a_refusal_that_would_be_larger_than_the_request_is_not_sent():
    sim = world(replace(SMALL, burst=1))
    ask(sim, method="OPTIONS")
    sim.run(0.1)
    sim.peers["mallory"].inbox.clear()
    tiny = "OPTIONS sip:b SIP/2.0\r\nv:SIP/2.0/UDP a;branch=z9hG4bKx;rport\r\nf:<sip:a>;tag=1\r\nt:<sip:b>\r\ni:1\r\nCSeq:1 OPTIONS\r\n\r\n"
    sim.peers["mallory"].send(tiny, "b2bua")
    sim.run(0.1)
    assert not sim.peers["mallory"].inbox
    assert count(sim, "responses withheld") == 1
    sim.finish()


def test_the_others_are_served_meanwhile():
    sim = world()
    sim.peer("alice")
    for _ in range(50):
        ask(sim, method="OPTIONS")
    ask(sim, peer="alice")
    sim.run(0.1)
    assert statuses(sim, "alice") == [486]
    sim.finish()


def test_unanswered_calls_are_bounded_and_an_answer_makes_room():
    sim = world(replace(SMALL, rate=100, burst=100))
    sim.peer("bob")
    calls = [ask(sim, "bob") for _ in range(5)]
    sim.run(0.1)
    invites = [m for m in sim.peers["bob"].inbox if isinstance(m, Request)]
    assert len(invites) == 3
    assert count(sim, "over limit: unanswered calls") == 2
    sim.peers["bob"].respond(invites[0], 486, to_tag="x")
    sim.run(0.1)
    ask(sim, "bob")
    sim.run(0.1)
    assert len([m for m in sim.peers["bob"].inbox if isinstance(m, Request) and m.method == "INVITE"]) == 4
    account = sim.engines["b2bua"].stack.gate.policy.source(sim.addresses["mallory"], 0)
    assert (account.early, account.calls) == (3, 3), "the one that was refused is over"
    assert calls
    for call in calls:
        call.cancel()
    sim.finish()
    assert (account.early, account.calls, account.transactions) == (0, 0, 0)


@pytest.mark.parametrize(("figures", "share", "taken"), [(replace(SMALL, early=100), 0.5, 5), (replace(SMALL, early=100, calls=100), 0.02, 2)])
def test_calls_are_bounded_by_figure_and_by_share(figures: Figures, share: float, taken: int):
    sim = world(replace(figures, rate=100, burst=100), share=share)
    sim.peer("bob")
    for _ in range(8):
        ask(sim, "bob")
    sim.run(0.1)
    assert len([m for m in sim.peers["bob"].inbox if isinstance(m, Request)]) == taken
    assert count(sim, "over limit: calls") == 8 - taken
    sim.finish()


def test_transactions_are_bounded():
    sim = world(replace(SMALL, rate=100, burst=100, transactions=6))
    for _ in range(9):
        ask(sim, method="OPTIONS")
    sim.run(0.1)
    assert count(sim, "over limit: transactions") == 3
    sim.finish()


def test_requests_of_a_running_call_are_never_refused():
    sim = world(replace(SMALL, burst=1))
    sim.peer("bob")
    call = ask(sim, "bob")
    invite = sim.peers["bob"].expect_request("INVITE")
    sim.peers["bob"].respond(invite, 200, to_tag="b", body=b"v=0\r\n")
    call.ack(sim.peers["mallory"].expect_response(200))
    sim.run(0.1)
    for _ in range(30):
        ask(sim)  # all tokens gone, and strays too
        sim.peers["mallory"].send("SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 10.0.0.1:5060;branch=z9hG4bKno\r\nCSeq: 1 BYE\r\n\r\n", "b2bua")
    sim.run(0.1)
    for _ in range(20):
        call.request("INFO")
    sim.run(0.1)
    infos = [m for m in sim.peers["bob"].inbox if isinstance(m, Request) and m.method == "INFO"]
    assert len(infos) == 20
    for info in infos:
        sim.peers["bob"].respond(info, 200)
    call.request("BYE")
    sim.peers["mallory"].expect(200, "BYE")
    sim.peers["bob"].respond(sim.peers["bob"].expect_request("BYE"), 200)
    sim.finish()


@pytest.mark.parametrize("uri", ["sip:112@{}", "urn:service:sos", "urn:service:sos.fire"])
def test_emergency_calls_have_tokens_of_their_own(uri: str):
    sim = world(replace(SMALL, burst=1))
    ask(sim)
    ask(sim)
    sim.run(0.1)
    assert count(sim, "over limit: rate") == 1
    call = sim.peers["mallory"].call("b2bua", uri.format(sim.addresses["b2bua"].hostport))
    call.request("INVITE")
    sim.run(0.1)
    assert count(sim, "over limit: rate") == 1
    sim.finish()


def test_what_belongs_to_nothing_is_dropped_beyond_its_rate():
    sim = world()
    for number in range(30):
        for text in (
            f"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 10.0.0.1:5060;branch=z9hG4bK{number}\r\nCSeq: 1 BYE\r\n\r\n",
            (
                f"BYE sip:x SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.2:5060;branch=z9hG4bK{number}\r\nFrom: <sip:a>;tag=1\r\n"
                f"To: <sip:b>;tag=2\r\nCall-ID: {number}\r\nCSeq: 1 BYE\r\n\r\n"
            ),
            "what?",
        ):
            sim.peers["mallory"].send(text, "b2bua")
    sim.run(0.1)
    assert count(sim, "over limit: strays") == 90 - 10
    assert len(sim.peers["mallory"].inbox) <= 10
    sim.finish()


def test_an_exempt_source_has_no_limits():
    sim = world(sources=((networks(["10.0.0.2"])[0], Figures(exempt=True)),))
    for _ in range(30):
        ask(sim)
    sim.run(0.1)
    assert statuses(sim) == [486] * 30
    sim.finish()


@pytest.mark.slow
def test_what_was_refused_is_told_once_per_source_and_minute(caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.WARNING, "calltable.limits")
    sim = world()
    for _ in range(150):
        for _ in range(10):
            ask(sim, method="OPTIONS")
        sim.run(1)
    assert len(caplog.messages) == 3
    assert "source 10.0.0.2 is over its limit (rate)" in caplog.messages[0]
    told = [int(line.rpartition(" ")[2]) for line in caplog.messages]
    assert told[1] > 400, "a line says what came since the last one"
    sim.finish()


def test_a_source_that_is_not_even_refused_any_more_is_not_read_for_a_moment(monkeypatch: pytest.MonkeyPatch):
    sim = world(replace(SMALL, burst=1))
    read = []
    monkeypatch.setattr("calltable.adapters.sip.core.stack.parse", lambda data, **more: read.append(data) or parse(data, **more))
    for _ in range(50):
        ask(sim, method="OPTIONS")
    sim.run(0.02)
    assert len(read) == 4, "one that passes, two that are refused, and the first that is not"
    assert count(sim, "over limit: rate") == 49
    ask(sim, "112")
    sim.run(0.02)
    assert read[-1].startswith(b"INVITE sip:112@"), "an emergency call is always read"
    sim.run(0.1)
    ask(sim, method="OPTIONS")
    sim.run(0.02)
    assert read[-1].startswith(b"OPTIONS")
    sim.finish()


@pytest.mark.parametrize("start", [
    b"SIP/2.0 200 OK", b"ACK sip:a SIP/2.0", b"CANCEL sip:a SIP/2.0", b"BYE sip:a SIP/2.0\r\nTo: <sip:b>;tag=1", b"BYE sip:a SIP/2.0\r\nt:<sip:b>;TAG=1",
    b"BYE sip:a SIP/2.0\r\nTo: <sip:b>\r\n ;tag=1", b"BYE sip:a SIP/2.0",
])  # fmt: skip
def test_what_may_belong_to_a_call_is_read_however_it_is_written(start: bytes):
    class Spent:
        shut = True

        def spent(self, data: bytes) -> bool:
            return True

        def deaf(self) -> bool:
            return True

    stack = world().engines["b2bua"].stack
    gate = Gate(stack.gate.policy, stack.transactions, stack.legs)
    assert not gate.dismisses(start + b"\r\nCall-ID: 1\r\n\r\n", Spent())
    assert gate.dismisses(b"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP a;branch=z9hG4bKx\r\nCSeq: 1 INVITE\r\n\r\n", Spent())
    assert gate.dismisses(b"INVITE sip:a SIP/2.0\r\nTo: <sip:b>\r\nCall-ID: 1\r\n\r\n", Spent())


def test_new_calls_are_shed_while_the_process_is_late_and_everything_else_goes_on():
    sim = world(replace(SMALL, rate=100, burst=100, early=100), shed=0.5)
    bob, mallory = sim.peer("bob"), sim.peers["mallory"]
    behind = [0.0]
    policy = sim.engines["b2bua"].stack.gate.policy
    policy.overload = Overload(sim.clock, 0.5, lambda: behind[0])
    call = ask(sim, "bob")
    bob.respond(bob.expect_request("INVITE"), 200, to_tag="b", body=b"v=0\r\n")
    call.ack(mallory.expect_response(200))
    behind[0] = 2.0
    ask(sim)
    sim.run(0.2)
    mallory.inbox.clear()
    for method in ("INVITE", "OPTIONS"):
        ask(sim, method=method)
    sim.run(0.1)
    assert statuses(sim) == [503, 503]
    assert count(sim, "over limit: overload") == 2
    mallory.inbox.clear()
    ask(sim, "112")
    assert bob.expect_request("INVITE")
    call.request("BYE")
    mallory.expect(200, "BYE")
    bob.respond(bob.expect_request("BYE"), 200)
    behind[0] = 0.0
    sim.run(1.5)
    mallory.inbox.clear()
    ask(sim)
    sim.run(0.1)
    assert statuses(sim) == [486]
    sim.finish()


# --------------------------------------------------------------------------- the policy alone


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_flood_of_sources_takes_bounded_memory_and_pushes_out_nobody_who_is_known():
    clock = Clock()
    policy = SourceAdmission(Plan(table=100), clock, capacity=100)
    friend = Address("udp", "192.0.2.1", 5060)
    account = policy.source(friend, 500)
    assert account is not None
    account.proved()
    tracemalloc.start()
    for number in range(3_000):
        clock.now = number / 1000
        policy.source(Address("udp", f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}", 5060), 500)
    used = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert len(policy) <= 101
    assert policy.source(friend, 500) is account
    assert used < 1_000_000


def test_a_source_with_open_work_is_not_forgotten():
    policy = SourceAdmission(Plan(table=10), Clock(), capacity=100)
    busy = policy.source(Address("udp", "10.9.9.9", 5060), 500)
    assert busy is not None
    busy.begun(call=True)
    for number in range(100):
        policy.source(Address("udp", f"10.0.0.{number}", 5060), 500)
    assert policy.source(Address("udp", "10.9.9.9", 5060), 500) is busy
    assert len(policy) <= 11


def test_a_reload_gives_accounts_their_new_figures():
    policy = SourceAdmission(Plan(), Clock(), capacity=100)
    account = policy.source(Address("udp", "10.0.0.1", 5060), 500)
    assert isinstance(account, SourceAccount)
    policy.renew(Plan(default=Figures(rate=3)), capacity=50, retry_after=9)
    assert policy.source(Address("udp", "10.0.0.1", 5060), 500) is account
    assert account.figures.rate == 3
    assert policy.capacity == 50


def test_a_reload_takes_effect_at_once_for_a_source_that_had_no_limits():
    free = networks(["10.0.0.1"])[0]
    policy = SourceAdmission(Plan(sources=((free, Figures(exempt=True)),)), Clock(), capacity=100)
    source = Address("udp", "10.0.0.1", 5060)
    for _ in range(3):
        assert policy.source(source, 500) is None
    policy.renew(Plan(default=Figures(rate=3)), capacity=100, retry_after=5)
    account = policy.source(source, 500)
    assert isinstance(account, SourceAccount)
    assert account.figures.rate == 3


def test_the_hosts_without_limits_that_are_remembered_are_bounded():
    policy = SourceAdmission(Plan(default=Figures(exempt=True)), Clock(), capacity=100)
    for number in range(9000):
        address = Address("udp", f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}", 5060)
        for _ in range(2):
            assert policy.source(address, 500) is None
    assert len(policy._exempt) <= 8192


def test_a_flood_of_sources_is_no_flood_of_lines(caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.WARNING, "calltable.limits")
    policy = SourceAdmission(Plan(default=Figures(strays=1)), Clock(), capacity=100)
    for number in range(200):
        account = policy.source(Address("udp", f"10.0.0.{number}", 5060), 500)
        assert account is not None
        for _ in range(5):
            account.stray()
    assert len(caplog.messages) == 20
