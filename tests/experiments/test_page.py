import re
from dataclasses import replace

import numpy as np
import pytest
from matplotlib.figure import Figure

from aifr_lib.experiments import page
from aifr_lib.experiments.jobs import TOO_FEW, Experiment, Job
from aifr_lib.reporting.rows import Measured, Row
from aifr_lib.reporting.runs import DataId, Result, RunSpec
from aifr_lib.reporting.tables import METRIC, Shape


@pytest.fixture
def shown(monkeypatch):
    """The HTML and Markdown of everything a page displays."""
    parts = []
    monkeypatch.setattr(page, "display", lambda *given: parts.extend(one.data for one in given))
    return parts


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("AIFR_CACHE", str(tmp_path / "cache"))


def spec(seed):
    data = DataId(name="none", version="1", hash="0")
    return RunSpec(recipe="stand_in", recipe_version=1, seed=seed, values={}, data=data)


def result(value):
    return Result({"s": np.zeros(2)}, {"value": value}, "cpu", 1.0)


def experiment(id="tml_fig6", value=90.0):
    def rows(preset, runs):
        one = runs.get(0)
        found = Measured(mean=one.summary["value"]) if one else None
        yield Row(keys={"alpha": 0.4, "set": "relief-lfw"}, metric="accuracy", measured=found)

    return Experiment(
        id,
        lambda preset, seeds, device: {0: Job(spec(0), lambda _: result(value))},
        rows,
        lambda artefact, runs: Figure(),
        found=lambda artefact: f"It is right on {artefact.rows[0].measured.mean:.0f} %.",
        shape=Shape(down=("set",), across=(METRIC,)),
    )


@pytest.mark.parametrize(("preset", "said"), [("smoke", 1), ("lesson", 1), ("classroom", 0), ("paper", 0)])
def test_a_page_of_a_small_size_opens_with_a_banner(preset, said, shown):
    assert page.open_page(preset).settings.name == preset
    assert len(shown) == said


def test_a_page_opens_with_the_sentence_the_picture_and_the_verdicts(tmp_path, shown):
    experiment()(page.open_page("classroom").settings, out=tmp_path)
    page.open_page("classroom", compute=False, out=tmp_path).opening(experiment())
    (opening,) = shown
    places = [opening.index(mark) for mark in ("It is right on 90 %.", "<img ", "aifr-claim", "aifr-verdict")]
    assert places == sorted(places)
    assert re.search('alt="Verification accuracy against α', opening)


def test_before_anything_was_run_a_page_says_so_and_draws_nothing(tmp_path, shown):
    opened = page.open_page("classroom", compute=False, out=tmp_path)
    opened.opening(experiment())
    assert "What was found" not in shown[0] and "aifr-none" in shown[0]
    assert opened.result(experiment()).runs == ()
    opened.table(experiment())
    assert ["not run yet" in part for part in shown] == [True, True]
    assert not any("<img" in part or "<table" in part for part in shown)


def test_a_run_that_fills_no_row_yet_is_said_to_be_missing_and_draws_nothing(tmp_path, shown):
    def drawn(artefact, runs):
        raise AssertionError("empty axes")

    waiting = replace(
        experiment(), rows=lambda preset, runs: [Row(keys={"alpha": 0.4}, metric="accuracy")], figure=drawn
    )
    assert not waiting(page.open_page("classroom").settings, out=tmp_path).has_results
    opened = page.open_page("classroom", compute=False, out=tmp_path)
    opened.opening(waiting)
    opened.table(waiting)
    assert ["not run yet" in part for part in shown] == [True, True]


def test_too_few_numbers_for_a_sentence_are_no_finding(tmp_path, shown):
    few = replace(experiment(), found=lambda artefact: "")
    few(page.open_page("classroom").settings, out=tmp_path)
    page.open_page("classroom", compute=False, out=tmp_path).opening(few)
    assert f": {TOO_FEW}" in shown[0] and "What was found" not in shown[0]


def test_what_a_live_page_computes_is_shown_where_it_was_computed_and_once(tmp_path, shown):
    opened = page.open_page("classroom", out=tmp_path)
    opened.opening(experiment())
    assert "not run yet" in shown[-1]
    opened.result(experiment())
    assert "It is right on 90 %." in shown[-1] and len(shown) == 2
    opened.result(experiment())
    assert len(shown) == 2, "nothing new, nothing shown again"
    page.open_page("classroom", out=tmp_path).opening(experiment())
    assert "It is right on 90 %." in shown[-1]


def test_several_experiments_open_a_page_with_their_sentences_alone(tmp_path, shown):
    both = experiment(), experiment("tml_table4")
    settings = page.open_page("classroom").settings
    both[0](settings, out=tmp_path)
    page.open_page("classroom", compute=False, out=tmp_path).opening(*both)
    (opening,) = shown
    assert opening.count("It is right on 90 %.") == 2, "both rest on the one run that is there"
    assert "<img" not in opening and "aifr-claim" not in opening


def test_a_table_stands_in_its_shape_with_how_it_was_made(tmp_path, shown):
    opened = page.open_page("classroom", out=tmp_path)
    opened.result(experiment())
    opened.table(experiment())
    assert "random relief pairs" in shown[-1] and "All 1 numbers" in shown[-1]
    assert "aifr show tml_fig6 --preset classroom" in shown[-1]


def test_a_shown_result_keeps_the_commit_that_it_was_written_with(tmp_path):
    opened = page.open_page("classroom", out=tmp_path)
    written = opened.result(experiment())
    path = tmp_path / "tml_fig6" / "tml_fig6.json"
    other = written.model_copy(update={"git": written.git.model_copy(update={"sha": "f" * 40, "dirty": False})})
    path.write_text(other.model_dump_json(), encoding="utf-8")
    shown = page.open_page("classroom", compute=False, out=tmp_path)
    assert shown.result(experiment()).git.sha == "f" * 40
    stale = other.model_copy(update={"rows": ()})
    path.write_text(stale.model_dump_json(), encoding="utf-8")
    assert shown.result(experiment()).rows == written.rows


def test_what_is_concluded_is_a_paragraph_each_and_nothing_where_nothing_is_said(shown):
    opened = page.open_page("classroom")
    opened.conclude("", "")
    assert shown == []
    opened.conclude("One.", "", "Two.")
    assert shown == ["One.\n\nTwo."]


def test_a_page_does_not_conclude_with_what_it_opened_with(tmp_path, shown):
    experiment()(page.open_page("classroom").settings, out=tmp_path)
    opened = page.open_page("classroom", compute=False, out=tmp_path)
    opened.opening(experiment())
    opened.conclude("It is right on 90 %.", "So it learned something.")
    assert shown[1:] == ["So it learned something."]


def test_lines_of_the_library_are_shown_as_code_a_method_at_the_left_edge(shown):
    page.open_page("classroom").source(Measured._consistent, replace)
    (code,) = shown
    assert code.startswith("```python\n@") and code.endswith("\n```")
    assert next(line for line in code.splitlines() if line.startswith("def ")).startswith("def _consistent(")
    assert "\n\ndef replace(" in code
