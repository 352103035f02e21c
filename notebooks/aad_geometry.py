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
# # Attentive angular distillation: what an angle teaches (Fig. 4)
#
# **The claim.** A student that learns alone separates people by whatever angle it finds; one that is told which way to
# point takes over its teacher's larger angles {cite}`truong2020aad`.
#
# **The catch.** The figure is a drawing: no data, no number.

# %% tags=["parameters"]
preset = "smoke"  # smoke: seconds; lesson: minutes; classroom: hours
seeds = None  # how many seeds; None takes the preset's
device = None  # "cpu", "cuda"; None takes the best there is
out = None  # where results go; None is figures/<preset>
compute = True  # False shows only what was computed before
fresh = False  # True forgets stored runs

# %% tags=["hide-input"]
import matplotlib.pyplot as plt

from aifr_lib.experiments.aad import geometry
from aifr_lib.experiments.page import open_page
from aifr_lib.losses.distillation import angular_loss
from aifr_lib.reporting import plots, slider

page = open_page(
    preset, seeds=seeds, device=device, out=out, compute=compute, fresh=fresh
)
page.opening(geometry.FIG4)

# %% [markdown]
# ## The idea in one picture
#
# Two people, 200 pictures each, of eight numbers; a network turns each into a point of the plane, of which only the
# direction counts. The teacher has 64 hidden units; the students have two, which cannot bend as what differs bends.
#
# $$ \mathcal L = \mathcal L_{SM} + \lambda_n \big(1 - \cos(F_n^{t}, F_n^{s})\big)^2
#    \qquad \text{(eqs. 6 to 8)} $$

# %% tags=["hide-input"]
page.source(angular_loss, geometry.learned)

# %% [markdown]
# ## The experiment

# %%
artefact = page.result(geometry.FIG4)

# %% [markdown]
# The *angle* lies between the mean directions of the two people. The *margin* is what is left of it when 19 of 20
# pictures of each are spared; where it is below 0 the people overlap.

# %% tags=["hide-input"]
page.table(geometry.FIG4)

# %% [markdown]
# **How much of it?** The student of the first seed under other weights of the angular loss:

# %% tags=["hide-input"]
frames, weights = [], (0.0, 0.25, 1.0, 4.0, 16.0, 64.0)
for weight in weights:
    found = geometry.planes(seed=0, weight=weight)
    figure, axes = plt.subplots(1, 2, figsize=(6.4, 3.4))
    geometry.draw(axes[0], found["teacher"], "teacher")
    geometry.draw(axes[1], found["guided"], f"student, λ = {weight:g}")
    frames.append(plots.svg(figure))
labels = [f"λ = {weight:g}" for weight in weights]
slider.show(
    frames,
    labels,
    title="Weight of the angular loss",
    alt="directions of two people",
    start=4,
)

# %% [markdown]
# ## What to conclude
#
# The angle is taken over: it opens far beyond the student's own. The margin need not be: a network too small for the
# task sends the pictures that it cannot place to the far side, and those lie across a wide angle. The drawing shows the
# first and is silent on the second.

# %% [markdown]
# ## Predict, then reveal
#
# **1.** With λ = 0, which student is the guided one? *The teacher's equal, the one alone, or neither?*

# %% tags=["solution", "hide-input"] choices=["the teacher's equal", "the one alone", "neither"] answer="the one alone"
found = geometry.planes(seed=1, weight=0.0)
print({name: f"{plane.angle:.2f}°" for name, plane in found.items()})
print(
    "Why: with no weight the angular loss has no gradient, and both start from one "
    "seed."
)

# %% [markdown]
# **2.** All embeddings of the teacher become eight times as long. What happens to the guided student?

# %% tags=["solution", "hide-input"] choices=["its angle grows", "its angle shrinks", "nothing"] answer="nothing"
x, person = geometry.pictures(0)
teacher = geometry.learned(x, person, 64, 0)
students = [
    geometry.learned(x, person, 2, 0, scale * teacher, 16.0) for scale in (1, 8)
]
planes = [geometry.Plane(one.numpy(), person.numpy()) for one in students]
print([f"{plane.angle:.2f}°" for plane in planes])
print(
    "Why: the cosine has no length in it. (Eight, since a computer multiplies by it "
    "without rounding: from two roundings, two trainings part.)"
)

# %% [markdown]
# **3.** A student as large as its teacher is guided by it. Is its margin nearer to the teacher's than that of the small
# one?

# %% tags=["solution", "hide-input"] choices=["yes", "no"] answer="yes"
large = geometry.Plane(
    geometry.learned(x, person, 64, 1, teacher, 16.0).numpy(), person.numpy()
)
small = geometry.Plane(students[0].numpy(), person.numpy())
own = geometry.Plane(teacher.numpy(), person.numpy())
print(
    f"teacher {own.margin:.0f}°, large student {large.margin:.0f}°, "
    f"small student {small.margin:.0f}°"
)
print(
    "Why: what the small one lacks is not the direction but the means to follow it for "
    "every picture."
)
