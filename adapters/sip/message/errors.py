"""The one error that malformed SIP raises, whichever module finds it.

It knows how the fault is to be answered, so that whoever catches it needs no second look at the bytes.
"""

from __future__ import annotations

_EXCERPT = 40


class MessageError(ValueError):
    """A SIP message, or a value inside one, breaks the grammar of RFC 3261 §25.

    ``reason`` says what is wrong in words fit for a reason phrase. ``status`` is the response that is due, or None
    when none is: a broken response, an ACK, something that is not SIP.
    """

    def __init__(self, reason: str, status: int | None = 400) -> None:
        """Keep the parts; the reason is the text of the error."""
        super().__init__(reason)
        self.reason = reason
        self.status = status


class HeaderError(MessageError):
    """A header field value is malformed."""


class UriError(MessageError):
    """A URI is malformed."""


def excerpt(value: str) -> str:
    """Quote the beginning of a hostile value, printable ASCII only, so that a reason phrase and a log can hold it."""
    shown = value[:_EXCERPT].encode("ascii", "backslashreplace").decode("ascii")
    shown = "".join(char if char.isprintable() else repr(char)[1:-1] for char in shown)
    return f"'{shown}...'" if len(value) > _EXCERPT else f"'{shown}'"
