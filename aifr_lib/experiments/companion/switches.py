"""Why is my number lower? Photographs measured the usual way, and with one switch of it changed at a time.

Alignment, colours and mirror image change the embeddings; thresholds, folds and strangers only how their scores are
counted. Each switch is charged what it costs on the same pairs. Numbers only: no crop and no embedding is kept.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from aifr_lib.data.formats.folder import read_each
from aifr_lib.data.images import Images
from aifr_lib.evaluation.intervals import mean_interval, weighted_mean
from aifr_lib.evaluation.protocol_scores import photograph_pair_scores
from aifr_lib.evaluation.verification import roc, ten_fold
from aifr_lib.experiments.available import SETS
from aifr_lib.experiments.companion import real_photographs
from aifr_lib.experiments.jobs import Experiment, Job
from aifr_lib.experiments.measure.embedders import device_of, embed_with, load
from aifr_lib.experiments.measure.protocol_rows import mean_over_people, over_people, statistic_over_people
from aifr_lib.faces import align
from aifr_lib.reporting import plots
from aifr_lib.reporting.artefacts import Artefact
from aifr_lib.reporting.prose import digits, listed, say
from aifr_lib.reporting.rows import Measured, Row, in_words, measured
from aifr_lib.reporting.runs import Result, Run, RunSpec
from aifr_lib.reporting.tables import METRIC, Shape
from aifr_lib.settings.presets import Preset

ID = "switches"
RECIPE, RECIPE_VERSION = "switches", 1
FAR = 0.01
USUAL = "usual"
# What enters the network, one change at a time, and what a reader sees of it.
PICTURES = {
    USUAL: "the usual way",
    "middle": "no alignment: the middle of the picture",
    "box": "the detector's box without its five points",
    "narrow": "the template of 96 columns on a crop of 112",
    "bgr": "blue and red exchanged",
    "single": "no mirror image",
}
COUNTED = {
    "tested": "threshold chosen on the tested pairs",
    "brought": "threshold brought from the other photographs",
    "mixed": "folds that share people",
    "sorted": "folds of a list with one person's pairs first",
    "squared": "squared distances for cosines",
    "any": "strangers of any age",
}
WORDS = {**PICTURES, **COUNTED}
COST, ACCEPTED, ACCEPTED_COST, LET_IN = "accuracy_cost", "TAR@FAR=1e-2", "accepted_cost", "let_in"
Scores = Mapping[str, np.ndarray]
Judged = tuple[np.ndarray, np.ndarray, np.ndarray]  # of P pairs [P] each: decided rightly, and their two people
RunKey = tuple[str, str]  # data, embedder


def switch_jobs(preset: Preset, seeds: Sequence[int] | None = None, device: str | None = None) -> dict[RunKey, Job]:
    """The runs by (data set, embedder). Naming them needs no photograph."""

    def job(data: str, embedder: str) -> Job:
        return Job(
            spec(preset, data, embedder, seeds),
            lambda _: compute_run(preset, data, embedder, seeds, device),
            lambda: real_photographs.missing(data, embedder, preset),
        )

    return {(data, embedder): job(data, embedder) for data, embedder in real_photographs.run_keys(preset)}


def spec(preset: Preset, data: str, embedder: str, seeds: Sequence[int] | None = None) -> RunSpec:
    """What names a run: data set, embedder with its version, alignment, people, the switches, seed of the strangers."""
    usual = real_photographs.spec(preset, data, embedder, seeds)
    values = {**usual.values, "pictures": list(PICTURES)}
    return usual.model_copy(update={"recipe": RECIPE, "recipe_version": RECIPE_VERSION, "values": values})


def compute_run(
    preset: Preset, data: str, embedder: str, seeds: Sequence[int] | None = None, device: str | None = None
) -> Result:
    """Scores of the same pairs for each way of ``PICTURES``: ``WAY_score`` and ``WAY_impostor``; the pairs themselves
    as ``photograph_pair_scores`` has them.
    """
    started = time.perf_counter()
    seed = seeds[0] if seeds else 0
    ways = crops(data, preset.real.identities)
    network = load(embedder, preset, device=device)
    scores: dict[str, np.ndarray] = {}
    for way in PICTURES:
        images = ways.get(way, ways[USUAL])
        if way == "bgr":
            images = replace(images, pixels=np.ascontiguousarray(images.pixels[..., ::-1]))
        found = embed_with(network, images, flip=way != "single", device=device)
        pairs = photograph_pair_scores(images, found, seed=seed)
        scores[f"{way}_score"] = pairs.pop("pair_score")
        scores[f"{way}_impostor"] = pairs.pop("impostor_score")
        scores |= pairs
    labels = ways[USUAL].labels
    return Result(
        scores=scores,
        summary={"pictures": len(labels), "people": int(labels["identity"].nunique())},
        device=device_of(embedder, device),
        wall_s=time.perf_counter() - started,
    )


@lru_cache(maxsize=1)
def crops(data: str, identities: int | None) -> dict[str, Images]:
    """The photographs of a set cut in four ways, in memory alone: aligned, by their middle, by the detector's box, and
    onto a template that lies 8 columns to the left. Where no face is found all four are the middle.
    """
    table = SETS[data].table()
    if identities is not None:
        table = table[table["identity"].isin(np.unique(table["identity"])[:identities])].reset_index(drop=True)
    cut: dict[str, list[np.ndarray]] = {way: [] for way in (USUAL, "middle", "box", "narrow")}
    for _, picture in read_each(table, desc=f"cut {data}"):
        assert picture is not None  # a bad file has raised
        for way, crop in _cuts(picture).items():
            cut[way].append(crop)
    labels = table.drop(columns="path")
    return {way: Images(data, SETS[data].VERSION, np.stack(pixels), labels) for way, pixels in cut.items()}


def _cuts(picture: np.ndarray) -> dict[str, np.ndarray]:
    middle, faces = align.centre_crop(picture), align.detect(picture)
    if not faces:
        return dict.fromkeys((USUAL, "middle", "box", "narrow"), middle)
    face = align.foremost(faces, *picture.shape[:2])
    narrow = align.TEMPLATE - [(align.SIDE - align.SIZES["112x96"][1]) / 2, 0]
    return {
        USUAL: align.warp(picture, align.similarity(face["points"], align.TEMPLATE)),
        "middle": middle,
        "box": align.warp(picture, _boxed(face["box"])),
        "narrow": align.warp(picture, align.similarity(face["points"], narrow)),
    }


def _boxed(box: np.ndarray) -> np.ndarray:
    """The [2, 3] matrix, picture → crop, that carries the square around a box (x, y, width, height) onto the crop."""
    x, y, width, height = box
    scale = align.SIDE / max(width, height)
    centre = np.array([x + width / 2, y + height / 2])
    return np.column_stack([scale * np.eye(2), align.SIDE / 2 - scale * centre])


def switch_rows(preset: Preset, runs: Mapping[RunKey, Run]) -> Iterator[Row]:
    """Accuracy over all pairs by switch, and what each costs against the usual way in points; for those of the pictures
    also what is accepted at 1 % false accepts. Intervals resample people; that of a cost takes both ways together.
    """
    for data, embedder in real_photographs.run_keys(preset):
        keys = {"data": data, "embedder": embedder}
        if (run := runs.get((data, embedder))) is None:
            yield Row(keys={**keys, "switch": USUAL}, metric="accuracy")
            continue
        others = [runs[one, embedder].scores for one in preset.real.datasets if one != data and (one, embedder) in runs]
        yield from _rows(run.scores, others[0] if others else None, keys)


def _rows(scores: Scores, other: Scores | None, keys: Mapping[str, str]) -> Iterator[Row]:
    same, a, b = (scores[f"pair_{part}"] for part in ("same", "a", "b"))
    usual = _right(scores, USUAL)
    accepted_usual = _accepted(scores, USUAL)
    for way in PICTURES:
        named, right, accepted = {**keys, "switch": way}, _right(scores, way), _accepted(scores, way)
        yield Row(keys=named, metric="accuracy", measured=mean_over_people(right, a, b, scale=100))
        yield Row(keys=named, metric=ACCEPTED, measured=mean_over_people(accepted, a[same], scale=100))
        if way != USUAL:
            yield Row(keys=named, metric=COST, measured=_cost(right, usual, a, b))
            yield Row(keys=named, metric=ACCEPTED_COST, measured=_cost(accepted, accepted_usual, a[same]))
    for way, right in _recounted(scores, other).items():
        named = {**keys, "switch": way}
        yield Row(keys=named, metric="accuracy", measured=mean_over_people(right, a, b, scale=100))
        yield Row(keys=named, metric=COST, measured=_cost(right, usual, a, b))
    if other is not None:
        let_in = scores[f"{USUAL}_impostor"] >= _threshold(other, USUAL)
        yield Row(
            keys={**keys, "switch": "brought"},
            metric=LET_IN,
            measured=mean_over_people(let_in, scores["impostor_a"], scores["impostor_b"], scale=100),
        )
    if (scores["pair_gap"] >= 0).any():
        named = {**keys, "switch": "any"}
        judged = _with_any_strangers(scores)
        yield Row(keys=named, metric="accuracy", measured=mean_over_people(*judged, scale=100))
        yield Row(keys=named, metric=COST, measured=_cost_of_other_pairs(judged, (usual, a, b)))


def _right(scores: Scores, way: str) -> np.ndarray:
    """Which pairs [P] are decided rightly, each at the threshold of the other folds."""
    values = scores[f"{way}_score"].astype(np.float64)
    return ten_fold(values, scores["pair_same"], scores["pair_fold"], convention="cosine").correct


def _threshold(scores: Scores, way: str) -> float:
    """The threshold at which nearest to 1 % of the strangers pass."""
    genuine, strangers = scores[f"{way}_score"][scores["pair_same"]], scores[f"{way}_impostor"]
    both = np.concatenate([genuine, strangers]).astype(np.float64)
    return roc(both, np.arange(len(both)) < len(genuine)).at(FAR).threshold


def _accepted(scores: Scores, way: str) -> np.ndarray:
    """Which pairs of one person [G] are accepted there."""
    return scores[f"{way}_score"][scores["pair_same"]] >= _threshold(scores, way)


def _recounted(scores: Scores, other: Scores | None) -> dict[str, np.ndarray]:
    """Which pairs [P] are decided rightly by other conventions over the scores of the usual way."""
    values, same, fold = scores[f"{USUAL}_score"].astype(np.float64), scores["pair_same"], scores["pair_fold"]
    shuffled = np.random.default_rng(0).permutation(fold)
    order = np.argsort(~same, kind="stable")
    in_order = ten_fold(values[order], same[order], convention="cosine").correct
    found = {"tested": (values >= _best_threshold(scores)) == same}
    if other is not None:
        found["brought"] = (values >= _best_threshold(other)) == same
    return {
        **found,
        "mixed": ten_fold(values, same, shuffled, convention="cosine").correct,
        "sorted": in_order[np.argsort(order)],
        "squared": ten_fold(2 - 2 * values, same, fold, convention="squared_l2").correct,
    }


def _best_threshold(scores: Scores) -> float:
    """The threshold that decides most pairs of a list rightly."""
    same = scores["pair_same"]
    curve = roc(scores[f"{USUAL}_score"].astype(np.float64), same)
    right = curve.tar * same.sum() - curve.far * (~same).sum()
    return float(curve.threshold[right.argmax()])


def _with_any_strangers(scores: Scores) -> Judged:
    """Which pairs are decided rightly if strangers are drawn at any ages; a pair of two is in the first one's fold."""
    same = scores["pair_same"]
    fold_of = dict(zip(scores["pair_a"].tolist(), scores["pair_fold"].tolist(), strict=True))
    known = np.isin(scores["impostor_a"], list(fold_of))
    drawn = np.random.default_rng(0).permutation(np.flatnonzero(known))[: int((~same).sum())]
    fold = [fold_of[person] for person in scores["impostor_a"][drawn].tolist()]
    values = np.append(scores[f"{USUAL}_score"][same], scores[f"{USUAL}_impostor"][drawn]).astype(np.float64)
    kinds = np.arange(len(values)) < same.sum()
    right = ten_fold(values, kinds, np.append(scores["pair_fold"][same], fold), convention="cosine").correct
    a, b = (np.append(scores[f"pair_{one}"][same], scores[f"impostor_{one}"][drawn]) for one in "ab")
    return right, a, b


def _cost(changed: np.ndarray, usual: np.ndarray, a: np.ndarray, b: np.ndarray | None = None) -> Measured:
    """Points that a switch adds to the usual way, over the same pairs."""
    change = changed.astype(np.int8) - usual
    low, high = mean_interval(change, a, b) if change.any() else (0.0, 0.0)
    return over_people(100 * float(change.mean()), (100 * low, 100 * high))


def _cost_of_other_pairs(changed: Judged, usual: Judged) -> Measured:
    """Points that a switch adds which takes other pairs; each resampling of people is that of both lists."""
    right, a, b = (np.concatenate(both) for both in zip(changed, usual, strict=True))
    split = len(changed[0])
    means = weighted_mean(right[:split]), weighted_mean(right[split:])

    def change(weights: np.ndarray) -> np.ndarray:
        return 100 * (means[0](weights[:, :split]) - means[1](weights[:, split:]))

    return statistic_over_people(change, a, b)


def switch_figure(artefact: Artefact) -> Figure:
    """Points of accuracy that each switch adds, a panel for each set of photographs, a marker for each embedder."""
    rows = [row for row in artefact.rows if row.metric == COST and row.measured]
    sets = list(dict.fromkeys(str(row.keys["data"]) for row in rows)) or ["orl"]
    embedders = list(dict.fromkeys(str(row.keys["embedder"]) for row in rows))
    switches = [one for one in WORDS if any(row.keys["switch"] == one for row in rows)]
    figure, axes = plt.subplots(
        1, len(sets), figsize=(4.5 + 2.6 * len(sets), 0.9 + 0.42 * len(switches)), sharey=True, squeeze=False,
        layout="constrained",
    )  # fmt: skip
    for axis, data in zip(axes[0], sets, strict=True):
        for number, embedder in enumerate(embedders):
            shift = 0.2 * (number - (len(embedders) - 1) / 2)
            style = {"color": plots.PALETTE[number], "marker": plots.MARKERS[number]}
            for place, switch in enumerate(switches):
                one = measured(rows, COST, {"data": data, "embedder": embedder, "switch": switch})
                if one is None:
                    continue
                axis.plot(one.mean, place + shift, linestyle="none", **style)
                if one.ci95:
                    axis.hlines(place + shift, *one.ci95, color=style["color"], alpha=0.6)
            axis.plot([], [], linestyle="none", label=in_words(embedder), **style)
        axis.axvline(0, color="0.3", linewidth=1)
        axis.set(title=in_words(data), xlabel="points of accuracy")
        axis.set_yticks(range(len(switches)), [WORDS[one] for one in switches])
    axes[0][0].invert_yaxis()
    figure.legend(*axes[0][0].get_legend_handles_labels(), loc="outside lower center", ncols=max(1, len(embedders)))
    return figure


def found(artefact: Artefact) -> str:
    """What the outside network loses on the harder photographs by each kind of switch, in sentences."""
    there = [row for row in artefact.rows if row.measured]
    costed = {(row.keys["data"], row.keys["embedder"]) for row in there if row.metric in (COST, "accuracy")}
    places = [(data, embedder) for data in ("fgnet", "orl") for embedder in ("sface", "tour", "pixels")]
    data, embedder = next((place for place in places if place in costed), ("", ""))

    def of(switch: str, metric: str = COST) -> Measured | None:
        return measured(there, metric, {"data": data, "embedder": embedder, "switch": switch})

    cut = [
        f"{one.mean:+.1f} with {words}"
        for way, words in (
            ("middle", "no alignment at all"),
            ("box", "the detector's box alone"),
            ("narrow", "the template eight columns off"),
        )
        if (one := of(way))
    ]
    colour, mirror, tested, brought, mixed = map(of, ("bgr", "single", "tested", "brought", "mixed"))
    ordered = of("sorted")
    strangers, let_in, usual = of("any"), of("brought", LET_IN), of(USUAL, "accuracy")
    return say(
        {
            "usual": usual and digits(usual.mean),
            "who": in_words(embedder),
            "data": in_words(data),
            "cut": listed(cut),
            "colour": colour and colour.mean,
            "mirror": mirror and mirror.mean,
            "tested": tested and tested.mean,
            "mixed": mixed and mixed.mean,
            "sorted": ordered and ordered.mean,
            "brought": brought and brought.mean,
            "any": strangers and strangers.mean,
            "let_in": let_in and digits(let_in.mean),
        },
        (usual, "Handled in the usual way, {who} is right on {usual} % of pairs of {data}."),
        (cut, "In points of accuracy, other ways change that by {cut};"),
        (colour, "{colour:+.1f} with blue and red exchanged;"),
        (mirror, "{mirror:+.1f} without the mirror image."),
        (
            tested and mixed,
            "Choosing the threshold on the tested pairs adds {tested:+.2f}, and folds that share people",
        ),
        (tested and mixed, "{mixed:+.2f}."),
        (ordered, "Cutting a list with all pairs of one person first into ten folds changes it by {sorted:+.1f}."),
        (brought, "A threshold that was best on the other photographs changes it by {brought:+.1f}."),
        (let_in, "Set where it lets in 1 % of strangers there, it lets in {let_in} % here."),
        (strangers, "Strangers of any age, in place of strangers as many years apart, change it by {any:+.1f}."),
    )


SWITCHES = Experiment(
    ID,
    switch_jobs,
    switch_rows,
    lambda artefact, _: switch_figure(artefact),
    found=found,
    shape=Shape(down=("switch",), across=("data", "embedder"), only={METRIC: COST}, names=dict(WORDS.items())),
)
