"""What a peer sent, as it may be shown and kept: without secrets, and without what a terminal would obey.

Two kinds of secret travel in SIP messages: the password of a URI (``sip:alice:secret@example.com``, RFC 3261 §19.1.1, which warns of it
itself) and the credentials of Authorization and Proxy-Authorization (§20.7, §20.28), of which a digest can be guessed offline. Whatever is
logged, traced, drawn or told in an error goes through ``mask``; what is shown to a person also goes through ``visible``.
"""

from __future__ import annotations

import re
from typing import Final

MASK: Final = "***"

_PASSWORD = re.compile(
    r"""(sips?:(?:(?![,;]\s*sips?:)[^\s@:<>"])*+)  # the scheme and the user part, which may hold ; and , (RFC 3261 §25.1)
        :(?:(?!sips?:)[^\s@<>"])*+@   # the password; not the port of one URI and the user of the next""",
    re.VERBOSE | re.IGNORECASE,
)
_CREDENTIALS = re.compile(
    r"\b((?:proxy-)?authorization[ \t]*:[ \t]*[\w-]*)[^\r\n]*(?:\r?\n[ \t][^\r\n]*)*", re.IGNORECASE
)
_scheme = re.compile(r"(?:^|[^\w.+%:-])sips?\Z", re.IGNORECASE)
_CONTROL: Final = re.compile(r"[^ -~]")


def mask(text: str) -> str:
    """The text with passwords in URIs and credentials in header lines replaced by ``***``."""
    if _may_hold_password(text):
        text = _PASSWORD.sub(rf"\1:{MASK}@", text)
    if "authorization" in text.lower():
        text = _CREDENTIALS.sub(rf"\1 {MASK}", text)
    return text


def _may_hold_password(text: str) -> bool:
    """Whether the expression is worth its time: nearly no message holds a password, and each one that is traced is asked."""
    at = text.find("@")
    while at >= 0:
        colon = text.rfind(":", 0, at)
        if colon > 0 and " " not in text[colon:at] and not _scheme.search(text, max(0, colon - 5), colon):
            return True
        at = text.find("@", at + 1)
    return False


def visible(text: str, keep: str = "") -> str:
    r"""The text with whatever is not printable written as an escape: ``\x1b`` for ESC, ``\xff`` for a byte that was no UTF-8.

    Characters in ``keep`` (line ends, for a whole message) stay.
    """
    if text.isprintable():
        return text
    return _CONTROL.sub(lambda match: match[0] if match[0].isprintable() or match[0] in keep else _escape(match[0]), text)


def _escape(char: str) -> str:
    code = ord(char)
    if 0xDC80 <= code <= 0xDCFF:  # a surrogate escape stands for one byte
        code -= 0xDC00
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
