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
# # Attentive angular distillation: identification among distractors (Table V)
#
# **The claim.** Among a million distractors every student with AAD finds more people than alone, by about two to four
# points {cite}`truong2020aad`.
#
# **The catch.** The same gains stand, digit for digit, in an earlier paper of the authors under the name of AD, which
# knows no attention. So the table says nothing of AAD; here both are asked.

# %% tags=["parameters"]
preset = "smoke"  # smoke: seconds; lesson: minutes; classroom: hours
seeds = None  # how many seeds; None takes the preset's
device = None  # "cpu", "cuda"; None takes the best there is
out = None  # where results go; None is figures/<preset>
compute = True  # False shows only what was computed before
fresh = False  # True forgets stored runs

# %% tags=["hide-input"]
import pandas as pd

from aifr_lib.evaluation.distractors import among_distractors
from aifr_lib.experiments.aad import tables
from aifr_lib.experiments.page import open_page
from aifr_lib.reporting import papers
from aifr_lib.reporting.tables import printed_frame

page = open_page(
    preset, seeds=seeds, device=device, out=out, compute=compute, fresh=fresh
)
page.opening(tables.TABLE5)
printed = pd.DataFrame(papers.load("aad_table5").rows)
printed_frame("aad_table5").style.hide().format(precision=2)

# %% [markdown]
# ## The protocol
#
# One picture of a person is hidden among distractors, people who are sought by nobody; another picture of that person
# looks for it. It is found if no distractor is more alike. That is repeated for every two pictures of a person.

# %% tags=["hide-input"]
page.source(among_distractors)

# %% [markdown]
# ## The experiment
#
# The paper seeks people of FaceScrub in MegaFace. Here test people are sought among relief faces, and in
# [Table II](aad_distillation.ipynb) people from childhood to old age.

# %%
artefact = page.result(tables.TABLE5)

# %% [markdown]
# ## The result beside the paper's

# %% tags=["hide-input"]
page.table(tables.TABLE5)

# %% [markdown]
# **Printed here, printed there.** What Table V says a student gains, and what Table II says AD and AAD gain among
# distractors across ages:

# %% tags=["hide-input"]
by = printed.set_index("method")["rank1"]
short = {"MV1": "MV1 [49]", "MV2": "MV2 [50]", "MFN": "MFN [51]", "MFNR": "MFNR"}
other = pd.DataFrame(papers.load("aad_table2").rows).set_index(["backbone", "variant"])
across = other["FGNET_MF1"]
pd.DataFrame(
    {
        "student": name,
        "gain in Table V": by[f"{name}-AAD"] - by[alone],
        "gain of AD in Table II": across[name, "ad"] - across[name, "self"],
        "gain of AAD in Table II": across[name, "aad"] - across[name, "self"],
    }
    for name, alone in short.items()
).style.hide().format(precision=2)

# %% [markdown]
# ## What to conclude

# Among strangers everything is harder than in pairs: of thousands of faces a single one that is more alike loses the
# probe. So methods that lie within tenths of a point of each other on pairs can lie points apart here, and a rank-1
# says nothing without the number of distractors.
#
# ## Predict, then reveal
#
# **1.** Ten times as many distractors: what happens to the share that is found? *Predict.*

# %% tags=["solution", "hide-input"] choices=["it rises", "it stays", "it falls"] answer="it falls"
import numpy as np

rng = np.random.default_rng(0)
genuine = rng.normal(0.5, 0.1, 2000)
for count in (10, 100, 1000):
    best = rng.normal(0.1, 0.1, (2000, count)).max(1)
    print(f"{count:5d} distractors: {100 * (genuine > best).mean():.1f} % found")
print("Why: the best of more strangers is more alike, and it alone decides.")

# %% [markdown]
# **2.** A network gives every picture the same embedding. What is its rank-1 here?

# %% tags=["solution", "hide-input"] choices=["0 %", "50 %", "100 %"] answer="0 %"
same = np.ones((4, 8), np.float32)
found = among_distractors(same, np.array([0, 0, 1, 1]), same, [4])
print(f"{100 * found.hit.mean():.0f} %")
print("Why: a hit must be more alike than every distractor; a tie is none.")

# %% [markdown]
# **3.** The daggered rows of the table leave out pictures that are known to be mislabelled. Do numbers rise or fall?

# %% tags=["solution", "hide-input"] choices=["rise", "fall"] answer="rise"
hard = genuine.copy()
hard[:100] = rng.normal(0.1, 0.1, 100)
best = rng.normal(0.1, 0.1, (2000, 100)).max(1)
print(f"{100 * (hard > best).mean():.1f} % → {100 * (hard > best)[100:].mean():.1f} %")
print("Why: a probe under a wrong name cannot be found; 70 to 80 % became 90 and more.")
