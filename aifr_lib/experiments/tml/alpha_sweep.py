"""TML Fig. 6: verification accuracy against the loss balancing factor α of eq. 11."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from typing import Any

from matplotlib.figure import Figure

from aifr_lib.experiments import recognise
from aifr_lib.experiments.jobs import Experiment, Job
from aifr_lib.reporting import papers, plots
from aifr_lib.reporting.artefacts import Artefact
from aifr_lib.reporting.rows import Row
from aifr_lib.reporting.runs import Run
from aifr_lib.settings.presets import Preset

# Fig. 6 prints no numbers; Table I has two of its points: (α, list) → its row, and what the number is.
PRINTED = {
    (0.0, "relief-lfw"): ("ArcFace [49]", "Table I: ArcFace on LFW, trained on CASIA-WebFace"),
    (0.4, "relief-lfw"): ("Transformer-ArcFace", "Table I: Transformer-ArcFace on LFW; its α is not printed"),
}


# What the preset `paper` has to say and the paper does not.
GUESSED = ("embedding", "epochs", "feedforward", "pos_encoding", "precision")


def alpha_sweep_jobs(
    preset: Preset, seeds: Sequence[int] | None = None, device: str | None = None
) -> dict[tuple[float, int], Job]:
    """The runs of Fig. 6 by (α, seed), those that most rests on first; they differ in α, seed and tuned rate alone."""
    sweep = preset.alpha_sweep
    keys = [(alpha, seed) for alpha in sweep.main for seed in (sweep.main_seeds if seeds is None else seeds)]
    keys += [(alpha, seed) for alpha in sweep.alphas for seed in (sweep.seeds if seeds is None else seeds)]
    return {(alpha, seed): recognise.job(sweep.training(alpha, seed), device) for alpha, seed in dict.fromkeys(keys)}


def alpha_sweep_rows(preset: Preset, runs: Mapping[tuple[float, int], Run]) -> Iterator[Row]:
    """Accuracy by α and list of pairs, over seeds, beside what the paper prints."""
    sweep = preset.alpha_sweep
    for alpha, name in product(sweep.alphas, sweep.train.relief.pair_lists):
        found = {seed: run.summary for (at, seed), run in runs.items() if at == alpha}
        measured = recognise.over_seeds(found, name)
        yield Row(keys={"alpha": alpha, "set": name}, metric="accuracy", measured=measured, **printed(alpha, name))


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


FIG6 = Experiment("tml_fig6", alpha_sweep_jobs, alpha_sweep_rows, lambda artefact, _: alpha_figure(artefact))
