"""The rules of the house that no linter knows: who may import whom, how long a module may be, what each must have."""

from __future__ import annotations

import ast
import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
LAYERS = {
    "tables": {"calltable.tables"},
    "engine": {"calltable.engine", "calltable.tables"},
    "adapters": {"calltable.adapters", "calltable.engine", "calltable.tables"},
    "api": {"calltable", "calltable.adapters", "calltable.engine", "calltable.tables"},
    "tools": {"calltable", "calltable.adapters", "calltable.engine", "calltable.tables", "calltable.tools"},
}
"""For each folder, what its modules may import; ``calltable`` alone stands for the modules of ``api``."""
LONGEST = 500
MODULES = sorted(path for layer in LAYERS for path in (ROOT / layer).rglob("*.py"))


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def part(module: str) -> str:
    """The layer that an imported module belongs to."""
    words = module.split(".")
    layer = ".".join(words[:2])
    return layer if layer in {"calltable.adapters", "calltable.engine", "calltable.tables", "calltable.tools"} else "calltable"


def imported(tree: ast.AST) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: a relative import"
            found.add(node.module or "")
            if node.module == "calltable":
                found.discard("calltable")
                found.update(f"calltable.{alias.name}" for alias in node.names)
    return found


@pytest.fixture(scope="module")
def project() -> dict:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_a_module_keeps_the_rules(path: Path):
    text = path.read_text(encoding="utf-8")
    tree = ast.parse(text)
    allowed = LAYERS[path.relative_to(ROOT).parts[0]]
    wrong = sorted(
        module for module in imported(tree) if module.split(".")[0] == "calltable" and part(module) not in allowed
    )
    assert not wrong, f"{name(path)} may import {', '.join(sorted(allowed))} only"
    assert not [module for module in imported(tree) if module.split(".")[0] in LAYERS], "imports are calltable.…"
    assert text.count("\n") <= LONGEST, "one module, one idea: split it"
    if tree.body:
        assert ast.get_docstring(tree), "a module opens with its theory of operation"


def test_every_folder_of_the_package_is_mapped(project):
    setuptools = project["tool"]["setuptools"]
    folders = {"calltable": ROOT / "api"}
    for layer in ("adapters", "engine", "tables", "tools"):
        for path in [ROOT / layer, *(ROOT / layer).rglob("*")]:
            if path.is_dir() and list(path.glob("*.py")):
                folders[".".join(("calltable", *path.relative_to(ROOT).parts))] = path
    assert set(setuptools["packages"]) >= set(folders), "pyproject.toml: tool.setuptools.packages lacks a folder"


def rooms() -> set[str]:
    """The folders that hold modules, but for those that only hold rooms."""
    found = {name(path.parent) for path in MODULES if path.name != "__init__.py"}
    return {f"{one}/" for one in found} | {"tables/"}


def test_the_rooms_are_those_that_the_page_names():
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8").split("## Rooms")[1].split("\n## ")[0]
    table, to_come = page.split("Rooms to come")
    told = dict(re.findall(r"^\| `([\w/]+/)` \| .* \| (.*) \|$", table, re.MULTILINE))
    assert set(told) == rooms()
    for room, files in told.items():
        for file in re.findall(r"`([\w/]+\.\w+)`", files):
            assert (ROOT / room / file).exists(), f"docs/architecture.md: {room}{file} is not there"
    for room in re.findall(r"`([\w/]+/)`", to_come):
        assert not (ROOT / room).exists(), f"docs/architecture.md: {room} is there already"


def dotted(path: Path) -> str:
    """The name a module is imported by."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    parts = parts[1:] if parts[0] == "api" else parts
    return ".".join(("calltable", *parts[: -1 if parts[-1] == "__init__" else None]))


def test_there_is_no_import_circle():
    """Neither at run time nor for type checkers: two modules that know each other are one idea, or lack a third."""
    modules = {dotted(path): path for path in MODULES}
    arrows: dict[str, set[str]] = {}
    for module, path in modules.items():
        arrows[module] = set()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module:
                for alias in node.names:
                    inner = f"{node.module}.{alias.name}"
                    arrows[module].add(inner if inner in modules else node.module)
    arrows["calltable"] = set()  # its names are imported when they are used
    ground: set[str] = set()
    while True:
        more = {module for module, to in arrows.items() if module not in ground and not (to & arrows.keys()) - ground - {module}}
        if not more:
            break
        ground |= more
    rest = {module: (to & arrows.keys()) - ground - {module} for module, to in arrows.items() if module not in ground}
    while above := rest.keys() - set().union(*rest.values()):  # what stands on a circle is not in it
        rest = {module: to - above for module, to in rest.items() if module not in above}
    assert not rest, "these know each other in a circle: " + "; ".join(f"{one} → {', '.join(sorted(to))}" for one, to in rest.items())


DOORLESS = {"calltable", "calltable.tools", "calltable.tools.commands"}
"""Rooms without a face: the package's own names are loaded when they are used, commands by their names."""


def test_a_room_is_entered_by_its_face():
    """What another room needs is imported from the room's ``__init__``, so that its modules can be rearranged in peace."""
    modules = {dotted(path): path for path in MODULES}
    rooms = {module for module, path in modules.items() if path.name == "__init__.py"}

    def room(module: str) -> str:
        return module if module in rooms else module.rpartition(".")[0]

    wrong = [
        f"{name(path)}: from {node.module}"
        for module, path in modules.items()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom) and node.module in modules and node.module not in rooms
        and room(node.module) not in DOORLESS | {room(module)} and module != "calltable"
    ]  # fmt: skip
    assert not wrong, "import these from the room's face: " + ", ".join(wrong)


def test_everything_that_is_imported_is_declared(project):
    """What the product imports, it also asks for; and asks for nothing that it does not import."""
    modules = {"dnspython": "dns", "google-re2": "re2", "pyyaml": "yaml"}
    declared = {
        modules.get(word, word)
        for text in project["project"]["dependencies"] + project["project"]["optional-dependencies"]["diagrams"]
        for word in [re.split(r"[^\w-]", text)[0].lower()]
    }
    used: set[str] = set()
    for path in MODULES:
        used.update(module.split(".")[0] for module in imported(ast.parse(path.read_text(encoding="utf-8"))))
    foreign = used - {"calltable", "__future__"} - set(__import__("sys").stdlib_module_names)
    # calltable.testing is a plugin: only pytest imports it
    assert foreign - {"pytest"} == declared
    assert [path.name for path in MODULES if "pytest" in imported(ast.parse(path.read_text(encoding="utf-8")))] == ["testing.py"]


def test_every_dependency_has_its_reason_written_down(project):
    reasons = (ROOT / "docs" / "dependencies.md").read_text(encoding="utf-8").lower()
    extras = project["project"]["optional-dependencies"]
    for text in [*project["project"]["dependencies"], *(item for extra in extras.values() for item in extra)]:
        word = re.split(r"[<>=~!;\[ ]", text)[0].lower()
        assert re.search(rf"\b{re.escape(word)}\b", reasons), f"docs/dependencies.md does not say why {word} is used"


def test_nothing_prints_or_asserts_outside_the_command_line():
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            assert not isinstance(node, ast.Assert), f"{name(path)}:{node.lineno}: an assert disappears under -O"
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print":
                assert path.is_relative_to(ROOT / "tools"), f"{name(path)}:{node.lineno}: print"


def test_every_ignored_lint_rule_says_why():
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    for block in re.findall(r"^(?:ignore|\"\S+\") = \[\n(.*?)^\]", text, re.MULTILINE | re.DOTALL):
        for line in filter(None, map(str.strip, block.splitlines())):
            if re.match(r'"[A-Z]+\d*",', line):
                assert "#" in line, f"pyproject.toml: {line} has no reason"


FOREIGN = re.compile(r"\bsip\b|\bSIP\b|\bINVITE\b|\bBYE\b|\bACK\b|\bCANCEL\b|\b2xx\b|RFC \d|\buser\.(?!hangup\b)[a-z]")


@pytest.mark.parametrize("path", sorted((ROOT / "engine").rglob("*.py")), ids=lambda path: str(path.relative_to(ROOT)))
def test_the_engine_speaks_of_no_protocol(path: Path):
    """What tables mean is in catalogues. (A room's face may say that it knows nothing of SIP.)"""
    lines = path.read_text(encoding="utf-8").splitlines() if path.name != "__init__.py" else []
    assert [f"{i}: {line.strip()}" for i, line in enumerate(lines, 1) if FOREIGN.search(line)] == []
