"""The generator's two sets, with a source and judges whose answers are known."""

from __future__ import annotations

import numpy as np
import pytest

from aifr_lib.config import load_preset
from aifr_lib.data import latent
from aifr_lib.experiments import latent_rows, latent_sets, relief_judge_rows

SETTINGS = {
    "latent_sets.identities": 5,
    "latent_sets.attributes": ["age", "smile"],
    "latent_sets.step": 2.5,
    "latent_sets.identities_across_ages": 6,
    "latent_sets.per_identity": 4,
}


class Source:
    """Grey pictures: the person's place and the age's strength are the two colours that judges read."""

    name, version, drawn = "stub", "1", 0

    def combined(self, identity, alphas, *, beyond=False):
        Source.drawn += 1
        picture = np.empty((112, 112, 3), dtype=np.uint8)
        picture[:] = (20 * identity + 10, 100 + 20 * alphas.get("age", 0.0), 100 + 20 * alphas.get("smile", 0.0))
        return picture


def colour(pixels):
    return np.stack([np.asarray(one)[56, 56].astype(float) for one in pixels])


@pytest.fixture
def preset(monkeypatch, tmp_path):
    monkeypatch.setenv("AIFR_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(latent_sets.sources, "open_source", lambda _: Source())
    monkeypatch.setattr(latent.align, "align", lambda _: None)
    monkeypatch.setattr(latent_sets.judges, "AgeJudge", lambda: lambda pixels: 40 + (colour(pixels)[:, 1] - 100) / 2)

    def embed(backbone, images, preset):
        red, green, blue = colour(images.pixels[row] for row in range(len(images.labels))).T
        turned = np.radians(40 * np.round((red - 10) / 20) + 0.1 * np.abs(green - 100) + 0.05 * np.abs(blue - 100))
        return np.stack([np.cos(turned), np.sin(turned)], axis=1).astype(np.float32)

    monkeypatch.setattr(latent_sets, "embeddings_of", embed)
    return load_preset("smoke", SETTINGS)


def test_edited_faces_are_told_of_by_attribute_and_strength(preset, tmp_path) -> None:
    rows = latent_sets.latent_sets(preset, out=tmp_path / "out").rows
    value = {
        (r.keys.get("direction"), r.keys.get("at"), r.metric): r.measured.mean
        for r in rows
        if r.keys["data"] == latent_sets.EDITED
    }
    assert value[None, "all", "pictures"] == 5 * (1 + 2 * 4) and value[None, "all", "people"] == 5
    assert value[None, "all", relief_judge_rows.FOUND] == 0
    # JPEG may move a colour by a level or two.
    for alpha in (-5.0, -2.5, 0.0, 2.5, 5.0):
        assert value["age", alpha, relief_judge_rows.TOLD] == pytest.approx(40 + 10 * alpha, abs=1.5)
        assert value["smile", alpha, relief_judge_rows.TOLD] == pytest.approx(40, abs=1.5)
    for alpha in (-5.0, -2.5, 2.5, 5.0):
        expected = np.cos(np.radians(2 * abs(alpha))), np.cos(np.radians(abs(alpha)))
        assert value["age", alpha, latent_rows.SAME] == pytest.approx(expected[0], abs=0.01)
        assert value["smile", alpha, latent_rows.SAME] == pytest.approx(expected[1], abs=0.01)
    nearest = np.cos(np.radians(40))
    assert value["age", "other people", latent_rows.LEVEL + ", 99 %"] == pytest.approx(nearest, abs=0.01)


def test_across_ages_gaps_are_between_the_years_told(preset, tmp_path) -> None:
    runs = {name: job.compute(tmp_path) for name, job in latent_sets.set_jobs(preset).items()}
    scores = runs[latent_sets.AGES].scores
    assert len(scores["picture_found"]) == 24
    genuine = scores["pair_same"]
    assert genuine.sum() == 6 * 6
    # Strengths −4, −4/3, 4/3, 4 of age: gaps of 80/3, 160/3 or 80 years to this judge.
    assert set(np.round(scores["pair_gap"][genuine] / (80 / 3)).astype(int)) == {1, 2, 3}
    rows = list(relief_judge_rows.judge_rows(scores, latent_sets.AGES))
    aucs = {row.keys["over"]: row.measured.mean for row in rows if row.metric == relief_judge_rows.AUC}
    assert aucs[relief_judge_rows.FAR] == 1.0  # 40° between people, 8° at most within


def test_both_sets_are_drawn_once(preset, tmp_path) -> None:
    Source.drawn = 0
    latent_sets.latent_sets(preset, out=tmp_path / "out")
    assert Source.drawn == 5 * 9 + 24
    assert len(latent_sets.edited_faces(preset.latent_sets).labels) == 45
    assert len(latent_sets.faces_across_ages(preset.latent_sets).labels) == 24
    latent_sets.latent_sets(preset, out=tmp_path / "out", fresh=True)
    assert Source.drawn == 5 * 9 + 24


def test_runs_are_named_without_a_picture(monkeypatch) -> None:
    monkeypatch.setattr(latent_sets.sources, "open_source", lambda _: pytest.fail("it was opened"))
    keys = {
        (name, size): job.spec.key
        for size in ("smoke", "classroom")
        for name, job in latent_sets.set_jobs(load_preset(size)).items()
    }
    assert len(set(keys.values())) == 4
    other = load_preset("classroom", {"latent_sets.per_identity": 9})
    assert latent_sets.set_jobs(other)[latent_sets.EDITED].spec.key == keys[latent_sets.EDITED, "classroom"]
    assert latent_sets.set_jobs(other)[latent_sets.AGES].spec.key != keys[latent_sets.AGES, "classroom"]
