"""Everything that speaks gRPC to a server: addresses, security, messages, answers."""
