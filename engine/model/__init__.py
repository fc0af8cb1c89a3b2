"""The words of the engine: machines, catalogue, types, guard expressions, problems.

Plain data and what can be said of it without reading a file or running a step. Change it where the language learns a new thing;
nothing here knows YAML, sessions or SIP.
"""
