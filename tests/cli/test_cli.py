"""The command: help that answers at once, one line for an error that a user can mend, exit codes."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from aifr_lib import experiments
from aifr_lib.cli import app, common
from aifr_lib.experiments.tml import alpha_sweep
from aifr_lib.settings.presets import load_preset
from aifr_lib.settings.recognition import Recognition

COMMANDS = sorted(get_command(app).commands)  # type: ignore[attr-defined]
PARAMETERS = '# %% tags=["parameters"]\npreset = "smoke"\nseeds = None\ncompute = True\n\n'


def aifr(*arguments: str) -> SimpleNamespace:
    """Exit code, standard output and standard error of ``aifr ARGUMENTS``."""
    result = CliRunner().invoke(app, arguments, env={"COLUMNS": "100", "NO_COLOR": "1"})
    return SimpleNamespace(code=result.exit_code, out=result.stdout, err=result.stderr)


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout with one notebook that works and one that does not."""
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "_toc.yml").touch()
    (tmp_path / "notebooks" / "good.py").write_text(PARAMETERS + "# %%\nprint(seeds, compute)\n")
    (tmp_path / "notebooks" / "bad.py").write_text(PARAMETERS + "# %%\nraise RuntimeError('no luck')\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_help_loads_none_of_the_heavy_libraries() -> None:
    code = (
        "import sys; from aifr_lib.cli import app\n"
        "try: app(['reproduce', '--help'])\n"
        "except SystemExit: pass\n"
        "heavy = {'torch', 'pandas', 'matplotlib', 'papermill', 'jupytext', 'scipy', 'accelerate'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_teaches_by_examples(command: str) -> None:
    shown = aifr(command, "--help")
    assert shown.code == 0
    assert "Examples" in shown.out and f"aifr {command}" in shown.out
    examples = [line.rstrip() for line in shown.out.splitlines() if line.startswith("   aifr ")]
    assert all(len(line) <= 80 for line in examples)


def test_the_commands_are_those_that_the_book_names() -> None:
    assert set(COMMANDS) >= {
        "reproduce",
        "list",
        "claims",
        "train",
        "evaluate",
        "export",
        "align",
        "faces",
        "run-queue",
        "draw",
        "notebooks",
        "lab",
        "students",
    }


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["reproduce", "--preset", "smok"], "unknown preset 'smok'; did you mean 'smoke'"),
        (["reproduce", "goood"], "no notebook, table or figure 'goood'; did you mean 'good'"),
        (["reproduce", "good", "-p", "sedes=1"], "has no parameter 'sedes'; did you mean 'seeds'"),
        (["reproduce", "good", "-p", "seeds"], "-p takes KEY=VALUE, got 'seeds'"),
        (["reproduce", "good", "-p", "preset=lesson"], "choose it by --preset"),
        (["data", "check", ""], "no data set at ''"),
        (["data", "check", "orl", "orl", "--splits"], "name the path of orl, not its name"),
        (["data", "check", "notebooks", "--pictures", "notebooks"], "--pictures goes with a list of pairs"),
        (["list", "--paper", "tlm"], "unknown paper 'tlm'; did you mean 'tml'"),
        (["list", "--preset", "lessen"], "unknown preset 'lessen'; did you mean 'lesson'"),
        (["claims", "--paper", "tlm"], "unknown paper 'tlm'; did you mean 'tml'"),
        (["train", "recogniton", "--out", "x"], "unknown recipe 'recogniton'; did you mean 'recognition'"),
        (["train", "recognition", "--out", "x", "-p", "epoch=1"], "unknown key 'epoch'; did you mean 'epochs'"),
        (
            ["train", "recognition", "--out", "x", "-p", "relief.sise=1"],
            "unknown key 'relief.sise'; did you mean 'size'",
        ),
        (["train", "recognition", "--out", "x", "-p", "relif.size=1"], "'relif' is no group of settings; did you mean"),
        (["train", "recognition", "--out", "x", "-p", "lr=fast"], "'lr': Input should be a valid number"),
        (["run-queue", "--preset", "clasroom"], "unknown preset 'clasroom'; did you mean 'classroom'"),
        (["plan", "--format", "svg"], "unknown format 'svg'"),
        (["plan", "tml_fig66"], "unknown table or figure 'tml_fig66'; did you mean 'tml_fig6'"),
        (["run-queue", "--submit", "pbs"], "--submit takes slurm, got 'pbs'"),
        (["run-queue", "--slurm", "partition=gpu"], "--slurm goes with --submit slurm"),
        (["run-queue", "--submit", "slurm", "--max-minutes", "9"], "--max-minutes is for this machine"),
        (["train", "recognition", "--out", "x", "--sampled", "0.1"], "and --sampled with --sharded"),
        (["train", "comface", "--out", "x", "--sharded"], "--sharded goes with the recipe recognition"),
        (["draw", "tml_fig66"], "unknown table or figure 'tml_fig66'; did you mean 'tml_fig6'"),
        (["students", "class", "goood"], "no notebook 'goood'; did you mean 'good'"),
        (["students", "class", "--preset", "lessen"], "unknown preset 'lessen'; did you mean 'lesson'"),
        (["faces", "--out", "x.png"], "say either --ages (a sheet) or --per-identity"),
        (["faces", "--ages", "3", "--out", "x"], "--out must name a .png for a sheet, got 'x'"),
        (["faces", "--ages", "3;4", "--out", "x.png"], "--ages takes numbers with commas"),
        (["faces", "--source", "latnt", "--out", "x.png"], "unknown source 'latnt'; did you mean 'latent'"),
        (["faces", "--source", "latent", "--out", "x.png"], "say --attribute (what to edit)"),
        (["faces", "--attribute", "smiles", "--out", "x.png"], "did you mean 'smile'"),
        (["faces", "--attribute", "age", "--alpha", "-7,0", "--out", "x.png"], "strength α = -7"),
        (["faces", "--attribute", "age", "--alpha", "a:b", "--out", "x.png"], "--alpha takes FROM:TO:STEP"),
        (["faces", "--attribute", "age,smile", "--out", "x.png"], "a sheet shows one attribute"),
        (["faces", "--attribute", "age", "--size", "64", "--out", "x"], "aligned crops of 112 pixels"),
        (["faces", "--attribute", "age", "--alpha", "-5:5:0.3", "--out", "x"], "fewer than 1001 whole steps"),
        (["faces", "--attribute", "age", "--out", "x.webp"], "--out must name a folder here"),
        (["faces", "--attribute", "age", "--out", "x.JPG"], "--out must name a folder here"),
        (["faces", "--attribute", "age", "--beyond", "--out", "x"], "--beyond is for a sheet"),
        (["faces", "--source", "latent", "--per-identity", "4", "--out", "x.png"], "--out must name a folder here"),
        (["faces", "--source", "latent", "--per-identity", "4", "--beyond", "--out", "x"], "--beyond is for a sheet"),
        (["faces", "--source", "latent", "--per-identity", "1", "--out", "x"], "need two pictures each"),
        (["align", "nowhere", "--out", "x"], "no folder of pictures at nowhere"),
        (["evaluate", "--backbone", "sface", "--data", "nowhere"], "nowhere"),
        (
            ["evaluate", "--backbone", "pixels", "--data", "orl", "--skip-bad"],
            "--skip-bad is for folders of photographs",
        ),
        (["evaluate", "--backbone", "pixels"], "say --data: relief"),
        (
            ["evaluate", "--backbone", "pixels", "--data", "orl", "--name", "x"],
            "--name and --licence belong to --board",
        ),
        (["evaluate", "--backbone", "pixels", "--board", "--protocol", "loo"], "the board has its own protocols"),
        (["evaluate", "--backbone", "pixels", "--board", "--data", "releif"], "did you mean 'relief'"),
        (["evaluate", "--data", "orl"], "say either --weights FILE or --backbone NAME"),
        (["evaluate", "--weights", "a.pth", "--data", "orl"], "no file of weights at a.pth"),
        (["evaluate", "--weights", "a.pth", "--data", "orl", "--size", "112"], "--size takes HEIGHTxWIDTH"),
        (["evaluate", "--weights", "a.pth", "--data", "orl", "--mean", "1,2"], "--mean takes a number, or three"),
        (["evaluate", "--weights", "a.pth", "--data", "orl", "--protocol", "lo"], "did you mean 'loo'"),
        (["evaluate", "--weights", "a.pth", "--data", "x", "--protocol", "templates"], "needs --pairs"),
        (["evaluate", "--weights", "a.pth", "--data", "x", "--distractors", "y"], "has no use for --distractors"),
        (["export", "a.pth", "a.pt"], "OUT must name a .onnx file, got 'a.pt'"),
    ],
)
def test_an_error_that_a_user_can_mend_is_one_line(checkout: Path, arguments: list[str], message: str) -> None:
    result = aifr(*arguments)
    assert result.code == 2
    assert message in result.err
    assert len(result.err.strip().splitlines()) == 1 and result.err.startswith("aifr: ")


def test_debug_shows_the_traceback(checkout: Path) -> None:
    result = CliRunner().invoke(app, ["--debug", "reproduce", "--preset", "smok"])
    assert isinstance(result.exception, ValueError)


def test_reproduce_goes_on_after_a_failure_and_says_what_failed_where_and_why(checkout: Path) -> None:
    result = aifr("reproduce", "--seeds", "2")
    assert result.code == 1
    assert result.out.splitlines() == ["build/notebooks/smoke/good.ipynb"]
    assert "2 True" in Path(result.out.strip()).read_text()
    head, row = result.err.splitlines()[-2:]
    assert head.split() == ["failed", "cell", "why", "half", "executed"]
    assert row.split()[:5] == ["bad", "3/3", "RuntimeError:", "no", "luck"]
    assert (checkout / row.split()[-1]).is_file()

    again = aifr("reproduce", "good", "--seeds", "2")
    assert again.code == 0 and "good: up to date" in again.err


def test_published_pages_compute_nothing_and_go_where_the_book_reads(checkout: Path) -> None:
    result = aifr("reproduce", "good", "--published", "--preset", "classroom")
    assert result.out.splitlines() == ["book/_executed/good.ipynb"]
    assert "None False" in Path(result.out.strip()).read_text()


def test_an_id_without_a_written_notebook_says_so(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    result = aifr("reproduce", "aad_table1")
    assert result.code == 2
    assert "aad_table1" in result.err and "not written yet" in result.err


def test_notebooks_derives_and_checks(checkout: Path) -> None:
    assert aifr("notebooks", "--check").code == 1
    assert aifr("notebooks").out.splitlines() == [
        "written  notebooks/bad.ipynb",
        "written  notebooks/good.ipynb",
    ]
    assert aifr("notebooks", "--check").code == 0
    derived = checkout / "notebooks" / "bad.ipynb"
    derived.write_text(derived.read_text().replace("no luck", "more luck"))
    assert aifr("notebooks").out.splitlines() == [
        "written  notebooks/bad.ipynb",
        "         it had been edited: that is now notebooks/bad.edited.ipynb",
    ]


def test_lab_lays_out_copies_and_starts_jupyterlab_on_them(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[tuple[list[str], str]] = []

    def start(command: list[str], *, env: dict[str, str], check: bool) -> SimpleNamespace:
        started.append((command, env["PATH"]))
        return SimpleNamespace(returncode=3)

    monkeypatch.setattr(subprocess, "run", start)
    assert aifr("lab", "--no-start").err.splitlines() == [
        "new          lab/bad.ipynb",
        "new          lab/good.ipynb",
    ]
    assert not started
    assert aifr("lab", "--", "--no-browser").code == 3, "JupyterLab's own exit code"
    ((command, path),) = started
    assert command[1:4] == ["-m", "jupyterlab", f"--notebook-dir={checkout / 'lab'}"]
    assert command[-1] == "--no-browser" and "--LabApp.default_url=/lab/tree/00_start_here.ipynb" in command
    assert path.startswith(str(Path(sys.executable).parent)), "a cell that begins with !aifr finds it"


@pytest.mark.parametrize(("user", "allowed"), [(0, True), (1000, False)])
def test_lab_starts_as_root_too(checkout: Path, monkeypatch: pytest.MonkeyPatch, user: int, allowed: bool) -> None:
    started: list[list[str]] = []
    monkeypatch.setattr(
        subprocess, "run", lambda command, **_: started.append(command) or SimpleNamespace(returncode=0)
    )
    monkeypatch.setattr("os.geteuid", lambda: user)
    said = aifr("lab", "--", "--no-browser").err
    assert ("--allow-root" in started[0], "as root" in said) == (allowed, allowed)


def test_on_a_hub_lab_says_where_the_copies_lie(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: pytest.fail("a second server was started"))
    monkeypatch.setenv("JUPYTERHUB_SERVICE_PREFIX", "/user/one/")
    done = aifr("lab")
    assert done.code == 0 and (checkout / "lab" / "good.ipynb").is_file()
    assert done.err.splitlines()[-1] == "JupyterLab runs already, on a hub: open lab/ in its list of files"


def test_train_takes_typed_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from aifr_lib.training.recipes import RECIPES

    asked: list[Recognition] = []
    fused: list[bool] = []

    def train(config: Recognition, out: Path, *, device: str | None, compile: bool) -> SimpleNamespace:
        asked.append(config)
        fused.append(compile)
        return SimpleNamespace(weights=out / "weights.safetensors", checksum="abc")

    monkeypatch.setitem(RECIPES, "recognition", replace(RECIPES["recognition"], train=train))
    result = aifr(
        "train", "recognition", "--out", "x", "-p", "alpha=0.4", "-p", "seed=3", "-p", "lr=1e-4", "-p", "relief.size=64"
    )
    assert result.code == 0
    assert result.out == "weights   x/weights.safetensors\nchecksum  abc\n"
    (config,) = asked
    assert (config.alpha, config.seed, config.lr, config.relief.size) == (0.4, 3, 1e-4, 64)

    sweep = load_preset("classroom").alpha_sweep
    for alpha in (0.8, 0.0):
        assert aifr("train", "recognition", "--preset", "classroom", "--out", "x", "-p", f"alpha={alpha}").code == 0
        assert asked[-1] == sweep.training(alpha, 0), "the rate that the sweep takes for this α"
    preset, rates = load_preset("classroom"), {0.0: 0.2, 0.4: 0.1}
    preset = preset.model_copy(update={"alpha_sweep": preset.alpha_sweep.model_copy(update={"lr": rates})})
    assert [RECIPES["recognition"].start(preset, {"alpha": alpha}).lr for alpha in (0.8, 0.0)] == [0.1, 0.2]
    assert "alpha" in aifr("train", "recognition", "--out", "x", "-p", "alpha=much").err
    assert aifr("train", "recognition", "--out", "x", "--compile").code == 0
    assert fused == [False, False, False, True]


def test_ctrl_c_exits_as_a_shell_expects(monkeypatch: pytest.MonkeyPatch) -> None:
    from aifr_lib.training.engine import Stopped
    from aifr_lib.training.recipes import RECIPES

    def train(*_: object, **__: object) -> None:
        raise Stopped("stopped at step 3 of 9; run the same command again to go on")

    monkeypatch.setitem(RECIPES, "recognition", replace(RECIPES["recognition"], train=train))
    result = aifr("train", "recognition", "--out", "x")
    assert result.code == 130
    assert result.err == "stopped at step 3 of 9; run the same command again to go on\n"


def test_a_stopped_training_goes_on_to_the_weights_of_an_unbroken_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIFR_CACHE", str(tmp_path / "cache"))
    small = ["-p", "relief.train_identities=6", "-p", "batch=8", "-p", "epochs=10"]
    settings = ["train", "recognition", "--preset", "smoke", "--device", "cpu", *small]
    whole = aifr(*settings, "--out", str(tmp_path / "whole"))
    assert whole.code == 0

    broken = tmp_path / "broken"
    command = [sys.executable, "-m", "aifr_lib.cli", *settings, "--out", str(broken)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    for _ in range(1200):
        if (broken / "log.jsonl").exists():
            break
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130 and "run the same command again to go on" in err
    assert not (broken / "weights.safetensors").exists()

    resumed = aifr(*settings, "--out", str(broken))
    assert resumed.code == 0
    assert resumed.out.splitlines()[-1] == whole.out.splitlines()[-1]


def test_align_names_what_it_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    from aifr_lib.data.sets import crops

    report = crops.Report(Path("crops"), 3, 1, ("a.png",), ("d.png",), ("b.png", "c.png"))
    monkeypatch.setattr(crops, "align_folder", lambda *_, **__: report)
    result = aifr("align", "pictures", "--out", "crops", "--skip-bad")
    assert result.out == "3 crops in crops (1 made before); crops/misses.csv lists 3 misses\n"
    assert result.err.splitlines() == [
        "1 no face found, centre-cropped: a.png",
        "1 several faces, the foremost taken: d.png",
        "2 unreadable, left out: b.png, c.png",
    ]
    shown = json.loads(aifr("align", "pictures", "--out", "crops", "--json").out)
    assert shown["missed"] == ["a.png"] and shown["written"] == 3


def test_tables_are_aligned_and_dash_what_is_empty() -> None:
    rows = [{"id": "a", "results": ""}, {"id": "longer", "results": None}, {"id": "b", "results": 0.5}]
    assert common.aligned(rows).splitlines() == ["id      results", "a       -", "longer  -", "b       0.5"]
    assert common.aligned([]) == "nothing"


def test_draw_makes_tables_of_what_is_stored_and_trains_nothing(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from aifr_lib.experiments import recognise
    from aifr_lib.reporting.runs import Result, RunStore
    from aifr_lib.settings.presets import load_preset

    monkeypatch.setattr(recognise, "compute", lambda *_: pytest.fail("a run was computed"))
    nothing = aifr("draw", "tml_fig6", "--preset", "smoke")
    assert (nothing.code, nothing.out.strip()) == (0, "tml_fig6: 0 of 2 runs, nothing to draw")
    job = next(iter(alpha_sweep.alpha_sweep_jobs(load_preset("smoke")).values()))
    lists = {"relief-lfw": 90.0, "relief-agedb": 80.0}
    summary = {"accuracy": lists, "interval": {name: [70.0, 95.0] for name in lists}}
    RunStore(checkout / "figures" / "smoke").load_or_compute(job.spec, lambda _: Result({}, summary, "cpu", 1.0))
    drawn = aifr("draw", "tml_fig6", "--preset", "smoke")
    assert (drawn.code, drawn.out.strip()) == (0, "tml_fig6: 1 of 2 runs")
    assert "not run" not in drawn.err and (checkout / "figures/smoke/tml_fig6/tml_fig6.svg").is_file()


def test_an_output_that_cannot_hold_a_sign_does_not_lose_the_rest() -> None:
    command = [sys.executable, "-m", "aifr_lib.cli", "evaluate", "--help"]
    done = subprocess.run(command, env={**os.environ, "PYTHONIOENCODING": "ascii"}, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    assert b"?" in done.stdout


def test_claims_outside_a_checkout_are_not_called_untested(monkeypatch: pytest.MonkeyPatch) -> None:
    def nowhere() -> Path:
        raise FileNotFoundError("no checkout of the companion here")

    monkeypatch.setattr("aifr_lib.reporting.artefacts.repository_root", nowhere)
    found = aifr("claims")
    assert found.code == 2 and "no checkout of the companion here" in found.err


def test_show_says_runs_with_settings_cost_and_what_is_missing() -> None:
    shown = aifr("show", "tml_fig6", "--preset", "lesson")
    assert shown.code == 0, shown.err
    assert "aifr reproduce tml_fig6 --preset lesson" in shown.out and "TML Fig. 6" in shown.out
    sweep = load_preset("lesson").alpha_sweep
    asked = alpha_sweep.alpha_sweep_jobs(load_preset("lesson"))
    assert all(job.spec.key in shown.out for job in asked.values())
    assert f"α {sweep.alphas[-1]:g}" in shown.out and "seed 0" in shown.out
    parsed = json.loads(aifr("show", "tml_fig6", "--preset", "lesson", "--json").out)
    assert {line["key"] for line in parsed["runs"]} >= {job.spec.key for job in asked.values()}


def test_what_is_planned_or_misspelt_is_neither_shown_nor_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    known = {name: one for name, one in experiments.EXPERIMENTS.items() if name != "comface_tableH"}
    monkeypatch.setattr(experiments, "EXPERIMENTS", known)
    for command in ("show", "draw"):
        planned = aifr(command, "comface_tableH")
        assert planned.code == 2 and "'comface_tableH' is planned: there is no experiment behind it yet" in planned.err
    assert "tml_fig6" in aifr("show", "tml_fgi6").err


def test_the_ledger_names_what_sets_runs_apart() -> None:
    ledger = aifr("run-queue", "--preset", "classroom", "--dry-run")
    assert ledger.code == 0, ledger.err
    assert re.search(r"α 0\.4, .*learning rate 0\.\d+, .*seed 1", ledger.out)


def test_a_terminal_has_the_ledger_within_its_width_and_a_pipe_has_it_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "run  settings\nk1   " + 30 * "long "
    assert common.within_terminal(text) == text
    monkeypatch.setattr(sys, "stdout", SimpleNamespace(isatty=lambda: True))
    monkeypatch.setenv("COLUMNS", "40")
    head, line = common.within_terminal(text).splitlines()
    assert head == "run  settings" and len(line) == 40 and line.endswith("…")


def test_several_tasks_of_srun_are_not_several_trainings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SLURM_STEP_NUM_TASKS", "2")
    said = aifr("train", "recognition", "--out", str(tmp_path / "out"))
    assert said.code == 2 and "srun started 2 tasks of this command" in said.err and not (tmp_path / "out").exists()
    monkeypatch.setenv("RANK", "0")  # torchrun was started in each task
    common.refuse_srun()
    monkeypatch.delenv("RANK")
    monkeypatch.setenv("SLURM_STEP_NUM_TASKS", "1")
    common.refuse_srun()
