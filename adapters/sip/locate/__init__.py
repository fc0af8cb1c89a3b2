"""Finding where a SIP URI leads (RFC 3263)."""
