"""Writes ``docs/races.md``: every scenario by name, and the ladders of the races. ``python -m tests.scenarios.page``.

The ladders come from runs, not from a pen: what the page shows is what happens.
"""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

from calltable.tools.ladder.text import ladder_text
from tests.scenarios.catalogue import SCENARIOS, Scenario, load
from tests.scenarios.races import RACES

if TYPE_CHECKING:
    from calltable.simulation import Simulation

PAGE = Path(__file__).resolve().parents[2] / "docs" / "races.md"
WIDTH = 100
LONGEST = 60
"""Lines; a longer ladder is cut, with a note."""

HEAD = """\
# Races

Every section of RFC 5407 and every bug of this kind that users of other call-control software reported is a story here, which runs
over real SIP bytes in the simulator each time the tests run: with calltable as the caller's side, as the callee's, and as a B2BUA
between two others. Each must end with both sides where the RFC wants them, and with no session, timer, transaction or dialog left.

The stories are in `tests/scenarios/`; `pytest tests/scenarios -k NAME` runs one. This page is made from them by
`python -m tests.scenarios.page`; so are the ladders. `✗` marks a message that the network lost.
"""


def page() -> str:
    """The page."""
    load()
    parts = [HEAD, "## What went wrong elsewhere\n", "| what went wrong | seen in | stories here |", "|---|---|---|"]
    for race in RACES:
        shown = ", ".join(f"[`{name}`](#{name})" for name in race.scenarios)
        missing = race.missing if race.missing.startswith("shown") else race.missing and f"not built yet: {race.missing}"
        parts.append(f"| {race.wrong} | {race.seen} | {'; '.join(part for part in (shown, missing) if part)} |")
    by_section: dict[str, list[Scenario]] = defaultdict(list)
    for story in SCENARIOS.values():
        by_section[story.section].append(story)
    races = {section: found for section, found in by_section.items() if section.startswith(("RFC 5407", "race:"))}
    told = {name for race in RACES for name in race.scenarios}
    parts.append("\n## RFC 5407 and the races, story by story\n")
    for section in sorted(races, key=_order):
        parts.append(f"### {section}\n")
        parts += [_story(story) for story in races[section]]
    parts.append("## Other stories that the table above names\n")
    parts += [_story(SCENARIOS[name]) for name in sorted(told) if SCENARIOS[name].section not in races]
    parts += ["## All the other scenarios\n", "| section | scenario | what happens |", "|---|---|---|"]
    for section in sorted(by_section, key=_order):
        if section not in races:
            parts += [f"| {section} | `{story.name}` | {story.title} |" for story in by_section[section] if story.name not in told]
    return "\n".join(parts) + "\n"


def _order(section: str) -> tuple[object, ...]:
    words = section.replace("§", "").replace(".", " ").replace(":", " ").split()
    return tuple((0, int(word), "") if word.isdecimal() else (1, 0, word) for word in words)


def _story(story: Scenario) -> str:
    sim = story.run()
    variants: list[Simulation] = getattr(sim, "variants", [])
    shown = sim if sim.trace() or not variants else variants[0]
    entries = [
        entry._replace(rows=()) for entry in shown.trace()
        if entry.kind == "message" and not entry.summary.startswith("100 ")
    ]  # fmt: skip
    lines = ladder_text(entries, names=shown.names(), width=WIDTH).rstrip().split("\n")
    if len(lines) > LONGEST:
        lines = [*lines[:LONGEST], f"… and {len(lines) - LONGEST} lines more"]
    note = f" One of {len(variants)} variants is drawn." if shown is not sim and len(variants) > 1 else ""
    ladder = "\n".join(lines)
    return (
        f'<details id="{story.name}"><summary><code>{story.name}</code>: {story.title}.{note}</summary>\n\n'
        f"```text\n{ladder}\n```\n\n</details>\n"
    )


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    print(PAGE)
