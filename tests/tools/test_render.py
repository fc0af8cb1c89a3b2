from __future__ import annotations

import argparse
import re
import sys
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from calltable.engine.language.load import load_tables
from calltable.engine.model.machine import Machine
from calltable.engine.observe.hits import Hits
from calltable.engine.observe.measure import Measure
from calltable.engine.observe.measure import measure as measured
from calltable.tools import UsageError
from calltable.tools.commands import render
from calltable.tools.draw.diagram import CROWDED, Diagram, diagram
from calltable.tools.draw.fragment import fragment
from calltable.tools.draw.graphviz import dot, png
from calltable.tools.draw.label import LONGEST, NARROW, TextLine, edge_block, measure, node_block, trim
from calltable.tools.draw.layout import layout
from calltable.tools.draw.mermaid import mermaid
from calltable.tools.draw.options import Options, legend
from calltable.tools.draw.page import page
from calltable.tools.draw.picture import svg
from calltable.tools.draw.row import Line

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


@pytest.fixture(scope="module")
def overlaid(tmp_path_factory) -> Machine:
    file = tmp_path_factory.mktemp("overlay") / "knock.yaml"
    file.write_text(
        "calltable: 1\noverlay: test/door\nadd:\n"
        "  - {id: knock.locked, state: locked, event: sip.ring, overrides: door.shut.ring, next_state: ajar}\n",
        encoding="utf-8",
    )
    return load_tables([TABLES], overlays=[file]).machines["test/door"]


@pytest.fixture
def half(door) -> Measure:
    """Coverage of the door in which only ``door.closed.push`` was reached, once."""
    hits = Hits()
    hits.rows[door.name, door.digest, "closed", "user.push", "door.closed.push"] = 1
    return measured(door, hits)


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
        (holder,) = [node for node in made.nodes.values() if node.name in {"shut", "in every state of shut"}]
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
            for holder in made.nodes.values():
                drawn |= {line.row for line in holder.lines}
            assert drawn == set(machine.rows), machine.name

    def test_boxes_nest_and_never_cross(self, shipped):
        for machine in shipped:
            boxes = list(diagram(machine).boxes.values())
            for box in boxes:
                for other in boxes:
                    mine, theirs = set(box.states), set(other.states)
                    assert box is other or mine < theirs or theirs < mine or not mine & theirs


    def test_a_row_of_a_group_to_one_of_its_states_leaves_from_the_note_in_the_box(self, shipped):
        bridge = next(machine for machine in shipped if machine.name == "b2bua/bridge")
        made = diagram(bridge)
        assert edges(made)["in every state of unanswered", "ringing"] == ["bridge.unanswered.progress"]
        assert made.boxes["unanswered"].note in made.inside(made.boxes["unanswered"])

    def test_ends_are_folded_by_choice(self, door):
        made = diagram(door, fold_final=True)
        assert "gone" not in made.nodes
        (pill,) = [node for node in made.nodes.values() if node.name == "any state"]
        assert [(line.row, line.goes) for line in pill.lines] == [("door.any.leave", "gone")]

    def test_ends_keep_their_arrows_by_choice(self, shipped):
        crowded = next(machine for machine in shipped if machine.name == "leg/uas")
        assert any(line.goes for node in diagram(crowded).nodes.values() for line in node.lines)
        made = diagram(crowded, fold_final=False)
        assert not any(line.goes for node in made.nodes.values() for line in node.lines)

    def test_a_line_names_the_overlay_that_its_row_comes_from(self, overlaid):
        lines = {line.row: line for edge in diagram(overlaid).edges for line in edge.lines}
        assert lines["knock.locked"].overlay.endswith("knock.yaml")
        assert lines["door.ajar.push"].overlay == ""
        assert "from overlay" in lines["knock.locked"].tooltip

    def test_a_map_keeps_to_states_and_the_arrows_between_them(self, shipped):
        for machine in shipped:
            made = diagram(machine, detail="states")
            leaving = {edge.source for edge in made.edges}
            assert all(node.id in leaving for node in made.nodes.values() if node.pill)
            ends = {state for state, known in machine.states.items() if known.final}
            assert {node.name for node in made.nodes.values() if not node.pill} >= set(machine.states) - ends

    def test_a_fragment_is_drawn_without_a_start(self):
        found = fragment(load_tables(), "leg/established")
        made = diagram(found)
        assert made.initial is None
        assert {row.origin for row in found.rows.values()} == {"leg/established"}
        assert "idle" not in made.nodes
        for picture in (svg(found), dot(found), mermaid(found)):
            assert "reinviting" in picture

    def test_what_is_no_fragment_is_not_drawn(self):
        assert fragment(load_tables(), "leg/nothing") is None


class TestLabel:
    def test_with_events_alone_a_name_stands_once_for_all_its_rows(self, door):
        made = diagram(door, detail="events")
        lines = [line for edge in made.edges for line in node_lines(edge.lines)]
        names = [span for line in lines for span in line.spans if span.text == "user.push"]
        assert names
        assert all(span.rows for span in names)

    def test_no_line_of_event_names_is_long(self, shipped):
        for machine in shipped:
            for node in diagram(machine, detail="events").nodes.values():
                for line in node_block(node, "events").lines[1:]:
                    text = "".join(span.text for span in line.spans)
                    assert len(text.rstrip(", ")) <= NARROW + 6 or sum(bool(span.rows) for span in line.spans) == 1, text

    def test_a_row_of_an_overlay_is_marked_in_both_details(self, overlaid):
        edge = next(edge for edge in diagram(overlaid).edges if edge.lines[0].row == "knock.locked")
        assert [line.spans[0].text for line in node_lines(edge.lines)] == ["◆ "]
        assert next(iter(edge_block(edge.lines, "rows").lines)).spans[0].text == "◆ "

    def test_a_map_counts_the_rows_of_a_state(self, door):
        assert len(node_block(diagram(door, detail="states").nodes["open"], "states").lines) == 1, "no row stays in it"
        uas = diagram(load_tables().machines["leg/uas"], detail="states")
        counted = node_block(uas.nodes["idle"], "states").lines[-1].spans[0]
        assert counted.text == f"{len(uas.nodes['idle'].lines)} rows, {sum(bool(one.goes) for one in uas.nodes['idle'].lines)} to the end"
        assert [row.row for row in counted.rows] == [one.row for one in uas.nodes["idle"].lines]

    def test_an_arrow_of_a_map_names_few_events_and_counts_the_rest(self, door):
        (one,) = [line for edge in diagram(door).edges for line in edge.lines if line.row == "door.ajar.push"]
        rows = [replace(one, event=f"user.e{number}") for number in range(9)]
        texts = "".join(span.text for line in edge_block(rows, "states").lines for span in line.spans)
        assert texts == "user.e0, user.e1, user.e2, 6 more"

    def test_wide_letters_are_counted_as_wide(self):
        assert measure("転送", 11) > measure("ab", 11) * 1.5


def node_lines(rows: list[Line]) -> list[TextLine]:
    return list(edge_block(rows, "events").lines)


class TestLegend:
    def test_it_explains_the_colours_that_are_used(self, door, overlaid):
        assert [sign.name for sign in legend([door])] == ["user", "sip", "timer", "engine"]
        assert legend([overlaid])[-1].name == "overlay"

    def test_coverage_has_a_legend_of_its_own_with_its_counts(self, door, half):
        signs = {sign.name: sign.text for sign in legend([door], [half])}
        assert signs["reached"] == f"reached (1 of {len(door.rows)} rows)"
        assert str(len(door.rows) - 1) in signs["missed"]
        assert "user" not in signs

    def test_every_format_shows_it(self, door, half):
        pytest.importorskip("pygraphviz")
        for text in (svg(door, measured=half), dot(door, measured=half), mermaid(door, measured=half), page([door], measures=[half])):
            assert "reached (1 of" in text
            assert "never reached" in text
        assert "from the API" in svg(door)
        assert "from the API" in dot(door)

    def test_an_arrow_is_coloured_by_whether_its_rows_were_reached(self, door, half):
        text = mermaid(door, measured=half)
        arrows = [line for line in text.splitlines() if re.search(r" -->", line)]
        styles = {int(number): style for number, style in re.findall(r"linkStyle (\d+) (.*)", text)}
        reached = next(number for number, line in enumerate(arrows) if line.startswith("  s_closed ") and "s_open" in line)
        missed = next(number for number, line in enumerate(arrows) if "s_gone" in line)
        assert "dasharray" not in styles[reached]
        assert "dasharray" in styles[missed]


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


    def test_no_line_on_a_mermaid_arrow_is_longer_than_mermaid_writes(self, shipped):
        for machine in shipped:
            for label in re.findall(r'\|"(.*?)"\|', mermaid(machine)):
                for line in re.sub(r"#\w+;", "_", label).split("<br/>"):
                    assert len(line) <= 29, line

    def test_mermaid_has_one_arrow_for_each_pair_of_states(self, shipped):
        for machine in shipped:
            pairs = re.findall(r"^  (\w+) -->\|.*\| (\w+)$", mermaid(machine), re.MULTILINE)
            assert len(pairs) == len(set(pairs)) > 0

    def test_a_png_is_a_picture_of_the_same_graph(self, door):
        pytest.importorskip("pygraphviz")
        small, large = (png(door, Options(detail=detail)) for detail in ("events", "rows"))
        assert small.startswith(b"\x89PNG\r\n")
        assert int.from_bytes(small[16:20], "big") * int.from_bytes(small[20:24], "big") < int.from_bytes(
            large[16:20], "big"
        ) * int.from_bytes(large[20:24], "big"), "names alone take less room"


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

    def test_one_table_opens_on_itself(self, door):
        pytest.importorskip("pygraphviz")
        found = Checked(page([door])).seen
        assert [one["id"] for tag, one in found if tag == "section"] == ["test/door"]
        assert not [tag for tag, _ in found if tag == "nav"]

    def test_each_table_is_drawn_in_both_details(self, door):
        pytest.importorskip("pygraphviz")
        found = Checked(page([door])).seen
        assert [one["data-detail"] for _, one in found if one.get("class") == "canvas"] == ["rows", "events", "states"]

    def test_rows_of_an_overlay_stand_out_in_the_list_and_in_the_overview(self, overlaid, machines):
        pytest.importorskip("pygraphviz")
        text = page([overlaid, *(machine for machine in machines if machine.name != overlaid.name)])
        listed = [one["data-row"] for tag, one in Checked(text).seen if tag == "article" and "overlay" in (one["class"] or "").split()]
        assert listed == ["knock.locked"]
        assert "◆ 1 from an overlay" in text
        assert "◆ overlay knock.yaml" in text

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
        [(".mmd", "%% test/door"), (".dot", 'digraph "test/door"'), (".svg", "<svg "), (".html", "<!doctype html>"), (".png", "\x89PNG")],
    )
    def test_the_suffix_says_the_format(self, tmp_path, suffix, start):
        pytest.importorskip("pygraphviz")
        out = tmp_path / f"picture{suffix}"
        tables = [str(TABLES / "door.yaml"), str(TABLES / "catalogue.yaml")]
        assert command(*tables, "-o", str(out)) == 0
        assert out.read_bytes().startswith(start.encode("latin-1"))

    def test_a_shipped_table_goes_by_its_name(self, capsys):
        assert command("leg/uas") == 0
        assert capsys.readouterr().out.startswith("%% leg/uas\n")

    def test_a_fragment_goes_by_its_name_too(self, capsys):
        assert command("leg/established") == 0
        assert capsys.readouterr().out.startswith("%% leg/established\n")

    def test_a_file_is_drawn_without_the_tables_of_its_children(self, tmp_path):
        pytest.importorskip("pygraphviz")
        wakeup = Path(__file__).parents[2] / "docs" / "examples" / "wakeup.yaml"
        assert command(str(wakeup), "-o", str(tmp_path / "wakeup.svg")) == 0
        assert 'aria-label="example/wakeup"' in (tmp_path / "wakeup.svg").read_text(encoding="utf-8")

    def test_a_png_is_not_written_to_a_terminal(self, monkeypatch):
        pytest.importorskip("pygraphviz")
        monkeypatch.setattr("sys.stdout.isatty", lambda: True)
        with pytest.raises(UsageError, match="not for a terminal"):
            command("leg/stray", "--format", "png")

    @pytest.mark.parametrize("form", ["png", "svg", "html"])
    def test_without_graphviz_the_way_to_it_is_said(self, tmp_path, monkeypatch, form):
        monkeypatch.setitem(sys.modules, "pygraphviz", None)
        with pytest.raises(UsageError, match=r"pip install 'calltable\[diagrams\]'"):
            command("leg/stray", "-o", str(tmp_path / f"stray.{form}"))

    def test_many_tables_go_into_a_folder(self, tmp_path):
        assert command(str(TABLES), "-o", str(tmp_path / "out"), "--format", "dot") == 0
        assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["test.door.dot", "test.lamp.dot"]

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (["leg/uass"], r"no table 'leg/uass', nor such a file; did you mean leg/uas\?"),
            (["leg/uas", "-o", "x.pdf"], r"end it in \.mmd, \.dot, \.svg, \.png or \.html"),
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
