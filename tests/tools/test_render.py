from __future__ import annotations

import argparse
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from calltable.engine.language.load import load_tables
from calltable.engine.model.machine import Machine
from calltable.tools import UsageError
from calltable.tools.commands import render
from calltable.tools.draw.diagram import CROWDED, Diagram, diagram
from calltable.tools.draw.layout import LONGEST, layout, measure, trim
from calltable.tools.draw.notation import dot, mermaid
from calltable.tools.draw.page import page
from calltable.tools.draw.picture import svg

TABLES = Path(__file__).parent / "tables"
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def machines() -> list[Machine]:
    return list(load_tables([TABLES]).machines.values())


@pytest.fixture(scope="module")
def door(machines) -> Machine:
    return next(machine for machine in machines if machine.name == "test/door")


@pytest.fixture(scope="module")
def shipped() -> list[Machine]:
    return list(load_tables().machines.values())


def edges(made: Diagram) -> dict[tuple[str, str], list[str]]:
    names = {node.id: node.name for node in made.nodes.values()} | {box.id: box.name for box in made.boxes.values()}
    return {(names[edge.source], names[edge.target]): [line.row for line in edge.lines] for edge in made.edges}


class TestDiagram:
    def test_rows_with_one_source_and_target_share_an_arrow(self, door):
        doubled = dict(door.rows)
        doubled["door.ajar.again"] = replace(doubled["door.ajar.push"], id="door.ajar.again", events=("sip.ring",))
        assert edges(diagram(replace(door, rows=doubled)))["ajar", "open"] == ["door.ajar.push", "door.ajar.again"]

    def test_a_row_on_a_group_leaves_from_its_box_once(self, door):
        made = diagram(door)
        assert edges(made)["passable", "closed"] == ["door.passable.bored"]
        assert made.boxes["passable"].own() == ("ajar", "open")

    def test_of_crossing_groups_one_is_a_box_and_the_other_a_pill(self, door):
        made = diagram(door)
        crossing = {"shut", "lockable"} & set(made.boxes)
        assert len(crossing) == 1
        (pill,) = {"shut", "lockable"} - crossing
        assert [node.states for node in made.nodes.values() if node.pill and node.name == pill]

    def test_a_row_for_any_state_leaves_from_a_pill(self, door):
        made = diagram(door)
        assert edges(made)["any state", "gone"] == ["door.any.leave"]

    def test_a_row_that_stays_is_a_line_inside(self, door):
        made = diagram(door)
        holder = made.boxes.get("shut") or next(node for node in made.nodes.values() if node.name == "shut")
        assert [line.row for line in holder.lines] == ["door.shut.ring"]
        assert not any("door.start" in rows for rows in edges(made).values())

    def test_rows_that_do_nothing_are_counted(self, door):
        nodes = diagram(door).nodes
        assert nodes["locked"].folded == {"refused": 1}
        assert nodes["open"].folded == {"deferred": 1, "ignored": 1}

    def test_rows_that_do_nothing_are_drawn_when_asked_for(self, door):
        made = diagram(door, show=("refused",))
        assert [line.text for line in made.nodes["locked"].lines if line.kind == "refuse"] == [
            "user.push / refused: it is locked"
        ]
        assert made.nodes["locked"].folded == {}
        assert made.nodes["open"].folded == {"deferred": 1, "ignored": 1}

    def test_a_row_reads_as_event_guard_and_effects(self, door):
        (edge,) = [edge for edge in diagram(door).edges if edge.lines[0].row == "door.closed.push"]
        text = edge.lines[0].text
        assert re.fullmatch(
            r"user\.push \[event\.force > 3 and rings < 100\]"
            r" / sound\.play\(file: creak, volume: 5\); ↑ opened\(force: \$event\.force\)",
            text,
        ), text
        assert edge.lines[0].brief[0] == "sound.play(creak, 5)"

    def test_a_timer_row_says_how_long(self, door):
        (edge,) = [edge for edge in diagram(door).edges if edge.lines[0].row == "door.passable.bored"]
        assert edge.lines[0].event == "after $config.patience"
        assert edge.lines[0].category == "timer"

    def test_a_crowded_diagram_writes_its_ends_into_the_states(self, shipped):
        for machine in shipped:
            made = diagram(machine)
            finals = {node.id for node in made.nodes.values() if node.final}
            drawn = {line.row for edge in made.edges for line in edge.lines}
            folded = {line.row for node in made.nodes.values() for line in node.lines if line.goes}
            assert not folded or len(drawn | folded) > CROWDED
            for edge in made.edges:
                if folded and edge.target in finals and edge.source.startswith("s_"):
                    assert not [other for other in made.edges if other.source == edge.source and other is not edge]

    def test_every_row_of_every_shipped_table_is_drawn(self, shipped):
        for machine in shipped:
            made = diagram(machine, show=("ignored", "refused", "deferred"))
            drawn = {line.row for edge in made.edges for line in edge.lines}
            for holder in (*made.nodes.values(), *made.boxes.values()):
                drawn |= {line.row for line in holder.lines}
            assert drawn == set(machine.rows), machine.name

    def test_boxes_nest_and_never_cross(self, shipped):
        for machine in shipped:
            boxes = list(diagram(machine).boxes.values())
            for box in boxes:
                for other in boxes:
                    mine, theirs = set(box.states), set(other.states)
                    assert box is other or mine < theirs or theirs < mine or not mine & theirs


class TestLayout:
    def test_no_two_states_overlap(self, shipped):
        pytest.importorskip("pygraphviz")
        for machine in shipped:
            places = list(layout(diagram(machine)).nodes.values())
            for number, one in enumerate(places):
                for two in places[number + 1 :]:
                    apart = (
                        abs(one.x - two.x) >= (one.width + two.width) / 2 - 0.5
                        or abs(one.y - two.y) >= (one.height + two.height) / 2 - 0.5
                    )
                    assert apart, f"{machine.name}: {one} and {two}"

    def test_states_stand_inside_their_box(self, door):
        pytest.importorskip("pygraphviz")
        made = diagram(door)
        placed = layout(made)
        for box in made.boxes.values():
            around = placed.boxes[box.id]
            for state in box.states:
                node = placed.nodes[made.nodes[state].id]
                assert abs(node.x - around.x) <= (around.width - node.width) / 2 + 0.5
                assert abs(node.y - around.y) <= (around.height - node.height) / 2 + 0.5

    def test_a_longer_text_is_wider(self):
        assert measure("sip.invite", 11) < measure("sip.invite.success", 11) < measure("sip.invite.success", 11, bold=True)

    def test_trimming_says_that_something_is_missing(self):
        assert trim("x" * LONGEST) == "x" * LONGEST
        assert trim("x" * (LONGEST + 1)) == "x" * (LONGEST - 1) + "…"


class TestSvg:
    def test_it_is_well_formed_and_holds_every_drawn_row(self, door):
        pytest.importorskip("pygraphviz")
        root = ET.fromstring(svg(door))
        rows = {found.get("data-row") for found in root.iter(f"{SVG}g")} - {None}
        assert rows == {row.id for row in door.rows.values() if row.kind == "row"}

    def test_what_was_trimmed_is_in_the_tooltip(self, door):
        pytest.importorskip("pygraphviz")
        root = ET.fromstring(svg(door))
        (row,) = [found for found in root.iter(f"{SVG}g") if found.get("data-row") == "door.closed.push"]
        assert "↑ opened(force: $event.force)" in (row.findtext(f"{SVG}title") or "")
        assert "A strong push & all is open." in (row.findtext(f"{SVG}title") or "")

    def test_it_needs_no_outside_resource_and_suits_dark_screens(self, door):
        pytest.importorskip("pygraphviz")
        text = svg(door)
        assert "prefers-color-scheme: dark" in text
        assert "href" not in text
        assert "url(" not in text


class TestText:
    def test_mermaid_draws_groups_as_subgraphs_and_arrows_from_them(self, door):
        text = mermaid(door)
        assert text.splitlines()[2] == "flowchart TB"
        assert "  subgraph g_passable[" in text
        assert re.search(r'^  g_passable -->\|"after \$config\.patience"\| s_closed$', text, re.MULTILINE)

    def test_mermaid_labels_hold_nothing_that_mermaid_would_read_as_markup(self, shipped):
        for machine in shipped:
            for label in re.findall(r'\|"(.*?)"\|', mermaid(machine)):
                assert not re.search(r'["<>`*_]', label.replace("<br/>", "")), label

    def test_subgraphs_end(self, shipped):
        for machine in shipped:
            lines = [line.strip() for line in mermaid(machine).splitlines()]
            assert lines.count("end") == sum(line.startswith("subgraph ") for line in lines)

    def test_graphviz_reads_the_dot_that_is_written(self, shipped):
        pygraphviz = pytest.importorskip("pygraphviz")
        for machine in shipped:
            with pygraphviz.AGraph(string=dot(machine)) as graph:
                made = diagram(machine)
                assert graph.number_of_nodes() == len(made.nodes) + 1
                assert graph.number_of_edges() == len(made.edges) + 1


class Checked(HTMLParser):
    """Reads a page and holds that what opens also closes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.seen.append((tag, dict(attrs)))
        if tag not in {"meta", "input", "br"}:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.seen.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


class TestPage:
    def test_it_lists_every_row_of_every_table_beside_its_diagram(self, machines):
        pytest.importorskip("pygraphviz")
        found = Checked(page(machines)).seen
        listed = [one["data-row"] for tag, one in found if tag == "article"]
        assert sorted(listed) == sorted(row for machine in machines for row in machine.rows)
        assert [one["id"] for tag, one in found if tag == "section"] == ["overview", "test/door", "test/lamp"]

    def test_it_is_one_file(self, machines):
        pytest.importorskip("pygraphviz")
        for tag, attributes in Checked(page(machines)).seen:
            assert tag not in {"link", "img", "iframe"}
            assert "src" not in attributes
            assert (attributes.get("href") or "#").startswith("#")

    def test_text_from_tables_is_text(self, machines):
        pytest.importorskip("pygraphviz")
        text = page(machines)
        assert "&lt;Not&gt; a call." in text
        assert "<Not>" not in text

    @pytest.mark.slow
    def test_all_shipped_tables_fit_on_one_page(self, shipped):
        pytest.importorskip("pygraphviz")
        text = page(shipped)
        Checked(text)
        assert len(text) < 5_000_000


def command(*arguments: str) -> int:
    parser = argparse.ArgumentParser()
    render.register(parser.add_subparsers())
    options = parser.parse_args(["render", *arguments])
    return int(options.run(options))


class TestCommand:
    @pytest.mark.parametrize(
        ("suffix", "start"),
        [(".mmd", "%% test/door"), (".dot", 'digraph "test/door"'), (".svg", "<svg "), (".html", "<!doctype html>")],
    )
    def test_the_suffix_says_the_format(self, tmp_path, suffix, start):
        pytest.importorskip("pygraphviz")
        out = tmp_path / f"picture{suffix}"
        tables = [str(TABLES / "door.yaml"), str(TABLES / "catalogue.yaml")]
        assert command(*tables, "-o", str(out)) == 0
        assert out.read_text(encoding="utf-8").startswith(start)

    def test_a_shipped_table_goes_by_its_name(self, capsys):
        assert command("leg/uas") == 0
        assert capsys.readouterr().out.startswith("%% leg/uas\n")

    def test_many_tables_go_into_a_folder(self, tmp_path):
        assert command(str(TABLES), "-o", str(tmp_path / "out"), "--format", "dot") == 0
        assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["test.door.dot", "test.lamp.dot"]

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (["leg/uass"], r"no table 'leg/uass', nor such a file; did you mean leg/uas\?"),
            (["leg/uas", "-o", "x.pdf"], r"end it in \.mmd, \.dot, \.svg or \.html"),
            (["leg/uas", "--events", "refusd"], r"there are ignored, refused, deferred; did you mean refused\?"),
            ([str(TABLES), "-o", "x.svg"], r"svg holds one table a file, and there are 2 \(test/door, test/lamp"),
            (["leg/uas", "--overlay", "nowhere.yaml"], r"--overlay nowhere\.yaml: there is no such file"),
        ],
    )
    def test_what_cannot_be_done_is_said_with_the_mend(self, arguments, message):
        with pytest.raises(UsageError, match=message):
            command(*arguments)

    def test_tables_that_do_not_load_are_told(self, tmp_path, capsys):
        broken = tmp_path / "broken.yaml"
        broken.write_text("calltable: 1\nmachine: broken\n", encoding="utf-8")
        assert command(str(broken)) == 1
        assert f"{broken}:" in capsys.readouterr().err
