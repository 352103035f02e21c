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
# # Learning to compare people who do not exist (Fig. C, Table B)
#
# **The claim.** A network that learns to compare two pictures of one synthetic person, *who it is* and *how much
# changed*, is a better start for comparing pictures of real people than one that was trained on real photographs
# {cite:p}`akamatsu2024comface`.
#
# **What this page asks.** Does each loss learn what it asks for? And the question that decides the rest: do the
# features pass those of a network that was never trained, on people who exist?

# %% tags=["parameters"]
preset = "smoke"  # smoke: seconds; lesson: minutes; classroom: hours
seeds = None  # how many seeds; None takes the preset's
device = None  # "cpu", "cuda"; None takes the best there is
out = None  # where results go; None is figures/<preset>
compute = True  # False shows only what was computed before
fresh = False  # True forgets stored runs

# %% tags=["hide-input"]
import numpy as np
import pandas as pd
import torch

from aifr_lib.data import change_sources
from aifr_lib.data.attribute_pairs import AttributePairs
from aifr_lib.data.augment import augment
from aifr_lib.data.images import Images
from aifr_lib.experiments.comface import age, networks, pretraining
from aifr_lib.experiments.page import open_page
from aifr_lib.losses import comface as losses
from aifr_lib.reporting import contents, plots
from aifr_lib.reporting.prose import percent
from aifr_lib.settings.comface import Source
from aifr_lib.training import comface

page = open_page(
    preset, seeds=seeds, device=device, out=out, compute=compute, fresh=fresh
)
settings = page.settings.comface
page.opening(pretraining.LOSSES, age.PILOT_RUN)

# %% [markdown]
# ## The idea in one picture (Fig. C)
#
# Both faces go through the same encoder. Two heads ask two questions of what comes out. The figure of the paper is an
# image that the text at hand lacks; boxes, shapes and numbers below are those of the modules of this library.

# %%
result = page.result(networks.FIG_C)

# %% tags=["hide-input"]
runs = page.runs(networks.FIG_C)
if runs:
    networks.figc_figure(None, runs)
    plots.show(contents.find("comface_figC").picture)
page.table(networks.FIG_C)

# %% [markdown]
# ## The equations
#
# $$
# \begin{aligned}
# L_{\text{inter}} &= -\frac1{2N} \sum_i \log
#   \frac{e^{s(z_{x_i}, z_{y_i})/\tau}}{\sum_k e^{s(z_{x_i}, z_{y_k})/\tau}} + (x \leftrightarrow y) \\
# L_{\text{intra}} &= \frac1N \sum_i \big| \hat d_i - (\alpha_{y_i} - \alpha_{x_i}) \big| \\
# L &= L_{\text{inter}} + \lambda L_{\text{intra}}
# \end{aligned}
# $$
#
# The supplement names the two and prints no formula: these are our reading. One person comes with several attributes,
# so pairs of the same person are no negatives of each other. In this library:

# %% tags=["hide-input"]
page.source(losses.inter_loss, losses.intra_loss)

# %% [markdown]
# ## The curriculum
#
# Large changes come first. In each set of one person and one attribute disjoint random pairs are drawn until none is
# left; where only large changes count, some strengths find no partner. So budgets count *pictures*, never epochs:

# %% tags=["hide-input"]
plain = settings.pretraining
pd.DataFrame(
    {
        "from epoch": stage.epoch,
        "least change of α": stage.least,
        "most": "any" if stage.most is None else stage.most,
    }
    for stage in plain.curriculum
).style.hide().format(precision=1)

# %% [markdown]
# Four pictures of one rendered person, and each as augmentation shows it. Parameters are drawn for every picture by
# itself; a crop may remove what changed, and a jitter of colours may look like another skin. Both are the paper's.

# %% tags=["hide-input"]
shown = comface.pictures(
    Source(kind="relief-edits", people=2, attributes=("age", "weight"), step=2.5),
    64,
)
rows = [0, 3, 4, 7]
torch.manual_seed(0)
changed = augment(plain.augmentation, torch.from_numpy(np.array(shown.pixels[rows])))
seen = (255 * changed).byte().permute(0, 2, 3, 1).numpy()
strip = plots.strip(np.concatenate([shown.pixels[rows], seen]), len(rows))
plots.show_pixels(
    strip, "A person at four ages, and the same four pictures augmented.", 512
)

# %% [markdown]
# ## Settings (Table B)

# %%
result = page.result(networks.TABLES_BCDE[0])

# %% tags=["hide-input"]
page.table(networks.TABLES_BCDE[0])

# %% [markdown]
# ## What each loss learns
#
# A rival whose own loss did not fall on people held out is printed as one that *did not train*, never as beaten.

# %%
result = page.result(pretraining.LOSSES)

# %% tags=["hide-input"]
if result.has_results:
    pretraining.pretraining_figure(result, page.runs(pretraining.LOSSES))
    plots.show(contents.find("comface_pretraining").picture)
page.table(pretraining.LOSSES)

# %% [markdown]
# ## The pilot
#
# Before any method is compared on test people: does it help at all? Features kept as they are, and fine-tuned ones,
# on *validation* people. The rest of the plan follows from this table.

# %%
pilot = page.result(age.PILOT_RUN)

# %% tags=["hide-input"]
if pilot.has_results:
    age.pilot_figure(pilot, page.runs(age.PILOT_RUN))
    plots.show(contents.find("comface_pilot").picture)
page.table(age.PILOT_RUN)

# %% [markdown]
# ## What to conclude
#
# - A loss that falls on people held out says that the network reads changes of people whom a generator drew. It says
#   nothing yet about photographs: people who exist are drawn by a camera.
# - Features are worth something where they pass those of an untrained network of the same shape. That is a low bar,
#   and it is the one that the pilot sets.
#
# ## Predict, then reveal
#
# **1.** Ten strengths from −5 to 5 without 0, pairs at least 7.5 apart. *What share of the pictures finds a partner:
# about a tenth, a half or nine tenths?*

# %% tags=["solution", "hide-input"] choices=["a tenth", "a half", "nine tenths"] answer="a half"
labels = pd.DataFrame(
    [(who, "age", a) for who in range(300) for a in change_sources.strengths(1.0)],
    columns=["identity", "attribute", "alpha"],
)
labels["record"], labels["age"] = labels.index.astype(str), np.nan
people = Images("strengths", "", np.zeros((len(labels), 1, 1, 3), np.uint8), labels)
pairs = AttributePairs(people, plain.curriculum)
for stage in plain.curriculum:
    share = 2 * len(pairs.epoch(stage.epoch)) / len(labels)
    print(f"least change {stage.least:g}: {percent(share)} of the pictures")
print(
    "Why: only strengths of opposite sign, both strong, are so far apart; each has "
    "few partners, and these are soon taken."
)

# %% [markdown]
# **2.** One person alone in a batch. *What is the inter-personal loss: 0, log N, or not a number?*

# %% tags=["solution", "hide-input"] choices=["0", "log N"] answer="0"
x, y = torch.randn(2, 6, 8)
print(float(losses.inter_loss(x, y, torch.zeros(6, dtype=torch.long))))
print(
    "Why: pairs of one person are no negatives, so each pair stands against itself "
    "alone and is always right. The recipe refuses such a batch before it starts."
)

# %% [markdown]
# **3.** The change is told by a layer without bias over a difference. Swap the two faces: *does the answer keep its
# size and change its sign always, on average, or only after training?*

# %% tags=["solution", "hide-input"] choices=["always", "on average", "after training"] answer="always"
from aifr_lib.models.comface import Comparer
from aifr_lib.models.encoders import encoder

torch.manual_seed(0)
comparer = Comparer(encoder("resnet18", 32)).eval()
faces = torch.rand(3, 2, 3, 32, 32)
with torch.no_grad():
    print(comparer(faces).numpy().round(3), comparer(faces.flip(1)).numpy().round(3))
print(
    "Why: w · (h_y − h_x) = −w · (h_x − h_y) whatever w and h are. A layer over both "
    "features side by side would have to learn that."
)
