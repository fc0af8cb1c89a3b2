"""What a transaction reports to whoever counts the open work of its source.

A server transaction that was admitted by a policy carries the account of the source it came from. It tells the account when it
begins, when it has its final response and when it is over, and nothing else: what follows from the counts is the policy's
business (``core/admission.py``).
"""

from __future__ import annotations

from typing import Protocol


class Account(Protocol):
    """The open work of one source."""

    def begun(self, *, call: bool) -> None:
        """A server transaction has begun; ``call`` where it is an INVITE that opens a dialog."""

    def answered(self) -> None:
        """An INVITE that opens a dialog has had its final response."""

    def over(self) -> None:
        """A server transaction has ended."""

    def took_call(self) -> None:
        """An application has taken a call of it."""

    def lost_call(self) -> None:
        """A call of it is over."""
