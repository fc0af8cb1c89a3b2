"""What a running engine tells: traces, logs, a shadow of candidate tables."""
