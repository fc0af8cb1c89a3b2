"""Running machines: sessions, compiled cells, the executor, timers, children, stores.

The only room whose speed matters for each event. No clock, no task, no socket: time comes from a scheduler, effects go to handlers.
"""
