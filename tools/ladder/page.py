"""Ladders as HTML: the picture on the left, the chosen message and the steps behind it on the right.

The arrows are SVG, everything else is HTML. The script only shows what is in the page already.
"""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from calltable.observe.entry import Entry
from calltable.tools.draw.picture import DARK, FONT, LIGHT
from calltable.tools.ladder.model import ladder

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from calltable.observe.entry import Entry
    from calltable.tools.ladder.model import Ladder

CLOCK = 64
GAP = 300
SIDE = 110
STEP = 46
WAIT = 30
HEAD = 64

CSS = f"""
:root {{ color-scheme: light dark; {LIGHT} }}
@media (prefers-color-scheme: dark) {{ :root {{ {DARK} }} }}
* {{ box-sizing: border-box; }}
body {{ margin: 0; background: var(--paper); color: var(--ink); font: 14px/1.45 {FONT}; }}
.ladder {{ display: grid; grid-template-columns: minmax(0, max-content) minmax(22rem, 1fr); gap: 1.5rem; padding: 1rem 1.5rem; }}
.ladder h1 {{ grid-column: 1 / -1; margin: 0; font-size: 1.3rem; letter-spacing: -.01em; }}
.ladder .scroll {{ overflow-x: auto; }}
.ladder svg {{ display: block; }}
.ladder text {{ fill: var(--ink); font: 12.5px {FONT}; }}
.ladder .party rect {{ fill: var(--panel); stroke: var(--edge-of-state); }}
.ladder .party text {{ font-weight: 650; text-anchor: middle; }}
.ladder .life {{ stroke: var(--rule); stroke-width: 2; }}
.ladder .clock {{ fill: var(--faint); font-size: 11px; text-anchor: end; font-variant-numeric: tabular-nums; }}
.ladder .wait {{ fill: var(--faint); font-size: 11px; }}
.ladder .wait-line {{ stroke: var(--paper); stroke-width: 4; stroke-dasharray: 3 4; }}
.ladder .rows {{ fill: var(--muted); font-size: 10.5px; }}
.ladder .line {{ cursor: pointer; outline: none; }}
.ladder .line .hit {{ fill: transparent; }}
.ladder .line:hover .hit, .ladder .line:focus-visible .hit {{ fill: var(--panel); }}
.ladder .line.here .hit {{ fill: color-mix(in srgb, var(--glow) 14%, transparent); }}
.ladder .line path {{ fill: none; stroke-width: 1.7; }}
.ladder .label {{ font-weight: 600; text-anchor: middle; paint-order: stroke; stroke: var(--paper); stroke-width: 4px; }}
.ladder .mid {{ text-anchor: middle; paint-order: stroke; stroke: var(--paper); stroke-width: 4px; }}
.request {{ --tone: var(--user); }} .provisional {{ --tone: var(--timer); }} .success {{ --tone: var(--sip); }}
.failure {{ --tone: var(--engine); }} .step {{ --tone: var(--child); }}
.ladder .line path {{ stroke: var(--tone); }} .ladder .line .tip, .ladder .line circle {{ fill: var(--tone); }}
.ladder .line .label {{ fill: var(--tone); }}
.ladder aside {{ position: sticky; top: 1rem; align-self: start; max-height: calc(100vh - 2rem); overflow: auto; }}
.ladder aside article[hidden] {{ display: none; }}
.ladder aside h2 {{ margin: 0 0 .2rem; font-size: 1.05rem; color: var(--tone); overflow-wrap: anywhere; }}
.ladder aside p {{ margin: 0 0 .6rem; color: var(--muted); }}
.ladder pre {{ margin: 0 0 1rem; padding: .7rem .9rem; border: 1px solid var(--rule); border-radius: 8px; background: var(--panel);
  overflow-x: auto; font: 12px/1.5 ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace; }}
.ladder ol {{ margin: 0; padding: 0; list-style: none; }}
.ladder li {{ padding: .35rem .6rem; border-left: 3px solid var(--child); background: var(--panel); margin-bottom: .35rem; }}
.ladder li code {{ font: 600 12px ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace; }}
.ladder li span {{ display: block; color: var(--muted); font-size: .86rem; }}
.ladder .hint {{ color: var(--faint); }}
@media (max-width: 64rem) {{ .ladder {{ display: block; }} .ladder aside {{ position: static; max-height: none; }} }}
"""

SCRIPT = """
"use strict";
document.querySelectorAll(".ladder").forEach((ladder) => {
  const lines = [...ladder.querySelectorAll(".line")];
  const shown = [...ladder.querySelectorAll("aside article")];
  function choose(number) {
    lines.forEach((line) => line.classList.toggle("here", line.dataset.line === String(number)));
    shown.forEach((each) => { each.hidden = each.dataset.line !== String(number); });
  }
  lines.forEach((line, place) => {
    line.addEventListener("click", () => choose(line.dataset.line));
    line.addEventListener("keydown", (event) => {
      if (event.key === "Enter" || event.key === " ") choose(line.dataset.line);
      const next = lines[place + { ArrowDown: 1, ArrowUp: -1 }[event.key]];
      if (next) { event.preventDefault(); next.focus(); choose(next.dataset.line); }
    });
  });
  if (lines.length) choose(lines[0].dataset.line);
});
"""


def document(ladders: Sequence[tuple[str, Ladder]]) -> str:
    """A whole page for some ladders, each under its title."""
    title = escape(ladders[0][0]) if ladders else "calltable"
    bodies = "\n".join(body(name, shown) for name, shown in ladders)
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{CSS}</style></head>'
        f"<body>{bodies}<script>{SCRIPT}</script></body></html>\n"
    )


def body(title: str, shown: Ladder) -> str:
    """One ladder with its details."""
    details = "".join(_detail(shown, number, item) for number, item in enumerate(shown.lines))
    return (
        f'<section class="ladder"><h1>{escape(title)}</h1><div class="scroll">{"".join(_picture(shown))}</div>'
        f'<aside>{details or "<p class=hint>Nothing was traced.</p>"}</aside></section>'
    )


def _picture(shown: Ladder) -> Iterator[str]:
    places: list[tuple[Entry, float, float]] = []
    y, before = float(HEAD), shown.start
    for item in shown.lines:
        wait = item.time - before
        before = item.time
        y += STEP + (WAIT if wait >= 1.0 else 0)
        places.append((item, y, wait))
    at = {name: CLOCK + SIDE + GAP * number for number, name in enumerate(shown.parties)}
    width = CLOCK + 2 * SIDE + GAP * max(len(shown.parties) - 1, 0)
    height = y + STEP
    yield f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height:.0f}" viewBox="0 0 {width} {height:.0f}">'
    for name, x in at.items():
        yield f'<line class="life" x1="{x}" x2="{x}" y1="42" y2="{height - 8:.0f}"/>'
        yield f'<g class="party"><rect x="{x - 92}" y="10" width="184" height="32" rx="7"/>'
        yield f'<text x="{x}" y="30.5">{escape(name)}</text></g>'
    for number, (item, line, wait) in enumerate(places):
        if wait >= 1.0:
            top = line - STEP - WAIT + 24
            yield from (f'<line class="wait-line" x1="{x}" x2="{x}" y1="{top}" y2="{top + 16}"/>' for x in at.values())
            yield f'<text class="wait" x="8" y="{top + 12}">… {wait:.1f} s</text>'
        yield _line(shown, number, item, at, line, width)
    yield "</svg>"


def _line(shown: Ladder, number: int, item: Entry, at: dict[str, int], y: float, width: int) -> str:
    tone = item.tone if item.kind == "message" else "step"
    hit = f'<rect class="hit" x="0" y="{y - 27}" width="{width}" height="{STEP - 2}" rx="6"/>'
    clock = f'<text class="clock" x="{CLOCK - 8}" y="{y + 4}">{item.time - shown.start:.3f}</text>'
    drawn = _arrow(shown, item, at, y) if item.kind == "message" else _dot(shown, item, at, y)
    return f'<g class="line {tone}" tabindex="0" role="button" data-line="{number}">{hit}{clock}{drawn}</g>'


def _arrow(shown: Ladder, item: Entry, at: dict[str, int], y: float) -> str:
    source, target = at[shown.name(item.source)], at[shown.name(item.destination)]
    rows = escape(_fit(" · ".join(item.rows), 48))
    if source == target:
        path = f'<path d="M{source},{y - 8} h26 v14 h-22"/>'
        return f'{path}<text x="{source + 34}" y="{y + 3}" class="loop">{escape(item.label)}</text>'
    way = 1 if target > source else -1
    end = (source + target) / 2 + way * 60 if item.lost else target - way * 2
    middle = (source + target) / 2
    head = (
        f'<path d="M{end - 5},{y - 5} l10,10 m0,-10 l-10,10"/>'
        if item.lost
        else f'<path class="tip" d="M{end},{y} l{-way * 9},-4.2 v8.4 z"/>'
    )
    return (
        f'<path d="M{source},{y} H{end - (0 if item.lost else way * 8)}"/>{head}'
        f'<text class="label" x="{middle}" y="{y - 8}">{escape(_fit(item.label, 38))}</text>'
        f'<text class="rows mid" x="{middle}" y="{y + 14}">{rows}</text>'
    )


def _dot(shown: Ladder, item: Entry, at: dict[str, int], y: float) -> str:
    x = at.get(shown.home, CLOCK + SIDE)
    moved = f" → {item.after}" if item.after != item.before else ""
    return (
        f'<circle cx="{x}" cy="{y}" r="5"/><text class="label" style="text-anchor:start" x="{x + 12}" y="{y + 1}">'
        f'{escape(_fit(item.event + moved, 36))}</text><text class="rows" x="{x + 12}" y="{y + 15}">{escape(item.row)}</text>'
    )


def _fit(text: str, longest: int) -> str:
    return text if len(text) <= longest else text[: longest - 1] + "…"


def _detail(shown: Ladder, number: int, item: Entry) -> str:
    if item.kind == "message":
        lost = " · lost on the way" if item.lost else ""
        leg = f" · leg {item.leg}" if item.leg else ""
        heading = item.label
        about = f"{shown.name(item.source)} → {shown.name(item.destination)}{leg}{lost}"
        steps = shown.of(item)
        known = {step.row for step in steps}
        bare = [f"<li><code>{escape(row)}</code></li>" for row in item.rows if row not in known]
        text = f"<pre>{escape(item.text.strip())}</pre>" if item.text else ""
        tone = item.tone
    else:
        heading, about, steps, bare, text, tone = item.event, item.session, [item], [], "", "step"
    listed = "".join(bare) + "".join(_step(step) for step in steps)
    return (
        f'<article class="{tone}" data-line="{number}"><h2>{escape(heading)}</h2><p>{item.time - shown.start:.3f} s · '
        f"{escape(about)}</p>{text}<ol>{listed}</ol></article>"
    )


def _step(step: Entry) -> str:
    moved = f"{step.before} → {step.after}" if step.after != step.before else f"stays {step.before}"
    published = f"<span>↑ {escape(', '.join(step.publications))}</span>" if step.publications else ""
    where = " · ".join(filter(None, (step.machine, step.session)))
    return (
        f"<li><code>{escape(step.row)}</code><span>{escape(where)}</span>"
        f"<span>{escape(step.event)}: {escape(moved)}</span>{published}</li>"
    )


def ladder_html(
    entries: Iterable[Entry], *, names: Mapping[str, str] | None = None, title: str = "a call", whole: bool = True
) -> str:
    """The ladder as one self-contained page; a click on an arrow shows the message and the steps behind it.

    With ``whole=False`` only what goes between the tags of a page that has the style and script already.
    """
    from calltable.tools.ladder.page import body, document  # noqa: PLC0415 — it builds on this module

    shown = ladder(entries, names)
    return document([(title, shown)]) if whole else body(title, shown)
