import re

import pytest

from aifr_lib.experiments import EXPERIMENTS, recognise
from aifr_lib.experiments.companion import tour
from aifr_lib.experiments.jobs import stored_only
from aifr_lib.experiments.relief import convergence
from aifr_lib.experiments.tml import alpha_sweep, trained, tuning, variance
from aifr_lib.names import ConfigError
from aifr_lib.reporting import artefacts
from aifr_lib.reporting.runs import RunStore
from aifr_lib.settings.presets import load_preset


@pytest.fixture
def preset(tiny):
    seeds = {"alpha_sweep.alphas": [0.0, 0.4], "alpha_sweep.seeds": [0, 1], "alpha_sweep.main_seeds": [0, 1]}
    return load_preset("smoke", {**tiny, **seeds, "tour.train": tiny["alpha_sweep.train"]})


def test_sweep_trains_what_is_missing_then_only_loads(preset, tmp_path, monkeypatch):
    first = alpha_sweep.FIG6(preset, device="cpu", out=tmp_path)
    assert first.verdict == "not_run", "a smoke result is never evidence"
    assert len(first.runs) == 4
    assert first.seeds == (0, 1)
    for row in first.rows:
        assert set(row.measured.per_seed) == {0, 1}
        assert row.measured.interval == "seeds"
        assert 0 <= row.measured.mean <= 100
    monkeypatch.setattr(trained, "score", None)
    again = alpha_sweep.FIG6(preset, device="cpu", out=tmp_path)
    assert again.rows == first.rows
    assert artefacts.load("tml_fig6", "smoke", tmp_path).rows == first.rows
    assert (tmp_path / "tml_fig6" / "tml_fig6.svg").stat().st_size > 1000


def test_without_computing_nothing_is_invented(preset, tmp_path):
    artefact = alpha_sweep.FIG6(preset, compute=False, out=tmp_path)
    assert artefact.runs == ()
    assert all(row.measured is None for row in artefact.rows)
    assert not (tmp_path / "tml_fig6").exists()


def test_one_seed_shows_the_interval_over_people(preset, tmp_path):
    artefact = alpha_sweep.FIG6(preset, seeds=[0], device="cpu", out=tmp_path)
    assert {row.measured.interval for row in artefact.rows} == {"identities"}


def test_jobs_differ_in_alpha_and_seed_alone(preset):
    jobs = alpha_sweep.alpha_sweep_jobs(preset)
    assert len({job.spec.key for job in jobs.values()}) == 4
    values = [{k: v for k, v in job.spec.values["train"].items() if k != "alpha"} for job in jobs.values()]
    assert all(value == values[0] for value in values)


def test_main_alphas_get_their_seeds_and_rates_and_the_others_the_nearest():
    rates = {"alpha_sweep.lr": {0.0: 0.1, 0.4: 0.2}}
    jobs = alpha_sweep.alpha_sweep_jobs(load_preset("classroom", rates | {"alpha_sweep.train.lr": 0.1}))
    seeds: dict = {}
    for alpha, seed in jobs:
        seeds.setdefault(alpha, set()).add(seed)
    assert {alpha for alpha in seeds if seeds[alpha] == set(range(5))} == {0.0, 0.4}
    assert all(seeds[alpha] == {0, 1} for alpha in set(seeds) - {0.0, 0.4})
    rates = {alpha: jobs[alpha, 0].spec.values["train"]["lr"] for alpha in seeds}
    assert [rates[alpha] for alpha in (0.0, 0.1, 0.4, 0.5, 0.9)] == [0.1, 0.1, 0.2, 0.2, 0.2]


def test_tuning_shares_its_runs_and_looks_at_validation_people(preset, untrained, tmp_path):
    artefact = tuning.TUNING(preset, device="cpu", out=tmp_path)
    assert {row.keys["set"] for row in artefact.rows} == {"relief-lfw, validation", "relief-agedb, validation"}
    assert len(artefact.runs) == 4
    sweep = alpha_sweep.alpha_sweep_jobs(preset, seeds=[0])
    assert sweep[0.4, 0].spec.key in artefact.runs, "the rate that is chosen needs no second training"
    assert sum(key.startswith("calibration-") for key in artefact.runs) == 2, (
        "without a branch, the page of difficulty's"
    )
    assert tuning.best_rates(artefact) == {0.0: 0.05, 0.4: 0.05}
    assert tuning.best_rates(tuning.TUNING(preset, compute=False, out=tmp_path / "empty")) == {}


def test_at_the_published_size_the_rates_without_a_branch_are_those_of_another_page():
    preset = load_preset("classroom")
    others = {job.spec.key for job in convergence.convergence_jobs(preset).values()}
    plain = {job.spec.key for (alpha, *_), job in tuning.tuning_jobs(preset).items() if alpha == 0}
    assert len(plain) == 3 and plain <= others


def test_variance_is_of_training_people_as_in_the_paper_and_of_test_people(preset, untrained, tmp_path):
    artefact = variance.TABLE4(preset, device="cpu", out=tmp_path)
    rows = {(r.keys["people"], r.keys["form"], r.metric, r.keys["loss"]): r for r in artefact.rows}
    for people in ("training", "test"):
        for loss in ("arcface", "transformer-arcface"):
            intra, inter, ratio = (
                rows[people, "raw", metric, loss].measured.per_seed for metric in ("intra", "inter", "ratio")
            )
            assert all(ratio[seed] == pytest.approx(inter[seed] / intra[seed]) for seed in (0, 1))
    printed = rows["training", "raw", "intra", "transformer-arcface"]
    assert printed.paper == 4.16
    assert rows["test", "raw", "intra", "transformer-arcface"].paper is None
    assert (tmp_path / "tml_table4" / "tml_table4.svg").exists()


def test_committed_tuning_is_what_the_preset_chose():
    try:
        artefact = artefacts.load("tml_tuning", "classroom")
    except FileNotFoundError:
        pytest.skip("no tuning is stored")
    sweep = load_preset("classroom").alpha_sweep
    assert tuning.best_rates(artefact).items() <= sweep.lr.items()


def test_key_changes_with_every_setting_and_with_the_recipe(preset, monkeypatch):
    train = preset.alpha_sweep.train
    key = recognise.spec(train).key
    assert key == recognise.spec(train.model_copy()).key
    for change in ({"lr": 0.05}, {"seed": 1}, {"relief": train.relief.model_copy(update={"pairs": 40})}):
        assert recognise.spec(train.model_copy(update=change)).key != key
    monkeypatch.setattr(recognise, "RECIPE_VERSION", 99)
    assert recognise.spec(train).key != key


def test_tour_at_smoke_trains_its_own_network(preset, tmp_path):
    artefact = tour.TOUR(preset, device="cpu", out=tmp_path)
    assert {row.keys["set"] for row in artefact.rows} == {"relief-lfw", "relief-agedb"}
    assert all(row.measured.interval == "identities" for row in artefact.rows)


def test_committed_results_are_not_stale():
    """What figures/classroom shows was computed from the recipes and data as they are now, and by the rows of now."""
    preset = load_preset("classroom")
    for name, experiment in EXPERIMENTS.items():
        try:
            artefact = artefacts.load(name, "classroom")
        except FileNotFoundError:
            continue
        assert artefact.preset == "classroom"
        expected = {spec.key for spec in experiment.specs(preset)}
        assert set(artefact.runs) <= expected, f"{name} is stale: aifr reproduce {name} --preset classroom"
        again = experiment(preset, compute=False)
        assert len(again.rows) == len(artefact.rows), f"{name} is not drawn from its runs: aifr draw {name}"
        for now, then in zip(again.rows, artefact.rows, strict=True):
            assert (now.keys, now.metric) == (then.keys, then.metric)
            assert numbers(now) == pytest.approx(numbers(then), rel=1e-6), f"{name} {now.keys}: aifr draw {name}"


def numbers(row):
    """All that was measured, flat; empty where nothing was."""
    one = row.measured
    return [] if one is None else [one.mean, *(one.ci95 or ()), *one.per_seed.values()]


def test_a_part_of_the_sweep_is_drawn_as_a_part(preset, untrained, tmp_path):
    store = RunStore(tmp_path)
    for (alpha, _), job in alpha_sweep.alpha_sweep_jobs(preset).items():
        if alpha == 0.4:
            store.load_or_compute(job.spec, job.compute)
    with stored_only():
        artefact = alpha_sweep.FIG6(preset, out=tmp_path)
        variance.TABLE4(preset, out=tmp_path)
    assert len(artefact.runs) == 2 and (tmp_path / "tml_fig6" / "tml_fig6.svg").is_file()
    measured = {row.keys["alpha"]: row.measured for row in artefacts.load("tml_fig6", "smoke", tmp_path).rows}
    assert measured[0.0] is None and set(measured[0.4].per_seed) == {0, 1}
    table4 = artefacts.load("tml_table4", "smoke", tmp_path)
    assert {row.keys["loss"] for row in table4.rows if row.measured} == {"transformer-arcface"}
    assert len(list(store.root.joinpath("_runs").glob("[!.]*"))) == 2, "nothing was trained"


def test_the_grid_is_shown_as_the_mean_that_decides_and_what_it_lacks(preset, untrained, tmp_path):
    store, jobs = RunStore(tmp_path), tuning.tuning_jobs(preset)
    for key, job in jobs.items():
        if key != (0.4, 0.1, 0):
            store.load_or_compute(job.spec, job.compute)
    with stored_only():
        artefact = tuning.TUNING(preset, out=tmp_path)
    table = tuning.tried(artefact)
    assert table[0.0][0.05].mean == pytest.approx(79.95) and table[0.4][0.1] is None
    assert tuning.best_rates(artefact) == {0.0: 0.05}
    note = tuning.tuning_note(artefact, preset.alpha_sweep.model_copy(update={"lr": {0.0: 0.05, 0.4: 0.1}}))
    assert "Taken: 0.05 at α = 0, 0.1 at α = 0.4." in note
    assert "At α = 0 the best rate is the last one tried" in note
    assert "At α = 0.4 not all rates were run" in note and "±1.0 points" in note
    assert (tmp_path / "tml_tuning" / "tml_tuning.svg").is_file()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"alpha_sweep.lr": {0.0: 0.3, 0.4: 0.1}}, "did not try"),
        ({"alpha_sweep.lr": {0.0: 0.1}}, "a rate for each main α"),
    ],
)
def test_rates_that_fit_nothing_are_refused(change, says):
    with pytest.raises(ConfigError, match=re.escape(says)):
        load_preset("smoke", change)


def test_the_variance_rests_on_runs_of_the_sweep():
    for name in ("classroom", "paper"):
        preset = load_preset(name)
        sweep = {job.spec.key for job in alpha_sweep.alpha_sweep_jobs(preset).values()}
        assert {job.spec.key for job in variance.variance_jobs(preset).values()} <= sweep


def test_rates_are_found_before_the_sweep_that_takes_them():
    order = list(EXPERIMENTS)
    assert order.index("tml_tuning") < order.index("tml_fig6")


def test_faces_that_do_not_fit_the_network_are_refused_before_the_training(preset, tmp_path, monkeypatch):
    monkeypatch.setattr(recognise, "train", lambda *_, **__: pytest.fail("it was trained"))
    train = preset.alpha_sweep.train
    wide = train.model_copy(update={"relief": train.relief.model_copy(update={"size": 64})})
    with pytest.raises(ValueError, match="64×64 cannot give the network's input of 32×32"):
        recognise.compute(wide, tmp_path)


def test_the_papers_sweep_is_named_by_its_own_data_and_fits_what_it_scores(tmp_path, monkeypatch):
    train = load_preset("paper").alpha_sweep.train
    assert recognise.spec(train).data.name == "casia-webface, scored on relief faces"
    assert "casia-webface" in recognise.spec(train).data.hash

    class Reached(Exception):
        pass

    def reached(*_, **__):
        raise Reached

    monkeypatch.setattr(recognise, "train", reached)
    with pytest.raises(Reached):
        recognise.compute(train, tmp_path)


def test_a_slider_over_alpha_has_the_scores_of_one_seed(preset, tmp_path):
    assert alpha_sweep.score_frames(preset, {}) == ([], [])
    alpha_sweep.FIG6(preset, device="cpu", out=tmp_path)
    runs = alpha_sweep.FIG6.stored(preset, out=tmp_path)
    frames, labels = alpha_sweep.score_frames(preset, runs)
    assert len(frames) == 2 and all("<svg" in frame for frame in frames)
    right = runs[0.4, 0].summary["accuracy"][alpha_sweep.ACROSS]
    assert labels[1] == f"α = 0.4: {right:.1f} % of the pairs are told right"


def test_a_slider_over_the_spread_within_people():
    frames, labels = variance.spread_frames([0.2, 2.6])
    assert len(frames) == 2 and labels[0].endswith("0 % lie nearer to somebody else")
    ratios = [float(re.search(r"ratio ([\d.]+)", label)[1]) for label in labels]
    assert ratios[0] > 10 > ratios[1]
