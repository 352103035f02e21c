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
# # Does it help to learn from people who do not exist?
#
# **The question.** ComFace learns to compare pictures of one person from people whom a generator drew. Above all its
# tables stands one question that the paper does not ask in numbers: what of that survives the step to real people,
# and compared with what {cite:p}`akamatsu2024comface`?
#
# **The yardsticks.** A network that learnt nothing, one that learns from the photographs alone, one that others
# trained on photographs of other things, colour pixels, and saying *no change* every time.

# %% tags=["parameters"]
preset = "smoke"  # smoke: seconds; lesson: minutes; classroom: hours
seeds = None  # how many seeds; None takes the preset's
device = None  # "cpu", "cuda"; None takes the best there is
out = None  # where results go; None is figures/<preset>
compute = True  # False shows only what was computed before
fresh = False  # True forgets stored runs

# %% tags=["hide-input"]
import numpy as np

from aifr_lib.experiments.comface import occlusion
from aifr_lib.experiments.comface.beyond import (
    ATTRIBUTES,
    FUSION,
    RIVALS,
    SCALING,
    SHORTCUTS,
    STRATA,
    WHERE,
    rivals,
    scaling,
    strata,
    where,
)
from aifr_lib.experiments.page import open_page
from aifr_lib.reporting import contents, plots

page = open_page(
    preset, seeds=seeds, device=device, out=out, compute=compute, fresh=fresh
)
settings = page.settings.comface
page.opening(SCALING, SHORTCUTS, RIVALS, WHERE, STRATA)


def picture(experiment, result, draw):
    """The figure of a result, where something was measured."""
    if result.has_results:
        draw(result, page.runs(experiment))
        plots.show(contents.find(experiment.id).picture)


# %% [markdown]
# ## More people, more pictures, another source, fewer labels
#
# Each curve varies one thing and holds the rest. *Kept* features are read by ridge regression as they are; a
# *fine-tuned* network learns on from the photographs. Fewer labelled subjects: of each fold's training people only a
# share has ages, the people tested stay the same.

# %%
result = page.result(SCALING)

# %% tags=["hide-input"]
picture(SCALING, result, scaling.scaling_figure)
page.table(SCALING)

# %% [markdown]
# ## Shortcuts of photographs
#
# A print of 1950 is grey, one of 1975 orange, a digital picture sharp. Each reader is asked again on the inner face
# alone, grey, with one mean and one contrast. What a row loses there it had from the rest.

# %%
result = page.result(SHORTCUTS)

# %% tags=["hide-input"]
picture(SHORTCUTS, result, rivals.shortcut_figure)
page.table(SHORTCUTS)

# %% [markdown]
# ## Rows that Table N lacks
#
# Comparing two faces has a plain rival: tell each age, subtract. Once by a packaged network that was trained to tell
# ages, its scale fitted on the training people; once by the very network that *from scratch* is, on the same
# pictures in the same order, with a loss that looks at each picture by itself.

# %%
result = page.result(RIVALS)

# %% tags=["hide-input"]
page.table(RIVALS)

# %% [markdown]
# ## One attribute less
#
# If the network learnt *age* from edits of age, leaving them out should cost on age and little elsewhere.

# %%
result = page.result(ATTRIBUTES)

# %% tags=["hide-input"]
page.table(ATTRIBUTES)

# %% [markdown]
# ## The difference of features, or both
#
# With $\hat d = w \cdot (h_y - h_x)$ the way back is minus the way there, and two steps make one, whatever was
# learnt. A layer over both features side by side must learn it. How far from it does it end?

# %%
result = page.result(FUSION)

# %% tags=["hide-input"]
page.table(FUSION)

# %% [markdown]
# ## Where a change is seen
#
# A region is made one flat colour, the same in both pictures, so that nothing in it differs any more. What the
# predicted change loses came from there. The regions, on a drawn face:

# %% tags=["hide-input"]
x, y, truth = where.drawn_pairs(2, 112)
shown = [x[1]]
for mask in occlusion.regions(112).values():
    shown.append(occlusion.flattened(x[1:2], y[1:2], mask)[0][0])
plots.show_pixels(
    plots.strip(np.stack(shown), len(shown)),
    "A drawn face, then the same face with one region after the other made flat: "
    + ", ".join(occlusion.REGIONS),
    720,
)

# %% [markdown]
# On drawn people the renderer knows the truth: how much each pixel changes with a year. On photographs nobody does;
# there the shares stand alone.

# %%
result = page.result(WHERE)

# %% tags=["hide-input"]
picture(WHERE, result, where.where_figure)
page.table(WHERE)

# %% [markdown]
# ## Where the error lies
#
# The same predictions, by years apart, by stage of life and by pose. *Child and grown*: one picture below eighteen,
# one above. Pose is read by a detector, and pairs are cut at its median.

# %%
result = page.result(STRATA)

# %% tags=["hide-input"]
picture(STRATA, result, strata.strata_figure)
page.table(STRATA)

# %% [markdown]
# ## What to conclude
#
# - Compare each point with the untrained network and with the one from scratch, never with nothing: features that
#   nobody trained tell a change of age too.
# - A curve that stays flat over people says that more people of that source will not help.
# - Where a network looks is no proof of why it answers: a flat region is a picture that it has never seen.
#
# ## Predict, then reveal
#
# **1.** *A layer over both features learns $u \cdot h_x + v \cdot h_y + b$. What must hold for it to be
# antisymmetric: u = v, u = −v and b = 0, or b = 0 alone?*

# %% tags=["solution", "hide-input"] choices=["u = v", "u = −v and b = 0", "b = 0"] answer="u = −v and b = 0"
rng = np.random.default_rng(0)
u, h = rng.normal(size=8), rng.normal(size=(2, 500, 8))
tried = {
    "u = v, b = 0": (u, 0.0),
    "u = −v, b = 0": (-u, 0.0),
    "any v, b = 0": (rng.normal(size=8), 0.0),
    "u = −v, b = 1": (-u, 1.0),
}
print("mean size of there plus back, which is 0 where the layer is antisymmetric:")
for name, (v, b) in tried.items():
    there, back = h[0] @ u + h[1] @ v + b, h[1] @ u + h[0] @ v + b
    print(f"{name}: {np.abs(there + back).mean():.2f}")
print("Why: the sum of both ways is (u + v) · (h_x + h_y) + 2b, for all pictures.")

# %% [markdown]
# **2.** Always *no change* errs by the mean number of years apart. *On pairs less than five years apart, is it a
# hard rival: yes or no?*

# %% tags=["solution", "hide-input"] choices=["yes", "no"] answer="yes"
gap = rng.uniform(0, 5, 4000)
print(f"no change errs by {gap.mean():.1f} years there")
for noise in (1, 3, 6):
    error = np.abs(gap + rng.normal(0, noise, 4000) - gap).mean()
    print(f"right on average, with a noise of {noise} years: {error:.1f}")
print(
    "Why: who says something must be right to less than two and a half years. A mean "
    "over all pairs hides that."
)

# %% [markdown]
# **3.** Two ages are told with independent errors of four years each. *By how much does their difference err, in
# standard deviations: 4, 5.7 or 8 years?*

# %% tags=["solution", "hide-input"] choices=["4", "5.7", "8"] answer="5.7"
a, b = rng.normal(0, 4, (2, 100_000))
print(f"standard deviation of the difference: {(a - b).std():.1f} years")
print(
    "Why: variances add. An error that both pictures share, such as a face that looks "
    "young for its age, cancels; that is what comparing can win."
)
