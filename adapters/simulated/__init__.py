"""A world without a clock and a network of its own: virtual time, simulated links, connections and packets.

The same interfaces as the real ones, repeatable by a seed.
"""

from calltable.adapters.simulated.clock import VirtualClock
from calltable.adapters.simulated.network import SimulatedNetwork, SimulatedTransport
from calltable.adapters.simulated.packet import Drop, Held, Packet, SimulatedListener, Verdict

__all__ = [
    "Drop",
    "Held",
    "Packet",
    "SimulatedListener",
    "SimulatedNetwork",
    "SimulatedTransport",
    "Verdict",
    "VirtualClock",
]
