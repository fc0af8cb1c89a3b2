"""The names that a captured element made and those that the tables make instead: tags, branches, Call-IDs.

Each pair of messages, captured and sent, teaches which stands for which; what comes in is rewritten by them.
"""

from __future__ import annotations

import re

from calltable.adapters.sip.message import Request, Response

_TOKEN = re.compile(rb"(?P<key>;[ \t]*(?:tag|branch)[ \t]*=[ \t]*)(?P<value>[^;,>\s\"]+)", re.IGNORECASE)
_NAMED = re.compile(rb"^(?P<name>via|v|from|f|to|t)[ \t]*:[^\r\n]*(?:\r\n[ \t][^\r\n]*)*", re.IGNORECASE | re.MULTILINE)
_CALL_ID = re.compile(rb"^(?P<name>(?:call-id|i)[ \t]*:[ \t]*)(?P<value>[^\r\n]*?)(?=[ \t]*\r?$)", re.IGNORECASE | re.MULTILINE)


class Names:
    """What the captured element called things, and what the tables call them."""

    def __init__(self) -> None:
        self.ours: dict[bytes, bytes] = {}
        """Captured tag, branch or Call-ID, to ours."""
        self.theirs: dict[str, str] = {}
        """Our Call-ID, to the captured one."""

    def learn(self, captured: Request | Response, own: Request | Response) -> None:
        """A pair: the same message, once as it was captured and once as the tables sent it."""
        self._pair(captured.call_id, own.call_id)
        self.theirs[own.call_id] = captured.call_id
        if isinstance(own, Request):
            self._pair(captured.from_tag, own.from_tag)
            self._pair(captured.via.branch, own.via.branch)
        else:
            self._pair(captured.to_tag, own.to_tag)

    def _pair(self, captured: str | None, own: str | None) -> None:
        if captured and own:
            self.ours[captured.encode("utf-8", "surrogateescape")] = own.encode("utf-8", "surrogateescape")

    def rewritten(self, data: bytes) -> bytes:
        """A message of the peer with our names in the place of the captured ones."""
        head, gap, body = data.partition(b"\r\n\r\n")
        known = self.ours

        def token(found: re.Match[bytes]) -> bytes:
            return found["key"] + known.get(found["value"], found["value"])

        head = _NAMED.sub(lambda line: _TOKEN.sub(token, line[0]), head)
        head = _CALL_ID.sub(lambda line: line["name"] + known.get(line["value"], line["value"]), head)
        return head + gap + body
