"""TML Fig. 6: verification accuracy against the loss balancing factor α of eq. 11."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from aifr_lib.data import relief
from aifr_lib.data.relief.splits import labels_only
from aifr_lib.experiments import recognise
from aifr_lib.experiments.jobs import Experiment, Job
from aifr_lib.experiments.tml import trained
from aifr_lib.reporting import papers, plots
from aifr_lib.reporting.artefacts import Artefact
from aifr_lib.reporting.prose import digits, say
from aifr_lib.reporting.rows import Measured, Row, measured
from aifr_lib.reporting.runs import Run
from aifr_lib.reporting.seeds import apart
from aifr_lib.reporting.tables import Shape
from aifr_lib.settings.presets import Preset
from aifr_lib.settings.tml import TransformerTraining

# Fig. 6 prints no numbers; Table I has two of its points: (α, list) → its row, and what the number is.
PRINTED = {
    (0.0, "relief-lfw"): ("ArcFace [49]", "Table I: ArcFace on LFW, trained on CASIA-WebFace"),
    (0.4, "relief-lfw"): ("Transformer-ArcFace", "Table I: Transformer-ArcFace on LFW; its α is not printed"),
}


# The list across ages, and the α of the paper's good range that its tables are compared at here.
ACROSS, BRANCH = "relief-agedb", 0.4

# What the preset `paper` has to say and the paper does not.
GUESSED = ("embedding", "epochs", "feedforward", "pos_encoding", "precision")


def alpha_sweep_jobs(
    preset: Preset, seeds: Sequence[int] | None = None, device: str | None = None
) -> dict[tuple[float, int], Job]:
    """The runs of Fig. 6 by (α, seed), those that most rests on first; they differ in α, seed and tuned rate alone."""
    sweep = preset.alpha_sweep
    keys = [(alpha, seed) for alpha in sweep.main for seed in (sweep.main_seeds if seeds is None else seeds)]
    keys += [(alpha, seed) for alpha in sweep.alphas for seed in (sweep.seeds if seeds is None else seeds)]
    return {
        (alpha, seed): trained.job(preset, TransformerTraining(train=sweep.training(alpha, seed)), device)
        for alpha, seed in dict.fromkeys(keys)
    }


def alpha_sweep_rows(preset: Preset, runs: Mapping[tuple[float, int], Run]) -> Iterator[Row]:
    """Accuracy by α and list of pairs, over seeds, beside what the paper prints."""
    sweep = preset.alpha_sweep
    for alpha, name in product(sweep.alphas, sweep.train.relief.pair_lists):
        found = {seed: run.summary for (at, seed), run in runs.items() if at == alpha}
        mean = recognise.over_seeds(found, name)
        yield Row(keys={"alpha": alpha, "set": name}, metric="accuracy", measured=mean, **printed(alpha, name))


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


def found(artefact: Artefact) -> str:
    """What the sweep says: the branch against none across ages, then both ends of α against none."""
    plain, branch = (measured(artefact.rows, "accuracy", {"alpha": at, "set": ACROSS}) for at in (0.0, BRANCH))
    across = {float(row.keys["alpha"]): row.measured for row in artefact.rows if row.keys["set"] == ACROSS}
    tried = sorted(at for at, one in across.items() if at and one)
    ends = [(at, across[at]) for at in dict.fromkeys(tried[:1] + tried[-1:])]
    differ = apart(branch, plain)
    numbers: dict[str, object] = {"branch": BRANCH}
    if plain and branch:
        numbers |= {"with": digits(branch.mean), "without": digits(plain.mean)}
        numbers |= {"points": digits(abs(branch.mean - plain.mean))}
    both = plain and branch
    return say(
        numbers,
        (both, "Of pairs of relief faces thirty years apart, the network with the transformer's loss (α = {branch:g})"),
        (both, "is right on {with} %, the network without it on {without} %:"),
        (both and differ > 0, "a gain of {points} points."),
        (both and differ < 0, "a loss of {points} points."),
        (both and not differ, "no difference that these seeds can tell from chance."),
        *((plain and branch, _end_said(at, one, plain)) for at, one in ends if at != BRANCH),
    )


def _end_said(alpha: float, one: Measured | None, plain: Measured | None) -> str:
    """What an α at an end of the sweep costs against none."""
    differ = apart(one, plain)
    if one is None or plain is None or not differ:
        return f"An α of {alpha:g} costs nothing that shows."
    points = digits(abs(one.mean - plain.mean))
    return f"An α of {alpha:g} {'gains' if differ > 0 else 'costs'} {points} points."


def why(artefact: Artefact) -> str:
    """What to make of it, in Markdown; empty where neither point was run."""
    ends = [measured(artefact.rows, "accuracy", {"alpha": at, "set": ACROSS}) for at in (0.0, BRANCH, 0.9)]
    plain, branch, high = ends
    none, costly = plain and branch and not apart(branch, plain), apart(high, plain) < 0
    return say(
        {"branch": BRANCH},
        (costly, "**Why a high α costs.** The embedding layer is reached through the margin loss alone."),
        (costly, "At α = 0.9 that loss has a tenth of the weight, so the layer that is used in the end learns least."),
        (none, "**Why the branch may not help here.** It acts on the embedding only through the features that both"),
        (none, "share; where the margin loss alone already shapes them well, there is little left to lend. A larger"),
        (none, "network on a larger map, as the paper's, has more cells to relate: this cannot be excluded from here."),
        (apart(branch, plain) > 0, "**Why the branch may help.** It relates cells of the last map that the margin"),
        (apart(branch, plain) > 0, "loss sees only one by one, and its gradient shapes the features that both share."),
    )


def score_frames(preset: Preset, runs: Mapping[tuple[float, int], Run]) -> tuple[list[str], list[str]]:
    """For a slider over α: the scores of pairs thirty years apart with the first seed, and what was right of them.

    Nothing where no run with such pairs is there.
    """
    sweep = preset.alpha_sweep
    first = {alpha: run for (alpha, seed), run in sorted(runs.items()) if seed == sweep.main_seeds[0]}
    first = {alpha: run for alpha, run in first.items() if ACROSS in run.scores}
    if not first:
        return [], []
    faces = sweep.train.relief
    images = labels_only("test", faces.test_identities, faces.test_per_identity)
    same = relief.pairs(images, ACROSS, count=faces.pairs).same
    scores = {alpha: run.scores[ACROSS].astype(float) for alpha, run in first.items()}
    low, high = min(map(np.min, scores.values())), max(map(np.max, scores.values()))
    frames, labels = [], []
    for alpha, cosines in scores.items():
        figure, axis = plt.subplots(figsize=(7, 3.4))
        plots.score_histogram(axis, cosines[same], cosines[~same])
        axis.set_xlim(low, high)
        frames.append(plots.svg(figure))
        labels.append(f"α = {alpha:g}: {first[alpha].summary['accuracy'][ACROSS]:.1f} % of the pairs are told right")
    return frames, labels


FIG6 = Experiment(
    "tml_fig6",
    alpha_sweep_jobs,
    alpha_sweep_rows,
    lambda artefact, _: alpha_figure(artefact),
    found=found,
    shape=Shape(down=("alpha",), across=("set",)),
)
