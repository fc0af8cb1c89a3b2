"""Token buckets: a rate with some patience.

A bucket holds at most ``burst`` tokens and gains ``rate`` of them a second. Whoever wants to do something takes one; an empty
bucket says no. So the long-run rate is bounded by ``rate``, and after a quiet time ``burst`` may come at once. Time is a parameter.
"""

from __future__ import annotations


class Bucket:
    """One bucket, full at first. ``rate`` in tokens a second."""

    __slots__ = ("_at", "_tokens")

    def __init__(self, burst: float, now: float) -> None:
        self._tokens = burst
        self._at = now

    def take(self, rate: float, burst: float, now: float) -> bool:
        """Take a token; False where there is none. Rate and burst are given each time: a reload may change them."""
        tokens = self._tokens + (now - self._at) * rate
        self._at = now
        tokens = min(tokens, burst)
        if tokens < 1:
            self._tokens = tokens
            return False
        self._tokens = tokens - 1
        return True
