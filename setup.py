"""What pyproject.toml cannot say: the README as the package's page, where a link must be absolute.

In the checkout the README's links are relative, so that they lead to the files beside it; on a package index they would lead nowhere.
"""

from __future__ import annotations

import re
from pathlib import Path

from setuptools import setup

HOME = "https://calltable.dev/"


def page(text: str) -> str:
    """The README with its links made absolute; anchors within it stay."""
    return re.sub(r"(!?\[[^\]]*\]\()(?![a-z]+:|#)([^)\s]+\))", rf"\1{HOME}\2", text)


if __name__ == "__main__":
    readme = Path(__file__).with_name("README.md").read_text(encoding="utf-8")
    setup(long_description=page(readme), long_description_content_type="text/markdown")
