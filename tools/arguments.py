"""What commands share of their arguments: which tables and overlays are given."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from calltable.tools import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from calltable.engine.language.load import Library
    from calltable.engine.model.machine import Machine


class Overlay(argparse.Action):
    """``--overlay FILE…``: the first is an overlay, and so are those after it that say so; other files and folders are tables."""

    def __call__(self, _: object, namespace: argparse.Namespace, values: Any, _option: str | None = None) -> None:
        """Sort the files."""
        first, *others = values
        overlays = [first, *(one for one in others if _is_overlay(one))]
        namespace.overlays = [*namespace.overlays, *overlays]
        namespace.more = [*namespace.more, *(one for one in others if one not in overlays)]


def _is_overlay(path: Path) -> bool:
    try:
        return any(line.startswith("overlay:") for line in path.read_text(encoding="utf-8", errors="replace").splitlines())
    except OSError:
        return False


def given(library: Library, paths: Sequence[Path]) -> list[Machine]:
    """The machines that are in the files and folders of a command line; all where there are none."""
    places = [path.resolve() for path in paths]
    machines = [
        machine for machine in library.machines.values()
        if any(Path(machine.position.file).resolve().is_relative_to(place) for place in places)
    ]  # fmt: skip
    return machines or list(library.machines.values())


def readable(path: Path) -> None:
    """Raise UsageError for a file or folder that holds no tables."""
    if path.is_dir():
        if not any(path.rglob("*.yaml")):
            raise UsageError(f"{path}: there is no .yaml file in this folder")
        return
    try:
        with path.open("rb"):
            pass
    except OSError as error:
        raise UsageError(f"{path}: {(error.strerror or str(error)).lower()}") from error
