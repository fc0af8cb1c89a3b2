"""A seeded fuzz of the codec, the SIP stack and the tables, in one process and without a socket. ``python -m tests.fuzz``.

``strangers.py`` writes messages that fit the calls that are up, ``mutate.py`` breaks them, ``rounds.py`` throws them at a B2BUA
on the virtual clock and says what must hold after any of it, ``codec.py`` and ``tables.py`` do the same to what stands
alone. A round depends on its seed and its number only, so a failure can be repeated by itself.
"""
