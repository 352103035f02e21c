"""What a training step of a student computes: its identity loss, and what two frozen teachers ask (AAD eq. 10)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from aifr_lib.data.loader import Batch
from aifr_lib.losses import distillation as losses
from aifr_lib.losses.margins import MarginHead
from aifr_lib.models.attention import Attended, attended
from aifr_lib.models.backbone import STAGES, FourStages
from aifr_lib.models.blocks import initialise
from aifr_lib.models.foreign.cards import Carded
from aifr_lib.names import ConfigError
from aifr_lib.settings.aad import DIRECTED, STAGED, Distillation
from aifr_lib.training.engine import Frozen

Shapes = list[tuple[int, int, int]]
EMBEDDING, MASKS = "teacher_embedding", "age_masks"  # columns of a batch: see ``training.kept``


class Term(NamedTuple):
    """A weighted loss, and the features at which its gradient enters the student."""

    loss: Tensor
    weight: float
    at: Sequence[Tensor]


class Student(nn.Module):
    """A light network, its head, and the layers that exist in training alone: G_n, and H_i of the stages.

    network: the student. head: over its embedding. teacher: T^R, whose later stages finish the student's maps (eq. 9)
    or whose maps are copied (``l2``); None where its kept embeddings are enough. size: of the teacher's embedding.
    teacher_head: the teacher's own, for kd.

    A batch brings images, identity, and, as ``kept`` gives them, ``teacher_embedding`` [B, 2, D] and ``age_masks``
    [B, 2, cells] of each picture and its mirror image. Which of the two it is, is drawn here, by the draw that
    ``data.loader.mirrored`` makes, so that a student without teachers sees what ``recognition`` sees.

    Errors: ConfigError that names stage and remedy where the maps, the embeddings or the classes do not match.
    """

    largest_loss: Tensor

    def __init__(
        self,
        network: FourStages,
        head: MarginHead,
        config: Distillation,
        teacher: FourStages | Carded | None = None,
        size: int | None = None,
        teacher_head: MarginHead | None = None,
    ) -> None:
        super().__init__()
        self.config = config
        self.backbone: FourStages | Attended = (
            Attended(network, config.attention_norm) if config.feeds_back else network
        )
        self.head = head
        directed, masked = config.mode in DIRECTED, config.masks != "none"
        self.columns = ("images", "identity", *([EMBEDDING] * directed), *([MASKS] * masked))
        self.sides = [side for _, *side in map_shapes(network, config.train.input_hw)[1:]]
        self.weights = losses.halved(config.last_weight) if config.halving else (config.last_weight,) * STAGES
        self.teacher: Frozen | None = None
        self.teacher_head: Frozen | None = None
        self.projection: nn.Module = nn.Identity()
        self.adapters = nn.ModuleList()
        if config.mode == "kd":
            self.teacher_head = Frozen(same_classes(head, teacher_head))
        elif directed and config.last == "embedding":
            assert size is not None
            self.projection = projection(config.projection, head.embedding, size)
        if config.mode in STAGED:
            if teacher is None:
                raise ConfigError(f"mode '{config.mode}' copies stages and needs the teacher itself, not its outputs")
            self.teacher = Frozen(teacher)
            ours, theirs = (map_shapes(one, config.train.input_hw) for one in (network, stages_of(teacher)))
            self.adapters.extend(adapters(ours, theirs, STAGES if config.last == "map" else STAGES - 1))
        initialise(self.adapters)
        initialise(self.projection)
        self.register_buffer("largest_loss", torch.tensor(0.0))

    @property
    def plain(self) -> FourStages:
        """The student without its feedback."""
        return self.backbone.network if isinstance(self.backbone, Attended) else self.backbone

    def forward(self, batch: Batch, part: str = "all") -> dict[str, Tensor]:
        """Scalars: "loss" (eq. 10), and detached ``loss_TERM`` (before its weight) and ``slope_TERM``, the norm of the
        weighted term's gradient where it enters the student: at the embedding (identity, last, logits), at what a
        stage's tail ends in or, of ℓ2, at its map (stage1 …), at the masks (attention); "largest_loss" of all steps.
        """
        side = (torch.rand(len(batch["images"]), 1, 1, 1, device=batch["images"].device) < 0.5).flatten()
        images = torch.where(side[:, None, None, None], batch["images"].flip(-1), batch["images"])
        invariant = self.invariant(batch, side)
        maps, masks = self.look(images, invariant)
        embedding = self.plain.embed(self.plain.last(maps[-1]))
        identity = Term(F.cross_entropy(self.head(embedding, batch["identity"]), batch["identity"]), 1.0, [embedding])
        terms, attention = {"identity": identity}, None
        directed = self.directed(images, maps, embedding, chosen(batch[EMBEDDING], side)) if EMBEDDING in batch else {}
        terms |= {self.name_of(stage): term for stage, term in directed.items()}
        if invariant:
            attention = losses.attention_loss(invariant, masks, self.config.reduction)
            terms["attention"] = Term(attention, self.config.attention_weight, masks)
        angles = {stage: term.loss for stage, term in directed.items()}
        loss = losses.distillation_loss(identity.loss, angles, self.weights, attention, self.config.attention_weight)
        # A gradient within the step would break the graph that is compiled; then the log goes without.
        asked = loss.requires_grad and not torch.compiler.is_compiling()
        with torch.no_grad():
            self.largest_loss.copy_(torch.maximum(self.largest_loss, loss.detach()))
        return {
            "loss": loss,
            **{f"loss_{name}": term.loss.detach() for name, term in terms.items()},
            **{f"slope_{name}": slope(term) for name, term in terms.items() if asked},
            "largest_loss": self.largest_loss.clone(),
        }

    def name_of(self, stage: int) -> str:
        """What the log calls a stage's term."""
        last = "logits" if self.config.mode == "kd" else "last"
        return last if stage == STAGES and self.config.last == "embedding" else f"stage{stage}"

    def invariant(self, batch: Batch, side: Tensor) -> list[Tensor]:
        """Â_2, Â_3 and Â_4 of the age teacher, [B, 1, h, w]; none where none is asked."""
        if self.config.masks == "none":
            return []
        cells = [height * width for height, width in self.sides]
        flat = chosen(batch[MASKS], side).split(cells, 1)
        return [mask.unflatten(1, (1, *sides)) for mask, sides in zip(flat, self.sides, strict=True)]

    def look(self, images: Tensor, invariant: Sequence[Tensor]) -> tuple[Sequence[Tensor], Sequence[Tensor]]:
        """The maps F_1 … F_4 as the next stage sees them; the student's masks A_2 … A_4, none where none is asked."""
        if not invariant:
            return self.plain.stage_maps(images), ()
        norm = self.config.attention_norm
        if self.config.feeds_back:
            return attended(self.plain, images, "own", norm)
        if self.config.feedback == "teacher" and self.training:
            return attended(self.plain, images, invariant, norm)
        return attended(self.plain, images, "none", norm)

    def directed(self, images: Tensor, maps: Sequence[Tensor], embedding: Tensor, wanted: Tensor) -> dict[int, Term]:
        """L_i by stage: the last one on the embedding (eq. 7, its ℓ2 form, or logits), and those of ``copied``."""
        config = self.config
        if config.mode == "kd":
            away = losses.logit_loss(self.teacher_logits(wanted), logits(self.head, embedding), config.temperature)
            return {STAGES: Term(away, config.last_weight, [embedding])}
        found = self.copied(images, maps, wanted)
        if config.last == "embedding":
            given = self.projection(embedding)
            away = losses.l2_loss(wanted, given) if config.mode == "l2" else self.angle(wanted, given)
            found[STAGES] = Term(away, config.last_weight, [embedding])
        return found

    def copied(self, images: Tensor, maps: Sequence[Tensor], wanted: Tensor) -> dict[int, Term]:
        """L_i of the stages: finished by the teacher's later stages (eq. 9), or of ``l2`` the distance of the maps."""
        if self.teacher is None:
            return {}
        teacher = stages_of(self.teacher.network)
        adapted = [adapt(features) for adapt, features in zip(self.adapters, maps[: len(self.adapters)], strict=True)]
        if self.config.mode == "l2":
            with torch.no_grad():
                theirs = teacher.stage_maps(as_given(self.teacher.network, images))[: len(adapted)]
            away = [losses.l2_loss(a, b) for a, b in zip(theirs, adapted, strict=True)]
            return self.weighted(away, adapted)
        ends = teacher.tails(adapted)
        return self.weighted([self.angle(wanted, end) for end in ends], ends)

    def weighted(self, away: Sequence[Tensor], at: Sequence[Tensor]) -> dict[int, Term]:
        """The losses of stages 1, 2, …, each with its λ_i."""
        terms = enumerate(zip(away, at, strict=True), 1)
        return {stage: Term(loss, self.weights[stage - 1], [one]) for stage, (loss, one) in terms}

    def teacher_logits(self, wanted: Tensor) -> Tensor:
        """What the teacher's own head says of its embeddings [B, D]: logits [B, N_c]."""
        assert self.teacher_head is not None and isinstance(self.teacher_head.network, MarginHead)
        return logits(self.teacher_head.network, wanted)

    def angle(self, wanted: Tensor, given: Tensor) -> Tensor:
        """Eq. 7 as the settings ask for it."""
        return losses.angular_loss(wanted, given, self.config.distance)


def chosen(said: Tensor, side: Tensor) -> Tensor:
    """Of outputs [B, 2, …], those of the picture, or of its mirror image where ``side`` [B] is true: [B, …]."""
    return said[torch.arange(len(said), device=said.device), side.long()]


def logits(head: MarginHead, embedding: Tensor) -> Tensor:
    """s cos(θ_j), [B, N_c]: what a head says without its margin."""
    return head.s * head.cosine(embedding)


def slope(term: Term) -> Tensor:
    """The norm of the gradient of a weighted term where it enters the student."""
    found = torch.autograd.grad(term.weight * term.loss, list(term.at), retain_graph=True)
    return torch.stack([one.detach().float().norm() for one in found]).norm()


def map_shapes(network: FourStages, input_hw: tuple[int, int]) -> Shapes:
    """Channels, height and width of F_1 … F_4."""
    was = network.training
    first = next(network.parameters())
    with torch.no_grad():
        maps = network.eval().stage_maps(torch.zeros(1, 3, *input_hw, device=first.device))
    network.train(was)
    return [(one.shape[1], one.shape[2], one.shape[3]) for one in maps]


def stages_of(teacher: nn.Module) -> FourStages:
    """The four stages of a teacher, behind its card or not. Errors: ConfigError where it does not show them."""
    inner = teacher.network if isinstance(teacher, Carded) else teacher
    if not isinstance(inner, FourStages):
        raise ConfigError(
            "this teacher does not show its stages 1 to 3 (an ONNX file gives an embedding alone), which modes "
            f"{', '.join(STAGED)} ask for: use mode 'ad_last', or a teacher made of four stages"
        )
    return inner


def as_given(teacher: nn.Module, images: Tensor) -> Tensor:
    """Faces as a teacher's first stage is given them."""
    return teacher.prepare(images) if isinstance(teacher, Carded) else images


def adapters(ours: Shapes, theirs: Shapes, count: int) -> list[nn.Module]:
    """H_1 … H_count. Errors: ConfigError, with the stage, for maps that do not have the same cells."""
    for stage, (mine, other) in enumerate(zip(ours[:count], theirs[:count], strict=True), 1):
        if mine[1:] != other[1:]:
            raise ConfigError(
                f"stage {stage}: the student's map has {mine[1]}×{mine[2]} cells and the teacher's "
                f"{other[1]}×{other[2]}, which cannot be matched: give both the same input_hw and last_stride"
            )
    return [adapter(mine[0], other[0]) for mine, other in zip(ours[:count], theirs[:count], strict=True)]


def adapter(inputs: int, outputs: int) -> nn.Sequential:
    """H_i: 1 x 1 convolution and batch norm, so that the student's map has the teacher's channels (section III-C)."""
    return nn.Sequential(nn.Conv2d(inputs, outputs, 1, bias=False), nn.BatchNorm2d(outputs))


def projection(kind: str, inputs: int, outputs: int) -> nn.Module:
    """G_n: what brings the student's embedding to the size of its teacher's; dropped at test time.

    Errors: ConfigError for embeddings of other sizes with nothing between them.
    """
    if kind == "none":
        if inputs != outputs:
            raise ConfigError(
                f"last stage: the student's embedding has {inputs} numbers and the teacher's {outputs}: "
                "give them one size, or set projection to 'norm' or 'linear'"
            )
        return nn.Identity()
    linear = nn.Linear(inputs, outputs, bias=kind == "linear")
    return linear if kind == "linear" else nn.Sequential(linear, nn.BatchNorm1d(outputs))


def same_classes(ours: MarginHead, theirs: MarginHead | None) -> MarginHead:
    """Errors: ConfigError for a teacher that tells other classes apart than the student."""
    if theirs is None or theirs.classes != ours.classes:
        told = "no classes" if theirs is None else f"{theirs.classes} classes"
        raise ConfigError(
            f"kd: the teacher tells {told} apart and the student {ours.classes}: train both on the same people, or use "
            "mode 'ad_last', which compares embeddings"
        )
    return theirs
