"""What a page says was found: it follows the numbers, says so where there are none, and is English."""

from __future__ import annotations

import random
import re

import pytest

from aifr_lib.experiments import EXPERIMENTS
from aifr_lib.experiments.aad import cost, curves, geometry, networks, tables, truth, truth_table
from aifr_lib.experiments.comface import age, expression, pretraining, quality, weight
from aifr_lib.experiments.companion import many_people, protocols, real_photographs, switches, tour
from aifr_lib.experiments.generator import children, edit_rows, latent_sets, photo_real
from aifr_lib.experiments.mtlface import beyond, dataset
from aifr_lib.experiments.relief import convergence, judged_rows, readers, shortcuts, span
from aifr_lib.experiments.tml import (
    alpha_sweep,
    architecture,
    attention,
    configurations,
    feature_maps,
    layers,
    variance,
    verification,
)
from aifr_lib.experiments.tml import beyond as what_settles
from aifr_lib.reporting.artefacts import Artefact
from aifr_lib.reporting.prose import signs
from aifr_lib.reporting.rows import Measured, Row
from aifr_lib.reporting.runs import Git
from aifr_lib.reporting.seeds import student_t
from aifr_lib.settings.presets import load_preset

WITH_WORDS = [id for id, experiment in EXPERIMENTS.items() if experiment.found]
SAMPLED = "shared out, a tenth sampled"
# Ids, names of keys and of metrics, numbers of twenty digits.
MACHINE = re.compile(r"[a-z]_[a-z]|\brelief-[a-z]|@|=1e-|[{}\[\]]|\bNone\b|\bnan\b|\d\.\d{5}|\d[eE]-\d|  | \.| ,")


def artefact(id, rows, runs=("a",)):
    return Artefact(
        id=id,
        kind=EXPERIMENTS[id].kind,
        preset="classroom",
        seeds=(0, 1, 2) if runs else (),
        data=None,
        device="cpu",
        versions={},
        git=Git(),
        wall_s=1.0,
        runs=runs,
        rows=tuple(rows),
        verdict="none",
    )


def over_seeds(mean, spread=0.1):
    return student_t({seed: mean + spread * (seed - 1) for seed in range(3)})


def of_people(mean, half=0.5):
    return Measured(mean=mean, ci95=(mean - half, mean + half), interval="identities")


def accuracies(by_alpha):
    return [
        Row(keys={"alpha": alpha, "set": "relief-agedb"}, metric="accuracy", measured=over_seeds(mean))
        for alpha, mean in by_alpha.items()
    ]


def ratios(plain, branch, people="training", shrink=1.0):
    where = {"form": "raw", "people": people}
    for loss, ratio, scale in (("arcface", plain, 1.0), ("transformer-arcface", branch, shrink)):
        for metric, value in (("intra", 4.0 * scale), ("inter", 4.0 * scale * ratio), ("ratio", ratio)):
            yield Row(keys={**where, "loss": loss}, metric=metric, measured=over_seeds(value, 0.01))


def accepted(by_place):
    return [
        Row(keys={"data": "fgnet", "embedder": name, "gap": gap}, metric="TAR@FAR=1e-2", measured=of_people(mean))
        for (name, gap), mean in by_place.items()
    ]


PROTOCOL_ROWS = [
    Row(keys={"protocol": p, "data": data, "gap": "all", **more}, metric=metric, measured=of_people(mean))
    for p, data, metric, mean, more in (
        ("P1", "fgnet", "accuracy", 85.8, {}),
        ("P1", "fgnet", "TAR@FAR=1e-2", 61.8, {}),
        ("P2", "fgnet", "rank-1", 92.9, {}),
        ("P3", "fgnet", "rank-1", 78.0, {"distractors": 10000}),
        ("P3", "fgnet", "rank-1", 92.0, {"distractors": 10}),
        ("P4", "relief-ijb", "TAR@FAR=1e-1", 88.6, {"pictures": "one"}),
        ("P4", "relief-ijb", "TAR@FAR=1e-1", 96.0, {"pictures": "all"}),
    )
]
CALIBRATION = [
    Row(keys={"training": name, "set": "relief-agedb"}, metric=metric, measured=over_seeds(value))
    for name, metric, value in (
        (convergence.BASELINE, "accuracy", 88.0),
        (convergence.LONGER, convergence.GAIN, 0.4),
        (convergence.TEACHER, convergence.GAIN, 4.0),
    )
]
SPANS = [
    Row(keys={"people": people, "set": name}, metric=metric, measured=over_seeds(value))
    for people, name, metric, value in (
        (span.NARROW, "relief-agedb", "accuracy", 80.0),
        (span.WIDE, "relief-agedb", "accuracy", 87.0),
        (span.WIDE, "relief-agedb", span.GAIN, 7.0),
        (span.WIDE, "relief-lfw", span.GAIN, 5.0),
    )
]
DIRECTIONS = [
    Row(keys={"direction": name, "at": at}, metric=metric, measured=of_people(mean, half))
    for name, at, metric, mean, half in (
        ("age", "all", edit_rows.FOUND, 0.7, 0.01),
        ("smile", "all", edit_rows.FOUND, 0.7, 0.01),
        ("gender", "all", edit_rows.FOUND, 0.7, 0.01),
        ("age", "all", edit_rows.EACH, 0.95, 0.01),
        ("smile", "all", edit_rows.EACH, 0.75, 0.1),
        ("age", -5.0, edit_rows.SAME, 0.6, 0.01),
        ("age", 5.0, edit_rows.SAME, 0.45, 0.01),
        ("smile", 5.0, edit_rows.SAME, 0.8, 0.01),
    )
]
QUALITY = [
    Row(keys={"faces": "relief faces", "score": "SER-FIQ"}, metric=metric, measured=of_people(mean, 3.0))
    for metric, mean in (("v ≥ 0.6, %", 71.0), ("lower when blurred, %", 30.0))
]
JUDGED = [
    Row(keys={"data": "relief faces", "judge": judge, "over": over}, metric=metric, measured=of_people(mean, 0.01))
    for judge, over, metric, mean in (
        ("MTCNN", "all", judged_rows.FOUND, 98.0),
        ("SFace", judged_rows.NEAR, judged_rows.AUC, 0.98),
        ("SFace", judged_rows.FAR, judged_rows.AUC, 0.9),
        ("age judge", "all", "corr", 0.7),
    )
]
SETS = [
    Row(keys={"data": "edited", "at": "all"}, metric="people", measured=Measured(mean=300)),
    Row(keys={"data": "edited", "at": "all"}, metric="pictures", measured=Measured(mean=9300)),
]
SHORTCUTS = [
    Row(keys={"set": "relief-lfw", "shortcut": "border"}, metric="accuracy", measured=of_people(52.0)),
    Row(keys={"set": "relief-agedb", "shortcut": "hair colour"}, metric="accuracy", measured=of_people(55.0)),
]
READ = [
    Row(keys={"faces": drawn, "set": "relief-agedb", "reader": reader}, metric="accuracy", measured=of_people(mean))
    for drawn, reader, mean in (
        (readers.AS_DRAWN, "mean colour", 51.0),
        (readers.AS_DRAWN, "top quarter", 54.5),
        (readers.AS_DRAWN, "12×12 colour", 70.0),
        (readers.ONE_COLOURING, "12×12 colour", 66.0),
    )
]
SOURCES = [
    Row(keys={"data": data, "embedder": source, "gap": "all"}, metric="rank-1", measured=over_seeds(mean))
    for data, source, mean in (
        ("orl", "relief", 80.0),
        ("orl", "generator", 85.0),
        ("fgnet", "relief", 26.0),
        ("fgnet", "generator", 40.0),
    )
]
TAUGHT = [
    Row(
        keys={"backbone": tables.STUDENT, "variant": variant, "set": tables.ACROSS},
        metric="accuracy",
        measured=over_seeds(mean),
    )
    for variant, mean in (("self", 90.0), ("ad", 92.0), ("aad", 92.0), ("ad_last", 91.0))
]
COSTS = [
    Row(
        keys={"backbone": tables.STUDENT, "variant": variant, "threads": threads},
        metric=metric,
        measured=Measured(mean=factor * mean),
    )
    for variant, factor in (("self", 1.0), ("aad", 1.5))
    for metric, threads, mean in (
        ("multiply_adds", "any", 20),
        ("multiply_adds_trained", "any", 60),
        ("latency", "1", 4),
        ("latency", "2", 3),
    )
]
MANY = [
    Row(
        keys={"where": many_people.HERE, "people": people, "head": way},
        metric=metric,
        measured=Measured(mean=factor * mean),
    )
    for people, factor in (("100,000", 1.0), ("1,000,000", 10.0))
    for way, memory, seconds in (("whole", 0.7, 1.2), ("shared out", 0.4, 0.6), (SAMPLED, 0.3, 0.2))
    for metric, mean in (("memory_each", memory), ("step_seconds", seconds))
]
CURVES = [
    Row(keys={"term": term, "step": step}, metric=curves.METRICS[name], measured=Measured(mean=mean))
    for term, first, last, slope in (("identity", 9, 3, 2.0), ("stage1", 0.8, 0.4, 0.2), ("last", 0.9, 0.1, 1.0))
    for step, loss in ((1, first), (100, last))
    for name, mean in (("loss", loss), ("slope", slope))
]
GUIDED = [
    Row(keys={"network": name}, metric=metric, measured=over_seeds(mean))
    for name, angle, margin in (("teacher", 179.0, 140.0), ("alone", 65.0, -5.0), ("guided", 169.0, -5.0))
    for metric, mean in (("angle", angle), ("margin", margin))
]
DRAWN_JUDGE = Row(keys={"method": "judge", "set": "held out people"}, metric="mae", measured=over_seeds(5.0))
DRAWN = [
    Row(keys={"method": method, "set": "relief-wide"}, metric=metric, measured=over_seeds(value, 0.01))
    for method, aged, kept in (
        ("copy", 14.3, 0.81),
        ("truth", 62.0, 1.0),
        ("mtlface", 70.0, 0.85),
        ("caae", 30.0, 0.5),
        ("critic_leads", 50.0, 0.7),
    )
    for metric, value in (("age_accuracy", aged), ("identity_of_truth", kept))
]
SPLIT = [
    *(
        Row(keys={"variant": name, "part": "identity"}, metric="mae", measured=over_seeds(mean))
        for name, mean in (("both", 9.0), ("both_without_adversary", 7.0))
    ),
    *(
        Row(keys={"variant": name, "set": "relief-agedb"}, metric="accuracy", measured=over_seeds(mean))
        for name, mean in (("both", 90.0), ("none_without_adversary", 90.1))
    ),
]
ONE_MASK = [
    row
    for name, mean in (("both", 9.0), ("channel", 7.0), ("spatial", 8.0))
    for row in (
        Row(keys={"variant": name, "part": "identity"}, metric="mae", measured=over_seeds(mean)),
        Row(keys={"variant": name, "set": "relief-agedb"}, metric="accuracy", measured=over_seeds(90.0 + mean)),
    )
]
LEARNED_FROM = [
    Row(keys={"arm": arm, "set": "relief-agedb"}, metric="accuracy", measured=over_seeds(mean))
    for arm, mean in ((beyond.PLAIN, 90.0), (beyond.DRAWN, 91.0), (beyond.TRUE, 96.0))
]
LABELLED = [
    Row(keys={"data": dataset.RELIEF, "true age": age}, metric=metric, measured=of_people(mean))
    for age, metric, mean in (
        ("all", dataset.SHARE, 60.0),
        ("all", "mae", 9.0),
        ("11–20 years", dataset.SHARE, 80.0),
    )
]
PHOTOGRAPHS = {("sface", "0–4"): 92.0, ("sface", "30+"): 24.0, ("tour", "0–4"): 16.0, ("pixels", "0–4"): 7.0}
PULLS = [
    Row(keys={"loss": loss, "module": module}, metric="gradient", measured=Measured(mean=mean))
    for loss, module, mean in (
        ("margin", "O_f", 1.7),
        ("transformer", "O_f", 0.02),
        ("transformer", "embedding layer", 0.0),
    )
]
WALKED = [
    Row(
        keys={"network": "ResNet100", "part": part, "output": "512"},
        metric="multiply_adds",
        measured=Measured(mean=mean),
    )
    for part, mean in (("stage 1", 12_000.0), ("embedding O_ε", 13.0), ("encoder T_S", 940.0))
]
CONFIGURED = [
    *(
        Row(keys={"configuration": name, "set": "relief-lfw"}, metric="accuracy", measured=over_seeds(mean))
        for name, mean in (("standard", 89.0), ("linear", 90.0), ("margin", 90.02), ("sum", 88.0))
    ),
    *(
        Row(keys={"configuration": name, "set": "relief-lfw"}, metric="late_gain", measured=over_seeds(mean))
        for name, mean in (("linear", 3.0), ("sum", 0.4))
    ),
]
LOSSES = [
    Row(keys={"loss": name, "set": "relief-lfw"}, metric="accuracy", measured=over_seeds(mean) if mean else None)
    for name, mean in (("arcface", 89.0), ("sym-arcface", None), ("transformer-arcface", 90.0))
]
KEPT = [
    Row(keys={"stage": stage, "pair": pair}, metric="corr", measured=Measured(mean=mean))
    for stage, pair, mean in ((1, "one person", 0.6), (4, "one person", 0.4), (4, "two people", 0.1))
]
ATTENDED_BY_LAYER = [
    Row(keys={"layer": layer, "pair": pair}, metric=layers.MOVED, measured=of_people(mean))
    for layer, pair, mean in ((1, layers.ONE, 9.0), (1, layers.TWO, 2.0), (2, layers.ONE, 1.5), (2, layers.TWO, 3.0))
]
RELATED = [
    Row(keys={"network": network, "apart": away}, metric="cell_cosine", measured=Measured(mean=mean))
    for network, away, mean in (("trained", 1, 0.5), ("trained", 2, 0.2), ("untrained", 1, 0.8), ("untrained", 2, 0.7))
]


def bases(gains):
    return [
        Row(
            keys={"base": base, "transformer": on, "set": place},
            metric="accuracy",
            measured=over_seeds(90.0 + on * gain),
        )
        for (base, place), gain in gains.items()
        for on in (False, True)
    ]


def taught(metric, **keys):
    ways = [(tables.STUDENT, row.keys["variant"], row.measured) for row in TAUGHT]
    return [
        Row(keys={"backbone": backbone, "variant": variant, **keys}, metric=metric, measured=mean)
        for backbone, variant, mean in [*ways, ("iresnet18", "teacher", over_seeds(95.0))]
    ]


ACROSS = {("arcface", "relief-agedb"): -0.5, ("cosface", "relief-agedb"): 0.6, ("arcface", "relief-near"): 0.01}
TURNED = {("arcface", "relief-cplfw"): -0.5, ("arcface", "relief-ijb"): 0.02}
HOW = (age.FINE, age.RIDGE)
AGED = [
    Row(keys={"method": name, "how": how, "set": "fgnet"}, metric="mae", measured=over_seeds(mean))
    for name, mean in {"comface": 6.4, "scratch": 6.8, "untrained": 8.4, "pixels": 7.7, "sface": 5.9}.items()
    for how in HOW
] + [Row(keys={"method": "comface", "how": age.FINE, "set": "fgnet"}, metric="less", measured=of_people(-0.4, 0.3))]
LOST = [
    Row(keys={"method": name, "how": how, "set": ward}, metric=metric, measured=of_people(mean))
    for name, mean in {"comface": 1.1, "scratch": 1.3, "pixels": 1.9, "zero": 2.4}.items()
    for how in HOW
    for ward in weight.SETS
    for metric in ("mae", "accuracy")
]
MOVED = [
    Row(keys={"method": name, "unit": unit}, metric="corr", measured=of_people(mean, 0.1))
    for name, mean in {"comface": 0.5, "imagenet": 0.4}.items()
    for unit in expression.UNITS
]
WAYS = [
    Row(keys={"method": "comface", "setting": kind, "task": unit}, metric="mae", measured=of_people(0.6, 0.1))
    for kind in expression.SETTINGS
    for unit in expression.MAIN
]
LEARNT = [
    Row(keys={"method": name, "outcome": outcome}, metric=pretraining.SHARE, measured=over_seeds(0.6))
    for name, outcome in (("comface", "trained"), ("simclr", "trained"), ("swav", "did not train"))
]
VARIED = {
    kind: [Row(keys={kind: value, "task": "age"}, metric="mae", measured=of_people(6.4)) for value in values]
    for kind, (_, values, _) in weight.VARIED.items()
}
ARMS = [
    Row(keys={"arm": arm, "set": place}, metric="accuracy", measured=over_seeds(90.0 + gain))
    for arm, gain in (("without", 0.0), ("with", 0.5), ("rescaled", 0.1), ("frozen", -0.1), ("with_36_cells", 0.4))
    for place in ("relief-agedb", "relief-near")
]
BY_AGE = [
    *(Row(keys={"arm": arm, "set": "relief-lfw"}, metric="slope", measured=over_seeds(slope)) for arm, slope in
      (("without", -1.0), ("with", -0.8))),
    Row(keys={"arm": "with", "tenth": "last"}, metric="pull", measured=over_seeds(7.5)),
]  # fmt: skip
PHOTOGRAPHED = [
    Row(keys={"set": place, "transformer": on}, metric="rank-1", measured=over_seeds(30.0 + on))
    for place in ("fgnet", "orl", "across ages")
    for on in (False, True)
]
ATTENDED = [
    Row(keys={"reader": reader}, metric="age_corr", measured=over_seeds(mean))
    for reader, mean in (("trained", -0.3), ("untrained", 0.0), ("centre", -0.2))
]
SWITCHED = [
    Row(keys={"data": "fgnet", "embedder": "sface", "switch": switch}, metric=metric, measured=over_seeds(mean))
    for switch, metric, mean in (
        (switches.USUAL, "accuracy", 86.0),
        *((one, switches.COST, -2.0) for one in switches.WORDS if one != switches.USUAL),
        ("brought", switches.LET_IN, 3.0),
    )
]
GROWN = [
    Row(keys={"embedder": "sface", "younger": young, "gap": gap}, metric=children.ACCEPTED,
        measured=of_people(80.0, 3.0))
    for young in ("0–4", "18–29") for gap in ("0–4", "20–29")
] + [
    Row(keys={"embedder": "sface", "younger": young, "gap": "strangers"}, metric=children.LET_IN,
        measured=of_people(5.0, 1.0))
    for young in children.AGE_NAMES
]  # fmt: skip
BUILT = [
    Row(keys={"network": name}, metric="parameters", measured=Measured(mean=mean), paper=paper, paper_source="Table I")
    for name, mean, paper in (("mobilefacenet", 1_201_024, 1_200_000), ("mobilefacenet-r", 3_790_336, 3_730_000))
]
WHOLE = {
    "aad_fig2": BUILT,
    "switches": SWITCHED,
    "children": GROWN,
    "comface_tableN": AGED,
    "comface_pilot": AGED,
    "comface_tableM": LOST,
    "comface_tableJ": MOVED,
    "comface_tableK": WAYS,
    "comface_pretraining": LEARNT,
    "comface_tableL": VARIED["setting"],
    "comface_tableI": VARIED["backbone"],
    "tml_beyond": [*ARMS, *BY_AGE],
    "tml_branch_variants": ARMS,
    "tml_second_source": PHOTOGRAPHED,
    "tml_attention": ATTENDED,
    "tml_layers": ATTENDED_BY_LAYER,
    "tml_fig2": PULLS,
    "tml_fig5": WALKED,
    "tml_fig7": CONFIGURED,
    "tml_table1": LOSSES,
    "tml_table2": bases(ACROSS),
    "tml_table3": bases(TURNED),
    "tml_fig3": KEPT,
    "tml_fig4": RELATED,
    "tml_fig6": accuracies({0.0: 90.0, 0.1: 90.0, 0.4: 91.0, 0.9: 84.0}),
    "tml_table4": [*ratios(5.0, 5.5), *ratios(2.0, 2.1, people="test")],
    "real_photographs": accepted({**PHOTOGRAPHS, ("tour", "30+"): 1.0, ("pixels", "30+"): 1.0}),
    "protocols": PROTOCOL_ROWS,
    "tour": [Row(keys={"set": f"relief-{n}"}, metric="accuracy", measured=of_people(90.0)) for n in ("near", "agedb")],
    "relief_convergence": CALIBRATION,
    "relief_span": SPANS,
    "relief_shortcuts": SHORTCUTS,
    "relief_readers": READ,
    "photo_real": SOURCES,
    "aad_table2": TAUGHT,
    "aad_table5": taught("rank1"),
    "aad_table6": taught("tar", set="relief-ijb, FAR 0.0001"),
    "aad_fig5": CURVES,
    "aad_cost": COSTS,
    "many_people": MANY,
    "aad_fig4": GUIDED,
    "relief_judges": JUDGED,
    "mtlface_figA1": LABELLED,
    "mtlface_pilot": [DRAWN_JUDGE, *DRAWN],
    "mtlface_decomposition": SPLIT,
    "mtlface_attention": ONE_MASK,
    "mtlface_table2": [DRAWN_JUDGE, *DRAWN],
    "mtlface_beyond": LEARNED_FROM,
    "latent_directions": DIRECTIONS,
    "latent_sets": SETS,
    "comface_figD": QUALITY,
}


# Their rows as the experiment makes them, each with a number.
for id in ("aad_teachers", "aad_truth", "aad_ages", "aad_files", "aad_gaps", "aad_tuning", "attention_map",
           "comface_scaling", "comface_where", "comface_attributes", "comface_strata", "comface_rivals",
           "comface_fusion", "comface_shortcuts", "comface_days", "comface_tableH"):  # fmt: skip
    made = EXPERIMENTS[id].rows(load_preset("classroom"), {})
    WHOLE[id] = [row.model_copy(update={"measured": over_seeds(80.0 + at)}) for at, row in enumerate(made)]


def test_every_experiment_that_speaks_is_tested_here():
    assert set(WHOLE) == set(WITH_WORDS)


@pytest.mark.parametrize("id", EXPERIMENTS)
def test_where_nothing_was_run_that_is_said(id):
    experiment = EXPERIMENTS[id]
    rows = list(experiment.rows(load_preset("classroom"), {}))
    bare = [row.model_copy(update={"measured": None}) for row in rows]
    said = experiment.finding(artefact(id, bare, runs=()))
    assert said.lower().endswith((": not run yet at this size.", "? not run yet at this size.")) and "_" not in said


@pytest.mark.parametrize("id", WITH_WORDS)
def test_sentences_are_english_whatever_is_missing(id):
    draw, whole = random.Random(0), EXPERIMENTS[id].finding(artefact(id, WHOLE[id]))
    assert whole.endswith(".") and not MACHINE.search(whole), whole
    for _ in range(30):
        some = [row if draw.random() < 0.6 else row.model_copy(update={"measured": None}) for row in WHOLE[id]]
        said = EXPERIMENTS[id].finding(artefact(id, some))
        assert not MACHINE.search(said), said
        fewer = [row for row in some if row.measured]
        assert EXPERIMENTS[id].finding(artefact(id, fewer)) == said or not fewer


@pytest.mark.parametrize("id", WITH_WORDS)
def test_rows_as_the_experiment_makes_them_are_understood(id):
    rows = list(EXPERIMENTS[id].rows(load_preset("classroom"), {}))
    filled = [row.model_copy(update={"measured": over_seeds(90.0)}) for row in rows]
    assert not filled or EXPERIMENTS[id].finding(artefact(id, filled))


@pytest.mark.parametrize(
    ("branch", "said"),
    [(91.0, "a gain of 1.00 points."), (88.5, "a loss of 1.50 points."), (90.05, "no difference that these seeds can")],
)
def test_the_sweep_says_gain_loss_or_neither(branch, said):
    found = alpha_sweep.found(artefact("tml_fig6", accuracies({0.0: 90.0, 0.4: branch})))
    assert said in found


def test_the_sweep_says_what_its_ends_cost():
    found = alpha_sweep.found(artefact("tml_fig6", accuracies({0.0: 90.0, 0.1: 90.02, 0.4: 90.0, 0.9: 84.0})))
    assert "An α of 0.1 costs nothing that shows. An α of 0.9 costs 6.00 points." in found
    found = alpha_sweep.found(artefact("tml_fig6", accuracies({0.0: 90.0, 0.1: 92.0, 0.4: 90.0})))
    assert "An α of 0.1 gains 2.00 points." in found


@pytest.mark.parametrize(("high", "word"), [(84.0, "Why a high α costs"), (90.0, "")])
def test_why_is_given_for_what_was_seen(high, word):
    why = alpha_sweep.why(artefact("tml_fig6", accuracies({0.0: 90.0, 0.4: 90.0, 0.9: high})))
    assert (word in why) if word else ("high" not in why)
    assert "may not help" in why
    assert "may help" in alpha_sweep.why(artefact("tml_fig6", accuracies({0.0: 90.0, 0.4: 95.0})))
    assert alpha_sweep.why(artefact("tml_fig6", [])) == ""


@pytest.mark.parametrize(("branch", "word"), [(5.5, "tighter"), (4.5, "looser"), (5.0, "no difference")])
def test_the_table_of_variances_says_which_way_its_ratio_went(branch, word):
    assert word in variance.found(artefact("tml_table4", list(ratios(5.0, branch))))


def test_that_embeddings_shrank_is_said_only_where_both_variances_fell():
    assert "shrinks" in variance.found(artefact("tml_table4", list(ratios(5.0, 5.0, shrink=0.5))))
    assert "shrinks" not in variance.found(artefact("tml_table4", list(ratios(5.0, 5.0, shrink=2.0))))


def test_photographs_say_at_which_distances_drawn_faces_carry_over():
    def said(ours, later=1.0, **orl):
        middle = {("tour", "10–19"): later, ("pixels", "10–19"): 1.0}
        places = {**PHOTOGRAPHS, **middle, ("tour", "30+"): 1.0, ("pixels", "30+"): 1.0, ("tour", "0–4"): ours}
        easy = [
            Row(keys={"data": "orl", "embedder": name, "gap": "all"}, metric=metric, measured=of_people(mean, 5.0))
            for name, mean in orl.items()
            for metric in ("rank-1", "TAR@FAR=1e-2")
        ]
        return real_photographs.found(artefact("real_photographs", [*accepted(places), *easy]))

    assert "SFace accepts 92.0 % and then 24.0 %" in said(16.0)
    assert "where 0–4 years lie between, and at no other distance" in said(16.0) and "does not show" in said(7.0)
    assert "where 0–4 or 10–19 years lie between, and at no other distance" in said(16.0, 5.0)
    assert said(16.0, tour=50.0, pixels=54.0).endswith("50.0 % there and raw pixels 54.0 %: no difference that these"
                                                       " people can show.")  # fmt: skip
    assert said(16.0, tour=80.0, pixels=54.0).endswith(": more.")


def test_protocols_order_the_crowd_by_its_size():
    assert "Among 10 strangers it finds 92.0 %, among 10,000 it finds 78.0 %." in protocols.found(
        artefact("protocols", PROTOCOL_ROWS)
    )


def test_the_tour_speaks_of_what_it_has():
    assert "and on 90.0 % of pairs thirty years apart" in tour.found(artefact("tour", WHOLE["tour"]))
    assert tour.found(artefact("tour", WHOLE["tour"][:1])).endswith("of people it has never seen.")


@pytest.mark.parametrize(("best", "said"), [(55.0, "so none passes the limit"), (70.0, "which passes the limit")])
def test_shortcuts_are_held_against_the_limit(best, said):
    row = Row(keys={"set": "relief-lfw", "shortcut": "hair colour"}, metric="accuracy", measured=of_people(best))
    assert said in shortcuts.found(artefact("relief_shortcuts", [*SHORTCUTS[:1], row]))


FORM = (
    "From coarse pixels of the whole crop it reaches 70.0 %, and {} % where all people have one colouring: "
    "most of what it"
)


@pytest.mark.parametrize(
    ("form", "around", "said"),
    [(66.0, 54.5, "inside the limit of 55 %."), (53.0, 58.0, "above the limit of 55 %.")],
)
def test_trained_readers_say_what_is_form(form, around, said):
    rows = [READ[0], READ[1].model_copy(update={"measured": of_people(around)}), READ[2]]
    rows.append(READ[3].model_copy(update={"measured": of_people(form)}))
    rest = "reads there is form." if form > 60 else "reads there is colour."
    assert readers.found(artefact("relief_readers", rows)).endswith(f"{said} {FORM.format(form)} {rest}")


@pytest.mark.parametrize(
    ("orl", "fgnet", "said"),
    [
        (85.0, 40.0, "Photo-real faces teach more of real ones."),
        (70.0, 20.0, "Drawn faces teach more of real ones."),
        (85.0, 20.0, "Which source teaches more depends on the photographs."),
    ],
)
def test_sources_are_compared_on_both_sets_of_photographs(orl, fgnet, said):
    rows = [
        row.model_copy(update={"measured": over_seeds(mean)})
        for row, mean in zip(SOURCES, (80.0, orl, 26.0, fgnet), strict=True)
    ]
    assert photo_real.found(artefact("photo_real", rows)).endswith(said)


MORE = "more than alone."


@pytest.mark.parametrize(
    ("ad", "aad", "said"),
    [
        (92.0, 93.0, f"it reaches 91.0 %: {MORE} With its teacher's directions (AD) it reaches 92.0 %: {MORE}"),
        (92.0, 93.0, f"it reaches 92.0 %: {MORE} With attention besides (AAD) it is 93.0 %: a gain over AD."),
        (88.0, 88.0, "it reaches 88.0 %: less than alone. With attention besides (AAD) it is 88.0 %: no difference"),
    ],
)
def test_teaching_is_said_step_by_step(ad, aad, said):
    rows = [
        row.model_copy(update={"measured": over_seeds(mean)})
        for row, mean in zip(TAUGHT, (90.0, ad, aad, 91.0), strict=True)
    ]
    assert said in tables.found(artefact("aad_table2", rows))


@pytest.mark.parametrize(
    ("id", "said"),
    [
        ("aad_table5", "MobileFaceNet alone finds 90.0 % of its test people first among strangers."),
        ("aad_table6", "knows 90.0 % of people by several pictures, with 0.01 % of strangers accepted."),
    ],
)
def test_distractors_and_templates_are_said_step_by_step_with_the_teacher(id, said):
    found = EXPERIMENTS[id].finding(artefact(id, WHOLE[id]))
    assert said in found and "(AD) it reaches 92.0 %: more than alone." in found
    assert found.endswith("Its teacher reaches 95.0 %.")


def test_a_cost_is_said_of_the_student_alone_and_taught():
    said = cost.found(artefact("aad_cost", COSTS))
    assert "takes 20.0 million multiply-adds a picture, and 30.0 million with AAD" in said
    assert "4.00 and 6.00 ms" in said and "60.0 million a picture alone, 90.0 million with AAD" in said


def test_before_a_student_is_timed_the_printed_parameters_are_said_and_what_was_counted():
    adds = [
        Row(keys={"network": name}, metric="multiply_adds", measured=Measured(mean=mean))
        for name, mean in zip(networks.PRINTED, (10934.0, 568.0, 403.0, 221.0, 703.0), strict=True)
    ]
    said = cost.printed_costs(artefact("aad_fig2", adds), timed=False)
    assert "1.2 to 3.73 million of a student, 63.67 million of the teacher." in said
    assert "221 to 703 million multiply-adds a picture and the teacher 10,934 million." in said
    assert said.endswith("was not measured at this size.")
    assert "measured" not in cost.printed_costs(artefact("aad_fig2", adds), timed=True)
    assert "multiply-adds" not in cost.printed_costs(artefact("aad_fig2", adds[:3]), timed=True)


def test_what_many_people_take_is_said_of_the_most_that_were_measured():
    said = many_people.found(artefact("many_people", MANY))
    assert "With 1,000,000 people the head takes 7.00 GB" in said and "and 4.00 GB of each of two" in said
    assert said.endswith("takes 6.00 CPU seconds of each of two processes, and 2.00 with a tenth of them sampled.")


def test_curves_say_how_far_each_angle_falls_and_how_hard_it_pulls():
    said = curves.found(artefact("aad_fig5", CURVES))
    assert "from 0.800 to 0.400 after the first stage and from 0.900 to 0.100 at the end." in said
    assert "0.100 to 0.500 times that of the identity loss" in said


@pytest.mark.parametrize(("margin", "said"), [(20.0, "grows too"), (-5.0, "cannot say the same"), (-30.0, "shrinks")])
def test_a_guided_student_takes_over_the_angle_and_perhaps_the_margin(margin, said):
    rows = [*GUIDED[:-1], GUIDED[-1].model_copy(update={"measured": over_seeds(margin)})]
    found = geometry.found(artefact("aad_fig4", rows))
    assert "65° apart alone, and 169° where the directions of its teacher (at 179°) guide it." in found
    assert said in found


def masks(**ranked):
    names = {"ceiling": truth.CEILING, "other": "another person's A_4"}
    return [
        Row(keys={"map": names.get(name, name), "truth": truth.CHANGE}, metric=metric, measured=of_people(mean, 0.05))
        for name, mean in {"ceiling": 0.7, "other": 0.2, **ranked}.items()
        for metric in ("rank_corr", "beyond_mean")
    ]


def test_the_map_that_agrees_best_with_the_truth_is_named_where_it_is_not_the_last():
    said = truth_table.found(artefact("aad_truth", masks(A_4=0.158, A_1=0.346, A_2=0.17)))
    assert said.endswith("A₁ agrees best with the truth, with 0.346. Without what all faces share A₁ keeps 0.346.")
    assert "agrees best" not in truth_table.found(artefact("aad_truth", masks(A_4=0.5, A_1=0.346)))


def test_directions_are_certified_refused_or_unseen():
    found = edit_rows.found(artefact("latent_directions", DIRECTIONS))
    assert "by a second judge: age." in found and "does not certify smile." in found
    assert "has looked at gender." in found and "age takes a person furthest" in found and "from 1 to 0.450" in found


@pytest.mark.parametrize(
    ("falls", "said"), [(80.0, "score lower for the most part, as"), (30.0, "score higher"), (51.0, "about as often")]
)
def test_quality_says_what_blur_does(falls, said):
    row = QUALITY[1].model_copy(update={"measured": of_people(falls, 3.0)})
    assert said in quality.found(artefact("comface_figD", [QUALITY[0], row]))


def test_quality_says_once_what_two_sets_of_faces_share():
    generated = [row.model_copy(update={"keys": {**row.keys, "faces": "generator"}}) for row in QUALITY]
    assert quality.found(artefact("comface_figD", [*QUALITY, *generated])) == (
        "Of pictures of relief faces 71.0 % have a score of 0.6 and more, of the generator 71.0 %. Blurred, pictures "
        "of relief faces and the generator score higher for the most part: the score is no measure of sharpness here."
    )


def test_judges_count_what_falls_short():
    assert "Below what is wanted of them: 1 number." in judged_rows.found(artefact("relief_judges", JUDGED))
    assert "Below" not in judged_rows.found(artefact("relief_judges", JUDGED[1:]))


@pytest.mark.parametrize(("gain", "clear"), [(7.0, True), (0.05, False)])
def test_the_years_of_training_people_are_told_with_their_interval(gain, clear):
    row = SPANS[2].model_copy(update={"measured": over_seeds(gain)})
    said = span.found(artefact("relief_span", [*SPANS[:2], row, SPANS[3]]))
    assert signs(f"{gain:+.1f} points (95 % interval {gain - 0.248:.1f} to {gain + 0.248:.1f})") in said
    assert ("not clear of chance" in said) != clear


def test_sets_are_counted():
    assert "9,300 pictures of 300 people" in latent_sets.found(artefact("latent_sets", SETS))


def test_the_transformers_share_of_the_pull_is_said_with_what_it_does_not_reach():
    said = architecture.reached(artefact("tml_fig2", PULLS))
    assert "1.18 % of the margin loss's force" in said and "Nothing of it gets to the layer" in said


def test_what_the_transformer_costs_is_said_of_the_large_network():
    said = architecture.found(artefact("tml_fig5", WALKED))
    assert said.startswith("A face costs ResNet100 12,013 million") and "adds 940 million, 8 %," in said


@pytest.mark.parametrize(("margin", "word"), [(90.02, "cannot be told"), (92.0, "above"), (88.0, "below")])
def test_configurations_compare_both_blocks(margin, word):
    row = CONFIGURED[2].model_copy(update={"measured": over_seeds(margin)})
    said = configurations.found(artefact("tml_fig7", [*CONFIGURED[:2], row, *CONFIGURED[3:]]))
    assert word in said and "a gain." in said and "gains 0.400 points with summed logits and 3.00" in said


def test_tables_say_in_how_many_cells_the_branch_is_better():
    said = verification.table2_found(artefact("tml_table2", bases(ACROSS)))
    assert "between −0.50 and +0.60 points: better beyond chance in 1 of 2 comparisons, worse in 1." in said
    assert "Near in age the branch adds +0.01 points: no difference that can be told from chance." in said


def test_maps_say_what_training_did_to_neighbours():
    assert feature_maps.related(artefact("tml_fig4", RELATED)).endswith("less alike than they started.")
    assert "correlate by 0.60 after the first" in feature_maps.kept(artefact("tml_fig3", KEPT))


def test_a_layer_depends_on_the_age_or_on_the_person_or_nobody_can_tell():
    said = layers.found(artefact("tml_layers", ATTENDED_BY_LAYER))
    assert "1.50 % of the attention of layer 2" in said and "3.00 % of it" in said and "on the person more than" in said
    assert "on the age more than" in layers.found(artefact("tml_layers", ATTENDED_BY_LAYER[:2]))
    close = ATTENDED_BY_LAYER[2].model_copy(update={"measured": of_people(2.8)})
    assert "depends" not in layers.found(artefact("tml_layers", [close, ATTENDED_BY_LAYER[3]]))


@pytest.mark.parametrize(
    ("gain", "spread", "says"),
    [(0.6, 0.1, ": a gain by Student's t"), (-0.6, 0.1, ": a loss by Student's t"),
     (0.0, 0.1, "no gain above 0.500 points, 5 % of the error by"),
     (0.2, 0.6, "neither a gain nor that there is none")],
)  # fmt: skip
def test_what_the_branch_does_across_ages_follows_the_interval(gain, spread, says):
    rows = [
        Row(keys={"arm": arm, "set": "relief-agedb"}, metric="accuracy", measured=over_seeds(90.0 + by, spread))
        for arm, by in (("without", 0.0), ("with", gain))
    ]
    assert says in what_settles.found(artefact("tml_beyond", rows))


def test_attention_that_keeps_to_what_changes_is_said_so():
    turned = [row.model_copy(update={"measured": over_seeds(-row.measured.mean)}) for row in ATTENDED]
    said = attention.found(artefact("tml_attention", turned))
    assert "does not keep to what stays" in said and "turned attention to what changes" in said


def test_of_comparing_it_is_said_whether_it_gave_features_or_a_start():
    def said(kept, less):
        values = {("comface", age.RIDGE, "mae"): over_seeds(kept), ("untrained", age.RIDGE, "mae"): over_seeds(8.0)}
        values |= {("comface", age.FINE, "less"): of_people(less, 0.2)}
        rows = [
            Row(keys={"method": method, "how": how, "set": "fgnet"}, metric=metric, measured=one)
            for (method, how, metric), one in values.items()
        ]
        return age.age_concluded(artefact("comface_tableN", rows))

    assert "a better start and no better features" in said(8.2, -0.5)
    assert "a better start, and better features too" in said(6.0, -0.5)
    assert said(8.2, -0.1) == said(6.0, 0.1) == ""
