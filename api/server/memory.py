"""What a process that does nothing but serve calls does about its memory. The library leaves all of this alone."""

from __future__ import annotations

import ctypes
import gc
from functools import cache
from typing import TYPE_CHECKING

from calltable.adapters.sip.message import forget_addresses, forget_uris

if TYPE_CHECKING:
    from collections.abc import Callable


def settle() -> None:
    """Take everything that was loaded out of the garbage collector's sight, and let it look rarely.

    Calls leave no reference circles behind, so counting frees them; a collector that runs every 700 new objects
    would walk all live calls again and again, for a quarter of the time a call costs. Looking at 10,000 new
    objects at once stops calls for 7 ms (100,000: for 55 ms, and no cheaper in sum); looking at all that live
    takes longer than T1, and so comes once in millions.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 500, 100)


def give_back() -> None:
    """Give the memory of past calls back to the operating system; for a moment in which nothing is alive.

    The addresses that the parsers remember are few, but each holds a page of memory that is empty but for it. The
    messages kept for retransmission are too large for Python's own allocator; glibc keeps their pages until it is asked.
    """
    forget_addresses()
    forget_uris()
    gc.collect()
    trim = _malloc_trim()
    if trim is not None:
        trim(0)


@cache
def _malloc_trim() -> Callable[[int], int] | None:
    """The C library's ``malloc_trim``; None with another C library."""
    try:
        found: Callable[[int], int] = ctypes.CDLL(None).malloc_trim
    except (OSError, AttributeError):
        return None
    return found
