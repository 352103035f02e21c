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
# # How a set with ages is made (Fig. A.1)
#
# **The claim.** MTLFace learns from a set that is *large and balanced*: a service estimates age and gender of faces
# from the web, people correct what is apparently wrong, above all under 20, and as many faces of each age and gender
# are taken {cite}`huang2021mtlface`.
#
# **The catch.** The set is gone, and nobody can say how wrong its labels were. Of drawn faces the true age is known. So
# here the same three steps are taken, and the labels are held against the truth.

# %% tags=["parameters"]
preset = "smoke"  # smoke: seconds; lesson: minutes; classroom: hours
seeds = None  # how many seeds; None takes the preset's
device = None  # "cpu", "cuda"; None takes the best there is
out = None  # where results go; None is figures/<preset>
compute = True  # False shows only what was computed before
fresh = False  # True forgets stored runs

# %% tags=["hide-input"]
import pandas as pd
from IPython.display import HTML, Markdown, display

from aifr_lib.experiments.mtlface import building, dataset, networks
from aifr_lib.experiments.page import open_page
from aifr_lib.reporting import contents, plots, tables

page = open_page(
    preset, seeds=seeds, device=device, out=out, compute=compute, fresh=fresh
)
settings = page.settings.mtlface
page.opening(dataset.FIGA1)

# %% [markdown]
# ## Three steps
#
# **1. Estimate.** A packaged judge tells each face's age, and how far apart the ages are that it holds possible: its
# *doubt*. **2. Correct.** A page shows all that look under 20 and the least certain; what is wrong is written into a
# table. **3. Balance.** As many of each age group and gender are drawn, by a seed.

# %% tags=["hide-input"]
page.source(building.to_look_at)

# %% [markdown]
# For faces of your own, in a terminal:
#
# ```
# aifr data balance photographs --out balanced
# aifr data balance photographs --out balanced --corrected balanced/review.csv
# ```

# %%
artefact = page.result(dataset.FIGA1)

# %% [markdown]
# ## The figure
#
# Left: faces by the age that they are told to have. Right: how many of each age and gender there are, and how many a
# balanced set takes.

# %% tags=["hide-input"]
if artefact.has_results:
    dataset.figure(artefact, page.runs(dataset.FIGA1))
    plots.show(contents.find("mtlface_figA1").picture)

# %% tags=["hide-input"]
page.table(dataset.FIGA1)

# %% [markdown]
# ## What the labels are worth
#
# A judge that errs by some years puts many faces into a neighbouring group. Balancing by such labels balances what the
# judge says.

# %% tags=["hide-input"]
if artefact.has_results:
    display(HTML(tables.shaped_table(artefact.rows, dataset.WRONG)))
else:
    display(Markdown("*Nothing was labelled at this size yet.*"))

# %% [markdown]
# ## The numbers in the text
#
# What the supplement prints of sizes, weights and schedules, beside this companion's settings of full size; below, what
# it does not print, the parameters of each part as it is built here.

# %%
printed = page.result(networks.INTEXT)

# %% tags=["hide-input"]
page.table(networks.INTEXT)
if printed.has_results:
    display(HTML(tables.shaped_table(printed.rows, networks.PARTS, exact=True)))

# %% [markdown]
# ## Predict, then reveal
#
# **1.** Six convolutions of 4 × 4 with padding 1 and strides 2, 2, 2, 2, 1, 1 see 112 pixels. How many cells a side
# come out? The supplement says 7.

# %% tags=["solution", "hide-input"] choices=["5", "6", "7"] answer="5"
cells = 112
for stride in (2, 2, 2, 2, 1, 1):
    cells = (cells + 2 - 4) // stride + 1
print(cells)
print("Why: without a stride a kernel of 4 loses a cell; kernels of 3 keep all 7.")

# %% [markdown]
# **2.** A cell of the table has three faces and another has three hundred. How many of each does a balanced set have if
# nothing is said?

# %% tags=["solution", "hide-input"] choices=["3", "300"] answer="3"
table = pd.DataFrame({"age": [5.0] * 3 + [30.0] * 300, "gender": "female"})
_, report = building.chosen(table)
display(report[report["there"] > 0])
print("Why: the smallest cell decides; --per-cell takes more where there are more.")

# %% [markdown]
# **3.** Which faces should a person look at first: those that look youngest, or those of which the judge is least sure?

# %% tags=["solution", "hide-input"] choices=["the youngest", "the least sure", "both"] answer="both"
told = pd.DataFrame({"age": [5.0, 30.0, 40.0], "doubt": [1.0, 9.0, 2.0]})
print(told.iloc[building.to_look_at(told, 1)].to_string(index=False))
print("Why: the paper names the young; doubt finds the others that are wrong.")
