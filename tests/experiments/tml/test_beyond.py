"""Does the branch help, and is it the branch: which runs there are, in which order, and rows of runs made up."""

import pytest

from aifr_lib.experiments import EXPERIMENTS
from aifr_lib.experiments.jobs import in_order
from aifr_lib.experiments.tml import alpha_sweep, attention, beyond, second_source, tuning
from aifr_lib.names import ConfigError
from aifr_lib.reporting import claims
from aifr_lib.reporting.rows import measured
from aifr_lib.settings.presets import load_preset


@pytest.fixture
def preset(tiny):
    train = {"layers": 2, "heads": 4}
    return load_preset("smoke", {**tiny, "alpha_sweep.train": tiny["alpha_sweep.train"] | train})


def test_what_comes_first_is_the_sweeps_and_no_rate_is_trained_twice():
    preset = load_preset("classroom")
    jobs, sweep = beyond.beyond_jobs(preset), alpha_sweep.alpha_sweep_jobs(preset)
    first = list(jobs)[:10]
    assert first == [(arm, None, seed) for seed in range(5) for arm in ("without", "with")]
    for arm, _, seed in first:
        alpha = 0.0 if arm == "without" else 0.4
        assert jobs[arm, None, seed].spec == sweep[alpha, seed].spec
    assert jobs["pooled", 0.2, 0].spec == jobs["pooled", None, 0].spec
    tried = [lr for arm, lr, seed in jobs if arm == "rescaled" and lr]
    assert tried == list(preset.beyond.lrs) == list(preset.alpha_sweep.lrs), "every kind of arm has the same rates"


def test_the_published_ledger_asks_first_what_decides_most():
    preset = load_preset("classroom")
    wanted = ("tml_tuning", "tml_beyond", "tml_attention", "tml_fig6", "tml_second_source", "tml_branch_variants")
    assert [id for id in EXPERIMENTS if id in wanted] == list(wanted)
    rates = in_order(tuning.tuning_jobs(preset).values())
    assert all(job.spec.seed == 0 for job in rates)


def test_arms_change_what_they_say_and_nothing_else(preset):
    jobs = beyond.beyond_jobs(preset) | beyond.variant_jobs(preset)
    values = {arm: job.spec.values for (arm, lr, seed), job in jobs.items() if lr is None and seed == 0}
    with_it = values["with"]
    for arm, changes in {
        "rescaled": {"branch": "none"},
        "pooled": {"branch": "pooled"},
        "without": {"train": {**with_it["train"], "alpha": 0.0}},
        "with_positions": {"train": {**with_it["train"], "pos_encoding": "learned"}},
    }.items():
        assert values[arm] == {**with_it, **changes}, arm
    published = load_preset("classroom")
    longer = beyond.beyond_jobs(published)["with_longer", None, 0].spec.values["train"]
    assert longer["epochs"] == 2 * published.alpha_sweep.train.epochs
    cells = beyond.variant_jobs(published)["with_36_cells", None, 0].spec.values["train"]
    assert (cells["backbone"], cells["layers"]) == ("mobilefacenet-fine", 1)


def test_rows_figures_and_claims_of_runs_made_up(preset, untrained, tmp_path):
    artefact = beyond.BEYOND(preset, seeds=range(5), out=tmp_path)
    assert artefact.verdict == "not_run", "a smoke result is never evidence"
    across = measured(artefact.rows, "accuracy", {"arm": "with", "set": "relief-agedb"})
    assert across.mean == pytest.approx(80 + 4 - 0.1 + 2) and len(across.per_seed) == 5
    assert measured(artefact.rows, "pull", {"arm": "with", "tenth": "first"}).mean == 50
    assert measured(artefact.rows, "pull", {"arm": "with", "tenth": "last"}).mean == 25
    assert measured(artefact.rows, "pull", {"arm": "without"}) is None
    assert measured(artefact.rows, "on_the_way", {"arm": "pooled", "lr": 0.05}).mean == pytest.approx(83.95)
    assert "4.00 points more right than the loss alone: a gain by" in beyond.found(artefact)
    assert "**loss times 1 − α, alone**" in beyond.why(artefact)
    assert (tmp_path / "tml_beyond" / "tml_beyond.svg").stat().st_size > 1000
    classroom = artefact.model_copy(update={"preset": "classroom", "verdict": "none"})
    for claim in claims.load():
        if claim.artefact == "tml_beyond":
            verdict = claims.judge(claim, {"tml_beyond": classroom})
            ranks = [one for rank in claim.rows for one in (rank if isinstance(rank, list) else [rank])]
            arms = {one["arm"] for one in ranks}
            assert bool(verdict.comparisons) == (arms <= set(preset.beyond.arms)), claim.id


def test_a_base_is_trained_as_long_and_on_as_many_cells():
    arms = {"without", "without_36_cells", "without_longer"}
    assert beyond.base_of("with_36_cells", arms) == "without_36_cells"
    assert beyond.base_of("with_positions", arms) == beyond.base_of("frozen", arms) == "without"


def test_photographs_that_were_not_here_stay_without_a_number(preset, untrained, tiny, tmp_path):
    asked = {**tiny["alpha_sweep.scored"], "photographs": ["orl", "fgnet", "across ages"]}
    preset = load_preset("smoke", {**tiny, "alpha_sweep.scored": asked})
    artefact = second_source.SOURCE(preset, seeds=range(3), out=tmp_path)
    rows = {(row.keys["set"], row.keys["transformer"]): row for row in artefact.rows if row.metric == "rank-1"}
    assert rows["across ages", True].measured is None and rows["fgnet", True].measured.mean > 0
    gaps = [row.keys["gap"] for row in artefact.rows if row.metric == "rank1_by_gap" and row.keys["set"] == "orl"]
    assert gaps == [], "nobody knows the ages of ORL"
    said = second_source.found(artefact)
    assert "FG-NET" in said and "across ages" not in said
    assert (tmp_path / "tml_second_source" / "tml_second_source.svg").stat().st_size > 1000


def test_attention_is_read_off_the_branch_that_was_trained(preset, tmp_path):
    artefact = attention.ATTENTION(preset, seeds=[0], out=tmp_path)
    (run,) = attention.ATTENTION.stored(preset, [0], tmp_path).values()
    assert run.summary["cells"] == [2, 2] and len(run.summary["layers"]) == 2
    for name in ("received", "received_untrained"):
        got = run.scores[name].astype(float)
        assert got.shape == (12, 2, 4) and abs(got.sum(-1) - 1).max() < 0.01
    changes = run.scores["changes"].astype(float)
    hand = [attention.spearmanr(one.mean(0), other).statistic
            for one, other in zip(run.scores["received"].astype(float), changes, strict=True)]  # fmt: skip
    found = measured(artefact.rows, "age_corr", {"reader": "trained"})
    assert found.mean == pytest.approx(sum(hand) / len(hand), abs=0.05), "ranks of half precision"
    assert (changes > 0).all() and -1 <= found.mean <= 1


def test_the_centre_is_where_it_is():
    assert attention.away(3, 3).round(3).tolist() == [1.414, 1, 1.414, 1, 0, 1, 1.414, 1, 1.414]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"beyond.ledger": [{"arms": ["with", "wihtout"], "seeds": [0]}]}, "wihtout"),
        ({"beyond.arms.pooled.lr": 0.3}, "one of lrs"),
    ],
)
def test_ledgers_that_fit_nothing_are_refused(change, says):
    with pytest.raises(ConfigError, match=says):
        load_preset("smoke", change)
