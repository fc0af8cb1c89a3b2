"""What commands share of their arguments: which tables and overlays are given."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from calltable.tools import UsageError

if TYPE_CHECKING:
    from pathlib import Path


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
