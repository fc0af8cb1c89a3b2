"""From YAML to machines: reading with positions, shape, fragments and overlays, names, types.

Change it where tables may be written differently. It answers with machines or with all problems at once, and judges nothing that takes
more than names and types: that is ``check``.
"""

from calltable.engine.language.catalogue import load_catalogue
from calltable.engine.language.declarations import outcome_events
from calltable.engine.language.literals import UnreadableError, read_literal
from calltable.engine.language.load import Library, load_tables
from calltable.engine.language.payloads import payloads_text
from calltable.engine.language.schema import schema_text, words_of
from calltable.engine.language.scope import present
from calltable.engine.language.shape import explain
from calltable.engine.language.source import BrokenSource, Node, read_source

__all__ = [
    "BrokenSource",
    "Library",
    "Node",
    "UnreadableError",
    "explain",
    "load_catalogue",
    "load_tables",
    "outcome_events",
    "payloads_text",
    "present",
    "read_literal",
    "read_source",
    "schema_text",
    "words_of",
]
