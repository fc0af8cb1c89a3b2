"""Loading: a correct set of tables, and every way a table can be wrong, each with its place and its mend."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from calltable.engine.language.load import Library, load_tables
from calltable.engine.model import expressions as x
from calltable.engine.model.machine import WIDEST, Machine
from calltable.engine.model.problems import Problem, TableError
from calltable.engine.model.types import Type

TABLES = Path(__file__).parent / "tables"
FILES = ("catalogue.yaml", "bell.yaml", "lamp.yaml", "door.yaml")
MARK = "⟦"


@pytest.fixture(scope="module")
def library() -> Library:
    return load_tables([TABLES])


@pytest.fixture(scope="module")
def door(library: Library) -> Machine:
    return library.machines["test/door"]


def texts(**changed: tuple[str, str]) -> dict[str, str]:
    """The test tables by file name, with ``old`` replaced by ``new`` where a file (without suffix) is named."""
    found = {}
    for file in FILES:
        text = (TABLES / file).read_text(encoding="utf-8")
        change = changed.get(file.removesuffix(".yaml"))
        if change is not None:
            old, new = change
            assert text.count(old) == 1, f"{old!r} stands {text.count(old)} times in {file}"
            text = text.replace(old, new)
        found[file] = text
    return found


def problems(given: dict[str, str]) -> list[Problem]:
    with pytest.raises(TableError) as caught:
        load_tables(texts=given)
    return caught.value.problems


def marked(given: dict[str, str]) -> tuple[dict[str, str], tuple[str, int, int]]:
    """The texts without the mark, and the place where it stood."""
    for file, text in given.items():
        if MARK in text:
            before = text[: text.index(MARK)]
            place = (file, before.count("\n") + 1, len(before) - before.rfind("\n"))
            return {**given, file: text.replace(MARK, "")}, place
    pytest.fail("no mark")


# --------------------------------------------------------------------------- what a good table becomes


def test_given_tables_load_with_their_children_and_fragments(library: Library):
    assert set(library.machines) == {"test/door", "test/lamp"}
    assert {(one.kind, one.name) for one in library.sources} >= {("fragment", "test/bell"), ("catalogue", "test")}


def test_a_row_says_how_it_named_its_states(door: Machine):
    assert dict(door.rows["door.live.knock"].states) == {"moving": 3, "open": 3, "held": 3}
    assert dict(door.rows["door.held.knock"].states) == {"held": 0}
    assert set(door.rows["door.leave"].states.values()) == {WIDEST}
    assert "gone" not in door.rows["door.leave"].states


def test_guards_are_typed_trees(door: Machine):
    assert door.rows["door.shut.open"].guard == x.And(
        (
            x.Var("ready"),
            x.Compare("!=", x.Field("by"), x.Literal("")),
            x.In(x.Var("holder"), (x.Literal("nobody"), x.Literal("owner"))),
        )
    )
    assert door.rows["door.shut.refuse"].otherwise
    assert door.rows["door.shut.refuse"].guard_text == "otherwise"


def test_values_are_read_by_the_type_that_is_wanted(door: Machine):
    start = door.rows["door.start"]
    assert start.set == {"name": x.Field("owner"), "note": x.Field("colour")}
    child, timer = start.actions
    assert child.parameters == {
        "name": x.Literal("lamp"),
        "machine": x.Literal("test/lamp"),
        "with": x.Mapping((("colour", x.Literal("red")),)),
    }
    assert timer.parameters["after"] == x.Config("patience")
    assert timer.parameters["repeat"] == x.Mapping((("factor", x.Literal(2)), ("max", x.Literal(60.0))))
    assert door.rows["door.open.hold"].after == x.Between(x.Literal(2.1), x.Literal(4.0))
    say = door.rows["door.nag"].actions[0].parameters
    assert say["text"] == x.Literal("$5")
    assert say["tags"] == x.Literal(("a", 1))


def test_variables_have_their_natural_defaults(door: Machine):
    defaults = {name: one.default for name, one in door.variables.items()}
    assert defaults == {
        "holder": "nobody", "wait": 0.5, "ready": False, "maybe": None, "name": "", "note": None, "key": None,
        "knocks": 0,
    }  # fmt: skip


def test_events_are_those_it_can_be_given(door: Machine):
    events = door.events
    assert events["engine.started"].fields == {"owner": Type("string"), "colour": Type("string", optional=True)}
    assert events["engine.failed"].must_take
    assert {name: event.source for name, event in events.items() if event.source not in ("interface", "engine")} == {
        "timer.nag": "timer", "after.door.open.close": "after", "after.door.open.hold": "after",
        "bolt.moved": "outcome", "bolt.stuck": "outcome",
        "lamp.lit": "child", "lamp.ended": "child", "lamp.refused": "child",
        "guest*.lit": "child", "guest*.ended": "child", "guest*.refused": "child",
    }  # fmt: skip
    assert "child" in events["guest*.lit"].fields
    assert "child" not in events["lamp.lit"].fields


def test_user_wildcard_takes_the_commands_that_are_left_in_each_state(door: Machine):
    rest = {row.id: (set(row.states), set(row.events)) for row in door.rows.values() if row.id.startswith("door.rest")}
    assert rest == {
        "door.rest@shut": ({"shut", "moving"}, {"user.lock", "user.paint"}),
        "door.rest@open": ({"open", "held"}, {"user.lock", "user.paint", "user.open"}),
    }


def test_rows_of_a_fragment_say_where_they_come_from(door: Machine):
    assert door.rows["bell.cut"].origin == "test/bell"
    assert door.rows["bell.cut"].position.file.endswith("bell.yaml")
    assert door.rows["door.leave"].origin == ""


def test_the_digest_changes_with_behaviour_only():
    def digest(given: dict[str, str]) -> str:
        return load_tables(texts=given).machines["test/door"].digest

    first = digest(texts())
    assert digest(texts(door=("doc: The door is shut.", "doc: It is shut."))) == first
    assert digest({**texts(), "door.yaml": "# a comment\n" + texts()["door.yaml"]}) == first
    assert digest(texts(door=("event.code >= 200", "event.code > 200"))) != first
    assert digest(texts(bell=("next_state: gone, locked", "locked"))) != first


def test_order_of_rows_means_nothing():
    text = texts()["door.yaml"]
    head, _, rows = text.partition("rows:\n")
    single = [line for line in rows.splitlines() if line.startswith("  - {")]
    rest = [line for line in rows.splitlines() if not line.startswith("  - {")]
    moved = head + "rows:\n" + "\n".join([*reversed(single), *rest]) + "\n"
    one, other = (load_tables(texts={**texts(), "door.yaml": each}).machines["test/door"] for each in (text, moved))
    assert {row.id for row in one.rows.values()} == {row.id for row in other.rows.values()}
    assert one.digest == other.digest


def test_one_file_finds_what_it_names_among_the_shipped_tables(tmp_path: Path):
    file = tmp_path / "mine.yaml"
    file.write_text(
        "calltable: 1\nmachine: mine\ninitial: a\nchildren: {t: {machine: transaction/client}}\n"
        "states: {a: {}, z: {final: true}}\n"
        "rows: [{id: r, state: a, event: engine.failed, next_state: z}]\n"
    )
    found = load_tables([file])
    assert {"mine", "transaction/client"} <= set(found.machines)
    assert "t.ended" in found.machines["mine"].events


def test_a_given_table_stands_before_the_shipped_one_of_its_name():
    text = (
        "calltable: 1\nmachine: transaction/client\ninitial: a\nstates: {a: {}, z: {final: true}}\n"
        "rows: [{id: r, state: a, event: engine.failed, next_state: z}]\n"
    )
    assert set(load_tables(texts={"t.yaml": text}).machines["transaction/client"].rows) == {"r"}


def test_a_catalogue_of_ones_own_can_build_on_the_shipped_ones():
    own = "calltable: 1\ncatalogue: mine\ninclude: [sip]\nactions: {my.action: {doc: Mine.}}\n"
    found = load_tables(texts={"c.yaml": own}).catalogue
    assert {"my.action", "sip.bye", "timer.start"} <= set(found.actions)


def test_the_shipped_tables_load():
    assert load_tables().machines


def test_a_path_that_is_not_there_is_an_os_error(tmp_path: Path):
    with pytest.raises(FileNotFoundError):
        load_tables([tmp_path / "nothing.yaml"])


def test_problems_of_all_files_come_at_once_and_in_order():
    given = texts(door=("[bolt.move: {direction: out}, bell.ring]", "[bolt.mov: {direction: out}, bell.rung]"))
    given["lamp.yaml"] = given["lamp.yaml"].replace("next_state: bright", "next_state: brigt")
    given["other.yaml"] = "calltable: 1\nmachine: [\n"
    given["more.yaml"] = "calltable: 2\nmachine: more\ninitial: a\nstates: {}\n"
    found = problems(given)
    assert [(one.position.file, one.code) for one in found] == [
        ("door.yaml", "unknown-action"), ("door.yaml", "unknown-action"), ("lamp.yaml", "unknown-state"),
        ("more.yaml", "shape"), ("other.yaml", "yaml"),
    ]  # fmt: skip


def test_a_mistake_in_a_fragment_is_told_once():
    given = texts(bell=("event: wire.scratch", "event: wire.scrach"))
    given["second.yaml"] = given["door.yaml"].replace("machine: test/door", "machine: test/second")
    assert [one.code for one in problems(given)] == ["unknown-event"]


def test_a_row_of_the_wrong_shape_does_not_hide_the_others():
    given = texts(door=("id: door.leave, state: any,", "id: door.leave, state: any, gards: [ready],"))
    given["door.yaml"] = given["door.yaml"].replace("next_state: moving", "next_state: movin")
    assert {one.code for one in problems(given)} == {"unknown-key", "unknown-state"}


def test_the_text_of_a_problem_says_everything():
    (found,) = problems(texts(door=("event: engine.started", "event: engine.startd")))
    assert str(found) == (
        "door.yaml:35:12: unknown event 'engine.startd' (table test/door, row door.start, event engine.startd)\n"
        "    did you mean engine.started?"
    )


# --------------------------------------------------------------------------- what a bad table is told

DOOR_ERRORS = [
    # names
    ("unknown-key", "durable: true", "⟦durabel: true", "no key 'durabel'", "did you mean durable?"),
    ("unknown-key", "id: door.leave, state", "id: door.leave, ⟦gaurds: [ready], state", "no key 'gaurds'", "guards"),
    ("unknown-key", "open: {lasts: until somebody leaves}", "open: {lasts: until somebody leaves, ⟦or not}",
     "no key 'or not'", "put quotes around a text that holds a comma"),
    ("unknown-state", "initial: shut", "initial: ⟦shutt", "unknown state 'shutt'", "did you mean shut?"),
    ("unknown-state", "passable: [open, held]", "passable: [open, ⟦hold]", "unknown state 'hold'", "held"),
    ("unknown-state", "id: door.held.nag, state: held", "id: door.held.nag, state: ⟦helt", "unknown state 'helt'", "held"),
    ("unknown-state", "guards: [event.code < 200], next_state: shut", "guards: [event.code < 200], next_state: ⟦lost",
     "unknown state 'lost'", "known: gone"),
    ("unknown-event", "event: engine.started", "event: ⟦engine.strted", "unknown event", "did you mean engine.started?"),
    ("unknown-event", "event: timer.nag, actions: [timer", "event: ⟦timer.bore, actions: [timer",
     "no row starts a timer 'bore'", "timer.start: {name: bore"),
    ("unknown-event", "[lamp.lit, ", "[lamp.lit, ⟦guest.lit, ", "unknown event 'guest.lit'", "guest*.lit"),
    ("unknown-event", "[lamp.lit, ", "[lamp.lit, ⟦after.door.open.hold2, ", "unknown event", "«after:»"),
    ("unknown-action", "bell.ring]", "⟦bell.rang]", "unknown action 'bell.rang'", "did you mean bell.ring?"),
    ("unknown-parameter", "[bolt.move: {direction: out}", "[bolt.move: {direction: out, ⟦sped: 2}",
     "bolt.move has no parameter 'sped'", "did you mean speed?"),
    ("missing-parameter", "[bolt.move: {direction: out}", "[⟦bolt.move: {speed: 2}", "needs its parameter 'direction'",
     "add «direction: <handle>»"),
    ("missing-parameter", "[bolt.move: {direction: out}", "[⟦bolt.move", "needs its parameter 'direction'", "add"),
    ("unknown-variable", "set: {holder: guard", "set: {⟦holdr: guard", "unknown variable 'holdr'", "did you mean holder?"),
    ("unknown-variable", "after: $wait", "after: $⟦wayt", "unknown variable 'wayt'", "did you mean wait?"),
    ("unknown-variable", "[ready, event.by", "[⟦reddy, event.by", "unknown variable 'reddy'", "did you mean ready?"),
    ("unknown-field", "[ready, event.by", "[ready, ⟦event.bye", "user.open has no field 'bye'", "did you mean by?"),
    ("unknown-field", "set: {name: $event.owner", "set: {name: $⟦event.ownr", "no field 'ownr'", "did you mean owner?"),
    ("unknown-config", "after: $config.patience", "after: $⟦config.patients", "unknown config", "did you mean patience?"),
    ("unknown-name", "after: $wait", "after: $⟦door.wait", "unknown name 'door.wait'", "$event.field"),
    ("unknown-predicate", "[strong(event.force)", "[⟦stong(event.force)", "unknown predicate", "did you mean strong?"),
    ("unknown-publication", "publish: [shut_again]", "publish: [⟦shut_agin]", "unknown publication", "shut_again?"),
    ("unknown-field", "[opened: {by: $name}]", "[opened: {by: $name, ⟦sped: 1}]",
     "publication opened has no field 'sped'", "did you mean speed?"),
    ("missing-field", "[opened: {by: $name}]", "[⟦opened]", "publication opened needs its field 'by'", "add «by: <string>»"),
    ("unknown-child", "child.start: {name: lamp,", "child.start: {name: ⟦lomp,", "unknown child 'lomp'", "lamp?"),
    ("unknown-child", "count(guest*) == 0", "⟦count(gest*) == 0", "unknown child 'gest*'", "guest*"),
    ("unknown-state", "count(guest*) == 0", "'⟦count(guest*, brigt) == 0'", "no child of guest* has a state 'brigt'", "bright"),
    ("unknown-machine", "guest*: {machine: test/lamp}", "guest*: {machine: ⟦test/lump}", "unknown machine", "test/lamp?"),
    ("unknown-timer", "timer.stop: {name: nag}", "timer.stop: {name: ⟦nog}", "unknown timer 'nog'", "did you mean nag?"),
    ("unknown-interface", "receives: [user.door]", "receives: [user.door, ⟦user.doors]", "unknown interface", "user.door?"),
    ("unknown-fragment", "include: [test/bell]", "include: [⟦test/ball]", "unknown fragment", "did you mean test/bell?"),
    ("include", "include: [test/bell]", "include: [⟦test/lamp]", "is a machine", "fragment:"),
    ("unknown-value", "'holder in [nobody, owner]'", "'holder in [nobody, ⟦ownr]'", "'ownr' is not one of", "owner?"),
    ("unknown-row", "overrides: [door.live.knock, door.live.soft]", "overrides: ⟦[door.live.knock, door.live.soft, door.liv]",
     "overrides: unknown row 'door.liv'", "did you mean"),
    # types
    ("unknown-type", "ready: bool", "ready: ⟦boolean", "unknown type 'boolean'", "did you mean bool?"),
    ("type", "holder: {type: enum, values: [nobody, owner, guard], doc: Who holds the key.}", "holder: {type: ⟦enum}",
     "an enum without values", "values: [one, another]"),
    ("type", "wait: {type: duration, default: 500ms}", "wait: {type: duration, default: ⟦fast}",
     "'fast' where a duration is needed", "500ms"),
    ("type", "key: handle?", "⟦key: handle", "a handle has no natural default", "handle?"),
    ("type", "set: {holder: guard", "set: {holder: ⟦gaurd", "'gaurd' is not one of nobody, owner, guard", "guard?"),
    ("type", "knocks: 0}", "knocks: ⟦many}", "'many' where an int is needed", "whole number"),
    ("type", "knocks: 0}", "knocks: ⟦$name}", "$name is a string where an int is needed", ""),
    ("type", "set: {name: $event.owner,", "set: {name: ⟦$event.colour,", "$event.colour may be null where a string is needed",
     "guard the row with «event.colour is not null»"),
    ("type", "set: {name: $event.owner,", "set: {name: ⟦$note,", "$note may be null", "note is not null"),
    ("type", "set: {name: $event.owner,", "set: {name: ⟦7,", "'7' where a string is needed", "put it in quotes"),
    ("type", "direction: out", "direction: ⟦up", "'up' is not one of in, out", "known: in, out"),
    ("type", "with: {colour: red}", "with: {colour: ⟦[red]}", "a list where a string is needed", ""),
    ("type", "with: {colour: red}", "with: ⟦red", "with: is 'red', not a mapping", "with: {name: value}"),
    ("type", "repeat: {factor: 2, max: 1m}", "repeat: {factor: ⟦0, max: 1m}", "factor is '0'", "at least 1"),
    ("type", "repeat: {factor: 2, max: 1m}", "repeat: {factor: 2, max: ⟦ever}", "'ever' where a duration? is needed", ""),
    ("unknown-parameter", "repeat: {factor: 2, max: 1m}", "repeat: {factor: 2, ⟦most: 1m}", "repeat has no parameter", ""),
    ("type", "[ready, event.by", "[⟦name, event.by", "a string stands where a condition is needed", "compare it"),
    ("type", "[ready, event.by", "[⟦maybe, event.by", "a bool? stands where a condition is needed", "== true"),
    ("type", "event.by != ''", "⟦event.by < ''", "cannot be compared with <", "only int and duration"),
    ("type", "event.by != ''", "⟦event.by != 5", "a string is compared with an int", "one type"),
    ("type", "event.by != ''", "⟦event.by is null", "a string is never null", "optional"),
    ("type", "event.by != ''", "⟦knocks == null", "an int is never null", "optional"),
    ("type", "[strong(event.force)", "[strong(⟦event.mark)", "strong takes an int, not a string?", ""),
    ("type", "[strong(event.force) or event.mark is not null]", "['⟦strong(1, 2)']", "strong takes 1 arguments, not 2", "(int)"),
    ("unknown-value", "[strong(event.force)", "[side(⟦top)", "'top' is not one of front, back", ""),
    ("type", "tags: [a, 1]", "tags: [a, ⟦$name]", "'$name' in a list", "constants"),
    ("between", "{between: [2.1s, 4s]}", "{between: ⟦[4s, 2.1s]}", "4s is more than 2.1s", "smaller first"),
    ("between", "{between: [2.1s, 4s]}", "{between: ⟦[4s]}", "takes two durations", "[2.1s, 4s]"),
    ("between", "knocks: 0}", "knocks: 0, wait: ⟦{between: [1s, 2s]}}", "nothing is drawn at random here", "after:"),
    ("no-event", "after: $wait", "after: $⟦event.wait", "cannot be used here: the time is set when", "variable"),
    ("no-event", "not ready], next_state: shut", "⟦event.force > 1], next_state: shut", "the row waits for a time", "variable"),
    # guards
    ("guard", "[ready, event.by", "[ready ⟦&& maybe, event.by", "unexpected '&&'", "write «and»"),
    ("guard", "guards: [event.code < 200]", "guards: ['event.code ⟦= 200']", "unexpected '='", "write «==»"),
    ("guard", "guards: [event.code < 200]", 'guards: ["event.code <⟦"]', "expected a value, found the end", ""),
    ("guard", "door.shut.refuse, state: shut, event: user.open, guards: [otherwise]",
     "door.shut.refuse, state: shut, event: user.open, guards: [ready, ⟦otherwise]", "stands with other guards", ""),
    ("guard", "[count(guest*) == 0, not ready]", "[⟦otherwise]", "cannot arm a timer", "condition"),
    # kinds of rows
    ("kind", "event: user.open, defer: true", "event: user.open, defer: true, ⟦next_state: shut", "cannot have «next_state:»", ""),
    ("kind", "event: user.open, defer: true", "event: user.open, ignore: late, ⟦defer: true", "cannot both ignore and defer", ""),
    ("does-nothing", "id: door.leave, state: any, event: user.leave, next_state: gone",
     "id: ⟦door.leave, state: any, event: user.leave", "the row does nothing", "ignore: late"),
    ("event", "after: $wait", "⟦after: $wait, event: wire.knock", "both event: and after:", ""),
    ("event", "{id: door.leave, state: any, event: user.leave", "{id: ⟦door.leave, state: any", "neither event: nor after:", ""),
    ("refuse", "event: bolt.stuck, ignore: late", "event: ⟦bolt.stuck, refuse: no", "is not a command", "ignore: late"),
    ("must-take", "event: user.leave, next_state: gone", "event: ⟦user.leave, refuse: stay", "must be handled: it cannot be refused",
     "defer: true"),
    ("wildcard", "event: bolt.stuck, ignore: late", "event: ⟦wire.*, ignore: late", "'wire.*' cannot stand here", "name the events"),
    ("wildcard", "state: any, event: user.*, refuse: not now", "state: any, event: ⟦user.*, ignore: late", "cannot stand here", ""),
    ("shape", "event: bolt.stuck, ignore: late", "event: bolt.stuck, ignore: ⟦lately", "«ignore» cannot be 'lately'", "late?"),
    ("final-state", "id: door.held.nag, state: held", "id: door.held.nag, state: [held, ⟦gone]", "'gone' is a final state", "no row"),
    ("duplicate", "[lamp.lit, ", "[lamp.lit, ⟦lamp.lit, ", "listed twice", ""),
    # declarations
    ("duplicate", "id: door.held.nag", "id: ⟦door.start", "row 'door.start' is defined twice", "it is defined at door.yaml:33:9"),
    ("duplicate-key", "ready: bool\n", "ready: bool\n  ⟦ready: int\n", "key 'ready' is written twice", "keep one"),
    ("duplicate", "  live: [moving, passable]", "  live: [moving, passable]\n  ⟦held: [moving]", "'held' is a state and a group", "rename"),
    ("reserved", "  live: [moving, passable]", "  live: [moving, passable]\n  ⟦any: [moving]", "nothing can be named 'any'", ""),
    ("reserved", "shut_again: {}\n", "shut_again: {}\n  ⟦ended: {}\n", "cannot be named 'ended'", ""),
    ("reserved", "ready: bool\n", "ready: bool\n  ⟦count: int\n", "cannot be named 'count'", "guards"),
    ("group-cycle", "passable: [open, held]", "passable: [open, held, ⟦passable]", "form a cycle", ""),
    ("initial", "initial: shut", "initial: ⟦gone", "the initial state 'gone' is final", ""),
    ("child-machine", "{name: guest*, machine: test/lamp,", "{name: guest*, machine: ⟦test/door,", "child guest* runs test/lamp", ""),
    ("unknown-event", "{to: guest*, event: user.open,", "{to: guest*, event: ⟦user.opn,", "test/lamp receives no event", "user.open?"),
    ("missing-field", "with: {by: $name}}]", "with: ⟦{}}]", "user.open of test/lamp needs its field 'by'", ""),
    ("child", "[child.tell: {to: $event.child, event: user.leave}], set: {name: $event.child}",
     "[child.end: {name: ⟦guest*}], set: {name: $event.child}", "a whole set", "child.tell"),
    # standing
    ("overrides", "next_state: held}\n  - {id: door.nag", "next_state: held, overrides: ⟦door.nag}\n  - {id: door.nag",
     "row door.held.nag does not override door.nag", ""),
]  # fmt: skip


@pytest.mark.parametrize(
    ("code", "old", "new", "message", "hint"),
    DOOR_ERRORS,
    ids=lambda value: value if isinstance(value, str) and len(value) < 20 else "",
)
def test_a_mistake_in_a_machine(code: str, old: str, new: str, message: str, hint: str):
    given, (file, line, column) = marked(texts(door=(old, new)))
    found = problems(given)
    match = [one for one in found if one.code == code and message in one.message]
    assert match, "\n".join(map(str, found))
    problem = match[0]
    assert (problem.position.file, problem.position.line, problem.position.column) == (file, line, column), str(problem)
    assert hint in problem.hint
    assert problem.table == "test/door" or code in ("duplicate-key", "yaml")
    assert len(found) == 1, "\n".join(map(str, found))


def test_a_row_that_beats_another_without_saying_so_names_both():
    found = problems(texts(door=("    overrides: [door.live.knock, door.live.soft]\n", "")))
    assert [one.code for one in found] == ["overrides", "overrides"]
    assert "row door.held.knock (held) overrides the broader row door.live.knock (live, door.yaml:" in found[0].message
    assert "overrides: [door.live.knock, door.live.soft]" in found[0].hint
    assert (found[0].row, found[0].state, found[0].event) == ("door.held.knock", "held", "wire.knock")


def test_what_a_child_needs_to_start_is_asked_for():
    (found,) = problems(texts(door=(", with: {colour: red}", "")))
    assert (found.code, found.row) == ("missing-parameter", "door.start")
    assert "test/lamp needs its parameter 'colour'" in found.message


def test_a_key_that_is_missing_is_named():
    (found,) = problems(texts(door=("initial: shut\n", "")))
    assert (found.code, found.message) == ("missing-key", "the table has no «initial»")


def test_a_variable_that_the_fragment_has_is_defined_twice():
    given, (file, line, column) = marked(texts(bell=("  knocks: int", "  ⟦knocks: int"), door=("  ready: bool", "  knocks: int\n  ready: bool")))
    (found,) = problems(given)
    assert (found.code, str(found.position)) == ("duplicate", f"{file}:{line}:{column}")
    assert "door.yaml:16:3" in found.hint


def test_a_machine_without_an_end():
    text = "calltable: 1\nmachine: m\ninitial: a\nstates: {a: {}}\nrows: []\n"
    (found,) = problems({**texts(), "m.yaml": text})
    assert (found.code, str(found.position)) == ("no-final-state", "m.yaml:2:10")


def test_fragments_that_include_each_other():
    given = texts(bell=("receives: [wire.door]", "receives: [wire.door]\ninclude: [test/other]"))
    given["other.yaml"] = "calltable: 1\nfragment: test/other\ninclude: [test/bell]\n"
    (found,) = problems(given)
    assert found.code == "include-cycle"
    assert "test/bell → test/other → test/bell" in found.message
    assert str(found.position) == "other.yaml:3:11"


def test_a_fragment_reached_twice_is_taken_once():
    given = texts(door=("include: [test/bell]", "include: [test/bell, test/other]"))
    given["other.yaml"] = "calltable: 1\nfragment: test/other\ninclude: [test/bell]\n"
    assert "bell.cut" in load_tables(texts=given).machines["test/door"].rows


def test_events_of_one_row_must_agree_on_a_field():
    given = texts(bell=("- {id: bell.scratch, state: any, event: wire.scratch, ignore: late}",
                        "- {id: bell.scratch, state: shut, event: [wire.scratch, wire.knock], guards: [event.force > 1, ⟦event.mark == 1], set: {knocks: $event.force}}"))  # fmt: skip
    given, (_, line, column) = marked(given)
    found = next(one for one in problems(given) if one.code == "type")
    assert (found.position.line, found.position.column) == (line, column)
    assert "event.mark is an int in wire.scratch but a string? in wire.knock" in found.message


def test_a_word_that_is_a_variable_and_a_member_is_ambiguous():
    given = texts(door=("  ready: bool\n", "  ready: bool\n  owner: string\n"))
    given["door.yaml"] = given["door.yaml"].replace("'holder in [nobody, owner]'", "holder == owner")
    (found,) = problems(given)
    assert (found.code, "in quotes" in found.hint) == ("ambiguous", True)


def test_a_guard_can_show_that_a_field_is_there():
    given = texts(door=("set: {knocks: 1}}", "set: {name: $event.mark}}"))
    assert [one.code for one in problems(given)] == ["type"]
    given["door.yaml"] = given["door.yaml"].replace("strong(event.force) or event.mark", "strong(event.force) and event.mark")
    assert load_tables(texts=given).machines


def test_overriding_is_handed_on():
    """A row that overrides a group row need not name the ``any`` row which that one overrides."""
    text = (
        "calltable: 1\nmachine: m\ninitial: a\nstates: {a: {}, b: {}, c: {}, z: {final: true}}\n"
        "groups: {ab: [a, b]}\nreceives: [wire.door]\nrows:\n"
        "  - {id: wide, state: any, event: wire.cut, next_state: z}\n"
        "  - {id: mid, state: ab, event: wire.cut, next_state: z, overrides: wide}\n"
        "  - {id: thin, state: a, event: wire.cut, next_state: z, overrides: mid}\n"
    )
    assert load_tables(texts={**texts(), "m.yaml": text}).machines["m"].rows["thin"].overrides == ("mid",)


@pytest.mark.parametrize(
    ("text", "code", "place", "message"),
    [
        ("", "yaml", "f.yaml:1:1", "the file is empty"),
        ("calltable: 1\nmachin: x\n", "kind", "f.yaml:1:1", "does not say what it holds"),
        ("calltable: 1\nmachine: x\noverlay: y\n", "kind", "f.yaml:3:1", "both a machine and a overlay"),
        ("calltable: 1\nmachine: [x]\n", "kind", "f.yaml:2:10", "«machine:» needs a name"),
        ("calltable: 1\nmachine: X\ninitial: a\nstates: {}\n", "name", "f.yaml:2:10", "'X' is not a name"),
        ("machine: x\ninitial: a\nstates: {}\n", "missing-key", "f.yaml:1:1", "no «calltable»"),
        ("- a\n", "kind", "f.yaml:1:1", "does not say what it holds"),
    ],
)
def test_a_file_that_is_no_table(text: str, code: str, place: str, message: str):
    (found,) = problems({**texts(), "f.yaml": text})
    assert (found.code, str(found.position)) == (code, place)
    assert message in found.message


@pytest.mark.parametrize(
    ("old", "new", "code", "message"),
    [
        ("[bolt.moved, {event", "[⟦bolt.movd, {event", "unknown-outcome", "unknown outcome 'bolt.movd'"),
        ("acquires: ['bolt:{direction}']", "acquires: [⟦'bolt:{dir}']", "unknown-parameter", "{dir} is not a parameter"),
        ("  bolt.moved: {fields", "  ⟦timer.moved: {fields", "reserved", "cannot be named 'timer.moved'"),
        ("speed: {type: int, default: 1}", "speed: {type: int, default: ⟦fast}", "type", "'fast' where an int"),
        ("tries: {type: int,", "tries: {type: ⟦integer,", "unknown-type", "unknown type 'integer'"),
        ("  bell.ring: {doc", "  bell.ring: {⟦docs: x, doc", "unknown-key", "no key 'docs'"),
    ],
)
def test_a_mistake_in_a_catalogue(old: str, new: str, code: str, message: str):
    given, (file, line, column) = marked(texts(catalogue=(old, new)))
    found = next(one for one in problems(given) if one.code == code)
    assert message in found.message
    assert str(found.position) == f"{file}:{line}:{column}"


def test_two_tables_of_one_name():
    given = texts()
    given["zz.yaml"] = given["lamp.yaml"]
    (found,) = problems(given)
    assert (found.code, str(found.position)) == ("duplicate", "zz.yaml:2:10")
    assert "lamp.yaml" in found.hint


def test_a_file_that_is_not_utf8(tmp_path: Path):
    (tmp_path / "x.yaml").write_bytes(b"calltable: 1\nmachine: \xff\n")
    with pytest.raises(TableError, match="not UTF-8"):
        load_tables([tmp_path])


# --------------------------------------------------------------------------- whatever is written

ODD = [
    "null", "{}", "[]", "''", "7", "true", "$name", "$event.by", "$event.", "$", "any", "user.*", "{between: [1s, 2s]}",
    "[[a]]", "{a: {b: c}}", "held", "b*", "timer.nag", "otherwise", "{machine: test/door}", "{type: enum}", "-1", "'not ('",
]  # fmt: skip


def nodes(data: object, path: tuple = ()) -> list[tuple]:
    found = [path]
    if isinstance(data, dict):
        for key, value in data.items():
            found += nodes(value, (*path, key))
    elif isinstance(data, list):
        for index, value in enumerate(data):
            found += nodes(value, (*path, index))
    return found


def put(data: object, path: tuple, value: object) -> object:
    if not path:
        return value
    copy = dict(data) if isinstance(data, dict) else list(data)  # type: ignore[call-overload]
    copy[path[0]] = put(copy[path[0]], path[1:], value)
    return copy


def dropped(data: object, path: tuple) -> object:
    copy = dict(data) if isinstance(data, dict) else list(data)  # type: ignore[call-overload]
    if len(path) == 1:
        del copy[path[0]]
    else:
        copy[path[0]] = dropped(copy[path[0]], path[1:])
    return copy


@pytest.mark.parametrize("file", FILES)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_any_value_anywhere_loads_or_is_told(file: str, data: st.DataObject):
    """One or two values of a good table replaced by odd ones, or taken away: never anything but a TableError."""
    table = yaml.load((TABLES / file).read_text(encoding="utf-8"), Loader=yaml.CBaseLoader)
    for _ in range(data.draw(st.integers(1, 2))):
        path = data.draw(st.sampled_from(nodes(table)[1:]))
        odd = data.draw(st.sampled_from([None, *ODD]))
        table = dropped(table, path) if odd is None else put(table, path, yaml.load(odd, Loader=yaml.CBaseLoader))
    text = yaml.dump(table, sort_keys=False).replace("'true'", "true").replace("'7'", "7").replace("'1'", "1")
    try:
        load_tables(texts={**texts(), file: text})
    except TableError as error:
        assert all(one.message and one.position.line >= 1 for one in error.problems)  # noqa: PT017
