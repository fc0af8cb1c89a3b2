"""Dialogs as data: who the two ends are, where requests go, which number comes next (RFC 3261 §12)."""
