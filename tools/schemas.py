"""Writes the shipped JSON Schema anew: ``python -m calltable.tools.schemas``, after a change of the catalogue."""

from __future__ import annotations

from calltable import tables
from calltable.engine.language.catalogue import load_catalogue
from calltable.engine.language.schema import schema_text


def main() -> None:
    """Write ``tables/schema/table.schema.json`` from the shipped catalogue."""
    folder = tables.files()
    catalogue = load_catalogue(sorted((folder / "catalogue").glob("*.yaml")))
    (folder / "schema").mkdir(exist_ok=True)
    (folder / "schema" / "table.schema.json").write_text(schema_text(catalogue), encoding="utf-8")


if __name__ == "__main__":
    main()
