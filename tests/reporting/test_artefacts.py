import csv
import json

import pytest
from matplotlib.figure import Figure

from aifr_lib.names import ConfigError
from aifr_lib.reporting import artefacts
from aifr_lib.reporting.artefacts import Artefact
from aifr_lib.reporting.rows import Measured, Row
from aifr_lib.reporting.runs import DataId, Git


def artefact(rows=(), preset="classroom", verdict="none", **changes):
    values = {
        "id": "tml_fig6",
        "kind": "experiment",
        "preset": preset,
        "seeds": (0, 1),
        "data": DataId(name="relief faces", version="relief-v0", hash="ab"),
        "device": "cpu",
        "versions": {"python": "3.11"},
        "git": Git(sha="a" * 40, dirty=False),
        "wall_s": 1.5,
        "runs": ("recognition-s0-0", "recognition-s1-0"),
        "rows": tuple(rows),
        "verdict": verdict,
    }
    return Artefact.model_validate({**values, **changes})


ROWS = (
    Row(
        keys={"alpha": 0.4, "set": "relief-lfw"},
        metric="accuracy",
        measured=Measured(mean=91.0, ci95=(90.0, 92.0), interval="seeds", per_seed={0: 90.5, 1: 91.5}),
        paper=99.38,
        paper_source="Table I, “quoted”, with a comma",
    ),
    Row(keys={"alpha": 0.5, "pairs": 6000}, metric="accuracy"),
)


def test_round_trip_is_exact(tmp_path):
    written = artefact(ROWS)
    folder = artefacts.save(written, tmp_path)
    assert artefacts.load("tml_fig6", "classroom", tmp_path) == written
    assert sorted(path.name for path in folder.iterdir()) == ["tml_fig6.csv", "tml_fig6.json"]


def test_csv_is_flat_with_blanks_for_what_is_missing(tmp_path):
    folder = artefacts.save(artefact(ROWS), tmp_path)
    with (folder / "tml_fig6.csv").open(newline="", encoding="utf-8") as file:
        header, first, second = csv.reader(file)
    assert header == ["alpha", "set", "pairs", "metric", "mean", "lo", "hi", "n", "paper", "paper_source"]
    assert first == [
        *("0.4", "relief-lfw", "", "accuracy", "91.0", "90.0", "92.0", "2", "99.38"),
        "Table I, “quoted”, with a comma",
    ]
    assert second == ["0.5", "", "6000", "accuracy", "", "", "", "", "", ""]


def test_without_a_figure_none_of_another_day_is_left(tmp_path):
    folder = artefacts.save(artefact(), tmp_path, Figure())
    assert (folder / "tml_fig6.png").is_file()
    artefacts.save(artefact(), tmp_path)
    assert sorted(path.name for path in folder.iterdir()) == ["tml_fig6.csv", "tml_fig6.json"]


def test_frames_are_numbered_and_old_ones_go(tmp_path):
    folder = artefacts.save(artefact(), tmp_path, frames=["<svg/>", b"\x89PNG\r\n\x1a\n", "<svg/>"])
    assert sorted(path.name for path in (folder / "frames").iterdir()) == ["00.svg", "01.png", "02.svg"]
    artefacts.save(artefact(), tmp_path, frames=["<svg/>"])
    assert [path.name for path in (folder / "frames").iterdir()] == ["00.svg"]


@pytest.mark.parametrize("where", ["mean", "paper", "wall_s"])
@pytest.mark.parametrize("number", ["NaN", "Infinity"])
def test_numbers_that_are_not_finite_are_refused_on_read(tmp_path, where, number):
    path = artefacts.save(artefact(ROWS), tmp_path) / "tml_fig6.json"
    text = path.read_text(encoding="utf-8")
    old = {"mean": '"mean": 91.0', "paper": '"paper": 99.38', "wall_s": '"wall_s": 1.5'}[where]
    assert old in text
    path.write_text(text.replace(old, f'"{where}": {number}'), encoding="utf-8")
    with pytest.raises(ConfigError, match=where):
        artefacts.load("tml_fig6", "classroom", tmp_path)


def test_numbers_that_are_not_finite_are_refused_on_write():
    with pytest.raises(ValueError, match="finite"):
        Measured(mean=float("nan"))
    with pytest.raises(ValueError, match="finite"):
        Measured(mean=1.0, per_seed={0: float("inf")})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda v: v.update(sedes=[0]), "unknown key 'sedes'; did you mean 'seeds'"),
        (lambda v: v.update(kind="experimnt"), "kind"),
        (lambda v: v.update(preset="classrom"), "did you mean 'classroom'"),
        (lambda v: v.pop("git"), "git"),
        (lambda v: v["rows"][0]["measured"].update(mean=95.0), "is not the mean"),
        (lambda v: v["rows"][0]["measured"].update(ci95=[2.0, 1.0]), "backwards"),
        (lambda v: v["rows"][0].update(paper_source=None), "paper_source"),
        (lambda v: v["rows"][1].update(keys={"mean": 3}), "columns"),
        (lambda v: v["rows"].append(v["rows"][0]), "two rows"),
        (lambda v: v.update(preset="smoke", verdict="supported"), "never gives a verdict"),
    ],
)
def test_a_file_against_the_schema_is_refused_with_its_name(tmp_path, change, message):
    path = artefacts.save(artefact(ROWS), tmp_path) / "tml_fig6.json"
    values = json.loads(path.read_text(encoding="utf-8"))
    change(values)
    path.write_text(json.dumps(values), encoding="utf-8")
    with pytest.raises(ConfigError, match=message) as error:
        artefacts.load("tml_fig6", "classroom", tmp_path)
    assert str(path) in str(error.value)


def test_missing_broken_and_misplaced_files(tmp_path):
    with pytest.raises(FileNotFoundError, match="aifr reproduce tml_fig6 --preset classroom"):
        artefacts.load("tml_fig6", "classroom", tmp_path)
    path = artefacts.save(artefact(ROWS), tmp_path) / "tml_fig6.json"
    with pytest.raises(ConfigError, match="holds 'tml_fig6' at 'classroom'"):
        artefacts.load("tml_fig6", "lesson", tmp_path)
    path.write_text(path.read_text(encoding="utf-8")[:100], encoding="utf-8")
    with pytest.raises(ConfigError, match="is not JSON"):
        artefacts.load("tml_fig6", "classroom", tmp_path)
    path.write_text("[]", encoding="utf-8")
    with pytest.raises(ConfigError, match="expected one artefact"):
        artefacts.load("tml_fig6", "classroom", tmp_path)


def test_stale_names_the_runs_that_no_longer_count():
    assert artefacts.stale(artefact(), ["recognition-s0-0", "recognition-s1-0", "new"]) == ()
    assert artefacts.stale(artefact(), ["recognition-s0-0"]) == ("recognition-s1-0",)


def test_seeds_survive_json_as_numbers(tmp_path):
    artefacts.save(artefact(ROWS), tmp_path)
    assert artefacts.load("tml_fig6", "classroom", tmp_path).rows[0].measured.per_seed == {0: 90.5, 1: 91.5}
