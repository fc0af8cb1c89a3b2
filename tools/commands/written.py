"""A violation that the explorer found, written as a pytest file that replays it over real SIP."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from calltable.engine.explore import said
from calltable.tools import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from calltable.engine.explore import Explored, System, Told

SILENT = frozenset({"left-behind", "disagree", "stuck", "livelock"})
"""Violations in which a call goes on that should be over."""

UNSEEN = frozenset({"not-relayed", "torn-down", "told-twice", "stated", "sent-twice", "wrong-code"})
"""Violations that the end of a call does not show, so that a test would pass on the broken table."""


def written(found: Explored, paths: Sequence[Path] = (), overlays: Sequence[Path] = ()) -> str:
    """The text of the test file. Raises UsageError for a violation that no test of this kind can show."""
    finding = found.result.finding
    if finding is None:
        raise UsageError("there is no violation to write a test of")
    asked = [told.reaction.answers for told in found.result.trace if told.reaction is not None and told.reaction.answers]
    if asked:
        raise UsageError(f"--write-test replays the tables alone, and this call depends on a predicate: {said(asked[0])}")
    if not found.composition.calls or finding.code in UNSEEN:
        raise UsageError(
            f"--write-test replays calls between legs and looks at how they end; {finding.code} in {found.composition.name} "
            "does not show there"
        )
    name = re.sub(r"\W+", "_", finding.text.lower()).strip("_")[:70]
    script = "\n".join(f"    {line}" for line in steps(found.system, found.result.trace))
    options = "".join(
        f", {key}={[str(one.resolve()) for one in given]!r}" for key, given in (("paths", paths), ("overlays", overlays)) if given
    )
    if finding.code in SILENT:
        options += ", over=True"
    told = re.match(r"(\w+) .*its owner is not told \(([\w ]+)\)", finding.text)
    if told is not None:
        options += f", heard={{{told[1]!r}: {told[2].split(' or ')!r}}}"
    return f'''"""Found by `calltable explore` in the composition «{found.composition.name}»:

{finding.text}.
"""

from calltable.simulation.retrace import retrace

SCRIPT = """
{script}
"""


def test_{name}():
    retrace(SCRIPT{options})
'''


def steps(system: System, trace: Sequence[Told]) -> Iterator[str]:
    """The steps of a trace as ``calltable.simulation.retrace`` reads them."""
    names = [element.name for element in system.elements]
    wires = {target: names[system.sender(number)] for number, target in enumerate(system.channels)}
    for move, reaction in trace:
        here = names[move.element]
        match move.given:
            case ("start",):
                sent = reaction.sent if reaction is not None else ()
                yield f"{here}: call" + ("" if all(message[-1] for _, message in sent) else " without offer")
            case ("message", port, message):
                first, number, last = message
                label = f"{first} {last} {number}" if isinstance(first, int) else f"{first} {number}"
                yield f"{wires[move.element, port]} -{'x' if move.kind == 'lose' else '>'} {here}: {label}"
            case ("event", _, event, fields):
                shown = "".join(f" {value}" for name, value in fields if name in ("code", "method"))
                if ("offer", False) in fields:
                    shown += " without offer"
                yield f"{here}: {event}{shown}"
            case _:
                continue  # what the real stack does by itself: outcomes, time-outs
