"""The shipped behaviour: YAML tables, the catalogue they draw on, and the JSON Schema for editors.

There is no code here beside this file. ``files()`` says where the tables are, so that they can be read,
copied and edited; ``schema/table.schema.json`` is what an editor's YAML language server reads.
"""

from __future__ import annotations

from pathlib import Path


def files() -> Path:
    """The folder that holds the shipped tables."""
    return Path(__file__).resolve().parent
