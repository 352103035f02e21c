"""Relief faces for the eye: a sheet of people and ages, a folder of pictures with their parameters."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from PIL import Image

from aifr_lib.data.formats.folder import LABELS, claim
from aifr_lib.data.relief.plan import MAX_PER_IDENTITY, PEOPLE, Plan, checked, decades, pictures_of
from aifr_lib.faces.relief import Faces, check_size, render
from aifr_lib.files import atomic_write
from aifr_lib.progress import tqdm

# Beyond the people of every split and set, of this release and those to come.
OWN_IDENTITIES = 1_000_000_000


def sheet(identities: int, ages: Sequence[float], size: int, seed: int) -> np.ndarray:
    """One picture of many: a row for each of ``identities`` people, a column for each age; uint8 [H, W, 3].

    Along a row pose, light and expression stay; age changes, and what goes with it: weight, hair, beard.
    Errors: ValueError for none of either.
    """
    if identities < 1 or len(ages) < 1:
        raise ValueError(f"a sheet of {identities} identities and {len(ages)} ages: at least one of each is needed")
    people = _own_identities(seed, identities).repeat_interleave(len(ages))
    faces = Faces.sample(people, list(ages) * identities, people)
    grid = render(faces, size).numpy().reshape(identities, len(ages), size, size, 3)
    return grid.transpose(0, 2, 1, 3, 4).reshape(identities * size, len(ages) * size, 3)


def write_folder(out: str | Path, identities: int, per_identity: int, size: int, seed: int) -> pd.DataFrame:
    """PNGs of people whose pictures span decades, and ``labels.csv`` (file, identity, age, … all parameters).

    Files are named IDENTITY_PICTURE.png; labels.csv comes last, so that its presence says that all are there.
    Returns the labels. Errors: ValueError for counts or size out of range, FileExistsError for a folder that
    holds other files.
    """
    check_size(size)
    plan = folder_plan(identities, per_identity, seed)
    folder = Path(out)
    whose, place = (part.flatten().tolist() for part in np.indices((identities, per_identity)))
    files = [f"{n:05d}_{k:04d}.png" for n, k in zip(whose, place, strict=True)]
    claim(folder, files, LABELS)
    faces = plan.faces()
    for start in tqdm(range(0, len(faces), 64), desc=f"writing {folder}", unit="batch"):
        for file, pixels in zip(files[start:], render(faces[start : start + 64], size).numpy(), strict=False):
            with atomic_write(folder / file) as path:
                Image.fromarray(pixels).save(path)
    labels = pd.DataFrame({"file": files, "identity": whose, **faces.table()})
    with atomic_write(folder / LABELS) as path:
        labels.to_csv(path, index=False)
    return labels


def folder_plan(identities: int, per_identity: int, seed: int) -> Plan:
    """What ``write_folder`` draws: people whom no split and no set has, each across decades, as portraits.

    Errors: ValueError for counts or a seed out of range.
    """
    numbers = _own_identities(seed, checked("identities", identities, 1, PEOPLE))
    counts = torch.full_like(numbers, checked("per_identity", per_identity, 1, MAX_PER_IDENTITY))
    whose, _, picture = pictures_of(numbers, counts)
    spec = {"identities": identities, "per_identity": per_identity, "seed": seed}
    ages = decades(numbers, per_identity).flatten()
    return Plan("relief faces", spec, numbers[whose], ages, picture, "portrait")


def _own_identities(seed: int, identities: int) -> torch.Tensor:
    if seed < 0:
        raise ValueError(f"seed {seed}: must be 0 or more")
    return torch.arange(identities) + OWN_IDENTITIES + seed * 1_000_003
