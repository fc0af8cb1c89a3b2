from __future__ import annotations

import argparse
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from calltable.observe.entry import Entry, TraceError, dump, load, read_trace
from calltable.tools import UsageError
from calltable.tools.commands.ladder import register
from calltable.tools.ladder.model import ladder
from calltable.tools.ladder.page import ladder_html
from calltable.tools.ladder.text import ladder_text
from calltable.tools.main import main
from calltable.tools.terminal import cells, columns

TRACE = Path(__file__).parent / "traces" / "basic_call.jsonl"
NAMES = {"127.0.0.1:5060": "calltable"}


@pytest.fixture
def call() -> list[Entry]:
    return read_trace(TRACE.read_text(encoding="utf-8").splitlines(), TRACE.name)


def message(time: float = 0.0, source: str = "a", destination: str = "b", summary: str = "INVITE sip:b", **more) -> Entry:
    return Entry(time, "message", source=source, destination=destination, summary=summary, **more)


def lines_with(text: str, needle: str) -> list[str]:
    found = [line for line in text.splitlines() if needle in line]
    assert found, f"no line shows {needle!r} in:\n{text}"
    return found


def test_the_parties_stand_in_the_order_in_which_they_speak(call):
    assert ladder(call, NAMES).parties == ("alice 127.0.0.1:5071", "calltable", "bob 127.0.0.1:5070")


def test_a_trace_survives_being_written_and_read(call):
    assert read_trace(map(dump, call)) == call


def test_every_message_has_its_arrow_and_its_rows_on_one_line(call):
    text = ladder_text(call, names=NAMES, width=140)
    (line,) = lines_with(text, "INVITE sip:bob@127.0.0.1 ")
    assert re.search(r"0\.000 +│─ INVITE sip:bob@127\.0\.0\.1 ─+▶│ +│ +uas\.idle\.start", line)
    (line,) = lines_with(text, "200 OK (BYE) ─│                                    │")
    assert "│◀─" in line


def test_an_answer_points_back_and_names_what_it_answers(call):
    (line, _) = lines_with(ladder_text(call, names=NAMES), "180 Ringing (INVITE)")
    assert line.index("◀") < line.index("180 Ringing (INVITE)")
    assert line.index("◀") > 40, "the first 180 comes from the callee: its arrow ends in the middle"


def test_arrows_meet_the_lines_of_life(call):
    text = ladder_text(call, names=NAMES).splitlines()
    columns = [place for place, letter in enumerate(text[1]) if letter == "│"]
    assert len(columns) == 3
    for line in text[1:]:
        if "▶" in line or "◀" in line:
            assert all(line[column] == "│" for column in columns if column < len(line)), line


@pytest.mark.parametrize("width", [80, 100, 120, 200])
def test_no_line_is_wider_than_was_asked_for(call, width):
    assert max(map(len, ladder_text(call, names=NAMES, width=width).splitlines())) <= width


def plain_words(text: str) -> str:
    """The words of a ladder without its drawing."""
    return re.sub(r"[^\w:@./()]+", "", re.sub(r"^[\s\d.]+", "", text, flags=re.MULTILINE))


@pytest.mark.parametrize("width", [34, 40, 56, 70, 80, 100, 140])
def test_no_text_is_cut_off(call, width):
    text = ladder_text(call, names=NAMES, width=width)
    assert not re.search(r"\w…", text)
    assert max(map(columns, text.splitlines())) <= width
    rows = {row for item in call for row in (*item.rows, item.row) if row}
    joined = plain_words(text)
    for row in rows:
        assert row in joined, row


def test_a_label_longer_than_its_arrow_goes_on_below(call):
    lines = ladder_text([message(summary="481 Call/Transaction Does Not Exist", cseq="1 BYE")], width=44).splitlines()
    begin = next(number for number, line in enumerate(lines) if "481" in line)
    assert "▶" in lines[begin]
    assert " Exist" in " ".join(lines[begin : begin + 3])
    left, right = (place for place, letter in enumerate(lines[1]) if letter == "│")
    assert all(line[left] == line[right] == "│" for line in lines[begin + 1 : -1]), "the lines of life go on"


def test_a_long_name_of_a_party_takes_several_lines():
    name = "the gateway of the western branch office, second floor"
    text = ladder_text([message(source=name)], width=60)
    heading = text.splitlines()[: text.splitlines().index(next(line for line in text.splitlines() if "│" in line))]
    assert len(heading) > 1
    assert "".join("".join(heading).split()).replace("b", "", 1).count("floor") == 1


def test_many_parties_on_a_narrow_terminal_become_a_list():
    entries = [message(float(number), f"10.0.0.{number}", f"10.0.0.{number + 1}", rows=("x.y",)) for number in range(9)]
    text = ladder_text(entries, width=60)
    assert "│" not in text
    assert "10.0.0.3 → 10.0.0.4: INVITE sip:b" in text
    assert text.count("x.y") == 9
    assert max(map(len, text.splitlines())) <= 60


def test_wide_letters_leave_the_lines_of_life_straight():
    text = ladder_text([message(source="電話", summary="480 転送できません", direction="out"), message(source="電話", destination="c")])
    places = {tuple(place for place, cell in enumerate(cells(line)) if cell == "│") for line in text.splitlines() if "▶" in line or line.strip("│ ") == ""}
    first, last = min(min(found) for found in places), max(max(found) for found in places)
    assert all(found[0] == first and found[-1] == last for found in places), text


@pytest.mark.parametrize("evil", ["\x1b[2J\x1b]0;title\x07", "\x9b31m", "a\u202eb", "\r\n0.000 forged", "\u200b", "\ud800"])
def test_what_a_peer_wrote_cannot_steer_the_terminal(evil):
    entries = [
        message(summary=f"486 {evil}", cseq="1 INVITE", source=f"a{evil}", rows=(f"r{evil}",)),
        Entry(0.1, "step", session="s", row="x.y", event=f"user.{evil}", before="a", after="b"),
    ]
    for width in (20, 60, 120):
        text = ladder_text(entries, width=width)
        assert all(letter.isprintable() for letter in text.replace("\n", "")), text
        assert "\\" in text, "what was there is shown as an escape"
    page = ladder_html(entries, title=evil)
    assert all(letter.isprintable() for letter in page.replace("\n", ""))


def test_what_a_peer_wrote_is_text_on_the_page():
    entries = [message(summary="486 <script>alert(1)</script>", source="<b>", rows=("</svg>",), text="X: <img src=x>\r\n")]
    page = ladder_html(entries)
    assert page.count("<script>") == 1, "its own"
    for wrong in ("<b>", "<img", "</svg></text>"):
        assert wrong not in page


def test_a_narrow_ladder_keeps_the_names_of_the_messages(call):
    text = ladder_text(call, width=80)
    for name in ("INVITE", "100 Trying", "180 Ringing", "200 OK", "ACK", "BYE"):
        assert f" {name} " in text


def test_a_step_without_a_message_stands_at_the_party_whose_step_it_is(call):
    text = ladder_text(call, names=NAMES)
    (line,) = lines_with(text, "● timer.resend")
    middle = [place for place, letter in enumerate(text.splitlines()[1]) if letter == "│"][1]
    assert line[middle] == "●"
    assert line.endswith("uas.answering.resend")


def test_a_step_that_a_message_shows_has_no_line_of_its_own(call):
    assert "● engine.started" not in ladder_text(call, names=NAMES).replace("uac.idle.start", "")


def test_a_long_wait_is_shown(call):
    lines_with(ladder_text(call), "… 60.0 s …")


def test_color_changes_nothing_but_the_color(call):
    colored = ladder_text(call, names=NAMES, color=True)
    assert "\x1b[32m" in colored
    plain = re.sub(r"\x1b\[[0-9;]*m", "", colored)
    assert [line.rstrip() for line in plain.splitlines()] == ladder_text(call, names=NAMES).splitlines()


def test_both_ends_of_a_message_make_one_arrow_with_the_rows_of_both():
    sent = message(1.0, direction="out", cseq="1 INVITE", rows=("uac.idle.start",))
    taken = message(1.01, direction="in", cseq="1 INVITE", rows=("uas.idle.invite",))
    (line,) = ladder([taken, sent]).lines
    assert line.time == 1.0
    assert line.rows == ("uac.idle.start", "uas.idle.invite")


def test_a_retransmission_is_an_arrow_of_its_own():
    first, again = message(0.0, direction="out"), message(0.5, direction="out")
    taken = message(0.51, direction="in")
    assert len(ladder([first, again, taken]).lines) == 2


def test_a_lost_message_does_not_arrive():
    text = ladder_text([message(lost=True)])
    assert "✗" in text
    assert "▶" not in text


def test_a_trace_of_steps_only_is_a_ladder_with_one_party():
    step = Entry(0.0, "step", session="call", row="x.y", event="user.dial", before="idle", after="calling")
    lines_with(ladder_text([step]), "● user.dial → calling")


def test_an_empty_trace_says_so():
    assert "nothing was traced" in ladder_text([])
    assert "Nothing was traced" in ladder_html([])


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ('{"kind": "message"', "trace:2: "),
        ('{"kind": "letter", "time": 1}', "trace:2: kind must be 'message' or 'step', not 'letter'"),
        ('{"kind": "step", "time": "now"}', "trace:2: time must be a number of seconds, not 'now'"),
        ("[]", "trace:2: a record is an object"),
    ],
)
def test_a_broken_line_is_named(line, reason):
    with pytest.raises(TraceError) as error:
        read_trace(['{"kind": "step", "time": 0}', line])
    assert str(error.value).startswith(reason)


def test_fields_that_ladders_do_not_know_are_passed_over():
    assert load({"kind": "step", "time": 1, "receipt": 7}).time == 1


class Page(HTMLParser):
    """Collects what a page is made of, and that every tag that opens also closes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.attributes: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.attributes.append((tag, dict(attrs)))
        if tag not in {"meta", "br", "input", "link"}:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_startendtag(self, tag, attrs):
        self.attributes.append((tag, dict(attrs)))

    def having(self, css: str) -> list[dict[str, str | None]]:
        return [found for _, found in self.attributes if css in (found.get("class") or "").split()]


def test_the_page_has_a_line_and_a_detail_for_everything_and_no_outside_resource(call):
    text = ladder_html(call, names=NAMES, title="a <call>")
    page = Page(text)
    shown = ladder(call, NAMES).lines
    assert len(page.having("line")) == len(shown)
    assert len([tag for tag, _ in page.attributes if tag == "article"]) == len(shown)
    assert "a &lt;call&gt;" in text
    assert not [found for _, found in page.attributes if "src" in found or "href" in found]
    assert "CSeq: 1 INVITE" in text


def test_on_the_page_a_long_label_has_its_room_or_another_line():
    long = "486 " + " ".join(["very busy"] * 12)
    page = ladder_html([message(summary=long, cseq="1 INVITE", rows=tuple(f"row.number.{number}" for number in range(9)))])
    shown = " ".join(re.findall(r'<text class="label"[^>]*>([^<]*)</text>', page))
    assert shown == f"{long} (INVITE)"
    assert "row.number.8" in " ".join(re.findall(r'<text class="rows mid"[^>]*>([^<]*)</text>', page))


def test_the_page_tells_the_steps_behind_a_message(call):
    text = ladder_html(call, names=NAMES)
    detail = text.split("<article")[1]
    assert "uas.idle.start" in detail
    assert "idle → proceeding" in detail
    assert "↑ offered" in detail


def command(*arguments: str) -> int:
    parser = argparse.ArgumentParser()
    register(parser.add_subparsers())
    options = parser.parse_args(["ladder", *arguments])
    return int(options.run(options))


def test_the_command_prints_a_ladder_without_color_into_a_pipe(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "120")
    assert command(str(TRACE), "--name", "127.0.0.1:5060=calltable") == 0
    out = capsys.readouterr().out
    assert " calltable " in out.splitlines()[0]
    assert "\x1b" not in out


def test_the_command_writes_a_page(tmp_path):
    assert command(str(TRACE), "-o", str(tmp_path / "call.html")) == 0
    Page((tmp_path / "call.html").read_text(encoding="utf-8"))


def test_the_command_can_show_one_call_id_alone(capsys):
    assert command(str(TRACE), "--call", "b-1") == 0
    assert "alice" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere.jsonl"], "cannot read nowhere.jsonl: No such file"),
        ([str(TRACE), "--name", "calltable"], "write ADDRESS=NAME"),
        ([__file__], "test_ladder.py:1: "),
    ],
)
def test_the_command_says_what_is_wrong(arguments, message):
    with pytest.raises(UsageError, match=re.escape(message)):
        command(*arguments)


def test_a_call_that_is_not_there_is_an_error_that_lists_what_there_is(tmp_path, capsys):
    path = tmp_path / "t.jsonl"
    records = [message(call=number, call_id=f"id-{number}", summary=f"INVITE sip:bob:hidden@h{number}") for number in ("3", "4")]
    path.write_text("".join(dump(one) + "\n" for one in records), encoding="utf-8")
    assert main(["ladder", str(path), "--call", "9"]) == 2
    error = capsys.readouterr().err
    assert "has no call 9; there are\n  3. INVITE sip:bob:***@h3  id-3\n  4. INVITE sip:bob:***@h4  id-4\n" in error
    assert main(["ladder", str(path), "--call", "4"]) == 0
    assert "h4" in capsys.readouterr().out


def test_secrets_are_drawn_in_no_ladder():
    entries = [message(summary="INVITE sip:bob:sesame@b", text="INVITE sip:bob:sesame@b SIP/2.0\r\nAuthorization: Basic sesame\r\n\r\n")]
    assert "sesame" not in ladder_text(entries)
    assert "sesame" not in ladder_html(entries)


def test_a_gap_in_the_trace_is_shown():
    gap = Entry(0.5, "gap", event="7 records lost before this one")
    assert "● 7 records lost before this one" in ladder_text([message(), gap])
