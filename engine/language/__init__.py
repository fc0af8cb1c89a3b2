"""From YAML to machines: reading with positions, shape, fragments and overlays, names, types.

Change it where tables may be written differently. It answers with machines or with all problems at once, and judges nothing that takes
more than names and types: that is ``check``.
"""
