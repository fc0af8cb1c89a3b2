"""Requests outside any dialog that the configuration gives to a machine of its own."""

from __future__ import annotations

import pytest

from calltable.loading import Tables
from calltable.simulation import Simulation

MACHINE = """
calltable: 1
machine: service/message
doc: Takes a MESSAGE outside any dialog. RFC 3428
parameters: {transaction: handle, message: message}
publishes: {taken: {}}
initial: begun
states:
  begun: {doc: the request waits}
  over:  {final: true}
rows:
  - id: service.start
    state: begun
    event: engine.started
    actions: [sip.respond: {to: $event.transaction, code: 202}]
    publish: [taken]
    next_state: over
  - {id: service.late, state: begun, after: 5s, next_state: over}
  - {id: service.failed, state: begun, event: engine.failed, next_state: over}
"""
FORGETFUL = MACHINE.replace("    actions: [sip.respond: {to: $event.transaction, code: 202}]\n", "").replace(
    "    publish: [taken]\n    next_state: over\n", "    doc: forgets to answer\n"
)


def serving(tmp_path, text: str):
    path = tmp_path / "message.yaml"
    path.write_text(text)
    tables = Tables([path])
    sim = Simulation(1, tables=tables)
    engine = sim.engine("server", accepts={"MESSAGE": "service/message"})
    engine.run()
    return sim, engine, sim.peer("alice")


def test_a_machine_answers_a_request_outside_any_dialog(tmp_path):
    sim, engine, alice = serving(tmp_path, MACHINE)
    message = alice.call("server")
    message.request("MESSAGE", body=b"hello", content_type="text/plain")
    assert alice.expect_response(202, "MESSAGE").to_tag
    assert engine.executor.counters["service/message taken"] == 1
    other = alice.call("server")
    other.request("OPTIONS")
    assert "MESSAGE" in (alice.expect_response(480, "OPTIONS").get("allow") or "").split(", ")
    other.request("PUBLISH")
    alice.expect(405, "PUBLISH")
    sim.finish()


@pytest.mark.parametrize("machine", ["service/message", "no/such"])
def test_what_a_machine_leaves_unanswered_is_answered(tmp_path, machine: str):
    """RFC 3261 §8.2.7: nobody waits for ever, whoever forgets to answer, or is not there at all."""
    sim, engine, alice = serving(tmp_path, FORGETFUL)
    engine.stack.screening.capabilities.accepts["MESSAGE"] = machine
    alice.call("server").request("MESSAGE")
    alice.expect(500, "MESSAGE")
    sim.finish()
