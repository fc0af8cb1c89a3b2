"""The HTML page: an overview, then each table with its diagram beside its rows.

One file with no outside resource, so that it can be mailed, kept beside a release or opened from a disk. The
script (``page.js``) only shows, filters, lights up and zooms: everything it touches is in the HTML already, and
without it the page is one long readable document.
"""

from __future__ import annotations

import re
from html import escape
from importlib import resources
from itertools import groupby
from typing import TYPE_CHECKING

from calltable.tools.draw.diagram import diagram as arrange
from calltable.tools.draw.diagram import line
from calltable.tools.draw.layout import layout
from calltable.tools.draw.picture import DARK, LIGHT, STYLE, drawing

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from calltable.engine.model.machine import Machine, Row
    from calltable.engine.model.types import Type

KINDS = {"row": "does something", "ignore": "ignored", "refuse": "refused", "defer": "deferred"}
SOURCES = {
    "user": "from the API",
    "sip": "from the network",
    "media": "from media",
    "timer": "time",
    "child": "from a child",
    "engine": "from the engine",
}


def page(machines: Sequence[Machine], *, show: Collection[str] = (), title: str = "calltable") -> str:
    """The page for ``machines``. Raises ``layout.LayoutUnavailableError`` without Graphviz."""
    return "\n".join(_page(sorted(machines, key=lambda machine: machine.name), show, title))


def resource(name: str) -> str:
    """A file that is shipped beside this module."""
    return resources.files("calltable.tools.draw").joinpath(name).read_text(encoding="utf-8")


def _page(machines: Sequence[Machine], show: Collection[str], title: str) -> Iterator[str]:
    yield "<!doctype html>"
    yield '<html lang="en"><head><meta charset="utf-8">'
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">'
    yield f"<title>{escape(title)}</title>"
    yield f"<style>:root {{ color-scheme: light dark; {LIGHT} }}"
    yield f"@media (prefers-color-scheme: dark) {{ :root {{ {DARK} }} }}"
    yield f"{STYLE}{resource('page.css')}</style></head><body>"
    yield '<nav><a class="brand" href="#overview">calltable</a>'
    for folder, group in groupby(machines, key=lambda machine: machine.name.rpartition("/")[0]):
        yield f"<h2>{escape(folder)}</h2>"
        for machine in group:
            yield f'<a href="#{escape(machine.name)}">{escape(machine.name.rpartition("/")[2])}</a>'
    yield "</nav><main>"
    yield from _overview(machines)
    for machine in machines:
        yield from _section(machine, show)
    yield f"</main><script>{resource('page.js')}</script></body></html>"


def _overview(machines: Sequence[Machine]) -> Iterator[str]:
    rows = sum(len(machine.rows) for machine in machines)
    yield '<section class="sheet" id="overview"><header><h1>Tables</h1>'
    yield f"<p>{len(machines)} machines, {rows} rows. Every step of a call is one of them.</p></header>"
    yield f'<div class="cards">{"".join(map(_card, machines))}</div>'
    yield "<h3>How to read a diagram</h3>"
    yield (
        "<p>A line on an arrow is one row: <b>event</b> <i>[guard]</i> and below it what is done, with ↑ before what is "
        "published. Lines inside a state or a box are rows that stay. An arrow from a box is taken in every state in it, "
        "one from a dashed pill in every state that the pill names.</p>"
    )
    yield f"{_legend()}</section>"


def _prose(text: str) -> str:
    """A doc of a table as HTML: what stands in backticks is code."""
    return re.sub(r"`+([^`]+)`+", r"<code>\1</code>", escape(text))


def _card(machine: Machine) -> str:
    children = "".join(
        f'<a class="chip" href="#{escape(child.machine)}">{escape(child.name)}: {escape(child.machine)}</a>'
        for child in machine.children.values()
    )
    counts = f"{len(machine.states)} states · {len(machine.rows)} rows"
    return (
        f'<div class="card"><a class="name" href="#{escape(machine.name)}">{escape(machine.name)}</a>{_badges(machine)}'
        f'<p>{_prose(machine.doc)}</p><p class="small">{counts}</p>{children}</div>'
    )


def _badges(machine: Machine) -> str:
    badges = [machine.role] if machine.role != "none" else []
    badges += ["durable"] if machine.durable else []
    return "".join(f'<span class="badge">{escape(badge)}</span>' for badge in badges)


def _legend() -> str:
    items = "".join(f'<span><i class="dot {name}"></i>{escape(text)}</span>' for name, text in SOURCES.items())
    return f'<div class="legend">{items}</div>'


def _section(machine: Machine, show: Collection[str]) -> Iterator[str]:
    name = escape(machine.name)
    yield f'<section class="table" id="{name}"><header><h1>{name}</h1>{_badges(machine)}<p>{_prose(machine.doc)}</p>'
    yield "".join(_facts(machine)) + "</header>"
    made = arrange(machine, show=show)
    yield '<div class="split"><figure><div class="tools"><button data-zoom="in" title="larger">+</button>'
    yield '<button data-zoom="out" title="smaller">−</button><button data-zoom="fit">fit</button>'
    yield f'<button data-zoom="one">1:1</button><button data-zoom="wide" title="the diagram alone">⤢</button></div><div class="canvas">{drawing(made, layout(made))}</div>'
    yield f"{_legend()}</figure>"
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
    if row.origin:
        marks.append(f'<span class="badge" title="where the row comes from">{escape(row.origin)}</span>')
    guard = f' <span class="g">[{escape(text.guard)}]</span>' if text.guard else ""
    does = "".join(f"<li>{escape(effect)}</li>" for effect in text.effects)
    goes = f'<span class="to">→ {escape(row.next_state)}</span>' if row.next_state else ""
    doc = f'<p class="why">{_prose(row.doc)}</p>' if row.doc else ""
    return (
        f'<article class="{row.kind}" data-row="{escape(row.id)}" data-kind="{row.kind}" '
        f'data-states="{escape(" ".join(row.states))}">'
        f'<div class="id">{escape(row.id)}{"".join(marks)}</div>'
        f'<div class="on"><b class="{text.category}">{escape(text.event)}</b>{guard}{goes}</div>'
        f"<ul>{does}</ul>{doc}</article>"
    )
