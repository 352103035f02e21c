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
# # Better people, or fewer? (Tables H and I)
#
# **The claims.** Pre-training on all synthetic people does better overall than on those whose picture scores well
# (Table H), and ResNet-50 does better than smaller and larger networks (Table I) {cite:p}`akamatsu2024comface`.
#
# **The catch.** Who keeps the best quarter has better pictures *and* a quarter of the people. The paper changes both
# at once. A quarter drawn by lot has as few people and ordinary pictures: only beside it does a score mean something.

# %% tags=["parameters"]
preset = "smoke"  # smoke: seconds; lesson: minutes; classroom: hours
seeds = None  # how many seeds; None takes the preset's
device = None  # "cpu", "cuda"; None takes the best there is
out = None  # where results go; None is figures/<preset>
compute = True  # False shows only what was computed before
fresh = False  # True forgets stored runs

# %% tags=["hide-input"]
import numpy as np

from aifr_lib.experiments.comface import subsets, weight
from aifr_lib.experiments.page import open_page
from aifr_lib.reporting import contents, plots
from aifr_lib.reporting.prose import percent
from aifr_lib.training import comface as pretraining

page = open_page(
    preset, seeds=seeds, device=device, out=out, compute=compute, fresh=fresh
)
settings = page.settings.comface
page.opening(subsets.TABLE_H, weight.TABLE_I)

# %% [markdown]
# ## Who is kept
#
# One picture of each person, before any edit, is scored: by SER-FIQ, on a network that was trained with dropout, and
# by a network that others trained to judge pictures of faces. In the paper a person stays from a score of .1, .2, .4
# or .6 on; few of the generator's people reach .4 here and none .6 (see [quality](comface_quality.ipynb)), so the best
# half and the best quarter stay. Lots are nested: who is
# in the quarter is in the half too. All pictures of a kept person are learnt from, and every pre-training sees
# equally many pictures, the few people more often.
#
# ## The experiment

# %%
result = page.result(subsets.TABLE_H)

# %% tags=["hide-input"]
runs = page.runs(subsets.TABLE_H)
if runs:
    subsets.subsets_figure(result, runs)
    plots.show(contents.find("comface_tableH").picture)
page.table(subsets.TABLE_H)

# %% [markdown]
# ## Which backbone? (Table I)
#
# ResNet-18 and ResNet-50 are pre-trained and fine-tuned on equally many pictures. ResNet-101 and ViT-B/16 are too
# large for that here: they are built at full size and take a step, and their rows say *not run*.

# %%
backbones = page.result(weight.TABLE_I)

# %% tags=["hide-input"]
page.table(weight.TABLE_I)

# %% [markdown]
# ## What to conclude
#
# - Read three numbers together: all people, the best quarter, a quarter by lot. If the last two agree, the score
#   sorted nothing that matters; if both lie above all people, it is the number of people that was missed.
# - One seed each: these rows are exploratory. A verdict needs more.
# - The score is one network's. Blurred pictures [do not score lower](comface_quality.ipynb) by it here, so that *best*
#   means best by that score.
#
# ## Predict, then reveal
#
# **1.** A score is pure noise. Half of 300 people is kept by it. *How many of the best hundred by another score are
# among them: about 33, 50 or 100?*

# %% tags=["solution", "hide-input"] choices=["33", "50", "100"] answer="50"
rng = np.random.default_rng(0)
noise, other = rng.normal(size=(2, 400, 300))
kept = np.argsort(-noise, 1)[:, :150]
best = np.argsort(-other, 1)[:, :100]
shared = [len(np.intersect1d(*pair)) for pair in zip(kept, best, strict=True)]
print(f"{np.mean(shared):.0f}")
print("Why: a score that knows nothing of the other draws by lot.")

# %% [markdown]
# **2.** A quarter of the people, as many pictures seen in all. *How often is each picture seen, compared with
# learning from everybody: a quarter as often, as often, or four times as often?*

# %% tags=["solution", "hide-input"] choices=["a quarter", "as often", "four times"] answer="four times"
plain = settings.pretraining
steps = plain.steps
print(f"{plain.pictures:,} pictures seen in {steps:,} steps, whoever is kept")
print("Why: the budget counts pictures, not epochs, and a quarter of them is there.")

# %% [markdown]
# **3.** A half is drawn by lot, then a quarter, by the same lot. *Is everybody of the quarter in the half: always,
# about half of them, or a quarter of them?*

# %% tags=["solution", "hide-input"] choices=["always", "half", "a quarter"] answer="always"
order = np.random.default_rng(pretraining.LOT).permutation(300)
half, quarter = (np.flatnonzero(order >= 300 - count) for count in (150, 75))
print(f"{percent(np.isin(quarter, half).mean())} of the quarter is in the half")
print(
    "Why: one order of all people is drawn, and each subset is its head. So fewer "
    "people never means other people, and the two rows differ in number alone."
)
