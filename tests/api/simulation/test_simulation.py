"""The simulator: one seed is one trace, scripts happen exactly, and what is left over is found and told."""

from __future__ import annotations

from pathlib import Path

import pytest

from calltable.assembly import Refused
from calltable.loading import Tables
from calltable.observe.entry import dump
from calltable.simulation import Simulation, SimulationError
from calltable.simulation.crowd import Mix, crowd

pytest_plugins = ["pytester"]

BAD = Mix(loss=0.1, duplicate=0.05, reorder=0.1)


def a_call(seed: int, **options: float) -> Simulation:
    sim = Simulation(seed, delay=(0.001, 0.03), **options)
    sim.b2bua()
    alice, bob = sim.agent("alice"), sim.agent("bob")
    bob.incoming_call = lambda call: call.answer()
    call = alice.call(sim.uri("b2bua", "bob"))
    sim.run(5)
    if not call.ended:
        call.hangup()
    sim.finish(hangup=True)
    return sim


def test_one_seed_gives_one_trace_to_the_byte():
    first, second = (a_call(7, loss=0.2, duplicate=0.2, reorder=0.2) for _ in range(2))
    assert [(p.sent, p.delivered, p.fate, p.data) for p in first.network.log] == [
        (p.sent, p.delivered, p.fate, p.data) for p in second.network.log
    ]
    assert "\n".join(map(dump, first.trace())) == "\n".join(map(dump, second.trace()))


def test_another_seed_gives_another_trace():
    assert a_call(7).story() != a_call(8).story()


def test_looking_closely_changes_nothing():
    """A batch that fails is run again with a trace: it has to be the same batch."""
    plain, watched = crowd(40, 3, BAD), crowd(40, 3, BAD, coverage=True)
    assert (plain.outcomes, plain.commands, plain.agreed) == (watched.outcomes, watched.commands, watched.agreed)
    assert watched.rows


def test_lost_messages_are_marked_in_the_trace():
    sim = Simulation(1)
    alice, bob = sim.agent("alice"), sim.agent("bob")
    sim.network.drop_next(lambda data, _, __: data.startswith(b"SIP/2.0 100"))
    alice.call(sim.uri("bob"))
    sim.run(0.1)
    bob.last.reject(486)
    sim.finish()
    lost = [entry for entry in sim.trace() if entry.lost]
    assert [entry.summary for entry in lost] == ["100 Trying"]


def test_a_raw_peer_says_and_expects_exactly_what_the_test_wants():
    sim = Simulation(1)
    sim.agent("bob")
    alice = sim.peer("alice")
    alice.send("OPTIONS sip:bob@10.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.2;branch=z9hG4bK1\r\nFrom: <sip:a@b>;tag=1\r\n"
               "To: <sip:b@c>\r\nCall-ID: x\r\nCSeq: 1 OPTIONS\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n", "bob")  # fmt: skip
    assert alice.expect_response(200, "OPTIONS").call_id == "x"
    assert alice.garbage == []
    with pytest.raises(SimulationError, match=r"did not come within 2 s(?s:.*)OPTIONS sip:bob"):
        alice.expect("BYE", within=2)
    sim.finish()


def test_what_is_left_over_is_named_with_the_seed_and_the_messages():
    sim = Simulation("a seed")
    alice, bob = sim.agent("alice"), sim.agent("bob")
    bob.incoming_call = lambda call: call.answer()
    alice.call(sim.uri("bob"))
    with pytest.raises(SimulationError) as caught:
        sim.finish()
    text = str(caught.value)
    assert "seed 'a seed'" in text
    assert "alice: <leg/uac alice.leg in active> is still there" in text
    assert "bob: dialog " in text
    assert "INVITE sip:bob@10.0.0.2:5060" in text


def test_an_event_that_no_row_takes_is_a_finding():
    sim = Simulation(1)
    alice, bob = sim.agent("alice"), sim.agent("bob")
    call = alice.call(sim.uri("bob"))
    sim.run(0.1)
    assert alice.engine.executor.dispatch(call.session, "sip.nonsense").kind == "unhandled"
    bob.last.reject(486)
    with pytest.raises(SimulationError, match="alice: unhandled: 1"):
        sim.finish()


def test_a_refused_command_raises_and_nothing_happens():
    sim = Simulation(1)
    alice, bob = sim.agent("alice"), sim.agent("bob")
    call = alice.call(sim.uri("bob"))
    with pytest.raises(Refused, match=r"user\.reinvite refused in state calling"):
        call.reinvite()
    assert call.state == "calling"
    call.hangup()
    sim.run(1)
    with pytest.raises(Refused, match=r"user\.hangup refused in state terminated"):
        call.hangup()
    assert bob.last.ended
    sim.finish()


def test_names_are_unique_and_unknown_ones_are_told():
    sim = Simulation(1)
    sim.agent("alice")
    with pytest.raises(ValueError, match="there is a node alice already"):
        sim.peer("alice")
    with pytest.raises(LookupError):
        sim.uri("bob")


@pytest.mark.slow
def test_the_fixtures_of_the_plugin(pytester: pytest.Pytester):
    pytester.makeconftest('pytest_plugins = ["calltable.testing"]')
    pytester.makepyfile("""
        import pytest

        def test_a_busy_callee_frees_the_caller(simulation):
            simulation.b2bua()
            alice, bob = simulation.agent("alice"), simulation.agent("bob")
            bob.incoming_call = lambda call: call.reject(486)
            call = alice.call(simulation.uri("b2bua", "bob"))
            simulation.finish()
            assert call.last("failed").fields["code"] == 486
            with pytest.raises(LookupError, match="has not heard answered; it heard failed"):
                call.last("answered")

        @pytest.mark.simulate(seed="five", loss=0.3)
        def test_arguments(simulation):
            assert (simulation.seed, simulation.network.profile.loss) == ("five", 0.3)

        @pytest.mark.simulate(seed="leaky")
        def test_leftovers(simulation):
            alice, bob = simulation.agent("alice"), simulation.agent("bob")
            bob.incoming_call = lambda call: call.answer()
            alice.call(simulation.uri("bob"))

        def test_a_failure_of_its_own(simulation):
            simulation.agent("alice").call("sip:x@10.0.0.9")
            assert simulation.seed == "another"
    """)
    result = pytester.runpytest("--strict-markers", "-p", "no:cacheprovider")
    result.assert_outcomes(passed=3, failed=1, errors=1)
    result.stdout.fnmatch_lines(["*SimulationError: seed 'leaky'*", "*leg/uac alice.leg in active> is still there*"])


# --------------------------------------------------------------------------- random calls


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("mix", [Mix(), BAD, Mix(loss=0.3, delay=(0.01, 0.9), reorder=0.3), Mix(tcp=1.0)],
                         ids=["good", "bad", "awful", "tcp"])  # fmt: skip
def test_random_calls_end_and_agree_and_leave_nothing(mix: Mix, seed: int):
    report = crowd(60, f"test {seed}", mix)
    assert not report.failure, f"{report.failed_call}: {report.failure}"
    assert report.calls == 60
    assert report.confirmed > 20
    assert report.agreed > 10


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> Tables:
    """Tables that pass every check and are wrong: a re-INVITE that was accepted is refused to the side that asked."""
    overlay: Path = tmp_path_factory.mktemp("overlay") / "broken.yaml"
    overlay.write_text("""
calltable: 1
overlay: b2bua/bridge
doc: wrong on purpose
replace:
  - id: bridge.b.reinvite_answered
    state: joined
    event: b.reinvite_answered
    overrides: bridge.b.late
    guards: [event.acknowledged]
    actions: [child.tell: {to: a, event: user.reject, with: {code: 488}}]
""")
    return Tables(overlays=[overlay])


@pytest.mark.slow
def test_a_table_that_is_wrong_is_found_and_its_first_call_traced(broken: Tables):
    report = crowd(400, 1, tables=broken)
    assert report.calls < 400
    assert "with different session descriptions" in report.failure
    assert report.failed_call.startswith("call ")
    number = report.failed_call.split()[1]
    texts = [entry.text for entry in report.trace]
    assert any(f"callee-{number}@" in text for text in texts)
    assert any(entry.summary.startswith("488") for entry in report.trace)
    assert not any("callee-" in text and f"callee-{number}@" not in text for text in texts)


@pytest.mark.slow
def test_a_reload_amid_the_calls_disturbs_none_of_them():
    report = crowd(60, "reload", BAD, reload=Tables())
    assert not report.failure, f"{report.failed_call}: {report.failure}"
    assert report.confirmed > 20
