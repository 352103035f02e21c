"""What a training step of CAAE and of IPCGAN computes, each part in turn."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from aifr_lib.data.loader import Batch
from aifr_lib.losses import synthesis_rivals as losses
from aifr_lib.losses.mtlface import adversarial_loss, kept_identity_loss, target_age_loss
from aifr_lib.models.age_estimator import AgeEstimator, expected_age
from aifr_lib.models.backbone import STAGES
from aifr_lib.models.mtlface_synthesis import group_of
from aifr_lib.models.synthesis_rivals import Caae, CodeCritic, ImageCritic, Ipcgan, IpcganCritic
from aifr_lib.settings import synthesis_rivals as settings
from aifr_lib.training.engine import Frozen
from aifr_lib.training.objectives.critic_watch import CriticWatch
from aifr_lib.training.objectives.still import still


class CaaeObjective(nn.Module):
    """CAAE as it is trained: a face is drawn again from its code and its own age; codes are spread, pictures smooth.

    batch: images [B, 3, H, W], age [B] in years.
    """

    columns = ("images", "age")
    parts = ("autoencoder", "code_critic", "image_critic")

    def __init__(self, config: settings.Caae) -> None:
        super().__init__()
        self.config = config
        hw, groups = config.train.input_hw, len(config.bounds) + 1
        self.network = Caae(hw, groups, config.code, config.width)
        self.code_critic = CodeCritic(config.code)
        self.image_critic = ImageCritic(hw, groups, config.width)
        self.watch = CriticWatch()

    def forward(self, batch: Batch, part: str) -> dict[str, Tensor]:
        """Scalars of one part: "loss", and its detached terms."""
        images, group = batch["images"], group_of(batch["age"], self.config.bounds)
        if part == "autoencoder":
            return self.draw(images, group)
        if part == "code_critic":
            with torch.no_grad():
                code = self.network.encode(images)
            evenly = 2 * torch.rand_like(code) - 1
            return {"loss": losses.told_apart(self.code_critic(evenly), self.code_critic(code))}
        with torch.no_grad():
            drawn = self.network(images, group)
        loss = losses.told_apart(self.image_critic(images, group), self.image_critic(drawn, group))
        self.watch.see(loss)
        return {"loss": loss}

    def draw(self, images: Tensor, group: Tensor) -> dict[str, Tensor]:
        """Reconstruction, total variation, and what both critics say."""
        asked = self.config
        code = self.network.encode(images)
        drawn = self.network.decode(code, group)
        with still(self.code_critic, self.image_critic):
            even = losses.told_real(self.code_critic(code))
            real = losses.told_real(self.image_critic(drawn, group))
        again, smooth = F.mse_loss(drawn.float(), images.float()), losses.total_variation(drawn.float())
        loss = again + asked.smoothness_weight * smooth + asked.image_weight * real + asked.code_weight * even
        return {"loss": loss, "loss_again": again.detach(), "loss_image": real.detach(), "loss_code": even.detach()}

    def after(self, step: int) -> None:
        """A critic that has won is warned of."""
        self.watch.warn(step)


class IpcganObjective(nn.Module):
    """IPCGAN as it is trained. batch: images [B, 2, 3, H, W], age [B, 2]: the source, and a real face J of the group
    that is asked for.
    """

    columns = ("images", "age")
    parts = ("critic", "generator")

    def __init__(self, config: settings.Ipcgan, classifier: AgeEstimator) -> None:
        super().__init__()
        self.config = config
        groups = len(config.bounds) + 1
        self.network = Ipcgan(config.train.input_hw, groups, config.width, config.blocks)
        self.critic = IpcganCritic(groups, config.width)
        self.classifier = Frozen(classifier)
        self.watch = CriticWatch()

    def forward(self, batch: Batch, part: str) -> dict[str, Tensor]:
        """Scalars of one part: "loss", its detached terms, and of the ages told their "spread" in years."""
        source, real = batch["images"].unbind(1)
        target = group_of(batch["age"][:, 1], self.config.bounds)
        return self.criticise(source, real, target) if part == "critic" else self.draw(source, target)

    def criticise(self, source: Tensor, real: Tensor, target: Tensor) -> dict[str, Tensor]:
        """Real faces of the group, real faces said to be of another, drawn faces."""
        with torch.no_grad():
            drawn = self.network(source, target)
        groups = len(self.config.bounds) + 1
        another = (target + torch.randint(1, groups, target.shape, device=target.device)) % groups
        told = self.critic(real, target), self.critic(real, another), self.critic(drawn, target)
        loss = losses.matching_critic_loss(*told)
        self.watch.see(loss)
        return {"loss": loss, "real": told[0].detach().float().mean(), "drawn": told[2].detach().float().mean()}

    def draw(self, source: Tensor, target: Tensor) -> dict[str, Tensor]:
        """The critic deceived, the classifier's map kept, its group reached."""
        asked, estimator = self.config, self.classifier.network
        assert isinstance(estimator, AgeEstimator)
        drawn = self.network(source, target)
        with torch.no_grad():
            before, _ = map_and_years(estimator, source, asked.map_side)
        after, years = map_and_years(estimator, drawn, asked.map_side)
        with still(self.critic):
            deceived = adversarial_loss(self.critic(drawn, target))
        kept = kept_identity_loss(before, after, "sum")
        aged = target_age_loss(losses.group_logits(years, asked.bounds), target)
        loss = asked.adversarial_weight * deceived + asked.identity_weight * kept + asked.age_weight * aged
        return {
            "loss": loss,
            "loss_adversarial": deceived.detach(),
            "loss_identity": kept.detach(),
            "loss_age": aged.detach(),
            "spread": expected_age(years.detach()).std(correction=0),
        }

    def after(self, step: int) -> None:
        """A critic that has won is warned of."""
        self.watch.warn(step)


def map_and_years(estimator: AgeEstimator, x: Tensor, side: int) -> tuple[Tensor, Tensor]:
    """The map [B, C, h, w] of an age estimator whose width is nearest to ``side`` cells, and its logits [B, 101]."""
    maps = estimator.stage_maps(x)
    kept = min(maps, key=lambda one: abs(one.shape[-1] - side))
    return kept, estimator.tail(STAGES, maps[-1])
