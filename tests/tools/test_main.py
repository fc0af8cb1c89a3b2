"""The command line as such: help, version, what was meant by a misspelled word, and completion."""

from __future__ import annotations

import subprocess

import pytest

import calltable
from calltable.tools.commands.completion import commands
from calltable.tools.main import COMMANDS, main


def test_without_arguments_the_help_is_shown(capsys):
    assert main([]) == 0
    out = capsys.readouterr().out
    assert all(name in out for name in COMMANDS)


def test_the_version_is_that_of_the_package(capsys):
    with pytest.raises(SystemExit) as caught:
        main(["--version"])
    assert caught.value.code == 0
    assert capsys.readouterr().out == f"calltable {calltable.__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["chek"], "unknown command 'chek': did you mean check?"),
        (["--verson"], "unknown option --verson: did you mean --version?"),
        (["xyzzy"], "unknown command 'xyzzy': known: answer, "),
    ],
)
def test_a_misspelled_command_is_corrected(capsys, arguments, told):
    assert main(arguments) == 2
    assert told in capsys.readouterr().err


def test_a_misspelled_option_is_corrected(capsys):
    with pytest.raises(SystemExit) as caught:
        main(["status", "--jsno"])
    assert caught.value.code == 2
    assert "unknown option --jsno: did you mean --json?" in capsys.readouterr().err


def script(shell, capsys):
    assert main(["completion", shell]) == 0
    return capsys.readouterr().out


def completed(text, *words):
    """What bash offers for a command line."""
    line = f"COMP_WORDS=({' '.join(repr(word) for word in words)}); COMP_CWORD={len(words) - 1}; _calltable; printf '%s\\n' \"${{COMPREPLY[@]}}\""
    return subprocess.run(["bash", "-c", f"{text}\n{line}"], capture_output=True, text=True, check=True).stdout.split()


@pytest.mark.slow
def test_bash_completes_commands_options_and_choices(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "calls.jsonl").touch()
    text = script("bash", capsys)
    assert completed(text, "calltable", "sh") == ["shadow"]
    assert completed(text, "calltable", "serve", "--log-l") == ["--log-level"]
    assert completed(text, "calltable", "serve", "--log-level", "w") == ["warning"]
    assert completed(text, "calltable", "ladder", "ca") == ["calls.jsonl"]
    assert completed(text, "calltable", "completion", "z") == ["zsh"]


@pytest.mark.slow
@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_the_other_shells_are_told_every_command_and_option(capsys, shell):
    text = script(shell, capsys)
    for one in commands():
        assert one.name in text
        for option in one.options:
            assert all(name.lstrip("-") in text for name in option.names)
