"""Every example in the documentation runs as it stands.

A page is worked through from top to bottom, in a folder of its own that holds copies of ``tables/`` and ``docs/examples/``:

- a ``yaml`` block has ``title="file"`` and is written there (in ``docs/examples/`` it has to be that file already). A table,
  an overlay or a configuration has to load; with ``overlay=machine`` the block is the body of an overlay; with ``wrong`` it has to be
  refused;
- ``python`` blocks of a page share their names; what they print stands in the ``text output`` block that follows. One with
  ``title="file"`` is written there, for a console block to run;
- a ``console`` block holds commands (``$ …``) and what they print: ``…`` stands for anything, also for lines, and times, random
  names and chosen ports are not compared. A command that ends in ``&`` goes on until the page ends;
- an ``sh`` block is a script to be pasted as it stands; what it prints stands in the ``text output`` block that follows. Its last command
  has to succeed; with ``fails``, to fail. With ``install`` it is left to ``test_tour.py``, which has no calltable beforehand;
- a ``mermaid`` block with ``of="machine"`` is what ``calltable render machine`` draws, with options behind the machine;
- other ``mermaid`` blocks, and ``text``, are for the eye, and no other kind is allowed.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from calltable.engine.check.check import check
from calltable.engine.language.load import base, load_tables
from calltable.engine.language.schema import table_schema
from calltable.engine.model.problems import TableError
from calltable.server.config import parse_config
from calltable.server.config_schema import config_schema
from calltable.tools.main import COMMANDS

ROOT = Path(__file__).parent.parent
ELSEWHERE = {"performance.md", "verification.md", "races.md"}
"""Pages that tests of their own hold, or that show measurements."""
PAGES = [ROOT / "README.md", *sorted(path for path in (ROOT / "docs").glob("*.md") if path.name not in ELSEWHERE)]
FENCE = re.compile(r"^```(\w*) *([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SECONDS = 60.0
VOLATILE = [
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z"), "TIME"),
    (re.compile(r"(?<![\w.])\d+\.\d{2,3}(?![\w.])"), "N"),
    (re.compile(r"\b[0-9a-f]{16}\b"), "TOKEN"),
    (re.compile(r"127\.0\.0\.1:[3-6]\d{4}"), "HERE"),
    (re.compile(r"[ \t─]+"), " "),
]


class Block(NamedTuple):
    kind: str
    info: str
    text: str
    line: int

    def option(self, name: str) -> str:
        found = re.search(rf'\b{name}=(?:"([^"]*)"|(\S+))', self.info)
        return found[1] or found[2] if found else ""


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def blocks(page: Path) -> list[Block]:
    text = page.read_text(encoding="utf-8")
    return [Block(one[1], one[2], one[3], text.count("\n", 0, one.start()) + 1) for one in FENCE.finditer(text)]


class Shell:
    """One bash for the console blocks of a page."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        commands = folder / ".bin"
        commands.mkdir()
        for command, runs in (("calltable", "-P -m calltable.tools.main"), ("python", "")):
            (commands / command).write_text(f'#!/bin/sh\nexec {sys.executable} {runs} "$@"\n')
            (commands / command).chmod(0o755)
        environment = {**os.environ, "PATH": f"{commands}:{os.environ['PATH']}", "COLUMNS": "118", "NO_COLOR": "1"}
        self.bash = subprocess.Popen(
            ["bash"], cwd=folder, env=environment, text=True, encoding="utf-8", bufsize=1,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        self.started = 0

    def run(self, command: str) -> str:
        if command.endswith("&"):
            self.started += 1
            log = self.folder / f".output{self.started}"
            log.touch()
            self.ask(f"{command[:-1]} > {log} 2>&1 &")
            # a program in the background is up when it has said something
            self.ask(f"timeout {SECONDS} bash -c 'until [ -s {log} ]; do sleep 0.02; done'")
            return ""
        return self.ask(command)

    def ask(self, command: str) -> str:
        self.bash.stdin.write(f"{command}\necho; echo THE-END\n")
        self.bash.stdin.flush()
        lines = []
        for line in self.bash.stdout:
            if line == "THE-END\n":
                break
            lines.append(line)
        return "".join(lines).removesuffix("\n")

    def script(self, text: str, *, fails: bool = False) -> str:
        printed = self.ask(text.rstrip("\n") + "\nstatus=$?")
        status = self.ask("echo $status").strip()
        assert (status != "0") == fails, f"it ends with {status}:\n{printed}"
        return printed

    def close(self) -> None:
        self.bash.communicate("kill $(jobs -p) 2> /dev/null; wait\n", timeout=SECONDS)


def plain(text: str) -> str:
    text = text.replace(f"{ROOT}/", "")
    for pattern, word in VOLATILE:
        text = pattern.sub(word, text)
    return "".join(f"{line.rstrip()}\n" for line in text.splitlines())


def shows(expected: str, actual: str) -> bool:
    parts = []
    for line in plain(expected).splitlines():
        if line.strip() == "…":
            parts.append(r"(?:.*\n)*?")
        else:
            parts.append(re.escape(line).replace("…", ".*?") + r"\n")
    return re.fullmatch("".join(parts), plain(actual)) is not None


def yaml_block(block: Block, folder: Path) -> None:
    title, machine = block.option("title"), block.option("overlay")
    text = f"calltable: 1\noverlay: {machine}\n{block.text}" if machine else block.text
    if title:
        file = folder / title
        if title.startswith("docs/examples/"):
            assert file.exists(), f"there is no {title}"
            assert file.read_text(encoding="utf-8") == text, f"{title} has changed"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    label = title or f"line {block.line}"
    try:
        if re.search(r"^(?:routes|listen):", text, re.MULTILINE):
            parse_config(text, str(folder / label))
            problems = []
        else:
            around = {
                path.name: path.read_text(encoding="utf-8")
                for path in (folder / "docs" / "examples").glob("*.yaml")
                if path.name != Path(label).name
                and re.search(r"^(?:machine|fragment|catalogue):", path.read_text(encoding="utf-8"), re.MULTILINE)
            }
            problems = check(load_tables(texts={**around, label: text}))
    except TableError as error:
        problems = error.problems
    if "wrong" in block.info:
        assert problems, "it loads, though the page says that it does not"
    else:
        assert not problems, "\n".join(map(str, problems))


def python_block(block: Block, names: dict, page: Path) -> str:
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile("\n" * block.line + block.text, str(page), "exec"), names)
    return printed.getvalue()


def console_block(block: Block, shell: Shell) -> None:
    for part in re.split(r"^\$ ", block.text, flags=re.MULTILINE)[1:]:
        command, _, expected = part.partition("\n")
        while command.endswith("\\"):
            more, _, expected = expected.partition("\n")
            command = f"{command[:-1]}{more.strip().removeprefix('> ')}"
        actual = shell.run(command)
        assert shows(expected, actual), f"$ {command}\n{actual}\n--- the page says\n{expected}"


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES, ids=name)
def test_the_examples_of_a_page_run(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    for part in ("tables", "docs/examples"):
        shutil.copytree(ROOT / part, tmp_path / part)
    monkeypatch.chdir(tmp_path)
    names: dict = {"__name__": "__page__"}
    printed = ""
    with contextlib.ExitStack() as ends:
        shell: Shell | None = None
        for block in blocks(page):
            try:
                if block.kind == "yaml":
                    yaml_block(block, tmp_path)
                elif block.kind == "python" and block.option("title"):
                    (tmp_path / block.option("title")).write_text(block.text, encoding="utf-8")
                elif block.kind == "python":
                    printed = python_block(block, names, page)
                elif block.kind in ("console", "sh"):
                    if shell is None:
                        shell = Shell(tmp_path)
                        ends.callback(shell.close)
                    if block.kind == "console":
                        console_block(block, shell)
                    elif "install" not in block.info:
                        printed = shell.script(block.text, fails="fails" in block.info)
                elif block.kind == "mermaid" and block.option("of"):
                    drawn = subprocess.run([sys.executable, "-P", "-m", "calltable.tools.main", "render", *block.option("of").split()],
                                           check=True, capture_output=True, text=True, encoding="utf-8")  # fmt: skip
                    assert block.text == drawn.stdout, "calltable render draws something else now"
                elif block.kind == "text" and "output" in block.info:
                    assert shows(block.text, printed), f"it prints\n{printed}"
                else:
                    assert block.kind in ("text", "mermaid"), "blocks are yaml, python, console, sh, text or mermaid"
            except Exception as error:
                raise AssertionError(f"{name(page)}:{block.line}: {error}") from error


def anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", FENCE.sub("", page.read_text(encoding="utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", [*PAGES, ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md"], ids=name)
def test_links_lead_somewhere(page: Path):
    for link in re.findall(r"\]\(([^)\s]+)\)", FENCE.sub("", page.read_text(encoding="utf-8"))):
        if link.startswith(("http:", "https:", "mailto:")):
            continue
        file, _, anchor = link.partition("#")
        target = (page.parent / file).resolve() if file else page
        assert target.exists(), f"{name(page)}: {link}"
        if anchor and target.suffix == ".md":
            assert anchor in anchors(target), f"{name(page)}: {link}"


def keys(schema: dict) -> set[str]:
    found = set(schema.get("properties", ()))
    for value in schema.values():
        if isinstance(value, dict):
            found |= keys(value)
        elif isinstance(value, list):
            found |= set().union(*(keys(one) for one in value if isinstance(one, dict)))
    return found


@pytest.mark.parametrize(("page", "schema"), [("tables.md", table_schema()), ("operating.md", config_schema())], ids=["tables", "configuration"])
def test_every_key_is_explained(page: str, schema: dict):
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    properties = {key for part in [schema, *schema.get("$defs", {}).values()] for key in keys(part)}
    missing = sorted(key for key in properties if not re.search(rf"\b{re.escape(key)}\b", text))
    assert not missing, f"docs/{page} says nothing of {', '.join(missing)}"


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_rows_that_are_named_exist(page: Path):
    rows = {base(row) for machine in load_tables().machines.values() for row in machine.rows}
    named = re.findall(r"`((?:uac|uas|leg|stray|bridge|call|caller|callee|client|server|invite_client|invite_server)\.[a-z_]+\.[a-z_.]+)`", page.read_text(encoding="utf-8"))
    missing = sorted(set(named) - rows)
    assert not missing, f"{name(page)} names {', '.join(missing)}"


def test_every_command_is_explained():
    text = "".join(page.read_text(encoding="utf-8") for page in (ROOT / "docs").glob("*.md")) + (ROOT / "README.md").read_text(encoding="utf-8")
    missing = [command for command in COMMANDS if f"calltable {command}" not in text]
    assert not missing, f"no page shows calltable {', '.join(missing)}"
