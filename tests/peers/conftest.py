"""What the tests with real programs share: a B2BUA to call through, and a call from SIPp to SIPp.

One server is started for each kind of way (UDP, TCP, from UDP to TCP, IPv6) and kept for the tests of a module. After
each test no call may be left in it, and after the last one no session, timer or transaction either.
"""

from __future__ import annotations

import contextlib
import json
import signal
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from tests.peers.ports import free_port, has_address, wait_bound
from tests.peers.programs import Program, calltable, find

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from tests.peers.sipp import Callee, Caller

SHORT = {
    "timer_b": "1500ms", "timer_d": "1s", "timer_f": "1500ms", "timer_h": "1500ms", "timer_i": "500ms", "timer_j": "1s",
    "timer_k": "500ms", "timer_l": "1500ms", "timer_m": "1500ms", "owed_ack": "1s", "no_answer": "1500ms",
}  # fmt: skip
"""Timers that end waiting early, so that a test of a silent peer takes a second and a half instead of half a minute.
Retransmission (T1, T2) stays as RFC 3261 has it."""
ALIVE = ("calls", "sessions", "timers", "transactions", "dialogs")
TROUBLE = ("sessions failed", "effects failed", "unhandled")
"""Counters that only a mistake of ours moves."""


@dataclass
class Way:
    """How calls come in and go out."""

    name: str
    caller: str = "udp"
    callee: str = "udp"
    host: str = "127.0.0.1"

    @property
    def literal(self) -> str:
        return f"[{self.host}]" if ":" in self.host else self.host


WAYS = {way.name: way for way in (
    Way("udp"), Way("tcp", "tcp", "tcp"), Way("udp-to-tcp", "udp", "tcp"), Way("tcp-to-udp", "tcp", "udp"),
    Way("ipv6", host="::1"),
)}  # fmt: skip


class Server:
    """``calltable serve`` as a process."""

    def __init__(self, folder: Path, path: Way, config: Mapping[str, Any] | None = None, *,
                 next_hop: str = "", log_level: str = "error") -> None:
        self.path = path
        self.port = free_port(path.host)
        self.next_port = free_port(path.host)
        transport = f";transport={path.callee}" if path.callee != "udp" else ""
        settings = {
            "listen": [f"{kind}:{path.literal}:{self.port}" for kind in ("udp", "tcp")],
            "routes": [{"target": next_hop or f"sip:{path.literal}:{self.next_port}{transport}"}],
            "timers": SHORT,
            "log": {"level": log_level},
            **(config or {}),
        }
        file = folder / "calltable.yaml"
        file.write_text(json.dumps(settings))
        self.program = Program([*calltable(), "serve", "--config", file], folder, "serve")
        if not all(wait_bound(self.port, tcp=tcp, while_=self.program.running) for tcp in (False, True)):
            output = self.program.output
            self.program.stop()
            raise AssertionError(f"calltable serve does not listen on {self.port}:\n{output}")

    @property
    def address(self) -> str:
        return f"{self.path.literal}:{self.port}"

    def free_port(self) -> int:
        """A port for somebody who calls."""
        return free_port(self.path.host)

    def snapshot(self) -> dict[str, Any]:
        """What is alive in it, as it says itself."""
        before = self.program.output.count("\n")
        self.program.process.send_signal(signal.SIGUSR1)
        end = time.monotonic() + 5
        while time.monotonic() < end:
            for line in self.program.output.splitlines()[before:]:
                with contextlib.suppress(ValueError):
                    answer: dict[str, Any] = json.loads(line)
                    return answer
            time.sleep(0.01)
        raise AssertionError("calltable serve answers SIGUSR1 with nothing:\n" + self.program.output)

    def quiet(self, *names: str, seconds: float = 8.0) -> dict[str, Any]:
        """Wait until nothing of these is alive any more; the last snapshot. All of ``ALIVE`` where none is named."""
        end = time.monotonic() + seconds
        while True:
            alive = self.snapshot()
            left = {name: alive[name] for name in names or ALIVE if alive[name]}
            if not left or time.monotonic() > end:
                assert not left, f"still alive: {left}\n{self.program.output[-4000:]}"
                trouble = {name: count for name, count in alive["counters"].items() if name in TROUBLE and count}
                assert not trouble, f"{trouble}\n{self.program.output[-4000:]}"
                return alive
            time.sleep(0.02)

    def stop(self) -> int | None:
        """Let it drain; its exit status."""
        return self.program.stop(10)


@dataclass
class Result:
    """How one side of a call went."""

    status: int | None
    folder: Path
    name: str
    command: list[str] = field(default_factory=list)

    @property
    def report(self) -> str:
        text = [f"{self.name}: exit {self.status}: {' '.join(self.command)}"]
        for kind in ("errors", "messages"):
            file = self.folder / f"{self.name}.{kind}"
            if file.exists():
                text.append(f"-- {self.name} {kind}\n{file.read_text(errors='replace')[-6000:]}")
        return "\n".join(text)


class Sipp:
    """Runs SIPp processes: first all who are called, then all who call."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.running: list[tuple[Program, Result]] = []

    def start(self, name: str, scenario: Caller | Callee | str, *options: object, host: str = "127.0.0.1",
              port: int, transport: str = "udp", remote: str = "", calls: int = 1, seconds: float = 15.0) -> None:
        """Start one; ``scenario`` is one of SIPp's own where it is a string."""
        self.folder.mkdir(parents=True, exist_ok=True)
        if isinstance(scenario, str):
            what = ["-sn", scenario]
        else:
            (self.folder / f"{name}.xml").write_text(scenario.xml())
            what = ["-sf", f"{name}.xml"]
        ports = free_port(host, span=8)
        command = [
            find("sipp") or "sipp", *([remote] if remote else []), *what, "-i", host, "-p", port,
            "-t", {"udp": "u1", "tcp": "t1"}[transport], "-m", calls, "-nostdin", "-cp", ports, "-mp", ports + 2, "-timeout", f"{seconds:.0f}s",
            "-timeout_error", "-trace_err", "-error_file", f"{name}.errors", "-trace_msg", "-message_file", f"{name}.messages", *options,
        ]  # fmt: skip
        words = [str(word) for word in command]
        program = Program(words, self.folder, name)
        self.running.append((program, Result(None, self.folder, name, words)))
        if not remote and not wait_bound(port, tcp=transport == "tcp", while_=program.running):
            raise AssertionError(f"SIPp does not listen on {port}:\n{program.output}")

    def wait_for(self, name: str, text: str, count: int, seconds: float = 10.0) -> None:
        """Wait until a running one has sent or received a text so often."""
        log = self.folder / f"{name}.messages"
        end = time.monotonic() + seconds
        while not log.exists() or log.read_text(errors="replace").count(text) < count:
            if time.monotonic() > end:
                self.finish(0.1)
                raise AssertionError(f"{name} has not seen {text!r} {count} times")
            time.sleep(0.02)

    def finish(self, seconds: float = 20.0) -> list[Result]:
        """Wait for all, and see that every call of every one succeeded."""
        end = time.monotonic() + seconds
        results = []
        for program, result in self.running:
            result.status = program.wait(max(0.1, end - time.monotonic()))
            program.stop(0.5)
            results.append(result)
        self.running = []
        if any(result.status != 0 for result in results):
            pytest.fail("\n\n".join(result.report for result in results), pytrace=False)
        return results

    def stop(self) -> None:
        for program, _ in self.running:
            program.stop(0.5)


@pytest.fixture(scope="module")
def serving(tmp_path_factory) -> Iterator[Callable[..., Server]]:
    """Start servers; all end with the module, gently and with status 0."""
    servers: dict[str, Server] = {}

    def start(path: str = "udp", config: Mapping[str, Any] | None = None, **options: Any) -> Server:
        key = json.dumps([path, config, options], sort_keys=True)
        if not has_address(WAYS[path].host):
            pytest.skip(f"this machine has no {WAYS[path].host}")
        if key not in servers:
            servers[key] = Server(tmp_path_factory.mktemp(f"serve-{path}"), WAYS[path], config, **options)
        return servers[key]

    yield start
    try:
        for server in servers.values():
            server.quiet(seconds=15)
    finally:
        statuses = [server.stop() for server in servers.values()]
    assert not any(statuses), f"calltable serve ended with {statuses}"


@pytest.fixture
def sipp(tmp_path) -> Iterator[Sipp]:
    """SIPp, for this test."""
    if find("sipp") is None:
        pytest.skip("SIPp is not installed (Debian: sip-tester)")
    runner = Sipp(tmp_path / "sipp")
    yield runner
    runner.stop()


@pytest.fixture
def call(sipp, serving) -> Callable[..., dict[str, Any]]:
    """Make calls through a B2BUA: ``call(caller, callee)``. Afterwards no call is alive in it; its last snapshot."""

    def run(caller: Caller | str, callee: Callee | str | None = None, *options: object, path: str = "udp", server: Server | None = None,
            calls: int = 1, seconds: float = 15.0) -> dict[str, Any]:
        server = server or serving(path)
        way = server.path
        if callee is not None:
            sipp.start("callee", callee, *options, host=way.host, port=server.next_port, transport=way.callee, calls=calls, seconds=seconds)
        sipp.start("caller", caller, *options, host=way.host, port=server.free_port(), transport=way.caller,
                   remote=server.address, calls=calls, seconds=seconds)
        sipp.finish(seconds + 5)
        return server.quiet("calls", "dialogs")

    return run
