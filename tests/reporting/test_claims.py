import numpy as np
import pytest
from scipy import stats

from aifr_lib.names import ConfigError
from aifr_lib.reporting import artefacts, claims, contents, seeds
from aifr_lib.reporting.artefacts import Artefact
from aifr_lib.reporting.claims import Claim
from aifr_lib.reporting.prose import signs
from aifr_lib.reporting.rows import Measured, Row
from aifr_lib.reporting.runs import Git


def row(values, metric="accuracy", **keys):
    """A row of one value for each seed 0, 1, …; None: the run is missing; a dict: these seeds."""
    if values is None:
        return Row(keys=keys, metric=metric)
    return Row(
        keys=keys,
        metric=metric,
        measured=seeds.student_t(values if isinstance(values, dict) else dict(enumerate(values))),
    )


def results(*rows, preset="classroom", id="tml_fig6"):
    empty = {"seeds": (), "data": None, "device": None, "versions": {}, "git": Git(), "wall_s": 0, "runs": ()}
    artefact = Artefact(id=id, kind="experiment", preset=preset, rows=rows, verdict="none", **empty)
    return {id: artefact}


def claim(**changes):
    values = {
        "id": "hand_made",
        "paper": "TML",
        "artefact": "tml_fig6",
        "source": "nowhere",
        "statement": "a is above b",
        "kind": "ordering",
        "metrics": {"accuracy": "higher"},
        "rows": [{"method": "a"}, {"method": "b"}],
        "paired": True,
    }
    return Claim.model_validate({**values, **changes})


BASE = [
    80.0,
    83.0,
    79.0,
    81.5,
    82.0,
]  # the seeds differ more than the methods do: only pairing sees the difference


def shifted(by, noise=(0.1, -0.1, 0.05, 0.0, -0.05)):
    return [base + by + e for base, e in zip(BASE, noise, strict=True)]


def test_a_difference_in_every_seed_supports():
    verdict = claims.judge(claim(unit="points"), results(row(shifted(1), method="a"), row(BASE, method="b")))
    assert verdict.outcome == "supported"
    assert verdict.p == pytest.approx(stats.ttest_rel(shifted(1), BASE).pvalue)
    assert verdict.weakest.difference.mean == pytest.approx(1.0)
    assert "+1.00 points" in verdict.reason and "5 seeds" in verdict.reason
    assert "+1.00 points [" in claims.one_line(verdict) and "Holm" not in claims.one_line(verdict)


def test_a_difference_of_nothing_has_no_power_of_ten_and_nothing_that_would_have_been_seen():
    rounded = [value + 1e-14 for value in BASE]
    verdict = claims.judge(claim(unit="points"), results(row(rounded, method="a"), row(BASE, method="b")))
    assert claims.one_line(verdict).startswith("0 points [0, 0]")
    for said in (claims.one_line(verdict), claims.link_said(verdict, verdict.weakest)):
        assert "e-" not in said and "would have been seen" not in said


def test_the_opposite_in_every_seed_contradicts():
    verdict = claims.judge(claim(), results(row(shifted(-1), method="a"), row(BASE, method="b")))
    assert verdict.outcome == "contradicted"
    assert verdict.weakest.difference.mean == pytest.approx(-1.0)


def test_neither_is_inconclusive_and_says_what_could_have_been_seen():
    a = shifted(0.2, (2.0, -2.0, 1.0, -1.0, 0.0))
    verdict = claims.judge(claim(), results(row(a, method="a"), row(BASE, method="b")))
    assert verdict.outcome == "inconclusive" and not verdict.exploratory
    sd = np.std(np.subtract(a, BASE), ddof=1)
    size = seeds.smallest_detectable(sd / np.sqrt(5), 4)
    assert verdict.weakest.difference.detectable(verdict.alpha) == pytest.approx(size)
    seen = f"{size:.2g} would have been seen four times out of five"
    assert seen in verdict.reason and claims.one_line(verdict).endswith(f"; {seen}")


def test_where_lower_is_better_the_sign_turns():
    lower = claim(metrics={"mae": "lower"})
    rows = (row(shifted(-1), "mae", method="a"), row(BASE, "mae", method="b"))
    verdict = claims.judge(lower, results(*rows))
    assert verdict.outcome == "supported"
    assert verdict.weakest.difference.mean == pytest.approx(-1.0) and ": −1.00 [" in verdict.reason


def test_pairs_by_seed_wherever_the_seed_stands():
    a = {4: 84.1, 0: 81.0, 2: 80.1}
    b = {0: 80.0, 1: 50.0, 2: 79.0, 4: 83.0}
    verdict = claims.judge(claim(), results(row(a, method="a"), row(b, method="b")))
    assert verdict.weakest.difference.seeds == 3
    assert verdict.outcome == "supported"


@pytest.mark.parametrize(("spread", "outcome"), [(0.05, "supported"), (2.0, "inconclusive")])
def test_equality_wants_the_whole_interval_within_the_margin(spread, outcome):
    a = shifted(0.1, spread * np.array([1, -1, 0.5, -0.5, 0]))
    equal = claim(kind="equality", margin=1.0)
    assert claims.judge(equal, results(row(a, method="a"), row(BASE, method="b"))).outcome == outcome


@pytest.mark.parametrize("by", [3.0, -3.0])
def test_equality_is_contradicted_on_either_side_of_the_margin(by):
    equal = claim(kind="equality", margin=1.0)
    verdict = claims.judge(equal, results(row(shifted(by), method="a"), row(BASE, method="b")))
    assert verdict.outcome == "contradicted"
    just_beyond = shifted(np.sign(by) * 1.001)
    assert claims.judge(equal, results(row(just_beyond, method="a"), row(BASE, method="b"))).outcome == "inconclusive"


@pytest.mark.parametrize(
    ("bound", "by", "outcome"),
    [
        ({"at_least": 2.0}, 3.0, "supported"),
        ({"at_least": 2.0}, 1.0, "contradicted"),
        ({"at_least": 2.0}, 2.0, "inconclusive"),
        ({"at_most": 2.0}, 1.0, "supported"),
        ({"at_most": 2.0}, 3.0, "contradicted"),
    ],
)
def test_gap(bound, by, outcome):
    gap = claim(kind="gap", **bound)
    assert claims.judge(gap, results(row(shifted(by), method="a"), row(BASE, method="b"))).outcome == outcome


CHAIN = [{"method": name} for name in ("aad", "ad", "l2", "self")]


def chain_of(*shifts):
    noises = np.random.default_rng(0).normal(0, 0.05, (4, 5))
    return [row(shifted(by, noise), method=one["method"]) for by, noise, one in zip(shifts, noises, CHAIN, strict=True)]


@pytest.mark.parametrize(
    ("shifts", "outcome"),
    [((3, 2, 1, 0), "supported"), ((3, 1, 2, 0), "contradicted"), ((2, 2, 1, 0), "inconclusive")],
)
def test_a_chain_holds_when_each_link_does(shifts, outcome):
    verdict = claims.judge(claim(kind="chain", rows=CHAIN), results(*chain_of(*shifts)))
    assert verdict.outcome == outcome
    assert len(verdict.comparisons) == 3
    if outcome == "contradicted":
        assert verdict.weakest.label.startswith("AD against ℓ2")


def test_rivals_of_one_rank_are_all_to_be_beaten():
    best = claim(rows=[{"method": "a"}, [{"method": "b"}, {"method": "c"}]])
    rows = [row(shifted(1), method="a"), row(BASE, method="b")]
    assert claims.judge(best, results(*rows, row(shifted(0.5), method="c"))).outcome == "supported"
    assert claims.judge(best, results(*rows, row(shifted(1.5), method="c"))).outcome == "contradicted"


def test_each_repeats_the_comparison():
    everywhere = claim(each=[{"set": "x"}, {"set": "y"}])
    rows = [
        row(shifted(1), method="a", set="x"),
        row(BASE, method="b", set="x"),
        row(BASE, method="b", set="y"),
    ]
    assert claims.judge(everywhere, results(*rows, row(shifted(1), method="a", set="y"))).outcome == "supported"
    missing = claims.judge(everywhere, results(*rows))
    assert (missing.outcome, missing.reason) == ("untested", "not measured: y, a, verification accuracy, %")


def test_lists_average_seed_by_seed():
    rows = [row(shifted(by), alpha=alpha) for alpha, by in ((0.0, 0), (0.4, 2), (0.5, 4), (0.9, 0))]
    listed = claim(rows=[{"alpha": [0.4, 0.5]}, {"alpha": 0.0}])
    difference = claims.judge(listed, results(*rows)).weakest.difference
    assert difference.mean == pytest.approx(3.0) and difference.seeds == 5
    unlisted = claims.judge(claim(rows=[{"alpha": [0.4, 0.6]}, {"alpha": 0.0}]), results(*rows))
    assert (unlisted.outcome, unlisted.reason) == (
        "untested",
        "not measured: α = 0.6, verification accuracy, %",
    )


def test_what_is_missing_leaves_a_claim_untested():
    assert claims.judge(claim(), {}).reason == "its experiment has not been run here"
    no_run = claims.judge(claim(), results(row(None, method="a"), row(BASE, method="b")))
    assert (no_run.outcome, no_run.reason) == ("untested", "not run: a")
    still = Row(keys={"method": "a"}, metric="accuracy", undefined=True)
    assert claims.judge(claim(), results(still, row(BASE, method="b"))).reason == "undefined: a"
    unpaired = claims.judge(claim(), results(row({0: 1.0}, method="a"), row({1: 1.0}, method="b")))
    assert unpaired.reason == "a and b share no seed"
    fixed = Row(keys={"method": "a"}, metric="accuracy", measured=Measured(mean=1.0))
    assert claims.judge(claim(), results(fixed, row(BASE, method="b"))).reason == "no values by seed for a"


@pytest.mark.parametrize("count", [1, 2])
def test_few_seeds_are_exploratory_however_large_the_difference(count):
    verdict = claims.judge(claim(), results(row(shifted(50)[:count], method="a"), row(BASE, method="b")))
    assert (verdict.outcome, verdict.exploratory, verdict.p) == ("inconclusive", True, None)
    assert f"{count} of the 3" in verdict.reason
    assert (verdict.weakest.difference.detectable() is None) == (count == 1)


def test_a_claim_may_want_more_seeds():
    rows = (row(shifted(1)[:4], method="a"), row(BASE, method="b"))
    assert claims.judge(claim(seeds=5), results(*rows)).exploratory


@pytest.mark.parametrize("preset", ["smoke", "lesson"])
def test_small_presets_never_give_a_verdict(preset):
    rows = (row(shifted(5), method="a"), row(BASE, method="b"))
    assert claims.judge(claim(), results(*rows, preset=preset)).outcome == "not_run"
    assert claims.outcome("tml_fig6", preset, rows) == "not_run"


def test_holm_counts_the_claims_of_one_paper_tested_yet_or_not():
    noise = (0.9, -0.9, 0.5, 0.0, -0.5)
    rows = (row(shifted(1, noise), method="a"), row(BASE, method="b"))
    untested = claim(id="untested", artefact="elsewhere")
    other = claim(id="other", paper="AAD")
    one, *_ = claims.judge_together([claim(), other], results(*rows))
    assert one.p == pytest.approx(stats.ttest_rel(shifted(1, noise), BASE).pvalue)
    assert one.outcome == "supported"
    beside, *_ = claims.judge_together([claim(), untested, other], results(*rows))
    assert beside.corrected == pytest.approx(2 * one.p)
    family = [claim(id=str(i)) for i in range(4)]
    for verdict in claims.judge_together(family, results(*rows)):
        assert (verdict.p, verdict.corrected) == (one.p, pytest.approx(4 * one.p))
        assert verdict.outcome == "inconclusive"
        lo, hi = verdict.weakest.difference.interval(verdict.alpha)
        assert lo < 0 < hi and signs(f"[{lo:+#.3g}, {hi:+#.3g}] at 98.8 %") in verdict.reason


def test_false_alarms_stay_below_five_percent():
    rng = np.random.default_rng(0)
    found = 0
    for _ in range(300):
        values = {name: rng.normal(80, 1, 4) for name in "abc"}
        rows = [row(v, method=name) for name, v in values.items()]
        family = [claim(id=x + y, rows=[{"method": x}, {"method": y}]) for x, y in ("ab", "ac", "bc")]
        found += any(v.outcome in ("supported", "contradicted") for v in claims.judge_together(family, results(*rows)))
    assert found / 300 < 0.05 + 2 * 0.0126


def test_primary_claims_stand_apart_from_the_others():
    noise = (0.9, -0.9, 0.5, 0.0, -0.5)
    rows = (row(shifted(1, noise), method="a"), row(BASE, method="b"))
    first, *others = claims.judge_together([claim(primary=True), *(claim(id=str(i)) for i in range(4))], results(*rows))
    assert (first.step, first.family, first.outcome) == (1, 1, "supported")
    assert {(one.step, one.family, one.outcome) for one in others} == {(4, 4, "inconclusive")}
    assert claims.judge_together([claim(primary=True), claim(id="two", primary=True)], results(*rows))[0].step == 2


def simulated(rng, gain, arms=8, count=5):
    """Accuracies of arms with seeds of spread .45 about 90 %, the first of them higher by the gain."""
    return [row(90 + gain * (i == 0) + rng.normal(0, 0.45, count), method="ab"[i] if i < 2 else i) for i in range(arms)]


def test_no_gain_is_found_where_there_is_none_and_two_points_where_they_are():
    rng = np.random.default_rng(0)
    unpaired = claim(paired=False, delta=1.0)

    def share(gain, outcome, trials=60):
        found = [claims.judge(unpaired, results(*simulated(rng, gain))).outcome for _ in range(trials)]
        return found.count(outcome) / trials

    assert share(0.0, "no_gain") > 0.8
    assert share(2.0, "supported") > 0.95
    # A gain of just δ is called none in 2.5 % of cases, and a smaller one than that never supports too much.
    assert share(1.0, "no_gain", 200) < 0.025 + 3 * 0.011


def test_delta_is_five_percent_of_the_base_s_error_unless_the_claim_says():
    rows = (row(shifted(0.0, np.full(5, 0.01) * [1, -1, 1, -1, 0]), method="a"), row(BASE, method="b"))
    verdict = claims.judge(claim(unit="points"), results(*rows))
    assert verdict.weakest.delta == pytest.approx(0.05 * (100 - np.mean(BASE)))
    assert (verdict.outcome, claims.word(verdict)) == ("no_gain", "no gain above 0.95 points")
    assert claims.judge(claim(delta=0.001), results(*rows)).outcome == "inconclusive"
    rows = (row(shifted(0.0), "ratio", method="a"), row(BASE, "ratio", method="b"))
    assert claims.judge(claim(metrics={"ratio": "higher"}), results(*rows)).weakest.delta is None


def test_an_interaction_is_a_gain_less_another():
    gains = {("a", "far"): 3.0, ("a", "near"): 1.0}
    rng = np.random.default_rng(0)
    values = {(m, on): 80 + gains.get((m, on), 0) + rng.normal(0, 0.1, 5) for m in "abc" for on in ("far", "near")}
    rows = [row(v, method=m, set=on) for (m, on), v in values.items()]
    more = claim(kind="interaction", between=[{"set": "far"}, {"set": "near"}], paired=False)
    verdict = claims.judge(more, results(*rows))
    by_hand = [values[m, "far"] - values[m, "near"] for m in "abc"]
    assert verdict.outcome == "supported" and verdict.weakest.difference.df == 12
    assert verdict.weakest.difference.mean == pytest.approx(by_hand[0].mean() - by_hand[1].mean())
    pooled = np.mean([np.var(one, ddof=1) for one in by_hand])
    assert verdict.weakest.difference.se == pytest.approx(np.sqrt(pooled * 2 / 5))
    assert "far less near" in verdict.reason


def test_an_ambiguous_claim_is_an_error_of_the_claim():
    rows = (row(BASE, method="a", set="x"), row(BASE, method="a", set="y"), row(BASE, method="b"))
    with pytest.raises(ConfigError, match="claim hand_made: 2 rows of tml_fig6 with method a"):
        claims.judge(claim(), results(*rows))


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "equality"},
        {"margin": 1.0},
        {"kind": "gap"},
        {"kind": "gap", "at_least": 1.0, "at_most": 2.0},
        {"kind": "gap", "at_least": 1.0, "rows": CHAIN},
        {"kind": "order"},
        {"rows": [{"method": "a"}]},
        {"metrics": {"accuracy": "up"}},
        {"seeds": 2},
        {"kind": "interaction"},
        {"between": [{"set": "x"}, {"set": "y"}]},
        {"kind": "equality", "margin": 1.0, "delta": 1.0},
    ],
)
def test_claims_that_make_no_sense_are_refused(change):
    with pytest.raises(ValueError, match="validation error"):
        claim(**change)


def test_one_word_for_several_verdicts():
    assert claims.overall([]) == "none"
    assert claims.overall(["supported", "supported"]) == "supported"
    assert claims.overall(["supported", "inconclusive"]) == "mixed"
    assert claims.overall(["supported", "untested"]) == "supported"
    assert claims.overall(["untested", "untested"]) == "untested"


def test_every_listed_claim_speaks_of_an_experiment_of_its_paper():
    assert len(claims.load()) >= 30
    for one in claims.load():
        content = contents.find(one.artefact)
        assert content.kind == "experiment" and content.paper in (one.paper, None), one.id
        assert one.id.startswith(f"{one.artefact}_")
    assert claims.find("tml_fig6_low").kind == "ordering"
    with pytest.raises(ConfigError, match="did you mean 'tml_fig6_high'"):
        claims.find("tml_fig6_hig")


def sweep(curve):
    """Rows of Fig. 6: accuracy ``curve(alpha)`` plus what the seed brings, on both lists."""
    noise = np.random.default_rng(0).normal(0, 0.02, (10, 2, 5))
    return [
        row(90 + curve(alpha) + 5 * noise[i, j], alpha=alpha, set=name)
        for i, alpha in enumerate(np.arange(10) / 10)
        for j, name in enumerate(("relief-lfw", "relief-agedb"))
    ]


def test_fig6_end_to_end(tmp_path):
    artefacts.save(results(*sweep(lambda alpha: 3 - 12 * (alpha - 0.45) ** 2))["tml_fig6"], tmp_path)
    verdicts = {verdict.claim.id: verdict for verdict in claims.judge_all("classroom", tmp_path)}
    words = {id: verdict.outcome for id, verdict in verdicts.items()}
    assert {words.pop(id) for id in list(words) if id.startswith("tml_fig6")} == {"supported"}
    assert set(words.values()) == {"untested"}
    assert len(verdicts["tml_fig6_low"].comparisons) == 2
    assert claims.outcomes("classroom", tmp_path)["tml_fig6"] == "supported"


def test_fig6_against_the_paper_and_flat(tmp_path):
    against = sweep(lambda alpha: -3 + 12 * (alpha - 0.45) ** 2)
    assert claims.outcome("tml_fig6", "classroom", against, tmp_path) == "contradicted"
    assert claims.outcome("tml_fig6", "classroom", sweep(lambda alpha: 0.0), tmp_path) in ("mixed", "no_gain")
    assert claims.outcome("tml_fig1", "classroom", [], tmp_path) == "none"


def test_a_part_of_the_sweep_is_never_taken_for_its_average(tmp_path):
    whole = sweep(lambda alpha: 3 - 12 * (alpha - 0.45) ** 2)
    part = [one for one in whole if one.keys["alpha"] in (0.0, 0.4, 0.9)]
    missing = [one if one in part else row(None, **one.keys) for one in whole]
    for rows in (part, missing):
        words = {v.claim.id: v.outcome for v in claims.judge_artefact(results(*rows)["tml_fig6"], tmp_path)}
        assert words == {
            "tml_fig6_low": "untested",
            "tml_fig6_high": "untested",
            "tml_fig6_good_range": "untested",
        }


def test_a_notebook_and_the_scoreboard_say_the_same(tmp_path):
    fig6 = results(*sweep(lambda alpha: 3 - 12 * (alpha - 0.45) ** 2))["tml_fig6"]
    loss = [{"loss": "transformer-arcface"}, {"loss": "arcface"}]
    forms = {"intra": ("normalised", -1), "ratio": ("raw", 1), "inter": ("raw", 0.1)}
    table4 = results(
        *(
            row(shifted(by * (place == 0)), metric, form=form, people="training", **one)
            for metric, (form, by) in forms.items()
            for place, one in enumerate(loss)
        ),
        id="tml_table4",
    )["tml_table4"]
    for one in (fig6, table4):
        artefacts.save(one, tmp_path)
    board = {verdict.claim.id: verdict for verdict in claims.judge_all("classroom", tmp_path)}
    for one in (fig6, table4):
        for verdict in claims.judge_artefact(one, tmp_path):
            assert verdict == board[verdict.claim.id]
    # Other results may strengthen a claim and never weaken it.
    alone = {verdict.claim.id: verdict for verdict in claims.judge_artefact(fig6, tmp_path / "empty")}
    assert all(board[id].corrected <= verdict.corrected for id, verdict in alone.items())


MANY = [{"unit": f"au{n}"} for n in range(5)]


def units(gains):
    """Two methods on five units: by how much the one is better on each."""
    rows = []
    for where, gain in zip(MANY, gains, strict=True):
        rows += [row(shifted(gain), method="a", **where), row(BASE, method="b", **where)]
    return results(*rows)


@pytest.mark.parametrize(
    ("gains", "most", "word"),
    [
        ((1, 1, 1, -1, 0), 3, "supported"),  # all but one or two: what "most" says
        ((1, 1, 1, -1, 0), None, "contradicted"),  # of all five it would be refuted by the one
        ((1, 1, -1, -1, -1), 3, "contradicted"),
        ((1, 1, 0, 0, -1), 3, "inconclusive"),
    ],
)
def test_most_of_several_columns(gains, most, word):
    found = claims.judge(claim(each=MANY, most=most, delta=0.01), units(gains))
    assert found.outcome == word


def test_most_counts_columns_by_hand():
    """Two of three must hold: (3 − 2 + 1) times the second smallest of the columns' p."""
    three = claim(each=MANY[:3], most=2)
    verdict = claims.judge(three, units((1, 0.05, 0.02, 0, 0)))
    p = sorted(one.links[0].p_above for one in verdict.comparisons)
    assert [one.column for one in verdict.comparisons] == [0, 1, 2]
    assert verdict.p == pytest.approx(min(1.0, 2 * 2 * p[1]))
    assert verdict.weakest.links[0].p_above == p[1], "the sentence is of the column that decides"


@pytest.mark.parametrize("least", [0.05, 0.15, 0.25, 0.4])
def test_the_interval_of_the_column_that_decides_agrees_with_the_verdict_of_most(least):
    verdict = claims.judge(claim(each=MANY[:3], most=2, delta=0.01), units((1, least, 0.02, 0, 0)))
    low, _ = verdict.weakest.difference.interval(verdict.alpha)
    assert (low > 0) == (verdict.outcome == "supported")
    raw, corrected = verdict.weakest.links[0].p, verdict.corrected
    assert corrected == pytest.approx(min(1.0, 2 * raw)), "of two of three columns, p times (3 - 2 + 1)"
    assert claims._p(corrected).removeprefix("= ") in verdict.reason


def test_most_is_seldom_supported_where_too_few_hold():
    """Of three columns one is truly better, by far, and two must be: at level .05 at most one in forty is wrong."""
    draw = np.random.default_rng(7)
    three = claim(each=MANY[:3], most=2, paired=False)
    wrong = 0
    for _ in range(400):
        rows = []
        for number, where in enumerate(MANY[:3]):
            a, b = draw.normal(50.0 if number == 0 else 0.0, 1, 5), draw.normal(0, 1, 5)
            rows += [row(a.tolist(), method="a", **where), row(b.tolist(), method="b", **where)]
        wrong += claims.judge(three, results(*rows)).outcome == "supported"
    assert wrong <= stats.binom.ppf(0.999, 400, 0.05)


def test_most_of_all_columns_is_every_column():
    with pytest.raises(ConfigError, match="must be fewer than the 5 columns"):
        claims.validate(Claim, claim().model_dump() | {"each": MANY, "most": 5}, "here")


@pytest.mark.parametrize(("preset", "word"), [("smoke", "not_run"), ("classroom", "untested")])
def test_rows_without_a_number_are_untested_where_a_verdict_is_given(preset, word, tmp_path):
    rows = (Row(keys={"alpha": 0.4, "set": "relief-agedb"}, metric="accuracy"),)
    assert claims.outcome("tml_fig6", preset, rows, tmp_path) == word
