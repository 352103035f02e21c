"""Tables in the paper's shape: each number has its place, none is lost, and what was not run says so."""

import base64
import csv
import io
import re

import pytest

from aifr_lib.reporting import papers, tables
from aifr_lib.reporting.artefacts import Artefact
from aifr_lib.reporting.rows import Measured, Row
from aifr_lib.reporting.runs import Git
from aifr_lib.reporting.tables import METRIC, Shape

NASTY = "<script>&"


def artefact(rows):
    return Artefact(
        id="tml_table4",
        kind="experiment",
        preset="classroom",
        seeds=(0, 1),
        data=None,
        device="cpu",
        versions={},
        git=Git(),
        wall_s=1.0,
        runs=("a",),
        rows=tuple(rows),
        verdict="none",
    )


def variance(measured):
    """36 rows as Table IV has them, of which the paper prints six."""
    printed = {("arcface", "intra"): 5.39, ("arcface", "inter"): 5.07, ("arcface", "ratio"): 0.94}
    return [
        Row(
            keys={"loss": loss, "form": form, "people": people},
            metric=metric,
            measured=measured,
            paper=printed.get((loss, metric)) if (form, people) == ("raw", "training") else None,
            paper_source="Table IV",
        )
        for people in ("training", "test")
        for form in ("raw", "normalised", "whitened")
        for metric in ("intra", "inter", "ratio")
        for loss in ("arcface", "transformer-arcface")
    ]


TABLE4 = Shape(
    down=("loss",), across=(METRIC,), only={"form": "raw", "people": "training"}, names={"ratio": "inter / intra"}
)


def cells(html, tag="td"):
    return [re.sub("<.*?>", "", cell) for cell in re.findall(f"<{tag}>(.*?)</{tag}>", html)]


def test_a_table_has_the_papers_lines_and_columns_with_both_numbers_in_a_cell():
    html = tables.shaped_table(variance(Measured(mean=6.9558, ci95=(6.329, 7.583), interval="seeds")), TABLE4)
    assert cells(html, "th") == ["loss", "variance within a person", "variance between people", "inter / intra"]
    assert html.count("<tr>") == 3
    assert cells(html)[:2] == ["ArcFace", "6.96 [6.33, 7.58]paper: 5.39"]
    assert cells(html)[4:6] == ["Transformer-ArcFace", "6.96 [6.33, 7.58]"]


def test_every_row_is_folded_below_a_shaped_table_and_can_be_saved():
    html = tables.artefact_table(artefact(variance(Measured(mean=1.0))), TABLE4)
    shown, folded = html.split("<details")
    assert shown.count("<tr>") == 3 and "All 36 numbers" in folded
    assert folded.count("<tr>") == 1 + 36
    name, data = re.search('download="(.*?)" href="data:text/csv;base64,(.*?)"', folded).groups()
    lines = list(csv.reader(io.StringIO(base64.b64decode(data).decode())))
    assert name == "tml_table4.csv" and len(lines) == 1 + 36
    assert lines[0][:4] == ["loss", "form", "people", "metric"] and lines[1][-2:] == ["5.39", "Table IV"]


def test_a_short_table_without_a_shape_is_shown_whole_and_a_long_one_is_folded():
    assert "<details" not in tables.artefact_table(artefact(variance(None)[:12]))
    html = tables.artefact_table(artefact(variance(None)))
    assert html.startswith("<details")


def test_what_was_not_run_says_so_in_its_cell():
    html = tables.shaped_table(variance(None), TABLE4)
    assert cells(html)[1] == "not runpaper: 5.39" and cells(html)[5] == "not run"


def test_what_is_undefined_says_so_in_its_cell_and_in_the_long_table():
    rows = [row.model_copy(update={"undefined": True}) for row in variance(None)]
    assert cells(tables.shaped_table(rows, TABLE4))[1] == "undefinedpaper: 5.39"
    every = cells(tables.every_row(rows))
    assert "undefined" in every and "not run" not in every


def students(measured):
    """Rows of two students, of which one was taught in one way alone, and of a set on which nobody was measured."""
    names = [("small", "alone"), ("small", "alone, for longer"), ("large", "alone")]
    rows = [
        Row(keys={"backbone": backbone, "variant": variant, "set": name}, metric="accuracy",
            measured=Measured(mean=90.0) if (backbone, variant, name) in measured else None,
            paper=99.5 if backbone == "large" and name == "relief-lfw" else None, paper_source="Table II")
        for backbone, variant in names for name in ("relief-lfw", "fgnet")
    ]  # fmt: skip
    return rows, Shape(down=("backbone", "variant"), across=("set",))


def test_lines_without_a_result_follow_in_one_sentence_that_unfolds_where_the_paper_has_numbers():
    rows, shape = students({("small", "alone", "relief-lfw")})
    html = tables.shaped_table(rows, shape)
    first, rest = html.split("<details", 1)
    assert cells(first) == ["small", "alone", "90.0"], "neither what was not run nor a column without a number"
    assert "Not run here: small (alone, for longer); large (alone). What the paper prints of them" in rest
    assert "paper: 99.5" in rest
    html = tables.shaped_table(rows[:4], shape)
    assert "<details" not in html and "Not run: small (alone, for longer).</p>" in html


def test_a_table_of_which_nothing_was_run_stands_whole():
    rows, shape = students(set())
    assert cells(tables.shaped_table(rows, shape)).count("not run") == 5


def test_a_place_that_no_row_has_is_a_dash_and_several_values_of_a_key_are_shown():
    rows = [
        Row(keys={"data": "orl", "gap": "all"}, metric="rank-1", measured=Measured(mean=99.123)),
        Row(keys={"data": "fgnet", "gap": "all"}, metric="EER", measured=Measured(mean=0.0)),
        Row(keys={"data": "fgnet", "gap": "0–4"}, metric="EER", measured=Measured(mean=1.0)),
        Row(keys={"data": "fgnet", "gap": "all"}, metric="probes", measured=Measured(mean=1002)),
    ]
    shape = Shape(down=("data",), across=(METRIC,), only={"gap": "all", METRIC: ("rank-1", "EER")})
    html = tables.shaped_table(rows, shape)
    assert cells(html, "th") == ["data", "rank-1, %", "equal error rate, %"]
    assert cells(html) == ["ORL", "99.1", "–", "FG-NET", "–", "0"]


def test_a_number_at_the_head_of_a_column_says_what_it_is():
    rows = [Row(keys={"lr": 0.1, "alpha": alpha, "set": "relief-lfw"}, metric="accuracy") for alpha in (0.0, 0.4)]
    html = tables.shaped_table(rows, Shape(down=("lr",), across=("alpha", "set")))
    assert cells(html, "th") == ["learning rate", "α = 0, random relief pairs", "α = 0.4, random relief pairs"]
    aged = [Row(keys={"lr": 0.1, "age": 8}, metric="accuracy")]
    assert cells(tables.shaped_table(aged, Shape(down=("lr",), across=("age",))), "th")[1] == "age 8 years"


def test_an_interval_of_people_who_all_succeed_is_marked_as_another_rule():
    alike = Measured(mean=100.0, ci95=(91.2, 100.0), interval="identities")
    mixed = Measured(mean=99.9, ci95=(99.7, 100.0), interval="identities")
    rows = [Row(keys={"data": name}, metric="rank-1", measured=one) for name, one in (("a", alike), ("b", mixed))]
    html = tables.artefact_table(artefact(rows))
    assert "100 [91.2, 100]†" in html and "99.9 [99.7, 100]<" in html
    assert "†: all succeed or all fail" in html
    assert "†" not in tables.artefact_table(artefact(rows[1:]))


def test_the_long_table_sets_ours_beside_the_papers_and_escapes():
    measured = Measured(mean=91.234, ci95=(90.0, 92.5), interval="seeds", per_seed={0: 91.234})
    rows = [
        Row(keys={"alpha": 0.4}, metric="accuracy", measured=measured, paper=99.38, paper_source=NASTY),
        Row(keys={"set": NASTY}, metric=NASTY),
    ]
    html = tables.artefact_table(artefact(rows))
    assert NASTY not in html
    for part in (
        "91.2 [90.0, 92.5]",
        "99.38",
        "not run",
        "verification accuracy, %",
        "Student’s t over seeds",
        "α",
    ):
        assert part in html
    assert html.count("<tr>") == 3
    shaped = tables.shaped_table(rows, Shape(down=("set",), across=(METRIC,)))
    assert NASTY not in shaped and "&lt;script&gt;" in shaped


def test_a_column_that_no_row_fills_is_left_out():
    alone = Row(keys={"set": "relief-lfw"}, metric="accuracy", measured=Measured(mean=91.2, ci95=None))
    beside = Row(keys={"set": "relief-agedb"}, metric="accuracy", paper=99.38, paper_source="Table I")
    assert cells(tables.every_row([alone]), "th") == ["pairs", "measure", "ours [95 % interval]"]
    html = tables.every_row([alone, beside])
    assert "the paper, on its own data" in html and "seeds" not in cells(html, "th")
    assert html.count("<td>") == 2 * html.count("<th>") == 8


def test_an_empty_table_is_still_a_table():
    assert "<tbody></tbody>" in tables.artefact_table(artefact([]))


@pytest.mark.parametrize("shape", [TABLE4, Shape(down=(METRIC,), across=("loss", "form"))])
def test_no_row_that_a_shape_shows_is_lost(shape):
    rows = [row for row in variance(None) if shape.shows(row)]
    table = tables.shaped_table(rows, shape)
    assert table.count("not run") == (len(rows) if shape is TABLE4 else len(rows) // 2)


def test_settings_stand_in_full_and_measurements_in_three_digits():
    rows = [Row(keys={"setting": "batch"}, metric="value", measured=Measured(mean=10.0), paper=512.0, paper_source="p")]
    shape = Shape(down=("setting",), across=(METRIC,))
    assert ">10</strong>" in tables.shaped_table(rows, shape, exact=True)
    assert ">10.0</strong>" in tables.shaped_table(rows, shape)
    assert "paper: 512<" in tables.shaped_table(rows, shape)


@pytest.mark.parametrize("id", papers.tables())
def test_columns_of_a_printed_table_are_words(id):
    frame = tables.printed_frame(id)
    assert len(frame.columns) == len(set(frame.columns)) == len(papers.load(id).columns)
    assert not [name for name in frame.columns if "_" in name]
    assert not [cell for cell in frame.to_numpy().ravel() if cell is None or isinstance(cell, bool)]


def test_all_numbers_have_the_words_of_the_table_above_them():
    rows = [Row(keys={"how": "c", "set": "edema-a"}, metric="mae", measured=Measured(mean=1.0))]
    html = tables.every_row(rows, Shape(("how",), ("set",), names={"c": "a fresh layer", "how": "fine-tuned with"}))
    assert cells(html, "th")[:2] == ["fine-tuned with", "pairs"]
    assert cells(html)[:2] == ["a fresh layer", "weight, first ward"]


def test_a_grouped_table_names_its_first_key_once_above_its_lines():
    rows = [
        Row(keys={"who": who, "when": age}, metric="mae", measured=Measured(mean=1.0))
        for who in ("a", "b")
        for age in ("young", "old")
    ]
    html = tables.shaped_table(rows, Shape(("who", "when"), (METRIC,), grouped=True))
    assert cells(html, "th") == ["when", "mean absolute error"] and html.count('<th colspan="2">') == 2
    assert [cell for cell in cells(html) if cell in ("young", "old")] == ["young", "old"] * 2
    assert re.findall("<th colspan.*?>(.*?)</th>", html) == ["a", "b"]
