"""The configuration of a server, and reading it from YAML.

``read_config`` reports everything that is wrong with a file at once, with ``file:line:column`` and how to fix it, as for tables.
Relative paths in a file are relative to it. Times are written with their unit: ``t1: 500`` could mean 500 s or 500 ms, so it is refused.

    listen: [udp:127.0.0.1:5060, tcp:127.0.0.1:5060]
    routes:
      - {name: emergency, uri: '^sips?:(112|911)@', target: sip:psap.example.com}
      - {name: blue, header: {X-Tenant: '^blue$'}, target: 'sip:10.0.0.9:5070;transport=tcp'}
      - {name: everybody, target: sip:127.0.0.1:5070}
    overlays: [busy.yaml]
    timers: {no_answer: 30s}
    settings: {greeting: 'sip:welcome@media.example.com'}
    limits: {calls: 2000, drain: 20s}
    log: {level: info, format: json}
    control: /run/calltable/control.sock
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from jsonschema import Draft202012Validator

from calltable.adapters.sip.transport import KINDS, Address, Limits, canonical_ip
from calltable.b2bua import Route, problems
from calltable.engine.language import (
    BrokenSource,
    Node,
    UnreadableError,
    explain,
    load_tables,
    read_literal,
    read_source,
)
from calltable.engine.model import Position, Problem, Report, TableError, Type, duration_text, unique
from calltable.limits import Network, Plan
from calltable.loading import Recipe, Tables
from calltable.server.config_schema import config_schema
from calltable.server.figures import read_networks, read_plan
from calltable.server.settings import HOW, typed, without_unit

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from calltable.engine.model import Catalogue

_WHOLE: Final = "the configuration"
_SECONDS: Final = Type("duration")
_ROUTE_KEYS: Final[dict[str, type]] = {"name": str, "uri": str, "source": str, "target": str, "reject": int}
_NAME: Final = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,62})(\.[A-Za-z0-9_-]{1,63})*\.?")
_DAY: Final = 86_400.0
_BOUNDS: Final[dict[str, tuple[float, float]]] = {"retry_after": (0.0, 3600.0), "drain": (0.0, _DAY), "tcp_idle": (1.0, _DAY), "shed": (0.0, 60.0)}
"""The shortest and the longest time that a limit may be, seconds."""
_EMPTY: Final = "the file is empty"
_BEGIN: Final = "a configuration says at least where calls go: «routes: [{target: 'sip:127.0.0.1:5070'}]»"


def wrong_host(text: str) -> str:
    """Why a text is neither a host name nor an IP address as it stands in a URI; empty where it is one."""
    literal = canonical_ip(text)
    if literal is not None:
        return f"an IPv6 address stands in brackets: '[{literal}]'" if ":" in literal and text[0] != "[" else ""
    return "" if len(text) <= 253 and _NAME.fullmatch(text) else f"invalid host name {text!r}"


class ConfigError(TableError):
    """A configuration that cannot be used; ``problems`` holds every reason.

    ``partial`` is what could be read of it all the same: enough to look for mistakes in the tables that it names.
    """

    def __init__(self, problems: Iterable[Problem], partial: Config | None = None) -> None:
        super().__init__(list(problems))
        self.partial = partial


@dataclass(frozen=True, slots=True)
class Config:
    """What a server is to do. Times in seconds; see ``config_schema`` for each."""

    listen: tuple[Address, ...] = (Address("udp", "127.0.0.1", 5060), Address("tcp", "127.0.0.1", 5060))
    host: str = ""
    routes: tuple[Route, ...] = ()
    tables: tuple[Path, ...] = ()
    overlays: tuple[Path, ...] = ()
    timers: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    """What else tables read as ``$config.<name>``, of the types that their catalogues say."""
    max_calls: int = 10_000
    retry_after: float = 5.0
    drain: float = 30.0
    transport: Limits = field(default_factory=Limits)
    sources: Plan = field(default_factory=Plan)
    """What each source of requests may ask for."""
    trusted: tuple[Network, ...] = ()
    """Whose statements of identity pass (RFC 3325)."""
    log_level: str = "info"
    log_format: str = "text"
    trace: Path | None = None
    control: Path | None = None
    places: Mapping[str, Position] = field(default_factory=dict)
    """Where the file has things that are checked later: ``routes``, ``timers/t1``, and its value at ``timers/t1=``."""

    def __post_init__(self) -> None:
        for name, kind in (("listen", Address), ("routes", Route), ("tables", Path), ("overlays", Path)):
            given = getattr(self, name)
            if isinstance(given, str | kind) or not all(isinstance(one, kind) for one in given):
                how = "(Address.parse('udp:127.0.0.1:5060'),)" if kind is Address else f"({kind.__name__}(…),)"
                msg = f"Config: {name} takes a tuple of {kind.__name__}, not {given!r}: write {name}={how}"
                raise TypeError(msg)
        wrong = wrong_host(self.host) if self.host else ""
        if wrong:
            msg = f"Config: host: {wrong}"
            raise ValueError(msg)

    @property
    def names_tables(self) -> bool:
        """Whether it says anything of tables."""
        return bool(self.tables or self.overlays or self.timers or self.settings)

    def load_tables(self, upon: Recipe | None = None) -> Tables:
        """The tables it names, checked and compiled. Raises TableError or ConfigError, OSError for a missing file.

        ``upon`` is what a program's own tables were made of (``Tables.recipe``): what is named here comes on top of that.
        """
        recipe = (upon or Recipe()).with_files(self.tables, self.overlays)
        found: list[Problem] = []
        tables: Tables | None = None
        try:
            tables = recipe.make()
        except TableError as error:
            found += error.problems
        if not self.timers and not self.settings and tables is not None:
            return tables
        # where the tables do not load, values are still checked against the shipped catalogue, so that all is reported at once
        report = Report()
        catalogue = tables.library.catalogue if tables is not None else _shipped_catalogue()
        settings = typed(self.timers, self.settings, catalogue.config, self.places, report)
        found += [one for one in report.problems if tables is not None or one.code != "unknown-setting"]
        if found:
            raise ConfigError(found) if tables is not None else TableError(found)
        return recipe._replace(config={**recipe.config, **settings}).make()


def _shipped_catalogue() -> Catalogue:
    return load_tables().catalogue


def every_problem(error: ConfigError, upon: Recipe | None = None) -> list[Problem]:
    """The problems of a configuration with those of the tables and settings that it names."""
    found = list(error.problems)
    if error.partial is not None:
        tables, overlays = (tuple(one for one in paths if one.exists()) for paths in (error.partial.tables, error.partial.overlays))
        try:
            replace(error.partial, tables=tables, overlays=overlays).load_tables(upon)
        except TableError as more:
            found += more.problems
    return unique(sorted(found, key=lambda one: one.position))


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
        raise ConfigError([replace(one, hint=_BEGIN) if one.message == _EMPTY else one for one in broken.problems]) from None
    reader = _Reader(root, Path(file).parent)
    config = reader.read()
    if reader.report.problems:
        raise ConfigError(sorted(reader.report.problems, key=lambda one: one.position), config)
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
            "listen": self._listen(), "host": self._host(), "routes": self._routes(),
            "tables": self._paths("tables"), "overlays": self._paths("overlays"), "timers": self._timers(),
            "settings": self._settings(),
            "max_calls": self._plain("limits", "calls"), "retry_after": self._time("limits", "retry_after"),
            "drain": self._time("limits", "drain"), "transport": self._transport(),
            "sources": self._sources(), "trusted": self._trusted(),
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
        seconds = None if node is None else self._seconds(node, keys[-1])
        low, high = _BOUNDS[keys[-1]]
        if node is not None and seconds is not None and not low <= seconds <= high:
            hint = f"give {duration_text(low)} to {duration_text(high)}"
            self.report.add(node.position, f"«{keys[-1]}»: {node.text} is out of range", code="value", hint=hint)
            return None
        return seconds

    def _seconds(self, node: Node, name: str) -> float | None:
        if isinstance(node.value, dict | list):
            return None  # the shape was reported
        if without_unit(node.value):
            self.report.add(node.position, f"«{name}»: {node.text} has no unit", code="unit", hint=f"write {node.text}ms or {node.text}s")
            return None
        try:
            return float(str(read_literal(node, _SECONDS)))
        except UnreadableError as error:
            self.report.add(node.position, f"«{name}»: {error}", code="value", hint=HOW)
            return None

    def _transport(self) -> Limits:
        found = {
            "tcp_connections": self._plain("limits", "tcp_connections"),
            "tcp_connections_per_source": self._plain("limits", "tcp_connections_per_source"),
            "tcp_idle_timeout": self._time("limits", "tcp_idle"),
        }
        return Limits(**{name: value for name, value in found.items() if value is not None})

    def _sources(self) -> Plan | None:
        node = self._node("limits")
        return None if node is None else read_plan(node, self._bad, self._time("limits", "shed"), self.report)

    def _trusted(self) -> tuple[Network, ...] | None:
        node = self._node("trusted")
        return None if node is None else read_networks(node, self._bad, self.report)

    def _path(self, key: str) -> Path | None:
        node = self._node(key)
        return self.folder / node.text if node is not None and isinstance(node.value, str) else None

    def _paths(self, key: str) -> tuple[Path, ...]:
        node = self._node(key)
        found = []
        for item in node.items if node is not None else ():
            path = self.folder / item.text
            if isinstance(item.value, str) and not path.exists():
                hint = f"relative paths start at {self.folder.resolve()}"
                self.report.add(item.position, f"there is no {path}", code="missing-file", hint=hint)
            found.append(path)
        return tuple(found)

    def _timers(self) -> dict[str, Any]:
        node = self._node("timers")
        members = node.mapping if node is not None else {}
        found = {name: self._seconds(one, name) for name, one in members.items()}
        return {name: seconds for name, seconds in found.items() if seconds is not None}

    def _settings(self) -> dict[str, Any]:
        node = self._node("settings")
        return {name: one.data() for name, one in node.mapping.items()} if node is not None else {}

    def _places(self) -> dict[str, Position]:
        found = {"": Position(self.root.position.file, 1, 1)}
        if "routes" in self.root.keys:
            found["routes"] = self.root.keys["routes"]
        for key in ("timers", "settings"):
            node = self._node(key)
            for name, one in node.mapping.items() if node is not None else ():
                found |= {f"{key}/{name}": node.keys[name], f"{key}/{name}=": one.position}  # type: ignore[union-attr]
        return found

    def _host(self) -> str | None:
        node = self._node("host")
        if node is None or not isinstance(node.value, str):
            return None
        wrong = wrong_host(node.value)
        if wrong:
            self.report.add(node.position, f"«host»: {wrong}", code="value", hint="write a host name or an IP address, without a port")
        return None if wrong else node.value

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
                hint = f"supported: {', '.join(KINDS)}"
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
            route = self._route(item, number)
            if id(item) in self._bad:
                continue
            if open_to_all is not None:
                hint = f"the route at line {open_to_all.position.line} takes every call; move it to the end"
                self.report.add(item.position, f"route {number} is never reached", code="dead-route", hint=hint)
                open_to_all = None  # once is enough
            if route is not None:
                found.append(route)
                if route.open:
                    open_to_all = item
        return tuple(found)

    def _route(self, item: Node, number: int) -> Route | None:
        """The route, if it is one; what can be checked of it also where its shape was complained about."""
        bad = id(item) in self._bad
        given: dict[str, Any] = {}
        for key, node in item.mapping.items():
            if key == "header":
                for name, pattern in list(node.mapping.items())[:1]:
                    if isinstance(pattern.value, str):
                        given["header"] = (name, pattern.value)
            elif key in _ROUTE_KEYS and isinstance(node.value, _ROUTE_KEYS[key]) and id(node) not in self._bad:
                given[key] = node.value
        given.setdefault("name", str(number))
        wrong = False
        for error in problems(**given, whole=not bad):
            where = item.mapping[error.key].position if error.key else item.position
            self.report.add(where, str(error), code="route", hint=error.hint)
            wrong = True
        return None if wrong or bad else Route(**given)
