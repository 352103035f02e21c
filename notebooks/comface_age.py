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
# # How many years lie between two photographs? (Tables E and N)
#
# **The claim.** Fine-tuned on FG-NET, ComFace predicts the change of age between two photographs of one person better
# than ten other starts, with a mean error of 4.9 years {cite:p}`akamatsu2024comface`.
#
# **The catch.** A photograph dates itself. Prints of 1950 are grey, those of 1975 are orange, digital ones are
# sharp: a reader of colours alone knows something of an age. The paper has no such row; here it stands beside the
# others.

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

from aifr_lib.evaluation import probes
from aifr_lib.experiments.comface import age, networks
from aifr_lib.experiments.page import open_page

page = open_page(
    preset, seeds=seeds, device=device, out=out, compute=compute, fresh=fresh
)
settings = page.settings.comface
page.opening(age.TABLE_N)

# %% [markdown]
# ## The protocol
#
# - Four folds by subject: whoever is tested was neither trained nor validated on. A fifth of the training subjects
#   validates; the weights of the best validation epoch are tested, those of the last printed beside.
# - In an epoch each picture is once the first of a pair, beside another of its subject drawn anew.
# - Tested are all pairs within a subject **in both orders**. One set of predictions correlates by .55 with the
#   truth over pairs from young to old and by .75 over both; the printed numbers fit both orders far better.
# - The interval is over subjects, since pairs that share a person are not independent.
#
# ## Features that are kept
#
# Fine-tuning a network on some six hundred photographs can hide what it started with. So each network is also asked
# as it is: its features are kept, and ridge regression reads the change off their difference.

# %% tags=["hide-input"]
page.source(probes.ridge_change)

# %% [markdown]
# The control beside it: everything again on the inner face alone, grey, with one mean and one contrast. What a row
# loses there it had from colour, contrast and surroundings.
#
# ## Settings (Table E)

# %%
result = page.result(networks.TABLES_BCDE[3])

# %% tags=["hide-input"]
page.table(networks.TABLES_BCDE[3])

# %% [markdown]
# The paper has one rate for every method and raw targets. Here, for every method alike, the best of these rates on
# validation subjects is taken, and targets are divided by their spread:

# %% tags=["hide-input"]
pd.DataFrame(
    {"rates tried": [", ".join(f"{rate:g}" for rate in settings.age.rates)]}
).style.hide()

# %% [markdown]
# ## The experiment

# %%
result = page.result(age.TABLE_N)

# %% [markdown]
# ## The result beside the paper's

# %% tags=["hide-input"]
page.table(age.TABLE_N)

# %% [markdown]
# ## What to conclude
#
# - Begin with the rows that know little. *Always no change* is the error of knowing nothing; *eight numbers of colour
#   and sharpness* is what a photograph says without its face; an *untrained network* is what its shape says.
# - Half of FG-NET's photographs show children of thirteen or younger. The generator draws adults, whom only its
#   strongest edits bring near such an age: younger faces ComFace has hardly compared.
# - Methods that were not run here say so. Nothing is concluded of them.

# %% tags=["hide-input"]
page.conclude(age.age_concluded(result))

# %% [markdown]
# ## Predict, then reveal
#
# **1.** A network tells the age of one face, and is off by six years on average. Two faces are told so, each by
# itself, and the ages subtracted. *How far off is the change on average: by 6, 8.5 or 12 years?*

# %% tags=["solution", "hide-input"] choices=["6", "8.5", "12"] answer="8.5"
rng = np.random.default_rng(0)
off = rng.normal(0, 6 * (np.pi / 2) ** 0.5, (2, 100_000))
print(f"one face {np.abs(off[0]).mean():.1f}, two {np.abs(off[0] - off[1]).mean():.1f}")
off += rng.normal(0, 6, 100_000)
print(
    "both off by one more error, the same: the change still "
    f"{np.abs(off[0] - off[1]).mean():.1f}"
)
print(
    "Why: errors that know nothing of each other add as squares. What both faces share "
    "drops out, so it is worth comparing two pictures of one person."
)

# %% [markdown]
# **2.** The same predictions, scored from young to old alone. *Does the correlation rise, fall or stay?*

# %% tags=["solution", "hide-input"] choices=["rise", "fall", "stay"] answer="fall"
gap = rng.gamma(1.5, 7, 4000)
said = 0.6 * gap + rng.normal(0, 6, 4000)
both = np.corrcoef(np.r_[said, -said], np.r_[gap, -gap])[0, 1]
print(f"young to old {np.corrcoef(said, gap)[0, 1]:.2f}, both orders {both:.2f}")
print(
    "Why: with both orders the sign is worth something too, and the truth spreads "
    "over twice the range while the error stays."
)

# %% [markdown]
# **3.** Validation picks the best of ten epochs on some thirteen subjects. *Is the error of the best epoch on these
# an honest estimate, too small, or too large?*

# %% tags=["solution", "hide-input"] choices=["honest", "too small", "too large"] answer="too small"
noise = rng.normal(7, 0.5, (4000, 10))
print(
    f"one epoch {noise[:, 0].mean():.2f}, the smallest of ten {noise.min(1).mean():.2f}"
)
print(
    "Why: the smallest of ten noisy numbers is small by luck too. Only subjects that "
    "chose nothing tell; so the test is on others."
)
