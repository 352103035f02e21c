"""Typed settings, one group a file; ``presets`` reads them from YAML."""
