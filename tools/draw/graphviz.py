"""A diagram for Graphviz: as DOT text, which ``dot`` lays out as it stands, and drawn as PNG.

The labels are Graphviz' HTML-like ones, so that events have their colours here too. The PNG is drawn by the Graphviz
that pygraphviz brings along: no other program is needed.
"""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from calltable.tools.draw.diagram import diagram as arrange
from calltable.tools.draw.label import SIZE, TITLE, edge_block, node_block
from calltable.tools.draw.layout import graphviz
from calltable.tools.draw.options import Options, legend
from calltable.tools.draw.shading import MISSED, PARTLY, REACHED, fate

if TYPE_CHECKING:
    from collections.abc import Iterator

    from calltable.engine.model import Machine
    from calltable.engine.observe import Measure
    from calltable.tools.draw.diagram import Box, Diagram, Edge, Node
    from calltable.tools.draw.label import Block, Span, TextLine
    from calltable.tools.draw.options import Sign
    from calltable.tools.draw.row import Line

COLOURS = {
    "user": "#1558c0", "sip": "#0a6b43", "media": "#0b6e7d", "timer": "#9a4b00", "engine": "#b3202a", "child": "#7a2fc2",
    "guard": "#5d4a12", "effect": "#5d6878", "doc": "#8b96a6", "fold": "#8b96a6", "more": "#8b96a6", "overlay": "#c2410c",
    "reached": REACHED, "partly": PARTLY, "missed": MISSED,
}  # fmt: skip
"""Of the styles of text and the signs of the legend; those of ``picture.py`` on light paper."""
BOLD = ("event", "title", "goes", "overlay")
DPI = 144
"""Dots per inch of a PNG: twice the size of the layout, for dense screens."""


def dot(machine: Machine, options: Options | None = None, *, measured: Measure | None = None) -> str:
    """One table as a Graphviz graph; with ``measured`` its arrows have the colours of coverage."""
    chosen = options or Options()
    made = arrange(machine, show=chosen.show, fold_final=chosen.fold_final, detail=chosen.detail)
    return "\n".join(_Writer(made, chosen, measured).graph()) + "\n"


def png(machine: Machine, options: Options | None = None, *, measured: Measure | None = None) -> bytes:
    """One table as a PNG picture. Raises ``layout.LayoutUnavailableError`` without Graphviz."""
    return graphviz(dot(machine, options, measured=measured), "png", f"-Gdpi={DPI}")


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'


def _tooltip(lines: list[Line]) -> str:
    return _quoted("\n\n".join(line.tooltip for line in lines))


class _Writer:
    """One graph as it is written. With coverage, the texts of rows have its colours too, not those of their sources."""

    def __init__(self, made: Diagram, options: Options, measured: Measure | None) -> None:
        self.made = made
        self.options = options
        self.measured = measured

    def graph(self) -> Iterator[str]:
        made = self.made
        yield f"digraph {_quoted(made.machine.name)} {{"
        signs = legend([made.machine], [self.measured] if self.measured else [])
        yield f"  compound=true; ranksep=0.35; nodesep=0.35; labelloc=b; labeljust=l; label={self._legend(signs)};"
        yield '  graph [fontname="Helvetica", style="rounded,filled", color="#9fb2d0", fillcolor="#f7f9fc", labeljust=l];'
        yield '  node [fontname="Helvetica", shape=box, style="rounded,filled", color="#8c99ac", fillcolor="#ffffff", margin="0.09,0.06"];'
        yield f'  edge [fontname="Helvetica", fontsize={SIZE:g}, color="#7f8b9c", arrowsize=0.7];'
        if made.initial:
            yield f'  start [shape=point, width=0.15, fillcolor="#1b2330"]; start -> {_quoted(made.initial.id)};'
        for box in made.roots():
            yield from self._box(box, "  ")
        for node in made.loose():
            yield self._node(node, "  ")
        for edge in made.edges:
            yield self._edge(edge)
        yield "}"

    @staticmethod
    def _legend(signs: list[Sign]) -> str:
        cells = "".join(
            f'<TD><FONT COLOR="{COLOURS[sign.name]}">{"◆" if sign.name == "overlay" else "●"}</FONT>&#160;{escape(sign.text)}</TD>'
            for sign in signs
        )
        if not cells:
            return '""'
        return f'<<FONT POINT-SIZE="{SIZE:g}"><TABLE BORDER="0" CELLSPACING="8"><TR>{cells}</TR></TABLE></FONT>>'

    def _box(self, box: Box, indent: str) -> Iterator[str]:
        yield f"{indent}subgraph {_quoted('cluster_' + box.id)} {{"
        yield f'{indent}  labelloc=t; label=<<FONT POINT-SIZE="{TITLE:g}" COLOR="#5d6878"><B>{escape(box.name)}</B></FONT>>;'
        for node in self.made.inside(box):
            yield self._node(node, indent + "  ")
        for inner in box.boxes:
            yield from self._box(inner, indent + "  ")
        yield f"{indent}}}"

    def _node(self, node: Node, indent: str) -> str:
        more = ", peripheries=2" if node.final else ', style="rounded,dashed"' if node.pill else ""
        if self.measured and not node.pill:
            more += f', color="{REACHED if node.name in self.measured.states else MISSED}"'
        label = self._label(node_block(node, self.options.detail))
        tooltip = _tooltip(node.lines) if node.lines else _quoted(node.doc or node.name)
        return f"{indent}{_quoted(node.id)} [label={label}, tooltip={tooltip}{more}];"

    def _edge(self, edge: Edge) -> str:
        source, box = self.made.tail(edge)
        more = f", ltail={_quoted('cluster_' + box)}" if box else ""
        if self.measured:
            colour = fate(self.measured, edge.lines)
            more += f', color="{colour}"' + (", style=dashed" if colour == MISSED else "")
        label, tooltip = self._label(edge_block(edge.lines, self.options.detail)), _tooltip(edge.lines)
        return f"  {_quoted(source)} -> {_quoted(edge.target)} [label={label}, tooltip={tooltip}, labeltooltip={tooltip}{more}];"

    def _label(self, block: Block) -> str:
        """Lines of text in Graphviz' HTML: a table of one column, since its line breaks would centre the text."""
        align = "LEFT" if len(block.lines) > block.heading else "CENTER"
        rows = "".join(
            f'<TR><TD ALIGN="{align}">{"".join(self._span(span, line) for span in line.spans if span.text)}</TD></TR>'
            for line in block.lines
        )
        return f'<<TABLE BORDER="0" CELLBORDER="0" CELLSPACING="0" CELLPADDING="1">{rows}</TABLE>>'

    def _span(self, span: Span, line: TextLine) -> str:
        style = span.style.rpartition(" ")[2]
        rows = span.rows or ((line.row,) if line.row else ())
        colour = fate(self.measured, rows) if self.measured and rows else COLOURS.get(style, "")
        text = escape(span.text).replace("  ", " &#160;") or "&#160;"
        text = f"<B>{text}</B>" if span.style.startswith(BOLD) else text
        return f'<FONT POINT-SIZE="{line.size:g}"' + (f' COLOR="{colour}"' if colour else "") + f">{text}</FONT>"
