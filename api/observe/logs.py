"""Logs: one line per event, with names for its parts, to read or to feed to a machine.

``set_up`` sends everything of calltable to standard error, as text or as JSON lines. Each logger has a name that says what it tells of
(``LOGGERS``), so that a program can route or silence them one by one.

What comes from the network is untrusted: control characters never reach a terminal or break a line, and passwords in URIs and
credentials are masked (``redact.py``), whoever logs them.
"""

from __future__ import annotations

import json
import logging
import sys
import time
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, TextIO

from calltable.adapters.sip.message import mask, visible
from calltable.observe.writer import Writer

if TYPE_CHECKING:
    from collections.abc import Mapping

MOST: Final = 20_000
"""Lines that wait to be written."""
_GATHER: Final = 0.2
"""Seconds that a line may wait: a person notices no less."""
LEVELS: Final = ("debug", "info", "warning", "error")
FORMATS: Final = ("text", "json")
LOGGERS: Final = {
    "calltable.calls": "the life of each call, at info",
    "calltable.steps": "each step of each session, at debug",
    "calltable.serve": "the server: start, reload, drain, end",
    "calltable.control": "the control socket",
    "calltable.routes": "routes that could not be used",
    "calltable.sip": "messages that were refused or could not be sent",
    "calltable.sip.transport": "sockets and connections",
    "calltable.limits": "requests that were refused because of a limit",
    "calltable.engine": "faults of tables and adapters",
    "calltable.phone": "the softphone",
}
"""The loggers, and what each tells of."""


def set_up(level: str = "info", form: str = "text", stream: TextIO | None = None, *, queued: bool = False) -> None:
    """Send calltable's logs from ``level`` on to ``stream`` (standard error), as ``text`` or ``json``.

    ``queued``: lines below warning are written by a thread, some milliseconds later; at the end of the process nothing is lost.
    """
    handler = Lines(stream or sys.stderr, queued=queued)
    handler.setFormatter(JsonLines() if form == "json" else Text())
    logger = logging.getLogger("calltable")
    for former in logger.handlers:
        if isinstance(former, Lines):
            former.close()
    logger.handlers[:] = [handler]
    logger.setLevel(level.upper())
    logger.propagate = False


class Lines(logging.Handler):
    """Writes each record as a line, by a thread where ``queued``. A warning, and what waits before it, is written at once."""

    def __init__(self, stream: TextIO, *, queued: bool = False) -> None:
        super().__init__()
        self.stream = stream
        self.lost = 0
        """Lines that found the queue full."""
        self._writer = Writer(self._write, MOST, "calltable-log", _GATHER) if queued else None

    def emit(self, record: logging.LogRecord) -> None:
        """Write or queue one record."""
        writer = self._writer
        if writer is not None and record.levelno < logging.WARNING and not record.exc_info:
            if record.args:  # its values may change until it is written
                record.msg, record.args = record.getMessage(), None
            if not writer.put(record):
                self.lost += 1
            return
        self.flush()
        self._write([record])

    def flush(self) -> None:
        """Write what waits."""
        if self._writer is not None:
            self._writer.flush()

    def close(self) -> None:
        """Write what waits, and end the thread."""
        if self._writer is not None:
            self._writer.close()
        super().close()

    def _write(self, records: list[logging.LogRecord]) -> None:
        try:
            lines = [self.format(record) for record in records]
            if self.lost:
                lost, self.lost = self.lost, 0
                lines.append(self.format(QuickRecord(__name__, logging.WARNING, "log lines lost: they came faster than written", {"lines": lost})))
            self.stream.write("\n".join(lines) + "\n")
            self.stream.flush()
        except Exception:  # noqa: BLE001 - as logging.StreamHandler: a log that cannot be written must not end a call
            self.handleError(records[0])


def fields(record: logging.LogRecord) -> Mapping[str, Any]:
    """The named parts of a record, given as ``extra={"parts": {…}}``."""
    found: Mapping[str, Any] = getattr(record, "parts", {})
    return found


class Moments:
    """Writes times as ``2026-01-31T12:00:00.000Z``; what is above the second is written once a second."""

    __slots__ = ("_prefix", "_second")

    def __init__(self) -> None:
        self._second = -1
        self._prefix = ""

    def text(self, moment: float) -> str:
        """A moment in seconds since the epoch."""
        milliseconds = int(moment * 1000)
        second, rest = divmod(milliseconds, 1000)
        if second != self._second:
            self._second = second
            self._prefix = time.strftime("%Y-%m-%dT%H:%M:%S.", time.gmtime(second))
        return f"{self._prefix}{rest:03d}Z"


class Text(logging.Formatter):
    """``2026-01-31T12:00:00.000Z info  call started  call=17 from=sip:alice@example.com``."""

    def __init__(self) -> None:
        super().__init__()
        self._moments = Moments()

    def format(self, record: logging.LogRecord) -> str:
        """One line, and a traceback below it where there is one."""
        message = _shown(record.getMessage() if record.args else str(record.msg))
        words = [f"{name}={_word(value)}" for name, value in fields(record).items() if value is not None and value != ""]
        line = f"{self._moments.text(record.created)} {_LEVEL.get(record.levelno, 'error  ')} {message}"
        if words:
            line = f"{line}  {' '.join(words)}"
        if record.exc_info:
            line = f"{line}\n{visible(mask(self.formatException(record.exc_info)), keep=_LINE)}"
        return line


class JsonLines(logging.Formatter):
    """The same as an object: ``time``, ``level``, ``logger``, ``message``, and the named parts."""

    def __init__(self) -> None:
        super().__init__()
        self._moments = Moments()

    def format(self, record: logging.LogRecord) -> str:
        """One line."""
        line = {
            "time": self._moments.text(record.created), "level": record.levelname.lower(), "logger": record.name,
            "message": mask(record.getMessage()),
        }  # fmt: skip
        for name, value in fields(record).items():
            if value not in (None, ""):
                line[name] = mask(value) if isinstance(value, str) else value
        if record.exc_info:
            line["exception"] = mask(self.formatException(record.exc_info))
        return json.dumps(line, ensure_ascii=True, default=_told)


_LINE: Final = "\n\t"
_SHORT: Final = 100
"""Characters of a text that is remembered with how it is written; longer ones are a stranger's, and not remembered."""
_LEVEL: Final = {level: f"{logging.getLevelName(level).lower():<7}" for level in (logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR)}


def _told(value: object) -> str:
    return mask(str(value))


def _word(value: object) -> str:
    if isinstance(value, str):
        return _spelled(value) if len(value) <= _SHORT else _spelled.__wrapped__(value)
    return f"{value:.3f}" if isinstance(value, float) else _spelled(str(value))


@lru_cache(2048)
def _spelled(text: str) -> str:
    """The value of a part: as it is where that is one plain word, else in quotes. The same few come by again and again."""
    text = mask(text)
    return text if text.isprintable() and " " not in text and '"' not in text else json.dumps(text)


def _shown(message: str) -> str:
    return _plain(message) if len(message) <= _SHORT else visible(mask(message))


@lru_cache(256)
def _plain(message: str) -> str:
    return visible(mask(message))


_BLANK: Final = logging.makeLogRecord({}).__dict__


class QuickRecord(logging.LogRecord):
    """A record without what costs most to find and nobody asks of a call's life: thread, process, and line of source."""

    def __init__(self, name: str, level: int, message: str, parts: Mapping[str, Any]) -> None:
        now = time.time()
        self.__dict__ = {
            **_BLANK, "name": name, "levelno": level, "levelname": logging.getLevelName(level), "msg": message, "created": now,
            "msecs": (now % 1) * 1000, "parts": parts,
        }  # fmt: skip
