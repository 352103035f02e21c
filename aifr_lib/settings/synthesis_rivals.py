"""The two methods of age synthesis that MTLFace is compared with: CAAE and IPCGAN, one training of each."""

from __future__ import annotations

from pydantic import Field

from aifr_lib.names import Strict
from aifr_lib.settings.aad import AgeEstimation
from aifr_lib.settings.recognition import Recognition

TENS = (10.0, 20.0, 30.0, 40.0, 50.0, 60.0)
IDLE = "pictures, input, batch, epochs; what concerns identities and rates is idle"


class Caae(Strict):
    """A conditional adversarial autoencoder (Zhang, Song and Qi, CVPR 2017).

    A face becomes a code of 50 numbers in (−1, 1), from which and from an age a face is drawn. Stated there: kernels of
    5, the code, both critics, Adam at .0002 with β_1 .5. Inferred: the weights, since the printed ones belong to sums
    and the authors' public code sets others; no gender beside the age.
    """

    train: Recognition = Field(description=IDLE)
    bounds: tuple[float, ...] = Field(TENS, description="last year of each age group but the last")
    code: int = Field(50, ge=1)
    width: float = Field(1.0, gt=0, le=2)
    smoothness_weight: float = Field(0.001, ge=0, description="of total variation")
    image_weight: float = Field(0.001, ge=0, description="of the critic of pictures")
    code_weight: float = Field(0.01, ge=0, description="of the critic of codes")
    lr: float = Field(2e-4, gt=0)
    betas: tuple[float, float] = (0.5, 0.999)


class Ipcgan(Strict):
    """An identity-preserved conditional GAN (Wang, Tang, Luo and Gao, CVPR 2018).

    Stated there: the generator of Johnson et al. with six residual blocks, a patch critic told the age after its first
    layer, least squares with a third term for real faces of another age, weights 75, .00005 and 30, Adam at .001. Of
    the public code: β .5 and .99, the identity loss summed over a map (inferred from its weight).
    classifier: of ages, trained beforehand; its map of nearest to 13 cells a side, as the fifth convolution of the
    paper's AlexNet has, stands for that one (inferred: at 48 px the last map has 3 x 3 cells and tells no place).
    """

    train: Recognition = Field(description=IDLE)
    classifier: AgeEstimation
    bounds: tuple[float, ...] = Field(TENS, description="last year of each age group but the last")
    width: float = Field(1.0, gt=0, le=2)
    blocks: int = Field(6, ge=1)
    adversarial_weight: float = Field(75.0, ge=0)
    identity_weight: float = Field(5e-5, ge=0)
    map_side: int = Field(13, ge=1, description="cells across the map that is kept; the classifier's nearest")
    age_weight: float = Field(30.0, ge=0)
    lr: float = Field(1e-3, gt=0)
    betas: tuple[float, float] = (0.5, 0.99)
