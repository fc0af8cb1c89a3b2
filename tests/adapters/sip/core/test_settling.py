"""Whatever raises, and wherever: the peer gets its final response, its ACK, its BYE, and nothing stays behind."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from calltable.adapters.sip.core.screening import Screening
from calltable.adapters.sip.message.errors import HeaderError
from calltable.simulation import Simulation
from calltable.simulation.rawpeers import RawCall
from tests.scenarios.stories import ANSWER, OFFER, Bridge

if TYPE_CHECKING:
    from collections.abc import Callable

    from calltable.engine.run.executor import Executor


class Broken:
    """A store that fails at what ``when`` says: of a creation the machine, of a commit its row."""

    def __init__(self, executor: Executor) -> None:
        self.kept: dict[int, None] = {}
        self.when: Callable[[str], bool] = lambda name: False
        executor._keeps, executor._store, executor.store = True, self, self

    def create(self, record: Any, done: Any) -> bool:
        if self.when(record.machine):
            raise RuntimeError("no room")
        self.kept[record.key] = None
        return True

    def commit(self, commit: Any, done: Any) -> bool:
        if self.when(commit.receipt.row) or any(self.when(child.machine) for child in commit.created):
            raise RuntimeError("no room")
        self.kept.update({child.key: None for child in commit.created})
        return True

    def remove(self, key: int) -> None:
        self.kept.pop(key, None)

    def load(self) -> Any:
        return iter(self.kept.items())


def breakable(sim: Simulation) -> Broken:
    """Give the B2BUA of a simulation such a store, before it has any session."""
    return Broken(sim.engines["b2bua"].executor)


def finish(sim: Simulation) -> None:
    """The failure is counted, and nothing else is amiss."""
    counters = sim.engines["b2bua"].executor.counters
    assert counters["requests failed"] + counters["sessions failed"] + counters["commits failed"] + counters["effects failed"]
    for one in ("sessions failed", "commits failed", "effects failed", "conflicts", "unhandled"):
        counters[one] = 0
    sim.finish()


@pytest.mark.parametrize(("error", "status"), [(HeaderError("Malformed Contact"), 400), (IndexError("list index out of range"), 500)])
@pytest.mark.parametrize("method", ["INVITE", "OPTIONS", "REGISTER"])
def test_an_error_before_any_session_is_a_final_response(error: Exception, status: int, method: str):
    """RFC 3261 §8.2.7, §17.2: a server transaction without a user would wait for ever."""

    class Faulty(Screening):
        def outside(self, request: Any) -> Any:
            raise error

    sim = Simulation(1)
    sim.b2bua(screening=Faulty())
    alice = sim.peer("alice")
    call = alice.call("b2bua")
    call.request(method)
    final = alice.expect_response(status, method)
    assert final.to_tag
    if method == "INVITE":
        call.ack(final)
    sim.finish()


@pytest.mark.parametrize("where", ["b2bua/bridge", "leg/uas", "leg/uac", "bridge.start", "uas.start", "uac.start", "bridge.routing.target"])
def test_a_store_that_fails_while_a_call_begins_costs_the_call_and_answers_it(where: str):
    sim = Simulation(1)
    sim.b2bua()
    breakable(sim).when = lambda name: name == where
    alice, bob = sim.peer("alice"), sim.peer("bob")
    call = alice.call("b2bua", sim.uri("b2bua", "bob"))
    call.request("INVITE", body=OFFER)
    sim.until(lambda: any(m.status >= 400 for _, m in alice.times if hasattr(m, "status")), within=1)
    call.ack(alice.times[-1][1])
    for invite in [m for m in bob.inbox if m.method == "INVITE"]:
        bob.respond(invite, 100)
        bob.respond(bob.expect_request("CANCEL"), 200, to_tag="x")
        bob.respond(invite, 487, to_tag="x")
        bob.expect("ACK")
    finish(sim)


@pytest.mark.parametrize("where", ["uac.unanswered.success", "bridge.unanswered.answered", "uas.waiting.answer"])
def test_a_store_that_fails_at_the_200_acknowledges_and_hangs_up(where: str):
    """RFC 3261 §13.2.2.4: a 2xx is acknowledged whatever happens."""
    sim = Simulation(1)
    bridge = Bridge(sim, prepare=breakable)
    store = bridge.server.engine.executor.store
    bridge.ring()
    store.when = lambda name: name == where
    bridge.b.respond(bridge.invite, 200, body=ANSWER)
    bridge.bob.expect("ACK")
    bridge.bob_gets_bye()
    sim.run(0.1)
    final = next(m for _, m in reversed(bridge.alice.times) if m.cseq.method == "INVITE")
    assert final.status >= 400
    bridge.a.ack(final)
    finish(sim)


@pytest.mark.parametrize("method", ["BYE", "INFO", "INVITE"])
def test_a_request_in_a_dialog_whose_row_cannot_be_kept_is_answered(method: str):
    sim = Simulation(1)
    bridge = Bridge(sim, prepare=breakable)
    store = bridge.server.engine.executor.store
    bridge.ring()
    bridge.answer()
    rows = {"BYE": "leg.quiet.bye", "INFO": "leg.confirmed.request", "INVITE": "leg.active.invite"}
    store.when = lambda name: name == rows[method]
    bridge.a.request(method)
    sim.run(0.1)
    final = next(m for _, m in bridge.alice.times if m.cseq == (2, method) and getattr(m, "status", 0) >= 200)
    assert final.status in ((200,) if method == "BYE" else (481, 500))
    if method == "INVITE":
        bridge.a.ack(final)
    bridge.bob_gets_bye()
    sim.run(0.1)
    for bye in [m for m in bridge.alice.inbox if getattr(m, "method", "") == "BYE"]:
        bridge.a.respond(bye, 200)
    finish(sim)


def test_a_cancel_whose_row_cannot_be_kept_is_answered():
    sim = Simulation(1)
    bridge = Bridge(sim, prepare=breakable)
    store = bridge.server.engine.executor.store
    bridge.ring()
    store.when = lambda name: name == "uas.waiting.cancel"
    bridge.a.cancel()
    bridge.alice.expect(200, "CANCEL")
    final = next(m for _, m in bridge.alice.times if getattr(m, "status", 0) >= 300)
    bridge.a.ack(final)
    bridge.b.respond(bridge.bob.expect_request("CANCEL"), 200)
    bridge.b.respond(bridge.invite, 487)
    bridge.bob.expect("ACK")
    finish(sim)


@pytest.mark.parametrize("method", ["INVITE", "OPTIONS"])
def test_a_server_transaction_that_fails_says_so_itself(method: str):
    sim = Simulation(1)
    sim.b2bua()
    executor = sim.engines["b2bua"].executor

    def fails(session: Any, parameters: Any) -> None:
        raise RuntimeError("a test")

    executor.handlers["sip.trying" if method == "INVITE" else "timer.start"], kept = fails, executor.handlers["timer.start"]
    alice = sim.peer("alice")
    call = alice.call("b2bua", sim.uri("b2bua", "nobody"))
    call.request(method)
    alice.expect(500, method)
    executor.handlers["timer.start"] = kept
    finish(sim)


def test_an_error_in_what_hears_a_2xx_acknowledges_and_hangs_up():
    """The codec refuses a header of the 200 that nobody has looked at before: the callee must not wait for its ACK."""
    sim = Simulation(1)
    alice, bob = sim.agent("alice"), sim.peer("bob")
    call = alice.call(sim.uri("bob"))
    invite = bob.expect_request("INVITE")
    dialog = RawCall.of(bob, invite, "alice")
    dialog.respond(invite, 180)
    sim.run(0.1)
    leg = sim.engines["alice"].stack.legs.index.legs[f"{invite.call_id}|{invite.from_tag}"].session

    class Faulty(type(leg.value)):
        def answered(self, response: Any) -> Any:
            raise IndexError("list index out of range")

    leg.value = Faulty(*leg.value)
    dialog.respond(invite, 200, body=ANSWER)
    bob.expect("ACK")
    dialog.respond(bob.expect_request("BYE"), 200)
    sim.run(0.1)
    assert call.ended
    assert alice.engine.executor.counters.pop("sessions failed") == 1
    sim.finish()
