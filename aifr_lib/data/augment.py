"""Augmentation drawn for each picture of a batch by itself: mirroring, colour jitter, grey, random resized crop.

torchvision's transforms draw one set of parameters for a whole batch. Here a batch has as many sets as pictures, and
each step takes them all at once; given one picture's parameters it does what torchvision's functional form does. The
sets are drawn on the CPU: so a seed changes pictures alike on every device, and a GPU is never waited for.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional as F

from aifr_lib.settings.comface import Augmentation

GREY = (0.2989, 0.587, 0.114)  # ITU-R 601, as torchvision rounds it
TRIES = 10  # boxes drawn for each picture; the first that fits is taken, else the whole picture
RATIO = (3 / 4, 4 / 3)


def scaled(pixels: Tensor) -> Tensor:
    """Stored pixels, uint8 [B, …, H, W, 3], as float32 [B, …, 3, H, W] in 0 … 1: an encoder does the rest."""
    return pixels.movedim(-1, -3).float() / 255


def augmented(settings: Augmentation) -> Callable[[Tensor], Tensor]:
    """Stored pixels, uint8 [B, …, H, W, 3], as float32 [B, …, 3, H, W] in 0 … 1, each picture changed by itself.

    The order is that in which the paper's Tables B to E list them: mirroring, jitter, grey, crop. The two pictures of a
    pair are changed independently (inferred).
    """
    return partial(augment, settings)


def augment(settings: Augmentation, pixels: Tensor) -> Tensor:
    """What ``augmented`` gives; random numbers are torch's."""
    x = scaled(pixels)
    flat = x.reshape(-1, *x.shape[-3:])
    count = len(flat)

    def chosen(p: float) -> Tensor:
        return torch.rand(count) < p

    def either(these: Tensor, changed: Tensor) -> Tensor:
        return torch.where(these.to(flat.device, non_blocking=True)[:, None, None, None], changed, flat)

    flat = either(chosen(settings.flip), flat.flip(-1))
    if settings.jitter:
        flat = jitter(flat, chosen(settings.jitter), *drawn_jitter(settings, count))
    flat = either(chosen(settings.grey), grey(flat).expand(-1, 3, -1, -1))
    if settings.crop is not None:
        flat = resized_crop(flat, drawn_boxes(settings.crop, count, (flat.shape[-2], flat.shape[-1])))
    return flat.reshape(x.shape)


def drawn_jitter(settings: Augmentation, count: int) -> tuple[Tensor, Tensor]:
    """Factors [count, 4] of brightness, contrast, saturation and hue, and the order [count, 4] in which they come."""
    ranges = torch.tensor([settings.brightness, settings.contrast, settings.saturation, settings.hue])
    factors = (2 * torch.rand(count, 4) - 1) * ranges
    factors[:, :3] = (1 + factors[:, :3]).clamp(min=0)
    return factors, torch.rand(count, 4).argsort(1)


def jitter(x: Tensor, chosen: Tensor, factors: Tensor, order: Tensor) -> Tensor:
    """Brightness, contrast, saturation and hue of each chosen picture, in an order of its own.

    x: [N, 3, H, W] in 0 … 1. chosen: bool [N]. factors: [N, 4]; hue in turns. order: int [N, 4]. All but x on the CPU.
    """
    x, factors = x.clone(), factors.to(x.device, non_blocking=True)
    for place in range(4):
        for number, change in enumerate((brightness, contrast, saturation, hue)):
            rows = (chosen & (order[:, place] == number)).nonzero()[:, 0]
            if len(rows):
                rows = rows.to(x.device, non_blocking=True)
                x[rows] = change(x[rows], factors[rows, number][:, None, None, None])
    return x


def grey(x: Tensor) -> Tensor:
    """[N, 3, H, W] → [N, 1, H, W]."""
    red, green, blue = x.split(1, dim=1)
    return GREY[0] * red + GREY[1] * green + GREY[2] * blue


def brightness(x: Tensor, factor: Tensor) -> Tensor:
    """x · factor, clipped; factor: [N, 1, 1, 1]."""
    return (x * factor).clamp(0, 1)


def contrast(x: Tensor, factor: Tensor) -> Tensor:
    """Away from, or towards, the mean grey of the picture."""
    mean = grey(x).mean((2, 3), keepdim=True)
    return (factor * x + (1 - factor) * mean).clamp(0, 1)


def saturation(x: Tensor, factor: Tensor) -> Tensor:
    """Away from, or towards, its grey."""
    return (factor * x + (1 - factor) * grey(x)).clamp(0, 1)


def hue(x: Tensor, turn: Tensor) -> Tensor:
    """The hue turned by ``turn`` (1: all the way round), by way of hue, saturation and value."""
    value, least = x.amax(1, keepdim=True), x.amin(1, keepdim=True)
    chroma = value - least
    safe = torch.where(chroma == 0, 1.0, chroma)
    red, green, blue = x.split(1, dim=1)
    sextant = torch.where(
        value == red,
        (green - blue) / safe,
        torch.where(value == green, 2 + (blue - red) / safe, 4 + (red - green) / safe),
    )
    turned = torch.remainder(sextant + 6 * turn, 6)
    # One colour as a function of the hue: a trapezium of height ``chroma`` under ``value``.
    steps = torch.remainder(torch.arange(5.0, 0.0, -2.0, device=x.device).view(1, 3, 1, 1) + turned, 6)
    return value - chroma * torch.minimum(steps, 4 - steps).clamp(0, 1)


def drawn_boxes(scale: tuple[float, float], count: int, hw: tuple[int, int]) -> Tensor:
    """float32 [count, 4]: top, left, height and width in whole pixels, as ``RandomResizedCrop`` draws them.

    scale: share of the area, even between its ends; the logarithm of width over height is even over ``RATIO``.
    """
    height, width = hw
    low, high = (math.log(end) for end in RATIO)
    area = height * width * (scale[0] + (scale[1] - scale[0]) * torch.rand(count, TRIES))
    ratio = torch.exp(low + (high - low) * torch.rand(count, TRIES))
    w, h = (area * ratio).sqrt().round(), (area / ratio).sqrt().round()
    fits = (w > 0) & (w <= width) & (h > 0) & (h <= height)
    first = fits.float().argmax(1, keepdim=True)
    some = fits.any(1)
    w = torch.where(some, w.gather(1, first)[:, 0], float(width))
    h = torch.where(some, h.gather(1, first)[:, 0], float(height))
    u = torch.rand(count, 2)
    top, left = (u[:, 0] * (height - h + 1)).floor(), (u[:, 1] * (width - w + 1)).floor()
    return torch.stack([top.clamp(max=height - 1), left.clamp(max=width - 1), h, w], 1)


def resized_crop(x: Tensor, boxes: Tensor) -> Tensor:
    """Each box of its picture enlarged to the size of the whole, bilinear.

    x: [N, 3, H, W]. boxes: [N, 4], top, left, height, width in pixels, none larger than the picture.
    """
    height, width = x.shape[-2:]
    top, left, h, w = boxes.to(x.device, non_blocking=True).unbind(1)

    def places(start: Tensor, length: Tensor, size: int) -> Tensor:
        steps = (torch.arange(size, device=x.device) + 0.5) / size
        at = start[:, None] + length[:, None] * steps
        # What lies outside the box is not seen: its outermost pixels are repeated.
        inside = torch.maximum(torch.minimum(at, (start + length)[:, None] - 0.5), start[:, None] + 0.5)
        return 2 * inside / size - 1

    rows, columns = places(top, h, height), places(left, w, width)
    grid = torch.stack([columns[:, None, :].expand(-1, height, -1), rows[:, :, None].expand(-1, -1, width)], dim=-1)
    return F.grid_sample(x, grid, mode="bilinear", padding_mode="border", align_corners=False)
