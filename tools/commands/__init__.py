"""The commands: one module each, with ``register(subparsers)`` and ``run(options)``."""
