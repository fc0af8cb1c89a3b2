"""``calltable serve`` and ``status``: the command line, signals, and the messages of both."""

from __future__ import annotations

import json
import re
import signal
import socket
from pathlib import Path

import pytest

from calltable.b2bua.routes import Route
from calltable.server.config import Config
from calltable.tools.commands.serve import plan
from calltable.tools.main import main
from tests.tools.programs import program, run

pytestmark = pytest.mark.slow

CONFIG = "routes: [{target: sip:127.0.0.1:9}]\nlisten: [udp:127.0.0.1:0]\n"


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "calltable.yaml"
    path.write_text(CONFIG, encoding="utf-8")
    return path


def test_without_a_destination_nothing_starts(capsys):
    assert main(["serve"]) == 2
    assert "give --next-hop sip:host:port, or routes in a file" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--next-hop", "tel:123"], "--next-hop: target 'tel:123' is not a sip: URI"),
        (["--next-hop", "sip:a", "--listen", "udp:192.0.2.1:5060"], "cannot listen on udp:192.0.2.1:5060: this machine has no such address"),
        (["--next-hop", "sip:a", "--listen", "tls:127.0.0.1:5060"], "transport 'tls' is not supported (supported: udp, tcp)"),
        (["--config", "/nowhere.yaml"], "cannot read /nowhere.yaml: No such file or directory"),
        (["--next-hop", "sip:a", "--listen", "udp:127.0.0.1:0", "--trace", "/nowhere/t"], "cannot open /nowhere/t"),
        (["--next-hop", "sip:a", "--listen", "udp:127.0.0.1:0", "--control", "/nowhere/s"], "cannot open the control socket /nowhere/s"),
    ],
)
def test_what_cannot_be_is_told_in_one_line(capsys, arguments, told):
    assert main(["serve", *arguments]) == 2
    error = capsys.readouterr().err
    assert told in error
    assert error.count("\n") == 1


def test_check_tells_all_problems_of_a_configuration_and_starts_nothing(tmp_path, capsys):
    path = tmp_path / "c.yaml"
    path.write_text("listen: [udp:x]\ntimer: {}\n", encoding="utf-8")
    assert main(["serve", "--config", str(path), "--check"]) == 1
    error = capsys.readouterr().err
    assert f"{path}:1:10: 'udp:x'" in error
    assert f"{path}:2:1: the configuration has no key 'timer'\n    did you mean timers?" in error
    assert "2 problems; not started" in error


def test_a_configuration_at_fault_is_exit_code_2_without_check(tmp_path, capsys):
    path = tmp_path / "c.yaml"
    path.write_text("routes: [{target: sip:a}]\ntimers: {t1: 500}\n", encoding="utf-8")
    assert main(["serve", "--config", str(path)]) == 2
    assert capsys.readouterr().err == f"{path}:2:14: «t1»: 500 has no unit\n    write 500ms or 500s\n1 problem; not started\n"


def test_check_tells_the_problems_of_an_overlay(tmp_path, capsys, config):
    overlay = tmp_path / "o.yaml"
    overlay.write_text("calltable: 1\noverlay: leg/uas\nremove: [uas.waiting.cancel]\n", encoding="utf-8")
    assert main(["serve", "--config", str(config), "--overlay", str(overlay), "--check"]) == 1
    assert f"{overlay}:3:10:" in capsys.readouterr().err, "a locked row"


def test_check_says_when_all_is_well(capsys, config):
    assert main(["serve", "--config", str(config), "--check"]) == 0
    assert capsys.readouterr().out.startswith("no problems: 1 route, ")


RACE = """\
calltable: 1
overlay: b2bua/bridge
replace:
  - {id: bridge.unanswered.progress, state: unanswered, event: b.progress, next_state: ringing, doc: the caller hears nothing}
"""
OVERLAY = "calltable: 1\noverlay: leg/uac\nremove: [leg.reinviting.update]\n"


def test_check_says_that_races_were_not_looked_at(tmp_path, capsys, config):
    overlay = tmp_path / "my overlay.yaml"
    overlay.write_text(OVERLAY, encoding="utf-8")
    assert main(["serve", "--config", str(config), "--overlay", str(overlay), "--check", "--no-explore"]) == 0
    assert capsys.readouterr().out.splitlines()[1:] == ["races were not checked (--no-explore)"]


@pytest.mark.slow
@pytest.mark.parametrize("command", ["check", "serve"])
def test_serve_and_check_find_the_same_race(tmp_path, capsys, config, command):
    """No static check sees that the caller is not told that it rings."""
    overlay = tmp_path / "race.yaml"
    overlay.write_text(RACE, encoding="utf-8")
    options = ["--check", "--config", str(config)] if command == "serve" else []
    assert main([command, *options, "--overlay", str(overlay)]) == 1
    told = capsys.readouterr()
    assert f"{overlay}:" in told.out + told.err
    assert "in the composition bridge" in told.out + told.err


@pytest.mark.parametrize(
    ("option", "told"),
    [
        ("--trace", "cannot open nosuch/x: there is no folder nosuch"),
        ("--control", "cannot open the control socket nosuch/x: there is no folder nosuch"),
        ("--coverage", "--coverage nosuch/x: there is no folder nosuch"),
    ],
)
def test_check_looks_for_the_folders_of_files(capsys, config, option, told):
    assert main(["serve", "--config", str(config), "--check", option, "nosuch/x"]) == 2
    assert capsys.readouterr().err == f"calltable serve: {told}\n"


def test_a_candidate_that_is_not_there_is_told(capsys, config):
    assert main(["shadow", "start", "nosuch", "--control", "s"]) == 2
    assert main(["serve", "--config", str(config), "--shadow", "nosuch"]) == 2
    assert capsys.readouterr().err == "calltable shadow: there is no nosuch\ncalltable serve: --shadow nosuch: no such file or folder\n"


def test_a_server_answers_status_and_usr1_and_ends_gently_on_term(tmp_path, config):
    control = tmp_path / "s"
    with program("serve", "--config", config, "--log-format", "json", "--control", control) as server:
        assert json.loads(server.line("serving"))["listen"].startswith("udp:127.0.0.1:")
        code, text = run("status", "--control", control, "--json")
        assert code == 0
        told = json.loads(text)
        assert (told["calls"], told["sessions"], told["timers"], told["transactions"]) == (0, 0, 0, 0)
        code, text = run("status", "--control", control)
        assert re.search(r"^sessions +0$", text, re.MULTILINE)
        server.signal(signal.SIGUSR1)
        again = json.loads(server.line('"calls"'))
        assert again.keys() == told.keys()
        assert (again["sessions"], again["transport"]) == (0, {})
        server.signal(signal.SIGTERM)
        assert server.end() == 0
    code, text = run("status", "--control", control)
    assert code == 2
    assert "is the server running" in text


def test_a_server_says_in_plain_words_what_it_does(tmp_path):
    config = Config(
        routes=(Route(target="sip:a", uri="^sip:1", header=("X-A", "^b$"), name="one"), Route(reject=403, name="rest")), max_calls=7,
        overlays=(Path("o.yaml"),), trace=Path("t.jsonl"), control=Path("s"),
    )  # fmt: skip
    assert list(plan(config)) == [
        "route one: a call whose Request-URI matches ^sip:1 and whose X-A matches ^b$ goes to sip:a",
        "route rest: a call is answered 403",
        "at most 7 concurrent calls; more get 503",
        "tables: the shipped ones, with the overlays o.yaml",
        "tracing every message and step to t.jsonl",
        "control socket: s",
    ]
    assert "a call that no route takes is answered 404" in list(plan(Config(routes=(Route(target="sip:a", uri="x"),))))


@pytest.mark.parametrize("what", ["directory", "bytes", "deep", "scalar", "anchor"])
def test_no_configuration_ends_in_a_traceback(tmp_path, capsys, what):
    path = tmp_path / "c.yaml"
    if what == "directory":
        path.mkdir()
    else:
        text = {"bytes": b"\x00\xff", "deep": b"[" * 3000, "scalar": b"7", "anchor": b"a: &a [*a]"}[what]
        path.write_bytes(text)
    assert main(["serve", "--config", str(path)]) == 2
    assert "Traceback" not in capsys.readouterr().err


def test_a_second_signal_ends_at_once(tmp_path):
    """Bob answers, nobody hangs up, and the server would wait a minute."""
    with program("answer", "--listen", "udp:127.0.0.1:0", "--after", "0") as bob:
        address = bob.line("waiting for calls on udp:").rpartition("udp:")[2]
        with program("serve", "--listen", "udp:127.0.0.1:0", "--next-hop", f"sip:{address}", "--drain", "1m") as server:
            here = server.line("serving").rpartition("udp:")[2]
            with program("call", f"sip:bob@{here}") as alice:
                alice.line("active")
                server.line("call connected")
                server.signal(signal.SIGTERM)
                server.line("draining")
                assert server.process.poll() is None
                server.signal(signal.SIGINT)
                assert server.end(5) == 0
                assert "left=1" in server.said[-1]
                alice.process.kill()


def test_the_config_file_comes_second_to_the_command_line(tmp_path, config):
    with program("serve", "--config", config, "--next-hop", "sip:127.0.0.1:7", "--log-level", "error") as server, \
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM):  # fmt: skip
        server.signal(0)
        server.process.terminate()
        server.end()
        assert not [line for line in server.said if "serving" in line], "--log-level error is silent"


def test_status_without_a_socket_says_how_to_name_one(capsys, monkeypatch):
    monkeypatch.delenv("CALLTABLE_CONTROL", raising=False)
    assert main(["status"]) == 2
    assert "set CALLTABLE_CONTROL" in capsys.readouterr().err
