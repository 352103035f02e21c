"""Tiny settings of the sweep, and runs made up in no time."""

from __future__ import annotations

import pytest

from aifr_lib.data.photograph_pairs import GAP_NAMES
from aifr_lib.evaluation.variance import FORMS
from aifr_lib.experiments.jobs import Job
from aifr_lib.experiments.relief import convergence
from aifr_lib.experiments.tml import scored, trained
from aifr_lib.reporting.runs import Result

TINY = {
    "relief": {
        "size": 32,
        "train_identities": 8,
        "train_per_identity": 4,
        "test_identities": 60,
        "test_per_identity": 6,
        "pairs": 20,
    },
    "input_hw": [32, 32],
    "width": 0.125,
    "embedding": 8,
    "layers": 1,
    "heads": 4,
    "feedforward": 16,
    "batch": 8,
    "epochs": 1,
    "drops": [],
    "lr": 0.1,
    "s": 8.0,
    "m": 0.1,
}
SCORED = {"templates": 10, "impostors": 4, "looks": 2}


@pytest.fixture
def tiny():
    """What makes the preset ``smoke`` tiny."""
    return {"alpha_sweep.train": TINY, "alpha_sweep.scored": SCORED}


def value(config) -> float:
    """The accuracy of a run that nobody trained: more α is better, a higher rate is worse, and each seed its own."""
    train = config.train
    return 80 + 10 * train.alpha - train.lr + train.seed + (train.classifier == "margin")


def summary(config) -> dict:
    """All that a run of TML says, as functions of its settings."""
    accuracy = value(config)

    def lists(names):
        by = {name: [accuracy - 1, accuracy + 1] for name in names}
        return {"accuracy": dict.fromkeys(names, accuracy), "interval": by}

    sets, own = (*trained.LISTS, scored.TEMPLATES), config.train.relief.pair_lists
    spread = {form: {"intra": 1.0, "inter": 2.0, "ratio": 2.0} for form in FORMS}
    part = {"accuracy": accuracy, "auc": accuracy / 100, "pairs": 10}
    ages = {"gap": dict.fromkeys(GAP_NAMES, part), "people": {"child": part, "adult": part}, "slope": -accuracy / 100}
    late = 0.5 if config.train.combine == "sum" else 3.0
    photographs = {"rank-1": accuracy / 2, "TAR@FAR=1e-2": accuracy / 4}
    found = {
        **lists(sets),
        "auc": dict.fromkeys(sets, accuracy / 100),
        "by_age": dict.fromkeys(trained.LISTS, ages),
        "tar": {"0.1": 90.0, "0.0001": 50.0 + config.train.seed},
        "validation": lists(own),
        "variance": {"training": spread, "test": spread},
        "photographs": {"orl": {"all": photographs}, "fgnet": dict.fromkeys(("all", *GAP_NAMES), photographs)},
        "left_out": {"across ages": "the generator is not installed"},
        "slopes": {"step": [50, 100], "margin": [2.0, 4.0]},
    }
    if not config.plain:
        found["slopes"]["transformer"] = [1.0, 1.0]
        found["looks"] = {"steps": [5, 10, 20], "accuracy": {name: [70.0, 80.0, 80.0 + late] for name in own}}
    return found


@pytest.fixture
def untrained(monkeypatch):
    """Runs whose numbers are functions of their settings, in no time."""

    def job(preset, config, device=None):
        spec = trained.named(preset, config)
        return Job(spec, lambda folder: Result({}, summary(config), "cpu", 1.0))

    def plain(config, device=None):
        spec = trained.recognise.spec(config, recipe=convergence.RECIPE, split="validation")
        accuracy = dict.fromkeys(config.relief.pair_lists, 80 - config.lr + config.seed)
        held = {"accuracy": accuracy, "interval": {name: [one - 1, one + 1] for name, one in accuracy.items()}}
        return Job(spec, lambda folder: Result({}, held, "cpu", 1.0))

    monkeypatch.setattr(trained, "job", job)
    monkeypatch.setattr(convergence, "job", plain)
