"""The configuration of ``calltable serve``: what a server is to do, as plain data."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from calltable.adapters.sip.transport import Address

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from calltable.routes import Route


@dataclass(frozen=True, slots=True)
class Config:
    """What a server is to do. Times in seconds."""

    listen: tuple[Address, ...] = (Address("udp", "127.0.0.1", 5060), Address("tcp", "127.0.0.1", 5060))
    routes: tuple[Route, ...] = ()
    tables: tuple[Path, ...] | None = None
    """Files and folders with the tables; None means those that are shipped."""
    overlays: tuple[Path, ...] = ()
    timers: Mapping[str, Any] = field(default_factory=dict)
    max_calls: int = 10_000
    drain: float = 30.0
    host: str = ""
    log_level: str = "info"
    log_format: str = "text"
