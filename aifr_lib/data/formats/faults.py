"""The one error of every reader: which file, which record in it, what was expected."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

SHOWN = 10


class BadFile(ValueError):
    """A file that breaks its format.

    problem: what was found, what was expected, perhaps what to do. path: the file. record: the place in it ("line 3",
    "record 17"). The message holds all three.
    """

    def __init__(self, problem: str, path: str | Path | None = None, record: str | None = None):
        self.problem, self.path, self.record = problem, path, record
        where = ", ".join(readable(str(part)) for part in (path, record) if part is not None)
        super().__init__(f"{where}: {problem}" if where else problem)

    def __reduce__(self) -> tuple[type[BadFile], tuple[str, str | Path | None, str | None]]:
        return type(self), (self.problem, self.path, self.record)


def readable(path: str) -> str:
    """A path as text that can be printed: bytes in it that are no UTF-8 as ``\\xe9``."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


class Doubt(BadFile):
    """What is not as published, though it can be used: a warning."""


def some(names: Sequence[str]) -> str:
    """The first ten names, and how many more there are, for a message."""
    return ", ".join(names[:SHOWN]) + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")
