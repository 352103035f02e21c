"""Sets in the manner of FG-NET, MegaFace, LogiFace, IJB, DISFA and Edema; lists of templates and of changes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from relief_reference import unrendered

from aifr_lib.data import relief
from aifr_lib.data.images import ChangePairs, Templates
from aifr_lib.data.relief.cache import coarsened
from aifr_lib.data.relief.plan import dealt
from aifr_lib.faces.relief.parameters import ACTION_UNITS, COLUMNS
from aifr_lib.names import ConfigError


def table(name: str, **counts: int) -> pd.DataFrame:
    return relief.set_plan(name, **counts).table()


@pytest.mark.parametrize(
    ("name", "counts"),
    [
        ("relief-fgnet", {"people": 2, "pictures": 5}),
        ("relief-megaface", {"count": 5}),
        ("relief-logiface", {"subjects": 2, "pictures": 5}),
        ("relief-ijb", {"identities": 1, "per_identity": 2, "media": 2, "frames": 2}),
        ("relief-disfa", {"subjects": 1, "frames": 5}),
        ("relief-edema", {"subjects": 1, "days": 2, "frames": 1}),
    ],
)
def test_every_set_renders_under_its_own_name_with_all_labels(
    name: str, counts: dict[str, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIFR_CACHE", str(tmp_path))
    images = relief.load_set(name, size=16, progress=False, **counts)
    assert images.name == name and images.version == relief.VERSION
    assert {"record", "identity", *COLUMNS} <= set(images.labels) and images.pixels.std() > 10
    again = relief.load_set(name, size=16, progress=False, **counts)
    assert np.array_equal(images.pixels, again.pixels) and images.labels.equals(again.labels)
    digests = {relief.set_digest(name, size=size, frame=frame, **counts) for size in (16, 17)
               for frame in ("aligned", "portrait")}  # fmt: skip
    assert len(digests) == 4 and relief.set_digest(name, size=16, **counts) in digests


def test_probes_and_sequences_have_the_papers_numbers() -> None:
    probes, sequences = table("relief-fgnet"), table("relief-logiface")
    assert (len(probes), probes["identity"].nunique()) == (1002, 82)
    assert probes["age"].min() == 0 and 55 <= probes["age"].max() <= 69 and 13 < probes["age"].mean() < 19
    assert np.array_equal(probes["age"], probes["age"].round())
    assert probes["identity"].value_counts().min() >= 2
    assert (len(sequences), sequences["identity"].nunique()) == (12_656, 369)
    ages = sequences.groupby("identity")["age"]
    assert ages.is_monotonic_increasing.all() and 1 <= ages.min().min() < 3 and 95 < ages.max().max() <= 99
    profile = sequences["yaw"].abs() >= 40
    assert abs(profile.mean() - 0.2) < 0.02 and set(np.sign(sequences["yaw"][profile])) == {-1, 1}


def test_counts_are_dealt_out_to_the_last_picture() -> None:
    numbers = torch.arange(7)
    for pictures in (14, 15, 99, 1000):
        counts = dealt(numbers, pictures, 2, 30, "pictures")
        assert counts.sum() == pictures and counts.min() >= 2
    with pytest.raises(ValueError, match=r"pictures 13: must lie in 14 … "):
        dealt(numbers, 13, 2, 30, "pictures")


def test_distractors_are_one_picture_each_and_nobody_elses() -> None:
    others = table("relief-megaface", count=3000)
    assert others["identity"].is_unique and np.histogram(others["age"], bins=4, range=(4, 80))[0].min() > 600
    assert not set(others["identity"]) & set(table("relief-fgnet")["identity"])
    fewer = table("relief-megaface", count=10)
    assert fewer.equals(others[:10])


# Templates


def test_media_share_what_a_video_shares_and_quality_is_mixed() -> None:
    labels = table("relief-ijb", identities=60)
    media = labels.groupby("media")
    shared = ["identity", "template", "age", "light_key", "cloth_red", "background_red", "coarse", "blur", "quality"]
    assert (media[shared].nunique() == 1).all(axis=None)
    assert media.size().max() == 4 and (media.size() == 1).mean() > 0.5
    several = media.filter(lambda frames: len(frames) > 1).groupby("media")
    assert (several["yaw"].nunique() > 1).all()
    assert labels.groupby("template")["media"].nunique().isin([1, 2, 3]).all()
    assert labels.groupby("identity")["template"].nunique().eq(4).all()
    assert set(labels["coarse"]) == {1, 2, 3, 4}
    sharp = (labels["blur"] == 0) & (labels["coarse"] == 1)
    assert 0.2 < sharp.mean() < 0.5 and labels["yaw"].abs().max() > 40


def test_templates_pair_all_that_is_genuine_with_impostors_of_one_gender() -> None:
    images = unrendered(relief.set_plan("relief-ijb", identities=60))
    found = relief.templates(images, impostors=10, seed=1)
    assert isinstance(found, Templates) and found.name == "relief-ijb"
    assert found.same.sum() == 60 * 6 and len(found) == 11 * 60 * 6
    assert np.array_equal(found.row, np.arange(len(images)))
    of = dict(zip(found.template.tolist(), images.labels["identity"].tolist(), strict=True))
    gender = dict(zip(found.template.tolist(), images.labels["gender"].tolist(), strict=True))
    assert all((of[a] == of[b]) == same for a, b, same in zip(found.a, found.b, found.same, strict=True))
    assert all(gender[a] == gender[b] for a, b in zip(found.a, found.b, strict=True))
    assert len({frozenset(pair) for pair in zip(found.a.tolist(), found.b.tolist(), strict=True)}) == len(found)
    again, other = relief.templates(images, impostors=10, seed=1), relief.templates(images, impostors=10, seed=2)
    assert np.array_equal(found.b, again.b) and not np.array_equal(found.b, other.b)
    with pytest.raises(ValueError, match=r"360 genuine pairs and 360000 impostor pairs wanted, \d+ impostor"):
        relief.templates(images, impostors=1000)
    with pytest.raises(ValueError, match=r"relief-test: labels lack media, template"):
        relief.templates(unrendered(relief.split_plan("test", 3, 2)))


def test_templates_that_make_no_sense_are_refused() -> None:
    one, two = np.array([0]), np.array([0, 1])
    with pytest.raises(ValueError, match=r"row, template and media differ in length"):
        Templates("t", one, two, two, one, one, np.array([True]))
    with pytest.raises(ValueError, match=r"template 7 stands in a pair but has no pictures"):
        Templates("t", two, two, two, one, np.array([7]), np.array([True]))
    with pytest.raises(ValueError, match=r"template 0 is paired with itself"):
        Templates("t", two, two, two, one, one, np.array([True]))


def test_a_coarse_picture_has_the_means_of_its_blocks() -> None:
    pixels = torch.randint(0, 256, (3, 16, 16, 3), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    found = coarsened(pixels, torch.tensor([1, 16, 4]))
    assert torch.equal(found[0], pixels[0])
    assert torch.equal(found[1, 3, 7], pixels[1].float().mean((0, 1)).round().to(torch.uint8))
    alone = coarsened(pixels[2:], torch.tensor([4]))
    assert torch.equal(found[2:], alone) and alone.float().std() < pixels[2].float().std() / 2


# Changes


def test_expressions_are_smooth_mostly_calm_and_rendered_as_labelled() -> None:
    plan = relief.set_plan("relief-disfa")
    labels, faces = plan.table(), plan.faces()
    assert labels["identity"].nunique() == 27
    units = labels[list(ACTION_UNITS)]
    assert units.dtypes.eq("int64").all() and units.min().min() == 0 and units.max().max() == 5
    assert np.allclose(faces.action_units.numpy(), units.to_numpy() / 5)
    assert (units == 0).mean().min() > 0.7 and (units > 0).mean().min() > 0.01
    steps = units.diff().abs()[labels["frame"] > 0]
    assert steps.max().max() <= 2 and (steps == 0).mean().mean() > 0.9
    # Smiles raise the cheeks; brows go up together.
    assert np.corrcoef(units["au6"], units["au12"])[0, 1] > 0.5
    assert np.corrcoef(units["au1"], units["au2"])[0, 1] > 0.5
    for column in ("age", "weight", "light_key", "cloth_red", "exposure"):
        assert (labels.groupby("identity")[column].nunique() == 1).all(), column


def test_weight_changes_by_one_to_four_kilograms_of_water_and_the_face_with_it() -> None:
    images = unrendered(relief.set_plan("relief-edema"))
    labels = images.labels
    assert labels["identity"].nunique() == 39 and labels.groupby("identity").size().eq(32).all()
    found = relief.pre_post(images)
    assert isinstance(found, ChangePairs) and found.unit == "kg" and len(found) == 39 * 4 * 4 * 4
    assert found.d.min() >= -4 and found.d.max() <= -1 and np.ptp(found.d) > 2.5
    first, second = labels.iloc[found.a], labels.iloc[found.b]
    assert set(first["phase"]) == {"pre"} and set(second["phase"]) == {"post"}
    for column in ("identity", "day"):
        assert np.array_equal(first[column], second[column])
    swelling = second["weight"].to_numpy() - first["weight"].to_numpy()
    assert np.allclose(swelling, 0.25 * found.d, atol=1e-5)
    assert labels["yaw"].std() < 6 and labels[list(ACTION_UNITS)].max().max() <= 0.3
    sittings = labels.groupby(["identity", "day", "phase"])
    assert (sittings[["kilograms", "light_key", "cloth_red"]].nunique() == 1).all(axis=None)


def test_changes_are_all_pairs_of_a_subject_or_a_seeded_sample() -> None:
    images = unrendered(relief.set_plan("relief-fgnet", people=5, pictures=40))
    labels = images.labels
    found = relief.changes(images, "age")
    wanted = {frozenset((i, j)) for i in range(40) for j in range(i)
              if labels["identity"][i] == labels["identity"][j]}  # fmt: skip
    assert {frozenset(pair) for pair in zip(found.a.tolist(), found.b.tolist(), strict=True)} == wanted
    assert len(found) == len(wanted) and found.unit == "years"
    assert np.array_equal(found.d, labels["age"].to_numpy()[found.b] - labels["age"].to_numpy()[found.a])
    assert 0.3 < (found.d > 0).mean() < 0.7
    some = relief.changes(images, "age", per_subject=4, seed=3)
    assert len(some) == 20 and len({frozenset(pair) for pair in zip(some.a, some.b, strict=True)}) == 20
    assert {frozenset(pair) for pair in zip(some.a.tolist(), some.b.tolist(), strict=True)} <= wanted
    assert labels["identity"][some.a].value_counts().eq(4).all()
    assert np.array_equal(some.a, relief.changes(images, "age", per_subject=4, seed=3).a)


def test_changes_of_what_is_not_there_say_so() -> None:
    images = unrendered(relief.set_plan("relief-fgnet", people=5, pictures=40))
    with pytest.raises(ConfigError, match=r"unknown label that changes 'kilogram'; did you mean 'kilograms'"):
        relief.changes(images, "kilogram")
    with pytest.raises(ValueError, match=r"relief-fgnet: labels lack kilograms"):
        relief.changes(images, "kilograms")
    with pytest.raises(ValueError, match=r"900 pairs a subject wanted, subject \d+ has \d+"):
        relief.changes(images, "age", per_subject=900)
    with pytest.raises(ValueError, match=r"relief-fgnet: labels lack day, kilograms, phase; relief-edema has them"):
        relief.pre_post(images)
    with pytest.raises(ValueError, match=r"c: the change of pair 1 is not finite"):
        ChangePairs("c", np.arange(2), np.arange(2), np.array([0.0, np.nan]), "kg")


def test_unknown_sets_and_counts_out_of_range() -> None:
    with pytest.raises(ConfigError, match=r"unknown relief set 'relief-fgnte'; did you mean 'relief-fgnet'"):
        relief.load_set("relief-fgnte", size=16)
    with pytest.raises(ConfigError, match=r"unknown count of relief-fgnet 'poeple'; did you mean 'people'"):
        relief.load_set("relief-fgnet", size=16, poeple=3)
    for name, counts, said in (
        ("relief-megaface", {"count": 0}, r"count 0: must lie in 1 … 10000000"),
        ("relief-fgnet", {"people": 82, "pictures": 100}, r"pictures 100: must lie in 164 … "),
        ("relief-disfa", {"frames": 0}, r"frames 0: must lie in 1 … 10000"),
        ("relief-edema", {"days": 101}, r"days 101: must lie in 1 … 100"),
        ("relief-ijb", {"media": 21}, r"media 21: must lie in 1 … 20"),
    ):
        with pytest.raises(ValueError, match=said):
            relief.set_plan(name, **counts)
