"""What a switch costs, on scores made up; and how a face is cut in four ways."""

from types import SimpleNamespace

import numpy as np
import pytest

from aifr_lib.experiments.companion import switches
from aifr_lib.reporting.rows import Measured, Row, measured


def scores(seed=0, shift=0.0, people=40, pairs=400):
    random = np.random.default_rng(seed)
    same = np.arange(pairs) % 2 == 0
    a = random.integers(0, people, pairs)
    b = np.where(same, a, (a + random.integers(1, people, pairs)) % people)
    usual = np.clip(np.where(same, 0.6, 0.1) + 0.15 * random.standard_normal(pairs) + shift, -1, 1)
    strangers = np.clip(0.1 + 0.15 * random.standard_normal(2000) + shift, -1, 1)
    found = {
        "pair_same": same,
        "pair_fold": a % 10,
        "pair_a": a,
        "pair_b": b,
        "pair_gap": np.full(pairs, -1.0),
        "impostor_a": random.integers(0, people, 2000),
        "impostor_b": random.integers(0, people, 2000),
    }
    for way in switches.PICTURES:
        spoilt = 0.5 * random.standard_normal(pairs) if way == "middle" else 0
        found |= {f"{way}_score": np.clip(usual + spoilt, -1, 1), f"{way}_impostor": strangers}
    return found


def test_a_switch_that_changes_nothing_costs_nothing_and_one_that_spoils_costs_much():
    rows = list(switches._rows(scores(), scores(1, shift=0.3), {"data": "orl", "embedder": "pixels"}))
    of = lambda switch, metric=switches.COST: measured(rows, metric, {"switch": switch})  # noqa: E731
    assert of("bgr").mean == of("squared").mean == 0 and of("bgr").ci95 == (0, 0)
    assert of("middle").ci95[1] < -10 and of("middle", switches.ACCEPTED_COST).ci95[1] < 0
    assert of("tested").mean >= 0 > of("brought").mean
    # A threshold of scores that lie .3 higher lets nobody in.
    assert of("brought", switches.LET_IN).mean < 0.1
    assert of("middle", "accuracy").mean == pytest.approx(of("usual", "accuracy").mean + of("middle").mean)


def test_strangers_of_any_age_cost_what_both_lists_say_with_an_interval_over_people():
    known = {**scores(), "pair_gap": np.zeros(400)}
    rows = list(switches._rows(known, None, {"data": "fgnet", "embedder": "pixels"}))
    of = lambda switch, metric: measured(rows, metric, {"switch": switch})  # noqa: E731
    usual, others = of("usual", "accuracy"), of("any", "accuracy")
    cost = of("any", switches.COST)
    assert cost.mean == pytest.approx(others.mean - usual.mean)
    assert others.ci95[0] < others.mean < others.ci95[1] and cost.interval == "identities"
    # The pairs of one person are the same in both lists, so the change is surer than a difference of two samples.
    assert cost.ci95[0] < cost.mean < cost.ci95[1]
    apart = sum(high - low for low, high in (usual.ci95, others.ci95))
    assert cost.ci95[1] - cost.ci95[0] < apart


def test_the_change_between_two_lists_is_that_of_their_means_over_the_same_people():
    random = np.random.default_rng(0)
    judged = [(random.random(60) < rate, random.integers(0, 12, 60), random.integers(0, 12, 60)) for rate in (0.9, 0.4)]
    found = switches._cost_of_other_pairs(*judged)
    both = []
    draws = np.random.default_rng(0).integers(0, 12, (3000, 12))
    for times in (np.bincount(drawn, minlength=12) for drawn in draws):
        means = []
        for right, a, b in judged:
            weights = np.where(a == b, times[a], times[a] * times[b])
            means.append(100 * np.average(right, weights=weights))
        both.append(means[0] - means[1])
    assert found.ci95 == pytest.approx(tuple(np.quantile(both, (0.025, 0.975))), abs=3)


def test_what_costs_nothing_to_a_tenth_is_said_without_a_sign():
    rows = [
        Row(
            keys={"data": "fgnet", "embedder": "sface", "switch": way},
            metric=switches.COST,
            measured=Measured(mean=cost),
        )
        for way, cost in (("bgr", -0.04), ("single", 0.03), ("box", -0.01))
    ]
    said = switches.found(SimpleNamespace(rows=rows))
    assert "0.0 with blue and red exchanged; 0.0 without the mirror image." in said
    assert "-0.0" not in said and "+0.0" not in said


def test_the_box_is_carried_onto_the_whole_crop():
    matrix = switches._boxed(np.array([10.0, 20.0, 40.0, 80.0]))
    corners = np.array([[-10, 20, 1], [70, 100, 1]]) @ matrix.T
    assert corners == pytest.approx(np.array([[0, 0], [112, 112]]))
