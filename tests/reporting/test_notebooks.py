"""Executing notebooks: what is written, what is skipped, what a failure leaves and says."""

from __future__ import annotations

import json
import os
from pathlib import Path

import nbformat
import pytest

from aifr_lib.names import ConfigError
from aifr_lib.reporting import notebooks

HEADER = '# %% tags=["parameters"]\npreset = "smoke"\ncount = 3\nfresh = False\nout = None\ncompute = True\n\n'
GOOD = HEADER + '# %% tags=["hide-input"]\nprint(preset, count, fresh)\n\n# %% [markdown]\n# text\n'
BAD = HEADER + "# %%\n1 + 1\n\n# %%\nraise RuntimeError('no luck')\n\n# %%\nprint('never')\n"


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "_toc.yml").touch()
    for name, text in {"good": GOOD, "bad": BAD}.items():
        (tmp_path / "notebooks" / f"{name}.py").write_text(text)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(notebooks, "items_of", lambda name: ["figure"] if name == "good" else [])
    return tmp_path


def test_a_run_writes_one_notebook_and_a_second_finds_nothing_to_do(checkout: Path) -> None:
    lines: list[str] = []
    done = notebooks.run("good", "smoke", {"count": "7"}, progress=lines.append)
    assert done.failure is None and not done.skipped
    assert done.output == checkout / "build" / "notebooks" / "smoke" / "good.ipynb"
    assert [path.name for path in done.output.parent.iterdir()] == ["good.ipynb"]
    assert [path.name for path in (checkout / "notebooks").iterdir() if path.suffix != ".py"] == []
    assert lines[:-1] == [f"good: cell {k}/3" for k in (1, 2, 3)] and lines[-1].startswith("good: done")

    notebook = nbformat.read(done.output, as_version=4)
    declared, injected, shown = (cell for cell in notebook.cells if cell.cell_type == "code")
    assert shown.outputs[0].text == "smoke 7 False\n"
    assert "remove-cell" in declared.metadata.tags and "remove-cell" in injected.metadata.tags
    assert "remove-cell" not in shown.metadata.tags and shown.metadata.jupyter.source_hidden

    again = notebooks.run("good", "smoke", {"count": 7})
    assert again.skipped and again.output == done.output
    assert not notebooks.up_to_date("good", "smoke", {"count": 8})
    assert not notebooks.up_to_date("good", "paper", {"count": 7})

    fresh = notebooks.run("good", "smoke", {"count": 7}, fresh=True)
    assert not fresh.skipped
    assert "smoke 7 True" in fresh.output.read_text()
    assert notebooks.up_to_date("good", "smoke", {"count": 7}), "a fresh run must count as the plain one"


@pytest.fixture
def executed(checkout: Path) -> Path:
    """The notebook 'good' as an execution leaves it, without the seconds a kernel takes."""
    figure = checkout / "figures" / "smoke" / "figure" / "figure.json"
    figure.parent.mkdir(parents=True)
    figure.write_text('{"runs": ["a"]}')
    for key in ("a", "b"):
        (checkout / "figures" / "smoke" / "_runs" / key).mkdir(parents=True)
    made_from = notebooks._made_from("good", "smoke", {"preset": "smoke"})
    notebooks._publish(notebooks.derive(notebooks.script("good")), made_from, notebooks.default_output("good", "smoke"))
    assert notebooks.up_to_date("good", "smoke")
    return checkout


@pytest.mark.parametrize("change", ["script", "artefact", "no artefact", "run", "damaged", "gone"])
def test_whatever_it_was_made_from_makes_it_old(executed: Path, change: str) -> None:
    output = notebooks.default_output("good", "smoke")
    figure = executed / "figures" / "smoke" / "figure" / "figure.json"
    if change == "script":
        (executed / "notebooks" / "good.py").write_text(GOOD + "\n# %%\n2\n")
    elif change == "artefact":
        figure.write_text('{"runs": ["a"], "rows": []}')
    elif change == "no artefact":
        figure.unlink()
    elif change == "run":
        (executed / "figures" / "smoke" / "_runs" / "a").rmdir()
    elif change == "damaged":
        output.write_text(output.read_text()[:100])
    else:
        output.unlink()
    assert not notebooks.up_to_date("good", "smoke")


def test_a_foreign_run_makes_old_only_a_page_that_shows_what_is_there(executed: Path) -> None:
    page = executed / "page.ipynb"
    shown = {"compute": False}
    made_from = notebooks._made_from("good", "smoke", {**shown, "preset": "smoke"})
    notebooks._publish(notebooks.derive(notebooks.script("good")), made_from, page)
    assert notebooks.up_to_date("good", "smoke", shown, page)
    (executed / "figures" / "smoke" / "_runs" / "c").mkdir()
    assert notebooks.up_to_date("good", "smoke")
    assert not notebooks.up_to_date("good", "smoke", shown, page)


def test_a_failure_says_where_and_why_and_keeps_the_old_notebook(checkout: Path) -> None:
    old = notebooks.default_output("bad", "smoke")
    old.parent.mkdir(parents=True)
    old.write_text("the last good one")
    done = notebooks.run("bad", "smoke")
    assert done.failure is not None
    assert (done.failure.cell, done.failure.cells) == (4, 5)
    assert done.failure.reason == "RuntimeError: no luck"
    assert old.read_text() == "the last good one"
    half = json.loads(done.failure.notebook.read_text())
    assert "2" in str(half) and "never\\n" not in str([cell.get("outputs") for cell in half["cells"]])


def test_a_notebook_that_hangs_is_stopped(checkout: Path) -> None:
    (checkout / "notebooks" / "hang.py").write_text(HEADER + "# %%\nimport time\ntime.sleep(600)\n")
    done = notebooks.run("hang", "smoke", timeout=0.05)
    assert done.failure is not None and done.failure.reason == "stopped after 0.05 minutes"


def test_several_jobs_go_on_after_a_failure_and_share_the_processors(checkout: Path) -> None:
    (checkout / "notebooks" / "good.py").write_text(HEADER + "# %%\nimport os\nprint(os.environ['OMP_NUM_THREADS'])\n")
    tasks = [notebooks.Task("bad", "smoke"), notebooks.Task("good", "smoke", {"count": 9})]
    bad, good = notebooks.run_all(tasks, jobs=2)
    assert (bad.name, good.name) == ("bad", "good")
    assert bad.failure is not None and good.failure is None
    threads = max(1, (os.cpu_count() or 1) // 2)
    assert f'"{threads}\\n"' in good.output.read_text()


def test_an_unknown_parameter_is_refused_before_anything_runs(checkout: Path) -> None:
    tasks = [notebooks.Task("good", "smoke"), notebooks.Task("bad", "smoke", {"cuont": 1})]
    with pytest.raises(ConfigError, match="notebook 'bad' has no parameter 'cuont'; did you mean 'count'"):
        notebooks.run_all(tasks)
    assert not (checkout / "build").exists()


def test_a_relative_out_is_the_callers(checkout: Path) -> None:
    assert notebooks._values("good", "smoke", {"out": "here"})["out"] == str(checkout / "here")


def test_progress_bars_leave_no_trace_but_warnings_do(checkout: Path) -> None:
    text = HEADER + "# %%\nimport sys\nfrom tqdm import tqdm\nfor _ in tqdm(range(3)): pass\n"
    text += "# %%\nprint('mind the gap', file=sys.stderr)\n"
    (checkout / "notebooks" / "good.py").write_text(text)
    notebook = nbformat.read(notebooks.run("good", "smoke").output, as_version=4)
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    assert [output.text for output in outputs] == ["mind the gap\n"]


def test_bars_are_told_while_a_cell_runs_and_warnings_are_not(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notebooks, "BAR_EVERY", 0.0)
    text = HEADER + "# %%\nimport sys\nfrom aifr_lib.progress import tqdm\n"
    text += "for _ in tqdm(range(3), desc='train'): pass\nprint('mind the gap', file=sys.stderr)\n"
    (checkout / "notebooks" / "good.py").write_text(text)
    lines: list[str] = []
    assert notebooks.run("good", "smoke", progress=lines.append).failure is None
    bars = [line for line in lines if "cell" not in line and "done" not in line]
    assert bars and all(line.startswith("good: train: ") and "%|" in line for line in bars)


def test_bars_keep_quiet_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    lines: list[str] = []
    now = iter([0.0, 3.0, 11.0, 11.0, 12.0])
    monkeypatch.setattr(notebooks.time, "monotonic", lambda: next(now))
    bars = notebooks._Bars("page", lines.append)
    for text in ("\rtrain:  10%|# |", "\rtrain:  20%|##|\rtrain:  30%|##|", "\rtrain:  40%|##|", "no bar"):
        bars.write(text)
    assert lines == ["page: train:  30%|##|"]


def test_cells_for_a_live_kernel_are_left_out_with_their_text(checkout: Path) -> None:
    text = HEADER + '# %% [markdown] tags=["live"]\n# Move it:\n\n# %% tags=["hide-input", "live"]\nraise ValueError\n'
    (checkout / "notebooks" / "good.py").write_text(text + "\n# %%\n1 + 1\n")
    done = notebooks.run("good", "smoke")
    assert done.failure is None
    written = done.output.read_text()
    assert "Move it" not in written and "ValueError" not in written and "1 + 1" in written
