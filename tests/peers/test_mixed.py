"""A thousand calls of every kind at once, and then nothing: no session, no timer, no transaction is left."""

from __future__ import annotations

import json
import socket
import subprocess

import pytest

from tests.peers.conftest import ALIVE, SHORT, WAYS, Server
from tests.peers.ports import free_port
from tests.peers.programs import calltable
from tests.peers.sipp import Callee, Caller

pytestmark = [pytest.mark.peer, pytest.mark.slow]
EACH = 200

CALLERS = {
    "answered": Caller(service="answered").connect().pause(100).bye().recv(200),
    "cancelled": Caller(service="cancelled").invite().recv(100).recv(180).cancel().recv(200).refused(487),
    "refused": Caller(service="refused").invite().recv(100).refused(486),
    "silent": Caller(service="silent").invite().recv(100).refused(408),
    "unanswered": Caller(service="unanswered").invite().recv(100).recv(180).refused(408),
}
CALLEES = {
    "answered": Callee().accept().recv("BYE").respond(200).linger(),
    "cancelled": Callee().recv("INVITE").respond(180).recv("CANCEL").respond(200).respond(487, to="INVITE").recv("ACK").linger(),
    "refused": Callee().recv("INVITE").respond(486).recv("ACK").linger(),
    "unanswered": Callee().recv("INVITE").respond(180).recv("CANCEL").respond(200).respond(487, to="INVITE").recv("ACK").linger(),
}


def test_a_thousand_mixed_calls_leave_nothing_behind(sipp, tmp_path):
    ports = {name: free_port() for name in CALLERS}
    config = {
        "routes": [{"uri": f"^sip:{name}@", "target": f"sip:127.0.0.1:{port}"} for name, port in ports.items()],
        "timers": SHORT,
        "control": "control",
    }
    server = Server(tmp_path, WAYS["udp"], config)
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as deaf:
            deaf.bind(("127.0.0.1", ports["silent"]))
            for name, callee in CALLEES.items():
                sipp.start(f"{name}-callee", callee, port=ports[name], calls=EACH, seconds=40)
            for name, caller in CALLERS.items():
                sipp.start(f"{name}-caller", caller, "-r", 40, port=free_port(), remote=server.address, calls=EACH, seconds=40)
            sipp.finish(50)
        counters = server.quiet()["counters"]
        assert counters["calls"] == counters["calls ended"] == EACH * len(CALLERS)
        assert counters["calls connected"] == EACH
        asked = [*calltable(), "status", "--json", "--control", str(tmp_path / "control")]
        told = subprocess.run(asked, capture_output=True, text=True, timeout=20, check=False)
        assert told.returncode == 0, told.stderr
        status = json.loads(told.stdout)
        assert {name: status[name] for name in ALIVE} == dict.fromkeys(ALIVE, 0)
    finally:
        assert server.stop() == 0
