"""The records of a replay: each step with its cause, and each message that the tables sent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from calltable.adapters.sip.message import Request

if TYPE_CHECKING:
    from collections.abc import Mapping

    from calltable.adapters.sip.message import Response
    from calltable.adapters.sip.transport import Address
    from calltable.replay.calls import Spoken


@dataclass(frozen=True, slots=True)
class Cause:
    """What a step follows from: a message that came in, a command, or time. ``number`` counts from 1."""

    number: int
    time: float
    text: str
    message: Spoken | None = None


@dataclass(frozen=True, slots=True)
class Walked:
    """One step of the replay. ``values`` are what guards of the machine read, as they were before the step."""

    cause: Cause
    time: float
    session: str
    machine: str
    event: str
    outcome: str
    row: str
    before: str
    after: str
    payload: Mapping[str, Any]
    values: Mapping[str, Any]
    counts: Mapping[tuple[str, str | None], int]
    publications: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Sent:
    """One message that the tables sent, repetitions left out. ``pair`` is the captured message it stands for."""

    time: float
    message: Request | Response
    to: Address
    rows: str
    pair: Spoken | None

    @property
    def label(self) -> str:
        """What it is: ``INVITE``, ``180 (INVITE)``."""
        message = self.message
        return message.method if isinstance(message, Request) else f"{message.status} ({message.cseq.method})"
