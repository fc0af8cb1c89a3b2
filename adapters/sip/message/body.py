"""A message's body, and what is written of one leg's message into another's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

    from calltable.adapters.sip.message.message import Message


SDP: Final = "application/sdp"


class Content:
    """A body and header fields that no message lent: what an application supplies itself."""

    __slots__ = ("body", "headers")

    def __init__(self, body: bytes = b"", content_type: str | None = None,
                 headers: Iterable[tuple[str, str]] = ()) -> None:
        """``content_type`` is needed with a body. Header values must hold no line ends (checked when sent)."""
        self.body = body
        self.headers = list(headers)
        if body:
            self.headers.append(("Content-Type", content_type or SDP))


def has_offer(message: Message) -> bool:
    """Whether the message carries a session description (alone, or in a multipart body)."""
    if not message.body:
        return False
    kind = (message.get("content-type") or "").lower()
    return kind.startswith(SDP) or (kind.startswith("multipart/") and b"application/sdp" in message.body.lower())
