"""The command line: ``calltable check``, ``render``, ``serve`` and the others.

``main.py`` finds the command, one module each carries it out. Exit codes are the same everywhere: 0 for a
clean run, 1 where problems were found, 2 where the command line, a file or the configuration is at fault; and as shells have
it, 130 after Ctrl-C and 141 where whoever read the output has closed it.
"""

from __future__ import annotations

from pathlib import Path

OK = 0
PROBLEMS = 1
USAGE = 2
INTERRUPTED = 130
CLOSED = 141


class UsageError(Exception):
    """The command line, a file or the configuration is at fault: printed as it stands, exit code 2."""


def write(path: Path | str, text: str) -> None:
    """Write a file that was asked for. Raises UsageError."""
    try:
        Path(path).write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"cannot write {path}: {why(error)}") from error


def folder_of(path: Path | str, what: str) -> None:
    """Raise UsageError where a file cannot be made because its folder is missing; ``what`` is said before."""
    if not Path(path).parent.is_dir():
        raise UsageError(f"{what}: there is no folder {Path(path).parent}")


def page_or_text(path: str, *more: str) -> str:
    """``html`` or ``text``, by the suffix of a ladder's file, or one of ``more`` (``.jsonl``). Raises UsageError for any other."""
    suffix = Path(path).suffix.lower()
    if suffix in (".html", ".htm"):
        return "html"
    if suffix in ("", ".txt"):
        return "text"
    if suffix in more:
        return suffix[1:]
    known = ", ".join((".html", *more))
    raise UsageError(f"what {path} should hold is unclear: end it in {known} or .txt")


def why(error: OSError) -> str:
    """The reason in words, without number and file."""
    return error.strerror or str(error)
