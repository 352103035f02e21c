"""A row of a table or figure: one number named by its keys, with its interval, beside the paper's."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Literal

from pydantic import Field, field_validator, model_validator

from aifr_lib.names import Strict

Key = bool | int | float | str


# What an axis or a column says of a metric and of an interval.
METRICS = {
    "accuracy": "verification accuracy, %",
    "rank1": "rank-1, %",
    "tar": "true acceptance rate, %",
    "auc": "area under the ROC curve",
    "dprime": "d′ of genuine and impostor scores",
    "corr": "Pearson correlation",
    "mae": "mean absolute error",
    "mae_of_a_constant": "mean absolute error of one age for all",
    "intra": "variance within a person",
    "inter": "variance between people",
    "ratio": "variance between / within",
    "logit_auc": "log-odds of the area under the ROC curve",
    "largest_loss": "largest loss of all steps",
    "gain": "gain in accuracy, points",
    "diverged": "trainings that diverged, %",
    "spike": "largest slope of the loss over its median",
    "parameters": "parameters",
    "multiply_adds": "multiply-adds, millions",
    "multiply_adds_trained": "multiply-adds of a training step, millions a picture",
    "parameters_each": "parameters for each further person",
    "age": "age, years",
    "years told, mean": "estimated age, years",
    "cell_cosine": "cosine of two cells",
    "gradient": "norm of the weighted gradient",
    "on_the_way": "accuracy on validation people, %",
    "accuracy_by_gap": "verification accuracy, %, by years between the pictures",
    "accuracy_cost": "points of accuracy against the usual way",
    "accepted_cost": "points accepted at 1 % false accepts, against the usual way",
    "let_in": "strangers let in, %",
    "accuracy_by_people": "verification accuracy, %, by age of the younger picture",
    "slope": "points of accuracy for ten years more",
    "pull": "the branch's gradient at the last map, % of the margin loss's",
    "rank1_by_gap": "rank-1, %, by years between the photographs",
    "accepted_by_gap": "accepted at 1 % false accepts, %, by years between the photographs",
    "age_corr": "rank correlation of attention with what changes with age",
    "age_corr_by_layer": "rank correlation of a layer's attention with what changes with age",
    "attention_moved": "attention that lies on other cells, %",
    "late_gain": "gain over the second half of the training, points",
    "latency": "milliseconds a picture, median",
    "latency_p10": "milliseconds a picture, 10th percentile",
    "megabytes": "size of the file, MB",
    "kept_megabytes": "memory that a training step keeps, MB a picture",
    "memory_each": "memory of a process, GB",
    "memory_on_paper": "W, gradient and momentum, GB a process",
    "step_seconds": "CPU seconds of a step, a process",
    "pictures_per_s": "pictures a second",
    "age_accuracy": "told in the age group asked for, %",
    "age_accuracy_outside": "the same, by the outside judge, %",
    "identity_preservation": "likeness to the source (SFace cosine)",
    "identity_of_truth": "likeness to the true face (SFace cosine)",
    "psnr": "PSNR to the true face, dB",
    "ssim": "structural similarity to the true face",
    "margin": "angular margin, degrees",
    "angle": "angle between the two people, degrees",
    "rank-1": "rank-1, %",
    "rank-5": "rank-5, %",
    "rank-10": "rank-10, %",
    "direction": "right direction, %",
    "TAR@FAR=1e-1": "accepted at 10 % false accepts, %",
    "TAR@FAR=1e-2": "accepted at 1 % false accepts, %",
    "TAR@FAR=1e-3": "accepted at 0.1 % false accepts, %",
    "TAR@FAR=1e-4": "accepted at 0.01 % false accepts, %",
    "EER": "equal error rate, %",
    "rank_corr": "rank correlation with the truth",
    "pointing": "largest cell in the truth's top fifth, %",
    "beyond_mean": "rank correlation beyond what all faces share",
    "mask": "mean of the mask",
    "cosine": "cosine of two embeddings",
}

_RATES = (0.1, 0.01, 0.001, 0.0001)
# What a sentence or a column says of a name that stands for something.
WORDS = {
    "alpha": "α",
    "lr": "learning rate",
    "last_weight": "weight λₙ",
    "attention_weight": "weight λᴬ",
    "set": "pairs",
    "relief-lfw": "random relief pairs",
    "relief-agedb": "relief pairs 30 years apart",
    "relief-calfw": "relief pairs 10–30 years apart",
    "relief-cfpfp": "relief pairs, front and profile",
    "relief-cplfw": "relief pairs, both turned",
    "relief-near": "relief pairs near in age",
    "relief-ijb": "relief templates",
    "relief-edema": "relief people before and after",
    "relief-loo": "relief faces, leave-one-out",
    "relief-wide": "relief faces at every age",
    "relief-logiface": "relief people followed for years",
    "relief-mf1": "relief people across ages among distractors",
    "relief-crowd": "relief people among distractors",
    "relief-fgnet": "relief people from childhood to old age",
    "relief-megaface": "relief distractors",
    "edema-a": "weight, first ward",
    "edema-b": "weight, second ward",
    "aad over self": "AAD over alone",
    **{f"{mask}_{stage}": f"{mask}{'₁₂₃₄'[stage - 1]}" for mask in ("A", "Â") for stage in range(1, 5)},
    "latent": "the generator's people",
    "relief-edits": "edited relief faces",
    "verification, relief-agedb": "relief pairs 30 years apart",
    **{f"relief-ijb, FAR {far:g}": f"relief templates, {100 * far:g} % of strangers accepted" for far in _RATES},
    "loo": "leave-one-out",
    "O_f": "last map",
    "last map O_f": "last map",
    "embedding O_ε": "embedding",
    "margin head O_Nc": "margin head",
    "encoder T_S": "encoder",
    "mean T_ε": "mean of the tokens",
    "linear layer T_Nc": "linear layer",
    "orl": "ORL",
    "fgnet": "FG-NET",
    "sface": "SFace",
    "tour": "our network (relief faces)",
    "pixels": "raw pixels",
    "self": "alone",
    "l2": "ℓ2",
    "ad": "AD",
    "aad": "AAD",
    "ad_last": "AD, last layer alone",
    "kd": "KD, the teacher's classes",
    "ad_last_masks": "AD, last layer alone, and masks",
    "ad_last_others_masks": "AD, last layer alone, and another person's masks",
    "ad_last_printed": "AD, last layer alone, at the printed weight",
    "self_longer": "alone, for longer",
    "self_softmax": "alone, softmax",
    "ad_last_softmax": "AD, last layer alone, softmax",
    "mtlface": "MTLFace",
    "mtlface-without-icm": "MTLFace without ICM",
    "caae": "CAAE",
    "ipcgan": "IPCGAN",
    "comface": "ComFace",
    "imagenet": "ImageNet",
    "simclr": "SimCLR",
    "moco": "MoCo v2",
    "swav": "SwAV",
    "barlow-twins": "Barlow Twins",
    "none_without_adversary": "no split",
    "both_without_adversary": "both masks",
    "resnet18": "ResNet-18",
    "resnet50": "ResNet-50",
    "resnet101": "ResNet-101",
    "vit-b-16": "ViT-B/16",
    "iresnet18": "IResNet-18",
    "iresnet50": "IResNet-50",
    "iresnet90": "IResNet-90",
    "iresnet100": "IResNet-100",
    "mobilefacenet": "MobileFaceNet",
    "mobilefacenet-r": "MobileFaceNet-R",
    "mobilenetv1": "MobileNetV1",
    "mobilenetv2": "MobileNetV2",
    "mobilefacenet-aad": "MobileFaceNet-AAD",
    "mobilefacenet-r-aad": "MobileFaceNet-R-AAD",
    "mobilenetv1-aad": "MobileNetV1-AAD",
    "mobilenetv2-aad": "MobileNetV2-AAD",
    "cosface": "CosFace",
    "adaface": "AdaFace",
    "arcface": "ArcFace",
    "casia-webface": "CASIA-WebFace",
    "transformer-arcface": "Transformer-ArcFace",
    "sym-arcface": "Sym-ArcFace",
}

# What a value is called that stands for something under one key alone.
UNDER: dict[str, dict[Key, str]] = {
    "arm": {
        "without": "loss alone",
        "with": "with the branch",
        "rescaled": "loss times 1 − α, alone",
        "pooled": "mean of the cells, no encoder",
        "without_longer": "loss alone, twice the steps",
        "with_longer": "with the branch, twice the steps",
        "frozen": "encoder frozen at random",
        "with_positions": "with learned positions",
        "without_36_cells": "loss alone, 36 cells",
        "with_36_cells": "with the branch, 36 cells",
    },
    "configuration": {
        "standard": "ArcFace alone",
        "linear": "with the branch, linear layer (8b)",
        "margin": "with the branch, margin head (8c)",
        "sum": "summed logits (eq. 12)",
    },
    "people": {"child": "children", "adult": "grown people"},
    "precision": {"no": "32 bits", "bf16": "16 bits (bfloat16)", "fp16": "16 bits (float16)"},
    "schedule": {"cosine": "along a cosine", "step": "by steps"},
    "setting": {
        # of a training
        "mode": "way of teaching",
        "longer": "epochs, times",
        "width": "width of the network",
        "input_hw": "height and width of a picture, pixels",
        "embedding": "numbers of an embedding",
        "s": "scale s of the logits",
        "m": "margin m",
        "layers": "layers of the encoder",
        "heads": "attention heads of the encoder",
        "feedforward": "units within a layer of the encoder",
        "pos_encoding": "positions told to the encoder",
        "batch": "pictures a step",
        "schedule": "how the rate falls",
        "drops": "epochs after which it falls to a tenth",
        "warmup": "epochs in which it rises first",
        "precision": "arithmetic",
        # of ComFace: what becomes of the pre-trained network, and what the linear layer starts from
        "a": "network kept, fresh layer",
        "b": "network kept, pre-trained layer",
        "c": "fine-tuned, fresh layer",
        "d": "fine-tuned, pre-trained layer",
        # of MTLFace, as its supplement is transcribed
        "image size": "side of a picture, pixels",
        "ICBs in ICM": "blocks of the identity conditional module",
        "batch size": "pictures a step",
        "iterations LCAF": "steps on the large set (LCAF)",
        "iterations SCAF": "steps on the small set (SCAF)",
        "lambda_age AIFR": "recognition: weight of the age loss",
        "lambda_id AIFR": "recognition: weight of the adversary",
        "lambda_adv FAS": "drawing: weight of the critic",
        "lambda_id FAS": "drawing: weight of the identity",
        "lambda_age FAS": "drawing: weight of the age",
        "CosFace margin": "margin of CosFace",
        "CosFace scale": "scale of CosFace",
        "D_img output map, cells a side": "the critic's map, cells a side",
    },
    "variant": {
        "both": "split and adversary",
        "both_without_adversary": "split alone",
        "none": "adversary alone",
        "none_without_adversary": "neither",
        "channel": "channel mask, adversary",
        "spatial": "spatial mask, adversary",
    },
}

# Between what a metric can lie.
ENDS = {**dict.fromkeys(("accuracy", "rank1", "tar"), (0.0, 100.0)), "auc": (0.0, 1.0), "corr": (-1.0, 1.0)}

# What a metric reads where nothing is wrong: its distance from there is the error.
BEST = {"accuracy": 100.0, "rank1": 100.0, "tar": 100.0, "auc": 1.0, "corr": 1.0, "mae": 0.0}

INTERVALS = {
    "seeds": "Student's t over seeds",
    "identities": "bootstrap clustered by identity",
    "trials": "Wilson",
}


COLUMNS = ("metric", "mean", "lo", "hi", "n", "paper", "paper_source")


class Measured(Strict):
    """A mean with its 95 % interval and what it is the mean of.

    ``interval`` says over what the interval speaks: ``seeds`` (Student's t), ``identities`` (clustered
    bootstrap) or ``trials`` (Wilson).
    """

    mean: float
    ci95: tuple[float, float] | None = None
    interval: Literal["seeds", "identities", "trials"] | None = None
    per_seed: dict[int, float] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _consistent(self) -> Measured:
        if self.per_seed:
            mean = math.fsum(self.per_seed.values()) / len(self.per_seed)
            if not math.isclose(mean, self.mean, rel_tol=1e-6, abs_tol=1e-9):
                raise ValueError(f"mean {self.mean} is not the mean {mean} of per_seed")
        if (self.ci95 is None) != (self.interval is None):
            raise ValueError("ci95 and interval go together")
        if self.ci95 is not None and self.ci95[0] > self.ci95[1]:
            raise ValueError(f"ci95 runs backwards: {self.ci95}")
        return self


class Row(Strict):
    """One number, named by its keys, beside the paper's. ``measured`` is None where the run is missing, or where it is
    there and the number is ``undefined``, as a correlation with what never moves.
    """

    keys: dict[str, Key]
    metric: str
    measured: Measured | None = None
    undefined: bool = Field(default=False, exclude_if=lambda undefined: not undefined)
    paper: float | None = None
    paper_source: str | None = None

    @field_validator("keys")
    @classmethod
    def _free_of_columns(cls, keys: dict[str, Key]) -> dict[str, Key]:
        if taken := sorted(set(keys) & set(COLUMNS)):
            raise ValueError(f"{taken} are columns of every table and cannot name a key")
        return keys

    @model_validator(mode="after")
    def _sourced(self) -> Row:
        if self.undefined and self.measured:
            raise ValueError("a number that is undefined has no measured value")
        if self.paper is not None and not self.paper_source:
            raise ValueError("a number of the paper needs its paper_source")
        return self


def measured(rows: Iterable[Row], metric: str, keys: Mapping[str, Key]) -> Measured | None:
    """What was measured in the first row of that metric with those keys, whatever other keys it has; None of none."""
    return next((row.measured for row in rows if row.metric == metric and keys.items() <= row.keys.items()), None)


def in_words(name: Key) -> str:
    """A value of a key, or the name of one, as a reader sees it."""
    if isinstance(name, bool):
        return "yes" if name else "no"
    return f"{name:g}" if isinstance(name, int | float) else WORDS.get(name, name.replace("_", " "))
