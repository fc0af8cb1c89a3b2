"""A small correct table that tests break in one place at a time, and a way to check tables given as text."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

from calltable.engine.check.check import check
from calltable.engine.language.load import load_tables

CATALOGUE = """\
calltable: 1
catalogue: small
doc: What the phone of these tests knows.
config: {patience: {type: duration, default: 4s, doc: how long a good-bye may take}}
interfaces:
  user.phone:
    commands: true
    doc: The person.
    events:
      user.hangup: {must_take: true, doc: end it}
      user.hold: {doc: hold or resume, fields: {times: int}}
  peer:
    doc: The other side.
    events:
      peer.bye: {must_take: true, doc: it ended}
      peer.info: {doc: some news, fields: {code: int, text: string?}}
outcomes:
  media.ready: {doc: open}
  media.failed: {doc: cannot be opened, fields: {reason: string}}
  look.found: {doc: a lookup's answer}
  look.more: {doc: a part of a lookup's answer}
actions:
  media.open: {doc: open media, outcomes: [media.ready, media.failed]}
  media.close: {doc: close media}
  media.play: {doc: play, outcomes: [media.failed]}
  look: {doc: look up, outcomes: [look.found, {event: look.more, more: true}]}
predicates:
  is_nice: {parameters: [], returns: bool, doc: a question}
"""

PHONE = """\
calltable: 1
machine: phone
doc: A small phone.
initial: idle
receives: [user.phone, peer]
variables:
  held: {type: bool}
  tries: {type: int}
states:
  idle: {}
  opening: {doc: media are being opened}
  active: {lasts: until either party hangs up}
  ending: {doc: saying good-bye}
  over: {final: true}
groups:
  early: [idle, opening]
rows:
  - {id: phone.start, state: idle, event: engine.started, actions: [media.open], next_state: opening}
  - {id: phone.opening.ready, state: opening, event: media.ready, next_state: active}
  - {id: phone.opening.failed, state: opening, event: media.failed, next_state: over}
  - {id: phone.early.hangup, state: early, event: user.hangup, actions: [media.close], next_state: over}
  - {id: phone.early.bye, state: early, event: peer.bye, next_state: over}
  - {id: phone.active.hold, state: active, event: user.hold, guards: [not held], set: {held: true}}
  - {id: phone.active.resume, state: active, event: user.hold, guards: [held], set: {held: false}}
  - id: phone.active.hangup
    state: active
    event: user.hangup
    actions: [media.close, timer.start: {name: patience, after: $config.patience}]
    next_state: ending
  - {id: phone.active.bye, state: active, event: peer.bye, next_state: over}
  - {id: phone.ending.done, state: ending, event: timer.patience, next_state: over}
  - {id: phone.ending.bye, state: ending, event: peer.bye, next_state: over}
  - {id: phone.ending.hangup, state: ending, event: user.hangup, next_state: over}
  - {id: phone.opening.hold, state: opening, event: user.hold, defer: true}
  - {id: phone.hold, state: [idle, ending], event: user.hold, refuse: not now}
  - {id: phone.info, state: any, event: peer.info, ignore: late}
  - {id: phone.failed, state: any, event: engine.failed, next_state: over}
"""


def changed(*changes: tuple[str, str], text: str = PHONE) -> str:
    """The phone with pieces of its text replaced; each piece must be there once."""
    for old, new in changes:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    return text


def with_rows(*rows: str, text: str = PHONE) -> str:
    return text + "".join(f"  - {row}\n" for row in rows)


def without(row_id: str, text: str = PHONE) -> str:
    """The phone without a row that stands on one line."""
    lines = text.splitlines(keepends=True)
    kept = [line for line in lines if f"id: {row_id}," not in line]
    assert len(kept) == len(lines) - 1, row_id
    return "".join(kept)


def write(folder: Path, *tables: str, catalogue: str = CATALOGUE) -> Path:
    """Write tables (and the catalogue) to files named by their order."""
    (folder / "catalogue.yaml").write_text(catalogue)
    for i, table in enumerate(tables):
        (folder / f"table{i}.yaml").write_text(dedent(table))
    return folder


def load(folder: Path, *tables: str):
    return load_tables([write(folder, *tables)])


def found(folder: Path, *tables: str):
    """What gates 2 and 3 find."""
    return check(load(folder, *tables))


def line_of(text: str, piece: str) -> int:
    """The line on which a piece of a table stands."""
    [line] = [i for i, line in enumerate(text.splitlines(), 1) if piece in line]
    return line
