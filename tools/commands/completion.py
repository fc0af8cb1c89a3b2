"""``calltable completion bash|zsh|fish``: commands, options and their choices, for the shell to complete.

The script is made from the parsers of all commands, so it knows what they know. It is written whole: a shell that completes starts
no Python.
"""

from __future__ import annotations

import argparse
import shlex
from typing import TYPE_CHECKING, NamedTuple

from calltable.tools import OK

if TYPE_CHECKING:
    from collections.abc import Iterator

EXAMPLES = """\
examples:
  source <(calltable completion bash)                                        # in ~/.bashrc
  calltable completion zsh > "${fpath[1]}/_calltable"
  calltable completion fish > ~/.config/fish/completions/calltable.fish
"""


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "completion", help="write completion for a shell", epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Write a script that lets a shell complete commands, options and their choices.",
    )  # fmt: skip
    parser.add_argument("shell", choices=("bash", "zsh", "fish"))
    parser.set_defaults(run=run)


class Option(NamedTuple):
    """One option of a command: its spellings, its help, whether it takes a value, and which it may be."""

    names: tuple[str, ...]
    help: str
    value: bool
    choices: tuple[str, ...]


class Command(NamedTuple):
    """One command: what it does, its options, and the words that may stand in its first argument."""

    name: str
    help: str
    options: tuple[Option, ...]
    words: tuple[str, ...]


def run(options: argparse.Namespace) -> int:
    """Print the script."""
    write = {"bash": bash, "zsh": zsh, "fish": fish}[options.shell]
    print("\n".join(write(commands())))
    return OK


def commands() -> list[Command]:
    """All commands with their options, from their own parsers."""
    from calltable.tools.main import COMMANDS, parser  # noqa: PLC0415 - it finds this module

    found = []
    for name, summary in COMMANDS.items():
        group = next(action for action in parser(name)._actions if isinstance(action, argparse._SubParsersAction))  # noqa: SLF001
        actions = group.choices[name]._actions  # noqa: SLF001 - argparse tells nobody its options otherwise
        words = next((tuple(map(str, one.choices)) for one in actions if not one.option_strings and one.choices), ())
        options = tuple(
            Option(tuple(one.option_strings), _plain(one.help), one.nargs != 0, tuple(map(str, one.choices or ())))
            for one in actions if one.option_strings and one.help != argparse.SUPPRESS
        )  # fmt: skip
        found.append(Command(name, summary, options, words))
    return found


def _plain(text: str | None) -> str:
    return (text or "").replace("%%", "%").replace("%(prog)s", "calltable")


def bash(known: list[Command]) -> Iterator[str]:
    """For bash: a function and what it completes."""
    yield "_calltable() {"
    yield '  local current="${COMP_WORDS[COMP_CWORD]}" before="${COMP_WORDS[COMP_CWORD-1]}" command="" word words=""'
    yield '  for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do case "$word" in -*) ;; *) command="$word"; break ;; esac; done'
    yield '  case "$command $before" in'
    for one in known:
        for option in one.options:
            if option.choices:
                names = "|".join(f'"{one.name} {name}"' for name in option.names)
                yield f"    {names}) COMPREPLY=($(compgen -W {shlex.quote(' '.join(option.choices))} -- \"$current\")); return ;;"
    yield "  esac"
    yield '  case "$command" in'
    yield f"    '') words={shlex.quote(' '.join([*(one.name for one in known), '--help', '--version']))} ;;"
    for one in known:
        words = [*one.words, *(name for option in one.options for name in option.names)]
        yield f"    {one.name}) words={shlex.quote(' '.join(words))} ;;"
    yield "  esac"
    yield '  COMPREPLY=($(compgen -W "$words" -- "$current"))'
    yield '  if [[ -n "$command" && "$current" != -* ]]; then COMPREPLY+=($(compgen -f -- "$current")); fi'
    yield "}"
    yield "complete -o filenames -F _calltable calltable"


def zsh(known: list[Command]) -> Iterator[str]:
    """For zsh: a function for ``compdef``."""
    yield "#compdef calltable"
    yield "_calltable() {"
    yield "  local -a commands=("
    yield from (f"    {shlex.quote(one.name + ':' + one.help.replace(':', chr(92) + ':'))}" for one in known)
    yield "  )"
    yield "  if (( CURRENT == 2 )); then _describe command commands; return; fi"
    yield "  local command=$words[2]"
    yield "  shift words; (( CURRENT-- ))"
    yield "  case $command in"
    for one in known:
        yield f"    {one.name})"
        yield "      _arguments \\"
        for option in one.options:
            about = "".join(f"\\{letter}" if letter in "[]:\\" else letter for letter in option.help)
            value = f":value:({' '.join(option.choices)})" if option.choices else ":value:_files" if option.value else ""
            yield from (f"        {shlex.quote(f'*{name}[{about}]{value}')} \\" for name in option.names)
        yield f"        {shlex.quote('*:argument:(' + ' '.join(one.words) + ')' if one.words else '*:argument:_files')} ;;"
    yield "  esac"
    yield "}"
    yield 'if [[ "$funcstack[1]" == "_calltable" ]]; then _calltable "$@"; else compdef _calltable calltable; fi'


def fish(known: list[Command]) -> Iterator[str]:
    """For fish: a line for each command and option."""
    for one in known:
        yield f"complete -c calltable -n __fish_use_subcommand -f -a {one.name} -d {shlex.quote(one.help)}"
    for one in known:
        where = f"-n {shlex.quote('__fish_seen_subcommand_from ' + one.name)}"
        if one.words:
            yield f"complete -c calltable {where} -f -a {shlex.quote(' '.join(one.words))}"
        for option in one.options:
            spelled = " ".join(f"-l {name[2:]}" if name.startswith("--") else f"-s {name[1:]}" for name in option.names)
            value = f" -x -a {shlex.quote(' '.join(option.choices))}" if option.choices else " -r" if option.value else ""
            yield f"complete -c calltable {where} {spelled}{value} -d {shlex.quote(option.help)}"
