"""The explorer: the compiled tables against each other, in every order that is possible within bounds.

Read it in this order:

- ``element``: one element as a pure transducer; local state and input in, local state and messages out;
- ``legs`` and ``transactions``: what the adapters mean, boiled down to what a table can notice;
- ``system``: elements joined by channels, with budgets for everything that could go on for ever;
- ``compositions``: which elements are joined to which, within which bounds: data;
- ``properties`` and ``stated``: what must hold, built in and stated by users;
- ``search``: every state, breadth first; ``explorer``: all of it together;
- ``mutate``: how much of what one can break is noticed.

It says what it did: «exhaustive within these bounds», never «proved».
"""

from calltable.engine.explore.assertions import Assertion, read_properties
from calltable.engine.explore.choices import said
from calltable.engine.explore.composition import Broken, Composition, Part
from calltable.engine.explore.element import ActorCode, Element, Reaction
from calltable.engine.explore.explorer import Explored, concerned, explore, with_peers
from calltable.engine.explore.mutate import Verdict, judged, mutants, tally
from calltable.engine.explore.scene import (
    BEYOND,
    FORMER,
    TOKEN,
    Actor,
    EffectError,
    Input,
    Message,
    Scene,
    Shown,
    Violation,
    blank,
)
from calltable.engine.explore.search import LIMIT, Told
from calltable.engine.explore.system import State, System, Wire

__all__ = [
    "BEYOND",
    "FORMER",
    "LIMIT",
    "TOKEN",
    "Actor",
    "ActorCode",
    "Assertion",
    "Broken",
    "Composition",
    "EffectError",
    "Element",
    "Explored",
    "Input",
    "Message",
    "Part",
    "Reaction",
    "Scene",
    "Shown",
    "State",
    "System",
    "Told",
    "Verdict",
    "Violation",
    "Wire",
    "blank",
    "concerned",
    "explore",
    "judged",
    "mutants",
    "read_properties",
    "said",
    "tally",
    "with_peers",
]
