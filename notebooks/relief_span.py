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
# # Who a network learns from: a few years of each person, or decades
#
# **The question**, ours: large training sets are gathered from the web, and hold a person within a few years of a
# career. A network that never sees anyone grow older has no reason to look through the years. What would it be worth if
# it did, and what would that cost?
#
# **The comparison.** Two trainings that differ in one thing: the pictures of a training person lie within a few years,
# or across decades. The network, the number of people, of pictures and of steps are the same. So is the test: people
# whom neither has seen.

# %% tags=["parameters"]
preset = "smoke"  # smoke: seconds; lesson: minutes, live; classroom: an hour
seeds = None  # how many seeds; None takes the preset's
device = None  # "cpu", "cuda"; None takes the best there is
out = None  # where results go; None is figures/<preset>
compute = True  # False shows only what was computed before
fresh = False  # True forgets stored runs

# %% tags=["hide-input"]
import matplotlib.pyplot as plt
import numpy as np
from IPython.display import Markdown, display

from aifr_lib.data import relief
from aifr_lib.data.relief.cache import draw
from aifr_lib.experiments.page import open_page
from aifr_lib.experiments.relief import span
from aifr_lib.reporting import plots

page = open_page(
    preset, seeds=seeds, device=device, out=out, compute=compute, fresh=fresh
)
spans = page.settings.relief_card.spans
faces = spans.train.relief
page.opening(span.SPAN)

# %% [markdown]
# ## The idea in one picture
#
# Above, three training people of the first kind; below, three of the second. A row is a person, youngest first.

# %% tags=["hide-input"]
people, pictures = 3, 8
for name, config in span.trainings(spans.train).items():
    plan = relief.split_plan("train", 12, pictures, span=config.relief.span)
    ages = plan.table()["age"].to_numpy().reshape(12, pictures)
    pixels = draw(plan, slice(0, people * pictures), 96).numpy()
    order = np.argsort(ages[:people], axis=1) + pictures * np.arange(people)[:, None]
    _, axis = plt.subplots(figsize=(8, 3.4))
    axis.imshow(plots.strip(pixels[order.ravel()], pictures))
    axis.set_yticks(
        [96 * (row + 0.5) for row in range(people)],
        [f"{low:.0f} to {high:.0f} years" for low, high in
         zip(ages.min(1)[:people], ages.max(1)[:people], strict=True)],
    )  # fmt: skip
    axis.set(xticks=[], title=f"pictures from {name}")
    axis.tick_params(length=0)
    axis.spines[:].set_visible(False)
    axis.grid(False)
    plots.show(f"Three training people, eight pictures each from {name}")

# %% [markdown]
# ## The equation
#
# Both learn with ArcFace {cite}`arcface`. A picture $x_i$ of person $y_i$ has the embedding $z_i$, and each
# person $j$ a direction $w_j$; $\theta_j$ is the angle between the two:
#
# $$
# L = -\log \frac{e^{s \cos(\theta_{y_i} + m)}}
#     {e^{s \cos(\theta_{y_i} + m)} + \sum_{j \ne y_i} e^{s \cos \theta_j}} .
# $$
#
# The loss pulls *every picture that a person has* towards that person's one direction. Age is not in it. If all of them
# are of one age, the pull may keep what is of that age; if they span decades, whatever the years change pulls the wrong
# way, and the network must find what they leave alone.
#
# In the library the two differ by one word:

# %% tags=["hide-input"]
page.source(span.trainings)

# %% [markdown]
# ## Before you run it
#
# Write down: which network will know its own training people sooner, the one with the lower loss at the end? Which will
# be right about more pairs thirty years apart, and by how many points?
#
# ## The result
#
# Accuracy is that of pairs of people whom neither network has seen, one person or two, half and half.

# %% tags=["hide-input"]
compared = page.result(span.SPAN)
page.table(span.SPAN)

# %% [markdown]
# The scores behind it, of pairs thirty years apart. The line is where 1 % of strangers pass; what lies on the wrong
# side of it is darker.

# %% tags=["hide-input"]
if span.score_figure(page.runs(span.SPAN)):
    plots.show(
        "Two histograms of scores of pairs thirty years apart, one for each kind of "
        "training people, cut where 1 % of strangers pass"
    )
else:
    display(Markdown(f"*{span.SPAN.finding(compared)}*"))

# %% [markdown]
# ## What to conclude
#
# - Read the interval first. Where it holds 0, the training was too short, or its people too few, to tell the two apart.
# - The two trainings differ in the years that a person's pictures span, and in what comes with years: across decades
#   weight, hair and beard change too. So a gain is owed to one of them or to both, and these lists cannot say to which:
#   pairs of either list lie years apart. Pairs near in age could.
# - The gain is a yardstick for the methods of the four papers: each tries to put in by a loss, a teacher or drawn
#   pictures what the training people lack.
# - Drawn faces age by rules. How much decades are worth for photographs is not said by this.
#
# ## Predict, then reveal
#
# **1.** Two networks, as many pictures of as many people, as many steps. *Which has the lower training loss in the end:
# the one that saw a few years of each person, or the one that saw decades?*

# %% tags=["solution", "hide-input"] choices=["a few years", "decades"] answer="a few years"
if preset == "smoke":
    print("The answer needs two trainings that learn something: preset lesson.")
else:
    for (name, seed), run in page.runs(span.SPAN).items():
        print(f"{name}, seed {seed}: loss {run.summary['loss']:.2f}")
print(
    "Why: the loss pulls all pictures of a person to one direction. Pictures of one "
    "age are nearly there; where they span decades, it must first give up what "
    "the years change. A low loss on easy people is no merit: what counts are others."
)

# %% [markdown]
# **2.** Take all pairs of pictures of one training person, in the set of a few years. *How many of a hundred lie thirty
# years or more apart: none, ten or thirty?*

# %% tags=["solution", "hide-input"] choices=["none", "ten", "thirty"] answer="none"


def years_apart(split, kind="narrow"):
    """Years between each two pictures of one person."""
    labels = relief.labels_only(split, 300, 8, span=kind).labels
    ages = labels["age"].to_numpy().reshape(300, 8)
    first, second = np.triu_indices(8, 1)
    return np.abs(ages[:, first] - ages[:, second]).ravel()


for name, kind in ((span.NARROW, "narrow"), (span.WIDE, "wide")):
    far = 100 * np.mean(years_apart("train", kind) >= 30)
    print(f"{name}: {far:.0f} of 100")
print(
    "Why: with a spread of five years, thirty are four standard deviations of a "
    "difference. What no pair of training pictures shows, no loss can ask for."
)

# %% [markdown]
# **3.** The list of *any two pictures* is drawn at random. *How many of a hundred of its pairs of one person lie more
# than ten years apart: ten, thirty or over fifty?*

# %% tags=["solution", "hide-input"] choices=["ten", "thirty", "over fifty"] answer="over fifty"
tested = relief.labels_only(
    "validation", faces.test_identities, faces.test_per_identity
)
listed = relief.pairs(tested, span.RANDOM, count=faces.pairs)
ages = tested.labels["age"].to_numpy()
gap = np.abs(ages[listed.a] - ages[listed.b])[listed.same]
print(f"{100 * np.mean(gap > 10):.0f} of 100 pairs of one person")
print(
    "Why it matters: a list that is called random still holds whole lives, so a gain "
    "on it does not show that variety alone does it. Pairs near in age would."
)
