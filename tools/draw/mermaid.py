"""A diagram as Mermaid, for README files and wikis, which draw it themselves.

Mermaid's ``flowchart`` is used rather than its ``stateDiagram-v2``: only there may an arrow leave a group, may
a label hold any character, and does a large table stay legible.
"""

from __future__ import annotations

import re
import textwrap
from typing import TYPE_CHECKING

from calltable.tools.draw.diagram import diagram as arrange
from calltable.tools.draw.label import edge_block, node_block
from calltable.tools.draw.options import Options, legend
from calltable.tools.draw.shading import MISSED, REACHED, fate

if TYPE_CHECKING:
    from collections.abc import Iterator

    from calltable.engine.model import Machine
    from calltable.engine.observe import Measure
    from calltable.tools.draw.diagram import Box, Diagram, Node
    from calltable.tools.draw.label import Block

NARROW = 28
"""Mermaid breaks the lines of an arrow's label at 200 pixels, about this many characters."""


def mermaid(machine: Machine, options: Options | None = None, *, measured: Measure | None = None) -> str:
    """One table as a Mermaid flowchart; with ``measured`` its arrows have the colours of coverage."""
    chosen = options or Options()
    made = arrange(machine, show=chosen.show, fold_final=chosen.fold_final, detail=chosen.detail)
    return "\n".join(_Writer(made, chosen, measured).chart()) + "\n"


def _quoted(parts: list[str]) -> str:
    """A Mermaid string: entities for what it would read as markup, ``<br/>`` between lines."""
    entities = {"#": "#35;", '"': "#quot;", "<": "#lt;", ">": "#gt;", "&": "#amp;", "`": "#96;", "*": "#42;", "_": "#95;"}
    return '"' + "<br/>".join("".join(entities.get(letter, letter) for letter in part) for part in parts) + '"'


def _texts(block: Block, longest: int = 0) -> list[str]:
    """The lines of a label; with ``longest``, wrapped there, with the rest of a line set in."""
    lines = ["".join(span.text for span in line.spans) for line in block.lines]
    if not longest:
        return lines
    # a long call may break behind its parenthesis
    lines = [re.sub(rf"\S{{{longest - 4},}}", lambda word: word[0].replace("(", "( ", 1), line) for line in lines]
    return [part for line in lines for part in textwrap.wrap(line, longest, subsequent_indent="\u00a0\u00a0")]


class _Writer:
    def __init__(self, made: Diagram, options: Options, measured: Measure | None) -> None:
        self.made = made
        self.detail = options.detail
        self.measured = measured

    def chart(self) -> Iterator[str]:
        made = self.made
        yield f"%% {made.machine.name}"
        yield '%%{init: {"flowchart": {"wrappingWidth": 420, "nodeSpacing": 90, "rankSpacing": 60}}}%%'
        yield "flowchart TB"
        if made.initial:
            yield f"  start(( )) --> {made.initial.id}"
        for box in made.roots():
            yield from self._box(box, "  ")
        for node in made.loose():
            yield self._node(node, "  ")
        for edge in made.edges:
            yield f"  {edge.source} -->|{_quoted(_texts(edge_block(edge.lines, self.detail), NARROW))}| {edge.target}"
        yield "  classDef final stroke-width:3px"
        yield "  classDef pill stroke-dasharray:4 3"
        if made.initial:
            yield "  classDef dot fill:#555,stroke:#555"
            yield "  class start dot"
        yield from self._coverage()

    def _box(self, box: Box, indent: str) -> Iterator[str]:
        yield f"{indent}subgraph {box.id}[{_quoted([box.name])}]"
        for node in self.made.inside(box):
            yield self._node(node, indent + "  ")
        for inner in box.boxes:
            yield from self._box(inner, indent + "  ")
        yield f"{indent}end"

    def _node(self, node: Node, indent: str) -> str:
        label = _quoted(_texts(node_block(node, self.detail)))
        if node.box:
            return f"{indent}{node.id}[{label}]:::pill"
        if node.pill:
            return f"{indent}{node.id}([{label}]):::pill"
        return f"{indent}{node.id}([{label}]):::final" if node.final else f"{indent}{node.id}({label})"

    def _coverage(self) -> Iterator[str]:
        if self.measured is None:
            return
        # arrow 0 leads from the start to the initial state
        for number, edge in enumerate(self.made.edges, 1 if self.made.initial else 0):
            colour = fate(self.measured, edge.lines)
            dashed = ",stroke-dasharray:5 3" if colour == MISSED else ""
            yield f"  linkStyle {number} stroke:{colour},color:{colour}{dashed}"
        for node in self.made.nodes.values():
            if not node.pill:
                yield f"  style {node.id} stroke:{REACHED if node.name in self.measured.states else MISSED}"
        signs = [sign.text for sign in legend([], [self.measured])]
        yield f"  legend[{_quoted([f'{colour}: {text}' for colour, text in zip(('green', 'red', 'amber'), signs, strict=True)])}]:::pill"
