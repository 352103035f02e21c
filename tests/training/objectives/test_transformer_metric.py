import math

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.nn import functional as F

from aifr_lib import losses, models
from aifr_lib.losses.transformer_metric import summed_cross_entropy, weighted_losses
from aifr_lib.models import TransformerBranch
from aifr_lib.names import ConfigError
from aifr_lib.training.objectives.transformer_metric import TransformerMetric, slopes

CLASSES = 5


def objective(backbone="mobilefacenet", loss="arcface", branch=True, **options) -> TransformerMetric:
    torch.manual_seed(0)
    dropout = {"dropout": 0.0} if backbone != "mobilefacenet" else {}
    network = models.build(backbone, input_hw=(32, 32), width=0.125, embedding=12, **dropout)
    head = losses.build(loss, 12, CLASSES, s=16.0)
    encoder = TransformerBranch(network.feature_channels, 1, 4, 32, dropout=0.0, tokens=4) if branch else None
    return TransformerMetric(network, head, encoder, **options)


def batch() -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(1)
    return torch.randn(6, 3, 32, 32), torch.tensor([0, 1, 2, 3, 4, 0])


@pytest.mark.parametrize(
    ("loss", "options"),
    [
        ("softmax", {"branch": False}),
        ("cosface", {"branch": False}),
        ("arcface", {"alpha": 0.4}),
        ("adaface", {"alpha": 0.4, "classifier": "margin"}),
    ],
)
def test_compiled_it_is_one_graph(loss, options):
    module = objective(loss=loss, slopes_every=1, **options)
    module.after(0)  # asked for slopes, which a compiled step leaves out
    images, identity = batch()
    torch._dynamo.reset()
    said = torch._dynamo.explain(module)({"images": images, "identity": identity})
    assert (said.graph_count, said.graph_break_count) == (1, 0), said.break_reasons


def cross_entropy_by_hand(logits: list[list[float]], labels: list[int]) -> float:
    total = 0.0
    for row, y in zip(logits, labels, strict=True):
        total -= math.log(math.exp(row[y]) / sum(math.exp(value) for value in row))
    return total / len(labels)


def test_equations_11_and_12_by_hand():
    margin, transformer, labels = (
        [[2.0, 0.0, -1.0], [0.5, 1.5, 0.0]],
        [[0.0, 1.0, 0.0], [1.0, 3.0, -2.0]],
        [0, 1],
    )
    one = cross_entropy_by_hand(margin, labels)
    two = cross_entropy_by_hand(transformer, labels)
    added = [[a + b for a, b in zip(*rows, strict=True)] for rows in zip(margin, transformer, strict=True)]
    arguments = torch.tensor(margin), torch.tensor(transformer), torch.tensor(labels)
    losses = (F.cross_entropy(logits, arguments[2]) for logits in arguments[:2])
    assert weighted_losses(*losses, alpha=0.3).item() == pytest.approx(0.7 * one + 0.3 * two)
    assert summed_cross_entropy(*arguments).item() == pytest.approx(cross_entropy_by_hand(added, labels))


@pytest.mark.parametrize("loss", losses.HEADS)
@pytest.mark.parametrize("classifier", ["linear", "margin"])
@pytest.mark.parametrize("combine", ["weighted", "sum"])
def test_the_module_is_the_equations(loss, classifier, combine):
    alpha = 0.4 if combine == "weighted" else 0.0
    module = objective(loss=loss, alpha=alpha, classifier=classifier, combine=combine).eval()
    images, labels = batch()
    features = module.backbone.features(images)
    margin = module.head(module.backbone.embed(features), labels)
    encoded = module.branch(features)
    if classifier == "linear":
        transformer = encoded @ module.classifier.weight.T + module.classifier.bias
    else:
        transformer = module.classifier(encoded, labels)
        assert type(module.classifier) is type(module.head)
        assert (module.classifier.s, module.classifier.m) == (module.head.s, module.head.m)
    parts = F.cross_entropy(margin, labels), F.cross_entropy(transformer, labels)
    total = 0.6 * parts[0] + 0.4 * parts[1]
    if combine == "sum":
        total = F.cross_entropy(margin + transformer, labels)
    found = module({"images": images, "identity": labels})
    torch.testing.assert_close(found["loss"], total)
    if combine == "sum":
        assert set(found) == {"loss"}
        return
    assert set(found) == {"loss", "loss_margin", "loss_transformer"}
    torch.testing.assert_close(found["loss_margin"], parts[0])
    torch.testing.assert_close(found["loss_transformer"], parts[1])
    assert not found["loss_margin"].requires_grad and not found["loss_transformer"].requires_grad


def gradients(module: TransformerMetric, part: str) -> dict[str, float]:
    """Largest absolute gradient of each parameter under one module of the objective."""
    return {
        name: 0.0 if parameter.grad is None else float(parameter.grad.abs().max())
        for name, parameter in module.get_submodule(part).named_parameters()
    }


@pytest.mark.parametrize("backbone", ["mobilefacenet", "iresnet18"])
def test_a_small_alpha_is_nearly_the_base_loss_and_a_large_one_leaves_the_embedding_layer_little(backbone):
    images, labels = batch()
    base, little, much = (
        objective(backbone, branch=False),
        objective(backbone, alpha=1e-6),
        objective(backbone, alpha=0.999),
    )
    for module in (little, much):
        module.backbone.load_state_dict(base.backbone.state_dict())
        module.head.load_state_dict(base.head.state_dict())
    for module in (base, little, much):
        module({"images": images, "identity": labels})["loss"].backward()
    for one, two in zip(base.backbone.parameters(), little.backbone.parameters(), strict=True):
        torch.testing.assert_close(one.grad, two.grad, atol=1e-4, rtol=1e-3)
    for part in ("backbone.fc", "backbone.norm", "head"):
        plain, left = gradients(base, part), gradients(much, part)
        assert all(left[name] == pytest.approx(0.001 * plain[name], rel=1e-2, abs=1e-7) for name in plain), part


@pytest.mark.parametrize("backbone", ["mobilefacenet", "iresnet18"])
def test_each_branch_reaches_the_convolutions_and_only_the_first_the_embedding(backbone):
    module = objective(backbone, alpha=0.4)
    images, labels = batch()
    features = module.backbone.features(images)
    F.cross_entropy(module.branch_logits(features, labels), labels).backward()
    assert all(gradients(module, "backbone.stages").values())
    assert all(p.grad is None for p in (*module.backbone.fc.parameters(), *module.backbone.norm.parameters()))
    assert module.head.weight.grad is None

    module.zero_grad()
    F.cross_entropy(module.head(module.backbone(images), labels), labels).backward()
    assert all(gradients(module, "backbone.stages").values())
    assert gradients(module, "backbone.fc")["weight"] > 0
    assert all(gradients(module, "backbone.norm").values())
    assert all(p.grad is None for p in module.branch.parameters())


def test_the_margin_classifier_of_adaface_has_statistics_of_its_own():
    module = objective(loss="adaface", alpha=0.4, classifier="margin")
    module(dict(zip(("images", "identity"), batch(), strict=True)))
    assert float(module.head.mean) != 20 and float(module.classifier.mean) != 20
    assert float(module.head.mean) != float(module.classifier.mean)


@pytest.mark.parametrize("loss", losses.HEADS)
def test_autocast_and_channels_last(loss):
    module = objective(loss=loss, alpha=0.4).to(memory_format=torch.channels_last)
    images, labels = batch()
    images = images.to(memory_format=torch.channels_last)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = module({"images": images, "identity": labels})
    assert all(value.dtype == torch.float32 and value.isfinite() for value in found.values())
    found["loss"].backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in module.parameters())


@pytest.mark.parametrize("combine", ["weighted", "sum"])
def test_no_step_waits_for_a_value(combine):
    with FakeTensorMode():
        alpha = 0.4 if combine == "weighted" else 0.0
        module = objective(loss="adaface", alpha=alpha, classifier="margin", combine=combine)
        found = module({"images": torch.randn(4, 3, 32, 32), "identity": torch.zeros(4, dtype=torch.long)})
        found["loss"].backward()


def test_the_loss_falls_on_a_tiny_set():
    module = objective(alpha=0.4)
    optimiser = torch.optim.SGD(module.parameters(), lr=0.05, momentum=0.9)
    images, labels = batch()
    values = []
    for _ in range(20):
        optimiser.zero_grad()
        found = module({"images": images, "identity": labels})
        found["loss"].backward()
        optimiser.step()
        values.append({name: value.item() for name, value in found.items()})
    for part in ("loss", "loss_margin", "loss_transformer"):
        assert values[-1][part] < 0.5 * values[0][part], part


@pytest.mark.parametrize("control", ["transformer", "pooled"])
@pytest.mark.parametrize("combine", ["weighted", "sum"])
def test_slopes_are_the_gradients_at_the_last_map(control, combine):
    module = objective(alpha=0.4 if combine == "weighted" else 0.0, combine=combine).eval()
    if control == "pooled":
        module.branch = models.MeanBranch(module.branch.channels)
    images, labels = batch()
    features = module.backbone.features(images).detach().requires_grad_()
    margin = module.head(module.backbone.embed(features), labels)
    other = module.branch_logits(features, labels)
    if combine == "weighted":
        terms = 0.6 * F.cross_entropy(margin, labels), 0.4 * F.cross_entropy(other, labels)
    else:  # each path by itself, the other's logits as they are
        terms = F.cross_entropy(margin + other.detach(), labels), F.cross_entropy(margin.detach() + other, labels)
    wanted = [torch.autograd.grad(term, features, retain_graph=True)[0].norm() for term in terms]
    found = slopes(
        terms[0] + terms[1] if combine == "weighted" else F.cross_entropy(margin + other, labels),
        {"margin": margin, "transformer": other},
        features,
    )
    torch.testing.assert_close(found["slope_margin"], wanted[0])
    torch.testing.assert_close(found["slope_transformer"], wanted[1])


def test_slopes_are_asked_every_so_many_steps_and_change_nothing():
    quiet, asked = objective(alpha=0.4), objective(alpha=0.4, slopes_every=3)
    images, labels = batch()
    seen = []
    for step in range(1, 8):
        torch.manual_seed(step)
        quiet({"images": images, "identity": labels})["loss"].backward()
        torch.manual_seed(step)
        found = asked({"images": images, "identity": labels})
        found["loss"].backward()
        quiet.after(step), asked.after(step)
        seen += [step] if "slope_margin" in found else []
    assert seen == [3, 6]
    for one, two in zip(quiet.parameters(), asked.parameters(), strict=True):
        assert torch.equal(one.grad, two.grad)


def test_rescaled_is_what_eq_11_leaves_of_the_margin_loss():
    plain, module = objective(branch=False), objective(branch=False, alpha=0.4, rescaled=True)
    given = dict(zip(("images", "identity"), batch(), strict=True))
    one, two = plain(given)["loss"], module(given)
    torch.testing.assert_close(two["loss"], 0.6 * one)
    torch.testing.assert_close(two["loss_margin"], one.detach())
    assert module.branch is None and "loss_transformer" not in two


@pytest.mark.parametrize(("combine", "pairs"), [("weighted", 2), ("sum", 1)])
def test_a_step_takes_each_cross_entropy_once(monkeypatch, combine, pairs):
    module, taken = objective(alpha=0.4 if combine == "weighted" else 0.0, combine=combine), []
    whole = F.cross_entropy
    monkeypatch.setattr(F, "cross_entropy", lambda *given: taken.append(1) or whole(*given))
    module(dict(zip(("images", "identity"), batch(), strict=True)))
    assert len(taken) == pairs


def test_errors():
    for alpha in (1.5, 1.0, 0.0, -0.1):
        with pytest.raises(ConfigError, match=rf"alpha {alpha}: the weight of a branch lies in \(0, 1\)"):
            objective(alpha=alpha)
    with pytest.raises(ConfigError, match=r"alpha 0.0: the weight of a branch lies in \(0, 1\)"):
        objective(branch=False, rescaled=True)
    with pytest.raises(ConfigError, match="without a branch it is 0"):
        objective(branch=False, alpha=0.4)
    with pytest.raises(ConfigError, match="a sum has none"):
        objective(alpha=0.4, combine="sum")
    with pytest.raises(ConfigError, match="needs a transformer branch"):
        objective(branch=False, combine="sum")
    with pytest.raises(ConfigError, match="a branch is given"):
        objective(alpha=0.4, rescaled=True)
    with pytest.raises(ConfigError, match="unknown classifier 'liner'; did you mean 'linear'"):
        objective(classifier="liner")
    with pytest.raises(ConfigError, match="unknown combine 'summ'; did you mean 'sum'"):
        objective(combine="summ")
