"""Fig. 7 and Table I: what they share with the sweep, and trainings that are looked at on the way."""

import pytest

from aifr_lib.experiments import recognise
from aifr_lib.experiments.jobs import gather
from aifr_lib.experiments.tml import alpha_sweep, configurations
from aifr_lib.reporting.runs import Result, RunStore
from aifr_lib.settings.presets import load_preset
from aifr_lib.training import recognition

TINY = {
    "relief": {
        "size": 32,
        "train_identities": 8,
        "train_per_identity": 4,
        "test_identities": 60,
        "test_per_identity": 4,
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
    "lr": 0.01,
    "s": 8.0,
    "m": 0.1,
}


@pytest.fixture
def preset():
    return load_preset(
        "smoke", {"alpha_sweep.train": TINY, "alpha_sweep.lr": {0.0: 0.01, 0.4: 0.01}, "alpha_sweep.lrs": [0.01]}
    )


@pytest.fixture
def untrained(monkeypatch):
    """Runs whose numbers are functions of their settings, in no time."""

    def compute(config, folder, device=None):
        value = 80 + 10 * config.alpha + config.seed + (config.classifier == "margin")
        lists = {"accuracy": dict.fromkeys(config.relief.pair_lists, value)}
        lists["interval"] = {name: [value - 1, value + 1] for name in config.relief.pair_lists}
        return Result({}, {**lists, "validation": lists}, "cpu", 1.0)

    def watch(config, looks, folder, device=None):
        late = 0.5 if config.combine == "sum" else 3.0
        accuracy = {name: [70.0, 80.0, 80.0 + late] for name in config.relief.pair_lists}
        return Result({}, {"steps": [5, 10, 20], "accuracy": accuracy, "checksum": "x"}, "cpu", 1.0)

    monkeypatch.setattr(recognise, "compute", compute)
    monkeypatch.setattr(configurations, "watch", watch)


def test_what_the_sweep_trains_too_is_one_run(preset):
    jobs = configurations.fig7_jobs(preset)
    sweep = alpha_sweep.alpha_sweep_jobs(preset)
    for name, alpha in (("standard", 0.0), ("linear", 0.4)):
        assert jobs[configurations.TRAINED, name, 0].spec == sweep[alpha, 0].spec
    keys = {job.spec.key for job in jobs.values()}
    assert len(keys) == len(jobs) == 6
    values = {place[1]: job.spec.values for place, job in jobs.items() if place[0] == configurations.TRAINED}
    assert (values["margin"]["classifier"], values["margin"]["alpha"]) == ("margin", 0.4)
    assert (values["sum"]["combine"], values["sum"]["alpha"]) == ("sum", 0.0)


def test_at_the_published_size_only_two_configurations_are_new():
    preset = load_preset("classroom")
    shared = {job.spec.key for job in alpha_sweep.alpha_sweep_jobs(preset).values()}
    new = {place[:2] for place, job in configurations.fig7_jobs(preset).items() if job.spec.key not in shared}
    trained, watched = configurations.TRAINED, configurations.WATCHED
    assert new == {(trained, "margin"), (trained, "sum"), (watched, "linear"), (watched, "sum")}


def test_rows_have_late_gains_and_the_papers_numbers(preset, untrained, tmp_path):
    artefact = configurations.FIG7(preset, out=tmp_path)
    assert artefact.verdict == "not_run", "a smoke result is never evidence"
    accuracy = {(row.keys["configuration"], row.keys["set"]): row for row in artefact.rows if row.metric == "accuracy"}
    assert accuracy["margin", "relief-lfw"].measured.mean == 85 and accuracy["linear", "relief-lfw"].measured.mean == 84
    assert accuracy["margin", "relief-lfw"].paper == accuracy["linear", "relief-lfw"].paper == 99.38
    assert accuracy["sum", "relief-lfw"].paper is None and accuracy["linear", "relief-agedb"].paper is None
    late = {row.keys["configuration"]: row.measured.mean for row in artefact.rows
            if row.metric == "late_gain" and row.keys["set"] == "relief-lfw"}  # fmt: skip
    assert late == {"linear": 3.0, "sum": 0.5}
    along = [row.keys["trained"] for row in artefact.rows if row.metric == "on_the_way"
             and (row.keys["configuration"], row.keys["set"]) == ("sum", "relief-lfw")]  # fmt: skip
    assert along == [25.0, 50.0, 100.0]
    assert (tmp_path / "tml_fig7" / "tml_fig7.svg").stat().st_size > 1000


def test_table_i_is_drawn_from_the_same_runs_and_quotes_what_was_not_trained(preset, untrained, tmp_path):
    whole = configurations.FIG7(preset, out=tmp_path)
    artefact = configurations.TABLE1(preset, out=tmp_path)
    assert set(artefact.runs) < set(whole.runs) and len(artefact.runs) == 2
    rows = {row.keys["loss"]: row for row in artefact.rows if row.keys["set"] == "relief-lfw"}
    assert rows["sym-arcface"].measured is None and rows["sym-arcface"].paper == 99.32
    assert rows["arcface"].measured.mean == 80 and rows["transformer-arcface"].paper == 99.38


def test_a_training_that_is_looked_at_ends_in_the_same_weights(preset, tmp_path):
    config = preset.configurations.training(preset.alpha_sweep, "sum", 0)
    job = configurations.watched_job(config, looks=2)
    run = gather(RunStore(tmp_path), {0: job}, compute=True, fresh=False)[0]
    assert run.summary["steps"] == [2, 4]
    assert all(len(values) == 2 for values in run.summary["accuracy"].values())
    plain = recognition.train(config, tmp_path / "plain", device="cpu", progress=False)
    assert run.summary["checksum"] == plain.checksum


def test_a_gain_is_counted_from_the_look_nearest_to_the_middle():
    assert configurations.late_gain([4, 8, 12], [1.0, 2.0, 4.0]) == 3.0, "of two that are equally near, the first"
    assert configurations.late_gain([4, 8], [1.0, 2.0]) == 1.0
