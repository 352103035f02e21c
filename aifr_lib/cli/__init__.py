"""The command ``aifr``."""

from aifr_lib.cli.app import app

__all__ = ["app"]
