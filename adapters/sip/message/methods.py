"""The methods of SIP, in one place: which there are, and what each means for a dialog.

Nothing here says what an element takes: that is its tables' business (``core/capabilities.py``).
"""

from __future__ import annotations

from typing import Final

METHODS: Final = (
    "ACK", "BYE", "CANCEL", "INVITE", "OPTIONS", "REGISTER", "PRACK", "UPDATE", "SUBSCRIBE", "NOTIFY", "REFER", "INFO",
    "MESSAGE", "PUBLISH",
)  # fmt: skip
"""The methods that an RFC defines."""
KNOWN_METHODS: Final = frozenset(METHODS)
"""The same: others get 501 outside a dialog (RFC 3261 §21.5.2)."""

WITHIN: Final = frozenset({"BYE", "INFO", "NOTIFY", "PRACK", "UPDATE"})
"""Methods that mean something inside a dialog only: outside any they get 481 (RFC 3261 §12.2.2, RFC 3262, RFC 3311, RFC 6086, RFC 6665)."""

PASSED_ON: Final = ("OPTIONS", "INFO", "UPDATE", "MESSAGE", "REFER", "NOTIFY")
"""Methods that need no knowledge of their own to be handed to the owner of a dialog; PRACK would (RFC 3262 §3)."""

TARGET_REFRESH: Final = frozenset({"INVITE", "UPDATE", "SUBSCRIBE", "NOTIFY", "REFER"})
"""Methods whose requests and 2xx responses carry a Contact and may move the remote target (RFC 3261 §12.2, RFC 3311, RFC 6665)."""

WITH_CONTACT: Final = frozenset({"INVITE", "ACK", "OPTIONS", "UPDATE", "SUBSCRIBE", "NOTIFY", "REFER"})
"""Requests that carry a Contact; MESSAGE must not (RFC 3428 §4), INFO and BYE have no use for one."""
