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
# # What is compared with what (Tables F, G and L)
#
# **The claim.** Fine-tuning does better when the linear layer is pre-trained too (Table L)
# {cite:p}`akamatsu2024comface`.
#
# **The catch.** The methods of Table F differ in data, in scale from one to thirty-five million pictures, in labels
# and in backbone, all at once. A difference between two rows has several explanations. The companion's own rows
# hold the pictures, their number and the backbone fixed.

# %% tags=["parameters"]
preset = "smoke"  # smoke: seconds; lesson: minutes; classroom: hours
seeds = None  # how many seeds; None takes the preset's
device = None  # "cpu", "cuda"; None takes the best there is
out = None  # where results go; None is figures/<preset>
compute = True  # False shows only what was computed before
fresh = False  # True forgets stored runs

# %% tags=["hide-input"]
import pandas as pd
from IPython.display import Markdown, display

from aifr_lib.experiments.comface import networks, weight
from aifr_lib.experiments.comface.pretraining import ledger
from aifr_lib.experiments.page import open_page
from aifr_lib.reporting import papers
from aifr_lib.reporting.rows import in_words
from aifr_lib.reporting.tables import printed_frame

page = open_page(
    preset, seeds=seeds, device=device, out=out, compute=compute, fresh=fresh
)
page.opening(weight.TABLE_L)

# %% [markdown]
# ## Data, scale, source and backbone (Table F)

# %%
result = page.result(networks.TABLES_FG[0])

# %% tags=["hide-input"]
printed_frame("comface_tableF").style.hide()

# %% [markdown]
# ## Files of weights (Table G)
#
# A file that you bring is read by `aifr embed --weights FILE`: each of these layouts is known, VGGFace2's pickled
# arrays too, which are read without unpickling. Bulat's address is printed with a letter l; the repository has a
# digit one.

# %%
result = page.result(networks.TABLES_FG[1])

# %% tags=["hide-input"]
printed_frame("comface_tableG").style.hide()

# %% [markdown]
# ## What is planned here, and what of it has run
#
# The ledger: a line for each method and its seeds, in the order in which they are to be run. Networks from scratch and
# from ImageNet learn no pictures of ours before they are fine-tuned. The parts of people and the other backbone of
# Tables H and I stand on [a page of their own](comface_subsets.ipynb), as do [questions beyond the
# paper](comface_beyond.ipynb).

# %% tags=["hide-input"]
lines, done = ledger(page.settings, page.out)
display(Markdown(f"**{done}**"), pd.DataFrame(lines).style.hide())

# %% [markdown]
# ## Is the layer worth keeping? (Table L)

# %%
layers = page.result(weight.TABLE_L)

# %% tags=["hide-input"]
page.table(weight.TABLE_L)

# %% [markdown]
# ## What to conclude
#
# - A pre-trained layer speaks in strengths of a generator, and a task in years or kilograms. What is kept may be a
#   direction in the features, or only a good scale to begin with.
# - Nobody but ComFace learnt from ComFace's pictures. What a row of Table N says of the loss alone, it cannot say.
#
# ## Predict, then reveal
#
# **1.** *Which backbone has more parameters: ResNet-101 or ViT-B/16?*

# %% tags=["solution", "hide-input"] choices=["ResNet-101", "ViT-B/16"] answer="ViT-B/16"
runs = page.runs(networks.FIG_C)
if runs:
    for name, found in runs["networks"].summary["networks"].items():
        millions = found["parameters"]["encoder"] / 1e6
        adds = found["multiply_adds"] / 1e9
        print(
            f"{in_words(name)}: {millions:.1f} million, "
            f"{adds:.1f} thousand million adds"
        )
print("Why: a transformer's layers are all as wide; a ResNet's are wide at the end.")

# %% [markdown]
# **2.** In Table F, count the methods that differ from ComFace in nothing but the loss. *None, one or three?*

# %% tags=["solution", "hide-input"] choices=["none", "one", "three"] answer="none"
rows = papers.load("comface_tableF").rows
ours = rows[-1]
print(sum(row["dataset"] == ours["dataset"] for row in rows[:-1]))
print(
    "Why: nobody else learnt from these pictures, so every row has two reasons or more."
)

# %% [markdown]
# **3.** Table L prints .666 without the layer and .663 with it on AU6. *From one training each, does that say that
# the layer harms there: yes or no?*

# %% tags=["solution", "hide-input"] choices=["yes", "no"] answer="no"
print(
    "Why: two trainings of one network differ by more than the third digit. It "
    "says that this comparison could not tell them apart."
)
