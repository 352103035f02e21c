"""ComFace's Table N, change of age on FG-NET, with the rows that it lacks; and the pilot on validation subjects."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from aifr_lib.experiments.comface import measured as shown
from aifr_lib.experiments.comface.frozen import INNER, WHOLE, frozen_job, named_starts
from aifr_lib.experiments.comface.measured import FINE, LAST, METRICS, RIDGE, RIDGE_INNER, WORDS, by_method
from aifr_lib.experiments.comface.runs import Start, own_setting, starts, transfer_job
from aifr_lib.experiments.jobs import Experiment, Job
from aifr_lib.reporting import papers, plots
from aifr_lib.reporting.artefacts import Artefact
from aifr_lib.reporting.prose import counted, digits, say
from aifr_lib.reporting.rows import Measured, Row, measured
from aifr_lib.reporting.runs import Run
from aifr_lib.reporting.seeds import apart, student_t
from aifr_lib.reporting.tables import METRIC, Shape
from aifr_lib.settings.presets import Preset

TASK = "age"
PRINTED = {
    "scratch": "Scratch", "imagenet": "ImageNet [10]", "vggface2": "VGGFace2 [4]", "simclr": "SimCLR [7]",
    "moco": "MoCo v2 [8,14]", "swav": "SwAV [5]", "barlow-twins": "Barlow Twins [32]", "bulat": "Bulat et al. [3]",
    "farl": "FaRL [34]", "pcl": "PCL [19]", "comface": "ComFace (Ours)",
}  # fmt: skip
SOURCE = "Table N: real photographs, ResNet-50 at 224 pixels"
PILOT = ("untrained", "imagenet", "comface", "scratch")
RunKey = tuple[str, str, int]


def age_jobs(preset: Preset, seeds: Sequence[int] | None = None, device: str | None = None) -> dict[RunKey, Job]:
    """Kept features first, which take minutes; then each fine-tuning of the ledger in its order, and what every
    pre-training's features say as they are, right after it.
    """
    settings = preset.comface
    jobs: dict[RunKey, Job] = {}
    for one in named_starts(settings, settings.frozen):
        name, seed = (one.method, one.seed) if isinstance(one, Start) else (one, 0)
        jobs[RIDGE, name, seed] = frozen_job(settings, TASK, one, device)
    fine = {(one, setting) for one, setting in starts(settings, TASK)}
    for one, setting in starts(settings):
        if seeds is not None and one.seed not in seeds:
            continue
        if one.config is not None:
            jobs.setdefault((RIDGE, one.name, one.seed), frozen_job(settings, TASK, one, device))
        if (one, setting) in fine and setting == own_setting(one):
            jobs[FINE, one.name, one.seed] = transfer_job(settings, TASK, one, setting, device)
    return jobs


def age_rows(preset: Preset, runs: Mapping[RunKey, Run]) -> Iterator[Row]:
    """Each method's error and correlation: fine-tuned (the paper's column), by the last epoch, and as kept features."""
    fine, kept = by_method(runs, FINE), by_method(runs, RIDGE)
    on = preset.comface.tasks.ages
    printed = {row["method"]: row for row in papers.load("comface_tableN").rows}
    for name in dict.fromkeys((*PRINTED, *fine)):
        theirs = printed[PRINTED[name]] if name in PRINTED else {}
        beside = {"mae": theirs.get("MAE"), "corr": theirs.get("corr")}
        found = {seed: shown.said(run) for seed, run in fine.get(name, {}).items()}
        yield from shown.rows({"method": name, "how": FINE, "set": on}, found, METRICS, beside, SOURCE)
        if found:
            last = {seed: shown.said(run, "last") for seed, run in fine[name].items()}
            yield from shown.rows({"method": name, "how": LAST, "set": on}, last)
            if name != "scratch":
                base = {seed: shown.said(run) for seed, run in fine.get("scratch", {}).items()}
                yield Row(
                    keys={"method": name, "how": FINE, "set": on}, metric="less", measured=shown.less(found, base)
                )
    for name, by_seed in kept.items():
        for how, view in ((RIDGE, WHOLE), (RIDGE_INNER, INNER)):
            yield from shown.rows(
                {"method": name, "how": how, "set": on},
                {seed: shown.read(run, TASK, view) for seed, run in by_seed.items()},
            )


def age_figure(artefact: Artefact, runs: Mapping[RunKey, Run]) -> Figure:
    """Error and correlation of each row that was measured, the paper's beside where it has one."""
    names = list(dict.fromkeys(str(row.keys["method"]) for row in artefact.rows if row.measured or row.paper))
    figure, axes = plt.subplots(1, 2, figsize=(10, 0.36 * len(names) + 1.2), sharey=True, layout="constrained")
    kinds = {FINE: ("o", plots.PALETTE[0]), RIDGE: ("s", plots.PALETTE[1]), RIDGE_INNER: ("^", plots.PALETTE[2])}
    for axis, metric in zip(axes, METRICS, strict=True):
        for shift, (how, (marker, colour)) in enumerate(kinds.items()):
            some = [row for row in artefact.rows if row.metric == metric and row.keys["how"] == how and row.measured]
            at = np.array([names.index(str(row.keys["method"])) + 0.18 * (shift - 1) for row in some])
            values = [row.measured.mean for row in some if row.measured]
            axis.plot(values, at, marker, color=colour, label=how, markersize=5)
            for place, row in zip(at, some, strict=True):
                if row.measured and row.measured.ci95:
                    axis.hlines(place, *row.measured.ci95, color=colour, alpha=0.6)
        theirs = [row for row in artefact.rows if row.metric == metric and row.paper is not None]
        axis.plot(
            [row.paper for row in theirs], [names.index(str(row.keys["method"])) for row in theirs], "x",
            color=plots.PAPER, label="the paper, on its own networks",
        )  # fmt: skip
        axis.set_xlabel("mean error, years" if metric == "mae" else "correlation of predicted and true change")
    axes[0].set_yticks(range(len(names)), [WORDS.get(name, name) for name in names])
    axes[0].invert_yaxis()
    figure.legend(*axes[1].get_legend_handles_labels(), loc="outside lower center", ncols=4, fontsize=8)
    return figure


def age_found(artefact: Artefact) -> str:
    """Whether comparing helped, and what a colour tells of an age."""
    rows = artefact.rows

    def mean(name: str, how: str, metric: str = "mae") -> Measured | None:
        return measured(rows, metric, {"method": name, "how": how})

    ours, base, rival = (mean(name, FINE) for name in ("comface", "scratch", "simclr"))
    kept, plain = mean("comface", RIDGE), mean("untrained", RIDGE)
    pixels, sface = mean("pixels", RIDGE), mean("sface", RIDGE)
    gap = mean("comface", FINE, "less")
    ranks, base_ranks = mean("comface", FINE, "corr"), mean("scratch", FINE, "corr")
    alike = ranks and base_ranks and not apart(ranks, base_ranks)
    seen = gap is not None and gap.ci95 is not None and (gap.ci95[0] > 0 or gap.ci95[1] < 0)
    numbers = {
        "ours": ours and digits(ours.mean), "base": base and digits(base.mean), "kept": kept and digits(kept.mean),
        "plain": plain and digits(plain.mean), "pixels": pixels and digits(pixels.mean),
        "sface": sface and digits(sface.mean), "by": gap and digits(abs(gap.mean)),
        "way": "less" if gap is not None and gap.mean < 0 else "more",
        "rival": rival and digits(rival.mean), "r": ranks and digits(ranks.mean),
        "s": base_ranks and digits(base_ranks.mean),
        "seeds": counted(min(len(one.per_seed) for one in (ours, base)), "seed") if ours and base else "",
    }  # fmt: skip
    return say(
        numbers,
        (ours and base, "Fine-tuned, ComFace errs by {ours} years and a network from scratch by {base}, over {seeds}:"),
        (ours and base and seen, "{by} years {way}, more than the choice of people explains."),
        (ours and base and not seen, "no difference that these people could have shown."),
        (ours and base and seen and alike, "Both put the changes in order about as well: these seeds cannot tell the"),
        (ours and base and seen and alike, "correlations {r} and {s} apart."),
        (ours and rival, "SimCLR, which sees the same pictures and no strengths, errs by {rival}:"),
        (ours and rival and apart(rival, ours) > 0, "more than ComFace."),
        (ours and rival and apart(rival, ours) < 0, "less than ComFace."),
        (ours and rival and not apart(rival, ours), "no difference to ComFace that its seeds can show."),
        (kept and plain, "Features that ComFace learnt from people who do not exist err by {kept} years when kept as"),
        (kept and plain, "they are, those of an untrained network by {plain}."),
        (pixels, "From sixteen by sixteen colour pixels a change of age is told with an error of {pixels} years."),
        (sface, "From kept features of a recogniser of photographs it is told with one of {sface}."),
    )


def age_concluded(artefact: Artefact) -> str:
    """What kind of help the pre-training was: better features as they are, or a better start; "" of neither."""
    kept, plain = (measured(artefact.rows, "mae", {"method": name, "how": RIDGE}) for name in ("comface", "untrained"))
    gap = measured(artefact.rows, "less", {"method": "comface", "how": FINE})
    started = gap is not None and gap.ci95 is not None and gap.ci95[1] < 0
    reads = kept and plain and apart(plain, kept) > 0
    return say(
        {},
        (
            started and kept and plain and not reads,
            "Comparing people who do not exist has given a better start and no better features: a network that goes on "
            "learning from it ends with a smaller error than one from scratch, and as they are its features err no "
            "less, as far as seeds can show, than those of an untrained network.",
        ),
        (
            started and reads,
            "Comparing people who do not exist has given a better start, and better features too: as they are they err "
            "less than those of an untrained network.",
        ),
    )


def pilot_jobs(preset: Preset, seeds: Sequence[int] | None = None, device: str | None = None) -> dict[RunKey, Job]:
    """Of Table N's runs those that decide the rest: two seeds of ComFace, scratch and untrained, one of ImageNet."""
    found = age_jobs(preset, seeds, device)
    return {key: job for key, job in found.items() if key[1] in PILOT and key[2] < 2}


def pilot_rows(preset: Preset, runs: Mapping[RunKey, Run]) -> Iterator[Row]:
    """The error on *validation* subjects: no test subject decides anything."""
    for how in (RIDGE, FINE):
        found = by_method(runs, how)
        for name in PILOT:
            if (how, name) in ((RIDGE, "scratch"), (FINE, "untrained")):
                continue  # one network by two names: untrained when kept, from scratch when trained
            values = {seed: _validated(run, how) for seed, run in found.get(name, {}).items()}
            yield Row(keys={"method": name, "how": how}, metric="mae", measured=student_t(values) if values else None)


def _validated(run: Run, how: str) -> float:
    return float(run.summary["validation"] if how == FINE else run.summary["validation"][TASK][WHOLE]["mae"])


def pilot_found(artefact: Artefact) -> str:
    """Whether kept features pass untrained ones, and fine-tuned networks those from scratch."""

    def of(name: str, how: str) -> Measured | None:
        return measured(artefact.rows, "mae", {"method": name, "how": how})

    kept, plain, fine, base = of("comface", RIDGE), of("untrained", RIDGE), of("comface", FINE), of("scratch", FINE)

    def verdict(one: Measured, other: Measured) -> str:
        return (
            "no difference that two seeds could show"
            if not apart(one, other)
            else ("less" if one.mean < other.mean else "more")
        )

    return say(
        {
            "kept": kept and digits(kept.mean), "plain": plain and digits(plain.mean),
            "fine": fine and digits(fine.mean), "base": base and digits(base.mean),
            "first": kept and plain and verdict(kept, plain), "second": fine and base and verdict(fine, base),
        },
        (kept and plain, "Kept features of ComFace err on validation people by {kept} years, those of an untrained"),
        (kept and plain, "network by {plain}: {first}."),
        (fine and base, "Fine-tuned, ComFace errs on them by {fine} years and a network from scratch by {base}:"),
        (fine and base, "{second}."),
    )  # fmt: skip


def pilot_figure(artefact: Artefact, runs: Mapping[RunKey, Run]) -> Figure:
    """By epoch, the error on validation subjects of each fine-tuning; beside it that of kept features. What has not
    run has no place.
    """
    fine, kept = by_method(runs, FINE), by_method(runs, RIDGE)
    names = [name for name in PILOT if name in kept]
    figure, axes = plt.subplots(
        1, 1 + bool(fine), figsize=(5 + 5 * bool(fine), 3.8), layout="constrained", sharey=True, squeeze=False
    )
    left, right = axes[0, 0], axes[0, -1]
    for number, name in enumerate(PILOT):
        colour, label = plots.PALETTE[number], WORDS[name]
        for run in fine.get(name, {}).values():
            epochs = sorted(map(int, run.summary["mae"][0]))
            means = [np.mean([fold[str(epoch)] for fold in run.summary["mae"]]) for epoch in epochs]
            left.plot(epochs, means, color=colour, label=label, marker="o", markersize=3)
            label = "_"  # a name that no legend shows
        for run in kept.get(name, {}).values():
            right.plot(names.index(name), _validated(run, RIDGE), plots.MARKERS[number], color=colour)
    right.set_xticks(range(len(names)), [WORDS[name].replace(" ", "\n") for name in names])
    right.set(xlabel="features kept, ridge", xlim=(-0.5, len(names) - 0.5))
    if fine:
        left.set_xlabel("epoch of fine-tuning")
        left.xaxis.set_major_locator(MaxNLocator(integer=True))
        left.legend(fontsize=8)
    left.set_ylabel("mean error on\nvalidation subjects, years")
    return figure


TABLE_N = Experiment(
    "comface_tableN", age_jobs, age_rows, age_figure, found=age_found,
    shape=Shape(
        down=("method",), across=("how", METRIC), only={METRIC: METRICS, "how": (FINE, RIDGE, RIDGE_INNER)}, names=WORDS
    ),
)  # fmt: skip
PILOT_RUN = Experiment(
    "comface_pilot", pilot_jobs, pilot_rows, pilot_figure, found=pilot_found,
    shape=Shape(down=("method",), across=("how", METRIC), names=WORDS),
)  # fmt: skip
