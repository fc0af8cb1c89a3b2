"""A user agent: places and takes calls, and hands each out as a ``Call``."""
