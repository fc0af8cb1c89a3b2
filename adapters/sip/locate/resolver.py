"""From a SIP URI to the addresses to try, in order: RFC 3263 on dnspython.

The procedure itself (``_plan``) is synchronous and pure: it walks from the URI over NAPTR, SRV and address records to
a list of addresses, and where a record is not known it says which ones are missing. ``resolve`` fetches those,
all at once, and lets it walk again; ``resolve_now`` gives up instead. So a literal address, a name of the hosts file
or anything fetched lately costs no task and no turn of the loop.

Records are cached for as long as their TTL says, not the resulting order: that is drawn anew each time, which is what
spreads load over SRV records of one priority (RFC 2782). That a name does not exist is remembered for half a
minute; that a server did not answer is not remembered.

Departures from the RFC: names in the hosts file, ``localhost``, names of one label and ``.local`` names are
asked for as plain addresses, since no SRV record can exist for them in the DNS. Several transports found
by SRV alone are all listed, in our order of preference, so that a second one is there to fail over to (§4.3).
"""

from __future__ import annotations

import asyncio
import socket
import time as system_time
from random import Random
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

import dns.asyncresolver
import dns.exception
import dns.resolver

from calltable.adapters.sip.locate.hosts import Hosts
from calltable.adapters.sip.message import Uri, UriError, parse_uri
from calltable.adapters.sip.transport import Address, canonical_ip, default_port

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Sequence

Query: TypeAlias = "Callable[[str, str], Awaitable[dns.resolver.Answer]]"
"""Ask the DNS: (name, record type) to an answer; raises what dnspython's ``resolve`` raises."""
System: TypeAlias = "Callable[[str], Awaitable[Iterable[str]]]"
"""Ask the operating system for the addresses of a name; raises OSError."""

_SERVICES: Final = {
    "SIP+D2U": "udp", "SIP+D2T": "tcp", "SIPS+D2T": "tls", "SIP+D2W": "ws", "SIPS+D2W": "wss",
}  # fmt: skip
"""NAPTR services: RFC 3263 §4.1, RFC 7118 §6."""
_SRV: Final = {"udp": "_sip._udp", "tcp": "_sip._tcp", "tls": "_sips._tcp", "ws": "_sip._ws", "wss": "_sips._ws"}
_SECURE: Final = ("tls", "wss")
_SECURED: Final = {"tcp": "tls", "tls": "tls", "ws": "wss", "wss": "wss"}
"""What a transport parameter means in a sips URI (RFC 3261 §26.2.2)."""
_SYSTEM: Final = "system"
"""The record type that stands for asking the operating system."""

_QUERY_SECONDS: Final = 3.0
_NEGATIVE_SECONDS: Final = 30.0
_SYSTEM_SECONDS: Final = 60.0
_LONGEST_SECONDS: Final = 86_400.0
_CACHE: Final = 10_000
_MOST_ADDRESSES: Final = 16
_MOST_TARGETS: Final = 16
"""SRV records looked at: a hostile domain must not make us ask a thousand questions."""
_ROUNDS: Final = 8
_LITERAL: Final = 256
"""Characters of the longest URI whose literal address is remembered."""
_LITERALS: Final = 1024
"""URIs with a literal address that are remembered."""


class ResolveError(Exception):
    """A URI leads nowhere. ``temporary``: a DNS server did not answer, so that trying later makes sense."""

    def __init__(self, uri: str, reason: str, *, temporary: bool = False) -> None:
        super().__init__(f"cannot resolve {uri}: {reason}")
        self.uri = uri
        self.reason = reason
        self.temporary = temporary


class _Entry(NamedTuple):
    """Records of one name and type. ``records`` are texts for addresses, tuples for SRV and NAPTR."""

    expires: float
    records: tuple[object, ...]
    error: str = ""


class _Srv(NamedTuple):
    priority: int
    weight: int
    port: int
    target: str


class _Naptr(NamedTuple):
    order: int
    preference: int
    flags: str
    service: str
    replacement: str


_Key: TypeAlias = tuple[str, str]


class _MissingError(Exception):
    """The plan needs these records."""

    def __init__(self, keys: list[_Key]) -> None:
        super().__init__(keys)
        self.keys = keys


class Resolver:
    """Finds where to send. Share one, for its cache.

    ``transports`` and ``versions`` (IP versions, 4 and 6) are what can be sent with, best first; ``reach``
    says so anew. ``random`` draws among SRV records; ``time`` tells seconds for the cache. ``query`` asks
    the DNS, ``system`` the operating system; tests and embedders may bring their own.
    """

    def __init__(
        self,
        *,
        transports: Sequence[str] = ("udp", "tcp"),
        versions: Sequence[int] = (4, 6),
        query: Query | None = None,
        system: System | None = None,
        hosts: Hosts | None = None,
        random: Random | None = None,
        time: Callable[[], float] = system_time.monotonic,
    ) -> None:
        self._literals: dict[str, Address] = {}
        """URIs that name an IP address, and what it is: every request of a call asks for the same few."""
        self.reach(transports, versions)
        self._query = query or _default_query()
        self._system = system or _ask_system
        self._hosts = hosts or Hosts()
        self._random = random or Random()
        self._time = time
        self._cache: dict[_Key, _Entry] = {}
        self._running: dict[_Key, asyncio.Task[_Entry]] = {}

    def reach(self, transports: Iterable[str], versions: Iterable[int]) -> None:
        """Say anew what can be sent with."""
        self._transports = tuple(transports)
        self._versions = tuple(versions)
        self._literals.clear()

    @property
    def transports(self) -> tuple[str, ...]:
        """The transports that can be sent with, best first."""
        return self._transports

    @property
    def versions(self) -> tuple[int, ...]:
        """The IP versions that can be sent with, best first."""
        return self._versions

    def resolve_now(self, uri: str | Uri) -> list[Address] | None:
        """The addresses to try, best first; None if the DNS has to be asked. Raises ResolveError."""
        literal = self._literals.get(uri) if isinstance(uri, str) else None
        if literal is not None:
            return [literal]
        parsed = _parse(uri)
        try:
            found = self._plan(parsed, {})
            if isinstance(uri, str) and len(uri) <= _LITERAL and canonical_ip(parsed.params.get("maddr") or parsed.host) is not None:
                if len(self._literals) >= _LITERALS:
                    self._literals.clear()
                self._literals[uri] = found[0]
        except _MissingError:
            return None
        return found

    async def resolve(self, uri: str | Uri) -> list[Address]:
        """The addresses to try, best first, at least one. Raises ResolveError."""
        parsed = _parse(uri)
        answers: dict[_Key, _Entry] = {}
        for _ in range(_ROUNDS):
            try:
                return self._plan(parsed, answers)
            except _MissingError as missing:
                entries = await asyncio.gather(*map(self._fetch, missing.keys))
                answers.update(zip(missing.keys, entries, strict=True))
        raise ResolveError(str(uri), "its DNS records lead on and on")

    # RFC 3263 §4.

    def _plan(self, uri: Uri, answers: dict[_Key, _Entry]) -> list[Address]:
        asked = self._asked_transport(uri)
        default = asked or self._default_transport(uri)
        host = uri.params.get("maddr") or uri.host
        literal = canonical_ip(host)
        if literal is not None:
            version = 6 if ":" in literal else 4
            if version not in self.versions:
                raise ResolveError(str(uri), f"{literal} cannot be reached without an IPv{version} listener")
            return [Address(default, literal, uri.port or default_port(default))]
        walk = _Walk(self, host.lower().rstrip("."), answers)
        if uri.port is not None or walk.without_dns:
            found = walk.addresses(default, host, uri.port or default_port(default))
        else:
            found = walk.services([asked] if asked else self._candidates(uri), naptr=asked is None)
            if not found and not walk.declined:
                found = walk.addresses(default, host, default_port(default))
        if not found:
            raise ResolveError(str(uri), walk.why_nothing(), temporary=bool(walk.errors))
        return list(dict.fromkeys(found))[:_MOST_ADDRESSES]

    def _candidates(self, uri: Uri) -> list[str]:
        secure = uri.scheme == "sips"
        return [transport for transport in self.transports if (transport in _SECURE) or not secure]

    def _asked_transport(self, uri: Uri) -> str | None:
        """The transport the URI demands, if it does."""
        asked = uri.transport
        if uri.scheme == "sips":
            if asked is not None and asked not in _SECURED:
                raise ResolveError(str(uri), f"sips excludes transport={asked}: it demands TLS (RFC 3261 §26.2.2)")
            asked = _SECURED[asked] if asked else None
            if not self._candidates(uri):
                raise ResolveError(str(uri), f"sips demands TLS, and the transports here are {self._have()}")
        if asked is not None and asked not in self.transports:
            raise ResolveError(str(uri), f"transport {asked} is not supported; the transports here are {self._have()}")
        return asked

    def _default_transport(self, uri: Uri) -> str:
        """What to use where nothing says: TLS for sips, else UDP (§4.1), or what there is."""
        candidates = self._candidates(uri)
        if not candidates:
            raise ResolveError(str(uri), "no transport has a listener")
        return "udp" if "udp" in candidates else candidates[0]

    def _have(self) -> str:
        return ", ".join(self.transports) or "none"

    # The records.

    def known(self, key: _Key) -> _Entry | None:
        """What the cache holds of a name and type."""
        entry = self._cache.get(key)
        return entry if entry is not None and entry.expires > self._time() else None

    def local_addresses(self, name: str) -> tuple[str, ...]:
        """What the machine itself knows of a name."""
        return self._hosts.find(name)

    def weighted(self, records: Iterable[_Srv]) -> list[_Srv]:
        """SRV records in the order to try them (RFC 2782): by priority, within one drawn by weight."""
        ordered: list[_Srv] = []
        # Weight 0 first: the running sum then gives these the small chance they should have.
        left = sorted(records, key=lambda record: (record.priority, record.weight > 0))
        while left:
            group = [record for record in left if record.priority == left[0].priority]
            mark = self._random.randint(0, sum(record.weight for record in group)) if len(group) > 1 else 0
            for record in group:
                mark -= record.weight
                if mark <= 0:
                    break
            ordered.append(record)
            left.remove(record)
        return ordered

    async def _fetch(self, key: _Key) -> _Entry:
        """Ask once, however many wait for the answer."""
        task = self._running.get(key)
        if task is None:
            task = self._running[key] = asyncio.get_running_loop().create_task(self._ask(key))
            task.add_done_callback(lambda _: self._running.pop(key, None))
        return await asyncio.shield(task)

    async def _ask(self, key: _Key) -> _Entry:
        name, kind = key
        error = ""
        records: tuple[object, ...] = ()
        try:
            if kind == _SYSTEM:
                seconds = _SYSTEM_SECONDS
                found = [canonical_ip(address) for address in await self._system(name)]
                records = tuple(dict.fromkeys(address for address in found if address))
            else:
                answer = await self._query(name, kind)
                seconds = min(float(answer.chaining_result.minimum_ttl), _LONGEST_SECONDS)
                records = tuple(_record(kind, record) for record in answer)
        except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer, socket.gaierror):
            seconds = _NEGATIVE_SECONDS
        except (dns.exception.DNSException, OSError) as problem:
            seconds = 0.0
            error = f"{kind} of {name}: {' '.join(str(problem).split()).rstrip(':') or type(problem).__name__}"
        entry = _Entry(self._time() + seconds, records, error)
        if seconds > 0:
            self._store(key, entry)
        return entry

    def _store(self, key: _Key, entry: _Entry) -> None:
        if len(self._cache) >= _CACHE:
            now = self._time()
            self._cache = {k: e for k, e in self._cache.items() if e.expires > now}
            while len(self._cache) >= _CACHE:
                del self._cache[next(iter(self._cache))]
        self._cache[key] = entry


class _Walk:
    """One pass over the records for one name."""

    def __init__(self, resolver: Resolver, name: str, answers: dict[_Key, _Entry]) -> None:
        self._resolver = resolver
        self._name = name
        self._answers = answers
        self.errors: list[str] = []
        self.declined = False
        """Whether the domain says, with an SRV target of ``.``, that it does not offer the service."""
        self.without_dns = bool(resolver.local_addresses(name)) or _outside_dns(name)

    def services(self, transports: list[str], *, naptr: bool) -> list[Address]:
        """Addresses by NAPTR and SRV; none if the domain has no such records."""
        names: list[tuple[str, str]] = []
        if naptr:
            [records] = self._records([(self._name, "NAPTR")])
            for record in sorted(r for r in records if isinstance(r, _Naptr)):
                transport = _SERVICES.get(record.service.upper())
                if transport in transports and record.flags.lower() == "s":
                    names.append((transport, record.replacement))
        # §4.1: without a usable NAPTR record, SRV of every transport we have.
        names = names[:_MOST_TARGETS] or [(transport, f"{_SRV[transport]}.{self._name}") for transport in transports]
        found = self._records([(name, "SRV") for _, name in names])
        targets: list[tuple[str, list[_Srv]]] = []
        for (transport, _), records in zip(names, found, strict=True):
            services = sorted(r for r in records if isinstance(r, _Srv))[:_MOST_TARGETS]
            offered = [record for record in services if record.target]
            self.declined = self.declined or (bool(services) and not offered)
            targets.append((transport, offered))
        # All their addresses at once, before anything is drawn.
        self._records([key for _, services in targets for service in services for key in self._keys(service.target)])
        return [
            address
            for transport, services in targets
            for service in self._resolver.weighted(services)
            for address in self.addresses(transport, service.target, service.port)
        ]

    def addresses(self, transport: str, host: str, port: int) -> list[Address]:
        """The addresses of a host, the preferred IP version first."""
        host = host.lower().rstrip(".")
        literal = canonical_ip(host)  # an SRV target must be a name; some are not
        texts = [literal] if literal else self._resolver.local_addresses(host)
        if not texts:
            texts = [str(text) for records in self._records(self._keys(host)) for text in records]
        return [
            Address(transport, text, port)
            for version in self._resolver.versions
            for text in texts
            if (":" in text) == (version == 6)
        ]

    def why_nothing(self) -> str:
        """Say why there is no address."""
        if self.errors:
            return "; ".join(dict.fromkeys(self.errors))
        if self.declined:
            return f"{self._name} says that it does not offer this service (SRV target '.')"
        versions = " or ".join(f"IPv{version}" for version in self._resolver.versions)
        return f"no {versions} address is known for {self._name}"

    def _keys(self, host: str) -> list[_Key]:
        """The records to ask for to get a host's addresses."""
        host = host.lower().rstrip(".")
        if canonical_ip(host) or self._resolver.local_addresses(host):
            return []
        if _outside_dns(host):
            return [(host, _SYSTEM)]
        return [(host, "AAAA" if version == 6 else "A") for version in self._resolver.versions]

    def _records(self, keys: list[_Key]) -> list[tuple[object, ...]]:
        entries = [self._answers.get(key) or self._resolver.known(key) for key in keys]
        missing = [key for key, entry in zip(keys, entries, strict=True) if entry is None]
        if missing:
            raise _MissingError(list(dict.fromkeys(missing)))
        found = [entry for entry in entries if entry is not None]
        self.errors += [entry.error for entry in found if entry.error]
        return [entry.records for entry in found]


def _outside_dns(name: str) -> bool:
    return "." not in name or name.endswith(".local")


def _parse(uri: str | Uri) -> Uri:
    try:
        parsed = parse_uri(uri) if isinstance(uri, str) else uri
    except UriError as error:
        raise ResolveError(str(uri), error.reason) from error
    if not parsed.is_sip:
        raise ResolveError(str(uri), f"a {parsed.scheme} URI names no host; a route has to say where it goes")
    return parsed


def _record(kind: str, record: object) -> object:
    """A dnspython record as our own."""
    text = str(record)
    if kind == "SRV":
        priority, weight, port, target = text.split()
        return _Srv(int(priority), int(weight), int(port), target.rstrip(".").lower())
    if kind == "NAPTR":
        flags, service, replacement = (getattr(record, name) for name in ("flags", "service", "replacement"))
        order, preference = text.split()[:2]
        name = str(replacement).rstrip(".").lower()
        return _Naptr(int(order), int(preference), flags.decode("latin-1"), service.decode("latin-1"), name)
    return canonical_ip(text) or text


def _default_query() -> Query:
    resolver: dns.asyncresolver.Resolver | None = None

    async def query(name: str, kind: str) -> dns.resolver.Answer:
        nonlocal resolver
        if resolver is None:
            # Not before it is needed: a machine without resolv.conf can still call literal addresses.
            resolver = dns.asyncresolver.Resolver()
        return await resolver.resolve(name, kind, search=False, lifetime=_QUERY_SECONDS)

    return query


async def _ask_system(name: str) -> list[str]:
    found = await asyncio.get_running_loop().getaddrinfo(name, None, type=socket.SOCK_DGRAM)
    return [str(address[0]) for *_, address in found]
