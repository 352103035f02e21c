"""Generators of photo-real faces, directions in their latent spaces, and sources of edited faces."""
