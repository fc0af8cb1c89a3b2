"""Calls as ladders: text, and a page."""

from calltable.tools.ladder.page import ladder_html
from calltable.tools.ladder.text import ladder_text

__all__ = [
    "ladder_html",
    "ladder_text",
]
