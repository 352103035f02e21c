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
# # Transformer-metric loss: how much of it? (Fig. 6)
#
# **The claim.** Training a face network with a second, transformer-based loss beside the usual margin loss helps
# recognition across ages. The two are mixed by one number, α. *"A very high or very low value of α results in
# below-average performance"*; between 0.4 and 0.5 it is good {cite}`prakash2024tml`.
#
# **The catch.** The figure that shows this prints no numbers, one curve a data set and no error bars.

# %% tags=["parameters"]
# smoke: seconds; lesson: minutes; classroom: hours; paper: needs CASIA-WebFace
preset = "smoke"
seeds = None  # how many seeds; None takes the preset's
device = None  # "cpu", "cuda"; None takes the best there is
out = None  # where results go; None is figures/<preset>
compute = True  # False shows only what was computed before
fresh = False  # True forgets stored runs

# %% tags=["hide-input"]
import numpy as np
from IPython.display import Markdown, display

from aifr_lib.experiments.page import open_page
from aifr_lib.experiments.provenance import setting_in_words
from aifr_lib.experiments.relief import convergence
from aifr_lib.experiments.tml import alpha_sweep, trained, tuning
from aifr_lib.reporting import contents, papers, plots, slider
from aifr_lib.reporting.prose import listed, percent
from aifr_lib.reporting.rows import UNDER, in_words
from aifr_lib.settings.presets import load_preset

page = open_page(
    preset, seeds=seeds, device=device, out=out, compute=compute, fresh=fresh
)
settings = page.settings
page.opening(alpha_sweep.FIG6)

# %% tags=["hide-input"]
without = papers.value("tml_table1", {"loss": "ArcFace [49]"}, "LFW")
with_it = papers.value("tml_table1", {"loss": "Transformer-ArcFace"}, "LFW")
gain = with_it - without
Markdown(
    f"Two of its points stand in Table I: {without} % for the plain loss and {with_it} "
    f"% with the transformer on LFW, {gain:.2f} points or {gain * 60:.0f} pairs of "
    "6,000."
)

# %% [markdown]
# ## The idea in one picture
#
# A convolutional network shrinks a face to a small map of vectors; the usual head flattens that map into the embedding.
# The paper reads the same map as a *sequence*, as a language model reads words, lets a transformer relate its cells,
# averages, and classifies. The branch exists only while training: at test time the network is the plain one.
#
# $$
# \begin{aligned}
# \text{usual: } O_f &\to O_\varepsilon = L_1(O_f) \to O_{N_c} \\
# \text{new: } O_f &\to T_S = \mathrm{Encoder}(O_f) \to T_\varepsilon = \tfrac{1}{S_f}\textstyle\sum_{i=1}^{S_f} T_i
#      \to T_{N_c} = L_2(T_\varepsilon)
# \end{aligned}
# $$
#
# and the loss is a weighted sum of two cross-entropies (eq. 11):
#
# $$ \mathbf{L}_F = (1-\alpha)\, C(O_{N_c}, y) + \alpha\, C(T_{N_c}, y) $$
#
# The lines of the library that are this equation:

# %% tags=["hide-input"]
from aifr_lib.losses.transformer_metric import weighted_losses

page.source(weighted_losses)

# %% [markdown]
# Two consequences can be seen before any training. At α = 1 the embedding layer would get no gradient at all: it is
# only reached through the margin loss. And the branch weighs something. Here is what the parts of this preset's network
# cost for one face while it trains; at test time only the backbone is left.

# %% tags=["hide-input"]
import pandas as pd
import torch
from torch.utils.flop_counter import FlopCounterMode

from aifr_lib.training.recognition import objective

train, paper = settings.alpha_sweep.train, load_preset("paper").alpha_sweep.train
module = objective(
    train.model_copy(update={"alpha": 0.4}), train.relief.train_identities
)
faces, labels = torch.randn(2, 3, *train.input_hw), torch.tensor([0, 1])
features = module.backbone.features(faces)
inputs = {
    "backbone": (faces,),
    "head": (module.backbone.embed(features), labels),
    "branch": (features,),
    "classifier": (module.branch(features),),
}
costs = []
for name, given in inputs.items():
    part = getattr(module, name)
    with FlopCounterMode(display=False) as counter:
        part(*given)
    # Two operations a multiply-add, two faces: batch norm wants more than one.
    costs.append(
        (
            name,
            sum(p.numel() for p in part.parameters()),
            counter.get_total_flops() // 4,
        )
    )
pd.DataFrame(
    costs, columns=["module", "parameters", "multiply-adds"]
).style.hide().format(thousands=",")

# %% [markdown]
# ## The experiment
#
# One network for each α and seed. They share pictures, order of pictures, start weights and number of steps; α differs,
# and with it the learning rate as told below. α = 0 is the plain margin loss. Training people are seen within a few
# years of one age, and test pairs span decades, so there is an age problem to solve. Random pairs stand in for LFW, and
# pairs at least thirty years apart for AgeDB; they are not those. Above all, LFW's pairs are near in age, and ours
# mostly are not: they are random pictures out of whole lives.
#
# It is the paper's experiment at another size. What differs:

# %% tags=["hide-input"]
ours, theirs = train.model_dump(mode="json"), paper.model_dump(mode="json")
differing = [
    (
        UNDER["setting"].get(key, in_words(key)),
        setting_in_words(ours[key], key),
        setting_in_words(value, key)
        + " (not said: our guess)" * (key in alpha_sweep.GUESSED),
    )
    for key, value in theirs.items()
    if key not in ("data", "relief", "lr") and ours[key] != value
]
cells = [
    height // 16 * (width // 16) for height, width in (train.input_hw, paper.input_hw)
]
differing += [("tokens of the branch", *cells)] if cells[0] != cells[1] else []
each = train.relief.train_per_identity
people = f"{train.relief.train_identities:,} people, {each} pictures each"
differing += (
    [("training faces", people, in_words(paper.data))]
    if train.data != paper.data
    else []
)
pd.DataFrame(
    differing, columns=["setting", f"preset {preset}", "the paper's (preset paper)"]
).astype(str).style.hide()

# %% [markdown]
# **A fair rate for each.** A weight on a loss is a weight on its gradient, so one learning rate for all α would favour
# some of them.

# %% tags=["hide-input"]
sweep = settings.alpha_sweep
story = []
if sweep.lrs:
    mains = listed([f"α = {alpha:g}" for alpha in sweep.main])
    story.append(
        f"{mains} try the same {len(sweep.lrs)} rates with one seed, scored on "
        "*validation* people: no score of a test person has a part in it. The other α "
        "are not tuned: each takes the rate of its nearest neighbour, so where the "
        "rate changes, a step of the curve may be the rate's."
    )
Markdown("\n\n".join(story))

# %%
tried = page.result(tuning.TUNING)

# %% tags=["hide-input"]
if tried.runs and sweep.lrs:
    tuning.tuning_figure(tried)
    plots.show(contents.find("tml_tuning").picture)
    rates = {}
    for alpha in sweep.alphas:
        rates.setdefault(sweep.training(alpha, seed=0).lr, []).append(f"{alpha:g}")
    told = "; ".join(
        f"at {rate:g} for α = {', '.join(alphas)}" for rate, alphas in rates.items()
    )
    display(
        Markdown(tuning.tuning_note(tried, sweep)),
        Markdown(f"So the sweep is trained {told}."),
    )
    page.table(tuning.TUNING)
elif sweep.lrs:
    display(Markdown(f"*No runs of this experiment at {preset} size are stored yet.*"))
else:
    display(Markdown(f"*At {preset} size one rate, {train.lr:g}, serves all α.*"))

# %% [markdown]
# And the sweep itself:

# %%
artefact = page.result(alpha_sweep.FIG6)

# %% [markdown]
# ## The result beside the paper's
#
# The picture stands at the top of the page; here are its numbers.

# %% tags=["hide-input"]
page.table(alpha_sweep.FIG6)

# %% [markdown]
# **Is an α of 0.4 here the α of the paper?** What reaches the last map is not a share of two losses but of two
# gradients, and these depend on margin, scale and encoder. By α, how hard the branch pulls beside the margin loss, in
# the first and in the last tenth of a training:

# %% tags=["hide-input"]
pulls = {}
for (alpha, _), run in page.runs(alpha_sweep.FIG6).items():
    for when in ("first", "last"):
        share = trained.pull(run.summary["slopes"], when)
        if share is not None:
            pulls.setdefault(alpha, {}).setdefault(when, []).append(share)
lines = [
    {"α": f"{alpha:g}"}
    | {f"{when} tenth, %": f"{np.mean(shares):.1f}" for when, shares in by.items()}
    for alpha, by in sorted(pulls.items())
]
if lines:
    display(pd.DataFrame(lines).style.hide())
else:
    display(Markdown(f"*No gradients were written down at {preset} size yet.*"))

# %% [markdown]
# Move α: the scores of pairs thirty years apart, by the network that was trained with it. The further the two humps lie
# apart, the fewer pairs lie on the wrong side of any threshold.

# %% tags=["hide-input"]
frames, labels = alpha_sweep.score_frames(settings, page.runs(alpha_sweep.FIG6))
if len(frames) > 1:
    display(
        slider.show(
            frames,
            labels,
            title="Scores by α",
            alt="histogram of the scores of pairs of one person and of two",
        )
    )
else:
    display(Markdown(f"*No scores to move through at {preset} size yet.*"))

# %% [markdown]
# ## What to conclude

# %% tags=["hide-input"]
page.conclude(alpha_sweep.why(artefact), convergence.budget_note(settings, train, out))

# %% [markdown]
# Before reading anything into a curve, ask how far two seeds of one α lie apart.
#
# ## Predict, then reveal
#
# **1.** At α = 0.9 the margin loss, the only one that reaches the embedding layer, has a tenth of the weight. With the
# learning rate unchanged, what happens to the size of the first gradient of its class weights? *Predict the ratio to
# α = 0: the same, a half or a tenth?*

# %% tags=["solution", "hide-input"] choices=["the same", "a half", "a tenth"] answer="a tenth"
from aifr_lib.training import recognition

# Drawn once: a branch draws its weights from the same generator, and pictures drawn
# after it would be others.
images, labels = torch.randn(20, 3, *train.input_hw), torch.arange(20) % 10


def head_gradient(alpha):
    torch.manual_seed(0)
    module = recognition.objective(
        train.model_copy(update={"alpha": alpha, "dropout": 0.0}), 10
    )
    module({"images": images, "identity": labels})["loss"].backward()
    return module.head.weight.grad.norm()


base = head_gradient(0.0)
for alpha in (0.4, 0.9):
    print(f"α = {alpha}: {head_gradient(alpha) / base:.3f} of the gradient at α = 0")
print(
    "Why: a weight on a loss is a weight on its gradient, so one learning rate is "
    "another step for each α."
)

# %% [markdown]
# **2.** The encoder has no positional encoding in the paper. If the cells of the last map are shuffled, does the branch
# notice? *Predict before you reveal.*

# %% tags=["solution", "hide-input"] choices=["yes", "no"] answer="no"
from aifr_lib.models.transformer_branch import TransformerBranch

cells = torch.randn(1, 64, 4, 4)
shuffled = cells.flatten(2)[..., torch.randperm(16)].reshape(1, 64, 4, 4)
for encoding in ("none", "learned"):
    torch.manual_seed(0)
    branch = TransformerBranch(
        64, layers=1, heads=4, feedforward=64, tokens=16, pos_encoding=encoding
    ).eval()
    with torch.no_grad():
        print(
            f"encoding {encoding}: largest difference "
            f"{float((branch(cells) - branch(shuffled)).abs().max()):.1e}"
        )
print(
    "Why: attention weighs cells by what is in them, and the mean forgets their order. "
    "Only an encoding says where a"
)
print(
    "cell was: without it, the branch sees a bag of features and no face with its eyes "
    "above its mouth."
)

# %% [markdown]
# **3.** Take the paper's gain on LFW, above. If two networks were equally good, how often would one
# beat the other by that much through the choice of test pairs alone? *Predict: one time in a hundred, twenty, or five?*

# %% tags=["solution", "hide-input"] choices=["a hundred", "twenty", "five"] answer="five"
rng = np.random.default_rng(0)
right = rng.binomial(6000, (without + with_it) / 200, size=(100_000, 2)) / 60
apart = np.abs(right[:, 0] - right[:, 1]) >= gain
print(f"{percent(apart.mean())} of the time, if the errors of the two were independent")
print(
    "Why: at such accuracies few of the pairs are wrong, and a handful more or less of "
    "them is the whole gain."
)
