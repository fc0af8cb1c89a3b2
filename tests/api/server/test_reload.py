"""Other tables under a running engine: who runs what, what is refused, and what a shadow sees."""

from __future__ import annotations

import pytest

from calltable.engine.model.problems import TableError
from calltable.loading import Tables
from calltable.observe.shadow import Shadow
from calltable.server.reload import Generations, is_overlay
from calltable.simulation import Simulation, shipped_tables

RINGING = """\
calltable: 1
overlay: leg/uas
replace:
  - id: uas.waiting.progress
    state: waiting
    event: user.progress
    overrides: leg.idle.commands
    actions: [sip.respond: {to: invite, code: 183, message: $event.message}]
    next_state: early
    doc: every provisional response is a 183
"""

LEG_B = """\
calltable: 1
overlay: leg/uac
replace:
  - id: uac.unanswered.progress
    state: unanswered
    event: sip.invite.provisional
    guards: [event.code != 100]
    publish: [progress: {code: 182, message: $event.message}]
    next_state: early
"""


@pytest.fixture(scope="module")
def make(tmp_path_factory):
    """Tables with overlays given as text; equal ones are loaded once."""
    known = {}

    def made(*texts: str, **config) -> Tables:
        key = (texts, tuple(config.items()))
        if key not in known:
            paths = []
            for text in texts:
                paths.append(tmp_path_factory.mktemp("overlay") / "one.yaml")
                paths[-1].write_text(text)
            known[key] = Tables(overlays=paths, config=config)
        return known[key]

    return made


class Scene:
    """A caller, a B2BUA that can be given other tables, and a callee."""

    def __init__(self) -> None:
        self.simulation = sim = Simulation(5, tables=shipped_tables())
        self.server = sim.b2bua()
        self.engine = self.server.engine
        self.alice, self.bob = sim.agent("alice"), sim.agent("bob")
        self.generations = Generations(self.engine, [self.server.machine])

    def call(self):
        call = self.alice.call(self.simulation.uri("b2bua", "bob"))
        self.simulation.run(0.5)
        return call

    def ring(self) -> None:
        self.bob.last.ring()
        self.simulation.run(0.5)

    def provisionals(self) -> list[bytes]:
        """What the caller was told, a status line each."""
        packets = self.simulation.packets("b2bua", "alice")
        return [one.data.split(b"\r\n")[0] for one in packets if one.data.startswith(b"SIP/2.0 18")]


@pytest.fixture
def scene():
    return Scene()


def test_a_running_call_keeps_its_tables_and_the_next_one_takes_the_new(scene, make):
    first = scene.call()
    renewal = scene.generations.renew(make(RINGING))
    assert renewal.tables == {"leg/uas": "rows: 1 changed"}
    assert renewal.calls == 1
    scene.ring()
    assert scene.provisionals() == [b"SIP/2.0 180 Ringing"]
    scene.call()
    scene.ring()
    assert scene.provisionals()[1:] == [b"SIP/2.0 183 Session Progress"]
    assert {name: one["calls"] for name, one in scene.generations.running().items()} == {"generation 1": 1, "generation 2": 1}
    first.hangup()
    scene.simulation.finish(hangup=True)


def test_a_leg_that_starts_after_the_reload_belongs_to_its_call(scene, make):
    """The route is looked up while the tables change: the coordinator of the old tables starts the leg of the old tables."""
    waiting = []
    scene.engine.executor.handlers["route.find"] = lambda session, p: waiting.append((session, p["message"]))
    scene.call()
    scene.generations.renew(make(LEG_B))
    scene.engine.executor.dispatch(waiting[0][0], "route.target", {"target": scene.simulation.uri("bob"), "message": waiting[0][1]})
    scene.simulation.run(0.5)
    (leg,) = [one for one in scene.engine.executor.sessions.values() if one.machine.name == "leg/uac"]
    assert leg.machine is shipped_tables().machines["leg/uac"]
    assert scene.engine.executor.machines["leg/uac"] is make(LEG_B).machines["leg/uac"]
    scene.simulation.finish(hangup=True)


def test_a_generation_is_forgotten_with_its_last_session(scene, make):
    call = scene.call()
    scene.ring()
    scene.bob.last.answer()
    scene.simulation.run(1.0)
    scene.generations.renew(make(RINGING))
    assert list(scene.generations.running()) == ["generation 1", "generation 2"]
    call.hangup()
    scene.simulation.finish()
    assert list(scene.generations.running()) == ["generation 2"]


def test_the_same_tables_again_change_nothing(scene):
    before = scene.engine.executor.machines
    assert scene.generations.renew(Tables()).same
    assert scene.engine.executor.machines is before
    assert scene.generations.current.number == 1


def test_another_setting_is_another_generation(scene, make):
    renewal = scene.generations.renew(make(no_answer=9.0))
    assert renewal.tables == {"settings": "no_answer: 180.0 → 9.0"}
    call = scene.call()
    scene.simulation.run(12.0)
    assert call.ended


def test_what_the_server_cannot_run_is_refused_whole(scene, make, tmp_path):
    before = scene.engine.executor.machines
    other = make(RINGING)
    tables = Tables.__new__(Tables)
    tables.config = other.config
    tables.library = type(other.library)(
        {name: one for name, one in other.library.machines.items() if name != "leg/stray"}, other.library.catalogue, ()
    )
    tables.machines = {name: one for name, one in other.machines.items() if name != "leg/stray"}
    with pytest.raises(TableError, match="there is no table leg/stray any more"):
        scene.generations.renew(tables)
    assert scene.engine.executor.machines is before
    assert scene.engine.tables is shipped_tables()
    scene.call()
    scene.ring()
    assert scene.provisionals() == [b"SIP/2.0 180 Ringing"]


def test_many_reloads_under_random_calls_leave_nothing_behind(scene, make):
    dice = scene.simulation.random("dice")
    for number in range(30):
        call = scene.alice.call(scene.simulation.uri("b2bua", "bob"))
        scene.simulation.run(dice.uniform(0, 0.3))
        if scene.bob.calls and not scene.bob.last.ended:
            dice.choice((scene.bob.last.ring, scene.bob.last.answer, scene.bob.last.reject))()
        scene.generations.renew(make(*dice.choice(((), (RINGING,), (LEG_B,), (RINGING, LEG_B)))))
        if number % 3 == 0:
            call.hangup()
    scene.simulation.finish(hangup=True)
    assert len(scene.generations.running()) == 1


# --------------------------------------------------------------------------- shadow


def answered(scene):
    call = scene.call()
    scene.ring()
    scene.bob.last.answer()
    scene.simulation.run(1.0)
    return call


def test_a_candidate_that_does_the_same_differs_nowhere(scene, make):
    shadow = Shadow(scene.engine, make(no_answer=170.0))
    answered(scene).hangup()
    scene.simulation.finish()
    report = shadow.report()
    assert report["sessions"] > 3
    assert report["events"] > 20
    assert [one["what"] for one in report["differences"]] == [
        ["timers: after.uac.calling.no_answer in 180.0 s → after.uac.calling.no_answer in 170.0 s"]]


def test_a_difference_names_row_event_values_and_count(scene, make):
    shadow = Shadow(scene.engine, make(RINGING))
    for _ in range(2):
        answered(scene).hangup()
        scene.simulation.run(1.0)
    scene.simulation.finish()
    (one,) = shadow.report()["differences"]
    assert (one["machine"], one["state"], one["event"], one["count"]) == ("leg/uas", "incoming", "user.progress", 2)
    assert (one["running"], one["candidate"]) == ("uas.waiting.progress", "uas.waiting.progress")
    (what,) = one["what"]
    assert "code: 180" in what.partition(" → ")[0]
    assert "code: 183" in what.partition(" → ")[2]
    assert len(one["sessions"]) == 2


def test_nothing_the_candidate_wants_is_done(scene, make):
    Shadow(scene.engine, make(RINGING))
    scene.call()
    scene.ring()
    assert scene.provisionals() == [b"SIP/2.0 180 Ringing"]


def test_a_row_with_another_id_is_no_difference(scene, make):
    renamed = RINGING.replace("replace:\n  - id: uas.waiting.progress", "remove: [uas.waiting.progress]\nadd:\n  - id: uas.waiting.sound")
    shadow = Shadow(scene.engine, make(renamed.replace("code: 183", "code: $event.code")))
    answered(scene).hangup()
    scene.simulation.finish()
    assert shadow.report()["differences"] == []
    assert shadow.report()["differing"] == 0


def test_a_candidate_that_fails_is_told_and_the_call_goes_on(scene, make):
    shadow = Shadow(scene.engine, make(RINGING))
    machine = shadow.candidates["leg/uas"]
    scene.call()
    broken = {**machine.cells["incoming"], "user.progress": lambda session, payload: 1 / 0}
    for twins in shadow._twins.values():
        if twins.candidate.machine is machine:
            twins.candidate.cells = broken
    scene.ring()
    report = shadow.report()
    assert report["errors"] == 1
    assert "ZeroDivisionError" in report["differences"][0]["what"][0]
    assert scene.provisionals() == [b"SIP/2.0 180 Ringing"]


def test_sessions_that_began_before_are_not_followed_and_stopping_lets_go(scene, make):
    scene.call()
    shadow = Shadow(scene.engine, make(RINGING))
    scene.ring()
    assert shadow.report()["sessions"] == 0
    scene.call()
    assert shadow.report()["following"] == 1
    shadow.stop()
    scene.ring()
    assert shadow.report()["following"] == 0
    assert shadow.report()["differences"] == []


def test_no_twin_is_left_of_calls_that_are_over(scene, make):
    shadow = Shadow(scene.engine, make(no_answer=170.0))
    answered(scene).hangup()
    scene.simulation.finish()
    assert shadow.report()["following"] == 0


def test_an_overlay_is_told_from_tables(tmp_path):
    overlay = tmp_path / "one.yaml"
    overlay.write_text(RINGING)
    assert is_overlay(overlay)
    assert not is_overlay(tmp_path)
    overlay.write_text("calltable: 1\nmachine: x\n")
    assert not is_overlay(overlay)
