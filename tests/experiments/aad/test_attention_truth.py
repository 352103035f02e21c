"""Attention against the truth: scores by hand, what stands in the table, and the galleries, at the smallest size."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from aifr_lib.experiments.aad import ages, attention, truth, truth_table
from aifr_lib.models.age_estimator import AgeEstimator, expected_age
from aifr_lib.models.grad_cam import grad_cam
from aifr_lib.reporting.runs import Run
from aifr_lib.settings.presets import load_preset

FACES = {"size": 32, "train_identities": 8, "train_per_identity": 4, "test_identities": 60, "test_per_identity": 3,
         "pairs": 20, "pair_lists": ["relief-lfw"]}  # fmt: skip
TINY = {"relief": FACES, "input_hw": [32, 32], "width": 0.125, "embedding": 8, "batch": 16, "epochs": 1, "drops": [],
        "lr": 0.01, "s": 8.0, "m": 0.1}  # fmt: skip


@pytest.fixture(scope="module")
def preset():
    return load_preset(
        "smoke",
        {
            "aad.train": TINY,
            "aad.teacher": {**TINY, "backbone": "iresnet18"},
            "aad.age_teacher": {"train": TINY},
            "aad.looked_at": {"train": TINY},
            "aad.protocols": {"people": 4, "longitudinal": 4, "distractors": 10, "templates": 4, "impostors": 1,
                              "photographs": []},
            "aad.attention": {"shown": 2, "people": 4, "pictures": 2, "followed": 2},
        },
    )  # fmt: skip


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AIFR_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield tmp_path_factory.mktemp("figures")


def faces(seed=0, count=3, side=6):
    rng = np.random.default_rng(seed)
    inside = np.zeros((count, side, side), bool)
    inside[:, 1:5, 1:5] = True
    return rng.normal(size=(count, side, side)), inside


def test_the_truth_itself_has_every_score_and_noise_has_none():
    drawn, inside = faces()
    perfect = truth.scores(2 * drawn + 3, drawn, inside)
    assert perfect["rank_corr"] == pytest.approx([1] * 3) and perfect["pointing"].all()
    assert perfect["beyond_mean"] == pytest.approx([1] * 3)
    turned = truth.scores(-drawn, drawn, inside)
    assert turned["rank_corr"] == pytest.approx([-1] * 3) and not turned["pointing"].any()
    flat = truth.scores(np.ones_like(drawn), drawn, inside)
    assert (flat["rank_corr"] == 0).all() and (flat["beyond_mean"] == 0).all()


def test_what_all_faces_share_earns_nothing_beyond_the_mean():
    own, inside = faces(1, 40)
    shared, _ = faces(2, 1)
    drawn = 3 * shared + own
    found = truth.scores(np.broadcast_to(shared, own.shape) + 0.01 * faces(3, 40)[0], drawn, inside)
    assert found["rank_corr"].mean() > 0.8 and abs(found["beyond_mean"].mean()) < 0.2
    assert truth.scores(own, drawn, inside)["beyond_mean"].mean() > 0.9


def test_cells_outside_the_face_count_for_nothing():
    drawn, inside = faces()
    spoilt = np.where(inside, drawn, 1e6 * faces(9)[0])
    assert truth.scores(spoilt, drawn, inside)["rank_corr"] == pytest.approx([1] * 3)


def test_a_fifth_of_the_cells_is_pointed_at():
    theirs = np.arange(100.0)
    assert truth.pointed(np.eye(100)[85], theirs) and not truth.pointed(np.eye(100)[75], theirs)


def test_the_mean_over_the_face_leaves_out_what_lies_around_it():
    values, face = torch.tensor([[[1.0, 9.0], [3.0, 9.0]]]), torch.tensor([[[1.0, 0.0], [1.0, 0.0]]])
    assert truth.within(values, face, 1).item() == 2
    assert np.isnan(truth.within(values, 0 * face, 1)).all()


def test_masks_on_one_grid_and_the_share_of_regions_by_hand():
    cover = {"face": np.array([[[1.0, 1.0], [1.0, 0.0]]] * 2), "eyes": np.array([[[1.0, 0.0], [0.0, 0.0]]] * 2)}
    sitters = truth.Sitters(np.zeros((2, 16, 16, 3), np.uint8), {}, cover, pictures=2)
    masks = {"A_1": np.array([[[0.6, 0.6], [0.6, 0.2]]] * 2)}
    masks |= {f"1 − Â_{stage}": np.array([[[0.5, 0.9], [0.7, 1.0]]] * 2) for stage in (3, 4)}
    found = truth.regional(masks, sitters, "turned")
    assert found["A_1|face|turned"] == pytest.approx([0.6]) and found["A_1|around it|turned"] == pytest.approx([0.2])
    assert found["Â_4|eyes|turned"] == pytest.approx([0.5])
    assert found["Â_4|rest of the face|turned"] == pytest.approx([0.2])


def test_grad_cam_of_an_age_estimator_is_that_of_the_map_by_hand():
    torch.manual_seed(0)
    network = AgeEstimator((32, 32), width=0.125).eval()
    x = torch.randn(2, 3, 32, 32)
    assert torch.allclose(network.tail(3, network.stage_maps(x)[2]), network(x), atol=1e-5)
    features = network.stage_maps(x)[3].detach().requires_grad_()
    expected_age(network.fc(features.mean((2, 3)))).sum().backward()
    by_hand = (features.grad.mean((2, 3), keepdim=True) * features).sum(1).relu()
    assert torch.allclose(grad_cam(network, 4, x, expected_age), by_hand, atol=1e-6)
    with pytest.raises(ValueError, match="stage 5"):
        network.tail(5, x)


def test_every_map_stands_beside_the_truth_and_the_ceiling(preset, out):
    artefact = truth_table.TRUTH(preset, device="cpu", out=out)
    ranked = {row.keys["map"]: row.measured for row in artefact.rows
              if row.metric == "rank_corr" and row.keys["truth"] == truth.CHANGE}  # fmt: skip
    assert ranked.keys() == set(truth_table.MAPS) and all(-1 <= one.mean <= 1 for one in ranked.values())
    assert ranked[truth.CEILING].mean > 0, "two halves of the pictures of one person show the same change"
    assert all(row.measured.interval == "identities" for row in artefact.rows)
    masks = [row for row in artefact.rows if row.metric == "mask"]
    assert {row.keys["heads"] for row in masks} == {"as they come", "turned"} and len(masks) == 12
    assert "Inside the face the last mask" in truth_table.found(artefact)
    assert (out / "aad_truth" / "aad_truth.svg").stat().st_size > 1000


def test_without_a_run_every_row_says_so(preset, tmp_path):
    artefact = truth_table.TRUTH(preset, compute=False, out=tmp_path)
    assert artefact.rows and not any(row.measured for row in artefact.rows)


def test_galleries_are_drawn_and_say_what_they_show(preset, out):
    for experiment in (attention.FIG1, attention.FIG3, attention.FIG6, ages.PATH):
        artefact = experiment(preset, device="cpu", out=out)
        assert artefact.rows and all(row.measured for row in artefact.rows)
        assert (out / experiment.id / f"{experiment.id}.svg").stat().st_size > 1000
    (run,) = attention.FIG1.stored(preset, out=out).values()
    frames, labels = attention.age_frames(run)
    assert len(frames) == len(labels) == len(attention.AGES) and "years" in labels[0]
    (run,) = attention.FIG6.stored(preset, out=out).values()
    assert (np.diff(run.scores["ages"].astype(float), axis=1) >= 0).all(), "in order of age"
    (run,) = ages.PATH.stored(preset, out=out).values()
    assert run.scores["same"][:, ages.AGES.index(ages.FROM)].astype(float) == pytest.approx(1, abs=1e-3)


def test_a_mask_is_averaged_over_people_with_an_interval():
    run = Run("k", type("Spec", (), {"seed": 3})(), {"x": np.array([True, False, True, True])}, {}, "cpu", {}, None, 0)
    found = truth_table.over_people(run, "x", 100.0)
    assert found.mean == 75 and found.per_seed == {3: 75.0} and found.ci95[0] < 75 < found.ci95[1]
