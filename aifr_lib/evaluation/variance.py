"""Intra- and inter-class variance of embeddings: the measure of TML Table IV."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from aifr_lib.evaluation.checks import directed, matrix, normalise, same_length
from aifr_lib.names import nearest

Form = Literal["raw", "normalised", "root"]
FORMS: tuple[Form, ...] = ("raw", "normalised", "root")


@dataclass(frozen=True)
class ClassVariance:
    """Spread within classes and between them, and their ratio inter / intra.

    images, classes: how many were measured; left_out: pictures of classes with one picture.
    """

    intra: float
    inter: float
    ratio: float
    images: int
    classes: int
    left_out: int


def class_variance(
    embeddings: np.ndarray,
    identities: np.ndarray,
    form: Form = "raw",
) -> ClassVariance:
    """Variance within and between the classes that have two pictures or more.

    With μ_c the mean of class c (n_c pictures) and μ the mean of all N:
    intra = 1/N Σ_i ‖f_i − μ_{y_i}‖², inter = 1/N Σ_c n_c ‖μ_c − μ‖²; their sum is the
    total variance.

    embeddings: [N, D]. identities: [N].
    form: "raw" as above; "normalised" on embeddings of length 1 (free of mere scale,
        so the one to compare networks by); "root" with ‖·‖ in place of ‖·‖² on raw
        embeddings.
    Errors: ValueError for an unknown form, lengths that differ, NaN, fewer than two
        classes of two pictures, or classes without any spread.
    Source: TML Table IV prints intra and inter without defining them: inferred as the
        usual decomposition.
    """
    if form not in FORMS:
        raise ValueError(f"unknown form '{form}'{nearest(form, FORMS)}")
    embeddings, identities = np.asarray(embeddings), np.asarray(identities)
    same_length(embeddings=embeddings, identities=identities)
    matrix("embeddings", embeddings)
    directed("embeddings", np.linalg.norm(embeddings, axis=1), zero=True)
    order = np.argsort(identities, kind="stable")
    _, counts = np.unique(identities, return_counts=True)
    measured = order[np.repeat(counts, counts) > 1]
    counts = counts[counts > 1]
    if len(counts) < 2:
        few = f"{len(counts)} classes have two pictures or more"
        raise ValueError(f"{few}: variance between classes needs 2")

    f = embeddings[measured].astype(np.float64)
    f = normalise(f) if form == "normalised" else f
    means = np.add.reduceat(f, np.cumsum(counts) - counts, axis=0) / counts[:, None]
    power = 1 if form == "root" else 2
    within = np.linalg.norm(f - np.repeat(means, counts, axis=0), axis=1) ** power
    between = np.linalg.norm(means - f.mean(axis=0), axis=1) ** power
    intra, inter = float(within.mean()), float(np.average(between, weights=counts))
    if intra == 0:
        raise ValueError("every class is a point: the ratio inter / intra is undefined")
    return ClassVariance(
        intra,
        inter,
        inter / intra,
        images=len(f),
        classes=len(counts),
        left_out=len(identities) - len(f),
    )
