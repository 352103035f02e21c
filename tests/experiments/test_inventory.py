"""What ``aifr list`` says of results: there, partial, stale, damaged."""

from __future__ import annotations

from pathlib import Path

import pytest

import aifr_lib.experiments as experiments
from aifr_lib.experiments import inventory
from aifr_lib.experiments.jobs import Experiment, Job
from aifr_lib.experiments.kept_keys import kept_keys
from aifr_lib.reporting import artefacts
from aifr_lib.reporting.artefacts import Artefact
from aifr_lib.reporting.runs import DataId, Git, Result, RunSpec
from aifr_lib.settings.presets import load_preset

DATA = DataId(name="none", version="1", hash="0")
SEEDS = (0, 1)


def spec(seed: int, version: int = 1) -> RunSpec:
    return RunSpec(recipe="stand_in", recipe_version=version, seed=seed, values={}, data=DATA)


def never(_: Path) -> Result:
    raise AssertionError("a list computes nothing")


def state(one: Artefact) -> str:
    with kept_keys() as keys:
        return inventory.state(one, keys)


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "notebooks" / "tml_alpha_sweep.py").touch()
    (tmp_path / "_toc.yml").touch()
    monkeypatch.chdir(tmp_path)
    experiment = Experiment(
        "tml_fig6",
        lambda preset, seeds, device: {seed: Job(spec(seed), never) for seed in seeds or SEEDS},
    )
    monkeypatch.setattr(experiments, "EXPERIMENTS", {"tml_fig6": experiment})
    return tmp_path


def artefact(*specs: RunSpec, id: str = "tml_fig6", preset: str = "smoke") -> Artefact:
    return Artefact(
        id=id,
        kind="experiment",
        preset=preset,
        seeds=tuple(sorted({one.seed for one in specs})),
        data=DATA,
        device="cpu",
        versions={},
        git=Git(),
        wall_s=0,
        runs=tuple(one.key for one in specs),
        rows=(),
        verdict="not_run" if preset == "smoke" else "inconclusive",
    )


@pytest.mark.parametrize(
    ("specs", "expected"),
    [
        ([spec(0), spec(1)], "ok"),
        ([spec(0)], "partial"),
        ([spec(0), spec(1), spec(2)], "ok"),
        ([], "partial"),
        ([spec(0, version=2), spec(1)], "stale"),
    ],
)
def test_state(checkout: Path, specs: list[RunSpec], expected: str) -> None:
    assert state(artefact(*specs)) == expected


def test_a_figure_that_rests_on_no_run_is_never_stale(checkout: Path) -> None:
    assert state(artefact(id="tml_fig5")) == "ok"


def test_each_line_says_where_results_are_and_whether_its_notebook_is_written(checkout: Path) -> None:
    artefacts.save(artefact(spec(0), spec(1)))
    artefacts.save(artefact(spec(0), preset="classroom"))
    (artefacts.figures_root("lesson") / "tml_fig6").mkdir(parents=True)
    (artefacts.figures_root("lesson") / "tml_fig6" / "tml_fig6.json").write_text("{")
    lines = {line.id: line for line in inventory.inventory(("smoke", "lesson", "classroom", "paper"), "TML")}
    assert lines["tml_fig6"].results == {"smoke": "ok", "lesson": "damaged", "classroom": "partial"}
    assert lines["tml_fig6"].written and not lines["tml_fig7"].written
    assert lines["tml_fig7"].results == {} and lines["tml_fig7"].verdict is None
    assert all(id.startswith("tml_") for id in lines)
    assert {line.id.partition("_")[0] for line in inventory.inventory(("smoke",))} >= {"tml", "aad", "tour"}


def test_the_preset_itself_is_what_results_are_compared_with(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    monkeypatch.setattr(
        experiments,
        "EXPERIMENTS",
        {"tml_fig6": Experiment("tml_fig6", lambda preset, *_: asked.append(preset) or {})},
    )
    state(artefact(preset="classroom"))
    assert set(map(str, asked)) == {str(load_preset("classroom"))}
