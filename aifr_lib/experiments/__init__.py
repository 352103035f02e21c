"""Each table and figure, declared once in the wing of its paper: the runs that it rests on, its rows, its picture.

``EXPERIMENTS`` lists them by the id of the table or figure. It is loaded when it is first asked for: with torch and all
that trains, that takes seconds.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aifr_lib.experiments.jobs import Experiment

    EXPERIMENTS: dict[str, Experiment]

WINGS = ("generator", "comface", "companion", "relief", "tml", "aad", "mtlface")


def __getattr__(name: str) -> dict[str, Experiment]:
    if name != "EXPERIMENTS":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    wings = [importlib.import_module(f"{__name__}.{wing}") for wing in WINGS]
    globals()[name] = {one.id: one for wing in wings for one in wing.EXPERIMENTS}
    return globals()[name]
