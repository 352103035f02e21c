"""What every measure asks of its input, so that each says it in the same words."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:  # measures over embeddings need no torch
    from torch import Tensor

SHOWN = 5


def listed(names: np.ndarray | Sequence) -> str:
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
    """Errors: ValueError naming the rows of ``values`` [N] that hold NaN or infinity."""
    bad = np.flatnonzero(~np.isfinite(values))
    if len(bad):
        raise ValueError(f"{what}: NaN or infinity in {len(bad)} of {len(values)} rows (rows {listed(bad)})")


def both_classes(same: np.ndarray) -> None:
    """Errors: ValueError where a list holds genuine pairs only, or impostor pairs only."""
    if same.all() or not same.any():
        kind = "genuine" if same.all() else "impostor"
        raise ValueError(f"all {len(same)} pairs are {kind} pairs: the measure needs both kinds")


def matrix(what: str, values: np.ndarray | Tensor, width: int | None = None, rows: int | None = None) -> None:
    """Errors: ValueError unless ``values`` is [N, D] with N, D ≥ 1, N = ``rows`` and D = ``width`` where given."""
    found = list(values.shape)
    if len(found) != 2 or 0 in found or width not in (None, found[1]) or rows not in (None, found[0]):
        wanted = f"[{'N' if rows is None else rows}, {'D' if width is None else width}]"
        raise ValueError(f"{what} must be {wanted}, got {found}")


def directed(
    what: str, norms: np.ndarray, *, zero: bool = False, rows: str = "rows", name: Callable[[int], object] = int
) -> None:
    """Every embedding has a direction: the check of all measures, on the Euclidean norms that they need in any case.

    norms: [N], or [N, T] of T embeddings a row: NaN or infinite where a value of the embedding is. zero: whether
    embeddings of zeros may pass. rows, name: what a row is, and what the k-th is called.
    Errors: ValueError naming the rows whose norm is NaN or infinite, or 0.
    """
    faults = {"are NaN or infinite": ~np.isfinite(norms), "are zero and have no direction": (norms == 0) & (not zero)}
    for fault, there in faults.items():
        if there.any():
            bad = np.flatnonzero(there.reshape(len(norms), -1).any(axis=1))
            raise ValueError(
                f"{what}: {len(bad)} of {len(norms)} {rows} {fault}: {listed([name(int(k)) for k in bad])}"
            )


def known(what: str, names: np.ndarray | Sequence, valid: np.ndarray | Sequence) -> None:
    """Errors: ValueError that lists those of ``names`` which ``valid`` does not hold."""
    names = np.unique(np.asarray(names))
    unknown = names[~np.isin(names, valid)]
    if len(unknown):
        raise ValueError(f"{what}: {len(unknown)} of {len(names)} ids are unknown ({listed(unknown)})")


def normalise(embeddings: np.ndarray) -> np.ndarray:
    """Rows [N, D] scaled to Euclidean length 1, in the precision given.

    Errors: ValueError unless they are [N, D], and naming the rows that are NaN or infinite, or zero: without direction.
    """
    matrix("embeddings", embeddings)
    length = np.linalg.norm(embeddings, axis=1)
    directed("embeddings", length)
    return embeddings / length[:, None]
