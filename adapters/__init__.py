"""Adapters turn what rows ask for into messages on a wire, and what arrives into events.

Nothing here decides how a call behaves: that is the tables' business.
"""
