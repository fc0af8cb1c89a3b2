"""A diagram as SVG: text, boxes and arrows at the places that ``layout.py`` found.

Colours are CSS variables with a light and a dark set, so that one file suits both kinds of screen. Every row is
a group with ``data-row`` (or a name with ``data-rows``), every state one with ``data-state`` and every arrow one with
``data-rows``: the page lights them up, and so may any other program. Tooltips (``<title>``) hold what the picture has
trimmed. A file that stands alone has its legend below the picture.
"""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from calltable.tools.draw.diagram import diagram as arrange
from calltable.tools.draw.label import LEADING, PAD, SIZE, measure
from calltable.tools.draw.layout import Placed, layout
from calltable.tools.draw.options import Options, legend
from calltable.tools.draw.shading import MISSED, PARTLY, REACHED, rules

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from calltable.engine.model import Machine
    from calltable.engine.observe import Measure
    from calltable.tools.draw.diagram import Box, Diagram, Node
    from calltable.tools.draw.label import Block, Span, TextLine
    from calltable.tools.draw.layout import Layout, Point, Route
    from calltable.tools.draw.options import Sign

LIGHT = f"""
--paper:#ffffff; --ink:#1b2330; --muted:#5d6878; --faint:#8b96a6; --rule:#d5dbe4; --wire:#7f8b9c;
--state:#f6f8fb; --edge-of-state:#8c99ac; --box:#5b7fb50f; --edge-of-box:#9fb2d0; --glow:#e8590c; --panel:#f4f6f9;
--user:#1558c0; --sip:#0a6b43; --media:#0b6e7d; --timer:#9a4b00; --engine:#b3202a; --child:#7a2fc2; --guard:#5d4a12;
--overlay:#c2410c; --reached:{REACHED}; --partly:{PARTLY}; --missed:{MISSED};
"""
DARK = """
--paper:#12161c; --ink:#e6ebf2; --muted:#a3aebd; --faint:#78849a; --rule:#2b333f; --wire:#75839a;
--state:#1b222c; --edge-of-state:#5f6f86; --box:#7fa4dd12; --edge-of-box:#41536f; --glow:#ffa94d; --panel:#181d25;
--user:#79b0ff; --sip:#62d3a0; --media:#5fd0e0; --timer:#f2b26b; --engine:#ff8a8f; --child:#c8a0ff; --guard:#e3cf8b;
--overlay:#ff9d5c; --reached:#3fb950; --partly:#d8a21a; --missed:#ff7b72;
"""
FONT = 'Inter, "Helvetica Neue", Helvetica, Arial, "Liberation Sans", sans-serif'
STYLE = f"""
.diagram {{ font: {SIZE}px {FONT}; }}
.diagram text {{ fill: var(--ink); white-space: pre; }}
.diagram .title {{ font-weight: 650; }}
.diagram .doc, .diagram .fold, .diagram .more {{ fill: var(--faint); }}
.diagram .effect {{ fill: var(--muted); }}
.diagram .goes {{ font-weight: 600; }}
.diagram .guard {{ fill: var(--guard); }}
.diagram .event {{ font-weight: 600; }}
.diagram .overlay {{ fill: var(--overlay); font-weight: 700; }}
.diagram .user {{ fill: var(--user); }} .diagram .sip {{ fill: var(--sip); }} .diagram .media {{ fill: var(--media); }}
.diagram .timer {{ fill: var(--timer); }} .diagram .engine {{ fill: var(--engine); }} .diagram .child {{ fill: var(--child); }}
.diagram .state > rect {{ fill: var(--state); stroke: var(--edge-of-state); stroke-width: 1.2; }}
.diagram .state.pill > rect {{ fill: var(--paper); stroke-dasharray: 4 3; }}
.diagram .state .rule {{ stroke: var(--rule); }}
.diagram .inner {{ fill: none !important; }}
.diagram .box > rect {{ fill: var(--box); stroke: var(--edge-of-box); stroke-width: 1.2; }}
.diagram .box .title {{ fill: var(--muted); }}
.diagram .arrow path {{ fill: none; stroke: var(--wire); stroke-width: 1.2; }}
.diagram .arrow polygon {{ fill: var(--wire); }}
.diagram .arrow .back {{ fill: transparent; }}
.diagram .arrow text {{ paint-order: stroke; stroke: var(--paper); stroke-width: 3px; stroke-linejoin: round; }}
.diagram .legend text {{ fill: var(--muted); }}
.diagram .start circle {{ fill: var(--ink); }}
"""
ALONE = (
    f".diagram {{ {LIGHT} background: var(--paper); }}\n"
    f"@media (prefers-color-scheme: dark) {{ .diagram {{ {DARK} }} }}\n{STYLE}"
)
MARGIN = 14.0


def svg(machine: Machine, options: Options | None = None, *, measured: Measure | None = None) -> str:
    """One table as an SVG file, with ``measured`` coloured by coverage. Raises ``layout.LayoutUnavailableError`` without Graphviz."""
    chosen = options or Options()
    made = arrange(machine, show=chosen.show, fold_final=chosen.fold_final, detail=chosen.detail)
    measures = [measured] if measured else []
    style = ALONE + "\n".join(rule for one in measures for rule in rules(one))
    return drawing(made, layout(made, chosen.detail), style=style, signs=legend([machine], measures))


def drawing(made: Diagram, placed: Layout, *, style: str = "", signs: Sequence[Sign] = ()) -> str:
    """The ``<svg>`` element; with ``style`` one that can stand alone, with ``signs`` one with a legend."""
    return "\n".join(_drawing(made, placed, style, signs))


def _drawing(made: Diagram, placed: Layout, style: str, signs: Sequence[Sign]) -> Iterator[str]:
    width, height = placed.width + 2 * MARGIN, placed.height + 2 * MARGIN
    shown = _legend(signs, placed)
    height += LEADING * 1.5 * len(shown)
    yield (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="diagram" role="img" width="{width:.0f}" height="{height:.0f}" '
        f'viewBox="{-MARGIN:.0f} {-MARGIN:.0f} {width:.0f} {height:.0f}" aria-label="{escape(made.machine.name)}">'
    )
    if style:
        yield f"<style>{style}</style>"
    for box in sorted(made.boxes.values(), key=lambda box: -len(box.states)):
        yield _box(box, placed.boxes[box.id])
    if placed.dot is not None and placed.start is not None:
        x, y = placed.dot
        yield f'<g class="arrow start"><circle cx="{x:.1f}" cy="{y:.1f}" r="5.5"/>{_path(placed.start)}</g>'
    labels: list[str] = []
    for edge in made.edges:
        route = placed.edges[edge.id]
        rows = escape(" ".join(line.row for line in edge.lines))
        yield f'<g class="arrow" data-rows="{rows}">{_path(route)}</g>'
        if route.label is not None:
            labels.append(f'<g class="arrow label" data-rows="{rows}">{_label(route.label)}</g>')
    for node in made.nodes.values():
        yield _node(node, placed.nodes[node.id])
    yield from labels
    if shown:
        yield f'<g class="legend">{"".join(shown)}</g>'
    yield "</svg>"


def _legend(signs: Sequence[Sign], placed: Layout) -> list[str]:
    """The legend in lines as wide as the picture."""
    lines: list[str] = []
    x, line = 0.0, ""
    for sign in signs:
        wide = measure(sign.text, SIZE) + 30
        if line and x + wide > placed.width:
            lines.append(line)
            x, line = 0.0, ""
        y = placed.height + LEADING * (1.5 * len(lines) + 1.4)
        mark = (
            f'<text x="{x:.1f}" y="{y + 4:.1f}"><tspan class="overlay">◆</tspan></text>'
            if sign.name == "overlay"
            else f'<circle class="{sign.name}" style="fill:var(--{sign.name})" cx="{x + 5:.1f}" cy="{y:.1f}" r="4"/>'
        )
        line += f'{mark}<text x="{x + 14:.1f}" y="{y + 4:.1f}">{escape(sign.text)}</text>'
        x += wide
    return [*lines, line] if line else lines


def _rect(place: Placed, radius: float, *, inset: float = 0.0, css: str = "") -> str:
    x, y = place.x - place.width / 2 + inset, place.y - place.height / 2 + inset
    css = f' class="{css}"' if css else ""
    return (
        f'<rect{css} x="{x:.1f}" y="{y:.1f}" width="{place.width - 2 * inset:.1f}" '
        f'height="{place.height - 2 * inset:.1f}" rx="{radius:.0f}"/>'
    )


def _node(node: Node, place: Placed) -> str:
    left, top = place.x - place.width / 2 + PAD, place.y - place.text.height / 2
    parts = [f"<title>{escape(chr(10).join(filter(None, (node.name, node.doc))))}</title>"]
    parts.append(_rect(place, place.height / 2 if node.pill and len(place.text.lines) == 1 else 7))
    if node.final:
        parts.append(_rect(place, 5, inset=3, css="inner"))
    if node.lines:
        y = top + place.text.above + PAD / 2
        parts.append(
            f'<line class="rule" x1="{left - PAD:.1f}" x2="{left - PAD + place.width:.1f}" y1="{y:.1f}" y2="{y:.1f}"/>'
        )
        parts.append(_text(place.text, left, top))
    else:
        parts.append(_text(place.text, place.x, top, anchor="middle"))
    css = "state" + (" pill" if node.pill else "") + (" final" if node.final else "")
    states = escape(" ".join(node.states))
    return f'<g class="{css}" data-state="{states}">{"".join(parts)}</g>'


def _box(box: Box, place: Placed) -> str:
    text = _text(place.text, place.x - place.width / 2 + 12, place.y - place.height / 2 + 8)
    states = ", ".join(box.states)
    title = f"<title>{escape(f'{box.name}: {states}')}</title>"
    return f'<g class="box" data-group="{escape(box.name)}">{title}{_rect(place, 10)}{text}</g>'


def _label(place: Placed) -> str:
    x, y = place.x - place.width / 2 - 3, place.y - place.height / 2 - 1
    back = f'<rect class="back" x="{x:.1f}" y="{y:.1f}" width="{place.width + 6:.1f}" height="{place.height + 2:.1f}"/>'
    return back + _text(place.text, place.x - place.width / 2, place.y - place.height / 2)


def _text(block: Block, x: float, top: float, *, anchor: str = "") -> str:
    """The lines of a block from ``top`` down; consecutive lines of one row share a group and a tooltip."""
    parts: list[str] = []
    open_row = ""
    y = top
    for line in block.lines:
        y += line.gap + line.size / SIZE * LEADING
        row = line.row.row if line.row else ""
        if row != open_row:
            if open_row:
                parts.append("</g>")
            if line.row:
                parts.append(f'<g class="row" data-row="{escape(row)}"><title>{escape(line.row.tooltip)}</title>')
            open_row = row
        parts.append(_line(line, x, y - line.size * 0.3, anchor))
    if open_row:
        parts.append("</g>")
    return "".join(parts)


def _line(line: TextLine, x: float, y: float, anchor: str) -> str:
    spans = "".join(map(_span, line.spans))
    size = f' font-size="{line.size:g}"' if line.size != SIZE else ""
    middle = f' text-anchor="{anchor}"' if anchor else ""
    return f'<text x="{x:.1f}" y="{y:.1f}"{size}{middle}>{spans}</text>'


def _span(span: Span) -> str:
    text = escape(span.text, quote=False)
    if not span.rows:
        return f'<tspan class="{span.style}">{text}</tspan>'
    rows = escape(" ".join(row.row for row in span.rows))
    title = escape("\n\n".join(row.tooltip for row in span.rows))
    return f'<tspan class="row {span.style}" data-rows="{rows}">{text}<title>{title}</title></tspan>'


def _path(route: Route) -> str:
    first, *rest = route.points
    curve = " ".join(f"{x:.1f},{y:.1f}" for x, y in rest)
    path = f'<path d="M{first[0]:.1f},{first[1]:.1f} C{curve}"/>'
    return path + (_head(route.points[-1], route.tip) if route.tip else "")


def _head(end: Point, tip: Point) -> str:
    """The arrow head, from where the line ends to the tip."""
    dx, dy = tip[0] - end[0], tip[1] - end[1]
    length = (dx * dx + dy * dy) ** 0.5 or 1.0
    nx, ny = -dy / length * 3.2, dx / length * 3.2
    corners = ((end[0] + nx, end[1] + ny), (end[0] - nx, end[1] - ny), tip)
    points = " ".join(f"{x:.1f},{y:.1f}" for x, y in corners)
    return f'<polygon points="{points}"/>'
