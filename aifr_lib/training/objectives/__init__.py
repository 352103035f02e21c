"""What a training step computes: networks, heads and losses together."""
