"""Talking to a running server over its control socket."""
