"""Grad-CAM: where on a face a number that was computed from its embedding comes from."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from aifr_lib.models.age_estimator import AgeEstimator
from aifr_lib.models.backbone import Backbone, check_stage


def grad_cam(
    network: Backbone | AgeEstimator,
    stage: int,
    x: Tensor,
    score: Callable[[Tensor], Tensor],
) -> Tensor:
    """ReLU(Σ_c w_c F_c) ``[B, h, w]`` of the map F after ``stage`` (1 … 4), w_c the
    mean over cells of ∂score/∂F_c.

    x: faces ``[B, 3, H, W]``. score: embeddings (logits) ``[B, D]`` to one number a
    face, ``[B]``. The network is in evaluation mode: a batch norm in training mode
    would mix the faces of a batch.
    Errors: ValueError for a stage that is not 1 … 4. Source: Selvaraju et al. 2017
        (arXiv 1610.02391), eqs. 1 and 2.

    >>> from aifr_lib import models
    >>> network = models.build("mobilefacenet", input_hw=(48, 48), width=0.125).eval()
    >>> faces = torch.zeros(2, 3, 48, 48)
    >>> grad_cam(network, 3, faces, lambda embeddings: embeddings[:, 0]).shape
    torch.Size([2, 6, 6])
    """
    check_stage(stage)
    with torch.no_grad():
        features = network.stage_maps(x)[stage - 1]
    features.requires_grad_()
    found = score(network.tail(stage, features))
    (gradient,) = torch.autograd.grad(found.sum(), features)
    return (gradient.mean((2, 3), keepdim=True) * features).sum(1).relu().detach()
