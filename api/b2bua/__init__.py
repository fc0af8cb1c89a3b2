"""The two-leg B2BUA and its routes."""
