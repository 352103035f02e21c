"""Real photographs: how an outside judge, the tour's network and raw pixels fare on ORL and across ages on
FG-NET.

Numbers and curves only. The runs keep scores of pairs and probes, never an embedding: of a whole matrix of
scores one could compute the embeddings back, so a list of pairs is kept and not all of them.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from aifr_lib.data.images import Images
from aifr_lib.data.photograph_pairs import GAP_NAMES
from aifr_lib.evaluation.protocol_scores import IMPOSTORS, measure
from aifr_lib.experiments.available import ALIGNING, SETS, data_id, missing_set
from aifr_lib.experiments.jobs import Experiment, Job
from aifr_lib.experiments.measure.embedders import device_of, embedder_version, embeddings_of, missing_embedder
from aifr_lib.experiments.measure.protocol_rows import identification_rows, verification_rows
from aifr_lib.faces import align
from aifr_lib.packages import missing_package
from aifr_lib.reporting import plots
from aifr_lib.reporting.artefacts import Artefact
from aifr_lib.reporting.prose import digits, listed, say
from aifr_lib.reporting.rows import Row, measured
from aifr_lib.reporting.runs import Result, Run, RunSpec
from aifr_lib.reporting.seeds import apart
from aifr_lib.reporting.tables import METRIC, Shape
from aifr_lib.settings.presets import Preset

ID = "real_photographs"
RECIPE, RECIPE_VERSION = "photographs", 1
MAIN = ("accuracy", "rank-1", "TAR@FAR=1e-2", "TAR@FAR=1e-3")
NAMES = {"sface": "SFace", "tour": "our network (relief faces)", "pixels": "raw pixels"}
PANELS = {
    "TAR@FAR=1e-2": "Verification: accepted at 1 % false accepts",
    "rank-1": "Leave-one-out: the nearest is the same person",
}
ORL_TICK = "ORL"
TICKS = (ORL_TICK, *GAP_NAMES)
RunKey = tuple[str, str]


def photograph_rows(preset: Preset, runs: Mapping[RunKey, Run]) -> Iterator[Row]:
    """Verification and leave-one-out rank-1 on each data set by each embedder, on FG-NET by age gap too.

    What cannot be computed here (``missing``) stays without a measured value. The seed draws the impostor pairs; of
    ``seeds`` the first is taken.
    """
    for data, embedder in run_keys(preset):
        keys = {"data": data, "embedder": embedder}
        if run := runs.get((data, embedder)):
            yield from verification_rows(run.scores, keys) + identification_rows(run.scores, keys)
        else:
            yield from (Row(keys={**keys, "gap": "all"}, metric=metric) for metric in MAIN)


def photograph_jobs(preset: Preset, seeds: Sequence[int] | None = None, device: str | None = None) -> dict[RunKey, Job]:
    """The runs of ``real_photographs``: each data set by each embedder. Naming them needs no photograph."""

    def job(data: str, embedder: str) -> Job:
        return Job(
            spec(preset, data, embedder, seeds),
            lambda _: compute_run(preset, data, embedder, seeds, device),
            lambda: missing(data, embedder, preset),
        )

    return {(data, embedder): job(data, embedder) for data, embedder in run_keys(preset)}


def run_keys(preset: Preset) -> list[RunKey]:
    """Each (data set, embedder) of the preset."""
    return [(data, embedder) for data in preset.real.datasets for embedder in preset.real.embedders]


def spec(preset: Preset, data: str, embedder: str, seeds: Sequence[int] | None = None) -> RunSpec:
    """What names a run: data set, embedder with its version, alignment, people, seed of the impostors."""
    values = {
        "data": data,
        "embedder": embedder,
        "embedder_version": embedder_version(embedder, preset),
        "alignment": align.VERSION,
        "identities": preset.real.identities,
        "impostors": IMPOSTORS,
    }
    return RunSpec(recipe=RECIPE, recipe_version=RECIPE_VERSION, seed=_seed(seeds), values=values, data=data_id(data))


def missing(data: str, embedder: str, preset: Preset) -> str | None:
    """Why this run cannot be computed here, in one sentence; None where it can."""
    return missing_set(data) or missing_package(ALIGNING) or missing_embedder(embedder, preset)


def compute_run(
    preset: Preset, data: str, embedder: str, seeds: Sequence[int] | None = None, device: str | None = None
) -> Result:
    """Align, embed, score. summary: pictures, people, and the records in which the detector saw no face."""
    started = time.perf_counter()
    images: Images = SETS[data].load(identities=preset.real.identities)
    embeddings = embeddings_of(embedder, images, preset, device=device)
    labels = images.labels
    return Result(
        scores=measure(images, embeddings, seed=_seed(seeds)),
        summary={
            "pictures": len(images),
            "people": int(labels["identity"].nunique()),
            "missed": labels["record"][~labels["found"]].tolist(),
        },
        device=device_of(embedder, device),
        wall_s=time.perf_counter() - started,
    )


def gap_figure(artefact: Artefact, names: Mapping[str, str] = NAMES) -> Figure:
    """TAR at FAR 1e-2 and rank-1 on FG-NET against the age gap, a curve for each embedder of ``names``, with intervals.

    ORL, which has no ages, stands as single points beside them.
    """
    figure, axes = plt.subplots(1, 2, figsize=(9, 4), sharey=True, layout="constrained")
    embedders = list(dict.fromkeys(str(row.keys["embedder"]) for row in artefact.rows))
    for axis, (metric, title) in zip(axes, PANELS.items(), strict=True):
        for number, embedder in enumerate(embedders):
            found = _by_tick(artefact, metric, embedder)
            shift = min(0.12, 0.7 / len(embedders)) * (number - (len(embedders) - 1) / 2)
            marker = plots.MARKERS[number % len(plots.MARKERS)]
            style = {"color": plots.PALETTE[number % len(plots.PALETTE)], "marker": marker, "capsize": 3}
            label: str | None = names[embedder]
            for part in ((ORL_TICK,), GAP_NAMES):
                there = [(TICKS.index(tick) + shift, *found[tick]) for tick in part if tick in found]
                if there:
                    x, y, low, high = np.array(there).T
                    axis.errorbar(x, y, (y - low, high - y), label=label, **style)
                    label = None
        axis.set(title=title, xticks=range(len(TICKS)), xticklabels=TICKS, ylim=(-3, 103))
        axis.set_xlabel("years between the photographs (FG-NET)")
    axes[0].set_ylabel("%")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=min(3, len(embedders)))
    return figure


def living_frames(artefact: Artefact) -> tuple[list[str], list[str]]:
    """For a slider over the years between two photographs of FG-NET: what an outside network and ours still accept.

    Frames and labels; nothing where neither was measured.
    """
    curves = {name: _by_tick(artefact, "TAR@FAR=1e-2", name) for name in ("sface", "tour")}
    gaps = [gap for gap in GAP_NAMES if any(gap in curve for curve in curves.values())]
    frames, labels = [], []
    for gap in gaps:
        figure, axis = plt.subplots(figsize=(4.4, 3.4))  # half a page wide, on the cover
        axis.axvspan(gaps.index(gap) - 0.4, gaps.index(gap) + 0.4, color=plots.PAPER, alpha=0.2, linewidth=0)
        for number, (name, curve) in enumerate(curves.items()):
            there = [(gaps.index(tick), *curve[tick]) for tick in gaps if tick in curve]
            if there:
                x, y, low, high = np.array(there).T
                style = {"color": plots.PALETTE[number], "marker": plots.MARKERS[number], "capsize": 3}
                axis.errorbar(x, y, (y - low, high - y), label=NAMES[name], **style)
        axis.set(xticks=range(len(gaps)), xticklabels=gaps, ylim=(0, 105))
        axis.set(xlabel="years between two photographs\nof one person", ylabel="recognised, %")
        axis.legend()
        frames.append(plots.svg(figure))
        told = [f"{NAMES[name]} {curve[gap][0]:.0f} %" for name, curve in curves.items() if gap in curve]
        labels.append(f"{gap} years apart: {listed(told)}")
    return frames, labels


def _by_tick(artefact: Artefact, metric: str, embedder: str) -> dict[str, tuple[float, float, float]]:
    """(mean, low, high) at each tick of ``gap_figure`` for which there is a number."""
    found = {}
    for row in artefact.rows:
        gap = str(row.keys["gap"])
        tick = {("orl", "all"): ORL_TICK, ("fgnet", gap): gap}.get((str(row.keys["data"]), gap))
        if (row.metric, row.keys["embedder"]) == (metric, embedder) and tick in TICKS and row.measured:
            found[tick] = (row.measured.mean, *(row.measured.ci95 or (row.measured.mean,) * 2))
    return found


def _seed(seeds: Sequence[int] | None) -> int:
    return seeds[0] if seeds else 0


def found(artefact: Artefact) -> str:
    """How fast recognition fades with the years, by embedder, on photographs with ages; then the easy set."""
    accepted = {
        (name, gap): measured(artefact.rows, "TAR@FAR=1e-2", {"data": "fgnet", "embedder": name, "gap": gap})
        for name in NAMES
        for gap in GAP_NAMES
    }
    easy = {name: measured(artefact.rows, "rank-1", {"data": "orl", "embedder": name, "gap": "all"}) for name in NAMES}
    fades = [
        f"{NAMES[name]} accepts {digits(near.mean)} % and then {digits(far.mean)} %"
        for name in NAMES
        if (near := accepted[name, GAP_NAMES[0]]) and (far := accepted[name, GAP_NAMES[-1]])
    ]
    told = [f"{NAMES[name]} {digits(one.mean)} %" for name, one in easy.items() if one]
    both = [gap for gap in GAP_NAMES if accepted["tour", gap] and accepted["pixels", gap]]
    shows = [gap for gap in both if apart(accepted["tour", gap], accepted["pixels", gap]) > 0]
    ours, pixels = (
        measured(artefact.rows, "TAR@FAR=1e-2", {"data": "orl", "embedder": name, "gap": "all"})
        for name in ("tour", "pixels")
    )
    differ = apart(ours, pixels)
    numbers: dict[str, object] = {"fades": listed(fades), "easy": listed(told), "shows": listed(shows, " or ")}
    numbers |= {name: digits(one.mean) for name, one in (("ours", ours), ("pixels", pixels)) if one}
    return say(
        numbers,
        (fades, "Where one stranger in a hundred may pass, of pairs of photographs of one person (FG-NET)"),
        (fades, "first less than five and then at least thirty years apart, {fades}."),
        (fades and shows, "There our network accepts more than raw pixels where {shows} years lie between,"),
        (fades and shows and shows != both, "and at no other distance: only there does what drawn faces teach show."),
        (fades and shows and shows == both, "at every distance that was measured."),
        (fades and both and not shows, "What drawn faces teach does not show there."),
        (told, "On ORL, photographs of one room and few years, the nearest photograph is of the same person: {easy}."),
        (ours and pixels, "Where one stranger in a hundred may pass, our network accepts {ours} % there and raw"),
        (ours and pixels, "pixels {pixels} %:"),
        (ours and pixels and differ > 0, "more."),
        (ours and pixels and differ < 0, "less."),
        (ours and pixels and not differ, "no difference that these people can show."),
    )


PHOTOGRAPHS = Experiment(
    ID,
    photograph_jobs,
    photograph_rows,
    lambda artefact, _: gap_figure(artefact),
    found=found,
    shape=Shape(down=("data", "embedder"), across=(METRIC,), only={"gap": "all", METRIC: MAIN}),
)
