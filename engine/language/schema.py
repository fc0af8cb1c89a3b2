"""The shape of table files as JSON Schema (draft 2020-12), for editors and for the loader.

One description serves both. Without a catalogue it says which keys exist and what may stand in them; the
loader checks that shape first (``shape.py``) and names and types afterwards, with better words than a schema
has. With a catalogue it also lists every action with its parameters, every event and every interface, each
with its documentation, so that an editor completes them; that is what ``tables/schema`` ships. The shipped one leaves room
for catalogues that it does not know: any interface, and actions whose first word no shipped action has. With the words of
a user's tables (``words_of``; the command ``calltable schema``) it completes their states, events, variables and fields too.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from calltable.engine.model import KINDS, TABLE_KINDS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from calltable.engine.model import ActionSpec, Catalogue, Machine, Parameter, Type

Schema = dict[str, Any]

IDENTIFIER = "^[a-z][a-z0-9_]*$"
PATH = "^[a-z][a-z0-9_]*(/[a-z][a-z0-9_]*)*$"
DOTTED = "^[a-z][a-z0-9_]*(\\.[a-z0-9_]+)*$"
EVENT = "^[a-z][a-z0-9_]*\\*?(\\.([a-z0-9_]+|\\*))*$"
CHILD = "^[a-z][a-z0-9_]*\\*?$"

FILE_KINDS = ("machine", "fragment", "overlay", "catalogue")
"""The key that says what a file holds; exactly one of them stands in it."""

TYPE_NAMES = "types.py says more of a name that is no type"
"""Marks the lists of type names: the loader leaves them to ``types.py``."""

_ID = "https://calltable.dev/schema/table.schema.json"


@dataclass(frozen=True)
class Words:
    """What tables of one folder name, each word with its documentation: an editor completes these."""

    states: Mapping[str, str]
    events: Mapping[str, str]
    variables: Mapping[str, str]
    publications: Mapping[str, str]
    values: Mapping[str, str]
    """``$variable``, ``$event.field`` and ``$config.setting``."""


def words_of(machines: Iterable[Machine], catalogue: Catalogue) -> Words:
    """The words of these machines."""
    given = list(machines)
    fields = {
        f"$event.{name}": f"{kind}, a field of {event.name}" for one in given for event in one.events.values() for name, kind in event.fields.items()
    }
    variables = {name: f"{one.type}. {one.doc}".strip() for machine in given for name, one in machine.variables.items()}
    return Words(
        states={
            **{name: one.doc for machine in given for name, one in machine.states.items()},
            **{name: f"A group: {', '.join(one.states)}." for machine in given for name, one in machine.groups.items()},
            "any": "All states that are not final.",
        },
        events={event.name: event.doc for machine in given for event in machine.events.values() if event.source != "after"},
        variables=variables,
        publications={name: ", ".join(f"{field}: {kind}" for field, kind in of.items()) for one in given for name, of in one.publishes.items()},
        values={
            **fields,
            **{f"${name}": doc for name, doc in variables.items()},
            **{f"$config.{name}": f"{one.type}. {one.doc}".strip() for name, one in catalogue.config.items()},
        },
    )


def table_schema(catalogue: Catalogue | None = None, words: Words | None = None) -> Schema:
    """The schema of any table file. Its ``$defs`` has one entry for each of ``FILE_KINDS``.

    With ``words``, only what ``catalogue`` has passes; without them, there is room for other catalogues.
    """
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": _ID,
        "title": "calltable table",
        "description": "A machine, a fragment, an overlay or a catalogue of calltable, language version 1.",
        "type": "object",
        "oneOf": [{"$ref": f"#/$defs/{kind}", "required": [kind]} for kind in FILE_KINDS],
        "$defs": {
            "machine": _object("A machine: the behaviour of one kind of session.", {
                **_head("machine", PATH),
                "role": _enum(("uac", "uas", "both", "none"), "Which side of a call it plays."),
                "durable": _bool("Whether its sessions survive a restart. Default false."),
                "include": _list(_text("The name of a fragment.", PATH), "Fragments whose content is merged in."),
                "initial": _text("The state that a session starts in.", IDENTIFIER),
                "parameters": _named("What a session is started with: the fields of engine.started.", _type(TABLE_KINDS)),
                **_common(catalogue),
            }, ("calltable", "machine", "initial", "states")),
            "fragment": _object("A fragment: rows, states and variables that several machines share.", {
                **_head("fragment", PATH),
                "include": _list(_text("The name of a fragment.", PATH), "Fragments whose content is merged in."),
                **_common(catalogue),
            }, ("calltable", "fragment")),
            "overlay": _object("An overlay: changes to a shipped machine, by row id, without copying it.", {
                **_head("overlay", PATH),
                "add": _list({"$ref": "#/$defs/row"}, "New rows."),
                "replace": _list({"$ref": "#/$defs/row"}, "Rows that take the place of those with the same id."),
                "remove": _list(_text("The id of a row.", DOTTED), "Rows to take away."),
                **{key: value for key, value in _common(catalogue).items() if key != "rows"},
            }, ("calltable", "overlay")),
            "catalogue": _catalogue(),
            "row": _row(catalogue, words),
            "action": _actions(catalogue, open_=words is None),
            "event": _events(catalogue, words),
            **({"value": {"anyOf": [_choice(words.values, "A value from the event, a variable or a setting."), {}]}} if words else {}),
            "field": _type(TABLE_KINDS),
        },
    }  # fmt: skip


def schema_text(catalogue: Catalogue, words: Words | None = None) -> str:
    """The schema as it is written to a file: JSON, indented, ending with a newline."""
    return json.dumps(table_schema(catalogue, words), indent=1, ensure_ascii=False) + "\n"


# --------------------------------------------------------------------------- parts of tables


def _head(kind: str, pattern: str) -> Schema:
    return {
        "calltable": {"const": 1, "description": "The version of the table language."},
        kind: _text(f"The name of the {kind}.", pattern),
        "doc": _text("What it is, with the section of the RFC that asks for it."),
    }


def _common(catalogue: Catalogue | None) -> Schema:
    interfaces = {name: one.doc for name, one in catalogue.interfaces.items()} if catalogue else {}
    interface = _text("An interface.", DOTTED)
    receives = {"anyOf": [_choice(interfaces, "The name of an interface."), interface]} if interfaces else interface
    variable = {
        **_type(TABLE_KINDS),
        "description": "A variable of the session: its type, or {type: …, default: …, doc: …}.",
    }
    variable["properties"] = {**variable["properties"], "default": {"description": "What it holds at first."}}
    state = _object("A state.", {
        "doc": _text("What is going on in this state."),
        "final": _bool("The session ends here and is removed; a final state has no rows."),
        "lasts": _text("Why a session may stay here as long as the parties like (an active call)."),
    })  # fmt: skip
    state["type"] = ["object", "null"]
    fields = {**_named("The fields that it carries.", {"$ref": "#/$defs/field"}), "type": ["object", "null"]}
    return {
        "receives": _list(receives, "The interfaces whose events the machine is given."),
        "children": _named(
            "The children it may start: name (b, or b* for a set) and machine.",
            _object("A child.", {"machine": _text("The machine it runs.", PATH), "doc": _text("")}, ("machine",)),
            CHILD,
        ),
        "variables": _named("Typed variables of a session.", variable),
        "publishes": _named("What it tells its parent and the outside.", fields),
        "states": _named("Its states.", state),
        "groups": _named(
            "Named sets of states; a group may hold groups.",
            _list(_text("A state or a group.", IDENTIFIER), "The states and groups in it."),
        ),
        "rows": _list({"$ref": "#/$defs/row"}, "Its transitions, in any order."),
    }


def _row(catalogue: Catalogue | None, words: Words | None = None) -> Schema:
    one_or_more = {"type": ["string", "array"], "minItems": 1, "items": {"type": "string"}}
    state: Schema = {**one_or_more, "description": "A state, a group, a list of them, or any (all non-final states)."}
    following = _text("Where to go; without it the session stays.", IDENTIFIER)
    setting = {**_named("New values of variables.", {}), "minProperties": 1}
    if words is not None:
        name = {"anyOf": [_choice(words.states, "A state or a group."), _text("", IDENTIFIER)]}
        state = {"description": state["description"], "anyOf": [name, {**_list(name, ""), "minItems": 1}]}
        following = {"description": following["description"], **name}
        value = {"$ref": "#/$defs/value"}
        setting = {
            **_named("New values of variables.", value), "minProperties": 1,
            "properties": {one: {"description": doc, **value} for one, doc in words.variables.items()},
        }  # fmt: skip
    event = {"type": ["string", "array"], "minItems": 1}
    if catalogue is None:
        event |= {"pattern": EVENT, "items": {"$ref": "#/$defs/event"}}
    else:
        event = {"anyOf": [{"$ref": "#/$defs/event"}, _list({"$ref": "#/$defs/event"}, "")]}
    named = {
        "type": ["string", "object"],
        "minProperties": 1, "maxProperties": 1,
        "propertyNames": {"pattern": IDENTIFIER}, "additionalProperties": {"type": ["object", "null"]},
    }  # fmt: skip
    if words is not None and words.publications:
        named = {"anyOf": [_choice(words.publications, "A publication."), named]}
    return _object("One transition: in this state, on this event, if the guards hold, do this.", {
        "id": _text("Unique in the machine; it never changes meaning.", DOTTED),
        "state": state,
        "event": {**event, "description": "One event or a list. Either this or after."},
        "after": {"type": ["number", "string", "object"],
                  "description": "A time in the state: 500ms, 2.1s, $config.name, {between: [2s, 4s]}."},
        "guards": _list({"type": ["string", "boolean"]}, "All must hold; [otherwise] alone is the fallback."),
        "actions": _list({"$ref": "#/$defs/action"}, "What is asked of the adapters, in this order."),
        "set": setting,
        "next_state": following,
        "publish": _list(named, "What is told to the parent: name, or {name: {field: value}}."),
        "ignore": _enum(("late", "retransmission"), "Takes the event and does nothing, because it is …"),
        "refuse": _text("Why a command cannot be obeyed here; the caller is told."),
        "defer": {"const": True, "description": "Keeps the event for the next state."},
        "priority": {"type": "integer", "description": "Rows of equal width are asked highest first."},
        "overrides": {"type": ["string", "array"], "minItems": 1, "items": {"type": "string"},
                      "description": "The wider row, or rows, that this one beats."},
        "locked": _bool("An overlay cannot remove or replace it."),
        "doc": _text("Why the row is so, with the section of the RFC."),
    }, ("id", "state"))  # fmt: skip


def _actions(catalogue: Catalogue | None, *, open_: bool = True) -> Schema:
    if catalogue is None:
        return {
            "type": ["string", "object"],
            "minProperties": 1, "maxProperties": 1,
            "pattern": DOTTED, "propertyNames": {"pattern": DOTTED},
            "additionalProperties": {"type": ["object", "null"]},
            "description": "An action: its name, or {name: {parameter: value}}.",
        }  # fmt: skip
    bare = [name for name, spec in catalogue.actions.items() if not _required(spec)]
    heads = "|".join(sorted({name.partition(".")[0] for name in catalogue.actions}))
    other = f"^(?!({heads})(\\.|$))" + DOTTED[1:]
    foreign: list[Schema] = [
        _text("An action of a catalogue that this schema does not know: see `calltable schema`.", other),
        {"type": "object", "minProperties": 1, "maxProperties": 1, "propertyNames": {"pattern": other},
         "additionalProperties": {"type": ["object", "null"]}},
    ]  # fmt: skip
    return {
        "description": "An action of the catalogue: its name, or {name: {parameter: value}}.",
        "anyOf": [
            _choice({name: catalogue.actions[name].doc for name in bare}, "An action without parameters."),
            {
                "type": "object",
                "minProperties": 1, "maxProperties": 1, "additionalProperties": False,
                "properties": {name: _action(spec) for name, spec in sorted(catalogue.actions.items())},
            },
            *(foreign if open_ else ()),
        ],
    }  # fmt: skip


def _required(spec: ActionSpec) -> list[str]:
    return [name for name, parameter in spec.parameters.items() if parameter.required]


def _action(spec: ActionSpec) -> Schema:
    parameters = {name: _parameter(parameter) for name, parameter in spec.parameters.items()}
    found = _object(_documented(spec), parameters, _required(spec))
    if not _required(spec):
        found["type"] = ["object", "null"]
    return found


def _documented(spec: ActionSpec) -> str:
    lines = [spec.doc]
    if spec.sends:
        lines.append(f"Sends: {spec.sends}.")
    if spec.outcomes:
        lines.append("Outcomes: " + ", ".join(one.event + (" …" if one.more else "") for one in spec.outcomes) + ".")
    return "\n".join(line for line in lines if line)


def _parameter(parameter: Parameter) -> Schema:
    found = {**_value(parameter.type), "description": f"{parameter.doc} ({parameter.type})".strip()}
    if not parameter.required:
        found["default"] = list(parameter.default) if isinstance(parameter.default, tuple) else parameter.default
    return found


def _bounds(wanted: Type) -> Schema:
    return {key: bound for key, bound in (("minimum", wanted.low), ("maximum", wanted.high)) if bound is not None}


def _value(wanted: Type) -> Schema:
    """A literal of a type, or a reference."""
    reference: Schema = {"type": "string", "pattern": "^\\$"}
    kinds: dict[str, list[Schema]] = {
        "bool": [{"type": "boolean"}, reference],
        "int": [{"type": "integer", **_bounds(wanted)}, reference],
        "string": [{"type": "string"}],
        "uri": [{"type": "string"}],
        "name": [{"type": "string"}],
        "duration": [{"type": "number"}, {"type": "string"}, {"type": "object", "required": ["between"]}],
        "map": [{"type": "object"}, reference],
        "list": [{"type": "array"}, reference],
    }
    options = list(kinds.get(wanted.kind, [reference]))
    if wanted.values:
        options.insert(0, {"enum": list(wanted.values)})
    if wanted.optional:
        options.append({"type": "null"})
    return options[0] if len(options) == 1 else {"anyOf": options}


def _events(catalogue: Catalogue | None, words: Words | None = None) -> Schema:
    any_event = _text("An event: <interface event>, timer.<name>, <child>.<publication>, or user.* in a refusal.", EVENT)
    if catalogue is None:
        return any_event
    known = {event.name: event.doc for one in catalogue.interfaces.values() for event in one.events.values()}
    known |= {event.name: event.doc for event in catalogue.outcomes.values()}
    known |= words.events if words is not None else {}
    known |= {
        "engine.started": "The session was started; its fields are the machine's parameters.",
        "engine.failed": "Something in the session failed: reason says what. Must be taken in every state.",
        "user.*": "Every command that no other row names; in refuse rows only.",
    }
    return {"anyOf": [_choice(known, "An event of the catalogue."), any_event]}


# --------------------------------------------------------------------------- catalogues


def _catalogue() -> Schema:
    field = _type(TABLE_KINDS, bounded=True)
    words = _list({"type": "string"}, "Obligations; {parameter} stands for its value.")
    parameter = _type(KINDS, bounded=True)
    parameter["properties"] = {**parameter["properties"], "default": {"description": "Makes it optional."}}
    event = _object("An event.", {
        "doc": _text("When it comes."),
        "must_take": _bool("No non-final state may ignore or refuse it."),
        "fields": {**_named("Its payload.", field), "type": ["object", "null"]},
        "acquires": words, "releases": words,
    })  # fmt: skip
    event["type"] = ["object", "null"]
    outcome = {
        "type": ["string", "object"], "pattern": DOTTED, "required": ["event"], "additionalProperties": False,
        "properties": {
            "event": _text("The event.", DOTTED),
            "more": _bool("Others of the same action may follow."),
        },
    }  # fmt: skip
    action = _object("An action.", {
        "doc": _text("What it does."),
        "parameters": {**_named("Its parameters.", parameter), "type": ["object", "null"]},
        "outcomes": _list(outcome, "The events that it can lead to."),
        "acquires": words, "releases": words,
        "sends": _text("The abstract message it puts on the wire."),
        "open_ended": _bool("The other side may keep the last outcome back as long as it likes. Default false."),
        "takes_over": _list(_text("A parameter.", IDENTIFIER), "Parameters that hold a handle whose obligation the action takes over."),
        "hurries": _list(_text("An action.", DOTTED), "Open-ended actions whose outcome comes for certain from then on."),
    })  # fmt: skip
    action["type"] = ["object", "null"]
    return _object("A catalogue: interfaces, actions, predicates and configuration.", {
        **_head("catalogue", PATH),
        "include": _list(_text("A catalogue.", PATH), "Catalogues that this one builds on."),
        "config": _named("What $config.<name> may name.", parameter),
        "interfaces": _named("Sets of events.", _object("A set of events.", {
            "doc": _text("Who sends them."),
            "commands": _bool("They are what an owner asks for; rows may refuse them, and the owner is told. Default false."),
            "events": _named("The events, by name.", event, DOTTED),
        }, ("events",)), DOTTED),
        "outcomes": _named("Events that come only as the outcome of an action.", event, DOTTED),
        "actions": _named("What a row can ask for.", action, DOTTED),
        "owes": _named("What obligations are called in problems, by the names that acquires: and releases: use.", _object("An obligation.", {
            "what": _text("What is owed, with its article: the final response."),
            "fix": _text("How a table settles it."),
        }, ("what", "fix")), ""),
        "predicates": _named("Pure functions that guards may call.", _object("A predicate.", {
            "doc": _text("When it holds."),
            "parameters": _list(_type(TABLE_KINDS), "The types of its arguments."),
            "returns": _type(TABLE_KINDS),
        }, ("returns",)), DOTTED),
    }, ("calltable", "catalogue"))  # fmt: skip


# --------------------------------------------------------------------------- small words


def _object(doc: str, properties: Schema, required: Iterable[str] = ()) -> Schema:
    found: Schema = {"type": "object", "description": doc, "additionalProperties": False, "properties": properties}
    needed = list(required)
    return {**found, "required": needed} if needed else found


def _named(doc: str, item: Schema, pattern: str = IDENTIFIER) -> Schema:
    return {
        "type": "object", "description": doc,
        **({"propertyNames": {"pattern": pattern}} if pattern else {}), "additionalProperties": item,
    }  # fmt: skip


def _list(item: Schema, doc: str) -> Schema:
    return {"type": "array", "items": item, "description": doc} if doc else {"type": "array", "items": item}


def _text(doc: str, pattern: str = "") -> Schema:
    found: Schema = {"type": "string"}
    if doc:
        found["description"] = doc
    return {**found, "pattern": pattern} if pattern else found


def _bool(doc: str) -> Schema:
    return {"type": "boolean", "description": doc}


def _enum(values: tuple[str, ...], doc: str) -> Schema:
    return {"enum": list(values), "description": doc}


def _choice(options: Mapping[str, str], doc: str) -> Schema:
    """One of the names, each with its own documentation where the editor shows it."""
    return {"description": doc, "oneOf": [{"const": name, "description": text} for name, text in sorted(options.items())]}


def _type(kinds: tuple[str, ...], *, bounded: bool = False) -> Schema:
    names = [name for kind in kinds for name in (kind, kind + "?")]
    bounds = {"min": {"description": "The smallest value of an int or a duration."},
              "max": {"description": "The largest."}} if bounded else {}  # fmt: skip
    return {
        "type": ["string", "object"],
        "description": "A type: its name (with ? where null is allowed), or {type: enum, values: [a, b]}.",
        "if": {"type": "string"},
        "then": {"enum": [name for name in names if not name.startswith("enum")], "$comment": TYPE_NAMES},
        "required": ["type"],
        "additionalProperties": False,
        "properties": {
            "type": {"enum": names, "$comment": TYPE_NAMES},
            "values": _list({"type": ["string", "integer"]}, "The members of an enum."),
            "doc": _text(""),
            **bounds,
        },
    }
