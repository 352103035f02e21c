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
# # Start here: the same person, thirty years later
#
# A passport is valid for ten years, a missing child may be found after twenty. Can a machine still tell that two
# photographs show one person? This page walks through the whole problem: faces that age, a network that looks at
# them, the scores it gives, and what age does to them. The faces and their scores were computed by the
# machine that built the page; the network was trained before.

# %% tags=["parameters"]
preset = "lesson"  # smoke: a few faces; lesson: a minute; classroom: as published
seeds = None  # the page has one network and one seed
device = None  # "cpu", "cuda"; None takes the best there is
out = None  # where results go; None is figures/<preset>
compute = True  # False shows only what was computed before

# %% tags=["hide-input"]
import matplotlib.pyplot as plt
import numpy as np
from IPython.display import Markdown, display

from aifr_lib.data import relief
from aifr_lib.data.relief import chosen
from aifr_lib.evaluation.embeddings import embed, normalise
from aifr_lib.evaluation.intervals import by_gap
from aifr_lib.evaluation.verification import tar_at_far, verify
from aifr_lib.experiments.companion import tour
from aifr_lib.experiments.measure import embedders
from aifr_lib.experiments.page import open_page
from aifr_lib.reporting import plots, slider
from aifr_lib.reporting.prose import percent, signs

page = open_page(preset, seeds=seeds, device=device, out=out, compute=compute)
settings = page.settings
page.opening(tour.TOUR)

# %% [markdown]
# ## Faces that anyone may have
#
# Photographs of people across their lives are private, and the large collections were withdrawn. So this book draws its
# own: a *relief face* is a height map with skin, hair and light, made by a formula from a person's number, an age and
# the circumstances of the picture. Nobody alive is in it. Each row is one person:

# %% tags=["hide-input"]
ages = (3, 10, 20, 40, 60, 80)
sheet = relief.sheet(identities=6, ages=ages, size=112, seed=0)
figure, axis = plt.subplots(figsize=(8, 8))
axis.imshow(sheet)
axis.set_xticks(
    [112 * (i + 0.5) for i in range(len(ages))], [f"{age} years" for age in ages]
)
axis.set_yticks(
    [112 * (i + 0.5) for i in range(6)], [f"person {i + 1}" for i in range(6)]
)
axis.tick_params(length=0)
axis.spines[:].set_visible(False)
axis.grid(False)
plots.show("Six people, a row each, drawn at six ages from 3 to 80 years")

# %% [markdown]
# Children's proportions change fastest; later come folds, grey hair and a softer outline. Two people age in two ways.
# Move the slider: one person, everything else held still.

# %% tags=["hide-input"]
from aifr_lib.faces import relief as renderer

years = list(range(2, 91, 4))
still = renderer.Faces.sample([3] * len(years), years, [5] * len(years))
frames = [plots.picture(face) for face in renderer.render(still, 224).numpy()]
slider.show(
    frames,
    [f"{year} years" for year in years],
    title="One life",
    alt="one relief face at the chosen age",
    start=years.index(30),
)

# %% [markdown]
# ## A network that looks at them
#
# A recognition network turns a picture into a short list of numbers, the *embedding*, such that two pictures of one
# person point the same way. How alike two pictures are is the cosine of the angle between their embeddings: 1 for the
# same direction, 0 for no relation. This is the whole of it:

# %%
network, config = embedders.committed_network(settings.tour.train.relief)
faces = chosen.faces(config.relief)
embeddings = normalise(embed(network, faces))
print(
    f"{len(faces)} pictures of {faces.labels['identity'].nunique()} people whom the "
    "network never saw"
)
print(
    f"each becomes {embeddings.shape[1]} numbers, by "
    f"{sum(p.numel() for p in network.parameters()):,} learned ones"
)

# %% [markdown]
# Below, one person beside themselves, and beside somebody of the same age. The number is the cosine.

# %% tags=["hide-input"]
labels = faces.labels
person = labels.groupby("identity")["age"].agg(np.ptp).idxmax()
mine = labels[labels["identity"] == person].sort_values("age").index.to_numpy()
first, last = mine[0], mine[-1]
others = labels[
    (labels["identity"] != person) & (labels["gender"] == labels["gender"][last])
]
unlike = (others[["age", "skin_tone"]] - labels.loc[last, ["age", "skin_tone"]]).abs()
stranger = (unlike["age"] / 10 + unlike["skin_tone"]).astype(float).idxmin()
trio = {"the same person": last, "a stranger of that age": stranger}
figure, axes = plt.subplots(1, 3, figsize=(7.5, 3))
axes[0].imshow(faces.pixels[first])
axes[0].set_title(f"age {labels['age'][first]:.0f}")
for axis, (name, row) in zip(axes[1:], trio.items(), strict=True):
    axis.imshow(faces.pixels[row])
    axis.set_title(
        f"{name}\nage {labels['age'][row]:.0f}: "
        + signs(f"{embeddings[first] @ embeddings[row]:+.2f}")
    )
for axis in axes:
    axis.axis("off")
plots.show("A person when young, the same person when old, and a stranger of that age")

# %% [markdown]
# ## Where to cut
#
# One number must decide: accept as the same person above it, refuse below. Here are the scores of pairs whose pictures
# are at least thirty years apart. Wherever the threshold is put, some of one kind lie on the wrong side.

# %% tags=["hide-input"]
lists = {
    name: chosen.face_pairs(config.relief, name)
    for name in chosen.lists_of(config.relief)["everyday"]
}
results = {
    name: verify(embeddings, pairs, convention="cosine")
    for name, pairs in lists.items()
}
across, pairs = results["relief-agedb"], lists["relief-agedb"]


def cut(threshold):
    figure, axis = plt.subplots(figsize=(7, 3.6))
    plots.score_histogram(
        axis, across.scores[pairs.same], across.scores[~pairs.same], threshold
    )
    return figure


thresholds = np.round(np.arange(-0.2, 0.81, 0.05), 2)
frames, labels_ = plots.threshold_frames(
    across.scores[pairs.same], across.scores[~pairs.same], thresholds
)
slider.show(
    frames,
    labels_,
    title="Scores across thirty years",
    alt="histogram of the scores, cut by a threshold",
    start=int(np.argmin(np.abs(thresholds - np.median(across.fold_threshold)))),
)

# %% [markdown] tags=["live"]
# With a kernel behind it, the next cell takes any threshold:

# %% tags=["hide-input", "live"]
from ipywidgets import FloatSlider, interact


@interact(threshold=FloatSlider(value=0.3, min=-0.5, max=1.0, step=0.01))
def _(threshold):
    cut(threshold)
    plt.show()


# %% [markdown]
# ## What age does
#
# Choose the threshold on other people, test on the rest, ten times: that is the ten-fold protocol of the field. The
# network of this page gets:

# %%
artefact = page.result(tour.TOUR)

# %% tags=["hide-input"]
if not settings.tour.committed:
    said = f"*At {preset} size this table is of another network, trained in seconds.*"
    display(Markdown(said))
page.table(tour.TOUR)

# %% [markdown]
# *Random* pairs are no easy ones: two random pictures of one person lie decades apart as a rule. Pairs *near in age*
# show what the years cost.
#
# And for pairs of one person, by the years between the pictures (bars: 95 % intervals that resample people, because
# pairs that share a person are not independent):

# %% tags=["hide-input"]
age, identity = labels["age"].to_numpy(), labels["identity"].to_numpy()
threshold = tar_at_far(across.scores, pairs.same, 0.01).threshold
rows = []
for name, listed in lists.items():
    same = listed.same
    rows.append(
        np.column_stack(
            [
                results[name].scores[same] >= threshold,
                abs(age[listed.a] - age[listed.b])[same],
                identity[listed.a][same],
            ]
        )
    )
found, gaps, owners = np.concatenate(rows).T
table = by_gap(found.astype(bool), gaps, [0, 10, 20, 30, 40, 50, 100], owners)
figure, axis = plt.subplots(figsize=(7, 3.6))
names = [
    f"{low:.0f}–{high:.0f}"
    for low, high in zip(table["gap_from"], table["gap_to"], strict=True)
]
spread = 100 * np.abs(table[["low", "high"]].to_numpy().T - table["mean"].to_numpy())
axis.errorbar(names, 100 * table["mean"], yerr=spread, fmt="o-", capsize=4)
axis.set_xlabel("years between the two pictures of one person")
axis.set_ylabel("found, % (1 % of strangers let in)")
axis.set_ylim(0, 105)
plots.show("The share of pairs found, by the years between the two pictures")

# %% [markdown]
# That fall is what the four papers of this book try to flatten. Whether they do, with how many repetitions and how
# surely, is what the other pages are about.
#
# ## Predict, then reveal
#
# **1.** Which decade of life costs most: from 5 to 15, or from 45 to 55? Think of which faces change more. *Predict,
# then reveal: the mean cosine of one person's two ages, over forty people, each under one light and in one pose.*

# %% tags=["solution", "hide-input"] choices=["5 to 15", "45 to 55"] answer="5 to 15"
cosines = {}
for young in (5, 45):
    # One picture seed for both ages: all but the age stays, and what is left is what
    # ten years cost.
    ends = [
        renderer.Faces.sample(range(40), [year] * 40, range(100, 140))
        for year in (young, young + 10)
    ]
    pictures = [
        renderer.render(faces_, config.relief.size, frame="aligned").numpy()
        for faces_ in ends
    ]
    before, after = (normalise(embed(network, one)) for one in pictures)
    cosines[young] = (before * after).sum(1)
    print(f"{young} → {young + 10} years: {cosines[young].mean():+.2f}")
lost = cosines[45] - cosines[5]
print(
    f"childhood costs {lost.mean():.2f} more (95 % ± "
    f"{1.96 * lost.std() / 40**0.5:.2f}, person by person)"
)
print(
    "Why: a child's skull and features are still growing; a grown face keeps its "
    "shape, and only its surface ages."
)

# %% [markdown]
# **2.** The histogram has two humps, of pairs at least thirty years apart. With pairs less than ten years apart, which
# hump would move further? *Predict, then reveal: the mean cosine of both kinds of pairs.*

# %% tags=["solution", "hide-input"] choices=["one person", "two people"] answer="one person"
listed = [
    (results[name].scores, one.same, abs(age[one.a] - age[one.b]))
    for name, one in lists.items()
]
cosine, one_person, apart = (
    np.concatenate(column) for column in zip(*listed, strict=True)
)
for low, high in ((0, 10), (30, 100)):
    near = (apart >= low) & (apart < high)
    kinds = cosine[near & one_person].mean(), cosine[near & ~one_person].mean()
    print(
        f"{low} to {high} years apart: one person {kinds[0]:+.2f}, two people "
        f"{kinds[1]:+.2f}"
    )
print(
    "Why: years pull the pictures of one person apart. Two people of one age share "
    "their age and little more."
)

# %% [markdown]
# **3.** A border check compares a million travellers a day, all of them honest, with passport pictures that are thirty
# years old. At the threshold that lets in 1 % of strangers, how many does the network of this page stop? *Predict:
# 1,000s, 10,000s or 100,000s?*

# %% tags=["solution", "hide-input"] choices=["1,000s", "10,000s", "100,000s"] answer="100,000s"
for far in (0.1, 0.01):
    point = tar_at_far(across.scores, pairs.same, far)
    print(
        f"{percent(far)} of strangers let in: {1e6 * (1 - point.tar):,.0f} honest "
        "travellers stopped a day"
    )
print(
    "Why: nearly all travellers are honest, so a small share of them is a crowd; the "
    "fewer strangers may pass, the"
)
print(
    "more honest ones are stopped. Real systems let in one stranger in a million, on "
    "photographs, with networks a"
)
print(
    "hundred times larger: relief faces are a model of the problem, not of the state "
    "of the art."
)
