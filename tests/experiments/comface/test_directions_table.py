import numpy as np
import pytest

from aifr_lib.experiments.comface import directions_table
from aifr_lib.experiments.generator import edit_rows
from aifr_lib.experiments.generator.edit_rows import EACH, FOUND
from aifr_lib.faces.generators.directions import Direction, found_directions
from aifr_lib.reporting import papers
from aifr_lib.reporting.artefacts import Artefact
from aifr_lib.reporting.rows import Measured
from aifr_lib.reporting.runs import Git, Run


@pytest.fixture(autouse=True)
def directions(monkeypatch):
    made = {name: Direction(name, np.eye(2)[0], 1.0, {"r": 0.5, "reading": name}) for name in ("age", "yaw", "gender")}
    monkeypatch.setattr(directions_table, "found_directions", lambda: made)
    return made


@pytest.fixture
def run():
    """Three people, two of whom grow older along α to the second judge; the third not at all."""
    alpha = np.tile([-5.0, -3.0, 0.0, 3.0, 5.0], 3)
    person = np.repeat([1, 2, 3], 5)
    second = np.where(person < 3, 40 + 3 * alpha, 40.0)
    rest = {name: np.zeros(15) for name in ("told", "smile", "width", "yaw", "gender")}
    scores = {"alpha": alpha, "person": person, "second": second, "same": np.ones(15), "other": np.zeros(3), **rest}
    return Run("k", None, scores, {}, "cpu", {}, Git(), 1.0)


def artefact(rows):
    nothing = {"data": None, "device": None, "versions": {}, "git": Git(), "wall_s": 0, "runs": (), "seeds": ()}
    return Artefact(id="comface_tableA", kind="settings", preset="smoke", rows=rows, verdict="none", **nothing)


def test_each_of_the_papers_rows_has_a_counterpart_that_it_prints(directions):
    printed = {row["attribute"] for row in papers.load("comface_tableA").rows}
    assert {theirs for theirs, _ in directions_table.COUNTERPARTS.values()} == printed
    assert {one.about["reading"] for one in found_directions().values()} <= set(directions_table.READINGS)


def test_a_line_holds_the_papers_words_and_our_numbers(run):
    rows = [
        row
        for name, found in (("age", run), ("yaw", None), ("gender", None))
        for row in directions_table.source_rows(name, found)
    ]
    by_metric = {row.metric: row for row in rows if row.keys["here"] == "age"}
    assert by_metric[FOUND].keys["boundary"] == "stylegan_ffhq_age_w_boundary.npy"
    assert by_metric[FOUND].measured.mean == 0.5
    assert by_metric[EACH].measured.mean == pytest.approx(2 / 3)
    frame = directions_table.table_frame(artefact(rows)).set_index("direction")
    assert frame.loc["age", "found with: r, cross-validated"] == "age judge: 0.50"
    certified = frame[directions_table.CERTIFIED]
    assert certified["age"].startswith("not certified: second age judge, years: 0.67 [")
    assert certified["age"].endswith("], but 0.7 at least is asked of the interval")
    assert certified["yaw"] == "not certified: not run"
    assert certified["gender"] == directions_table.NOBODY
    pooled = frame["the same, pooled over people"]
    assert pooled["age"].startswith("0.") and pooled["yaw"] == "–"
    assert frame.loc["age", "in the paper"].replace("\u200b", "").endswith(": stylegan_ffhq_age_w_boundary.npy")
    assert frame.loc["yaw", "in the paper"] == "–"


def test_a_direction_is_certified_by_the_lower_end_of_its_interval(run):
    def row(low):
        return Measured(mean=0.9, ci95=(low, 0.95), interval="identities")

    assert edit_rows.certified(row(edit_rows.LEAST)) and not edit_rows.certified(row(edit_rows.LEAST - 0.01))
    assert not edit_rows.certified(None) and not edit_rows.certified(Measured(mean=0.9))
    run.scores["second"] = 40 + 3 * run.scores["alpha"]
    frame = directions_table.table_frame(artefact(list(directions_table.source_rows("age", run))))
    assert frame[directions_table.CERTIFIED][0] == "second age judge, years: 1.00 [1.00, 1.00]"
