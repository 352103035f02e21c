"""A step of a student against a slow recomputation of eq. 10, with live teachers, one mode after the other."""

from __future__ import annotations

import copy

import pytest
import torch
from torch.nn import functional as F

from aifr_lib import models
from aifr_lib.losses import margins
from aifr_lib.losses.distillation import age_invariant_mask
from aifr_lib.models.age_estimator import AgeEstimator
from aifr_lib.models.attention import Attended, attention_mask
from aifr_lib.models.foreign.cards import Card, Carded
from aifr_lib.names import ConfigError
from aifr_lib.settings.aad import AgeEstimation, Distillation
from aifr_lib.settings.recognition import Recognition
from aifr_lib.training.kept import invariant_masks
from aifr_lib.training.objectives.distillation import Student, map_shapes

SIZE = (32, 32)
TRAIN = Recognition(input_hw=SIZE, width=0.125, embedding=8, s=8.0, m=0.1, batch=4)
TEACHER = TRAIN.model_copy(update={"backbone": "iresnet18", "embedding": 12})
AGES = AgeEstimation(train=TRAIN)
MASKED = {"masks": "own", "age_teacher": AGES}


def config(mode, **change):
    taught = {} if mode == "self" else {"teacher": TEACHER}
    return Distillation(train=TRAIN, mode=mode, **{**taught, **change})


def teacher_network(seed=1):
    torch.manual_seed(seed)
    network = models.build("iresnet18", input_hw=SIZE, width=0.125, embedding=12)
    network(torch.randn(16, 3, *SIZE))  # running statistics of its own
    return network.eval().requires_grad_(False)


def student(asked, teacher=None, teacher_head=None):
    torch.manual_seed(0)
    network = models.build("mobilefacenet", input_hw=SIZE, width=0.125, embedding=8)
    head = margins.build("arcface", 8, 5, s=8.0, m=0.1)
    return Student(network, head, asked, teacher, 12, teacher_head).train()


def batch_for(teacher, estimator, asked):
    torch.manual_seed(3)
    images = torch.randn(4, 3, *SIZE)
    batch = {"images": images, "identity": torch.tensor([0, 1, 2, 4])}
    both = (images, images.flip(-1))
    with torch.no_grad():
        if asked.mode != "self":
            batch["teacher_embedding"] = torch.stack([teacher(one) for one in both], 1)
        if asked.masks != "none":
            batch["age_masks"] = torch.stack([invariant_masks(estimator)(one) for one in both], 1)
    return batch


def mirrored_here(seed, count=4):
    torch.manual_seed(seed)
    return torch.rand(count, 1, 1, 1) < 0.5


def expected(module, batch, teacher, estimator, asked):
    """Eq. 10 with the teachers run live on what the student sees, and the networks entered by hand."""
    mirrored = mirrored_here(9)
    images = torch.where(mirrored, batch["images"].flip(-1), batch["images"])
    network = module.plain
    maps, masks, x = [], [], network.stem(images)
    first, *others = estimator.masks(images)
    invariant = [age_invariant_mask(first, other) for other in others]
    for number, stage in enumerate(network.stages):
        x = stage(x)
        if number and asked.masks != "none":
            masks.append(attention_mask(x, asked.attention_norm))
            x = x * {"student": masks[-1], "teacher": invariant[number - 1], "none": 1.0}[asked.feedback]
        maps.append(x)
    embedding = network.embed(network.last(x))
    total = F.cross_entropy(module.head(embedding, batch["identity"]), batch["identity"])
    if asked.mode == "self":
        return total
    wanted = teacher(images)
    power = 2 if asked.distance == "squared" else 1

    def angle(end):
        return ((1 - F.cosine_similarity(wanted, end)) ** power).mean()

    last = asked.last_weight
    if asked.mode == "kd":
        theirs = F.softmax(8.0 * module.teacher_head.network.cosine(wanted) / 4, 1)
        ours = F.log_softmax(8.0 * module.head.cosine(embedding) / 4, 1)
        return total + last * 16 * (theirs * (theirs.log() - ours)).sum(1).mean()
    given = module.projection(embedding)
    if asked.last == "embedding":
        total = total + last * ((wanted - given).square().sum(1).mean() if asked.mode == "l2" else angle(given))
    if asked.mode in ("l2", "ad", "aad"):
        theirs = teacher.stage_maps(images)
        for stage, adapt in enumerate(module.adapters, 1):
            weight = last / 2 ** (4 - stage) if asked.halving else last
            adapted = adapt(maps[stage - 1])
            if asked.mode == "l2":
                total = total + weight * (theirs[stage - 1] - adapted).square().sum((1, 2, 3)).mean()
            else:
                total = total + weight * angle(teacher.tail(stage, adapted))
    for theirs_mask, mine in zip(invariant, masks, strict=False):
        away = (theirs_mask - mine).square().flatten(1)
        total = total + asked.attention_weight * (away.mean(1) if asked.reduction == "mean" else away.sum(1)).mean()
    return total


CASES = [
    config("self"),
    config("l2", last_weight=0.001),
    config("ad_last", last_weight=3.0),
    config("ad"),
    config("aad", **MASKED),
    config("kd", last_weight=2.0),
    config("ad", distance="linear", halving=False, last_weight=0.5),
    config("ad", last="map"),
    config("l2", last="map", last_weight=0.01),
    config("ad_last", projection="linear"),
    config("ad_last", **MASKED, feedback="none", attention_norm="zscore", attention_weight=10.0),
    config("aad", **MASKED, feedback="teacher", reduction="sum"),
    config("l2", **MASKED, attention_norm="zscore"),
]


@pytest.mark.parametrize("asked", CASES, ids=lambda one: f"{one.mode}-{one.feedback}-{one.last}-{one.distance}")
def test_a_step_is_eq_10_with_live_teachers(asked):
    teacher = teacher_network()
    torch.manual_seed(2)
    estimator = AgeEstimator(SIZE, 0.125).eval().requires_grad_(False)
    head = margins.build("softmax", 12, 5, s=8.0) if asked.mode == "kd" else None
    module = student(asked, teacher if asked.mode in ("l2", "ad", "aad") else None, head)
    batch = batch_for(teacher, estimator, asked)
    assert set(module.columns) == set(batch)
    slow = copy.deepcopy(module)
    torch.manual_seed(9)
    found = module(batch)
    wanted = expected(slow, batch, teacher, estimator, asked)
    torch.testing.assert_close(found["loss"], wanted, rtol=1e-4, atol=1e-5)
    found["loss"].backward()
    wanted.backward()
    for (name, ours), other in zip(module.named_parameters(), slow.parameters(), strict=True):
        torch.testing.assert_close(ours.grad, other.grad, rtol=1e-3, atol=1e-5, msg=lambda m, name=name: f"{name}: {m}")
    assert all(one.grad is None for one in teacher.parameters())
    terms = {name.removeprefix("loss_") for name in found if name.startswith("loss_")}
    assert {f"slope_{name}" for name in terms} <= found.keys()
    assert all(value.isfinite() for value in found.values())


def test_slopes_are_those_of_each_weighted_term_where_it_enters():
    teacher = teacher_network()
    asked = config("ad", last_weight=3.0)
    module = student(asked, teacher)
    batch = batch_for(teacher, None, asked)
    torch.manual_seed(9)
    found = module(batch)
    torch.manual_seed(9)
    images = torch.where(torch.rand(4, 1, 1, 1) < 0.5, batch["images"].flip(-1), batch["images"])
    module = student(asked, teacher)  # batch norms as they were
    wanted = teacher(images)
    embedding = module.plain(images).detach().requires_grad_()
    (3.0 * (1 - F.cosine_similarity(wanted, module.projection(embedding))).square().mean()).backward()
    torch.testing.assert_close(found["slope_last"], embedding.grad.norm(), rtol=1e-3, atol=1e-6)
    end = teacher.tail(2, module.adapters[1](module.plain.stage_maps(images)[1])).detach().requires_grad_()
    (0.75 * (1 - F.cosine_similarity(wanted, end)).square().mean()).backward()
    torch.testing.assert_close(found["slope_stage2"], end.grad.norm(), rtol=1e-2, atol=1e-6)


def test_the_largest_loss_is_of_all_steps_and_is_kept_with_the_state():
    module = student(config("self"))
    batch = {"images": torch.randn(4, 3, *SIZE), "identity": torch.tensor([0, 1, 2, 3])}
    seen = [module(batch) for _ in range(4)]
    highest = max(float(one["loss"].detach()) for one in seen)
    assert float(seen[-1]["largest_loss"]) == pytest.approx(highest)
    assert float(module.state_dict()["largest_loss"]) == pytest.approx(highest)


def test_teachers_are_in_no_state_and_stay_bit_equal():
    teacher = teacher_network()
    before = copy.deepcopy(teacher.state_dict())
    asked = config("ad")
    module = student(asked, teacher)
    assert module.teacher.network is teacher, "no copy"
    assert not any(name.startswith("teacher") for name in module.state_dict())
    optimiser = torch.optim.SGD(module.parameters(), lr=0.1)
    batch = batch_for(teacher, None, asked)
    for _ in range(3):
        module(batch)["loss"].backward()
        optimiser.step()
        optimiser.zero_grad()
    assert not teacher.training
    assert all(torch.equal(value, before[name]) for name, value in teacher.state_dict().items())


def test_one_seed_starts_all_modes_from_one_student():
    teacher = teacher_network()
    plain = student(config("self")).plain.state_dict()
    for asked in (config("ad", last="map"), config("aad", **MASKED)):
        other = student(asked, teacher)
        assert all(torch.equal(value, other.plain.state_dict()[name]) for name, value in plain.items())
    assert isinstance(other.backbone, Attended)
    alone = student(config("aad", **MASKED, feedback="none"), teacher)
    assert not isinstance(alone.backbone, Attended), "without feedback the student is the plain network"


def test_stages_that_cannot_be_matched_are_named_with_what_to_do():
    other = models.build("iresnet18", input_hw=SIZE, width=0.125, embedding=12, last_stride=1).eval()
    with pytest.raises(ConfigError, match=r"stage 4: .* 2×2 cells and the teacher's 4×4.* same input_hw and last_st"):
        student(config("ad", last="map"), other)
    with pytest.raises(ConfigError, match="mode 'ad' copies stages and needs the teacher itself"):
        student(config("ad"))


def test_a_teacher_that_shows_no_stages_serves_the_last_loss_alone():
    onnx = Carded(torch.nn.Flatten(), Card(input_hw=SIZE))
    with pytest.raises(ConfigError, match=r"does not show its stages 1 to 3 .* use mode 'ad_last'"):
        student(config("aad", **MASKED), onnx)
    student(config("ad_last"), onnx)


def test_a_teacher_behind_its_card_is_given_pictures_as_it_expects_them():
    inner = teacher_network()
    carded = Carded(inner, Card(input_hw=SIZE, colour="bgr", mean=100.0, std=50.0)).eval().requires_grad_(False)
    asked = config("l2", last_weight=0.001)
    module = student(asked, carded)
    images = torch.randn(4, 3, *SIZE)
    batch = {"images": images, "identity": torch.tensor([0, 1, 2, 3])}
    batch["teacher_embedding"] = torch.stack([carded(images), carded(images.flip(-1))], 1)
    torch.manual_seed(9)
    found = module(batch)
    seen = torch.where(mirrored_here(9), images.flip(-1), images)
    module = student(asked, carded)
    theirs = inner.stage_maps(carded.prepare(seen))[0]
    ours = module.adapters[0](module.plain.stage_maps(seen)[0])
    torch.testing.assert_close(found["loss_stage1"], (theirs - ours).square().sum((1, 2, 3)).mean(), rtol=1e-4, atol=0)


def test_embeddings_of_other_sizes_need_a_projection():
    with pytest.raises(ConfigError, match=r"last stage: .* 8 numbers and the teacher's 12: .* projection to 'norm'"):
        student(config("ad_last", projection="none"))


def test_kd_over_other_classes_is_refused():
    with pytest.raises(ConfigError, match=r"tells 7 classes apart and the student 5: .* mode 'ad_last'"):
        student(config("kd"), None, margins.build("softmax", 12, 7))
    with pytest.raises(ConfigError, match="tells no classes apart"):
        student(config("kd"))


def test_the_shapes_of_maps_leave_the_network_as_it_was():
    network = models.build("mobilenetv1", input_hw=SIZE, width=0.125).train()
    before = copy.deepcopy(network.state_dict())
    assert map_shapes(network, SIZE) == [(16, 16, 16), (32, 8, 8), (64, 4, 4), (128, 2, 2)]
    assert network.training
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
