"""The HTML page: an overview, then each table with its diagram beside its rows. One table alone needs no overview.

Each table is drawn in all details (``label.py``). The page opens with the fullest drawing that is legible when it fits
the window, and a button changes it. One file with no outside resource, so that it can be mailed, kept beside a release or opened from a disk. The
script (``page.js``) only shows, filters, lights up and zooms: everything it touches is in the HTML already, and
without it the page is one long readable document.
"""

from __future__ import annotations

import re
from html import escape
from importlib import resources
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from calltable.tools.draw.diagram import diagram as arrange
from calltable.tools.draw.layout import layout
from calltable.tools.draw.options import DETAILS, Options, legend
from calltable.tools.draw.picture import DARK, LIGHT, STYLE, drawing
from calltable.tools.draw.row import line, overlay
from calltable.tools.draw.shading import page_rules

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from calltable.engine.model import Machine, Row, Type
    from calltable.engine.observe import Measure

KINDS = {"row": "does something", "ignore": "ignored", "refuse": "refused", "defer": "deferred"}
READING = (
    "<p>A line on an arrow is one row: <b>event</b> <i>[guard]</i> and below it what the row does, with ↑ before what it "
    "publishes. A line inside a state is a row that stays in that state, or with <b>→</b> one that ends the session. An arrow "
    "from a box applies in every state in the box, one from a dashed node in every state that the node names.</p>"
)


def page(
    machines: Sequence[Machine], options: Options | None = None, *, measures: Sequence[Measure] = (), title: str = "calltable"
) -> str:
    """The page for ``machines``, coloured by coverage where there are ``measures``. One table opens on itself.

    Raises ``layout.LayoutUnavailableError`` without Graphviz.
    """
    shown = sorted(machines, key=lambda machine: machine.name)
    return "\n".join(_page(shown, options or Options(), {one.machine.name: one for one in measures}, title))


def resource(name: str) -> str:
    """A file that is shipped beside this module."""
    return resources.files("calltable.tools.draw").joinpath(name).read_text(encoding="utf-8")


def _page(machines: Sequence[Machine], options: Options, measures: Mapping[str, Measure], title: str) -> Iterator[str]:
    alone = machines[0].name if len(machines) == 1 else ""
    yield "<!doctype html>"
    yield '<html lang="en"><head><meta charset="utf-8">'
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">'
    yield f"<title>{escape(f'{alone} · {title}' if alone else title)}</title>"
    yield f"<style>:root {{ color-scheme: light dark; {LIGHT} }}"
    yield f"@media (prefers-color-scheme: dark) {{ :root {{ {DARK} }} }}"
    yield f"{STYLE}{resource('page.css')}"
    yield from (rule for one in measures.values() for rule in page_rules(one))
    yield f'</style></head><body{" class=alone" if alone else ""}>'
    if not alone:
        yield from _contents(machines)
    yield "<main>"
    if not alone:
        yield from _overview(machines, measures)
    for machine in machines:
        yield from _section(machine, options, measures.get(machine.name))
    yield f"</main><script>{resource('page.js')}</script></body></html>"


def _contents(machines: Sequence[Machine]) -> Iterator[str]:
    yield '<nav><a class="brand" href="#overview">calltable</a>'
    for folder, group in groupby(machines, key=lambda machine: machine.name.rpartition("/")[0]):
        yield f"<h2>{escape(folder)}</h2>"
        for machine in group:
            yield f'<a href="#{escape(machine.name)}">{escape(machine.name.rpartition("/")[2])}</a>'
    yield "</nav>"


def _overview(machines: Sequence[Machine], measures: Mapping[str, Measure]) -> Iterator[str]:
    rows = sum(len(machine.rows) for machine in machines)
    yield '<section class="sheet" id="overview"><header><h1>Tables</h1>'
    yield f"<p>{len(machines)} machines, {rows} rows. Every step of a call is one of them.</p></header>"
    yield f'<div class="cards">{"".join(map(_card, machines))}</div>'
    yield "<h3>How to read a diagram</h3>"
    yield f"{READING}{_legend(machines, list(measures.values()))}</section>"


def _prose(text: str) -> str:
    """A doc of a table as HTML: what stands in backticks is code."""
    return re.sub(r"`+([^`]+)`+", r"<code>\1</code>", escape(text))


def _card(machine: Machine) -> str:
    children = "".join(
        f'<a class="chip" href="#{escape(child.machine)}">{escape(child.name)}: {escape(child.machine)}</a>'
        for child in machine.children.values()
    )
    counts = f"{len(machine.states)} states · {len(machine.rows)} rows"
    changed = sum(bool(overlay(row)) for row in machine.rows.values())
    counts += f' · <b class="overlay">◆ {changed} from an overlay</b>' if changed else ""
    return (
        f'<div class="card"><a class="name" href="#{escape(machine.name)}">{escape(machine.name)}</a>{_badges(machine)}'
        f'<p>{_prose(machine.doc)}</p><p class="small">{counts}</p>{children}</div>'
    )


def _badges(machine: Machine) -> str:
    badges = [machine.role] if machine.role != "none" else []
    badges += ["durable"] if machine.durable else []
    return "".join(f'<span class="badge">{escape(badge)}</span>' for badge in badges)


def _legend(machines: Sequence[Machine], measures: Sequence[Measure]) -> str:
    items = "".join(
        f'<span><b class="overlay">◆</b> {escape(sign.text)}</span>'
        if sign.name == "overlay"
        else f'<span><i class="dot {sign.name}"></i>{escape(sign.text)}</span>'
        for sign in legend(machines, measures)
    )
    return f'<div class="legend">{items}</div>'


def _section(machine: Machine, options: Options, measured: Measure | None) -> Iterator[str]:
    name = escape(machine.name)
    yield f'<section class="table" id="{name}"><header><h1>{name}</h1>{_badges(machine)}<p>{_prose(machine.doc)}</p>'
    yield "".join(_facts(machine)) + "</header>"
    yield '<div class="split"><figure><div class="tools">'
    yield '<button data-zoom="detail" title="all rows, the names of events, or a map of the states">rows</button>'
    yield '<button data-zoom="in" title="larger">+</button><button data-zoom="out" title="smaller">−</button>'
    yield '<button data-zoom="fit" title="the whole diagram">fit</button><button data-zoom="one">1:1</button>'
    yield '<button data-zoom="wide" title="the diagram alone">⤢</button></div>'
    for detail in DETAILS:
        made = arrange(machine, show=options.show, fold_final=options.fold_final, detail=detail)
        yield f'<div class="canvas" data-detail="{detail}">{drawing(made, layout(made, detail, shape=1.1))}</div>'
    yield f"{_legend([machine], [measured] if measured else [])}</figure>"
    yield from _rows(machine)
    yield "</div></section>"


def _facts(machine: Machine) -> Iterator[str]:
    if machine.variables:
        yield _fact(
            "variables",
            {
                item.name: f"{item.type} = {_default(item.default)}" + (f" · {item.doc}" if item.doc else "")
                for item in machine.variables.values()
            },
        )
    if machine.parameters:
        yield _fact("parameters", {name: str(kind) for name, kind in machine.parameters.items()})
    if machine.publishes:
        yield _fact("publishes", {name: _fields(fields) for name, fields in machine.publishes.items()})
    if machine.receives:
        yield _fact("receives", dict.fromkeys(machine.receives, ""))
    if machine.children:
        yield _fact("children", {child.name: child.machine for child in machine.children.values()})
    groups = {group.name: ", ".join(group.states) for group in machine.groups.values()}
    if groups:
        yield _fact("groups", groups)
    if machine.removed:
        yield _fact("removed by an overlay", {row.id: row.doc for row in machine.removed.values()})
    yield f"<details><summary>how to read it</summary>{READING}</details>"


def _default(value: object) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return str(value).lower()
        case "":
            return '""'
        case _:
            return str(value)


def _fields(fields: Mapping[str, Type]) -> str:
    return ", ".join(f"{name}: {kind}" for name, kind in fields.items())


def _fact(title: str, items: dict[str, str]) -> str:
    entries = "".join(f"<dt>{escape(name)}</dt><dd>{escape(text)}</dd>" for name, text in items.items())
    return f"<details><summary>{escape(title)} <small>{len(items)}</small></summary><dl>{entries}</dl></details>"


# --------------------------------------------------------------------------- rows


def _rows(machine: Machine) -> Iterator[str]:
    kinds = {kind: sum(row.kind == kind for row in machine.rows.values()) for kind in KINDS}
    yield '<aside><div class="filter"><input type="search" placeholder="filter: words of a row, an id, a state …"'
    yield f' aria-label="filter the rows of {escape(machine.name)}"><div class="kinds">'
    for kind, count in kinds.items():
        if count:
            yield f'<label><input type="checkbox" checked value="{kind}">{count} {KINDS[kind]}</label>'
    yield '</div><output></output></div><div class="rows">'
    by_source: dict[str, list[Row]] = {}
    for row in machine.rows.values():
        by_source.setdefault(row.state_text or ", ".join(row.states), []).append(row)
    for source, rows in by_source.items():
        articles = "".join(_row(machine, row) for row in rows)
        yield f'<div class="from"><h3>{escape(source)}</h3>{articles}</div>'
    yield "</div></aside>"


def _row(machine: Machine, row: Row) -> str:
    text = line(machine, row)
    marks = ['<span class="badge" title="RFC demands it: no overlay may remove it">locked</span>'] if row.locked else []
    if row.priority is not None:
        marks.append(f'<span class="badge">priority {row.priority}</span>')
    if name := overlay(row):
        marks.append(f'<span class="badge overlay">◆ overlay {escape(Path(name).name)}</span>')
    elif row.origin:
        marks.append(f'<span class="badge" title="where the row comes from">{escape(row.origin)}</span>')
    guard = f' <span class="g">[{escape(text.guard)}]</span>' if text.guard else ""
    does = "".join(f"<li>{escape(effect)}</li>" for effect in text.effects)
    goes = f'<span class="to">→ {escape(row.next_state)}</span>' if row.next_state else ""
    doc = f'<p class="why">{_prose(row.doc)}</p>' if row.doc else ""
    return (
        f'<article class="{row.kind}{" overlay" if text.overlay else ""}" data-row="{escape(row.id)}" data-kind="{row.kind}" '
        f'data-states="{escape(" ".join(row.states))}">'
        f'<div class="id">{escape(row.id)}{"".join(marks)}</div>'
        f'<div class="on"><b class="{text.category}">{escape(text.event)}</b>{guard}{goes}</div>'
        f"<ul>{does}</ul>{doc}</article>"
    )
