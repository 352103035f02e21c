"""Relief faces that change: expressions as in DISFA, body weight as in Edema, and pairs with what changed between."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from aifr_lib.data.images import ChangePairs, Images
from aifr_lib.data.relief.plan import (
    MAX_PER_IDENTITY,
    SURROUNDINGS,
    Plan,
    between,
    checked,
    people,
    pictures_of,
    sitting,
)
from aifr_lib.faces.relief.parameters import ACTION_UNITS, CAMERA, LIGHT, normal, uniform
from aifr_lib.names import choose

# Action units that come together and their share of the strongest (FACS' prototypes of the emotions; inferred).
EXPRESSIONS: tuple[dict[str, float], ...] = (
    {"au12": 0.6},
    {"au6": 0.8, "au12": 1.0},
    {"au6": 0.9, "au12": 1.0, "au25": 0.9},
    {"au1": 1.0, "au2": 1.0, "au5": 0.8, "au25": 0.8},
    {"au1": 0.7, "au4": 0.8, "au17": 0.6},
    {"au1": 0.8, "au2": 0.5, "au4": 0.7, "au5": 0.9, "au20": 0.9, "au25": 0.7},
    {"au4": 1.0, "au5": 0.4},
    {"au4": 0.7, "au9": 1.0, "au17": 0.7},
    {"au25": 0.8},
)
LEVELS = 5  # intensities 0 … 5, as in FACS' A to E
SLOT = 40  # frames in which at most one expression comes and goes
EXPRESSIVE = 0.6  # share of the slots that have one
# Water shows in the face more than its share of body weight: a kilogram of it changes the face as 2.5 of build do.
KILOGRAMS_PER_SD = 10.0
WATER_PER_KILOGRAM = 0.25
SECOND_WARD = 1_000_000  # its people's numbers lie so far from the first ward's
UNITS = {"age": "years", "kilograms": "kg", **dict.fromkeys(ACTION_UNITS, "intensity 0–5")}


def disfa(subjects: int = 27, frames: int = 240) -> Plan:
    """relief-disfa: ``frames`` frames of each of 27 subjects, with intensities 0 … 5 of ten action units.

    Subjects and levels: ComFace section A.2 and DISFA. Expressions come and go smoothly, most units are at 0 most of
    the time; a frame is rendered at intensity / 5, so the labels hold exactly. Within a subject age, weight, light,
    clothes and camera stay, the head sways by some degrees. DISFA has 4,845 frames a subject: the number here, the
    ages of 18 … 50 years and the curves are inferred.
    Labels beside the parameters: frame, and au1 … au25 as integers 0 … 5 in place of the parameters' 0 … 1.
    Errors: ValueError for counts out of range.
    """
    numbers = people("relief-disfa", subjects, "subjects")
    whose, place, picture = pictures_of(
        numbers, torch.full_like(numbers, checked("frames", frames, 1, MAX_PER_IDENTITY))
    )
    ages = between(numbers, 20, 18, 50)[whose]
    intensity = torch.cat([_curves(number, frames) for number in numbers.split(1)])
    phase = 2 * torch.pi * uniform(numbers, 34, 3)[whose]
    rate = 2 * torch.pi / (60 + 60 * uniform(numbers, 35, 3)[whose])
    sway = torch.tensor([5.0, 3.0, 2.0]) * torch.sin(phase + rate * place[:, None])
    first = picture - place
    fixed = sitting(numbers[whose], ages, first, (*SURROUNDINGS, "camera", "framing", "weight"))
    fixed |= {"pose": sway, "action_units": intensity / LEVELS}
    labels = {name: column.numpy() for name, column in zip(ACTION_UNITS, intensity.long().unbind(1), strict=True)}
    labels = {"frame": place.numpy(), **labels}
    spec = {"subjects": subjects, "frames": frames}
    return Plan("relief-disfa", spec, numbers[whose], ages, picture, fixed=fixed, labels=labels)


def _curves(number: Tensor, frames: int) -> Tensor:
    """Whole intensities 0 … 5 of one subject's action units: float64 [frames, 10]."""
    slots = -(-frames // SLOT)
    u = uniform(number, 30, 4 * slots).reshape(4, slots)
    kind = (uniform(number, 31, slots)[0] * len(EXPRESSIONS)).long()
    table = torch.tensor([[one.get(name, 0.0) for name in ACTION_UNITS] for one in EXPRESSIONS], dtype=torch.float64)
    # People differ in which units they use how strongly, and moments in how strong they are.
    habit = 0.75 + 0.5 * uniform(number, 32, len(ACTION_UNITS))[0]
    peak = (u[0] < EXPRESSIVE) * (0.35 + 0.65 * u[1])
    reach = SLOT * (0.25 + 0.25 * u[2])
    centre = SLOT * torch.arange(slots) + reach + (SLOT - 2 * reach) * u[3]
    distance = ((torch.arange(frames)[:, None] - centre) / reach).abs().clamp(max=1)
    # A raised cosine with a short apex.
    bump = (0.75 * (1 + torch.cos(torch.pi * distance))).clamp(max=1)
    strength = (bump * peak)[..., None] * (table[kind] * habit)
    return (LEVELS * strength.amax(1)).round().clamp(0, LEVELS)


def edema(subjects: int = 39, days: int = 4, frames: int = 4, ward: int = 1) -> Plan:
    """relief-edema: 39 subjects before and after losing 1 … 4 kg of water on each of ``days`` days.

    39 = 24 + 15 patients of Edema-A (ComFace section B.3). ward: 2 stands for Edema-B, which the paper tests apart:
    other people, under a harder, warmer light from the side and before a blurrier camera (our own choice). "Several"
    days: four are the fewest that its training on one to three days with leave-one-day-out allows (inferred), as are
    ``frames`` pictures a sitting, ages of 35 … 80 years and kilograms.
    A subject weighs 62 kg + 10 kg × its standard score of build + the day's water; a kilogram of
    water moves the parameter ``weight`` by 0.25, so a change in kilograms and one in the face go together exactly.
    Pictures of a sitting share light, clothes and camera; two sittings of a day do not. Faces are calm and nearly
    frontal.
    Labels beside the parameters: day (0 …), phase ("pre" or "post" dialysis), kilograms.
    Errors: ValueError for counts out of range.
    """
    numbers = people("relief-edema", subjects, "subjects") + (checked("ward", ward, 1, 2) - 1) * SECOND_WARD
    per_subject = 2 * checked("days", days, 1, 100) * checked("frames", frames, 1, 50)
    whose, place, picture = pictures_of(numbers, torch.full_like(numbers, per_subject))
    sitting_of = place // frames
    day, post = sitting_of // 2, sitting_of % 2 == 1
    dry = 0.8 * uniform(numbers, 30, days)
    lost = 1 + 3 * uniform(numbers, 31, days)
    water = dry[whose, day] + lost[whose, day] * ~post
    build = 0.8 * normal(numbers, 32, 1, limit=2.2)[:, 0]
    ages = between(numbers, 20, 35, 80)[whose]
    shared = sitting(numbers[whose], ages, picture - place % frames, (*SURROUNDINGS, "camera", "action_units"))
    calm = {
        "action_units": 0.3 * shared["action_units"],
        "pose": 0.3 * sitting(numbers[whose], ages, picture, ("pose",))["pose"],
    }
    labels = {
        "day": day.numpy(),
        "phase": np.where(post.numpy(), "post", "pre"),
        "kilograms": (62 + KILOGRAMS_PER_SD * build[whose] + water).numpy(),
    }
    fixed = {**shared, **calm, "weight": build[whose] + WATER_PER_KILOGRAM * water}
    spec = {"subjects": subjects, "days": days, "frames": frames}
    if ward == 2:
        spec["ward"] = ward
        fixed |= {"light": _lamp(shared["light"]), "camera": _webcam(shared["camera"])}
    return Plan("relief-edema", spec, numbers[whose], ages, picture, fixed=fixed, labels=labels)


def _lamp(light: Tensor) -> Tensor:
    """The light of the second ward: a key from the left, less fill, warmer."""
    place = {name: LIGHT.index(name) for name in LIGHT}
    moved = light.clone()
    for name, by, (low, high) in (
        ("light_azimuth", -30.0, (-90.0, 90.0)), ("light_fill", -0.1, (0.0, 2.0)), ("light_warmth", 0.4, (-1.0, 1.0))
    ):  # fmt: skip
        moved[:, place[name]] = (light[:, place[name]] + by).clamp(low, high)
    return moved


def _webcam(camera: Tensor) -> Tensor:
    """The camera of the second ward: more blur and noise."""
    moved = camera.clone()
    for name, by, most in (("blur", 0.5, 3.0), ("noise", 0.01, 0.2)):
        moved[:, CAMERA.index(name)] = (camera[:, CAMERA.index(name)] + by).clamp(0, most)
    return moved


def changes(images: Images, label: str, *, per_subject: int | None = None, seed: int = 0) -> ChangePairs:
    """Pairs of pictures of one subject, and the change of ``label``: age, kilograms or an action unit.

    All pairs of each subject, each once (as the 5,808 of FG-NET), or a random ``per_subject`` of them (a subject has
    too many frames for all). Which of two comes first is drawn, so changes are as often up as down.
    Errors: ConfigError for another label; ValueError where the pictures lack it, or a subject has too few pairs.
    """
    unit = choose("label that changes", label, UNITS)
    if label not in images.labels:
        raise ValueError(f"{images.name}: labels lack {label}")
    rng = np.random.default_rng(seed)
    identity = images.labels["identity"].to_numpy()
    pairs = []
    for subject in np.unique(identity):
        rows = np.flatnonzero(identity == subject)
        every = len(rows) * (len(rows) - 1) // 2
        if per_subject is not None and not 1 <= per_subject <= every:
            raise ValueError(f"{images.name}: {per_subject} pairs a subject wanted, subject {subject} has {every}")
        chosen = np.arange(every) if per_subject is None else np.sort(rng.choice(every, per_subject, replace=False))
        pairs.append(rows[_unordered(chosen)])
    a, b = rng.permuted(np.concatenate(pairs), axis=1).T
    return _change_pairs(f"{images.name}: {label}", images, a, b, label, unit)


def _unordered(number: np.ndarray) -> np.ndarray:
    """int64 [P, 2]: the pairs i < j in order of j, then i, by number."""
    j = ((1 + np.sqrt(8.0 * number + 1)) / 2).astype(np.int64)
    return np.stack([number - j * (j - 1) // 2, j], axis=1)


def pre_post(images: Images) -> ChangePairs:
    """The pairs that Edema is tested on: before (a) and after (b) dialysis of one subject on one day, in kilograms.

    The change is negative. That both pictures are of one day is inferred.
    Errors: ValueError where labels lack day, phase or kilograms.
    """
    if missing := {"day", "phase", "kilograms"} - set(images.labels):
        raise ValueError(f"{images.name}: labels lack {', '.join(sorted(missing))}; relief-edema has them")
    table = images.labels[["identity", "day", "phase"]].assign(row=np.arange(len(images)))
    before, after = (table[table["phase"] == phase] for phase in ("pre", "post"))
    both = before.merge(after, on=["identity", "day"])
    a, b = (both[column].to_numpy(np.int64) for column in ("row_x", "row_y"))
    return _change_pairs(f"{images.name}: pre/post", images, a, b, "kilograms", UNITS["kilograms"])


def _change_pairs(name: str, images: Images, a: np.ndarray, b: np.ndarray, label: str, unit: str) -> ChangePairs:
    values = images.labels[label].to_numpy(np.float64)
    used = np.concatenate([a, b])
    if (unknown := ~np.isfinite(values[used])).any():
        record = images.labels["record"].iloc[used[unknown.argmax()]]
        raise ValueError(f"{images.name}: {record} has no {label}, of which a change could be told: leave it out")
    return ChangePairs(name, a, b, values[b] - values[a], unit)
