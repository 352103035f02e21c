"""Templates of relief faces in the manner of IJB-B and IJB-C: stills and videos of mixed quality, 1:1 pairs."""

from __future__ import annotations

import numpy as np
import torch

from aifr_lib.data.images import Images, Templates
from aifr_lib.data.relief.plan import (
    AGES,
    MAX_PER_IDENTITY,
    SURROUNDINGS,
    Plan,
    between,
    checked,
    people,
    pictures_of,
    sitting,
)
from aifr_lib.faces.relief.parameters import normal, uniform

VIDEOS = 0.4  # share of the media that are videos
SHARP = 1 / 3  # share of the media whose pictures are left as they are
COARSEST = 4


def ijb(identities: int = 300, per_identity: int = 4, media: int = 3, frames: int = 4) -> Plan:
    """relief-ijb: ``per_identity`` templates a person, of 1 … ``media`` stills and videos of 1 … ``frames`` frames.

    IJB-B has 1,845 people, 12,115 templates and 76,824 pictures; sizes here are arguments. Frames of a video share
    age, light, clothes, background and quality. A third of the media is sharp, the others are blurred, noisy, pressed
    hard by JPEG and shrunk by up to 4; yaw goes to ± 60°, ages lie about a centre of the person's own (distributions:
    inferred).
    Labels beside the parameters: template, media (ids that count from 0), coarse (by how much a picture was shrunk).
    Errors: ValueError for counts out of range.
    """
    numbers = people("relief-ijb", identities)
    for what, value in (("per_identity", per_identity), ("media", media), ("frames", frames)):
        checked(what, value, 1, 20)
    seeds = (numbers[:, None] * MAX_PER_IDENTITY + torch.arange(per_identity)).flatten()
    there = torch.arange(media) < _some(seeds, 40, media, 1)
    length = torch.where(uniform(seeds, 41, media) < VIDEOS, _some(seeds, 42, frames, media), 1)[there]
    template_of = torch.repeat_interleave(torch.arange(len(seeds)), there.sum(1))
    medium = torch.repeat_interleave(torch.arange(len(length)), length)
    template = template_of[medium]
    whose, _, picture = pictures_of(numbers, torch.bincount(template // per_identity))
    # The seed of a medium's first picture stands for the medium.
    shot = picture[(length.cumsum(0) - length)[medium]]

    ages = (between(numbers, 20, *AGES)[whose] + 3 * normal(shot, 21, 1)[:, 0]).clamp(1, 90)
    u = uniform(shot, 43, 4) * (uniform(shot, 44, 1) > SHARP)
    coarse = 1 + (u[:, 0] * COARSEST).long()
    yaw = 54 * (2 * uniform(shot, 45, 1)[:, 0] - 1) ** 3 + 2 * normal(picture, 46, 1)[:, 0]
    spec = {"identities": identities, "per_identity": per_identity, "media": media, "frames": frames}
    fixed = sitting(numbers[whose], ages, shot, SURROUNDINGS)
    fixed |= {"yaw": yaw, "blur": 2 * u[:, 1], "noise": 0.005 + 0.06 * u[:, 2] ** 2, "quality": 95 - 70 * u[:, 3]}
    labels = {"template": template.numpy(), "media": medium.numpy(), "coarse": coarse.numpy()}
    return Plan("relief-ijb", spec, numbers[whose], ages, picture, "aligned", fixed, labels, coarse)


def _some(seeds: torch.Tensor, stream: int, most: int, count: int) -> torch.Tensor:
    """int64 [B, count], each 1 … most."""
    return 1 + (uniform(seeds, stream, count) * most).long()


def templates(images: Images, *, impostors: int = 100, seed: int = 0) -> Templates:
    """The templates of relief-ijb pictures: all genuine pairs, ``impostors`` times as many impostor pairs.

    Impostor pairs are distinct, of one gender, drawn at random; IJB-B lists 780 for each genuine pair. A threshold
    at FAR 1e-4 needs some 100,000 of them.
    Errors: ValueError where labels lack template or media, or too few pairs exist, with the numbers.
    """
    if missing := {"template", "media", "gender"} - set(images.labels):
        raise ValueError(f"{images.name}: labels lack {', '.join(sorted(missing))}; relief-ijb has them")
    checked("impostors", impostors, 1, 100_000)
    template, media = (images.labels[column].to_numpy(np.int64) for column in ("template", "media"))
    ids, first = np.unique(template, return_index=True)
    identity, gender = (images.labels[column].to_numpy()[first] for column in ("identity", "gender"))
    i, j = np.triu_indices(len(ids), 1)
    genuine = np.flatnonzero(identity[i] == identity[j])
    others = np.flatnonzero((identity[i] != identity[j]) & ((gender[i] > 0.5) == (gender[j] > 0.5)))
    if (wanted := impostors * len(genuine)) > len(others) or not len(genuine):
        raise ValueError(
            f"{images.name}: {len(genuine)} genuine pairs and {wanted} impostor pairs wanted, {len(others)} impostor "
            "pairs of one gender exist; ask for fewer impostors, load more people or more templates of each"
        )
    drawn = np.random.default_rng(seed).choice(others, wanted, replace=False)
    rows = np.concatenate([genuine, np.sort(drawn)])
    same = np.arange(len(rows)) < len(genuine)
    return Templates(images.name, np.arange(len(images)), template, media, ids[i[rows]], ids[j[rows]], same)
