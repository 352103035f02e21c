"""What was tried on validation people before a student was judged: weights of the losses, rates (none is printed)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from aifr_lib.data.relief import chosen
from aifr_lib.experiments import recognise
from aifr_lib.experiments.aad.students import tuning_job
from aifr_lib.experiments.aad.tables import ACROSS
from aifr_lib.experiments.jobs import Experiment, Job
from aifr_lib.reporting import plots
from aifr_lib.reporting.artefacts import Artefact
from aifr_lib.reporting.prose import digits, say
from aifr_lib.reporting.rows import METRICS, WORDS, Key, Row, in_words
from aifr_lib.reporting.runs import Run
from aifr_lib.reporting.tables import Shape
from aifr_lib.settings.aad import Aad
from aifr_lib.settings.presets import Preset

ALONE = "self"
RIVAL = "l2"
AXES = {
    "last_weight": "weight of the last term, λₙ",
    "attention_weight": "weight of the attention loss, λᴬ",
}
DRAWN = ("masks", "attention_weight", "reduction")  # what is asked of a student that is drawn to masks
CHANCE = 60.0  # %: a student below has learned nothing, as one whose training diverged


def tuning_jobs(
    preset: Preset, seeds: Sequence[int] | None = None, device: str | None = None
) -> dict[tuple[str, int], Job]:
    """The runs by (variant, seed): each variant that the preset tries, with the first seed, for a part of the epochs.

    What the argument ``seeds`` says does not matter here.
    """
    aad = preset.aad
    first = aad.ledger[0]
    entry, seed = first.model_copy(update={"length": aad.tried_length}), first.seeds[0]
    return {
        (variant, seed): tuning_job(aad.student(entry, variant, seed), aad.protocols, device) for variant in aad.tried
    }


def tuning_rows(preset: Preset, runs: Mapping[tuple[str, int], Run]) -> Iterator[Row]:
    """Accuracy on validation people by what was asked and list of pairs; no test person is looked at."""
    aad = preset.aad
    for variant in aad.tried:
        found = {seed: run.summary["validation"] for (name, seed), run in runs.items() if name == variant}
        for name in chosen.lists_of(aad.train.relief, "validation").get("everyday", []):
            keys = {**settings_of(aad, variant), "set": f"{name}, validation"}
            yield Row(keys=keys, metric="accuracy", measured=recognise.over_seeds(found, name))


def settings_of(aad: Aad, variant: str) -> dict[str, Key]:
    """What is tried of a variant, by name; what it has no use for is left out."""
    asked = aad.variants[variant]
    named = [name for name, used in (
        ("last_weight", asked.mode != ALONE), ("distance", asked.mode.startswith("ad")),
        *((name, asked.masks != "none") for name in DRAWN),
    ) if used]  # fmt: skip
    return {"mode": asked.mode, **{name: getattr(asked, name) for name in named}, "lr": aad.train.lr * asked.lr}


def tuning_figure(artefact: Artefact) -> Figure:
    """Accuracy across ages on validation people against the weight of the last term, the weight of the attention loss
    and the learning rate; bars are intervals over people, the dashed line is the student alone. What ended at chance
    lies below the picture, with its number.
    """
    rows = [row for row in artefact.rows if str(row.keys["set"]).startswith(ACROSS) and row.measured]
    alone = [row for row in rows if row.keys["mode"] == ALONE]
    taught = [row for row in rows if row.keys["mode"] != ALONE]
    usual = {row.keys["lr"] for row in alone} or {row.keys["lr"] for row in taught if row.keys.get("masks")}
    plain = [row for row in taught if "masks" not in row.keys]
    panels = {
        "last_weight": [row for row in plain if not usual or row.keys["lr"] in usual],
        "attention_weight": [row for row in taught if "masks" in row.keys],
        "lr": [row for line in _joined(plain, "lr") if len(line) > 1 for row in line],
    }
    there = [name for name, rows in panels.items() if rows] or ["last_weight"]
    figure, axes = plt.subplots(1, len(there), figsize=(1.5 + 3.5 * len(there), 3.8), sharey=True, squeeze=False)
    for axis, name in zip(axes[0], there, strict=True):
        _lines(axis, panels[name], name)
        for row in alone:
            assert row.measured is not None
            axis.axhline(row.measured.mean, color="0.4", linestyle="--", linewidth=1, label=in_words(ALONE))
        if axis.get_legend_handles_labels()[1]:
            axis.legend(fontsize=8, loc="lower left", bbox_to_anchor=(0, 1), ncol=2)
    learned = [min(row.measured.ci95 or [row.measured.mean]) for row in rows if row.measured and not at_chance(row)]
    if learned and len(learned) < len(rows):
        axes[0, 0].set_ylim(bottom=min(learned) - 2)
    axes[0, 0].set_ylabel(f"{METRICS['accuracy']}\nvalidation people, 30 years apart")
    figure.tight_layout()
    return figure


def _lines(axis: Axes, rows: Sequence[Row], x: str) -> None:
    axis.set(xscale="log", xlabel=AXES.get(x, in_words(x)))
    tried = sorted({float(row.keys[x]) for row in rows})
    axis.set_xticks(tried, [f"{value:g}" for value in tried], fontsize=9)
    axis.minorticks_off()
    for number, line in enumerate(_joined(rows, x)):
        measured = [row.measured for row in line if row.measured]
        means = [one.mean for one in measured]
        ends = [one.ci95 or (one.mean, one.mean) for one in measured]
        bars = [[mean - low for mean, (low, _) in zip(means, ends, strict=True)],
                [high - mean for mean, (_, high) in zip(means, ends, strict=True)]]  # fmt: skip
        names = [line[0].keys[name] for name in ("mode", "distance", "reduction") if name in line[0].keys]
        axis.errorbar([float(row.keys[x]) for row in line], means, bars, color=plots.PALETTE[number],
                      marker=plots.MARKERS[number], capsize=2, label=", ".join(map(in_words, names)))  # fmt: skip
        for row in filter(at_chance, line):
            assert row.measured is not None
            axis.annotate(f"{digits(row.measured.mean)} ↓", (float(row.keys[x]), 0.02), fontsize=8, ha="center",
                          xycoords=("data", "axes fraction"), color=plots.PALETTE[number])  # fmt: skip


def at_chance(row: Row) -> bool:
    """Whether a student learned nothing."""
    return row.measured is not None and row.measured.mean < CHANCE


def _joined(rows: Sequence[Row], x: str) -> list[list[Row]]:
    """The rows that differ in ``x`` alone, together, in its order."""
    lines: dict[tuple[tuple[str, Key], ...], list[Row]] = {}
    for row in sorted(rows, key=lambda row: float(row.keys[x])):
        lines.setdefault(tuple(item for item in row.keys.items() if item[0] != x), []).append(row)
    return list(lines.values())


def tuning_found(artefact: Artefact) -> str:
    """What the best of all that was tried gains over the student alone, and how near ℓ2 comes at its own best."""
    rows = [row for row in artefact.rows if str(row.keys["set"]).startswith(ACROSS) and row.measured]
    best = _best(rows)
    alone = next((row.measured for row in rows if row.keys["mode"] == ALONE), None)
    rivals = [row for row in rows if row.keys["mode"] == RIVAL]
    rival = _best(rivals) if rivals and best.keys["mode"] != RIVAL else None
    lost = next(filter(at_chance, rivals), None)
    assert best.measured is not None
    names = {"mode": in_words(best.keys["mode"]), "mean": digits(best.measured.mean)}
    names |= {name: in_words(best.keys[name]) for name in ("last_weight", "distance") if name in best.keys}
    if alone:
        names["gain"] = digits(best.measured.mean - alone.mean)
    names["rival"] = in_words(RIVAL)
    if rival and rival.measured:
        names |= {"its": in_words(rival.keys["last_weight"]), "comes_to": digits(rival.measured.mean)}
    if lost:
        names["lost"] = in_words(lost.keys["last_weight"])
    return say(
        names,
        (True, "Of all that was tried, on validation people and with one seed, the best is {mode}"),
        ("distance" in names, "with a {distance} distance"),
        ("last_weight" in names, "at weight {last_weight}"),
        (True, "({mean} % of pairs thirty years apart)."),
        ("gain" in names and best.keys["mode"] != ALONE, "That is {gain} points above the student alone."),
        ("its" in names, "At its own best weight, {its}, {rival} comes to {comes_to} %."),
        ("lost" in names, "At weight {lost} {rival} learns nothing."),
    )


def _best(rows: Sequence[Row]) -> Row:
    return max(rows, key=lambda row: row.measured.mean if row.measured else 0.0)


TUNING = Experiment(
    "aad_tuning",
    tuning_jobs,
    tuning_rows,
    lambda artefact, _: tuning_figure(artefact),
    found=tuning_found,
    shape=Shape(
        down=("mode", "distance", "last_weight", *DRAWN, "lr"),
        across=("set",),
        names={f"{name}, validation": said for name, said in WORDS.items()},
    ),
)
