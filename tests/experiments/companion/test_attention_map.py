"""One face through every map: cells keep their place, the truth is that of the same face, ranks are by hand."""

from types import SimpleNamespace

import matplotlib.pyplot as plt
import numpy as np
import pytest
from scipy.stats import spearmanr

from aifr_lib.data import relief
from aifr_lib.experiments.companion import attention_map
from aifr_lib.experiments.companion.attention_map import AGES, SOURCES, TRUTH
from aifr_lib.faces.relief import regions, sensitivity
from aifr_lib.reporting.artefacts import Artefact
from aifr_lib.reporting.rows import Measured, Row
from aifr_lib.reporting.runs import Git
from aifr_lib.settings.presets import load_preset

PEOPLE, SIZE, SIDE = 2, 48, 6


@pytest.fixture(scope="module")
def runs():
    noise = np.random.default_rng(0).random((PEOPLE * len(AGES), SIDE, SIDE))
    truth = attention_map.changed(PEOPLE, SIZE)
    other = attention_map.looked(PEOPLE, SIZE, lambda pixels: noise)
    return {TRUTH: truth, "split": other}, noise


def test_ranks_are_those_of_cells_inside_the_face(runs):
    (_, (_, other)), noise = runs[0].items(), runs[1]
    faces = relief.aged(PEOPLE, AGES)
    change = sensitivity(faces, "age", SIZE, frame="aligned").numpy()
    face = regions(faces, SIZE, frame="aligned")["face"].numpy()
    cell = SIZE // SIDE
    for row in (0, 7, 11):
        ours, theirs = [], []
        for i, j in np.ndindex(SIDE, SIDE):
            part = np.s_[i * cell : (i + 1) * cell, j * cell : (j + 1) * cell]
            if face[row][part].mean() > 0.05:
                ours.append(noise[row, i, j])
                theirs.append((change[row] * face[row])[part].sum() / face[row][part].sum())
        expected = spearmanr(ours, theirs).statistic
        assert other.scores["rank_corr"][divmod(row, len(AGES))] == pytest.approx(expected, abs=1e-6)


def test_pictures_of_a_person_differ_in_age_alone(runs):
    pixels = runs[0][TRUTH].scores["pixels"].astype(float)
    assert pixels.shape == (PEOPLE, len(AGES), SIZE, SIZE, 3)
    own = np.abs(pixels[:, 1:] - pixels[:, :-1]).mean()
    assert 0 < own < np.abs(pixels[0] - pixels[1]).mean()


def test_what_is_missing_has_no_column_of_pictures_and_says_so(runs):
    found = list(attention_map.rows(load_preset("smoke"), runs[0]))
    assert [row.keys["source"] for row in found] == [source for source in SOURCES if source != TRUTH]
    assert [row.keys["source"] for row in found if row.measured] == ["split"]
    figure = attention_map.at_age(runs[0], 0)
    words = [axis.get_title().replace("\n", " ") for axis in figure.axes if axis.get_title()]
    plt.close(figure)
    assert words == ["the face", SOURCES[TRUTH], SOURCES["split"]]
    frames, labels = attention_map.age_frames({"split": runs[0]["split"]})
    assert len(frames) == len(labels) == len(AGES) and labels[0] == "10 years"
    artefact = SimpleNamespace(rows=found)
    assert "what MTLFace gives to the age" in attention_map.found(artefact)
    assert "age estimator" not in attention_map.found(artefact)


def test_every_map_is_said_and_what_is_open_too():
    numbers = {"age_estimator": (0.1, -0.1, 0.3), "left": (0.1, 0.01, 0.3), "student": (-0.34, -0.5, -0.1),
               "encoder": (-0.004, -0.2, 0.2), "split": (0.2, 0.1, 0.3)}  # fmt: skip
    rows = [
        Row(keys={"source": source}, metric="rank_corr",
            measured=Measured(mean=mean, ci95=(low, high), interval="identities"))
        for source, (mean, low, high) in numbers.items()
    ]  # fmt: skip
    assert set(numbers) == set(attention_map.SAID) == set(SOURCES) - {TRUTH}
    said = attention_map.found(SimpleNamespace(rows=rows))
    assert all(words in said for words in attention_map.SAID.values())
    assert "−0.34 for where the student looks, 0.00 for the attention" in said
    assert "cannot tell for where AAD's age estimator looks and the attention in TML's encoder." in said
    assert "cannot tell" not in attention_map.found(SimpleNamespace(rows=rows[1:3]))


def test_a_run_of_every_map_gives_a_column_in_every_frame(runs):
    every = {source: runs[0][TRUTH if source == TRUTH else "split"] for source in SOURCES}
    figure = attention_map.at_age(every, len(AGES) - 1)
    titles = [axis.get_title().replace("\n", " ") for axis in figure.axes if axis.get_title()]
    plt.close(figure)
    assert titles == ["the face", *SOURCES.values()]


def test_every_map_rests_on_a_network_that_its_paper_trains():
    preset = load_preset("classroom")
    jobs = attention_map.jobs(preset)
    needs = {source: [one.spec.key for one in job.needs.values()] for source, job in jobs.items()}
    assert needs[TRUTH] == [] and needs["age_estimator"] == needs["left"]
    assert [needs[source][0].split("-")[0] for source in ("age_estimator", "student", "encoder", "split")] == [
        "age_estimation", "distillation", "transformer_metric", "mtlface",
    ]  # fmt: skip
    assert jobs["student"].spec.values["network"] == needs["student"][0]
    assert len({job.spec.key for job in jobs.values()}) == len(jobs)


def test_an_artefact_without_runs_says_that_nothing_ran():
    empty = Artefact(id="attention_map", kind="experiment", preset="smoke", seeds=(0,), data=None, device=None,
                     versions={}, git=Git(), wall_s=0, runs=(), rows=(), verdict="not_run")  # fmt: skip
    assert "not run yet" in attention_map.ATTENTION_MAP.finding(empty)
