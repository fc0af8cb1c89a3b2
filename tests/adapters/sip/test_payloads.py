"""The typed payloads of SIP actions are current, and handlers ask for nothing that the catalogue does not have."""

from __future__ import annotations

import ast

from calltable import tables
from calltable.engine.language.load import load_tables
from calltable.engine.language.payloads import payloads_text

SIP = tables.files().parent / "adapters" / "sip"
DRAWN = "drawn"
"""What ``Drawing`` adds to the parameters before a commit."""


def trees():
    for room in ("core", "transaction"):
        for path in sorted((SIP / room).glob("*.py")):
            yield ast.parse(path.read_text(encoding="utf-8"))


def handlers(actions):
    """Names of the methods that are given as handlers, with the actions they are given for."""
    found = {}
    for tree in trees():
        for node in ast.walk(tree):
            for key, value in zip(node.keys, node.values, strict=True) if isinstance(node, ast.Dict) else ():
                if isinstance(key, ast.Constant) and key.value in actions and isinstance(value, ast.Attribute):
                    found.setdefault(value.attr, set()).add(key.value)
    return found


def asked(function):
    """The constant keys by which a handler asks its parameters, which it calls ``p``."""
    for node in ast.walk(function):
        if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name) and node.value.id == "p" and isinstance(node.slice, ast.Constant):
            yield node.slice.value
        if (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "get"
                and isinstance(node.func.value, ast.Name) and node.func.value.id == "p"):  # fmt: skip
            yield node.args[0].value


def test_the_module_is_current():
    actions = {name: one for name, one in load_tables().catalogue.actions.items() if name.startswith("sip.")}
    text = (SIP / "core" / "payloads.py").read_text(encoding="utf-8")
    assert text == payloads_text(actions, "sip"), "the catalogue has changed: run python -m calltable.tools.schemas"


def test_handlers_ask_for_parameters_that_the_catalogue_has():
    actions = load_tables().catalogue.actions
    of = handlers(actions)
    assert len(of) > 10
    seen = 0
    for tree in trees():
        for function in ast.walk(tree):
            if isinstance(function, ast.FunctionDef) and function.name in of:
                known = {DRAWN}.union(*(actions[name].parameters for name in of[function.name]))
                keys = set(asked(function))
                assert keys <= known, f"{function.name} of {sorted(of[function.name])}"
                seen += len(keys - {DRAWN})
    assert seen > 5


