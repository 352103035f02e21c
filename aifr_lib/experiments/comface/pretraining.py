"""What each loss of ComFace's pre-training learns: its own curve, and what its features say of three tasks, kept."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from aifr_lib.experiments.comface.measured import WORDS, by_method
from aifr_lib.experiments.comface.runs import pretraining_job, starts
from aifr_lib.experiments.jobs import Experiment, Job
from aifr_lib.reporting import plots
from aifr_lib.reporting.artefacts import Artefact
from aifr_lib.reporting.prose import listed, say
from aifr_lib.reporting.rows import Row
from aifr_lib.reporting.runs import Run
from aifr_lib.reporting.seeds import student_t
from aifr_lib.reporting.tables import METRIC, Shape
from aifr_lib.settings.presets import Preset

UNTRAINED, BEST, SHARE = "loss before training", "lowest loss", "lowest loss, share of the first"
RunKey = tuple[str, str, int]


def pretraining_jobs(
    preset: Preset, seeds: Sequence[int] | None = None, device: str | None = None
) -> dict[RunKey, Job]:
    """Each pre-training of the ledger, once."""
    return {
        ("pretraining", one.name, one.seed): pretraining_job(one.config, device)
        for one, _ in starts(preset.comface)
        if one.config is not None and (seeds is None or one.seed in seeds)
    }


def pretraining_rows(preset: Preset, runs: Mapping[RunKey, Run]) -> Iterator[Row]:
    """The method's own loss on people held out: of the untrained network, and at its lowest."""
    for name, by_seed in by_method(runs, "pretraining").items():
        numbers = {
            UNTRAINED: {seed: run.summary["untrained"] for seed, run in by_seed.items()},
            BEST: {seed: run.summary["best"] for seed, run in by_seed.items()},
            SHARE: {seed: run.summary["best"] / run.summary["untrained"] for seed, run in by_seed.items()},
        }
        trained = all(run.summary["fell"] for run in by_seed.values())
        for metric, values in numbers.items():
            yield Row(
                keys={"method": name, "outcome": "trained" if trained else "did not train"},
                metric=metric,
                measured=student_t({seed: float(value) for seed, value in values.items()}),
            )


def pretraining_figure(artefact: Artefact, runs: Mapping[RunKey, Run]) -> Figure:
    """The training loss of each method over pictures seen, as a share of its first value."""
    figure, axis = plt.subplots(figsize=(8, 4), layout="constrained")
    for number, (name, by_seed) in enumerate(by_method(runs, "pretraining").items()):
        colour, label = plots.PALETTE[number % len(plots.PALETTE)], WORDS.get(name, name)
        for run in by_seed.values():
            losses, batch = run.summary["losses"], run.spec.values["batch"]
            pictures = [2 * batch * step / 1000 for step in losses["step"]]
            first = losses["loss"][0] or 1.0
            axis.plot(pictures, [loss / first for loss in losses["loss"]], color=colour, label=label)
            label = "_"  # a name that no legend shows
    axis.set(xlabel="pictures seen, thousands", ylabel="loss of the method, share of its first value")
    axis.set_ylim(bottom=0)
    if axis.lines:
        axis.legend(fontsize=8)
    return figure


def pretraining_found(artefact: Artefact) -> str:
    """Which methods learnt what they ask of themselves."""
    outcome: dict[str, list[str]] = {}
    for row in artefact.rows:
        if row.metric == SHARE and row.measured:
            name = str(row.keys["method"])
            outcome.setdefault(str(row.keys["outcome"]), []).append(WORDS.get(name, name))
    trained, failed = outcome.get("trained", []), outcome.get("did not train", [])
    return say(
        {"trained": listed(trained), "failed": listed(failed)},
        (trained, "On people held out the own loss fell of {trained}."),
        (failed, "It did not fall of {failed}: nothing here was beaten by a rival that did not train."),
    )


LOSSES = Experiment(
    "comface_pretraining", pretraining_jobs, pretraining_rows, pretraining_figure, found=pretraining_found,
    shape=Shape(down=("method", "outcome"), across=(METRIC,), names=WORDS),
)  # fmt: skip
