"""Pictures in formats that the served signature does not take: recognised by their bytes, sent as PNG."""
