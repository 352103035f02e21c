"""What every measure asks of its input, so that each says it in the same words."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

SHOWN = 5


def listed(names: np.ndarray | list[str]) -> str:
    """The first few names, and how many more there are."""
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(map(str, names[:SHOWN])) + more


def same_length(**arrays: np.ndarray | None) -> None:
    """Errors: ValueError where the named arrays (those that are given) are empty or differ in length."""
    lengths = {name: len(array) for name, array in arrays.items() if array is not None}
    if len(set(lengths.values())) > 1:
        raise ValueError("lengths differ: " + ", ".join(f"{name} has {n}" for name, n in lengths.items()))
    if 0 in lengths.values():
        raise ValueError(f"nothing to measure: {', '.join(lengths)} hold no entry")


def finite(what: str, values: np.ndarray) -> None:
    """Errors: ValueError naming the rows of ``values`` [N] or [N, D] that hold NaN or infinity."""
    good = np.isfinite(values)
    bad = np.flatnonzero(~(good if values.ndim == 1 else good.all(axis=1)))
    if len(bad):
        raise ValueError(f"{what}: NaN or infinity in {len(bad)} of {len(values)} rows (rows {listed(bad)})")


def both_classes(same: np.ndarray) -> None:
    """Errors: ValueError where a list holds genuine pairs only, or impostor pairs only."""
    if same.all() or not same.any():
        kind = "genuine" if same.all() else "impostor"
        raise ValueError(f"all {len(same)} pairs are {kind} pairs: the measure needs both kinds")


def matrix(what: str, values: np.ndarray, width: int | None = None) -> None:
    """Errors: ValueError unless ``values`` is [N, D] with N ≥ 1, and D = ``width`` where that is given."""
    wanted = f"[N, {'D' if width is None else width}]"
    if values.ndim != 2 or 0 in values.shape or width not in (None, values.shape[1]):
        raise ValueError(f"{what} must be {wanted}, got {list(values.shape)}")


def known(what: str, names: np.ndarray | Sequence, valid: np.ndarray | Sequence) -> None:
    """Errors: ValueError that lists those of ``names`` which ``valid`` does not hold."""
    names = np.unique(np.asarray(names))
    unknown = names[~np.isin(names, valid)]
    if len(unknown):
        raise ValueError(f"{what}: {len(unknown)} of {len(names)} ids are unknown ({listed(unknown)})")
