"""The papers' data sets by name."""

from aifr_lib.data.named.read import Loaded, State, faults, load, state

__all__ = ["Loaded", "State", "faults", "load", "state"]
