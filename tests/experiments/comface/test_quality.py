import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from scipy.stats import spearmanr

from aifr_lib.evaluation.ser_fiq import quality_of
from aifr_lib.experiments.comface import galleries, quality, quality_figure
from aifr_lib.experiments.comface.quality import NETWORK, OUTSIDE, SER_FIQ
from aifr_lib.experiments.generator import drawing
from aifr_lib.experiments.jobs import have
from aifr_lib.faces.generators import mobilestylegan
from aifr_lib.models.judges import qualityface
from aifr_lib.reporting.runs import Run, RunStore
from aifr_lib.settings.presets import load_preset
from aifr_lib.training.engine import accelerator_for


@pytest.fixture
def preset():
    changes = {"comface_quality.sets": ["relief"], "comface_quality.train.relief.train_identities": 8}
    return load_preset("smoke", changes)


@pytest.fixture
def run():
    """Twenty faces, the n-th a little less sure than the one before, each of its own grey."""
    distance = np.linspace(0.20, 0.30, 20)
    faces = np.broadcast_to(np.arange(0, 200, 10, dtype=np.uint8)[:, None, None, None], (20, 8, 8, 3))
    pictures = [galleries.plots.picture(np.ascontiguousarray(one)) for one in faces]
    scores = {"distance": distance, "score": quality_of(distance).score, "blurred_distance": distance + 0.01}
    return Run("k", None, {**scores, **drawing.packed(pictures)}, {"faces": 20}, "cpu", {}, None, 1.0)


def test_training_and_scores_are_runs_and_nothing_is_trained_twice(preset, tmp_path, monkeypatch):
    monkeypatch.setattr(quality, "missing", lambda name, score: "no judge" if score == OUTSIDE else None)
    result = quality.FIG_D(preset, out=tmp_path)
    jobs = quality.quality_jobs(preset)
    assert set(jobs) == {(NETWORK, NETWORK), ("relief", SER_FIQ), ("relief", OUTSIDE)}
    assert set(result.runs) == {jobs[NETWORK, NETWORK].spec.key, jobs["relief", SER_FIQ].spec.key}
    measured = {(row.keys["score"], row.metric): row.measured for row in result.rows}
    assert measured[SER_FIQ, "faces scored"].mean == 8
    assert measured[OUTSIDE, "lower when blurred, %"] is None
    assert 0 <= measured[SER_FIQ, "v ≥ 0.6, %"].mean <= 100
    weights = next(row for row in result.rows if row.paper_source)
    assert "majority" in weights.paper_source
    again = quality.FIG_D(preset, out=tmp_path, compute=False)
    assert again.rows == result.rows
    assert jobs["relief", SER_FIQ].needs["network"].spec == jobs[NETWORK, NETWORK].spec
    trained = RunStore(tmp_path).work_folder(jobs[NETWORK, NETWORK].spec.key) / "log.jsonl"
    before = trained.stat().st_mtime_ns
    job = jobs["relief", SER_FIQ]
    assert have(RunStore(tmp_path), job, fresh=True).device == str(accelerator_for(None, "no").device)
    assert trained.stat().st_mtime_ns == before, "the network was trained once more"


def test_a_missing_package_is_said_and_the_rest_goes_on(preset, monkeypatch):
    monkeypatch.setattr(mobilestylegan, "missing", lambda: "the photo-real generator needs openvino: pip install")
    assert "openvino" in quality.missing("latent", SER_FIQ)
    assert quality.missing("relief", SER_FIQ) is None


def test_another_network_another_judge_or_other_faces_are_other_runs(preset, monkeypatch):
    before = {key: job.spec.key for key, job in quality.quality_jobs(preset).items()}
    settings = preset.comface_quality
    longer = settings.model_copy(update={"train": settings.train.model_copy(update={"epochs": 2.0})})
    changed = quality.quality_jobs(preset.model_copy(update={"comface_quality": longer}))
    assert changed["relief", SER_FIQ].spec.key != before["relief", SER_FIQ]
    assert changed["relief", OUTSIDE].spec.key == before["relief", OUTSIDE]
    monkeypatch.setattr(qualityface, "SHA256", "another")
    assert quality.quality_jobs(preset)["relief", OUTSIDE].spec.key != before["relief", OUTSIDE]


def test_shares_means_and_agreement_by_hand(run):
    v = run.scores["score"]
    one = quality.share(v >= 0.6)
    assert one.mean == pytest.approx(100 * sum(value >= 0.6 for value in v) / 20)
    assert one.ci95[0] < one.mean < one.ci95[1]
    assert quality.falls(run.scores).all()
    assert quality.falls({"score": np.array([1.0, 2.0]), "blurred_score": np.array([0.5, 2.5])}).tolist() == [
        True,
        False,
    ]
    outside = {"score": np.random.default_rng(0).normal(size=20) - 10 * run.scores["distance"]}
    found = quality.agreement(run.scores, outside)
    assert found.mean == pytest.approx(spearmanr(-run.scores["distance"], outside["score"]).statistic)
    assert found.ci95[0] < found.mean < found.ci95[1]


def test_frames_fade_what_a_threshold_drops(run):
    frames, labels = quality_figure.threshold_frames(run, np.array([0.0, 0.6, 1.01]))
    stay = int((run.scores["score"] >= 0.6).sum())
    assert labels[0].endswith("20 of 20 identities stay (100 %)")
    assert f"{stay} of 20" in labels[1]
    assert "0 of 20" in labels[2]
    whole, some, none = (np.asarray(Image.open(io.BytesIO(one))).astype(int) for one in frames)
    first, last = np.s_[:8, :8], np.s_[8:16, 72:80]
    assert abs(some[first] - whole[first]).max() <= 2, "the best face stays as it is"
    assert (some[last] > whole[last]).all(), "the worst is fainter"
    assert (none[first] > whole[first]).all()
    _, ranked = quality_figure.keep_frames(run, np.array([0.5, 1.0]))
    assert ranked[0].startswith("the best 50 %: d̄ ≤ 0.250")


def test_the_best_hundred_per_cent_are_all_even_after_half_precision(run):
    stored = {name: run.scores[name].astype(np.float16) for name in ("distance", "score")}
    halved = replace(run, scores={**run.scores, **stored})
    (whole,), _ = quality_figure.threshold_frames(halved, np.array([0.0]))
    (kept,), _ = quality_figure.keep_frames(halved, np.array([1.0]))
    assert kept == whole
