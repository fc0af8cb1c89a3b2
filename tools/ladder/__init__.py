"""Calls as ladders: text, and a page."""
