"""AAD Fig. 5: angular distillation between the stages, as a training sees it."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping, Sequence

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from aifr_lib.experiments.aad.students import student_job
from aifr_lib.experiments.jobs import Experiment, Job
from aifr_lib.reporting import plots
from aifr_lib.reporting.artefacts import Artefact
from aifr_lib.reporting.prose import digits, listed, say
from aifr_lib.reporting.rows import Key, Measured, Row
from aifr_lib.reporting.runs import Run
from aifr_lib.reporting.tables import METRIC, Shape
from aifr_lib.settings.presets import Preset

METRICS = {"loss": "loss", "slope": "norm of the weighted gradient"}
WHERE = {"stage1": "after the first stage", "stage2": "after the second", "stage3": "after the third",
         "last": "at the end"}  # fmt: skip


def fig5_jobs(preset: Preset, seeds: Sequence[int] | None = None, device: str | None = None) -> dict[int, Job]:
    """The first student of the ledger with AAD, and its first seed; of ``seeds`` the first is taken."""
    aad = preset.aad
    variant = next(name for name, asked in aad.variants.items() if asked.mode == "aad")
    entry = next(entry for entry in aad.ledger if variant in entry.variants)
    seed = seeds[0] if seeds else entry.seeds[0]
    return {seed: student_job(aad.student(entry, variant, seed), aad.protocols, device)}


def fig5_rows(preset: Preset, runs: Mapping[int, Run]) -> Iterator[Row]:
    """By term and step: the loss before its weight, and the slope of the weighted loss where it enters the student."""
    for run in runs.values():
        curves = run.summary["curves"]
        for name, values in curves.items():
            what, _, term = name.partition("_")
            if what in METRICS and term:
                for step, value in zip(curves["step"], values, strict=True):
                    measured = None if value is None else Measured(mean=value)
                    yield Row(keys={"term": term, "step": step}, metric=METRICS[what], measured=measured)


def fig5_figure(artefact: Artefact) -> Figure:
    """A curve a term: its loss on the left, its slope on the right."""
    figure, axes = plt.subplots(1, 2, figsize=(10, 4))
    terms = list(dict.fromkeys(str(row.keys["term"]) for row in artefact.rows))
    for axis, metric in zip(axes, METRICS.values(), strict=True):
        for number, term in enumerate(terms):
            rows = [row for row in artefact.rows if row.metric == metric and row.keys["term"] == term]
            values = [row.measured.mean if row.measured else float("nan") for row in rows]
            axis.plot([row.keys["step"] for row in rows], values, color=plots.PALETTE[number % len(plots.PALETTE)],
                      marker="." if len(rows) < 3 else None, label=NAMES.get(term, term))  # fmt: skip
        axis.set(xlabel="step", ylabel=metric, yscale="log")
    axes[1].legend(loc="best", fontsize=9)
    figure.tight_layout()
    return figure


def found(artefact: Artefact) -> str:
    """How far each angular loss falls, and how hard all of them pull beside the identity loss."""
    losses, slopes = (_by_term(artefact, metric) for metric in METRICS.values())
    angular = [term for term in WHERE if len(losses.get(term, ())) > 1]
    falls = listed([f"from {digits(losses[term][0])} to {digits(losses[term][-1])} {WHERE[term]}" for term in angular])
    shares = {term: statistics.median(slopes[term]) / statistics.median(slopes["identity"])
              for term in WHERE if slopes.get(term) and slopes.get("identity")}  # fmt: skip
    least, most = (pick(shares, key=shares.__getitem__, default="") for pick in (min, max))
    return say(
        {"falls": falls} | {name: digits(shares[at]) for name, at in (("low", least), ("high", most)) if at},
        (angular, "During the training the angular loss goes {falls}."),
        (shares, "Its weighted gradient is {low} to {high} times that of the identity loss (medians over the steps)."),
    )


def _by_term(artefact: Artefact, metric: str) -> dict[str, list[float]]:
    """By term what was logged, in the order of the steps."""
    values: dict[str, list[float]] = {}
    for row in artefact.rows:
        if row.metric == metric and row.measured:
            values.setdefault(str(row.keys["term"]), []).append(row.measured.mean)
    return values


NAMES: dict[Key, str] = {
    **{name: f"{name}, last step" for name in METRICS.values()},
    **{f"stage{number}": f"after stage {number}" for number in range(1, 4)},
    "last": "at the end",
}
FIG5 = Experiment(
    "aad_fig5",
    fig5_jobs,
    fig5_rows,
    lambda artefact, _: fig5_figure(artefact),
    found=found,
    # A cell holds the last of its rows, which is the last step.
    shape=Shape(down=("term",), across=(METRIC,), names=NAMES),
)
