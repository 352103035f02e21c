"""Protocols and measures: embeddings → scores → numbers with intervals."""
