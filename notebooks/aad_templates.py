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
# # Attentive angular distillation: verification of templates (Table VI)
#
# **The claim.** On IJB-B and IJB-C, where several pictures make one template, every student is better with AAD than
# alone {cite}`truong2020aad`.
#
# **The catch.** One cell breaks the pattern of all others (MFNR on IJB-C), and the rates are printed without an
# interval. Table V of the same paper prints numbers of AD under AAD's name; whether this one does cannot be told.

# %% tags=["parameters"]
preset = "smoke"  # smoke: seconds; lesson: minutes; classroom: hours
seeds = None  # how many seeds; None takes the preset's
device = None  # "cpu", "cuda"; None takes the best there is
out = None  # where results go; None is figures/<preset>
compute = True  # False shows only what was computed before
fresh = False  # True forgets stored runs

# %% tags=["hide-input"]
import pandas as pd

from aifr_lib.evaluation.templates import pool
from aifr_lib.experiments.aad import tables
from aifr_lib.experiments.page import open_page
from aifr_lib.reporting import papers
from aifr_lib.reporting.tables import printed_frame

page = open_page(
    preset, seeds=seeds, device=device, out=out, compute=compute, fresh=fresh
)
page.opening(tables.TABLE6)
printed = pd.DataFrame(papers.load("aad_table6").rows)
printed_frame("aad_table6").style.hide().format(precision=3)

# %% [markdown]
# ## The protocol
#
# Pictures of one template are averaged, frames of one video first; two templates are compared by the cosine. The true
# acceptance rate is read where a given share of impostors is let in.

# %% tags=["hide-input"]
page.source(pool)

# %% [markdown]
# ## The experiment
#
# Templates of relief people stand in for IJB's: stills and frames of videos, some blurred and small.

# %%
artefact = page.result(tables.TABLE6)

# %% [markdown]
# ## The result beside the paper's

# %% tags=["hide-input"]
page.table(tables.TABLE6)

# %% [markdown]
# **A cell out of pattern.** By how much the printed rate rises from IJB-B to IJB-C:

# %% tags=["hide-input"]
rise = printed.assign(rise=printed["IJBC"] - printed["IJBB"])
rise[["method", "rise"]].style.hide().format(precision=3)

# %% [markdown]
# ## What to conclude

# A mean over pictures takes away what differs between them and keeps who it is; that is no promise that a
# taught student gains as much by it as one alone.
# At the lowest rates the threshold rests on a few pairs of strangers, so that two seeds of one method can lie further
# apart than two methods: read the interval before the mean.
#
# ## Predict, then reveal
#
# **1.** A template of four pictures against one of a single picture, same person: whose comparison is safer?

# %% tags=["solution", "hide-input"] choices=["four pictures", "one picture", "equal"] answer="four pictures"
import numpy as np

rng = np.random.default_rng(0)
person = np.eye(16)[0]


def cosine(count):
    sides = [person + 0.4 * rng.normal(size=(count, 16)) for _ in range(2)]
    a, b = (side.mean(0) / np.linalg.norm(side.mean(0)) for side in sides)
    return a @ b


for count in (1, 4):
    print(f"{count}: {np.mean([cosine(count) for _ in range(500)]):.2f}")
print("Why: what differs from picture to picture averages out, who it is does not.")

# %% [markdown]
# **2.** At a false acceptance rate of one in ten thousand ten impostors must be let in to read it. How many impostor
# pairs are needed?

# %% tags=["solution", "hide-input"] choices=["1,000", "10,000", "100,000"] answer="100,000"
print(f"{10 / 1e-4:,.0f}")
print("Why: fewer than ten let in, and the threshold rests on a handful of pairs.")

# %% [markdown]
# **3.** Frames of one video are averaged before they join the template. Why?

# %% tags=["solution", "hide-input"] choices=["speed", "fair votes"] answer="fair votes"
still, frames = np.array([[1.0, 0.0]]), np.tile([[0.0, 1.0]], (9, 1))
print("all alike:", np.round(np.r_[still, frames].mean(0), 2))
print("by medium:", np.round((still.mean(0) + frames.mean(0)) / 2, 2))
print("Why: frames of one video are nearly one picture; nine votes for one are unfair.")
