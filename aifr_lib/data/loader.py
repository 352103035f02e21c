"""From stored pictures to the batches a network sees."""

from __future__ import annotations

import math
import os
import signal
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from pathlib import Path
from queue import Full, Queue
from threading import Event, Thread
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from aifr_lib.data.images import Images, check_columns, crop_columns
from aifr_lib.names import ConfigError, nearest

MOST_WORKERS = 8
CGROUPS = (
    (Path("/sys/fs/cgroup/cpu.max"),),
    (Path("/sys/fs/cgroup/cpu/cpu.cfs_quota_us"), Path("/sys/fs/cgroup/cpu/cpu.cfs_period_us")),
)
Batch = dict[str, Tensor]  # named columns of a batch, the first dimension of each its pictures
Batches = Callable[..., Sampler]  # as ShuffledBatches is called: the order in which a recipe's pictures come


def to_input(pixels: Tensor) -> Tensor:
    """uint8 [B, …, H, W, 3] → float32 [B, …, 3, H, W], scaled (x − 127.5) / 128 (TML section IV-B).

    The stored layout is already channels-last, so the permutation moves no bytes.
    """
    return pixels.movedim(-1, -3).to(torch.float32).sub_(127.5).div_(128.0)


def random_flip(images: Tensor) -> Tensor:
    """Mirror each row of [B, …, 3, H, W] left to right with probability one half (TML section IV-B); the pictures of a
    pair are mirrored alike, for what changes from one to the other must not be that.
    """
    mirrored = torch.rand(len(images), *[1] * (images.dim() - 1), device=images.device) < 0.5
    return torch.where(mirrored, images.flip(-1), images)


def mirrored(pixels: Tensor) -> Tensor:
    """Stored pixels, uint8 [B, …, H, W, 3], as a network is trained on them: scaled, each row mirrored or not."""
    return random_flip(to_input(pixels))


class Rows(Dataset):
    """Rows of an Images as named columns: images uint8 [B, H, W, 3], identity int64 [B], row int64 [B], and ``more``.

    Identities are counted as classes, from 0 in rising order. more: labels that a recipe asks for besides, such as
    "age", as float32 [B]. A whole batch is gathered with one index operation: a copy where the pixels are an array,
    decoded where they are stored as files (``data/formats/stored.py``). From batches of pairs every [B] is [B, 2].
    Errors: ConfigError for a label that the pictures do not have; ValueError for one that is not known of a picture.
    """

    def __init__(self, images: Images, hw: tuple[int, int], more: Sequence[str] = ()):
        check_columns(images.pixels.shape, hw)
        self.pixels, self.hw = images.pixels, hw
        identities, classes = np.unique(images.labels["identity"].to_numpy(), return_inverse=True)
        self.classes = torch.from_numpy(classes.astype(np.int64))
        self.class_count = len(identities)
        self.more = {name: _label(images, name) for name in more}
        self.columns = ("images", "identity", "row", *more)

    def __len__(self) -> int:
        return len(self.classes)

    def __getitems__(self, rows: list[int] | list[list[int]]) -> Batch:
        index = torch.tensor(rows)
        more = {name: values[index] for name, values in self.more.items()}
        images = gathered(self.pixels, index, self.hw)
        return {"images": images, "identity": self.classes[index], "row": index, **more}


def gathered(pixels: Any, index: Tensor, hw: tuple[int, int]) -> Tensor:
    """The pictures of rows [B, …], cropped to ``hw``: uint8 [B, …, H, W, 3]."""
    # Fancy indexing with sorted rows would read a memory map in order, but batches are small next to a page cache.
    batch = np.ascontiguousarray(crop_columns(pixels[index.flatten().tolist()], hw))
    return torch.from_numpy(batch).unflatten(0, index.shape)


def _label(images: Images, name: str) -> Tensor:
    if name not in images.labels:
        raise ConfigError(f"{images.name} has no label '{name}'{nearest(name, images.labels.columns)}")
    values = images.labels[name].to_numpy(dtype=np.float32)
    if unknown := int(np.isnan(values).sum()):
        first = images.labels["record"].iloc[int(np.flatnonzero(np.isnan(values))[0])]
        raise ValueError(f"{images.name}: the {name} of {unknown} pictures is not known, such as {first}")
    return torch.from_numpy(values)


class ShuffledBatches(Sampler[list[Any]]):
    """The rows of micro-batches ``start``, ``start`` + 1, … of an endless shuffled walk; whole batches only.

    The order of an epoch depends on (seed, epoch) alone, and micro-batch k on its number alone, so a position is one
    integer and a resumed run sees what an uninterrupted one sees. Of each micro-batch, process ``rank`` of ``world``
    takes every ``world``-th row: all processes together see what one would see.
    Errors: ValueError where an epoch is shorter than a batch or a batch does not divide over the processes.
    """

    def __init__(self, count: int, batch: int, *, seed: int, start: int, stop: int, rank: int = 0, world: int = 1):
        if count < batch:
            raise ValueError(f"{count} pictures do not fill one batch of {batch}: lower the batch or add pictures")
        if batch % world:
            raise ValueError(f"a batch of {batch} does not divide over {world} processes")
        self.count, self.batch, self.seed = count, batch, seed
        self.start, self.stop, self.rank, self.world = start, stop, rank, world

    def __len__(self) -> int:
        return max(0, self.stop - self.start)

    def __iter__(self) -> Iterator[list[Any]]:
        per_epoch = self.count // self.batch
        shuffled_epoch, order = -1, np.empty(0, dtype=np.int64)
        for position in range(self.start, self.stop):
            epoch, place = divmod(position, per_epoch)
            if epoch != shuffled_epoch:
                shuffled_epoch, order = epoch, np.random.default_rng((self.seed, epoch)).permutation(self.count)
            rows = self.completed(order[place * self.batch : (place + 1) * self.batch], position)
            yield rows[self.rank :: self.world].tolist()

    def completed(self, rows: np.ndarray, position: int) -> np.ndarray:
        """What a micro-batch holds, a row for each picture [B] of the walk: here the picture alone."""
        return rows


class PairBatches(ShuffledBatches):
    """The same walk, each picture beside another of the same person: micro-batches of rows [B, 2].

    identity: int [N], whose picture each row is. The other picture is drawn from (seed, number of the micro-batch).
    ``fit`` takes it as ``batches=partial(PairBatches, rows.classes)``.
    Errors: ValueError for a person of one picture, and those of ShuffledBatches.

    >>> list(PairBatches([7, 8, 7, 8], 4, 4, seed=0, start=0, stop=1))
    [[[2, 0], [0, 2], [1, 3], [3, 1]]]
    """

    def __init__(self, identity: Tensor | np.ndarray | Sequence[int], count: int, batch: int, **walk: Any):
        super().__init__(count, batch, **walk)
        people, self.person, self.pictures = np.unique(np.asarray(identity), return_inverse=True, return_counts=True)
        if len(alone := people[self.pictures < 2]):
            raise ValueError(f"{len(alone)} people have one picture and make no pair, such as identity {alone[0]}")
        self.by_person = np.argsort(self.person, kind="stable")
        self.first = np.cumsum(self.pictures) - self.pictures  # of each person's run in ``by_person``
        self.place = np.argsort(self.by_person) - self.first[self.person]  # of each picture within its run

    def completed(self, rows: np.ndarray, position: int) -> np.ndarray:
        first, pictures = self.first[self.person[rows]], self.pictures[self.person[rows]]
        onwards = np.random.default_rng((self.seed, position, 1)).integers(1, pictures)
        return np.stack([rows, self.by_person[first + (self.place[rows] + onwards) % pictures]], axis=1)


def loader(rows: Any, batches: Sampler, *, pin: bool, workers: int | None = None) -> DataLoader:
    """The batches in order; pinned where they travel to a GPU. Its own generator leaves the global one untouched.

    workers: processes that gather batches ahead, which changes nothing but the speed (None: this process's share of the
    cores, at most MOST_WORKERS, for pictures that must be decoded; none for an array).
    """
    if workers is None:
        workers = 0 if isinstance(getattr(rows, "pixels", None), np.ndarray) else min(MOST_WORKERS, cores())
    return DataLoader(
        rows,
        batch_sampler=batches,
        collate_fn=_as_it_is,
        pin_memory=pin,
        num_workers=workers,
        prefetch_factor=4 if workers else None,
        worker_init_fn=_deaf_to_ctrl_c,
        generator=torch.Generator(),
    )


def stream_of(rows: Any, batches: Sampler, *, pin: bool) -> Generator[Batch, None, None]:
    """The batches of ``loader``, one after the other. Of an array that lies on the disk, or is to travel to a GPU, a
    thread gathers the next ones meanwhile; of one in the memory a CPU has them sooner than a thread would.
    """
    loaded = loader(rows, batches, pin=pin)
    if loaded.num_workers == 0 and (pin or _mapped(getattr(rows, "pixels", None))):
        return ahead(loaded)
    return (batch for batch in loaded)


def ahead(batches: Iterable[Batch], count: int = 2) -> Generator[Batch, None, None]:
    """The batches, up to ``count`` of them made by a thread before they are asked for; closed, the thread ends.

    Errors: what making them raises, where the batch would have come.
    """
    made: Queue[tuple[Batch | None, BaseException | None]] = Queue(count)
    closed = Event()

    def put(batch: Batch | None, error: BaseException | None = None) -> None:
        while not closed.is_set():
            try:
                made.put((batch, error), timeout=0.1)
            except Full:
                continue
            return

    def work() -> None:
        try:
            for batch in batches:
                put(batch)
                if closed.is_set():
                    return
        except BaseException as error:
            put(None, error)
        else:
            put(None)

    thread = Thread(target=work, name="batches", daemon=True)
    thread.start()
    try:
        while True:
            batch, error = made.get()
            if error is not None:
                raise error
            if batch is None:
                return
            yield batch
    finally:
        closed.set()
        thread.join()


def _mapped(pixels: Any) -> bool:
    """Whether an array is a memory map, or a view of one."""
    while isinstance(pixels, np.ndarray):
        if isinstance(pixels, np.memmap):
            return True
        pixels = pixels.base
    return False


def cores() -> int:
    """The cores that this process has for itself: those it may use, by its affinity and by the quota of its container,
    shared by the processes launched on this machine.
    """
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, math.ceil(min(usable, _quota())) // int(os.environ.get("LOCAL_WORLD_SIZE", "1")))


def _quota() -> float:
    """Cores that the control group grants, infinite without a limit (cgroup v2's cpu.max, v1's cpu.cfs_quota_us)."""
    for numbers in CGROUPS:
        try:
            quota, period = " ".join(path.read_text() for path in numbers).split()
        except (OSError, ValueError):
            continue
        if quota.isdigit():
            return int(quota) / int(period)
    return math.inf


def _deaf_to_ctrl_c(_: int) -> None:
    # A terminal sends Ctrl-C to every process; the training decides when to stop, and needs its workers until then.
    # SIGTERM must end them: it is how Python gets rid of them when it exits.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # By these a cluster announces the end of the time, to all processes of a job.
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    signal.signal(signal.SIGUSR2, signal.SIG_IGN)


def _as_it_is(batch: Any) -> Any:
    return batch
