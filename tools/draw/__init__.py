"""Tables as diagrams: Mermaid, DOT, SVG, a page."""

from calltable.tools.draw.diagram import FOLDED
from calltable.tools.draw.fragment import fragment
from calltable.tools.draw.label import measure
from calltable.tools.draw.layout import LayoutUnavailableError
from calltable.tools.draw.options import DETAILS, Options
from calltable.tools.draw.page import page
from calltable.tools.draw.picture import DARK, FONT, LIGHT
from calltable.tools.draw.row import effects, line, value

__all__ = [
    "DARK",
    "DETAILS",
    "FOLDED",
    "FONT",
    "LIGHT",
    "LayoutUnavailableError",
    "Options",
    "effects",
    "fragment",
    "line",
    "measure",
    "page",
    "value",
]
