"""The words of all problems, in one file to be read together: ``gallery.txt``, written anew by running this module.

    python -m tests.engine.test_gallery
"""

from __future__ import annotations

import re
from pathlib import Path

from calltable.engine.check.check import check
from calltable.engine.language.load import load_tables
from calltable.engine.model.problems import TableError
from tests.engine.language.test_load import DOOR_ERRORS, MARK, texts
from tests.engine.small import CATALOGUE, changed, with_rows, without

FILE = Path(__file__).with_name("gallery.txt")
OTHER = (
    "calltable: 1\nmachine: other\ninitial: one\nreceives: [peer]\nstates: {one: {lasts: long}, over: {final: true}}\nrows:\n"
    "  - {id: o.bye, state: one, event: peer.bye, next_state: over}\n  - {id: o.start, state: one, event: engine.started, doc: x}\n"
    "  - {id: o.info, state: one, event: peer.info, ignore: late}\n  - {id: o.failed, state: one, event: engine.failed, next_state: over}\n"
)
BAD_TABLES = (
    without("phone.info"),
    without("phone.active.resume"),
    without("phone.opening.ready", without("phone.opening.failed")),
    changed(("guards: [held], set", "guards: [held or event.times >= 3], set")),
    with_rows("{id: phone.early.patience, state: early, event: timer.patience, ignore: late}"),
    with_rows("{id: phone.never, state: active, event: peer.info, guards: [tries > 3, tries < 2], ignore: late, overrides: phone.info}"),
    changed(("  over: {final", "  lost: {}\n  over: {final")),
    changed(("  active: {lasts: until either party hangs up}", "  active: {}")),
    changed(("event: timer.patience, next_state: over", "event: timer.patience, next_state: ending"),
            ("{id: phone.ending.bye, state: ending, event: peer.bye, next_state: over}", "{id: phone.ending.bye, state: ending, event: peer.bye, doc: x}"),
            ("{id: phone.ending.hangup, state: ending, event: user.hangup, next_state: over}", "{id: phone.ending.hangup, state: ending, event: user.hangup, doc: x}")),
    changed(("event: user.hold, defer: true", "event: user.hold, refuse: no"), ("state: [idle, ending], event: user.hold, refuse: not now", "state: [idle, ending], event: user.hold, defer: true")),
    changed(("event: media.ready, next_state: active", "event: media.ready, actions: [look], next_state: over")),
    changed(("event: media.ready, next_state: active", "event: media.ready, actions: [look], next_state: active"),
            text=with_rows("{id: phone.look, state: any, event: [look.found, look.more], ignore: late}")),
    with_rows("{id: phone.round, state: active, after: 0s, guards: [not held], next_state: ending}",
              "{id: phone.back, state: ending, after: 0s, guards: [not held], next_state: active}"),
    with_rows("{id: phone.five, state: active, after: 5s, next_state: over}", "{id: phone.five_too, state: active, after: 5s, next_state: ending}"),
    changed(("timer.start: {name: patience, after: $config.patience}", "timer.start: {name: patience, after: 0s, repeat: {}}")),
    changed(("  over: {final: true}", "  over: {final: true, lasts: for ever}")),
    changed(("receives: [user.phone, peer]\n", "receives: [user.phone, peer]\nchildren: {b: {machine: other}}\n")),
)  # fmt: skip


def shown(problem):
    return re.sub(r"(/\S*/)?tests/engine/", "", str(problem))


def gallery() -> str:
    """One problem of each kind of mistake."""
    told: dict[str, str] = {}
    for code, old, new, *_ in DOOR_ERRORS:
        given = {file: text.replace(MARK, "") for file, text in texts(door=(old, new)).items()}
        try:
            load_tables(texts=given)
        except TableError as error:
            told.update({f"{code}: {one.message}": f"[{one.code}] {shown(one)}" for one in error.problems})
    for table in BAD_TABLES:
        library = load_tables(texts={"catalogue.yaml": CATALOGUE, "other.yaml": OTHER, "phone.yaml": table})
        found = check(library)
        assert found, table
        told.update({one.message: f"[{one.code}] {shown(one)}" for one in found})
    return "\n\n".join(told.values()) + "\n"


def test_the_words_of_all_problems_are_those_of_the_gallery():
    assert gallery() == FILE.read_text(encoding="utf-8"), "read what has changed, then: python -m tests.engine.test_gallery"


if __name__ == "__main__":
    FILE.write_text(gallery(), encoding="utf-8")
