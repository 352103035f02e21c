"""The Transformer-metric loss."""
