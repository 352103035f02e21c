"""What a training step of MTLFace computes: recognition, the critic, the generator, each in turn or some of them."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from aifr_lib.data.loader import Batch
from aifr_lib.losses import mtlface as losses
from aifr_lib.losses.margins import MarginHead
from aifr_lib.models.age_estimator import expected_age
from aifr_lib.models.mtlface import AgeHead, Recogniser, reverse
from aifr_lib.models.mtlface_synthesis import Generator, MtlFace, PatchCritic, group_of
from aifr_lib.settings.mtlface import MultiTask as Settings
from aifr_lib.training.engine import Frozen
from aifr_lib.training.objectives.critic_watch import CriticWatch
from aifr_lib.training.objectives.still import still

RECOGNITION, CRITIC, GENERATOR = "recognition", "critic", "generator"


class MultiTask(nn.Module):
    """MTLFace as it is trained. ``parts``, in the order of their steps: recognition, critic, generator (code).

    recogniser: trained where there is a ``head`` for its embeddings, else held (the second of two stages). generator:
    None where nothing is drawn; with one, each [B] of a batch is [B, 2]: the source I, and a real face J of the age
    group that is asked for. The synthesis leaves the recogniser as it is: it is read in evaluation mode (the code
    leaves the age head in training mode, so that its statistics take in drawn faces; not followed: inferred).
    """

    columns = ("images", "identity", "age")

    def __init__(
        self, config: Settings, recogniser: Recogniser, head: MarginHead | None, generator: Generator | None = None
    ) -> None:
        super().__init__()
        self.config = config
        self.bounds = config.recognition.bounds
        self.parts = (*[RECOGNITION] * (head is not None), *[CRITIC, GENERATOR] * (generator is not None))
        groups = len(self.bounds) + 1
        self.held: Frozen | None = None
        self.adversary: AgeHead | None = None
        self.critic: PatchCritic | None = None
        self.averaged: Generator | None = None
        if head is None:
            self.held = Frozen(recogniser)
        else:
            self.recogniser, self.head = recogniser, head
            if config.recognition.adversary_weight:
                channels, *hw = recogniser.map_shape
                self.adversary = AgeHead(channels, (hw[0], hw[1]), groups, config.recognition.train.embedding)
        self.generator = generator
        if generator is not None:
            assert config.synthesis is not None
            self.critic = PatchCritic(groups, config.synthesis.critic_width)
            if config.synthesis.averaging:
                self.averaged = copy.deepcopy(generator).requires_grad_(False)
        self.watch = CriticWatch()

    @property
    def reader(self) -> Recogniser:
        """The recogniser, trained here or held."""
        found = self.recogniser if self.held is None else self.held.network
        assert isinstance(found, Recogniser)
        return found

    @property
    def trained(self) -> MtlFace:
        """What is kept of a training, with the averaged generator where there is one."""
        return MtlFace(self.reader, self.averaged or self.generator).eval()

    def forward(self, batch: Batch, part: str) -> dict[str, Tensor]:
        """Scalars of one part: "loss", detached terms, and of the ages told their "spread", the standard deviation over
        the batch in years, which falls to nothing where they collapse.

        batch: images [B, 3, H, W], identity [B], age [B] in years; with a generator [B, 2, …].
        """
        return {RECOGNITION: self.recognise, CRITIC: self.criticise, GENERATOR: self.draw}[part](batch)

    def recognise(self, batch: Batch) -> dict[str, Tensor]:
        """L_AIFR."""
        images, identity, age = (batch[name] if self.generator is None else batch[name][:, 0] for name in self.columns)
        asked, group = self.config.recognition, group_of(age, self.bounds)
        seen = self.recogniser.look(images)
        told = F.cross_entropy(self.head(self.recogniser.embed(seen.identity), identity), identity)
        years, groups = self.recogniser.ages(seen.age)
        expected = expected_age(years)
        aged = losses.age_estimation_loss(expected, groups, age, group)
        concealed = torch.zeros_like(told)
        if self.adversary is not None:
            years, groups = self.adversary(reverse(seen.identity))
            concealed = losses.age_estimation_loss(expected_age(years), groups, age, group)
        return {
            "loss": losses.recognition_loss(told, aged, concealed, asked.age_weight, asked.adversary_weight),
            "loss_identity": told.detach(),
            "loss_age": aged.detach(),
            "loss_adversary": concealed.detach(),
            "mae": F.l1_loss(expected.detach(), age),
            "spread": expected.detach().std(correction=0),
        }

    def criticise(self, batch: Batch) -> dict[str, Tensor]:
        """The critic's least squares over real faces of the group and drawn ones."""
        assert self.generator is not None and self.critic is not None
        (source, real), target = batch["images"].unbind(1), group_of(batch["age"][:, 1], self.bounds)
        with torch.no_grad(), still(self.reader):
            drawn = self.generator(source, self.reader.look(source), target)
        of_real, of_drawn = self.critic(real, target), self.critic(drawn, target)
        loss = losses.critic_loss(of_real, of_drawn)
        self.watch.see(loss)
        return {"loss": loss, "real": of_real.detach().float().mean(), "drawn": of_drawn.detach().float().mean()}

    def draw(self, batch: Batch) -> dict[str, Tensor]:
        """L_FAS: gradients pass through recogniser and critic and end at the generator."""
        assert self.generator is not None and self.critic is not None and self.config.synthesis is not None
        asked, source = self.config.synthesis, batch["images"][:, 0]
        target = group_of(batch["age"][:, 1], self.bounds)
        with still(self.reader, self.critic):
            with torch.no_grad():
                seen = self.reader.look(source)
            drawn = self.generator(source, seen, target)
            again = self.reader.look(drawn)
            years, groups = self.reader.ages(again.age)
            deceived = losses.adversarial_loss(self.critic(drawn, target))
        kept = losses.kept_identity_loss(seen.identity, again.identity, asked.reduction)
        aged = losses.target_age_loss(groups, target)
        weights = asked.adversarial_weight, asked.identity_weight, asked.age_weight
        return {
            "loss": losses.synthesis_loss(deceived, kept, aged, *weights),
            "loss_adversarial": deceived.detach(),
            "loss_identity": kept.detach(),
            "loss_age": aged.detach(),
            "spread": expected_age(years.detach()).std(correction=0),
        }

    @torch.no_grad()
    def after(self, step: int) -> None:
        """The averaged generator follows; a critic that has won is warned of."""
        if self.averaged is not None:
            assert self.generator is not None and self.config.synthesis is not None
            pairs = zip(self.averaged.parameters(), self.generator.parameters(), strict=True)
            for slow, quick in pairs:
                slow.lerp_(quick, 1 - self.config.synthesis.averaging)
        self.watch.warn(step)
