"""The synthesising half of MTLFace: a person's map, told an age group, is drawn as a face; and its critic.

Stated in section B of the supplement: four identity conditional blocks, bilinear upsampling, two residual blocks a
level over features of the encoder, instance norm and ReLU, a last 1 x 1 convolution; of the critic six convolutions,
their strides, spectral norm and leaky ReLU, 7 x 7 confidences. All else is found in the authors' public code or, where
said so, inferred.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import spectral_norm

from aifr_lib.models.blocks import channels
from aifr_lib.models.mtlface import Recogniser, Seen
from aifr_lib.names import ConfigError, choose, whole

ALL = slice(None)
Form = Literal["gather", "mask"]
Skip = Literal["image", "stem"]


class Layer(nn.Module):
    """A convolution and its instance norm, of which some filters may be used alone, on some channels alone.

    Instance norm, since batch norm would mix the statistics of several groups, and gather and mask form differ
    (inferred; the code has batch norm).
    """

    def __init__(self, inputs: int, outputs: int, kernel: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=False)
        self.norm = nn.InstanceNorm2d(outputs, affine=True)

    def forward(self, x: Tensor, reads: slice = ALL, writes: slice = ALL) -> Tensor:
        x = F.conv2d(x, self.conv.weight[writes, reads], padding=self.conv.padding)
        return F.instance_norm(x, weight=self.norm.weight[writes], bias=self.norm.bias[writes])


class Block(nn.Module):
    """An identity conditional block (ICB): PReLU(x + M · norm(conv(PReLU(M · norm(conv(x)))))), of 3 x 3 convolutions.

    own: the filters used. mask: M, where all are used and some count; None where M is 1.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first, self.second = Layer(width, width, 3), Layer(width, width, 3)
        self.inner, self.outer = nn.PReLU(width), nn.PReLU(width)

    def forward(self, x: Tensor, own: slice = ALL, mask: Tensor | None = None) -> Tensor:
        h = F.prelu(masked(self.first(x, own, own), mask), self.inner.weight[own])
        return F.prelu(x + masked(self.second(h, own, own), mask), self.outer.weight[own])


class Condition(nn.Module):
    """What the two conditions share: a 1 x 1 convolution in, blocks, a 1 x 1 convolution out."""

    def __init__(self, inputs: int, width: int, outputs: int, blocks: int) -> None:
        super().__init__()
        self.entry, self.exit = Layer(inputs, width, 1), Layer(width, outputs, 1)
        self.before, self.after = nn.PReLU(width), nn.PReLU(outputs)
        self.blocks = nn.ModuleList(Block(width) for _ in range(blocks))

    def through(self, x: Tensor, own: slice = ALL, mask: Tensor | None = None) -> Tensor:
        """A map through the filters ``own``, or through all of them under a mask [B, width, 1, 1]."""
        x = masked(F.prelu(self.entry(x, writes=own), self.before.weight[own]), mask)
        for block in self.blocks:
            x = block(x, own, mask)
        return self.after(self.exit(x, reads=own))


class IdentityConditional(Condition):
    """The identity conditional module (ICM): X_id [B, C, h, w] and groups [B] to the identity age condition, its size.

    Each group has ``filters`` filters of its own, of which it shares the fraction ``share`` with each neighbour, so
    that neighbouring ages are drawn alike; 7 groups of 128 filters make 800. What happens to a face so depends on the
    person, through X_id, and on the group, through which filters act.
    share: 1/8, of a later package of the authors (their first code has .1). form: "mask" computes all filters and
    keeps the group's; "gather" computes the group's alone, which gives the same for a fraction (128/800)² of the work.
    Errors: ConfigError for a share that is not a whole number of filters or more than half.

    >>> icm = IdentityConditional(16, groups=7, filters=16)
    >>> icm.width, icm.own(1)
    (100, slice(14, 30, None))
    >>> icm(torch.randn(2, 16, 3, 3), torch.tensor([0, 6])).shape
    torch.Size([2, 16, 3, 3])
    """

    def __init__(
        self,
        inputs: int,
        groups: int,
        filters: int = 128,
        share: float = 0.125,
        blocks: int = 4,
        form: Form = "gather",
    ) -> None:
        shared = filters * share
        if not (whole(shared) and 0 <= share <= 0.5):
            raise ConfigError(
                f"a share of {share:g} of {filters} filters is {shared:g}: it must be a whole number, at most half"
            )
        self.step = filters - round(shared)
        self.filters = filters
        self.width = self.step * (groups - 1) + filters
        super().__init__(inputs, self.width, inputs, blocks)
        self.groups = groups
        self.gathers = choose("form", form, {"gather": True, "mask": False})
        masks = torch.zeros(groups, self.width)
        for group in range(groups):
            masks[group, self.own(group)] = 1
        self.register_buffer("masks", masks, persistent=False)

    masks: Tensor

    def own(self, group: int) -> slice:
        """The filters of a group."""
        return slice(group * self.step, group * self.step + self.filters)

    def gathered(self, x: Tensor, group: Tensor) -> Tensor:
        """Each group's pictures through its own filters."""
        order = group.argsort(stable=True)
        counts = F.one_hot(group, self.groups).sum(0).tolist()  # for which a GPU is waited for, once
        parts = enumerate(x[order].split(counts))
        return torch.cat([self.through(part, self.own(one)) for one, part in parts if len(part)])[order.argsort()]

    def forward(self, x: Tensor, group: Tensor) -> Tensor:
        if self.gathers:
            return self.gathered(x, group)
        return self.through(x, mask=self.masks[group, :, None, None])


class OneHot(Condition):
    """MTLFace without ICM (section C): the group as one-hot maps beside X_id, and blocks that all groups share.

    Its width, that of one group's filters, and its four blocks are inferred.

    >>> OneHot(16, groups=7, filters=16)(torch.randn(2, 16, 3, 3), torch.tensor([0, 6])).shape
    torch.Size([2, 16, 3, 3])
    """

    def __init__(self, inputs: int, groups: int, filters: int = 128, blocks: int = 4) -> None:
        super().__init__(inputs + groups, filters, inputs, blocks)
        self.groups = groups

    def forward(self, x: Tensor, group: Tensor) -> Tensor:
        return self.through(beside(x, group, self.groups))


class Level(nn.Module):
    """A level of the decoder: the map enlarged to the size of ``skip``, and two residual blocks of which the first
    sees both.
    """

    def __init__(self, inputs: int, skip: int, outputs: int) -> None:
        super().__init__()
        self.shortcut = nn.Conv2d(inputs, outputs, 1)
        self.first, self.second = residual(inputs + skip, outputs), residual(outputs, outputs)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        x = F.interpolate(x, size=skip.shape[-2:], mode="bilinear", align_corners=False)
        x = self.shortcut(x) + self.first(torch.cat([x, skip.to(x.dtype)], 1))
        return x + self.second(x)


def residual(inputs: int, outputs: int) -> nn.Sequential:
    """What a residual block adds: instance norm, ReLU, 3 x 3 convolution, twice."""
    return nn.Sequential(
        nn.InstanceNorm2d(inputs),
        nn.ReLU(),
        nn.Conv2d(inputs, outputs, 3, 1, 1),
        nn.InstanceNorm2d(outputs),
        nn.ReLU(),
        nn.Conv2d(outputs, outputs, 3, 1, 1),
    )


class Decoder(nn.Module):
    """A condition [B, C, h, w] and skips, the smallest first, to colours [B, 3, H, W] of the size of the last skip.

    skips: channels of each. widths: channels after each level.

    >>> decoder = Decoder(16, skips=(8, 3), widths=(8, 8))
    >>> decoder(torch.randn(2, 16, 3, 3), [torch.randn(2, 8, 6, 6), torch.randn(2, 3, 12, 12)]).shape
    torch.Size([2, 3, 12, 12])
    """

    def __init__(self, inputs: int, skips: Sequence[int], widths: Sequence[int] = (256, 128, 64, 32)) -> None:
        super().__init__()
        sizes = zip((inputs, *widths[:-1]), skips, widths, strict=True)
        self.levels = nn.ModuleList(Level(*size) for size in sizes)
        self.colours = nn.Conv2d(widths[-1], 3, 1)

    def forward(self, x: Tensor, skips: Sequence[Tensor]) -> Tensor:
        for level, skip in zip(self.levels, skips, strict=True):
            x = level(x, skip)
        return self.colours(x)


class Generator(nn.Module):
    """Faces as a recogniser sees them, and age groups [B], to faces I_t [B, 3, H, W] at those ages; not clamped.

    condition: ICM or one-hot. skip: what the last level sees, "image" as in the code, or "stem", the encoder's map
    of the picture's size, as the text can be read. residual: I_t = I + D(…), as in the code; else D(…).
    Weights of convolutions start as N(0, .01) (code). Errors: ConfigError for a picture too small, or a stem whose map
    is not of the picture's size.
    """

    def __init__(
        self,
        recogniser: Recogniser,
        condition: IdentityConditional | OneHot,
        widths: tuple[int, int, int, int] = (256, 128, 64, 32),
        skip: Skip = "image",
        residual: bool = True,
    ) -> None:
        super().__init__()
        inputs, height, width = recogniser.map_shape
        hw = recogniser.input_hw
        if height * width < 2:
            raise ConfigError(f"input_hw {hw[0]}×{hw[1]} leaves one cell to draw from: a face needs 32×32 or more")
        self.condition = condition
        self.from_stem = choose("skip", skip, {"image": False, "stem": True})
        self.residual = residual
        was = recogniser.training
        with torch.no_grad():
            image = torch.zeros(1, 3, *hw)
            skips = self.skips(image, recogniser.eval().look(image))
        recogniser.train(was)
        if skips[-1].shape[-2:] != image.shape[-2:]:
            raise ConfigError(
                f"skip 'stem': the map after the stem has {skips[-1].shape[-2]}×{skips[-1].shape[-1]} cells and the "
                f"picture {hw[0]}×{hw[1]}: use skip 'image', or an iresnet, whose stem keeps the size"
            )
        self.decoder = Decoder(inputs, [one.shape[1] for one in skips], widths)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.normal_(module.weight, std=0.01)

    def skips(self, images: Tensor, seen: Seen) -> list[Tensor]:
        """What the levels of the decoder see besides, the smallest map first."""
        return [*reversed(seen.stages), seen.stem if self.from_stem else images]

    def forward(self, images: Tensor, seen: Seen, group: Tensor) -> Tensor:
        drawn = self.decoder(self.condition(seen.identity, group), self.skips(images, seen))
        return images + drawn if self.residual else drawn

    def all_groups(self, images: Tensor, seen: Seen) -> Tensor:
        """Each face at every age group, [B, G, 3, H, W], in one batch over one look of the encoder."""
        count, groups = len(images), self.condition.groups

        def each(x: Tensor) -> Tensor:
            return x.repeat_interleave(groups, 0)

        one, two, three = seen.stages
        spread = Seen(each(seen.stem), (each(one), each(two), each(three)), each(seen.identity), each(seen.age))
        group = torch.arange(groups, device=images.device).repeat(count)
        return self(each(images), spread, group).unflatten(0, (count, groups))


class PatchCritic(nn.Module):
    """D_img: faces [B, 3, H, W] and the age groups they are to show [B] to confidences [B, 1, H/16, W/16].

    Six convolutions of strides 2, 2, 2, 2, 1, 1; spectral norm and leaky ReLU after all but the last. Kernels of 4, and
    of 3 in the last two, so that 112 pixels give the stated 7 x 7 (inferred: the code's kernels of 4 give 5 x 5). The
    group is told as one-hot maps after the first. width: multiplies every channel count. 5,135,297 parameters with
    seven groups.

    >>> PatchCritic(7, width=0.125)(torch.zeros(2, 3, 112, 112), torch.tensor([0, 6])).shape
    torch.Size([2, 1, 7, 7])
    """

    def __init__(self, groups: int, width: float = 1.0) -> None:
        super().__init__()
        self.groups = groups
        c64, c128, c256, c512 = (channels(base, width) for base in (64, 128, 256, 512))
        self.first = spectral_norm(nn.Conv2d(3, c64, 4, 2, 1))
        self.rest = nn.Sequential(
            spectral_norm(nn.Conv2d(c64 + groups, c128, 4, 2, 1)),
            nn.LeakyReLU(0.2),
            spectral_norm(nn.Conv2d(c128, c256, 4, 2, 1)),
            nn.LeakyReLU(0.2),
            spectral_norm(nn.Conv2d(c256, c512, 4, 2, 1)),
            nn.LeakyReLU(0.2),
            spectral_norm(nn.Conv2d(c512, c512, 3, 1, 1)),
            nn.LeakyReLU(0.2),
            nn.Conv2d(c512, 1, 3, 1, 1),
        )

    def forward(self, images: Tensor, group: Tensor) -> Tensor:
        return self.rest(beside(F.leaky_relu(self.first(images), 0.2), group, self.groups))


class MtlFace(nn.Module):
    """A trained MTLFace: faces [B, 3, H, W] to embeddings, and to faces at other ages where it has a generator."""

    def __init__(self, recogniser: Recogniser, generator: Generator | None = None) -> None:
        super().__init__()
        self.recogniser = recogniser
        self.generator = generator
        self.input_hw = recogniser.input_hw

    def at_groups(self, x: Tensor) -> Tensor:
        """Each face at every age group, [B, G, 3, H, W], clamped to [−1, 1]. Errors: ConfigError without generator."""
        if self.generator is None:
            raise ConfigError("this MTLFace was trained to recognise alone: train it with a synthesis")
        return self.generator.all_groups(x, self.recogniser.look(x)).clamp(-1, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.recogniser(x)


def group_of(age: Tensor, bounds: Sequence[float]) -> Tensor:
    """The age group of ages [B] in years: how many ``bounds``, the last years of all groups but the oldest, they pass.

    >>> group_of(torch.tensor([3.0, 10.0, 10.5, 60.0, 61.0]), (10, 20, 30, 40, 50, 60)).tolist()
    [0, 0, 1, 5, 6]
    """
    # Compared one by one: bounds sent to a GPU as a tensor would make each step wait for it.
    return torch.stack([age > bound for bound in bounds]).sum(0)


def beside(x: Tensor, group: Tensor, groups: int) -> Tensor:
    """A map [B, C, h, w] and, as maps of ones and zeros, its groups [B]: [B, C + groups, h, w]."""
    told = F.one_hot(group, groups).to(x.dtype)[:, :, None, None]
    return torch.cat([x, told.expand(-1, -1, *x.shape[-2:])], 1)


def masked(x: Tensor, mask: Tensor | None) -> Tensor:
    """x · M, or x where there is no mask."""
    return x if mask is None else x * mask
