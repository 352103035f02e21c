"""Students by years, for their cost, and as files: rows and pictures from runs made up."""

from __future__ import annotations

import pytest

from aifr_lib.experiments.aad import gaps, int8, tables
from aifr_lib.reporting.rows import Row
from aifr_lib.reporting.runs import DataId, Run, RunSpec
from aifr_lib.reporting.seeds import student_t
from aifr_lib.settings.presets import load_preset

AGED = {gap: {"accuracy": 90.0 - 5 * place, "auc": 0.95, "pairs": 100} for place, gap in enumerate(gaps.GAP_NAMES)}


@pytest.fixture(scope="module")
def preset():
    return load_preset("classroom")


def run(seed, summary):
    spec = RunSpec(
        recipe="made_up", recipe_version=1, seed=seed, values={}, data=DataId(name="a", version="1", hash="b")
    )
    return Run(spec.key, spec, {}, summary, "cpu", {}, None, 0.0)


def trained(seed, away):
    lists = dict.fromkeys(("relief-lfw", "relief-agedb", "relief-near"), 85.0 + away)
    aged = {gap: {**one, "accuracy": one["accuracy"] + away} for gap, one in AGED.items()}
    photographed = {"pairs": {"all": AGED["0–4"], **AGED}, "rank1": 20.0, "rank1_gaps": {"0–4": 30.0}}
    return run(seed, {
        "accuracy": lists, "interval": {name: [80, 95] for name in lists}, "validation": {},
        "gaps": {"relief-lfw": {"all": AGED["0–4"], **aged}}, "rank1": {"relief-loo": 50.0}, "tar": {},
        "photographs": {"fgnet": photographed, "orl": None},
    })  # fmt: skip


@pytest.fixture(scope="module")
def runs():
    found = {("mobilefacenet", name, seed): trained(seed, 2.0 * place + seed)
             for place, name in enumerate(("self", "ad", "aad")) for seed in range(3)}  # fmt: skip
    return found


def test_a_student_is_told_by_the_years_between_two_pictures(preset, runs):
    rows = list(gaps.gaps_rows(preset, runs))
    keys = {"backbone": "mobilefacenet", "variant": "aad", "gap": "30+", "set": "relief-lfw"}
    (one,) = [row.measured for row in rows if row.keys == keys and row.metric == "accuracy"]
    assert one.mean == pytest.approx(70 + 4 + 1) and set(one.per_seed) == {0, 1, 2}
    (missing,) = [row for row in rows if row.keys == {**keys, "variant": "l2"} and row.metric == "accuracy"]
    assert missing.measured is None
    photographed = [row for row in rows if row.keys["set"] == "fgnet" and row.measured]
    assert {row.metric for row in photographed} == {"accuracy", "auc", "rank1"}


def test_what_the_years_cost_is_said(preset, runs, tmp_path):
    artefact = gaps.GAPS(preset, compute=False, out=tmp_path)
    told = artefact.model_copy(update={"rows": tuple(gaps.gaps_rows(preset, runs))})
    assert "20.0 points" in gaps.gaps_found(told)
    assert "With AAD they cost 20.0: no difference that these seeds can tell" in gaps.gaps_found(told)
    assert len(gaps.gaps_figure(told).axes) == 2
    assert gaps.GAPS.finding(artefact) == "Students by the years between two pictures: not run yet at this size."


def test_that_years_cost_a_taught_student_less_is_said_where_seeds_show_it():
    def told(far):
        ends = {("self", "0–4"): 90.0, ("self", "30+"): 80.0, ("aad", "0–4"): 91.0, ("aad", "30+"): far}
        rows = [
            Row(
                keys={"backbone": "mobilefacenet", "variant": variant, "gap": gap, "set": "relief-lfw"},
                metric="accuracy",
                measured=student_t({seed: mean + (0.1 * seed if gap == "30+" else 0) for seed in range(3)}),
            )
            for (variant, gap), mean in ends.items()
        ]
        return gaps.gaps_found(gaps.GAPS(load_preset("smoke"), compute=False, out="/nonexistent").model_copy(
            update={"rows": tuple(rows)}))  # fmt: skip

    assert "less, so AAD gains more the more years" in told(88.0) and "gains less" in told(70.0)
    assert "no difference" in told(81.0)


def test_the_gain_of_a_student_is_paired_by_seed(preset, runs):
    (row,) = [one for one in tables.table2_rows(preset, runs) if one.metric == "gain" and one.measured
              and one.keys["set"] == "relief-agedb"]  # fmt: skip
    assert row.measured.mean == pytest.approx(4) and row.keys["gain_of"] == "aad over self"


def test_the_front_leaves_out_whom_another_beats(preset, runs):
    points = {"cheap": (1.0, 80.0), "worse": (2.0, 79.0), "dear": (3.0, 90.0), "equal": (3.0, 89.0)}
    assert gaps.front(points) == ["cheap", "dear"]
    both = {("trained", *key): one for key, one in runs.items()}
    both |= {("cost", "mobilefacenet", name): run(0, {"multiply_adds": 5e6}) for name in ("self", "ad", "aad")}
    rows = list(gaps.pareto_rows(preset, both))
    assert [row.keys["variant"] for row in rows if row.metric == "on the front"] == ["aad"]
    artefact = gaps.PARETO(preset, compute=False, out="/nonexistent").model_copy(update={"rows": tuple(rows)})
    assert gaps.pareto_figure(artefact).axes


def test_files_of_a_student_are_told_by_size_time_and_years(preset, tmp_path):
    times = {"1": {"median": 0.5, "p10": 0.4}, "2": {"median": 0.3, "p10": 0.2}}
    aged = {name: {"all": AGED["0–4"], **AGED} for name in preset.aad.train.relief.pair_lists}

    def file(place):
        return {"megabytes": 0.4 / (1 + place), "latency": times, "gaps": aged}

    files = {name: file(place) for place, name in enumerate(int8.FILES)}
    rows = tuple(int8.int8_rows(preset, {"aad": run(0, {"files": files})}))
    artefact = int8.FILES_OF(preset, compute=False, out=tmp_path)
    assert not any(row.measured for row in artefact.rows)
    told = artefact.model_copy(update={"rows": rows})
    assert "with eight bits 0.133 MB and 0.500 ms" in int8.found(told)
    assert int8.int8_figure(told, {}).axes
    needed = int8.int8_jobs(preset)["aad"].needs["student"]
    assert needed.spec == tables.jobs(preset)["mobilefacenet", "aad", 0].spec
