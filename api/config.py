"""The configuration of a server, and reading it from YAML.

``read_config`` tells everything that is wrong with a file at once, with ``file:line:column`` and the mend, as tables
are told about. Relative paths in a file are relative to it.

    listen: [udp:127.0.0.1:5060, tcp:127.0.0.1:5060]
    routes:
      - {name: emergency, uri: '^sips?:(112|911)@', target: sip:psap.example.com}
      - {name: blue, header: {X-Tenant: '^blue$'}, target: 'sip:10.0.0.9:5070;transport=tcp'}
      - {name: everybody, target: sip:127.0.0.1:5070}
    overlays: [busy.yaml]
    timers: {no_answer: 30s}
    limits: {calls: 2000, drain: 20s}
    log: {level: info, format: json}
    control: /run/calltable/control.sock
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from jsonschema import Draft202012Validator

from calltable.adapters.sip.sockets import KINDS, Limits
from calltable.adapters.sip.transport import Address
from calltable.assembly import Tables
from calltable.config_schema import config_schema
from calltable.engine.kinds import UnreadableError, read_literal
from calltable.engine.model import Position, Problem, TableError, Type
from calltable.engine.problems import Report
from calltable.engine.shape import explain
from calltable.engine.source import BrokenSource, Node, read_source
from calltable.routes import Route, RouteError

if TYPE_CHECKING:
    from collections.abc import Mapping

_WHOLE: Final = "the configuration"
_SECONDS: Final = Type("duration")


class ConfigError(TableError):
    """A configuration that cannot be used; ``problems`` holds every reason."""


@dataclass(frozen=True, slots=True)
class Config:
    """What a server is to do. Times in seconds; see ``config_schema`` for each."""

    listen: tuple[Address, ...] = (Address("udp", "127.0.0.1", 5060), Address("tcp", "127.0.0.1", 5060))
    host: str = ""
    routes: tuple[Route, ...] = ()
    tables: tuple[Path, ...] = ()
    overlays: tuple[Path, ...] = ()
    timers: Mapping[str, Any] = field(default_factory=dict)
    max_calls: int = 10_000
    retry_after: float = 5.0
    drain: float = 30.0
    transport: Limits = field(default_factory=Limits)
    log_level: str = "info"
    log_format: str = "text"
    trace: Path | None = None
    control: Path | None = None
    places: Mapping[str, Position] = field(default_factory=dict)
    """Where the settings under ``timers`` stand, for complaints about them."""

    def load_tables(self) -> Tables:
        """The tables it names, checked and compiled. Raises TableError or ConfigError, OSError for a missing file."""
        tables = Tables(self.tables or None, overlays=self.overlays)
        if not self.timers:
            return tables
        known = tables.library.catalogue.config
        report = Report()
        for name in self.timers:
            if name not in known:
                report.unknown(self.places.get(name, Position("--timers", 1, 1)), "setting", name, known)
        if report.problems:
            raise ConfigError(report.problems)
        return Tables(self.tables or None, overlays=self.overlays, config=self.timers)


def read_config(path: Path) -> Config:
    """The configuration in a YAML file. Raises ConfigError, and OSError where it cannot be read."""
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        where = Position(str(path), 1, 1)
        problem = Problem(where, f"the file is not UTF-8 text (byte {error.start})", hint="save it as UTF-8", code="yaml")
        raise ConfigError([problem]) from None
    return parse_config(text, str(path))


def parse_config(text: str, file: str = "calltable.yaml") -> Config:
    """The configuration in a YAML text; ``file`` is what positions and relative paths go by. Raises ConfigError."""
    try:
        root = read_source(text, file)
    except BrokenSource as broken:
        raise ConfigError(broken.problems) from None
    reader = _Reader(root, Path(file).parent)
    config = reader.read()
    if reader.report.problems:
        raise ConfigError(reader.report.problems)
    return config


class _Reader:
    """Reads one file, going on after a complaint wherever it can."""

    def __init__(self, root: Node, folder: Path) -> None:
        self.root = root
        self.folder = folder
        self.report = Report()
        self._bad: set[int] = set()

    def read(self) -> Config:
        """The configuration; worthless where the report holds problems."""
        for error in Draft202012Validator(config_schema()).iter_errors(self.root.data()):
            explain(error, self.root, self.report, _WHOLE)
            node = self.root
            self._bad.add(id(node))
            for step in error.absolute_path:
                node = node.items[step] if isinstance(step, int) else node.mapping[step]
                self._bad.add(id(node))
        if not self.root.mapping:
            return Config()
        given: dict[str, Any] = {
            "listen": self._listen(), "host": self._plain("host"), "routes": self._routes(),
            "tables": self._paths("tables"), "overlays": self._paths("overlays"), "timers": self._timers(),
            "max_calls": self._plain("limits", "calls"), "retry_after": self._time("limits", "retry_after"),
            "drain": self._time("limits", "drain"), "transport": self._transport(),
            "log_level": self._plain("log", "level"), "log_format": self._plain("log", "format"),
            "trace": self._path("trace"), "control": self._path("control"), "places": self._places(),
        }  # fmt: skip
        return Config(**{name: value for name, value in given.items() if value is not None})

    def _node(self, *keys: str) -> Node | None:
        """What stands there, if its shape is right."""
        node: Node | None = self.root
        for key in keys:
            node = node.get(key) if node is not None else None
        broken = node is None or (id(node) in self._bad and not isinstance(node.value, dict | list))
        return None if broken else node

    def _plain(self, *keys: str) -> Any:
        node = self._node(*keys)
        return None if node is None else node.value

    def _time(self, *keys: str) -> float | None:
        node = self._node(*keys)
        return None if node is None else self._seconds(node, keys[-1])

    def _seconds(self, node: Node, name: str) -> float | None:
        if isinstance(node.value, dict | list):
            return None  # the shape was complained about
        try:
            return float(str(read_literal(node, _SECONDS)))
        except UnreadableError as error:
            self.report.add(node.position, f"«{name}»: {error}", code="value", hint=error.hint)
            return None

    def _transport(self) -> Limits:
        found = {"tcp_connections": self._plain("limits", "tcp_connections"), "tcp_idle_timeout": self._time("limits", "tcp_idle")}
        return Limits(**{name: value for name, value in found.items() if value is not None})

    def _path(self, key: str) -> Path | None:
        node = self._node(key)
        return self.folder / node.text if node is not None and isinstance(node.value, str) else None

    def _paths(self, key: str) -> tuple[Path, ...]:
        node = self._node(key)
        found = []
        for item in node.items if node is not None else ():
            path = self.folder / item.text
            if isinstance(item.value, str) and not path.exists():
                hint = f"relative paths begin at {self.folder.resolve()}"
                self.report.add(item.position, f"there is no {path}", code="missing-file", hint=hint)
            found.append(path)
        return tuple(found)

    def _timers(self) -> dict[str, Any]:
        node = self._node("timers")
        members = node.mapping if node is not None else {}
        found = {name: self._seconds(one, name) for name, one in members.items()}
        return {name: seconds for name, seconds in found.items() if seconds is not None}

    def _places(self) -> dict[str, Position]:
        node = self._node("timers")
        return dict(node.keys) if node is not None else {}

    def _listen(self) -> tuple[Address, ...] | None:
        node = self._node("listen")
        if node is None:
            return None
        found: list[Address] = []
        for item in node.items:
            if not isinstance(item.value, str):
                continue
            try:
                address = Address.parse(item.value)
            except ValueError as error:
                self.report.add(item.position, str(error), code="value")
                continue
            if address.transport not in KINDS:
                hint = f"there are {', '.join(KINDS)}"
                self.report.add(item.position, f"transport {address.transport!r} is not supported", code="value", hint=hint)
            elif address in found and address.port:
                self.report.add(item.position, f"{address} is listed twice", code="value", hint="list it once")
            found.append(address)
        if not node.items and isinstance(node.value, list):
            self.report.add(node.position, "«listen» is empty", code="value", hint="write [udp:127.0.0.1:5060]")
        return tuple(found)

    def _routes(self) -> tuple[Route, ...]:
        node = self._node("routes")
        found: list[Route] = []
        open_to_all: Node | None = None
        for number, item in enumerate(node.items if node is not None else (), 1):
            if id(item) in self._bad:
                continue
            if open_to_all is not None:
                hint = f"the route at line {open_to_all.position.line} takes every call; move it to the end"
                self.report.add(item.position, f"route {number} is never reached", code="dead-route", hint=hint)
                open_to_all = None  # once is enough
            route = self._route(item, number)
            if route is not None:
                found.append(route)
                if route.uri is None and route.source is None and route.header is None:
                    open_to_all = item
        return tuple(found)

    def _route(self, item: Node, number: int) -> Route | None:
        given: dict[str, Any] = {key: node.value for key, node in item.mapping.items()}
        header = given.pop("header", None)
        if header:
            (name, pattern), = header.items()
            given["header"] = (name, pattern.value)
        given.setdefault("name", str(number))
        try:
            return Route(**given)
        except RouteError as error:
            text = str(error)
            keys = [key for key in ("uri", "source", "header", "target", "reject") if f"the {key} " in text or f": {key} " in text]
            where = item.mapping[keys[0]].position if keys and keys[0] in item.mapping else item.position
            self.report.add(where, text, code="route")
            return None
