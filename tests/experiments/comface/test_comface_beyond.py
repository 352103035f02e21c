"""The companion's own questions as functions of runs: curves, rivals, geometry of a difference, regions, strata."""

from types import SimpleNamespace

import matplotlib.pyplot as plt
import numpy as np
import pytest
from experiments.comface.test_comface_tables import made_up, pairs

from aifr_lib.data.photograph_pairs import GAP_NAMES, genuine_pairs
from aifr_lib.experiments.comface import age
from aifr_lib.experiments.comface.beyond import rivals, scaling, strata, where
from aifr_lib.experiments.comface.measured import FINE, RIDGE, Said
from aifr_lib.experiments.comface.occlusion import REGIONS
from aifr_lib.experiments.jobs import in_order
from aifr_lib.reporting.rows import Measured, Row
from aifr_lib.settings.presets import load_preset

RANDOM = np.random.default_rng(0)


@pytest.fixture(scope="module")
def classroom():
    return load_preset("classroom")


def predictions(counts, rule):
    """d̂ of all pairs of subjects with so many pictures, two folds, both orders, by ``rule(x, y)`` of made features."""
    parts = []
    for fold in range(2):
        there, back, subject = [], [], []
        for number, count in enumerate(counts):
            h = RANDOM.normal(size=(count, 3))
            a, b = genuine_pairs(np.zeros(count, dtype=int))
            there.append(rule(h[a], h[b]))
            back.append(rule(h[b], h[a]))
            subject.append(np.full(len(a), 10 * fold + number))
        said, whose = np.concatenate([*there, *back]), np.tile(np.concatenate(subject), 2)
        parts.append((said, said, whose, np.full(len(said), fold)))
    return Said(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def test_a_difference_is_antisymmetric_and_additive_and_both_features_are_not():
    u, v, shift = RANDOM.normal(size=3), RANDOM.normal(size=3), 0.5
    difference = predictions((4, 3, 6), lambda x, y: (y - x) @ u)
    assert rivals.asymmetry(difference)[0] == pytest.approx(0, abs=1e-12)
    assert rivals.disagreement(difference)[0] == pytest.approx(0, abs=1e-12)
    both = predictions((4, 3, 6, 2), lambda x, y: x @ u + y @ v + shift)
    ratio, measured = rivals.asymmetry(both)
    there, back, _ = rivals._orders(both)
    assert ratio == pytest.approx(np.abs(there + back).mean() / np.abs(both.predicted).mean())
    assert measured.ci95[0] < ratio < measured.ci95[1]
    assert rivals.disagreement(both)[0] > 0.1


def test_three_pictures_have_one_sum():
    said = np.array([1.0, 5.0, 2.5])  # (0, 1), (0, 2), (1, 2)
    one = Said(np.r_[said, -said], np.zeros(6), np.zeros(6), np.zeros(6))
    assert rivals.disagreement(one)[0] == pytest.approx(1.5 / np.abs(said).mean())


def test_curves_share_runs_with_the_tables(classroom):
    places = {(axis, place) for axis, place, _ in scaling.scaled_starts(classroom.comface)}
    assert {place for axis, place in places if axis == scaling.PEOPLE} == {25, 75, 150, 300}
    assert {place for axis, place in places if axis == scaling.PICTURES} == {22500, 45000, 90000}
    assert {place for axis, place in places if axis == scaling.SOURCE} == set(scaling.SOURCES)
    jobs = scaling.scaling_jobs(classroom)
    table = age.age_jobs(classroom)
    whole = jobs[scaling.PEOPLE, 300, FINE, "comface", 0]
    assert whole.spec == table[FINE, "comface", 0].spec
    assert jobs[scaling.SUBJECTS, 1.0, RIDGE, "pixels", 0].spec == table[RIDGE, "pixels", 0].spec
    asked = {job.spec.key for job in in_order(jobs.values())}
    assert len(asked - {job.spec.key for job in in_order(table.values())}) < 20


def test_fewer_labels_stand_before_all(classroom):
    one = pairs(4)
    scores = {name: one[name] for name in ("true", "subject", "fold")}
    scores |= {f"predicted_{share:g}": one["predicted"] * share for share in scaling.SHARES}
    rows = list(scaling.scaling_rows(classroom, {(scaling.SUBJECTS, "fewer", RIDGE, "pixels", 0): made_up(scores)}))
    found = {r.keys["place"]: r.measured.mean for r in rows if r.metric == "mae" and r.measured}
    assert list(found) == list(scaling.SHARES) and found[0.125] > found[0.5]


def test_rivals_are_read_in_their_own_way(classroom):
    jobs = rivals.rival_jobs(classroom)
    single = jobs[FINE, rivals.ONE_BY_ONE, 0]
    compared = jobs[FINE, "scratch", 0]
    assert single.spec.values["transfer"].pop("ages") is True
    assert single.spec.values["transfer"] == compared.spec.values["transfer"]
    assert (RIDGE, "ages", 0) in jobs


def test_one_attribute_less_and_both_features(classroom):
    left = {key[0] for key in rivals.attribute_jobs(classroom)}
    assert left == {"none", "age", "smile", "weight"}
    jobs = rivals.fusion_jobs(classroom)
    assert jobs[FINE, rivals.SIDE_BY_SIDE, 0].needs["pretraining"].spec.values["fuse"] == "concat"


def test_what_a_view_costs_is_measured_over_the_same_pairs():
    one = pairs(4)
    scores = {f"{name}_age": one[name] for name in ("true", "subject", "fold")}
    scores |= {"predicted_age_whole": one["true"] + 1, "predicted_age_inner": one["true"] + 3}
    rows = list(rivals.shortcut_rows(load_preset("smoke"), {(RIDGE, "pixels", 0): made_up(scores)}))
    found = {r.keys["view"]: r.measured for r in rows if r.keys["method"] == "pixels" and r.metric == "mae"}
    assert found[rivals.LOST].mean == pytest.approx(2)


def test_groups_of_pairs():
    scores = {
        "age_a": np.array([3.0, 10, 5, 20, 40]),
        "age_b": np.array([5.0, 17, 30, 29, 75]),
        "turn": np.array([0.0, 10, 5, -1, 20]),
    }
    found = {(by, name): list(np.flatnonzero(mask)) for by, name, mask in strata.groups_of(scores)}
    assert [found[strata.GAP, name] for name in GAP_NAMES] == [[0], [1, 3], [], [2], [4]]
    assert [found[strata.STAGE, name] for name in strata.STAGES] == [[0, 1], [2], [3, 4]]
    assert [found[strata.POSE, name] for name in strata.POSES] == [[0, 2], [1, 4]], "a pose not seen is in neither"


def test_the_error_of_each_group_is_of_its_pairs():
    one = pairs(4)
    scores = {"age_a": np.full(320, 5.0), "age_b": 5 + np.abs(one["true"]), "turn": np.zeros(320)}
    found = {(strata.PAIRS, strata.PAIRS, 0): made_up(scores), (FINE, "comface", 0): made_up(one)}
    rows = {(r.keys["group"], r.keys["method"], r.metric): r for r in strata.strata_rows(load_preset("smoke"), found)}
    near = np.abs(one["true"]) < 5
    expected = np.abs(one["predicted"] - one["true"])[near].mean()
    assert rows[GAP_NAMES[0], "comface", "mae"].measured.mean == pytest.approx(expected)
    assert rows[GAP_NAMES[0], "", strata.SHARE].measured.mean == pytest.approx(100 * near.mean())


def test_the_picture_of_groups_has_a_panel_for_each_that_was_measured():
    rows = [
        Row(keys={"by": by, "group": group, "method": "comface", "how": FINE}, metric="mae", measured=value)
        for by, value in ((strata.GAP, Measured(mean=4.0)), (strata.STAGE, Measured(mean=5.0)), (strata.POSE, None))
        for group in strata.PANELS[by]
    ]
    figure = strata.strata_figure(SimpleNamespace(rows=rows), {})
    assert [axis.get_xlabel() for axis in figure.axes] == [strata.GAP, strata.STAGE]
    assert all(axis.lines for axis in figure.axes)
    plt.close(figure)


def test_the_truth_of_drawn_people_is_a_share_of_each_region():
    x, y, truth = where.drawn_pairs(2, 32)
    assert x.shape == y.shape == (6, 32, 32, 3) and truth.shape == (6, len(REGIONS))
    np.testing.assert_allclose(truth.sum(1), 1, rtol=1e-5)
    assert (x != y).any() and truth.min() >= 0


def test_agreement_is_a_rank_correlation_and_shares_sum_to_one():
    truth = np.tile(np.linspace(0.1, 0.7, len(REGIONS)), (3, 1))
    effect = np.stack([truth[0] ** 3, -truth[0], np.zeros(len(REGIONS))])
    np.testing.assert_allclose(where.agreement(effect, truth), [1, 1, 0])
    np.testing.assert_allclose(where.agreement(effect[:, ::-1], truth), [-1, -1, 0])
    np.testing.assert_allclose(where.shares(effect).sum(1), 1)


def test_the_interval_is_held_against_people_left_out():
    one = pairs(4, 1600)
    one["subject"] = np.tile(np.arange(1600) % 160, 2)
    found = {r.metric: r.measured for r in strata.interval_rows("comface", [Said(*(one[name] for name in
             ("predicted", "true", "subject", "fold")))])}  # fmt: skip
    assert 85 < found[strata.INSIDE].mean < 99 and 5 < found[strata.WIDTH].mean < 11
    few = strata.interval_rows("comface", [Said(*(values[one["subject"] < 16] for values in
          (one["predicted"], one["true"], one["subject"], one["fold"])))])  # fmt: skip
    assert [row.measured for row in few] == [None, None]
    assert [row.measured for row in strata.interval_rows("comface", [])] == [None, None]
