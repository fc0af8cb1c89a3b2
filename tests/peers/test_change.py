"""Changing tables while SIPp calls, and replaying what tshark captured of a SIPp call."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import time
from collections import Counter
from pathlib import Path

import pytest

from calltable.control.unix import ask
from calltable.loading import Tables
from calltable.observe.entry import read_trace
from calltable.replay import replay
from calltable.replay.calls import calls
from calltable.replay.capture import read_capture
from tests.peers.conftest import SHORT
from tests.peers.programs import Program, find
from tests.peers.sipp import Callee, Caller

pytestmark = [pytest.mark.peer, pytest.mark.slow]

OVERLAY = """\
calltable: 1
overlay: leg/uas
replace:
  - id: uas.waiting.progress
    state: waiting
    event: user.progress
    overrides: leg.idle.commands
    actions: [sip.respond: {to: invite, code: 183, message: $event.message}]
    next_state: early
"""
BROKEN = "calltable: 1\noverlay: leg/uas\nremove: [uas.waiting.answer]\n"
RINGING = Callee().recv("INVITE").respond(180).pause(50).answer().recv("ACK").recv("BYE").respond(200).linger()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the overlay that changes, the control socket and the trace are."""
    (tmp_path / "overlay.yaml").write_text("calltable: 1\noverlay: leg/uas\nremove: []\n")
    return tmp_path


def settings(folder: Path) -> dict:
    return {"overlays": [str(folder / "overlay.yaml")], "control": str(folder / "socket"), "trace": str(folder / "trace.jsonl")}


def wait_until(done, seconds: float = 10.0):
    end = time.monotonic() + seconds
    while not (found := done()):
        assert time.monotonic() < end, "it did not come"
        time.sleep(0.02)
    return found


def test_tables_change_under_traffic_and_no_call_fails(serving, sipp, folder):
    server = serving("udp", settings(folder))
    socket, overlay = folder / "socket", folder / "overlay.yaml"
    count = 120
    caller = Caller().connect().pause(1500).bye().recv(200)
    sipp.start("callee", RINGING, port=server.next_port, calls=count, seconds=40)
    sipp.start("caller", caller, "-r", 30, port=server.free_port(), remote=server.address, calls=count, seconds=40)
    wait_until(lambda: ask(socket, "status")["calls"] > 10)

    candidate = folder / "candidate.yaml"
    candidate.write_text(OVERLAY)
    assert "problems" not in ask(socket, "shadow", do="start", tables=str(candidate))

    overlay.write_text(BROKEN)  # refused, and nothing changes
    before = ask(socket, "status")["tables"]
    problems = ask(socket, "reload")["problems"]
    assert any("uas.yaml" in one for one in problems), problems
    assert [one["digest"] for one in ask(socket, "status")["tables"].values()] == [one["digest"] for one in before.values()]

    wait_until(lambda: ask(socket, "shadow", do="report")["differences"])
    report = ask(socket, "shadow", do="stop")
    assert {(one["machine"], one["event"], one["running"]) for one in report["differences"]} == {
        ("leg/uas", "user.progress", "uas.waiting.progress")}

    overlay.write_text(OVERLAY)
    renewal = ask(socket, "reload")
    assert renewal["tables"] == {"leg/uas": "rows: 1 changed"}
    assert renewal["calls"] > 0
    tables = ask(socket, "status")["tables"]
    assert tables["generation 1"]["calls"] > 0, "calls that were up keep their tables"
    server.program.process.send_signal(signal.SIGHUP)  # the same files again: no third generation

    sipp.finish(45)
    alive = server.quiet("calls", "dialogs")
    assert alive["counters"]["reloads"] == 2
    assert alive["counters"]["reloads refused"] == 1
    assert alive["counters"]["calls connected"] == count
    said = [entry.summary for entry in read_trace((folder / "trace.jsonl").read_text().splitlines())
            if entry.kind == "message" and entry.direction == "out" and entry.leg == "a"]
    assert {one for one in said if one.startswith("18")} == {"180 Ringing", "183 Session Progress"}
    server.quiet(seconds=15)
    assert list(ask(socket, "status")["tables"]) == ["generation 2"]


@contextlib.contextmanager
def captured(file: Path, ports: list[int]):
    """tshark on the loopback interface. Skips where it is missing or may not capture."""
    tshark = find("tshark")
    if tshark is None:
        pytest.skip("tshark is not installed")
    only = " or ".join(f"port {port}" for port in ports)
    program = Program([tshark, "-q", "-i", "lo", "-f", only, "-w", str(file)], file.parent, "tshark")
    end = time.monotonic() + 10
    while not (file.exists() and file.stat().st_size):  # the header is written once the interface is open
        if not program.running() or time.monotonic() > end:
            program.stop(1)
            pytest.skip(f"tshark cannot capture here: {program.output[-300:]}")
        time.sleep(0.02)
    try:
        yield
        time.sleep(0.5)  # tshark writes in blocks
    finally:
        program.stop(5, signal.SIGINT)


@pytest.mark.parametrize("path", ["udp", "udp-to-tcp"])
@pytest.mark.parametrize("ending", ["answered", "refused"])
def test_a_packet_capture_replays_to_the_rows_that_the_server_logged(serving, sipp, folder, path, ending):
    server = serving(path, settings(folder))
    file = folder / "call.pcapng"
    caller, callee = {
        "answered": (Caller().connect().pause(50).bye().recv(200), RINGING),
        "refused": (Caller().invite().recv(100).recv(180).refused(486), Callee().recv("INVITE").respond(180).respond(486).recv("ACK").linger()),
    }[ending]
    with captured(file, [server.port, server.next_port]):
        sipp.start("callee", callee, port=server.next_port, transport=server.path.callee)
        sipp.start("caller", caller, port=server.free_port(), remote=server.address)
        sipp.finish()
        server.quiet(seconds=15)
    entries = read_trace((folder / "trace.jsonl").read_text().splitlines())
    logged = [(entry.machine, entry.row) for entry in entries if entry.kind == "step" and entry.row]
    (call,) = calls(read_capture(file))
    found = replay(call, Tables(config={name: _seconds(value) for name, value in SHORT.items()}))
    assert found.divergence is None, str(found.divergence)
    walked = [(step.machine, step.row) for step in found.steps if step.row]
    missing, more = Counter(logged) - Counter(walked), Counter(walked) - Counter(logged)
    assert (missing, more) == (Counter(), Counter())
    # timers of two transactions may fall due within the same millisecond; all that messages led to is in order
    led = [row for (_, row), step in zip(walked, (step for step in found.steps if step.row), strict=True) if step.cause.message]
    assert led == [row for _, row in logged if row in set(led)][: len(led)]


def _seconds(text: str) -> float:
    return float(text.removesuffix("ms")) / 1000 if text.endswith("ms") else float(text.removesuffix("s"))


def test_the_command_line_replays_a_capture_and_says_why(serving, sipp, folder):
    server = serving("udp", settings(folder))
    file = folder / "call.pcapng"
    with captured(file, [server.port, server.next_port]):
        sipp.start("callee", RINGING, port=server.next_port)
        sipp.start("caller", Caller().connect().pause(50).bye().recv(200), port=server.free_port(), remote=server.address)
        sipp.finish()
    command = [*_calltable(), "replay", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "goes as captured" in done.stdout
    done = subprocess.run([*_calltable(), "why", "1", "BYE", "--trace", str(file)], capture_output=True, text=True, check=False)
    assert "leg.quiet.bye: it has no guard" in done.stdout


def _calltable() -> list[str]:
    from tests.peers.programs import calltable

    return calltable()
