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
# # One person, more or less of something: ComFace's Figs. A and B, Table A
#
# ComFace wants to learn what *changes* in a face. For that it needs one person at many strengths of an attribute:
# heavier, older, smiling more, with all else the same. No camera gives that. A generator does: every face it draws has
# a code, and there are directions in which codes can be moved so that one thing changes. The paper moves 250,000 people
# who do not exist, each to a hundred strengths $\alpha$ from −5 to 5.
#
# Its generators are StyleGAN {cite:p}`stylegan` and StyleGAN3, with directions that others published. Neither can be
# had by everyone. Here a smaller generator that comes inside a Python package takes their place, its directions are
# **found** from what outside networks read off its faces, and **certified by another reading** than the one they were
# found by.

# %% tags=["parameters"]
# smoke: one person, three strengths; lesson and classroom: more of both, minutes of
# drawing
preset = "smoke"
seeds = None  # nothing here is trained: a person is a seed
device = None  # the generator runs on the CPU
out = None  # where results go; None is figures/<preset>
compute = True  # False shows only what was computed before
fresh = False  # True forgets stored runs

# %% tags=["hide-input"]
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from IPython.display import HTML, Markdown, display

from aifr_lib.experiments.comface import directions_table, galleries
from aifr_lib.experiments.generator import (
    drawing,
    edit_rows,
    latent_directions,
    latent_sets,
)
from aifr_lib.experiments.page import open_page
from aifr_lib.faces.generators import directions, sources
from aifr_lib.reporting import contents, pages, plots, slider
from aifr_lib.reporting.prose import signs

page = open_page(
    preset, seeds=seeds, device=device, out=out, compute=compute, fresh=fresh
)
settings = page.settings
page.opening(latent_directions.DIRECTIONS, latent_sets.SETS)
shown, runs = {}, {}
for figure in (galleries.FIG_A, galleries.FIG_B):
    shown[figure.id], runs[figure.id] = page.result(figure), page.runs(figure)
    jobs = figure.jobs(settings, None, None)
lacking = {
    name: job.lacking() for name, job in jobs.items() if name not in runs[figure.id]
}
for name, reason in lacking.items():
    display(
        Markdown(
            f"*No pictures from the {drawing.NAMES[name]}: "
            f"{reason or 'not run yet at this size'}.*"
        )
    )


def player(figure, source):
    """A slider over α: a row for each attribute, a column for each person."""
    run = runs[figure].get(source)
    if run is None:
        return display(
            Markdown(f"*No pictures from the {drawing.NAMES[source]} here.*")
        )
    frames, labels, start = galleries.player_frames(run)
    names = ", ".join(run.spec.values["attributes"])
    title = f"From above: {names} ({drawing.NAMES[source]})"
    return display(
        slider.show(frames, labels, title=title, alt="edited faces", start=start)
    )


# %% [markdown]
# ## Fig. A: weight, age, smile
#
# Move α. Each column is a person, the first ones of the generator, chosen by nobody. In the middle all three rows are
# the same pictures.

# %% tags=["hide-input"]
player("comface_figA", "latent")

# %% [markdown]
# As the paper prints it, the first two of them:

# %% tags=["hide-input"]
if runs["comface_figA"]:
    galleries.gallery_figure(shown["comface_figA"], runs["comface_figA"])
    plots.show(contents.find("comface_figA").picture)
HTML(pages.stamp(shown["comface_figA"]))

# %% [markdown]
# ## The rule
#
# A generator turns noise $z$ into a code $w_0$ (512 numbers), and the code into a picture. A direction is a vector $n$
# of length 1, with a scale $s$ of its own:
#
# $$ w(\alpha) = w_0 + \alpha\, s\, n, \qquad \alpha \in [-5, 5]. $$
#
# With the paper's boundaries $s = 1$. Ours have scales that were set by looking: at ±5 a face is still a face.

# %% tags=["hide-input"]
origin = directions.provenance()
spans = ", ".join(
    f"{name} {one.about['span']:g}"
    for name, one in directions.found_directions().items()
)
text = (
    "By the model that found them, α = 5 changes a direction's own reading by so many "
    "of its standard deviations over people (their codes truncated with ψ = "
    f"{origin['psi']:g}): {spans}. The rule in this library:"
)
display(Markdown(text))
page.source(directions.edit)

# %% [markdown]
# Two published tools disagree here. InterFaceGAN's script moves a code *to* a distance from the boundary,
# stylegan3-editing moves it *by* a strength. With the first, α = 0 would be another picture for each attribute; the
# paper says that it is the same (footnote 1), so it must be the second; `stylegan.alpha_at` translates.
#
# ## Table A: where the directions come from

# %% tags=["hide-input"]
table = page.result(directions_table.TABLE_A)
display(directions_table.table_frame(table).style.hide())
HTML(pages.stamp(table))

# %% [markdown]
# How a direction is found: some hundred faces are drawn, an outside reading (an age, the width of a mouth …) is taken
# of each, and a ridge regression says how the reading depends on the code. Readings go together in the generator's
# world: the old wear glasses. So of all steps that *by this model* change one reading and leave the others where they
# are, the one is taken that leads least far from where faces are. The model is linear and fitted to few people: what
# the pictures do is measured below, and other readings do move.
#
# ## Is it what it says it is?
#
# A direction found with a judge will please that judge. So another one is asked, which shares no network with the
# first. Left: what the second reading says of people who had no part in the finding, against α. Right: whether it is
# still the same person to SFace {cite:p}`sface`; where the curve falls under the dotted line, one in a hundred pairs of
# different people is more alike than the picture is to its own person.

# %% tags=["hide-input"]
certified = page.result(latent_directions.DIRECTIONS)
similar = [
    row for row in certified.rows if row.metric == edit_rows.SAME and row.measured
]
if similar:
    edit_rows.direction_figure(certified)
    plots.show(contents.find("latent_directions").picture)
else:
    display(Markdown("*Not run yet at this size, or its packages are not here.*"))
HTML(pages.stamp(certified))

# %% [markdown]
# All judges on one page. *Above others* is the share of people who look more like themselves than one in a hundred
# pairs of two different people does.

# %% tags=["hide-input"]
found = {
    (row.keys["direction"], row.keys["at"], row.metric): row.measured
    for row in certified.rows
    if row.measured
}


def cell(direction, at, metric, form="{:.2f}"):
    """A number of the table with its interval."""
    one = found.get((direction, at, metric))
    ends = (
        ""
        if one is None or one.ci95 is None
        else " [" + ", ".join(form.format(end) for end in one.ci95) + "]"
    )
    return "–" if one is None else form.format(one.mean) + ends


lines = {}
within = "rank correlation with α, mean within a person"
for name in (
    name for name, at, metric in found if (at, metric) == ("all", edit_rows.EACH)
):
    lines[name] = {
        "second judge": edit_rows.SECOND[name][1],
        within: cell(name, "all", edit_rows.EACH),
        "rank correlation with α, pooled over people": cell(
            name, "all", edit_rows.POOLED
        ),
        "certified": "yes"
        if edit_rows.certified(found[name, "all", edit_rows.EACH])
        else "no",
        **{
            signs(f"SFace, α = {at:+g}"): cell(name, float(at), edit_rows.SAME)
            for at in (-5, -3, 3, 5)
        },
        **{
            signs(f"above others, α = {at:+g}, %"): cell(
                name, float(at), edit_rows.ABOVE, "{:.0f}"
            )
            for at in (-3, 3)
        },
    }
display(
    pd.DataFrame(lines)
    if lines
    else Markdown("*Not run yet at this size, or its packages are not here.*")
)
asked = f"the interval of its {within}, does not reach below {edit_rows.LEAST:g}"
sentences = [
    f"*Certified* means that {asked}: the first number above, by the second judge."
]
first, end = origin["seeds"]
sentences.append(f"The directions were found on {end - first} people.")
reading = page.runs(latent_directions.DIRECTIONS).get(latent_directions.READING)
if reading and reading.key == origin["run"]:
    sentences.append(
        f"MTCNN saw a face in {reading.summary['found']} of their pictures."
    )
if ("age", "FG-NET", "corr") in found:
    error = cell("age", "FG-NET", "mae", "{:.1f}")
    judged = f"{cell('age', 'FG-NET', 'corr')}, mean error {error} years"
    sentences.append(
        "The second age judge on people of FG-NET who had no part in its training: "
        f"correlation {judged}."
    )
Markdown(" ".join(sentences))

# %% [markdown]
# The mean within a person asks whether *this* person gets older with α; pooled over people, the differences between
# them blur it.
#
# ## What else moves?
#
# The same pictures, all readings: by how many standard deviations of unedited people each changes on the way from
# α = −3 to 3. On the diagonal is what was wanted; a clean direction would leave the rest of its row at 0. Grey was not
# read.

# %% tags=["hide-input"]
beside = edit_rows.side_effects(certified)
if len(beside):
    edit_rows.side_effects_figure(certified)
    plots.show("How far each direction moves each reading, as a heat map")
    others = beside.stack()
    others = others[[direction != reading for direction, reading in others.index]]
    direction, reading = others.abs().idxmax()
    text = (
        f"The largest side effect: the direction of {direction} changes the reading of "
        f"{reading} by {others[direction, reading]:+.1f} standard deviations, where "
        f"{direction} itself changes by {beside.loc[direction, direction]:+.1f}. No "
        "interval stands here: read signs and sizes, not decimals."
    )
    display(Markdown(text))
else:
    display(Markdown("*Not run yet at this size, or its packages are not here.*"))

# %% [markdown]
# Light is measured, not judged: the second reading is the same ratio of brightness on a crop that other landmarks cut
# out. For gender no second judge installs from a package, so its direction has been certified by nobody.
#
# ## The sets to learn from
#
# With certified directions a set of any size can be drawn. Two are made here, once, and kept in the cache: people at
# every strength of every attribute, which is what ComFace learns from, and people across ages whose pose, smile and
# light change from picture to picture too, which is what recognition learns from. Left: for how long an edited person
# stays the same to SFace. Right: how well SFace tells people apart when years lie between two pictures, on the second
# set and on relief faces and photographs beside it. The years are what an age judge tells: these people
# have no birthday.

# %% tags=["hide-input"]
made = page.result(latent_sets.SETS)
if made.has_results:
    latent_sets.sets_figure(made, latent_sets.other_sets(settings, out))
    plots.show(contents.find("latent_sets").picture)
    built = page.runs(latent_sets.SETS)
    sizes = [
        {"set": name, **{key: run.summary[key] for key in ("people", "pictures")}}
        for name, run in built.items()
    ]
    display(pd.DataFrame(sizes).style.hide())
    if edited := built.get(latent_sets.EDITED):
        each = edited.summary["seconds_a_picture"]
        display(
            Markdown(
                f"The generator took {each:.2f} s a picture on the machine that judged "
                "these, whatever else it did."
            )
        )
else:
    display(
        Markdown(
            "*Not built yet at this size, or the generator's packages are not here.*"
        )
    )
HTML(pages.stamp(made))

# %% [markdown]
# Both can be had in one line, drawn where they are missing:
#
# ```python
# latent_sets.edited_faces(load_preset("classroom").latent_sets)
# latent_sets.faces_across_ages(load_preset("classroom").latent_sets)
# ```
#
# ## Fig. B: the other attributes
#
# For StyleGAN3 there are directions for the forty attributes of CelebA, from `5_o_Clock_Shadow` to `Young`, found with
# a classifier of those forty. No such classifier is at hand here, so there is a direction only for what our readings
# can tell:

# %% tags=["hide-input"]
rows = [
    {
        "here": name,
        "of CelebA's forty": directions_table.COUNTERPARTS.get(
            name, ("", "none: it is not among them")
        )[1],
        "shown in": f"Fig. {figure[-1]}",
    }
    for figure, names in galleries.ATTRIBUTES.items()
    for name in names
]
display(pd.DataFrame(rows).style.hide())
counted = len(directions_table.COUNTERPARTS)
text = (
    f"So **{counted} of the forty** have a counterpart here and {40 - counted} have "
    "none: hair and its colour, glasses, hats, make-up, beards, the shape of brows, "
    "lips and nose. In their place stands what else can be read: where the head "
    "turns, and the light, which are no attributes of CelebA."
)
Markdown(text)

# %% tags=["hide-input"]
player("comface_figB", "latent")
HTML(pages.stamp(shown["comface_figB"]))

# %% [markdown]
# ## The same rule, drawn faces
#
# Behind one small interface, `render(identity, attribute, alpha)`, stands any source of faces. Relief faces are one:
# there the attribute is a parameter, and nothing else *can* move.

# %% tags=["hide-input"]
player("comface_figA", "relief")

# %% [markdown]
# A StyleGAN network of your own is another. NVIDIA's files are pickles: opening one runs NVIDIA's code, so that is left
# to you, once.
#
# ```python
# # once, in NVIDIA's checkout
# network = legacy.load_network_pkl(file)["G_ema"]
# stylegan.export(network, "ffhq.torchscript")
#
# # from then on, anywhere
# generator = stylegan.open_generator("ffhq.torchscript")
# age = directions.read_boundary("stylegan_ffhq_age_w_boundary.npy")
# source = sources.EditedSource(generator, {"age": age})
# source.render(identity=7, attribute="age", alpha=2.5)
# ```
#
# This was tested with a small stand-in of the same interface, not with NVIDIA's networks, which are not here.

# %% [markdown] tags=["live"]
# With a kernel behind it, anybody at any strength:

# %% tags=["hide-input", "live"]
from ipywidgets import Dropdown, FloatSlider, IntText, interact

ready = [name for name in sources.SOURCES if drawing.missing(name) is None]
opened = {name: sources.open_source(name) for name in ready}


@interact(
    source=Dropdown(options=ready, value=ready[-1]),
    person=IntText(value=10),
    attribute=Dropdown(options=list(galleries.ATTRIBUTES["comface_figA"])),
    alpha=FloatSlider(value=0.0, min=-5, max=5, step=0.5, continuous_update=False),
)
def _(source, person, attribute, alpha):
    _, axis = plt.subplots(figsize=(3.5, 3.5))
    axis.imshow(opened[source].render(person, attribute, alpha))
    axis.axis("off")
    plt.show()


# %% [markdown]
# ## What these pictures may be used for
#
# The package that holds the generator states the Apache-2.0 licence. Its network was distilled from StyleGAN2 trained
# on FFHQ, whose weights NVIDIA licenses for **non-commercial** use, from photographs under Creative Commons licences,
# part of them non-commercial too. Whether that passes on to a distilled network and to its pictures is not settled. So
# we treat them as for research and teaching only, keep few and small ones here, and sell none. More in the
# [data card](../data/latent.md).
#
# ## What to conclude
#
# - The experiment of Figs. A and B can be had without StyleGAN: one rule, directions found in minutes.
# - No direction moves one thing alone. Other readings move too, though the model was told to leave them (the heat map
#   says by how much). And what no reading tells, nothing held still: look at hair and background in the sliders.
# - A direction is as good as the judge that certifies it. The paper shows pictures, and certifies none.
#
# ## Predict, then reveal
#
# **1.** At α = ±5, which edit takes a person furthest from themselves, to SFace: weight, age or smile? *Predict an
# order.*

# %% tags=["solution", "hide-input"] choices=["weight", "age", "smile"] answer="age"
for name in galleries.ATTRIBUTES["comface_figA"]:
    ends = [
        row.measured.mean
        for row in similar
        if row.keys["direction"] == name and abs(row.keys["at"]) == 5
    ]
    print(f"{name}: {np.mean(ends):.2f}" if ends else f"{name}: not run")
print(
    "Why: α counts standard deviations of what is edited, not of who it is. Years "
    "reach skin, hair and outline at"
)
print("once; a smile moves the mouth, and recognition networks have seen people smile.")

# %% [markdown]
# **2.** Two directions at right angles do not touch one another. Are those of age and gender nearer to 90° or to 60°?
# *Predict the angles between all six too, then reveal.*

# %% tags=["solution", "hide-input"] choices=["90°", "60°"] answer="90°"
directions = directions.found_directions()
normals = np.stack([one.normal for one in directions.values()])
angles = np.degrees(np.arccos(np.clip(normals @ normals.T, -1, 1))).round()
print(
    pd.DataFrame(angles, directions, directions).to_string(
        float_format="{:.0f}°".format
    )
)
print(
    "Why: in so many dimensions two directions chosen at random are nearly at right "
    "angles. What lies clearly under"
)
print(
    "90° has something in common, in the generator's people or in the judge that read "
    "them."
)

# %% [markdown]
# **3.** The paper draws 35 million pictures. How long would this generator take for them on the machine that built the
# sets above? *Predict: days, weeks or months?*

# %% tags=["solution", "hide-input"] choices=["days", "weeks", "months"] answer="months"
if run := page.runs(latent_sets.SETS).get(latent_sets.EDITED):
    each = run.summary["seconds_a_picture"]
    print(f"{each:.2f} s a picture: {35e6 * each / 86400 / 30.4:.0f} months")
else:
    print("not run: the sets have not been built at this size")
print(
    "Why: millions times less than a second is still a season. Synthetic data is free "
    "of people, not of cost."
)
