"""The engine: load, check, compile, step and explore tables. It knows no socket, no clock and no SIP."""
