"""A set on disk, of whatever kind: open, describe, check, align, convert."""

from aifr_lib.data.sets.kinds import SCANS, kind_of, load, rec_of, scanned

__all__ = ["SCANS", "kind_of", "load", "rec_of", "scanned"]
