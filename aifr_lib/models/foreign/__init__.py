"""Other people's networks from their files, and ours in theirs."""

from aifr_lib.models.foreign.read import Network, load

__all__ = ["Network", "load"]
