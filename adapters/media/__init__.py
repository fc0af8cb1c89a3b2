"""Media of calls: what stands in offers and answers, and who carries the packets."""
