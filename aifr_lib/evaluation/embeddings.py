"""From pictures to embeddings: the one place where a network is run for a measurement."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor, distributed, nn
from torch.utils.data import DataLoader, Dataset

from aifr_lib.data.images import Images
from aifr_lib.data.loader import MOST_WORKERS, check_columns, cores, crop_columns, to_input
from aifr_lib.evaluation.checks import directed, listed, matrix, normalise
from aifr_lib.progress import BAR_AFTER, tqdm

__all__ = ["embed", "evaluating", "normalise", "opened", "place"]


def embed(
    model: nn.Module | Callable[[Tensor], Tensor | np.ndarray],
    pictures: Images | np.ndarray,
    *,
    batch_size: int = 256,
    flip: bool = True,
    input_hw: tuple[int, int] | None = None,
    device: torch.device | str | None = None,
    workers: int | None = None,
    progress: bool = False,
) -> np.ndarray:
    """Embeddings of pictures, float32 [N, D], not normalised; with ``flip``, f(x) + f(mirrored x) (P1).

    model: a module, or any callable, from float32 [B, 3, H, W] (``to_input``: (x − 127.5) / 128, RGB) to
        [B, D]. A module runs in eval mode, and each of its parts is put back into the mode it had.
    pictures: Images, or uint8 [N, H, W, 3] RGB; may be a memory map larger than the memory.
    batch_size: changes speed and memory, and the result by rounding only.
    input_hw: the network's input; of wider pictures it sees the middle columns (``crop_columns``).
    device: where to run (a module is moved there); by default where the module's parameters lie, else CPU.
        Under several processes (``torchrun``) each embeds its share of the batches, and all return all embeddings,
        in order: the array of one process.
    workers: processes that read and decode batches ahead (None: this process's share of the cores for pictures that
        must be decoded for a GPU; else none).
    progress: a bar, shown if it takes longer than two seconds.
    Errors: TypeError for pictures that are not uint8 [N, H, W, 3]; ValueError where they do not fit ``input_hw``, and,
        naming the records, where an output is not [B, D] or holds NaN or infinity.
    Source: sum over the mirrored picture: 10-fold protocol of insightface ``verification.py``.
    """
    pixels, names = opened(pictures)
    hw = (int(pixels.shape[1]), int(pixels.shape[2])) if input_hw is None else input_hw
    check_columns(pixels.shape, hw)
    if batch_size < 1:
        raise ValueError(f"batch_size must be 1 or more, got {batch_size}")
    where = place(model, device)
    share, others = _shares(len(pixels), batch_size)
    if workers is None:
        workers = min(MOST_WORKERS, cores()) if where.type == "cuda" and not isinstance(pixels, np.ndarray) else 0
    if where.type == "cuda" and isinstance(model, nn.Module):
        model.to(memory_format=torch.channels_last)
    slices = [slice(at, min(at + batch_size, share.stop)) for at in range(share.start, share.stop, batch_size)]
    ahead = DataLoader(_Slices(pixels, slices, hw), batch_size=None, num_workers=workers, generator=torch.Generator())
    out: Tensor | None = None
    with torch.inference_mode(), evaluating(model):
        batches = tqdm(ahead, desc="embeddings", unit="batch", delay=BAR_AFTER, disable=not progress)
        for rows, batch in zip(slices, batches, strict=True):
            x = to_input(_upload(batch, where))
            e = torch.as_tensor(model(x))
            if flip:
                e = e + torch.as_tensor(model(x.flip(-1)))
            matrix(f"embeddings of {listed(names[rows])}", e, None if out is None else out.shape[1], len(x))
            # The results stay on the device until the end: a copy a batch would wait for each batch.
            if out is None:
                out = torch.empty(len(share), e.shape[1], dtype=torch.float32, device=e.device)
            out[rows.start - share.start : rows.stop - share.start] = e
    embeddings = _gathered(out, others).cpu().numpy()
    norms = np.sqrt(np.vecdot(embeddings, embeddings))
    directed("embeddings", norms, zero=True, rows="records", name=names.__getitem__)
    return embeddings


def opened(pictures: Images | np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pixels uint8 [N, H, W, 3] and the names of their records (of an array: the rows) [N].

    Errors: TypeError for pixels of another type or shape; ValueError for no pictures.
    """
    pixels = pictures.pixels if isinstance(pictures, Images) else pictures
    if pixels.dtype != np.uint8 or pixels.ndim != 4 or pixels.shape[-1] != 3:
        raise TypeError(f"pictures must be uint8 [N, H, W, 3], got {pixels.dtype} {tuple(pixels.shape)}")
    if not len(pixels):
        raise ValueError("no pictures, of which at least one is needed")
    return pixels, pictures.labels["record"].to_numpy() if isinstance(pictures, Images) else np.arange(len(pixels))


def _shares(count: int, batch_size: int) -> tuple[range, list[int]]:
    """The rows that this process embeds, and how many each process does: whole batches, so that none differs."""
    processes, rank = 1, 0
    if distributed.is_available() and distributed.is_initialized():
        processes, rank = distributed.get_world_size(), distributed.get_rank()
    batches = -(-count // batch_size)
    ends = [min(count, batches * n // processes * batch_size) for n in range(processes + 1)]
    return range(ends[rank], ends[rank + 1]), [b - a for a, b in pairwise(ends)]


def _gathered(own: Tensor | None, counts: list[int]) -> Tensor:
    """The embeddings of all processes in the order of their shares; ``own`` is None where a process had no rows."""
    if len(counts) == 1:
        assert own is not None
        return own
    where = torch.device("cuda", torch.cuda.current_device()) if distributed.get_backend() == "nccl" else "cpu"
    width = torch.tensor([0 if own is None else own.shape[1]], device=where)
    distributed.all_reduce(width, distributed.ReduceOp.MAX)
    # Collectives move equal shapes: each share is padded to the longest and cut again.
    padded = torch.zeros(max(counts), int(width), device=where)
    if own is not None:
        padded[: len(own)] = own
    parts = [torch.empty_like(padded) for _ in counts]
    distributed.all_gather(parts, padded)
    return torch.cat([part[:count] for part, count in zip(parts, counts, strict=True)])


def place(model: nn.Module | Callable, device: torch.device | str | None) -> torch.device:
    """Where ``model`` runs: a module is moved to ``device``, or left where its parameters lie."""
    if not isinstance(model, nn.Module):
        return torch.device(device or "cpu")
    if device is not None:
        model.to(device)
    first = next(model.parameters(), None)
    return first.device if first is not None else torch.device(device or "cpu")


class _Slices(Dataset):
    """Batches of pictures, decoded where they must be: uint8 [B, H, W, 3], the middle columns."""

    def __init__(self, pixels: np.ndarray, slices: list[slice], hw: tuple[int, int]) -> None:
        self.pixels, self.slices, self.hw = pixels, slices, hw

    def __len__(self) -> int:
        return len(self.slices)

    def __getitem__(self, number: int) -> Tensor:
        return torch.from_numpy(np.array(crop_columns(self.pixels[self.slices[number]], self.hw)))


def _upload(batch: Tensor, device: torch.device) -> Tensor:
    if device.type == "cuda":
        return batch.pin_memory().to(device, non_blocking=True)
    return batch.to(device)


@contextmanager
def evaluating(model: nn.Module | Callable) -> Iterator[None]:
    """Eval mode for the time of the block; each part is put back into the mode it had."""
    # Part by part: a network with frozen batch norms is in both modes at once.
    modes = [(part, part.training) for part in model.modules()] if isinstance(model, nn.Module) else []
    try:
        for part, _ in modes:
            part.training = False
        yield
    finally:
        for part, training in modes:
            part.training = training
