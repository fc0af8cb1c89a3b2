"""SIP messages: parsing, header fields, URIs, building, validation. Bytes and values, no state."""
