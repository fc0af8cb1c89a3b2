"""A world without a clock and a network of its own: virtual time, simulated links, connections and packets.

The same interfaces as the real ones, repeatable by a seed.
"""
