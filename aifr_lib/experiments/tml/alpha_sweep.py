"""TML Fig. 6: verification accuracy against the loss balancing factor α of eq. 11."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from aifr_lib.experiments import recognise
from aifr_lib.experiments.jobs import Job, reproduce
from aifr_lib.reporting import papers, plots
from aifr_lib.reporting.artefacts import Artefact
from aifr_lib.reporting.rows import Row
from aifr_lib.reporting.runs import Run
from aifr_lib.settings.presets import Preset
from aifr_lib.settings.recognition import Recognition
from aifr_lib.settings.tml import AlphaSweep

# Fig. 6 prints no numbers; Table I has two of its points: (α, list) → its row, and what the number is.
PRINTED = {
    (0.0, "relief-lfw"): ("ArcFace [49]", "Table I: ArcFace on LFW, trained on CASIA-WebFace"),
    (0.4, "relief-lfw"): ("Transformer-ArcFace", "Table I: Transformer-ArcFace on LFW; its α is not printed"),
}


# What the preset `paper` has to say and the paper does not.
GUESSED = ("embedding", "epochs", "feedforward", "pos_encoding", "precision")


def training(sweep: AlphaSweep, alpha: float, seed: int, lr: float | None = None) -> Recognition:
    """The training of one point of the sweep; ``lr`` None takes the rate tuned for the nearest main α (ties: lower)."""
    tuned = sweep.lr[min(sorted(sweep.main), key=lambda main: abs(main - alpha))] if sweep.lr else sweep.train.lr
    return sweep.train.model_copy(update={"alpha": alpha, "seed": seed, "lr": lr or tuned})


def alpha_sweep_jobs(
    preset: Preset, seeds: Sequence[int] | None = None, device: str | None = None
) -> dict[tuple[float, int], Job]:
    """The runs of Fig. 6 by (α, seed), those that most rests on first; they differ in α, seed and tuned rate alone."""
    sweep = preset.alpha_sweep
    places = [(alpha, seed) for alpha in sweep.main for seed in (sweep.main_seeds if seeds is None else seeds)]
    places += [(alpha, seed) for alpha in sweep.alphas for seed in (sweep.seeds if seeds is None else seeds)]
    return {(alpha, seed): recognise.job(training(sweep, alpha, seed), device) for alpha, seed in dict.fromkeys(places)}


def alpha_sweep(
    preset: Preset,
    *,
    seeds: Sequence[int] | None = None,
    device: str | None = None,
    compute: bool = True,
    fresh: bool = False,
    out: Path | None = None,
) -> Artefact:
    """Fig. 6: verification accuracy against the loss balancing factor α of eq. 11.

    Loads the runs that are there and trains those that are not; ``compute=False`` leaves them out (their rows have no
    measured value). Writes the artefact ``tml_fig6`` under ``out`` (default ``figures/<preset>``) and returns it.
    """
    sweep = preset.alpha_sweep

    def rows(runs: Mapping[tuple[float, int], Run]) -> Iterator[Row]:
        for alpha, name in product(sweep.alphas, sweep.train.relief.pair_lists):
            found = {seed: run.summary for (at, seed), run in runs.items() if at == alpha}
            measured = recognise.over_seeds(found, name)
            yield Row(keys={"alpha": alpha, "set": name}, metric="accuracy", measured=measured, **printed(alpha, name))

    jobs = alpha_sweep_jobs(preset, seeds, device)
    data = recognise.spec(sweep.train).data
    return reproduce(
        "tml_fig6", preset, jobs, rows, data=data, figure=alpha_figure, compute=compute, fresh=fresh, out=out
    )


def printed(alpha: float, name: str) -> dict[str, Any]:
    """The paper's number beside a point of the sweep, and where it stands; empty where there is none."""
    if (alpha, name) not in PRINTED:
        return {}
    loss, source = PRINTED[alpha, name]
    return {"paper": papers.value("tml_table1", {"loss": loss}, "LFW"), "paper_source": source}


def alpha_figure(artefact: Artefact) -> Figure:
    """Fig. 6 redrawn: a curve for each list, dots for seeds, intervals, the range that the paper calls good."""
    good = (0.4, 0.5, "good on LFW, says the paper")
    return plots.parameter_figure(
        artefact.rows, x="alpha", by="set", xlabel="loss balancing factor α (eq. 11)", band=good
    )
