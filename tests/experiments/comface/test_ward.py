"""Models of one patient: who learns and who is tested, the layer by hand, what days a model may see."""

import numpy as np
import pandas as pd
import pytest
from experiments.comface.test_comface_tables import made_up, pairs

from aifr_lib.data.change_tasks import Task, both_orders
from aifr_lib.data.images import ChangePairs, Images
from aifr_lib.data.photograph_pairs import genuine_pairs
from aifr_lib.experiments.comface import ward
from aifr_lib.experiments.comface.measured import FINE, said
from aifr_lib.names import ConfigError
from aifr_lib.settings.comface import Ward
from aifr_lib.settings.presets import load_preset

RANDOM = np.random.default_rng(0)


@pytest.fixture(scope="module")
def task():
    """Six patients, four days, two pictures before and two after."""
    rows = [(who, day, phase) for who in range(6) for day in range(4) for phase in ("pre", "pre", "post", "post")]
    labels = pd.DataFrame(rows, columns=["identity", "day", "phase"])
    labels.insert(0, "record", [f"r{n}" for n in range(len(rows))])
    labels["age"] = np.nan
    labels["kilograms"] = RANDOM.normal(60, 5, len(rows))
    images = Images("ward", "v", np.zeros((len(rows), 4, 4, 3), np.uint8), labels)
    kilograms = labels["kilograms"].to_numpy()

    def listed(group):
        a, b = genuine_pairs(group)
        return ChangePairs("ward", a, b, kilograms[b] - kilograms[a], "kg")

    within_day = labels["identity"].to_numpy() * 10 + labels["day"].to_numpy()
    return Task("edema-a", images, "kilograms", listed(labels["identity"].to_numpy()), listed(within_day), True)


def test_tested_patients_taught_nothing(task):
    fold = ward.ward_fold(Ward(pretrained_on=4), task, 0.25)
    held = [set(task.subjects[rows]) for rows in fold]
    assert held == [{0, 1, 2}, {3}, {4, 5}]


def test_what_cannot_be_left_out_is_said(task):
    with pytest.raises(ConfigError, match="6 patients, of whom 6 pre-train, leave nobody"):
        ward.ward_fold(Ward(pretrained_on=6), task, 0.2)
    with pytest.raises(ConfigError, match="4 days, one left out, are fewer than the 4"):
        ward.ward_fold(Ward(pretrained_on=4, days=(1, 4)), task, 0.2)


def test_the_layer_is_ridge_towards_the_layer_before():
    v, d, layer = RANDOM.normal(size=(5, 8)), RANDOM.normal(size=5), RANDOM.normal(size=8)
    scale = 0.3 * (v**2).mean() * len(v)
    expected = np.linalg.solve(v.T @ v + scale * np.eye(8), v.T @ d + scale * layer)
    np.testing.assert_allclose(ward.towards(layer, v, d, 0.3), expected)
    np.testing.assert_allclose(ward.towards(layer, v, d, 1e9), layer, atol=1e-6)


def test_a_day_is_told_from_other_days_alone(task):
    """Features that differ wildly on the day left out do not reach the layer that is asked about it."""
    features, layer = RANDOM.normal(size=(len(task.images), 6)), np.zeros(6)
    tested = both_orders(task.tested)
    found = ward.own_days(task, features, layer, tested, 2, 0.1)
    assert np.abs(found).min() > 0
    day = task.images.labels["day"].to_numpy()
    for left in range(4):
        kilograms = task.values + 100 * (day == left) * RANDOM.normal(size=len(day))
        learnt = ChangePairs(
            "ward", task.learnt.a, task.learnt.b, kilograms[task.learnt.b] - kilograms[task.learnt.a], ""
        )
        other = Task(task.name, task.images, task.label, learnt, task.tested, True)
        asked = day[tested.a] == left
        changed = ward.own_days(other, features, layer, tested, 2, 0.1)
        np.testing.assert_allclose(changed[asked], found[asked])
        assert np.abs(changed - found)[~asked].max() > 0.1


def test_own_days_teach_what_others_could_not(task):
    """Each patient's kilograms lie along a feature of the patient's own."""
    features = np.zeros((len(task.images), 6))
    features[np.arange(len(task.images)), task.subjects] = task.values
    tested = both_orders(task.tested)
    errors = [
        np.abs(ward.own_days(task, features, np.zeros(6), tested, days, 1e-3) - tested.d).mean() for days in (1, 3)
    ]
    assert max(errors) < 0.1 * np.abs(tested.d).mean()


def test_unseen_patients_are_the_same_ones():
    one = said(made_up(pairs(3)))
    kept = ward.of_tested(Ward(pretrained_on=5), one)
    assert set(kept.subject) == {5, 6, 7} and set(kept.fold) == {0}


def test_rows_by_days():
    smoke = load_preset("smoke")
    one = pairs(3)
    scores = {
        "true": one["true"],
        "subject": one["subject"],
        "predicted_0": one["predicted"],
        "predicted_1": one["true"],
    }
    found = {(ward.OWN, "comface", 0): made_up(scores), (FINE, "comface", 0): made_up(one)}
    rows = {(r.keys["method"], r.keys["days"], r.metric): r for r in ward.ward_rows(smoke, found)}
    assert rows["comface", 1, "mae"].measured.mean == pytest.approx(0)
    assert rows["comface", 0, "mae"].measured.mean > 1
    assert rows["comface", "none, four folds", "mae"].measured is not None
