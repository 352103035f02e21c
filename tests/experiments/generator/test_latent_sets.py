"""The generator's two sets, with a source and judges whose answers are known."""

from __future__ import annotations

import numpy as np
import pytest

from aifr_lib.data import edited
from aifr_lib.experiments.generator import edit_rows, latent_sets
from aifr_lib.experiments.relief import judged_rows
from aifr_lib.faces import align
from aifr_lib.reporting.runs import Git, Run
from aifr_lib.settings.presets import load_preset

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

    def age(self, identity, alphas):
        return None

    def render(self, identity, attribute, alpha, *, beyond=False):
        return self.combined(identity, {attribute: alpha})

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
    monkeypatch.setattr(edited.align, "align", seen)
    monkeypatch.setattr(latent_sets.judges, "AgeJudge", lambda: lambda pixels: 40 + (colour(pixels)[:, 1] - 100) / 2)

    def embed(crops):
        red, green, blue = colour(crops).T
        turned = np.radians(40 * np.round((red - 10) / 20) + 0.1 * np.abs(green - 100) + 0.05 * np.abs(blue - 100))
        return np.stack([np.cos(turned), np.sin(turned)], axis=1).astype(np.float32)

    monkeypatch.setattr(latent_sets.judges, "sface", lambda: embed)
    monkeypatch.setattr(latent_sets, "embeddings_of", lambda _, images, preset: embed(images.pixels[:]))
    return load_preset("smoke", SETTINGS)


def seen(picture):
    """Every face is where the crop lies, but that of person 3."""
    if round((int(picture[56, 56, 0]) - 10) / 20) == 3:
        return None
    return align.Aligned(picture, np.zeros((5, 2)), np.eye(2, 3), 1.0, 1)


def test_edited_faces_are_measured_by_attribute_and_strength(preset, tmp_path) -> None:
    rows = latent_sets.SETS(preset, out=tmp_path / "out").rows
    value = {
        (r.keys.get("direction"), r.keys.get("at"), r.metric): r.measured.mean
        for r in rows
        if r.keys["data"] == latent_sets.EDITED
    }
    assert value[None, "all", "pictures"] == 5 * (1 + 2 * 4) and value[None, "all", "people"] == 5
    assert value[None, "all", latent_sets.FOUND_UNEDITED] == 80
    # JPEG may move a colour by a level or two.
    for alpha in (-5.0, -2.5, 0.0, 2.5, 5.0):
        assert value["age", alpha, judged_rows.ESTIMATED] == pytest.approx(40 + 10 * alpha, abs=1.5)
        assert value["smile", alpha, judged_rows.ESTIMATED] == pytest.approx(40, abs=1.5)
    for alpha in (-5.0, -2.5, 2.5, 5.0):
        expected = np.cos(np.radians(2 * abs(alpha))), np.cos(np.radians(abs(alpha)))
        assert value["age", alpha, edit_rows.SAME] == pytest.approx(expected[0], abs=0.01)
        assert value["smile", alpha, edit_rows.SAME] == pytest.approx(expected[1], abs=0.01)
    nearest = np.cos(np.radians(40))
    assert value["age", "other people", edit_rows.LEVEL + ", 99 %"] == pytest.approx(nearest, abs=0.01)


def test_across_ages_gaps_are_between_the_estimated_years(preset, tmp_path) -> None:
    runs = {name: job.compute(tmp_path) for name, job in latent_sets.set_jobs(preset).items()}
    scores = runs[latent_sets.AGES].scores
    assert len(scores["picture_found"]) == 24
    genuine = scores["pair_same"]
    assert genuine.sum() == 5 * 6 and 3 not in {*scores["pair_a"], *scores["pair_b"]}, "one person's faces go unseen"
    assert (~genuine).sum() == 10 * 4 * 4
    unseen = scores["picture_identity"] == 3
    assert (scores["picture_told"][unseen] == judged_rows.UNKNOWN).all()
    assert (scores["picture_told"][~unseen] > judged_rows.UNKNOWN).all()
    assert scores["picture_found"].tolist() == (~unseen).tolist()
    # Strengths −4, −4/3, 4/3, 4 of age: gaps of 80/3, 160/3 or 80 years to this judge.
    assert set(np.round(scores["pair_gap"][genuine] / (80 / 3)).astype(int)) == {1, 2, 3}
    rows = list(judged_rows.judge_rows(scores, latent_sets.AGES))
    aucs = {row.keys["over"]: row.measured.mean for row in rows if row.metric == judged_rows.AUC}
    assert aucs[judged_rows.FAR] == 1.0  # 40° between people, 8° at most within


def test_both_sets_are_drawn_once(preset, tmp_path) -> None:
    Source.drawn = 0
    latent_sets.SETS(preset, out=tmp_path / "out")
    timed = 6
    assert Source.drawn == 5 * 9 + 24 + timed
    assert len(latent_sets.edited_faces(preset.latent_sets).labels) == 45
    assert len(latent_sets.faces_across_ages(preset.latent_sets).labels) == 24
    latent_sets.SETS(preset, out=tmp_path / "out", fresh=True)
    assert Source.drawn == 5 * 9 + 24 + 2 * timed


def test_strengths_survive_half_precision(preset) -> None:
    fine = load_preset("smoke", SETTINGS | {"latent_sets.step": 0.1, "latent_sets.identities": 2})
    spec = latent_sets.set_jobs(fine)[latent_sets.EDITED].spec
    alphas = np.array(latent_sets.strengths(0.1))
    attribute = np.where(alphas == 0, -1, 0)
    both = {"attribute": attribute, "alpha": alphas.astype(np.float16), "told": alphas + 40, "same": np.ones(101)}
    scores = {name: np.tile(values, 2) for name, values in {**both, "found": np.ones(101, dtype=bool)}.items()}
    scores |= {"person": np.repeat([0, 1], 101).astype(np.int32), "other": np.zeros(3)}
    run = Run(spec.key, spec, scores, {"pictures": 202, "people": 2}, "cpu", {}, Git(), 1.0)
    estimated = [row for row in latent_sets.edited_rows(run) if row.metric == judged_rows.ESTIMATED]
    assert [row.keys["at"] for row in estimated if row.keys["direction"] == "age"] == alphas.tolist()


def test_the_saved_figure_is_of_its_own_runs(preset, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(latent_sets, "other_sets", lambda *_: pytest.fail("another experiment's runs were read"))
    made = latent_sets.SETS(preset, out=tmp_path / "out")
    assert (tmp_path / "out" / made.id / f"{made.id}.svg").is_file()
    summary = latent_sets.SETS.stored(preset, out=tmp_path / "out")[latent_sets.EDITED].summary
    assert 0 < summary["seconds_a_picture"] < 10


def test_pairs_of_different_people_are_capped(preset, monkeypatch, tmp_path) -> None:
    monkeypatch.setattr(latent_sets.judged, "IMPOSTORS", 7)
    runs = {name: job.compute(tmp_path) for name, job in latent_sets.set_jobs(preset).items()}
    assert len(runs[latent_sets.EDITED].scores["other"]) == 7
    assert (~runs[latent_sets.AGES].scores["pair_same"]).sum() == 7


def test_a_set_without_a_face_is_no_run(preset, monkeypatch, tmp_path) -> None:
    monkeypatch.setattr(edited.align, "align", lambda _: None)
    with pytest.raises(ValueError, match="in none of 24 pictures"):
        latent_sets.compute_ages(preset)


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
