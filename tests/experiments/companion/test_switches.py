"""What a switch costs, on scores made up; and how a face is cut in four ways."""

import numpy as np
import pytest

from aifr_lib.experiments.companion import switches
from aifr_lib.reporting.rows import measured


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


def test_the_box_is_carried_onto_the_whole_crop():
    matrix = switches._boxed(np.array([10.0, 20.0, 40.0, 80.0]))
    corners = np.array([[-10, 20, 1], [70, 100, 1]]) @ matrix.T
    assert corners == pytest.approx(np.array([[0, 0], [112, 112]]))
