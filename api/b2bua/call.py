"""What a B2BUA knows of a call that is up, for logs, lists and filters. It decides nothing: that is the coordinator's table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from calltable.engine.run import Session


@dataclass(slots=True, eq=False)
class CallRecord:
    """One call. ``number`` counts from 1 since the start: logs, traces, lists and ladders name the call by it.

    ``caller`` is the URI of its From, ``called`` its Request-URI, ``source`` the address that it came from. Times are the
    engine's, seconds; ``connected`` is None until both sides can talk.
    """

    number: str
    session: Session
    caller: str
    called: str
    call_id: str
    source: str
    began: float
    route: str = ""
    target: str = ""
    connected: float | None = None
