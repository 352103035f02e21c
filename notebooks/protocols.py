# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Five ways to ask how good a network is
#
# The four papers of this book print percentages, and most of them cannot be compared with one another, for they answer
# different questions. This page takes *one* network through all five protocols behind those numbers. Nothing is
# trained for it, except the small regression of the last protocol.
#
# | | the question | what is compared | in the papers |
# |---|---|---|---|
# | **P1** | Are these two one person? | listed pairs, half of them genuine | LFW, AgeDB-30, CALFW, CPLFW, CFP-FP |
# | **P2** | Who is this, of all the others? | each picture with all others | FG-NET, LogiFace |
# | **P3** | And among so many strangers? | each pair of one person with a crowd | MegaFace with FG-NET or FaceScrub |
# | **P4** | Do two *sets* of pictures show one person? | templates: stills and videos pooled | IJB-B, IJB-C |
# | **P5** | What changed between two pictures? | pairs of one person, a number each | weight, expression, age |
#
# Each protocol is a function of embeddings alone. So a network is run once over each picture, and all five are
# arithmetic on the rows that it gives.

# %% tags=["parameters"]
# smoke: raw pixels on six people; lesson: SFace on ORL; classroom: SFace on ORL and
# FG-NET
preset = "smoke"
# how many seeds; None takes the preset's. A seed draws impostor pairs and folds
seeds = None
device = None  # "cpu", "cuda"; None takes the best there is
out = None  # where results go; None is figures/<preset>
compute = True  # False shows only what was computed before
fresh = False  # True forgets stored runs

# %% tags=["hide-input"]
import numpy as np
from IPython.display import Markdown, display

from aifr_lib.evaluation import change, distractors, identification, templates
from aifr_lib.evaluation.intervals import mean_interval, wilson
from aifr_lib.evaluation.verification import roc, ten_fold
from aifr_lib.experiments.companion import protocol_figure, protocols, real_photographs
from aifr_lib.experiments.measure.protocol_rows import scored_pairs
from aifr_lib.experiments.page import open_page
from aifr_lib.reporting import plots, slider
from aifr_lib.reporting.prose import percent
from aifr_lib.reporting.rows import in_words

page = open_page(
    preset, seeds=seeds, device=device, out=out, compute=compute, fresh=fresh
)
settings = page.settings
page.opening(protocols.PROTOCOLS)

# %% [markdown]
# All bars and bands are 95 % intervals, from drawing *people* anew.
#
# ## The rules, in a few lines each
#
# **P1.** A pair is accepted if its two embeddings, scaled to length 1, are near enough. How near is learned on nine
# tenths of the list and tested on the last tenth, ten times. Toolkits differ in what "near" is: a *squared distance*
# below a threshold between 0 and 4, or a *cosine* above one between −1 and 1. For unit vectors the first is two minus
# twice the second, so the accuracies agree and only the thresholds read differently. (Other differences are real:
# with or without the mirrored picture, standard deviation or standard error.)

# %%
values = np.array(
    [0.62, 0.55, 0.31, 0.12, 0.48, 0.05, 0.29, 0.11]
)  # cosines of eight pairs
same = np.array([True, True, True, False, True, False, True, False])
folds = np.repeat([0, 1], 4)
by_cosine = ten_fold(values, same, folds, convention="cosine")
by_distance = ten_fold(2 - 2 * values, same, folds, convention="squared_l2")
for judged in (by_cosine, by_distance):
    print(
        f"{judged.convention:10}  accuracy {judged.accuracy:.1f} %, thresholds "
        f"{np.round(judged.fold_threshold, 3)}"
    )

# %% [markdown]
# **P2.** Every picture in turn is the probe, all others are the gallery. *Rank-1* counts the probes whose nearest
# picture shows the same person; the curve over ranks (CMC) counts those who are found among the nearest *k*:

# %% tags=["hide-input"]
page.source(identification.cmc)

# %% [markdown]
# **P3.** One person's picture *i* probes a gallery that holds one other picture *j* of that person and *D* strangers.
# It is a hit if *j* comes first. Every ordered pair *(i, j)* is tried, so one bad picture spoils many trials. A tie is
# no hit: a network that maps all faces to one point finds nobody. With a million strangers the comparison is a product
# of large matrices, done a block at a time; the result is the same whatever the size of a block.
#
# **P4.** A template is what one has of a person: photographs, and videos of many frames. Frames of one video are
# averaged first, so that a long video does not outvote a good photograph; then the media are summed.
# The length of an embedding stays in the sum: pictures that the network is sure of often have longer ones.

# %%
two_frames_and_a_photograph = np.array([[1.0, 0.0], [3.0, 0.0], [0.0, 2.0]])
pooled = templates.pool(
    two_frames_and_a_photograph,
    templates=np.array([7, 7, 7]),
    media=np.array([1, 1, 2]),
)
print("template", pooled.ids[0], "is", pooled.vectors[0])

# %% [markdown]
# **P5.** A regression is trained on pairs of pictures of one person and tested on subjects it has not seen. Three
# numbers are told: the mean absolute error, the correlation, and how often the *direction* is right. Here a ridge
# regression sees the difference of the two embeddings and nothing else. It has no constant, so the way back is minus
# the way there.

# %%
found = change.change(
    predicted=[1.0, -2.0, 3.0], true=[2.0, -2.0, -1.0], subjects=[1, 1, 2]
)
print(f"MAE {found.mae:.2f}, direction right in {found.accuracy:.0f} %")

# %% [markdown]
# ## The measurement

# %%
artefact = page.result(protocols.PROTOCOLS)

# %% tags=["hide-input"]
runs = page.runs(protocols.PROTOCOLS)
embedder = real_photographs.NAMES[settings.protocols.embedder]
SETS = {protocols.LISTS: "relief people of the lists of pairs"}  # several in one run
sentences = [f"The network on this page: **{embedder}**."]
for place in protocols.run_keys(settings):
    named = SETS.get(place, in_words(place))
    if place in runs:
        summary = runs[place].summary
        sentences.append(
            f"- {named}: {summary['pictures']:,} pictures of {summary['people']} people"
        )
    else:
        lacking = protocols.missing(settings, place) or "not computed yet"
        sentences.append(f"- {named}: {lacking}")
if "fgnet" in settings.protocols.photographs:
    sentences.append(
        "\nOf FG-NET, private photographs, this page shows numbers measured on them "
        "and nothing else."
    )
display(Markdown("\n".join(sentences)))

# %% [markdown]
# ORL has no ages; FG-NET spans childhood to old age. Names with *relief* are drawn faces, made in the manner of the
# papers' sets: *pairs 30 years apart* as AgeDB-30's are, and they are not AgeDB-30. The strangers of P3 are relief
# faces too: a drawn stranger may be easier to tell from a photograph than a real one, so the numbers of P3 are not
# MegaFace's.
#
# ## What it finds

# %% tags=["hide-input"]
page.table(protocols.PROTOCOLS)

# %% [markdown]
# Move the threshold of P1, and watch both errors:

# %% tags=["hide-input"]
frames, labels, start = protocol_figure.threshold_frames(runs)
if frames:
    display(
        slider.show(
            frames,
            labels,
            title="P1: where to cut",
            alt="histogram of the scores of pairs of one person and of two, cut",
            start=start,
        )
    )
else:
    display(Markdown(f"*No scores to cut at {preset} size yet.*"))

# %% [markdown]
# ### The same pairs, told as errors
#
# Curves of true accepts crowd together near 100 %. The *detection error trade-off* draws what goes wrong instead, both
# errors on logarithmic axes; where a curve crosses the diagonal both are equal (EER).

# %% tags=["hide-input"]
if any("_fold" in key for run in runs.values() for key in run.scores):
    protocol_figure.det_figure(runs)
    plots.show("False rejections against false accepts, a curve for each list of pairs")

# %% [markdown]
# ## What it means
#
# None of these numbers is *the* accuracy of the network.

# %% tags=["hide-input"]
overall = [row for row in artefact.rows if row.measured and row.keys["gap"] == "all"]
measured = {
    (
        row.keys["data"],
        row.keys["protocol"],
        row.metric,
        row.keys.get("distractors", row.keys.get("pictures")),
    ): row
    for row in overall
}


def told(data, protocol, metric, which=None, digits=0):
    row = measured.get((data, protocol, metric, which))
    value = row and row.measured.mean
    return "(not measured here)" if value is None else f"{value:.{digits}f} %"


data = next((name for name in ("fgnet", "orl") if name in runs), "orl")
sizes = sorted(
    row.keys["distractors"]
    for row in overall
    if row.keys["data"] == data and "distractors" in row.keys
)
least = sizes[0] if sizes else 0

# %% [markdown]
# - **P2 forgives.** Each probe may match *any* of its person's other pictures, so one photograph of nearly the same
#   day suffices, and the years do not show. They do in the panel by age gap, where only pictures that far apart are
#   there to be found. P3 asks for every two, the hardest as well.
# - **P1's accuracy is about an even world.** Half of its pairs are genuine. At a border one in a thousand might not
#   be, and what matters is TAR at a small FAR. That takes many impostor pairs: with *M* of them, rates below 1/*M*
#   cannot be seen, and rates below 10/*M* are not told here.
# - **What helps P1 to P4 may hurt P5.** A network made to ignore what time does to a face should have little left to
#   predict the change from. ComFace is the paper that wants it back. Beside each error stands that of always
#   predicting no change: a regression that does not beat it has found nothing. To beat it is not enough where all
#   changes go one way, as of the relief people *before and after*, who only lose weight: there any guess downwards has
#   the direction right, and only a correlation that is clear of 0 would be a finding.
#
# ## Predict, then reveal
#
# **1.** A network knows people by all their photographs but one: each person has five, and one of them is spoilt. Which
# rank-1 is lower, that of P2 or that of P3? *Predict both numbers before you reveal.*

# %% tags=["solution", "hide-input"] choices=["P2", "P3", "neither"] answer="P3"
rng = np.random.default_rng(0)
owner = np.repeat(np.arange(200), 5)
shots = rng.normal(size=(200, 512))[owner]
shots[::5] = rng.normal(size=(200, 512))  # spoilt: as if of somebody else
alone = identification.leave_one_out(shots, owner).rank1
crowded = distractors.among_distractors(
    shots, owner, rng.normal(size=(1000, 512))
).rank1[-1]
print(f"P2 {alone:.0f} %, P3 {crowded:.0f} %")
print(
    "Why: P2 is content with the best of a person's other pictures, so only the spoilt "
    "probes miss. P3 asks for each"
)
print(
    "pair of pictures: of twenty ordered pairs a person, eight have the spoilt one in "
    "them."
)
print(
    f"On {in_words(data)} both differ in their strangers too: P2 "
    f"{told(data, 'P2', 'rank-1', digits=1)} among photographs,"
)
print(f"P3 {told(data, 'P3', 'rank-1', least, digits=1)} among {least} drawn faces.")

# %% [markdown]
# **2.** The equal error rate lies where both errors are alike. Is the accuracy of P1 simply 100 % minus the EER?
# *Predict: the same, within two points on every list here, or ten points off on one?*

# %% tags=["solution", "hide-input"] choices=["the same", "two points", "ten points"] answer="two points"
for name, place, prefix in protocol_figure.lists(runs):
    score, genuine, *_ = scored_pairs(runs[place].scores, prefix)
    curve = roc(score, genuine)
    print(
        f"{in_words(name):28} accuracy {told(name, 'P1', 'accuracy', digits=1)}, "
        f"100 % minus EER {100 - 100 * curve.eer:.1f} %"
    )
print(
    "Why near, but not the same: accuracy takes the threshold with the fewest errors "
    "in all, learned on other folds;"
)
print(
    "and on photographs its impostors are matched in age gap to the genuine pairs, "
    "those of the curve are not."
)

# %% [markdown]
# **3.** P3 tries every ordered pair, thousands of them for a few dozen people. How wide is an interval that
# takes those trials as independent, beside one that draws people? *Predict for FG-NET: as wide, a half, or under a
# third.*

# %% tags=["solution", "hide-input"] choices=["as wide", "a half", "under a third"] answer="under a third"
if data in runs:
    hit, people = (
        runs[data].scores["crowd_hit"][-1],
        runs[data].scores["crowd_identity"],
    )
    drawn, alone = mean_interval(hit, people), wilson(int(hit.sum()), len(hit))
    print(
        f"{in_words(data)}: {len(hit):,} trials of {len(np.unique(people))} people, "
        f"rank-1 {percent(hit.mean(), 1)}"
    )
    print(f"drawing people: {percent(drawn.low, 1)} – {percent(drawn.high, 1)}")
    print(f"drawing trials: {percent(alone.low, 1)} – {percent(alone.high, 1)}")
    print(
        "narrower by a factor of "
        f"{(drawn.high - drawn.low) / (alone.high - alone.low):.1f}"
    )
print(
    "Why: all trials of one person share that person's pictures and fail together. "
    "What was drawn is people."
)
