"""Typed presets, and the three small things every module needs: names that fail well, atomic writes, folders."""

from __future__ import annotations

import copy
import difflib
import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

PRESETS = ("smoke", "lesson", "classroom", "paper")
T = TypeVar("T")


class ConfigError(ValueError):
    """An option, key or name that does not exist or has the wrong type."""


def nearest(name: str, valid: Iterable[str]) -> str:
    """The end of an error message: the nearest valid name, then all of them, or the likeliest of very many."""
    names = sorted(map(str, valid))
    close = difflib.get_close_matches(str(name), names, n=8, cutoff=0.4)
    hint = f"; did you mean '{close[0]}'?" if close else ""
    if len(names) > 30:
        return f"{hint} ({len(names)} are valid" + (f", among them {', '.join(close)})" if close else ")")
    return f"{hint} (valid: {', '.join(names)})"


def choose(kind: str, name: str, table: Mapping[str, T]) -> T:
    """``table[name]``, or a ConfigError that names the nearest key."""
    if name not in table:
        raise ConfigError(f"unknown {kind} '{name}'{nearest(name, table)}")
    return table[name]


@contextmanager
def atomic_write(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; rename it onto ``path`` on success, remove it on failure.

    Whatever interrupts the write (an error, a full disk, a kill), the old file stays whole.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=path.suffix)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        # mkstemp, and some writers, make private files; a result that a group shares must be readable for the group.
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)
        with temporary.open("rb") as written:
            os.fsync(written.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def cache_dir() -> Path:
    """Where rendered data, checkpoints and weights go: ``AIFR_CACHE``, else ``~/.cache/aifr_lib``."""
    return Path(os.environ.get("AIFR_CACHE") or Path.home() / ".cache" / "aifr_lib")


def data_dir() -> Path | None:
    """The folder of data sets that a user brings: ``AIFR_DATA``; None when it is not set."""
    folder = os.environ.get("AIFR_DATA")
    return Path(folder) if folder else None


def repository_root() -> Path:
    """The companion's folder: the nearest one above the working folder that holds ``_toc.yml`` and ``notebooks/``.

    Errors: FileNotFoundError where neither the working folder nor the installed package lies in a checkout.
    """
    for start in (Path.cwd(), Path(__file__)):
        for folder in (start, *start.resolve().parents):
            if (folder / "_toc.yml").is_file() and (folder / "notebooks").is_dir():
                return folder
    raise FileNotFoundError(
        "no checkout of the companion here: run this inside the folder that holds _toc.yml and notebooks/"
    )


class Strict(BaseModel):
    """A frozen record in which an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


PairList = Literal["relief-lfw", "relief-agedb", "relief-calfw", "relief-cfpfp", "relief-cplfw", "relief-near"]


class Relief(Strict):
    """Which relief faces a run sees (design of the splits: ``data/relief.py``)."""

    size: int = Field(64, ge=16, le=512, description="side of the square pictures in pixels")
    train_identities: int = Field(1000, ge=2)
    train_per_identity: int = Field(20, ge=2)
    span: Literal["narrow", "wide"] = Field("narrow", description="ages of one training identity")
    test_identities: int = Field(1000, ge=10)
    test_per_identity: int = Field(6, ge=2)
    pairs: int = Field(6000, ge=20, description="pairs a verification list")
    pair_lists: tuple[PairList, ...] = ("relief-lfw", "relief-agedb")


class Recognition(Strict):
    """One training of a recognition network (TML section IV-B). Where it is silent the values are inferred: 24 epochs,
    the feed-forward size of Vaswani et al., no positional encoding, no mixed precision, 512 numbers for every backbone.
    """

    data: Literal["relief", "casia-webface", "ms1mv2", "webface4m"] = "relief"
    relief: Relief = Relief()
    backbone: str = "mobilefacenet"
    width: float = Field(1.0, gt=0, le=2)
    input_hw: tuple[int, int] = (112, 112)
    embedding: int = Field(512, ge=2)
    dropout: float = Field(0.4, ge=0, lt=1, description="before the embedding layer (IResNet only)")
    loss: str = "arcface"
    s: float = Field(64.0, gt=0, description="scale of the logits")
    m: float | None = Field(None, description="margin; None takes the paper's: .35 CosFace, .45 ArcFace, .4 AdaFace")
    alpha: float = Field(0.0, ge=0, lt=1, description="weight of the transformer branch (TML eq. 11); 0 = no branch")
    combine: Literal["weighted", "sum"] = "weighted"
    classifier: Literal["linear", "margin"] = "linear"
    layers: int = Field(6, ge=1)
    heads: int = Field(8, ge=1)
    feedforward: int = Field(2048, ge=8)
    pos_encoding: Literal["none", "sinusoidal", "learned"] = "none"
    batch: int = Field(512, ge=2, description="images a step over all processes")
    accumulate: int = Field(1, ge=1, description="micro-batches a step")
    epochs: float = Field(24, gt=0)
    lr: float = Field(0.1, gt=0)
    momentum: float = Field(0.9, ge=0, lt=1)
    weight_decay: float = Field(5e-4, ge=0)
    schedule: Literal["step", "cosine"] = "step"
    drops: tuple[float, ...] = Field((10, 18, 22), description="epochs after which the rate falls to a tenth")
    warmup: float = Field(0.0, ge=0, description="epochs of linear warm-up")
    clip: float | None = Field(None, gt=0, description="largest norm of the gradient")
    precision: Literal["no", "bf16", "fp16"] = "no"
    seed: int = 0

    @model_validator(mode="after")
    def _whole_micro_batches(self) -> Recognition:
        if self.batch % self.accumulate:
            raise ValueError(f"a batch of {self.batch} does not divide into {self.accumulate} micro-batches")
        if self.batch < 2 * self.accumulate:
            raise ValueError(f"batch norm needs two pictures in each micro-batch: batch {self.batch} is too small")
        return self

    @field_validator("drops")
    @classmethod
    def _rising(cls, drops: tuple[float, ...]) -> tuple[float, ...]:
        if list(drops) != sorted(drops):
            raise ValueError("drops must rise")
        return drops


class AlphaSweep(Strict):
    """TML Fig. 6, accuracy against the loss balancing factor α, and Table IV from the same runs."""

    alphas: tuple[float, ...]
    seeds: tuple[int, ...]
    main: tuple[float, ...] = Field((), description="the α that a claim rests on: more seeds, a learning rate tuned")
    main_seeds: tuple[int, ...] = ()
    lrs: tuple[float, ...] = Field((), description="rates tried for each main α, scored on validation people")
    finals: dict[float, tuple[float, ...]] = Field(
        {}, description="by main α, the best rates of the first seed: those that are tried with all `seeds`"
    )
    lr: dict[float, float] = Field({}, description="the best of them; the other α take that of the nearest main α")
    train: Recognition

    @model_validator(mode="after")
    def _tuned(self) -> AlphaSweep:
        if strange := set(self.main) - set(self.alphas):
            raise ValueError(f"main names α that alphas lacks: {sorted(strange)}")
        if self.lrs and set(self.lr) != set(self.main):
            raise ValueError(f"lr must give a rate for each main α: {sorted(self.main)}, it has {sorted(self.lr)}")
        if strange := {*self.lr.values(), *chain.from_iterable(self.finals.values())} - set(self.lrs):
            raise ValueError(f"lr and finals choose rates that lrs did not try: {sorted(strange)}")
        if self.lr and self.train.lr not in self.lr.values():
            raise ValueError(
                f"train.lr {self.train.lr:g} would not be used: lr holds the rates, {sorted(self.lr.values())}"
            )
        if self.finals and set(self.finals) != set(self.main):
            raise ValueError(f"finals must give rates for each main α: {sorted(self.main)}")
        if few := [alpha for alpha, rates in self.finals.items() if len(set(rates)) < 2]:
            raise ValueError(f"finals need at least two rates, they have fewer at α = {few}")
        if lost := [alpha for alpha, rates in self.finals.items() if self.lr.get(alpha) not in rates]:
            raise ValueError(f"lr must be one of the finals, it is not at α = {lost}")
        if self.finals and self.main_seeds[:1] != self.seeds[:1]:
            raise ValueError("seeds and main_seeds must begin with the same seed, which every rate is tried with")
        return self


class Tour(Strict):
    """The one network of the opening notebook: committed weights, or trained on the spot."""

    committed: bool
    train: Recognition


class Real(Strict):
    """Real photographs: which sets, which embedders, how many identities (None: all)."""

    datasets: tuple[Literal["orl", "fgnet"], ...]
    embedders: tuple[Literal["sface", "tour", "pixels"], ...]
    identities: int | None = Field(None, ge=2)


class JudgedFaces(Strict):
    """The relief faces that outside judges see, as portraits: the first of the test split, and as many others."""

    identities: int = Field(ge=4)
    per_identity: int = Field(ge=2)
    again: int | None = Field(None, ge=0, description="the seed of `aifr faces` that draws the others; None: no others")
    size: int = Field(224, ge=64, le=1024)


class Calibration(Strict):
    """How hard the data set is: the plain baseline and larger teachers, scored on validation people alone."""

    seeds: tuple[int, ...]
    train: Recognition
    teacher: Recognition = Field(description="a larger network, on the same pictures")
    schooled: Recognition | None = Field(
        None, description="a larger network that sees more training people, for longer"
    )
    doublings: int = Field(1, ge=1, le=2, description="how often the baseline's epochs are doubled")


class ReliefCard(Strict):
    """The data card of the relief faces: outside judges, shortcuts, difficulty."""

    judged: JudgedFaces
    photographs: tuple[Literal["orl", "fgnet"], ...]
    shortcuts: Relief
    calibration: Calibration


class Protocols(Strict):
    """One network through every protocol: photographs, and relief faces beside them."""

    embedder: Literal["sface", "tour", "pixels"]
    photographs: tuple[Literal["orl", "fgnet"], ...]
    identities: int | None = Field(None, ge=4, description="people of each set of photographs; None: all")
    relief: Relief = Field(description="faces of the pair lists; all relief faces have their size")
    distractors: int = Field(ge=10, description="relief faces among which photographs are sought")
    templates: int = Field(ge=4, description="people of relief-ijb")
    impostors: int = Field(100, ge=1, description="impostor pairs of templates for each genuine pair")
    subjects: int = Field(ge=8, description="subjects of relief-edema")


def whole(count: float) -> bool:
    """Whether a number of steps, as division gives it, is whole."""
    return abs(count - round(count)) <= 1e-6


def _step(step: float) -> float:
    if not whole(5 / step):
        raise ValueError(f"a step of {step:g} does not lead from 0 to 5")
    return step


class ComfaceFaces(Strict):
    """Edited faces for ComFace's Figs. A and B: the first people of each source, none of them chosen."""

    sources: tuple[Literal["relief", "latent"], ...]
    identities: int = Field(ge=1)
    step: float = Field(gt=0, le=5, description="between the strengths −5 … 5, of which 0 is one")
    side: int = Field(144, ge=32, le=512, description="of a stored picture, pixels")

    @field_validator("step")
    @classmethod
    def _divides(cls, step: float) -> float:
        return _step(step)


class ComfaceQuality(Strict):
    """ComFace's Fig. D: a network trained with dropout on relief faces judges faces by SER-FIQ."""

    train: Recognition
    sets: tuple[Literal["relief", "latent"], ...]
    identities: int = Field(ge=8, description="people of each set, one picture each")
    passes: int = Field(100, ge=2, description="stochastic passes; the paper's 100")


class LatentDirections(Strict):
    """Directions of the offline generator: how many people they are found on, and on whom they are approved."""

    samples: int = Field(ge=20, description="people read to find directions")
    psi: float = Field(1.0, gt=0, le=1, description="truncation of their codes")
    attributes: tuple[Literal["age", "smile", "weight", "yaw", "light"], ...] = Field(description="those approved")
    identities: int = Field(ge=3, description="new people on whom a direction is approved")
    age_alphas: tuple[float, ...] = (-5, -3, -1.5, 0, 1.5, 3, 5)
    alphas: tuple[float, ...] = (-5, -3, 0, 3, 5)

    @field_validator("age_alphas", "alphas")
    @classmethod
    def _hold_three(cls, alphas: tuple[float, ...]) -> tuple[float, ...]:
        if not {-3, 0, 3} <= set(alphas) or max(map(abs, alphas)) > 5:
            raise ValueError("strengths must lie within −5 … 5, and −3, 0 and 3 be among them")
        return alphas


class LatentSets(Strict):
    """The offline generator's two sets: people × attributes × strengths, and people across ages."""

    identities: int = Field(ge=2, description="people who are edited")
    attributes: tuple[Literal["age", "smile", "weight", "yaw", "gender", "light"], ...] = ("age", "smile", "weight")
    step: float = Field(gt=0, le=5, description="between the strengths −5 … 5")
    identities_across_ages: int = Field(ge=2)
    per_identity: int = Field(8, ge=2, description="pictures of each person across ages")

    @field_validator("step")
    @classmethod
    def _divides(cls, step: float) -> float:
        return _step(step)


class Preset(Strict):
    """One size of every experiment (smoke, lesson, classroom, paper)."""

    name: Literal["smoke", "lesson", "classroom", "paper"]
    tour: Tour
    alpha_sweep: AlphaSweep
    real: Real
    relief_card: ReliefCard
    protocols: Protocols
    latent_directions: LatentDirections
    latent_sets: LatentSets
    comface_faces: ComfaceFaces
    comface_quality: ComfaceQuality


def load_preset(name: str, overrides: Mapping[str, Any] | None = None) -> Preset:
    """Read ``presets/NAME.yaml``; ``overrides`` maps dotted keys to values (``{"alpha_sweep.train.epochs": 4}``).

    Errors: ConfigError for an unknown preset or key (with the nearest valid one) or a value of the wrong type.
    """
    if name not in PRESETS:
        raise ConfigError(f"unknown preset '{name}'{nearest(name, PRESETS)}")
    path = Path(__file__).parent / "presets" / f"{name}.yaml"
    # A YAML anchor makes two keys share one object; an override of the one must not reach the other.
    values = {name: copy.deepcopy(part) for name, part in yaml.safe_load(path.read_text(encoding="utf-8")).items()}
    values["name"] = name
    for key, value in (overrides or {}).items():
        *parents, leaf = key.split(".")
        node: dict[str, Any] = values
        for parent in parents:
            node = node.setdefault(parent, {})
            if not isinstance(node, dict):
                raise ConfigError(f"preset key '{key}': '{parent}' holds a value, not a group of keys")
        node[leaf] = value
    return validate(Preset, values, f"preset '{name}'")


Model = TypeVar("Model", bound=BaseModel)


def validate(model: type[Model], values: Mapping[str, Any], what: str) -> Model:
    """``model(**values)`` with errors a user can act on: the key, what is wrong, the nearest valid key."""
    try:
        return model.model_validate(values)
    except ValidationError as error:
        lines = []
        for problem in error.errors():
            location = ".".join(map(str, problem["loc"]))
            if problem["type"] == "extra_forbidden":
                fields = _fields_at(model, problem["loc"][:-1])
                lines.append(f"unknown key '{location}'{nearest(str(problem['loc'][-1]), fields)}")
            else:
                lines.append(f"'{location}': {problem['msg']} (got {problem['input']!r})")
        raise ConfigError(f"{what}: " + "; ".join(lines)) from None


def _fields_at(model: type[BaseModel], location: tuple[int | str, ...]) -> Iterable[str]:
    for part in location:
        field = model.model_fields.get(str(part))
        if field is None:
            return ()
        kinds = get_args(field.annotation) or (field.annotation,)  # of a group that may be left out: it, and None
        group = next((kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)), None)
        if group is None:
            return ()
        model = group
    return model.model_fields
