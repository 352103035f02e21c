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
# # Attentive angular distillation: beyond the paper
#
# **The claim.** What helps is the teacher's direction and its attention {cite}`truong2020aad`.
#
# **The catch.** A student that is taught also trains longer, has another loss and sees maps of a face. Each of these
# can be had without the paper's idea. Here they are taken apart, and looked at by the years between two pictures.

# %% tags=["parameters"]
preset = "smoke"  # smoke: seconds; lesson: minutes; classroom: hours
seeds = None  # how many seeds; None takes the preset's
device = None  # "cpu", "cuda"; None takes the best there is
out = None  # where results go; None is figures/<preset>
compute = True  # False shows only what was computed before
fresh = False  # True forgets stored runs

# %% tags=["hide-input"]
import pandas as pd
from IPython.display import HTML

from aifr_lib.experiments.aad import cost, gaps, tables
from aifr_lib.experiments.page import open_page
from aifr_lib.reporting import claims, pages
from aifr_lib.reporting.rows import in_words

page = open_page(
    preset, seeds=seeds, device=device, out=out, compute=compute, fresh=fresh
)
page.opening(gaps.GAPS)
settings = page.settings.aad

# %% [markdown]
# ## The controls
#
# What each control leaves of the idea, and which claim of the paper it puts to the test:

# %% tags=["hide-input"]
controls = {
    "self_longer": "no teacher, but more steps: is it more than computing?",
    "kd": "the teacher's logits copied: does it take directions?",
    "ad_last_printed": "the printed weight λ = 1 in place of a tuned one",
    "ad_last_masks": "the last direction and attention, without tails",
    "ad_last_others_masks": "the same with masks of other people's faces",
    "self_softmax": "eq. 6 to the letter, no margin, alone",
    "ad_last_softmax": "eq. 6 to the letter, no margin, taught",
}
pd.DataFrame(
    [
        (in_words(name), question)
        for name, question in controls.items()
        if name in settings.variants
    ],
    columns=["control", "what it asks"],
).style.hide()

# %%
artefact = page.result(tables.TABLE2)

# %% tags=["hide-input"]
page.table(tables.TABLE2)

# %% [markdown]
# ## By the years between two pictures
#
# One threshold for all pairs, as in use. Random relief pairs lie any number of years apart; photographs of FG-NET
# stand beside them where they are at hand, measured by students that have never seen a photograph.

# %%
years = page.result(gaps.GAPS)

# %% tags=["hide-input"]
page.table(gaps.GAPS)

# %% [markdown]
# ## What to conclude

# %% tags=["hide-input"]
page.conclude(gaps.GAPS.finding(years))
mine = ("aad_table2_equal_compute", "aad_table2_kd", "aad_table2_masks")
verdicts = [one for one in claims.judge_artefact(artefact, out) if one.claim.id in mine]
HTML("".join(pages.claim_boxes(verdicts)))

# %% [markdown]
# ## Predict, then reveal
#
# **1.** Masks of *other* people's faces are shuffled in, one for each face. What can they still teach?

# %% tags=["solution", "hide-input"] choices=["nothing", "what all faces share"] answer="what all faces share"
import numpy as np

rng = np.random.default_rng(0)
shared = rng.normal(size=64)
own = shared + 0.3 * rng.normal(size=(200, 64))
alike = [np.corrcoef(own[a], own[a - 1])[0, 1] for a in range(200)]
print(f"masks of two people correlate by {np.mean(alike):.2f}")
print("Why: aligned faces have eyes, nose and mouth in the same cells.")

# %% [markdown]
# **2.** A student alone is given two and a half times the steps of AD. By the multiply-adds of a whole training, who
# has had more?

# %% tags=["solution", "hide-input"] choices=["the student alone", "AD", "as much each"] answer="AD"
steps = {
    variant: cost.training_step(settings.student(settings.ledger[0], variant, 0))[0]
    for variant in ("self", "ad")
}
print(f"a step of AD takes {steps['ad'] / steps['self']:.1f} × the multiply-adds")
print(
    "Why: a step of AD goes through three tails of the teacher too, there and back. "
    "Steps, multiply-adds and hours are three ways to be fair, and they differ."
)

# %% [markdown]
# **3.** Accuracy saturates where nearly all pairs are told apart. Which measure does not?

# %% tags=["solution", "hide-input"] choices=["rank-1", "log-odds of the AUC"] answer="log-odds of the AUC"
for area in (0.95, 0.995, 0.9995):
    print(f"AUC {area}: log-odds {np.log(area / (1 - area)):.1f}")
print("Why: each halving of what is wrong adds the same amount.")
