"""The server: configuration, listeners, reload, drain."""

from calltable.server.config import Config, ConfigError, every_problem, read_config
from calltable.server.demo import PORT, Demo
from calltable.server.reload import is_overlay
from calltable.server.server import Server

__all__ = [
    "PORT",
    "Config",
    "ConfigError",
    "Demo",
    "Server",
    "every_problem",
    "is_overlay",
    "read_config",
]
