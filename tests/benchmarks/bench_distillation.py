"""What teachers cost a student's training step, over that of a student alone; all ratios from one sitting.

Classroom shapes: MobileFaceNet of a quarter of the channels at 48 px under an IResNet of a quarter, 64 pictures a step,
3,000 classes. Outputs of the teachers are kept, as they are in a training; the later stages of the teacher are live.
Steps take turns in short rounds, so that a machine whose speed drifts slows all alike; a ratio is the median over
rounds of the processor time on one thread, which other processes do not lengthen as they do the clock's.
"""

from __future__ import annotations

import statistics
import time

import torch

from aifr_lib.models.blocks import fold_norms
from aifr_lib.settings.aad import Distillation
from aifr_lib.settings.presets import load_preset
from aifr_lib.training import distillation, recognition
from aifr_lib.training.distillation import Recogniser
from aifr_lib.training.objectives.distillation import EMBEDDING, MASKS, Student

CLASSES, BATCH = 3000, 64
STEPS, ROUNDS = 4, 7
WANTED = {"ad_last": 1.15, "ad_last_masks": 1.15, "ad": 2.7, "aad": 2.7}


def step_of(config: Distillation) -> tuple[Student, dict[str, torch.Tensor], torch.optim.Optimizer]:
    """A student in training, a batch as its rows give it, and its optimiser."""
    torch.manual_seed(0)
    size, recogniser = None, None
    if config.teacher is not None:
        teacher = recognition.backbone(config.teacher).eval()
        fold_norms(teacher)
        size = config.teacher.embedding
        recogniser = Recogniser(teacher.requires_grad_(False), "untrained")
    module = distillation.objective(config, CLASSES, recogniser, size).to(memory_format=torch.channels_last).train()
    if module.teacher is not None:
        module.teacher.network.to(memory_format=torch.channels_last)
    images = torch.randn(BATCH, 3, *config.train.input_hw).to(memory_format=torch.channels_last)
    batch = {"images": images, "identity": torch.randint(CLASSES, (BATCH,))}
    if size is not None:
        batch[EMBEDDING] = torch.randn(BATCH, 2, size)
    if config.masks != "none":
        batch[MASKS] = torch.rand(BATCH, 2, sum(height * width for height, width in module.sides))
    return module, batch, torch.optim.SGD(module.parameters(), lr=1e-4, momentum=0.9)


def seconds(module: Student, batch: dict[str, torch.Tensor], optimiser: torch.optim.Optimizer) -> float:
    """Processor seconds of ``STEPS`` steps."""
    started = time.process_time()
    for _ in range(STEPS):
        module(batch)["loss"].backward()
        optimiser.step()
        optimiser.zero_grad()
    return time.process_time() - started


def main() -> None:
    torch.set_num_threads(1)
    aad = load_preset("classroom").aad
    steps = {name: step_of(aad.student(aad.ledger[0], name, 0)) for name in ("self", *WANTED)}
    for step in steps.values():
        seconds(*step)
    rounds = [{name: seconds(*step) for name, step in steps.items()} for _ in range(ROUNDS)]
    alone = statistics.median(one["self"] for one in rounds) / STEPS
    print(f"self: {1000 * alone:.0f} ms a step of {BATCH} pictures")
    for name, wanted in WANTED.items():
        ratio = statistics.median(one[name] / one["self"] for one in rounds)
        print(f"{name}: {ratio:.2f} × self (wanted ≤ {wanted})")


if __name__ == "__main__":
    main()
