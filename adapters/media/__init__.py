"""Media of calls: what stands in offers and answers, and who carries the packets."""

from calltable.adapters.media.signalling import Direction, SignallingMedia

__all__ = [
    "Direction",
    "SignallingMedia",
]
