"""MTLFace's experiments without a training: which runs there are, what their rows say, data building, ageing."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from aifr_lib.data import relief
from aifr_lib.experiments.jobs import in_order
from aifr_lib.experiments.mtlface import (
    ageing,
    building,
    comparison,
    decomposition,
    drawing,
    pilot,
    readings,
    synthesis_rows,
)
from aifr_lib.models import weights
from aifr_lib.reporting.rows import Measured, Row, measured
from aifr_lib.reporting.runs import DataId, Git, Run, RunSpec
from aifr_lib.settings.presets import load_preset
from aifr_lib.settings.recognition import Recognition
from aifr_lib.settings.synthesis_rivals import Caae
from aifr_lib.training import synthesis_rivals

CLASSROOM = load_preset("classroom")
BOUNDS = CLASSROOM.mtlface.judge.bounds


def run_of(scores, seed=0, summary=None):
    spec = RunSpec(recipe="made", recipe_version=1, seed=seed, values={}, data=DataId(name="n", version="1", hash="h"))
    return Run(spec.key, spec, scores, summary or {}, "cpu", {}, Git(), 1.0)


def scores(told, people=3, own=(0, 3, 6)):
    shape = (people, 7)
    return {
        "told": np.broadcast_to(np.asarray(told, np.float32), shape),
        "outside": np.zeros(shape, np.float32),
        "to_source": np.full(shape, 0.9, np.float32),
        "to_truth": np.full(shape, 0.8, np.float32),
        "psnr": np.full(shape, 20, np.float32),
        "ssim": np.full(shape, 0.5, np.float32),
        "identity": np.arange(people),
        "group": np.array(own, np.int8),
    }


def test_the_comparison_shares_judge_first_stage_and_pilot():
    jobs = comparison.TABLE2.jobs(CLASSROOM, None, None)
    assert list(jobs)[:3] == [("judge", 0), ("copy", 0), ("truth", 0)]
    assert len(jobs) == 3 + 4 * 3
    first = {jobs[name, 0].needs["first_stage"].spec.key for name in ("mtlface", "mtlface-without-icm")}
    read = decomposition.DECOMPOSITION.jobs(CLASSROOM, None, None)["both", 0].spec.key
    assert first == {read}
    assert jobs["mtlface", 0].spec.key == pilot.PILOT.jobs(CLASSROOM, None, None)["balanced"].spec.key
    assert jobs["mtlface", 0].spec.key != jobs["mtlface", 1].spec.key
    every = in_order(jobs.values())
    assert sum(job.spec.recipe == "age_judge" for job in every) == 1
    assert sum(job.spec.recipe == "age_estimation" for job in every) == 1


def test_a_method_that_draws_no_face_is_not_said_to_be_beaten():
    noise = {**scores(relief.middles(BOUNDS)), "ssim": np.full((3, 7), 0.01, np.float32)}
    found = {("ipcgan", 0): run_of(noise), ("caae", 0): run_of(scores(relief.middles(BOUNDS)))}
    rows = tuple(comparison.rows(CLASSROOM, found))
    said = comparison.found(SimpleNamespace(rows=rows))
    assert "What IPCGAN drew shows no face: it did not train here" in said and "What CAAE" not in said


def test_methods_see_equally_many_faces():
    asked = CLASSROOM.mtlface
    configs = {name: drawing.method_of(asked, name, 2) for name in comparison.METHODS}
    rivals = [configs[name].train for name in ("caae", "ipcgan")]
    ours = asked.train.synthesis
    assert {(one.batch, one.epochs, one.seed) for one in rivals} == {(ours.batch, ours.epochs, 2)}
    assert {drawing.train_of(one).seed for one in configs.values()} == {2}


def test_a_perfect_method_a_copy_and_the_source_group_are_counted_rightly():
    middles = relief.middles(BOUNDS)
    asked = CLASSROOM.mtlface.judge
    perfect = list(synthesis_rows.method_rows("mtlface", {0: run_of(scores(middles))}, asked))
    always = list(synthesis_rows.method_rows("copy", {0: run_of(scores([5.0] * 7)), 1: run_of(scores([35.0] * 7), 1)},
                                             asked))  # fmt: skip

    def of(rows, name, metric="age_accuracy"):
        return measured(rows, metric, {"set": name})

    assert of(perfect, synthesis_rows.NAME).mean == 100
    assert of(perfect, synthesis_rows.NAME).per_seed == {0: 100}, "one seed is few, and not none"
    assert of(perfect, synthesis_rows.NAME, "age_accuracy_outside").mean == pytest.approx(100 / 7)
    assert of(always, synthesis_rows.NAME).mean == pytest.approx(100 / 7)
    assert set(of(always, synthesis_rows.NAME).per_seed) == {0, 1}
    assert of(always, f"{synthesis_rows.NAME}, 0–10 years").per_seed == {0: 100.0, 1: 0.0}
    # Of three people one is of the youngest group: two in three of the others' 18 targets are told to be of it.
    assert of(always, synthesis_rows.OTHERS).per_seed[0] == pytest.approx(100 * 2 / 18)
    assert of(perfect, synthesis_rows.NAME, "identity_of_truth").mean == pytest.approx(0.8, abs=1e-3)


def test_rows_of_runs_that_are_missing_are_not_run_and_nothing_is_said_of_them():
    rows = list(comparison.rows(CLASSROOM, {}))
    assert rows and all(row.measured is None for row in rows)
    assert {row.keys["method"] for row in rows} == {"judge", *comparison.METHODS, "copy", "truth"}
    rows = list(decomposition.decomposition_rows(CLASSROOM, {}))
    assert {row.metric for row in rows} == {"accuracy", "mae", "corr", "rank1"}
    assert all(row.measured is None for row in rows)


@pytest.mark.parametrize(
    ("mae", "rank1", "emptied"),
    [({"identity": 5.0, "age": 5.0}, {"identity": 50.0, "age": 45.0}, False),
     ({"identity": 18.0, "age": 5.0}, {"identity": 50.0, "age": 0.1}, True)],
)  # fmt: skip
def test_what_a_part_holds_is_held_against_a_guess(mae, rank1, emptied):
    relief_of = CLASSROOM.mtlface.train.recognition.train.relief
    ages = {
        split: relief.labels_only(split, relief_of.test_identities, relief_of.test_per_identity).labels["age"]
        for split in ("validation", "test")
    }
    rows = list(decomposition.guess_rows(CLASSROOM))
    off = (ages["test"] - ages["validation"].median()).abs().mean()
    assert [row.measured.mean for row in rows if row.metric == "mae"] == pytest.approx([off, off], rel=1e-3)
    for part in readings.PARTS:
        for metric, of in (("mae", mae), ("rank1", rank1)):
            keys = {"variant": readings.MAIN, "part": part}
            rows.append(Row(keys=keys, metric=metric, measured=Measured(mean=of[part])))
    said = decomposition.found(SimpleNamespace(rows=rows))
    assert ("empties neither part" in said) is not emptied
    assert f"from the identity part to {mae['identity']:#.3g} years" in said


def test_the_truth_is_the_same_picture_at_another_age(tmp_path, monkeypatch):
    monkeypatch.setenv("AIFR_CACHE", str(tmp_path))
    plan = relief.wide_plan("test", 2, (5.0, 70.0))
    table = plan.table().groupby("identity", sort=False)
    for name in ("yaw", "light_azimuth", "au12", "background_red", "skin_tone"):
        assert (table[name].nunique() == 1).all()
    found = relief.wide("test", size=16, identities=2, ages=(5.0, 70.0), progress=False)
    assert found.truth.shape == (2, 2, 16, 16, 3) and len(found.sources) == 2
    assert (found.truth[:, 0] != found.truth[:, 1]).any()
    others = set(relief.split_plan("test", 2, 6).picture.tolist())
    assert not others & set(plan.picture.tolist())


def table_of(ages, gender="female"):
    return pd.DataFrame({"record": [f"{row}.png" for row in range(len(ages))], "identity": 1, "age": ages,
                         "gender": gender, "doubt": 1.0, "corrected_age": "", "corrected_gender": ""})  # fmt: skip


def test_balance_takes_as_many_of_each_by_a_seed_and_says_so():
    table = table_of([5.0] * 4 + [35.0] * 9).assign(gender=["male", "female"] * 6 + ["male"])
    rows, report = building.chosen(table, seed=3)
    assert (report.set_index(["age", "gender"])["taken"] > 0).sum() == 4 and report["taken"].sum() == 8
    again, _ = building.chosen(table, seed=3)
    other, _ = building.chosen(table, seed=4)
    assert rows.tolist() == again.tolist() != other.tolist()
    _, report = building.chosen(table, per_cell=3)
    taken = report.set_index(["age", "gender"])["taken"]
    assert taken["0–10 years", "male"] == 2 and taken["31–40 years", "male"] == 3


def test_corrections_are_read_and_what_is_wrong_is_named(tmp_path):
    path = tmp_path / "review.csv"
    table = table_of([30.0, 40.0])
    table.loc[0, "corrected_age"] = "12"
    table.loc[1, "corrected_gender"] = "male"
    table.to_csv(path, index=False)
    found = building.corrected(path)
    assert found["age"].tolist() == [12.0, 40.0] and found["gender"].tolist() == ["female", "male"]
    assert found["by_hand"].all()
    for column, value, said in (("corrected_age", "old", "line 2: an age of 0 to 100"),
                                ("corrected_gender", "m", "line 2: female or male")):  # fmt: skip
        table_of([30.0]).assign(**{column: value}).to_csv(path, index=False)
        with pytest.raises(ValueError, match=said):
            building.corrected(path)
    table_of([30.0]).drop(columns="corrected_age").to_csv(path, index=False)
    with pytest.raises(ValueError, match="lacks the columns corrected_age"):
        building.corrected(path)


def test_a_pile_is_reviewed_corrected_and_balanced(tmp_path, monkeypatch):
    folder, out = tmp_path / "pile", tmp_path / "out"
    for person in range(2):
        (folder / f"p{person}").mkdir(parents=True)
        for place in range(3):
            shade = 40 * (person + 1) + 10 * place
            Image.new("RGB", (112, 112), (shade,) * 3).save(folder / f"p{person}" / f"{place}.png")
    monkeypatch.setenv("AIFR_CACHE", str(tmp_path / "cache"))
    ages = [5.0, 35.0, 36.0, 6.0, 37.0, 38.0]

    def estimated(images):
        return table_of(ages).drop(columns=["corrected_age", "corrected_gender"]).assign(
            record=images.labels["record"].to_numpy(), identity=images.labels["identity"].to_numpy()
        )  # fmt: skip

    monkeypatch.setattr(building, "estimated", estimated)
    reviewed = building.review(folder, out, shown=1)
    page = reviewed.page.read_text(encoding="utf-8")
    assert reviewed.pictures == 6 and reviewed.shown == page.count("<figure>") and "http" not in page
    with pytest.raises(FileExistsError, match="may hold corrections"):
        building.review(folder, out)
    report = building.balanced(folder, out, reviewed.table, seed=0)
    lines = (out / "list.txt").read_text(encoding="utf-8").splitlines()
    assert len(lines) == report["taken"].sum() == 4 and all((out / line.split("\t")[1]).is_file() for line in lines)
    pd.read_csv(reviewed.table).iloc[:-1].to_csv(reviewed.table, index=False)
    with pytest.raises(ValueError, match="is not the review of"):
        building.balanced(folder, tmp_path / "other", reviewed.table)
    assert not (tmp_path / "other").exists()


@pytest.fixture
def drawer(tmp_path):
    train = Recognition(input_hw=(32, 32), width=0.125, embedding=8, batch=4, epochs=1, drops=())
    config = Caae(train=train, bounds=(30, 60), code=6, width=0.125)
    torch.manual_seed(0)
    network = synthesis_rivals.models.Caae((32, 32), 3, 6, 0.125)
    path = tmp_path / "weights.safetensors"
    weights.save_weights(network.eval(), path, {"caae": config.model_dump_json(), "data": "none"})
    return path


def test_a_face_is_drawn_at_the_group_that_holds_the_age(tmp_path, drawer):
    face = tmp_path / "face.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (112, 112, 3), dtype=np.uint8)).save(face)
    out = ageing.write(face, 60, drawer)
    assert out == tmp_path / "face-60.png" and Image.open(out).size == (32, 32)
    same, other = ageing.aged(face, 31, drawer), ageing.aged(face, 90, drawer)
    np.testing.assert_array_equal(np.asarray(Image.open(out)), same)
    assert (same != other).any()


def test_what_cannot_be_aged_is_said(tmp_path, drawer):
    face = tmp_path / "face.png"
    Image.new("RGB", (200, 150)).save(face)
    with pytest.raises(ValueError, match="no aligned crop of 112×112 or 32×32: align the photograph first"):
        ageing.aged(face, 30, drawer)
    with pytest.raises(ValueError, match="an age of 0 to 100 years can be asked for, got 130"):
        ageing.aged(face, 130, drawer)
    weights.save_weights(torch.nn.Linear(2, 2), tmp_path / "other.safetensors", {"recognition": "{}"})
    with pytest.raises(ValueError, match="draws no faces"):
        ageing.aged(face, 30, tmp_path / "other.safetensors")


@pytest.mark.parametrize(("kept", "nearer"), [(0.7, True), (0.9, False)])
def test_the_pilot_says_when_a_copy_is_nearer_to_the_true_face_than_what_is_drawn(kept, nearer):
    def row(method, metric, mean):
        return Row(keys={"method": method, "set": "relief-wide"}, metric=metric, measured=Measured(mean=mean))

    rows = [
        row("copy", "age_accuracy", 14.3),
        row("truth", "age_accuracy", 73.0),
        row("balanced", "age_accuracy", 70.0),
        row("copy", "identity_of_truth", 0.8),
        row("balanced", "identity_of_truth", kept),
    ]
    said = pilot.found(SimpleNamespace(rows=rows))
    assert f"it tells 70.0 % (balanced, likeness to the true face {kept:.3f})." in said
    assert (
        "No weighting comes nearer to the true face than a copy, which does not age at all (0.800)." in said
    ) is nearer
