"""Runs: one training with its evaluations, kept under ``figures/<preset>/_runs/<key>/``.

A run folder holds ``run.json`` (what was run, on what, with which result), ``scores.npz`` (per-pair or
per-probe scores) and ``log.jsonl`` (the end of the log). Tables and figures are pure functions of runs.
Weights and checkpoints lie apart, in the cache.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache, lru_cache
from importlib import metadata
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import AfterValidator, Field

from aifr_lib.files import cache_dir, locked
from aifr_lib.names import ConfigError, Strict, validate

LOG_LINES = 50
LOCK = "lock"
LAUNCHED = ("WORLD_SIZE", "PMI_SIZE", "OMPI_COMM_WORLD_SIZE", "MV2_COMM_WORLD_SIZE")  # as accelerate looks for them


def _plain(values: dict[str, Any]) -> dict[str, Any]:
    try:
        return json.loads(json.dumps(values, allow_nan=False))
    except (TypeError, ValueError) as error:
        raise ValueError(f"expected finite numbers, text, lists and groups of them: {error}") from None


# What JSON can hold, already as JSON would give it back: without this a NaN would be stored as null, unseen.
Plain = Annotated[dict[str, Any], AfterValidator(_plain)]


NO_PICTURES = "no pictures"  # the name of what a run saw that saw none


class DataId(Strict):
    """Which data a run saw: the name, the version and a hash over the parameters that made or chose it."""

    name: str
    version: str
    hash: str


class Git(Strict, frozen=True):
    """The commit that the code came from; both None outside a checkout."""

    sha: str | None = None
    dirty: bool | None = None


class RunSpec(Strict):
    """What determines a run. ``recipe_version`` is raised by hand when a recipe's meaning changes."""

    recipe: str = Field(pattern=r"^[a-z0-9_]+$")
    recipe_version: int = Field(ge=1)
    seed: int = Field(ge=0)
    values: Plain
    data: DataId

    @property
    def key(self) -> str:
        """Recipe, seed and twelve digits of a SHA-256 over everything else, in canonical JSON."""
        values = self.model_dump(mode="json")
        canonical = json.dumps(values, sort_keys=True, separators=(",", ":"), allow_nan=False)
        return f"{self.recipe}-s{self.seed}-{hashlib.sha256(canonical.encode()).hexdigest()[:12]}"


@dataclass(frozen=True)
class Result:
    """What a computation hands to the store; ``summary`` holds what JSON can, ``log_tail`` lines of text."""

    scores: Mapping[str, np.ndarray]
    summary: Mapping[str, Any]
    device: str
    wall_s: float
    log_tail: Iterable[str] = ()


@dataclass(frozen=True)
class Run:
    """A finished run as it lies in its folder: floating scores in float16, all others in their own type."""

    key: str
    spec: RunSpec
    scores: Mapping[str, np.ndarray] = field(repr=False)
    summary: Mapping[str, Any]
    device: str
    versions: Mapping[str, str]
    git: Git
    wall_s: float


class _Array(Strict):
    shape: tuple[int, ...]
    dtype: str


class _Record(Strict):
    """The content of ``run.json``."""

    spec: RunSpec
    summary: Plain
    device: str
    versions: dict[str, str]
    git: Git
    code: str
    wall_s: float = Field(ge=0)
    scores: dict[str, _Array]


class RunStore:
    """The runs of one preset. ``root`` is the preset's folder of figures, e.g. ``figures/classroom``."""

    def __init__(self, root: str | Path) -> None:
        self.root = Path(root)

    def folder(self, key: str) -> Path:
        return self.root / "_runs" / key

    def work_folder(self, key: str) -> Path:
        """Where the run's checkpoints and weights go: in the cache, never beside the results."""
        return cache_dir() / "runs" / self.root.name / key

    def load(self, key: str) -> Run | None:
        """The run of that key, or None where there is none.

        Errors: ConfigError that names the file where a run folder is damaged.
        """
        folder = self.folder(key)
        if not folder.is_dir():
            return None
        return _read_run(folder, _stamps(folder))

    def save(self, run: Run, log_tail: Iterable[str] = ()) -> Path:
        """Write the folder of a run whole or not at all; an older folder of the same key is replaced.

        Errors: ValueError for a score that float16 cannot hold or a summary that JSON cannot.
        """
        scores = {name: compact(name, values) for name, values in run.scores.items()}
        record = _Record(
            spec=run.spec,
            summary=dict(run.summary),
            device=run.device,
            versions=dict(run.versions),
            git=run.git,
            code=code_digest(),
            wall_s=run.wall_s,
            scores={name: _Array(shape=a.shape, dtype=str(a.dtype)) for name, a in scores.items()},
        )
        text = json.dumps(record.model_dump(mode="json"), indent=1, sort_keys=True, allow_nan=False)
        folder = self.folder(run.key)
        folder.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{run.key}."))
        try:
            temporary.chmod(0o755)
            (temporary / "run.json").write_text(text + "\n", encoding="utf-8")
            np.savez_compressed(temporary / "scores.npz", allow_pickle=False, **scores)
            lines = [line.rstrip("\n") for line in log_tail][-LOG_LINES:]
            (temporary / "log.jsonl").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
            if folder.exists():
                folder.rename(temporary / "replaced")
            temporary.rename(folder)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
        shutil.rmtree(folder / "replaced", ignore_errors=True)
        return folder

    def load_or_compute(
        self, spec: RunSpec, compute: Callable[[Path], Result] | None, *, fresh: bool = False, wait: bool = True
    ) -> Run | None:
        """The stored run of ``spec``, else ``compute(work_folder)`` stored and read back.

        With ``compute`` None a run that is not there is None. ``fresh`` forgets the stored run and its
        checkpoints. One process at a time computes a run: another waits and loads it; the lock of a process that
        dies is dropped by the operating system. Errors: filelock.Timeout instead of waiting, without ``wait``;
        ConfigError where torchrun started several processes as one.
        """
        if compute is None:
            return self.load(spec.key)
        if not fresh and (run := self.load(spec.key)) is not None:
            return run
        refuse_torchrun()
        work = self.work_folder(spec.key)
        work.mkdir(parents=True, exist_ok=True)
        with locked(work / LOCK, wait=wait):
            if not fresh and (run := self.load(spec.key)) is not None:
                return run
            if fresh:
                _empty(work)
            # Kept from here on (each is read once a process): what is edited meanwhile is not what computes.
            made_with, _ = (versions(), git()), code_digest()
            result = compute(work)
            run = Run(spec.key, spec, result.scores, result.summary, result.device, *made_with, result.wall_s)
            self.save(run, result.log_tail)
        # Read back, so that a table is the same numbers on the day of the run and ever after.
        return self.load(spec.key)


def refuse_torchrun() -> None:
    """Stored runs are computed by one process each: those of one launch would mix the gradients of different runs.

    Errors: ConfigError under torchrun, ``accelerate launch`` or MPI with several processes.
    """
    for name in LAUNCHED:
        if int(os.environ.get(name) or 1) > 1:
            raise ConfigError(
                f"each stored run is computed by one process, and {name} says that several were launched as one; start "
                "the same command several times instead, without torchrun: they share the work. `aifr train` is what "
                "torchrun takes"
            )


def _empty(work: Path) -> None:
    for path in work.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        elif path.name != LOCK:
            path.unlink()


def compact(name: str, values: np.ndarray) -> np.ndarray:
    """Scores as a run keeps them: floats in float16, all others in their own type.

    Errors: ValueError for what is no number, and for one that float16 cannot hold.
    """
    values = np.asarray(values)
    if values.dtype.kind not in "fiub":
        raise ValueError(f"scores '{name}': expected numbers, got {values.dtype}")
    if values.dtype.kind != "f":
        return values
    with np.errstate(over="ignore"):
        small = values.astype(np.float16)
    if not np.isfinite(small).all():
        where = int(np.flatnonzero(~np.isfinite(small.ravel()))[0])
        raise ValueError(f"scores '{name}': float16 cannot hold entry {where}, {values.ravel()[where]}")
    return small


def _stamps(folder: Path) -> tuple[tuple[int, int], ...]:
    """When the two files of a run were written and how long they are: what tells a folder from one written since."""
    there = [path.stat() for name in ("run.json", "scores.npz") if (path := folder / name).is_file()]
    return tuple((one.st_mtime_ns, one.st_size) for one in there)


@lru_cache(maxsize=128)
def _read_run(folder: Path, _: tuple[tuple[int, int], ...]) -> Run:
    """The run in a folder, read and checked once a process for each time that it was written."""
    record = _read_record(folder / "run.json")
    if record.spec.key != folder.name:
        raise _damaged(folder / "run.json", f"it describes the run {record.spec.key}, not {folder.name}")
    scores = _read_scores(folder / "scores.npz", record.scores)
    for values in scores.values():
        values.flags.writeable = False  # all who ask share them
    return Run(
        folder.name,
        record.spec,
        scores,
        record.summary,
        record.device,
        record.versions,
        record.git,
        record.wall_s,
    )


def _read_record(path: Path) -> _Record:
    try:
        return validate(_Record, json.loads(path.read_text(encoding="utf-8")), path.name)
    except (OSError, ValueError) as error:
        raise _damaged(path, str(error)) from None


def _read_scores(path: Path, expected: Mapping[str, _Array]) -> dict[str, np.ndarray]:
    try:
        with np.load(path, allow_pickle=False) as archive:
            scores = {name: archive[name] for name in archive.files}
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile, zlib.error) as error:
        raise _damaged(path, str(error)) from None
    found = {name: _Array(shape=a.shape, dtype=str(a.dtype)) for name, a in scores.items()}
    if found != dict(expected):
        raise _damaged(path, f"run.json lists {sorted(expected)}, it holds {sorted(found)} or other shapes")
    return scores


def _damaged(path: Path, what: str) -> ConfigError:
    return ConfigError(f"{path} is damaged: {what}. Delete {path.parent} or run again with --fresh")


@cache
def versions() -> dict[str, str]:
    """Python and the three packages that decide numbers."""
    packages = {name: metadata.version(name) for name in ("torch", "numpy", "aifr_lib")}
    return {"python": ".".join(map(str, sys.version_info[:3])), **packages}


@cache
def git() -> Git:
    """The checkout that this package is part of; empty where it is installed without one.

    ``dirty`` looks at the package alone: results that were just written do not make the code another.
    """
    package = Path(__file__).parents[1]
    # Another checkout may lie around an installed copy (a virtual environment inside someone's repository).
    if _git(package, "ls-files", "--error-unmatch", "names.py") is None:
        return Git()
    sha, status = _git(package, "rev-parse", "HEAD"), _git(package, "status", "--porcelain", "--", ".")
    return Git(sha=sha, dirty=None if status is None else bool(status))


def _git(folder: Path, *arguments: str) -> str | None:
    try:
        command = ["git", "-C", str(folder), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()


@cache
def code_digest() -> str:
    """SHA-256 over the package's sources, for information: it never decides whether a run is stale."""
    package = Path(__file__).parents[1]
    digest = hashlib.sha256()
    for path in sorted([*package.rglob("*.py"), *package.rglob("*.yaml")]):
        digest.update(path.relative_to(package).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


def total_wall(runs: Iterable[Run]) -> float:
    """Seconds that the runs took together."""
    return math.fsum(run.wall_s for run in runs)
