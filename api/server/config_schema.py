"""The shape of ``calltable.yaml`` as JSON Schema, for editors and for the loader.

``python -m calltable.server.config_schema`` writes ``tables/schema/config.schema.json``, with the settings of the shipped tables;
begin a file with ``# yaml-language-server: $schema=…/config.schema.json`` and an editor completes it. What a schema cannot say well
(durations, addresses, patterns, names of settings) ``config.py`` checks, with better words.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from calltable.engine.language import load_tables
from calltable.engine.model import duration_text
from calltable.observe import FORMATS, LEVELS
from calltable.tables import files

if TYPE_CHECKING:
    from calltable.engine.model import Catalogue, Parameter

Schema = dict[str, Any]

NAME = "config.schema.json"


def config_schema(catalogue: Catalogue | None = None) -> Schema:
    """The schema; with a catalogue, ``timers`` lists its durations and ``settings`` all it has, else both take any name."""
    written = catalogue is not None
    timers: Schema = {"type": "object", "description": "Times that the tables read as $config, such as t1: 500ms."}
    settings: Schema = {
        "type": "object", "description": "Whatever tables read as $config.<name>: of the type that a catalogue gives it.",
    }  # fmt: skip
    if catalogue is not None:
        timers["additionalProperties"] = False
        timers["properties"] = {
            name: _time(f"{one.doc}. Default {_shown(one.default)}.", written=True)
            for name, one in sorted(catalogue.config.items()) if one.type.kind == "duration"
        }  # fmt: skip
        # a catalogue of one's own has more
        settings["properties"] = {name: _setting(one) for name, one in sorted(catalogue.config.items())}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"https://calltable.dev/schema/{NAME}",
        "title": "calltable configuration",
        **_object("What `calltable serve` does.", {
            "listen": _list(
                {"type": "string", "description": "transport:host:port"},
                "Where to listen, such as udp:127.0.0.1:5060, tcp:0.0.0.0:5060, 'udp:[::1]:5060'.",
            ),
            "host": _text("The host part of Call-IDs, so that they show no address."),
            "routes": _list(_route(), "Where calls go: the first route that matches takes the call; without one, 404."),
            "tables": _list(_text("A file or folder."), "Tables that replace the shipped ones of the same names."),
            "overlays": _list(_text("A file or folder."), "Overlays: rows added to tables, replaced or removed."),
            "timers": timers,
            "settings": settings,
            "limits": _object("Bounds.", {
                "calls": _count("Concurrent calls; more get 503. Default 10000."),
                "retry_after": _time("The Retry-After of that 503. Default 5s.", written=written),
                "drain": _time("How long calls may continue after SIGTERM before they are hung up. Default 30s.", written=written),
                "tcp_connections": _count("Open TCP connections. Default 10000."),
                "tcp_connections_per_source": _count("Open TCP connections from one source (an IPv4 address, the /64 of an IPv6 address). Default 1000."),
                "tcp_idle": _time("A TCP connection is closed after this long without a message or keep-alive. Default 15m.", written=written),
                "default": _object("What one source (an IPv4 address, the /64 of an IPv6 address) may ask for.", _figures()),
                "sources": _list(_object("Figures of their own for some sources; what is left out is that of `default`.", {
                    "match": {
                        "type": ["string", "array"], "items": {"type": "string"},
                        "description": "An IP address or network, or a list of them; of several that match, the longest prefix counts.",
                    },
                    "exempt": {"type": "boolean", "description": "No limits at all. Default false."},
                    **_figures(),
                }), "Trunks, and other sources that may ask for more or less than others."),
                "share": {
                    "type": "integer", "minimum": 1, "maximum": 100,
                    "description": "How much of `calls` one source may hold, in percent. Default 50.",
                },
                "emergency": _list({"type": ["string", "integer"], "description": "The user part of a Request-URI."},
                                   "Numbers of emergency calls, beside urn:service:sos: no limit of its source refuses them. Default 112, 911."),
                "shed": _time("New calls are refused while the process is late by more than that; 0 never. Default 500ms.", written=written),
            }),
            "log": _object("What is logged to standard error.", {
                "level": {"enum": list(LEVELS), "description": "info: the life of calls; debug: every step. Default info."},
                "format": {"enum": list(FORMATS), "description": "Default text."},
            }),
            "trusted": _list(_text("An IP address or network."),
                             "Whose statements of identity (P-Asserted-Identity, RFC 3325) pass. Default none."),
            "trace": _text("Write every message and step to this file, as JSON lines: `calltable ladder` draws calls from it."),
            "control": _text("A Unix socket for `calltable status`, `calls`, `hangup`, `reload` and `shadow`."),
        }),
    }  # fmt: skip


def _figures() -> Schema:
    return {
        "rate": _count("New requests a second. Default 20."),
        "burst": _count("New requests at once after a quiet time. Default 40."),
        "early": _count("Calls without a final response. Default 100."),
        "calls": _count("Calls in all. Default 1000."),
        "transactions": _count("Server transactions. Default 1000."),
        "strays": _count("Messages a second that belong to nothing: malformed, repeated, stray. Default 50."),
        "replies": _count("Refusals a second; what goes beyond is dropped. Default 5."),
    }


def _route() -> Schema:
    return _object("All patterns of a route must match (regular expressions, anywhere unless anchored).", {
        "name": _text("What logs and errors call it."),
        "uri": _text("A pattern for the Request-URI."),
        "source": _text("A pattern for the address the call came from, as host:port."),
        "header": {
            "type": "object", "minProperties": 1, "maxProperties": 1, "additionalProperties": {"type": "string"},
            "description": "A header field and a pattern for its value: {X-Tenant: '^blue$'}.",
        },
        "target": _text("A SIP URI; {user} is the called user, {name} a group (?P<name>…) of a pattern."),
        "reject": {"type": "integer", "description": "Refuse with this status, 300 to 699."},
    })  # fmt: skip


def _object(description: str, properties: Schema) -> Schema:
    return {"type": "object", "description": description, "additionalProperties": False, "properties": properties}


def _list(items: Schema, description: str) -> Schema:
    return {"type": "array", "description": description, "items": items}


def _text(description: str) -> Schema:
    return {"type": "string", "description": description}


def _count(description: str) -> Schema:
    return {"type": "integer", "minimum": 1, "maximum": 1_000_000, "description": description}


def _time(description: str, *, written: bool) -> Schema:
    """A time; ``written``: as an editor is to check it. The loader takes any number or text, and says better what is wrong."""
    made: Schema = {"type": ["number", "string"], "description": f"{description} With its unit: 500ms, 2.1s, 3m, 1h."}
    return {**made, "pattern": r"^[0-9.]+(ms|s|m|h)$", "maximum": 0, "minimum": 0} if written else made


def _setting(one: Parameter) -> Schema:
    description = f"{one.doc}. Default {_shown(one.default)}."
    if one.type.kind == "duration":
        return _time(description, written=True)
    kinds = {"bool": "boolean", "int": "integer", "list": "array", "map": "object"}
    made: Schema = {"type": kinds.get(one.type.kind, "string")}
    if one.type.kind == "enum":
        made = {"enum": [*one.type.values]}
    return {**({"anyOf": [made, {"type": "null"}]} if one.type.optional else made), "description": description}


def _shown(value: object) -> str:
    return duration_text(value) if isinstance(value, float) else str(value)


def schema_text() -> str:
    """The shipped file."""
    return json.dumps(config_schema(load_tables().catalogue), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    (files() / "schema" / NAME).write_text(schema_text(), encoding="utf-8")
