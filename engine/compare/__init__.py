"""Two versions of a table side by side: which rows differ, and which calls go differently."""
