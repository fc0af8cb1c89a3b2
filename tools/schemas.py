"""Writes what is made of the shipped catalogues anew: ``python -m calltable.tools.schemas``, after a change of a catalogue.

That is the JSON Schema of tables, and the typed payloads of the SIP actions.
"""

from __future__ import annotations

from calltable import tables
from calltable.engine.language import load_catalogue, payloads_text, schema_text


def main() -> None:
    """Write ``tables/schema/table.schema.json`` and ``adapters/sip/core/payloads.py``."""
    folder = tables.files()
    catalogue = load_catalogue(sorted((folder / "catalogue").glob("*.yaml")))
    (folder / "schema").mkdir(exist_ok=True)
    (folder / "schema" / "table.schema.json").write_text(schema_text(catalogue), encoding="utf-8")
    actions = {name: one for name, one in catalogue.actions.items() if name.startswith("sip.")}
    (folder.parent / "adapters" / "sip" / "core" / "payloads.py").write_text(payloads_text(actions, "sip"), encoding="utf-8")


if __name__ == "__main__":
    main()
