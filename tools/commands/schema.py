"""``calltable schema``: a JSON Schema for editors that knows one's own tables and catalogues.

The schema that is shipped knows the shipped catalogues. This one is made of the files given: it completes and checks their events,
actions and parameters, and completes states, variables and fields. Write it again when a catalogue has changed.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from calltable.tools import OK, PROBLEMS, UsageError, write
from calltable.tools.arguments import readable

if TYPE_CHECKING:
    import argparse

EXAMPLES = """\
examples:
  calltable schema my-tables/ -o my-tables/table.schema.json
  then begin each file with: # yaml-language-server: $schema=table.schema.json
"""


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    import argparse  # noqa: PLC0415

    parser = subparsers.add_parser(
        "schema", help="write a JSON Schema that knows your tables", epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Write a JSON Schema for editors, made of the tables and catalogues given.",
    )  # fmt: skip
    parser.add_argument("paths", nargs="+", type=Path, metavar="FILE|DIR", help="tables and catalogues")
    parser.add_argument("--overlay", action="append", type=Path, default=[], metavar="FILE", dest="overlays",
                        help="an overlay of these tables; may be repeated")  # fmt: skip
    parser.add_argument("-o", "--output", type=Path, metavar="FILE", help="write it there (default: print it)")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Write the schema; 0, or 1 where the tables do not load. Raises UsageError for what cannot be read or written."""
    from calltable.engine.language import (  # noqa: PLC0415
        load_tables,
        schema_text,
        words_of,
    )
    from calltable.engine.model import TableError  # noqa: PLC0415

    for path in [*options.paths, *options.overlays]:
        readable(path)
    try:
        library = load_tables(options.paths, overlays=options.overlays)
    except TableError as error:
        print(error, file=sys.stderr)
        print("the tables do not load, so their words are not known: see `calltable check`", file=sys.stderr)
        return PROBLEMS
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(str(error)) from error
    text = schema_text(library.catalogue, words_of(library.machines.values(), library.catalogue))
    if options.output is None:
        print(text, end="")
    else:
        write(options.output, text)
    return OK
