"""Every notebook runs from scratch at smoke size, as a user would run it."""

import json

import nbformat
import pytest

from aifr_lib.experiments import EXPERIMENTS
from aifr_lib.reporting import artefacts, notebooks, scripts
from aifr_lib.settings.presets import load_preset

PHOTOGRAPHS_ALONE = {"children"}  # FG-NET's, which nobody may ship: at smoke there is nothing to run


@pytest.mark.notebook
@pytest.mark.parametrize("name", scripts.scripts())
def test_notebook_runs_from_scratch_at_smoke(name, tmp_path):
    out = tmp_path / "figures"
    done = notebooks.run(name, "smoke", {"out": str(out)}, tmp_path / f"{name}.ipynb", fresh=True)
    assert done.failure is None, done.failure
    notebook = nbformat.read(done.output, as_version=4)
    errors = [o for cell in notebook.cells for o in cell.get("outputs", []) if o.output_type == "error"]
    assert not errors
    for item in notebooks.items_of(name):
        if item in PHOTOGRAPHS_ALONE:
            assert not EXPERIMENTS[item].jobs(load_preset("smoke"), None, None)
            continue
        artefact = artefacts.load(item, "smoke", out)
        assert artefact.verdict in ("not_run", "none"), "a smoke result is never evidence"
        assert (out / item / f"{item}.csv").is_file()
        assert all((out / "_runs" / key / "run.json").is_file() for key in artefact.runs)
    assert "widget-view" not in json.dumps(notebook), "a page without a kernel carries no dead widget"


@pytest.mark.notebook
@pytest.mark.parametrize("name", scripts.scripts())
def test_a_page_whose_results_are_missing_says_so(name, tmp_path):
    asked = {"out": str(tmp_path / "figures"), "compute": False}
    done = notebooks.run(name, "smoke", asked, tmp_path / f"{name}.ipynb")
    assert done.failure is None, done.failure
    cells = nbformat.read(done.output, as_version=4).cells
    assert "not run yet" in json.dumps([cell.get("outputs", []) for cell in cells])
