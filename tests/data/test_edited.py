"""Building edited faces on the disk: what is drawn, how often, and what stops it. No generator is needed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping

import numpy as np
import pandas as pd
import pytest

from aifr_lib.data import edited
from aifr_lib.data.formats.pictures import BadPicture
from aifr_lib.faces import align
from aifr_lib.faces.generators.sources import ReliefSource
from aifr_lib.names import ConfigError


class Counting:
    """A source of flat pictures whose colour says who and how much; it remembers what it drew."""

    name, version = "flat", "1"
    attributes = ("age", "smile", "yaw", "light")

    def __init__(self, stop_after: int | None = None) -> None:
        self.drawn: list[tuple[int, dict[str, float]]] = []
        self.stop_after = stop_after

    def combined(self, identity: int, alphas: Mapping[str, float], *, beyond: bool = False) -> np.ndarray:
        if len(self.drawn) == self.stop_after:
            raise KeyboardInterrupt
        self.drawn.append((identity, dict(alphas)))
        level = 100 + 10 * identity + round(sum(alphas.values()))
        return np.full((64, 64, 3), level, dtype=np.uint8)

    def render(self, identity: int, attribute: str, alpha: float, *, beyond: bool = False) -> np.ndarray:
        return self.combined(identity, {attribute: alpha}, beyond=beyond)

    def age(self, identity: int, alphas: Mapping[str, float]) -> None:
        return None


@pytest.fixture(autouse=True)
def no_detector(monkeypatch):
    """The face of a flat picture is where it is: eyes left and right of the middle."""
    points = np.array([[24, 24], [40, 24], [32, 34], [26, 44], [38, 44]], dtype=float)
    matrix = align.similarity(points, align.TEMPLATE)

    def find(picture):
        return align.Aligned(align.warp(picture, matrix), points, matrix, 1.0, 1)

    monkeypatch.setattr(align, "align", find)


def plan(identities=(3, 5)) -> edited.Plan:
    return edited.edited(identities, ("age", "smile"), (-2, 0, 2))


def test_zero_is_one_picture_for_all_attributes() -> None:
    # 2 people × (1 + 2 attributes × 2 strengths), ComFace's footnote 1.
    labels = plan().labels
    assert len(labels) == 2 * 5
    assert (labels.query("identity == 3")["alpha"] == 0).sum() == 1
    assert list(labels["record"][:5]) == [
        "000003/original",
        "000003/age-2.00",
        "000003/age+2.00",
        "000003/smile-2.00",
        "000003/smile+2.00",
    ]


def test_a_built_set_is_read_as_images(tmp_path) -> None:
    images = edited.build(tmp_path / "set", plan(), Counting(), progress=False)
    assert images.pixels.shape == (10, 112, 112, 3) and images.name == "edited faces"
    assert np.isnan(images.labels["age"]).all() and images.labels["found"].all()
    row = int(np.flatnonzero(images.labels["record"] == "000005/age+2.00")[0])
    assert images.pixels[row][56, 56, 0] == pytest.approx(152, abs=2)
    table = pd.read_parquet(tmp_path / "set" / "labels.parquet")
    file = tmp_path / "set" / table["file"][row]
    assert hashlib.sha256(file.read_bytes()).hexdigest() == table["sha256"][row]


def test_a_build_that_was_stopped_draws_nothing_twice(tmp_path) -> None:
    first = Counting(stop_after=7)
    with pytest.raises(KeyboardInterrupt):
        edited.build(tmp_path / "set", plan(), first, progress=False)
    kept = {path.relative_to(tmp_path / "set/images") for path in tmp_path.rglob("*.jpg")}
    assert kept and not (tmp_path / "set/labels.parquet").exists()
    stamps = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.jpg")}
    second = Counting()
    images = edited.build(tmp_path / "set", plan(), second, progress=False)
    assert len(second.drawn) == 10 - len(kept)
    assert all(path.stat().st_mtime_ns == stamp for path, stamp in stamps.items())
    whole = edited.build(tmp_path / "whole", plan(), Counting(), progress=False)
    assert list(images.labels["sha256"]) == list(whole.labels["sha256"])
    third = Counting()
    edited.build(tmp_path / "set", plan(), third, progress=False)
    assert third.drawn == []


def test_all_edits_of_a_person_share_one_similarity(tmp_path, monkeypatch) -> None:
    calls = []
    find = align.align
    monkeypatch.setattr(align, "align", lambda picture: calls.append(1) or find(picture))
    edited.build(tmp_path / "edits", plan(), Counting(), progress=False)
    assert len(calls) == 2
    edited.build(tmp_path / "ages", edited.longitudinal((1,), 4), Counting(), progress=False)
    assert len(calls) == 2 + 4


def test_a_face_that_is_not_found_is_marked(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(align, "align", lambda picture: None)
    images = edited.build(tmp_path / "set", plan(), Counting(), progress=False)
    assert not images.labels["found"].any()
    assert images.pixels[0][0, 0, 0] == pytest.approx(130, abs=2)


def test_ages_are_estimated_from_the_stored_crops(tmp_path) -> None:
    def estimate(crops: np.ndarray) -> np.ndarray:
        assert crops.dtype == np.uint8 and crops.shape[1:] == (112, 112, 3)
        return crops[:, 56, 56, 0] / 10

    images = edited.build(tmp_path / "set", plan(), Counting(), estimate_age=estimate, progress=False)
    np.testing.assert_allclose(images.labels["age"], images.pixels[:][:, 56, 56, 0] / 10)


def test_a_source_that_knows_ages_is_believed(tmp_path) -> None:
    class Born(Counting):
        def age(self, identity: int, alphas: Mapping[str, float]) -> float:
            return 30 + identity + alphas.get("age", 0)

    images = edited.build(
        tmp_path / "set", plan(), Born(), estimate_age=lambda crops: pytest.fail("a judge was asked"), progress=False
    )
    assert list(images.labels["age"]) == [33, 31, 35, 33, 33, 35, 33, 37, 35, 35]


def test_the_judge_of_ages_is_part_of_what_a_set_is(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("AIFR_CACHE", str(tmp_path))

    class Judge:
        version = "1"

        def __call__(self, crops: np.ndarray) -> np.ndarray:
            return np.full(len(crops), 50.0)

    def forty(crops: np.ndarray) -> np.ndarray:
        return np.full(len(crops), 40.0)

    labelled = [
        edited.cached(plan(), Counting(), estimate_age=judge, progress=False) for judge in (None, Judge(), forty)
    ]
    assert np.isnan(labelled[0].labels["age"]).all()
    assert [set(images.labels["age"]) for images in labelled[1:]] == [{50.0}, {40.0}]
    assert len(list(tmp_path.rglob("about.json"))) == 3
    second = Judge()
    second.version = "2"
    ages = [plan().about(Counting(), judge)["ages"] for judge in (None, Judge(), second, forty)]
    assert ages == [None, "1", "2", "forty"]
    folder = tmp_path / "set"
    edited.build(folder, plan(), Counting(), progress=False)
    with pytest.raises(FileExistsError, match="its ages is None, wanted forty"):
        edited.build(folder, plan(), Counting(), estimate_age=forty, progress=False)


def test_every_strength_has_a_file_of_its_own() -> None:
    strengths = (-2, 0.5, 0.125, 0.12, 0.13, 1.234567, 1.234566)
    names = [record.removeprefix("000003/age") for record in edited.edited((3,), ("age",), strengths).labels["record"]]
    assert names[1:] == ["-2.00", "+0.50", "+0.125", "+0.12", "+0.13", "+1.234567", "+1.234566"]


def test_a_changed_or_missing_picture_is_named(tmp_path) -> None:
    folder = tmp_path / "set"
    edited.build(folder, plan(), Counting(), progress=False)
    victim = folder / "images/000003/age+2.00.jpg"
    whole = victim.read_bytes()
    victim.write_bytes(whole[:-9] + b"\0" * 9)
    with pytest.raises(BadPicture, match=r"age\+2\.00\.jpg"):
        edited.load(folder)
    victim.unlink()
    with pytest.raises(BadPicture, match=r"age\+2\.00\.jpg"):
        edited.load(folder)


def test_a_folder_of_another_set_is_left_alone(tmp_path) -> None:
    folder = tmp_path / "set"
    edited.build(folder, plan(), Counting(), progress=False)
    with pytest.raises(FileExistsError, match="another set"):
        edited.build(folder, plan((3, 6)), Counting(), progress=False)
    other = tmp_path / "photographs"
    other.mkdir()
    (other / "mine.jpg").write_bytes(b"x")
    with pytest.raises(FileExistsError, match="empty folder"):
        edited.build(other, plan(), Counting(), progress=False)
    with pytest.raises(FileNotFoundError, match=r"labels\.parquet"):
        edited.load(other)


def test_the_cache_is_keyed_by_source_and_plan(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("AIFR_CACHE", str(tmp_path))
    source = Counting()
    edited.cached(plan(), source, progress=False)
    edited.cached(plan(), source, progress=False)
    assert len(source.drawn) == 10
    other = Counting()
    other.version = "2"
    edited.cached(plan(), other, progress=False)
    assert len(other.drawn) == 10
    about = [json.loads(path.read_text())["source"] for path in tmp_path.rglob("about.json")]
    assert sorted(about) == [["flat", "1"], ["flat", "2"]]


def test_people_across_ages_differ_in_pose_smile_and_light_too() -> None:
    made = edited.longitudinal(range(40), 8)
    labels = made.labels
    assert len(labels) == 320 and not made.shared
    assert list(labels["alpha_age"][:8]) == pytest.approx(np.linspace(-4, 4, 8))
    for name, sd, top in edited.BETWEEN:
        values = labels[f"alpha_{name}"]
        assert values.std() == pytest.approx(sd, rel=0.2) and values.abs().max() <= top
        assert abs(np.corrcoef(values, labels["alpha_age"])[0, 1]) < 0.2
    # Whom a set holds besides does not change a person's pictures.
    assert edited.longitudinal([7], 8).alphas == made.alphas[7 * 8 : 8 * 8]


def test_wrong_plans_are_refused() -> None:
    with pytest.raises(ConfigError, match="strength"):
        edited.edited((1,), ("age",), (-6,))
    with pytest.raises(ValueError, match="at least one"):
        edited.edited((), ("age",), (1,))
    with pytest.raises(ValueError, match="more than once"):
        edited.edited((1, 1), ("age",), (1,))
    with pytest.raises(ValueError, match="0 or more"):
        edited.edited((-1,), ("age",), (1,))


def test_relief_faces_can_be_built_too(tmp_path) -> None:
    images = edited.build(
        tmp_path / "relief", edited.edited((1,), ("smile",), (5,)), ReliefSource(size=64), progress=False
    )
    assert len(images) == 2 and (images.pixels[0] != images.pixels[1]).any()
    assert images.labels["age"].between(35, 45).all() and images.labels["age"].nunique() == 1


def test_training_people_are_seen_within_two_years_of_an_age_of_their_own():
    made = edited.narrow(200, 8)
    age = made.labels["alpha_age"].to_numpy().reshape(200, 8)
    assert np.ptp(age, axis=1).max() <= 2 * edited.NARROW_ALPHA
    assert age.mean(1).min() < -3 and age.mean(1).max() > 3 and abs(age.mean()) < 0.5
    assert made.labels["alpha_yaw"].groupby(made.labels["identity"]).std().min() > 0.3, "all else changes"
    assert made.labels["identity"].min() == edited.NARROW_FIRST and len(made.labels) == 1600
    assert edited.narrow(20, 8).alphas == made.alphas[: 20 * 8], "a person does not depend on how many there are"
    assert not made.shared
