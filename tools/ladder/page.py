"""Ladders as HTML: the picture on the left, the chosen message and the steps behind it on the right.

The arrows are SVG, everything else is HTML. Nothing is cut off: the parties stand as far apart as the labels need, up to
``WIDEST``, and what is longer goes on in another line. What a peer wrote is escaped twice, for HTML and so that no
character of it is invisible. The script only shows what is in the page already.
"""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from calltable.adapters.sip.message import visible
from calltable.tools.draw import DARK, FONT, LIGHT, measure
from calltable.tools.ladder.model import ladder
from calltable.tools.terminal import wrapped

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from calltable.observe import Entry
    from calltable.tools.ladder.model import Ladder

CLOCK = 64
"""Room for the time, in pixels as all lengths here."""
NARROWEST, WIDEST = 220, 420
"""Between two lines of life."""
SIDE = 110
STEP = 46
WAIT = 30
LINE = 15
"""From one line of a label to the next."""
LABEL, ROWS, NAME = 12.5, 10.5, 12.5
"""Font sizes."""

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
.ladder .label.aside {{ text-anchor: start; }}
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


def ladder_html(
    entries: Iterable[Entry], *, names: Mapping[str, str] | None = None, title: str = "a call", whole: bool = True
) -> str:
    """The ladder as one self-contained page; a click on an arrow shows the message and the steps behind it.

    With ``whole=False`` only what goes between the tags of a page that has the style and script already.
    """
    shown = ladder(entries, names)
    return document([(title, shown)]) if whole else body(title, shown)


def document(ladders: Sequence[tuple[str, Ladder]]) -> str:
    """A whole page for some ladders, each under its title."""
    title = _escaped(ladders[0][0]) if ladders else "calltable"
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
        f'<section class="ladder"><h1>{_escaped(title)}</h1><div class="scroll">{"".join(_Picture(shown).draw())}</div>'
        f'<aside>{details or "<p class=hint>Nothing was traced.</p>"}</aside></section>'
    )


def _escaped(text: str) -> str:
    return escape(visible(text))


def _fitted(text: str, room: float, size: float, *, bold: bool = False) -> list[str]:
    """The text in lines that are at most ``room`` pixels wide."""
    shown = visible(text)
    wide = measure(shown, size, bold=bold)
    return [shown] if wide <= room else wrapped(shown, int(len(shown) * room / wide))


def _texts(lines: Sequence[str], x: float, y: float, css: str) -> str:
    """Lines of text from ``y`` down."""
    return "".join(
        f'<text class="{css}" x="{x:g}" y="{y + LINE * number:g}">{escape(line)}</text>' for number, line in enumerate(lines)
    )


class _Picture:
    """The SVG of one ladder. Each line is as high as its label above the arrow and its rows below need."""

    def __init__(self, shown: Ladder) -> None:
        self.shown = shown
        labels = [measure(visible(item.label), LABEL, bold=True) for item in shown.lines if item.kind == "message"]
        self.gap = round(min(max([NARROWEST, *(label + 50 for label in labels)]), WIDEST))
        self.names = [_fitted(name, self.gap - 34, NAME, bold=True) for name in shown.parties]
        self.top = 27 + LINE * max((len(name) for name in self.names), default=1)
        self.at = {name: CLOCK + SIDE + self.gap * number for number, name in enumerate(shown.parties)}
        self.width = CLOCK + 2 * SIDE + self.gap * max(len(shown.parties) - 1, 0)

    def draw(self) -> Iterator[str]:
        """The picture, in parts."""
        lines, height = self._lines()
        yield f'<svg xmlns="http://www.w3.org/2000/svg" width="{self.width}" height="{height:g}" viewBox="0 0 {self.width} {height:g}">'
        for (name, x), told in zip(self.at.items(), self.names, strict=True):
            wide = max(measure(line, NAME, bold=True) for line in told) + 24
            wide = max(wide, 110)
            yield f'<line class="life" x1="{x}" x2="{x}" y1="{self.top}" y2="{height - 8:g}"/>'
            yield f'<g class="party"><title>{_escaped(name)}</title>'
            yield f'<rect x="{x - wide / 2:g}" y="10" width="{wide:g}" height="{self.top - 10}" rx="7"/>'
            yield _texts(told, x, 10 + (self.top - 10 - LINE * len(told)) / 2 + 11.5, "") + "</g>"
        yield from lines
        yield "</svg>"

    def _lines(self) -> tuple[list[str], float]:
        drawn: list[str] = []
        y, before = float(self.top), self.shown.start
        for number, item in enumerate(self.shown.lines):
            wait, before = item.time - before, item.time
            if wait >= 1.0:
                drawn += [f'<line class="wait-line" x1="{x}" x2="{x}" y1="{y + 6:g}" y2="{y + 22:g}"/>' for x in self.at.values()]
                drawn.append(f'<text class="wait" x="8" y="{y + 18:g}">… {wait:.1f} s</text>')
                y += WAIT
            above, below, parts = self._message(item) if item.kind == "message" else self._step(item)
            line = y + above
            tone = item.tone if item.kind == "message" else "step"
            drawn.append(
                f'<g class="line {tone}" tabindex="0" role="button" data-line="{number}">'
                f'<rect class="hit" x="0" y="{y + 2:g}" width="{self.width}" height="{above + below - 4:g}" rx="6"/>'
                f'<text class="clock" x="{CLOCK - 8}" y="{line + 4:g}">{item.time - self.shown.start:.3f}</text>'
                f'<g transform="translate(0 {line:g})">{parts}</g></g>'
            )
            y = line + below
        return drawn, y + 24

    def _message(self, item: Entry) -> tuple[float, float, str]:
        """The room above and below an arrow, and the arrow with its texts, at height 0."""
        source, target = self.at[self.shown.name(item.source)], self.at[self.shown.name(item.destination)]
        if source == target:
            told = _fitted(item.label, self.gap - 50, LABEL, bold=True)
            path = f'<path d="M{source},-8 h26 v14 h-22"/>'
            return STEP / 2, STEP / 2 + LINE * (len(told) - 1), path + _texts(told, source + 34, 3, "loop")
        way = 1 if target > source else -1
        middle, end = (source + target) / 2, target - way * 2.0
        if item.lost:
            end = middle + way * 60
        room = abs(target - source) - 24.0
        label = _fitted(item.label, room, LABEL, bold=True)
        rows = _fitted(" · ".join(item.rows), room, ROWS) if item.rows else []
        head = (
            f'<path d="M{end - 5},-5 l10,10 m0,-10 l-10,10"/>'
            if item.lost
            else f'<path class="tip" d="M{end},0 l{-way * 9},-4.2 v8.4 z"/>'
        )
        parts = (
            f'<path d="M{source},0 H{end - (0 if item.lost else way * 8)}"/>{head}'
            + _texts(label, middle, -8.0 - LINE * (len(label) - 1), "label")
            + _texts(rows, middle, 14, "rows mid")
        )
        return 12.0 + LINE * len(label), STEP - 27.0 + LINE * max(len(rows) - 1, 0), parts

    def _step(self, item: Entry) -> tuple[float, float, str]:
        x = self.at.get(self.shown.home, CLOCK + SIDE)
        moved = f" → {item.after}" if item.after != item.before else ""
        told = _fitted(item.event + moved, self.gap - 34, LABEL, bold=True)
        parts = (
            f'<circle cx="{x}" cy="0" r="5"/>' + _texts(told, x + 12, 1, "label aside")
            + _texts([visible(item.row)], x + 12, LINE * len(told), "rows")
        )  # fmt: skip
        return 27.0, STEP - 27.0 + LINE * (len(told) - 1), parts


def _detail(shown: Ladder, number: int, item: Entry) -> str:
    if item.kind == "message":
        lost = " · lost on the way" if item.lost else ""
        leg = f" · leg {item.leg}" if item.leg else ""
        heading = item.label
        about = f"{shown.name(item.source)} → {shown.name(item.destination)}{leg}{lost}"
        steps = shown.of(item)
        known = {step.row for step in steps}
        bare = [f"<li><code>{_escaped(row)}</code></li>" for row in item.rows if row not in known]
        told = "\n".join(map(_escaped, item.text.strip().splitlines()))
        text = f"<pre>{told}</pre>" if told else ""
        tone = item.tone
    else:
        heading, about, steps, bare, text, tone = item.event, item.session, [item], [], "", "step"
    listed = "".join(bare) + "".join(_step(step) for step in steps)
    return (
        f'<article class="{tone}" data-line="{number}"><h2>{_escaped(heading)}</h2><p>{item.time - shown.start:.3f} s · '
        f"{_escaped(about)}</p>{text}<ol>{listed}</ol></article>"
    )


def _step(step: Entry) -> str:
    moved = f"{step.before} → {step.after}" if step.after != step.before else f"stays {step.before}"
    published = f"<span>↑ {_escaped(', '.join(step.publications))}</span>" if step.publications else ""
    where = " · ".join(filter(None, (step.machine, step.session)))
    return (
        f"<li><code>{_escaped(step.row)}</code><span>{_escaped(where)}</span>"
        f"<span>{_escaped(step.event)}: {_escaped(moved)}</span>{published}</li>"
    )
