"""The server: configuration, listeners, reload, drain."""
