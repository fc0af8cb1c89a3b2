"""Tables as diagrams: Mermaid, DOT, SVG, a page."""
