"""The names a machine knows without asking the DNS: its hosts file, and ``localhost`` (RFC 6761 §6.3)."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from calltable.adapters.sip.transport import canonical_ip

_LOOPBACK: Final = ("127.0.0.1", "::1")


class Hosts:
    """A hosts file, read again whenever it has changed. A file that is not there has no names."""

    def __init__(self, path: str | Path = "/etc/hosts") -> None:
        self._path = Path(path)
        self._version: tuple[int, int] | None = None
        self._names: dict[str, list[str]] = {}

    def find(self, name: str) -> tuple[str, ...]:
        """The IP addresses of a name, in the order of the file; none if it is not known here."""
        name = name.lower().rstrip(".")
        self._refresh()
        known = self._names.get(name)
        if known:
            return tuple(known)
        return _LOOPBACK if name == "localhost" or name.endswith(".localhost") else ()

    def _refresh(self) -> None:
        try:
            status = self._path.stat()
            version = (status.st_mtime_ns, status.st_size)
            if version == self._version:
                return
            text = self._path.read_text(encoding="utf-8", errors="replace")
        except OSError:
            version, text = (0, 0), ""
        self._version = version
        self._names = {}
        for line in text.splitlines():
            words = line.partition("#")[0].split()
            address = canonical_ip(words[0]) if words else None
            if address is not None:
                for name in words[1:]:
                    addresses = self._names.setdefault(name.lower().rstrip("."), [])
                    if address not in addresses:
                        addresses.append(address)
