"""Transfer to a change: folds by subject, the best epoch, rates on validation, a stop in the third fold."""

import copy
import os
import signal

import numpy as np
import pandas as pd
import pytest
import torch

from aifr_lib.data import change_tasks
from aifr_lib.data.change_tasks import Task, both_orders
from aifr_lib.data.images import ChangePairs, Images
from aifr_lib.data.photograph_pairs import genuine_pairs
from aifr_lib.evaluation.probes import ridge_change
from aifr_lib.models import encoders
from aifr_lib.models.comface import Comparer
from aifr_lib.models.encoders import Encoder, features
from aifr_lib.settings.comface import Augmentation, Transfer
from aifr_lib.training import linear, transfer
from aifr_lib.training.engine import Stopped

ALONE = {"device": "cpu", "progress": False}
STILL = Augmentation(flip=0, jitter=0, grey=0, crop=None)
CONFIG = Transfer(batch=4, epochs=3, tuning_epochs=1, rates=(1e-2, 1e-9), augmentation=STILL, target="scaled", folds=4)


def tiny():
    torch.manual_seed(0)
    network = torch.nn.Sequential(
        torch.nn.Conv2d(3, 4, 3, 2), torch.nn.BatchNorm2d(4), torch.nn.ReLU(), torch.nn.AdaptiveAvgPool2d(2),
        torch.nn.Flatten(),
    )  # fmt: skip
    return Comparer(Encoder(network, 16))


@pytest.fixture(scope="module")
def task():
    """Eight subjects, six pictures each, the brighter the older."""
    random = np.random.default_rng(1)
    identity, age = np.repeat(np.arange(8), 6), random.integers(0, 60, 48).astype(float)
    pixels = (random.integers(0, 40, (48, 16, 16, 3)) + (3 * age).astype(int)[:, None, None, None]).astype(np.uint8)
    labels = pd.DataFrame({"record": [f"r{n}" for n in range(48)], "identity": identity, "age": age})
    images = Images("aged", "v", pixels, labels)
    a, b = genuine_pairs(identity)
    pairs = ChangePairs("aged", a, b, age[b] - age[a], "years")
    return Task("age", images, "age", pairs, pairs)


def test_no_subject_is_trained_validated_and_tested(task):
    parts = transfer.folds(CONFIG, task)
    tested = [pairs.a for pairs in transfer.tested_in(task, parts)]
    assert sorted(np.concatenate(tested)) == sorted(np.concatenate([task.tested.a, task.tested.b]))
    for fold in parts:
        held = [set(task.subjects[rows]) for rows in fold]
        assert not (held[0] & held[1] or held[0] & held[2] or held[1] & held[2])


def test_it_learns_and_tests_the_best_epoch(task, tmp_path):
    fold = transfer.folds(CONFIG, task)[0]
    found = transfer.fine_tune(CONFIG, task, fold, tiny(), tmp_path, rate=1e-2, seed=0, epochs=12, **ALONE)
    assert sorted(found.mae) == list(range(1, 13)) and found.mae[found.epoch] == min(found.mae.values())
    pairs = next(transfer.tested_in(task, [fold]))
    assert np.corrcoef(found.best, pairs.d)[0, 1] > 0.7
    np.testing.assert_allclose(found.best[: len(pairs) // 2], -found.best[len(pairs) // 2 :], rtol=1e-5, atol=1e-5)


def test_what_was_pre_trained_is_not_touched_and_c_starts_with_a_fresh_layer(task, tmp_path):
    comparer = tiny()
    before = copy.deepcopy(comparer.state_dict())
    fold = transfer.folds(CONFIG, task)[0]
    for setting, same in (("d", True), ("c", False)):
        config = CONFIG.model_copy(update={"setting": setting})
        start = transfer.layered(config, comparer, 0)
        assert torch.equal(start.linear.weight, comparer.linear.weight) == same
        transfer.fine_tune(config, task, fold, comparer, tmp_path / setting, rate=1e-2, seed=0, epochs=1, **ALONE)
    assert all(torch.equal(value, before[name]) for name, value in comparer.state_dict().items())


def test_rates_are_chosen_on_validation_subjects(task, tmp_path):
    rate, errors = transfer.best_rate(CONFIG, task, tiny(), tmp_path, **ALONE)
    assert set(errors) == {1e-2, 1e-9} and rate == min(errors, key=errors.get)


def test_a_layer_that_speaks_another_unit_is_rescaled(task):
    comparer = tiny()
    fold = transfer.folds(CONFIG, task)[0]
    with torch.no_grad():
        comparer.linear.weight.mul_(1000)
    transfer.rescaled(comparer, task, fold, 1.0)
    pairs = both_orders(change_tasks.some(task.learnt, change_tasks.within(task.learnt, fold.train)))
    said = transfer.predict(comparer, task.images, pairs)
    assert said @ (pairs.d - said) == pytest.approx(0, abs=1e-2 * (said @ said)), "least squares"


def test_a_kill_in_the_third_fold_changes_nothing(task, tmp_path, monkeypatch):
    def run(out):
        return [
            transfer.fine_tune(CONFIG, task, fold, tiny(), out / f"fold{k}", rate=1e-2, seed=0, **ALONE)
            for k, fold in enumerate(transfer.folds(CONFIG, task))
        ]

    whole = run(tmp_path / "whole")
    forward, calls = transfer.Change.forward, iter(range(1, 10_000))
    per_fold = len(whole[0].mae) * (len(transfer.folds(CONFIG, task)[0].train) // CONFIG.batch)

    def killing(self, *given):
        if next(calls) == 2 * per_fold + 5:
            os.kill(os.getpid(), signal.SIGTERM)
        return forward(self, *given)

    monkeypatch.setattr(transfer.Change, "forward", killing)
    with pytest.raises(Stopped):
        run(tmp_path / "parts")
    monkeypatch.undo()
    for one, other in zip(whole, run(tmp_path / "parts"), strict=True):
        assert one.mae == other.mae and one.epoch == other.epoch
        np.testing.assert_array_equal(one.best, other.best)
        np.testing.assert_array_equal(one.last, other.last)


def test_ridge_is_least_squares_with_a_penalty(task):
    random = np.random.default_rng(0)
    f = random.standard_normal((48, 5)) * [1, 10, 0.1, 1, 0]
    w, penalty = ridge_change(f, task.learnt, task.tested, penalties=(0.1,))
    scale = np.divide(1, f.std(0), out=np.zeros(5), where=f.std(0) > 0)
    v = (f[task.learnt.b] - f[task.learnt.a]) * scale
    expected = np.linalg.solve(v.T @ v / len(v) + 0.1 * np.eye(5), v.T @ task.learnt.d / len(v))
    np.testing.assert_allclose(w, scale * expected, rtol=1e-6, atol=1e-9)
    assert penalty == 0.1
    exact, _ = ridge_change(task.values[:, None], task.learnt, task.tested)
    assert exact[0] == pytest.approx(1, rel=1e-2)


def test_ridge_is_not_thrown_by_a_feature_that_hardly_moves_among_the_few_it_learns_from(task):
    random = np.random.default_rng(0)
    f = np.column_stack([task.values + random.standard_normal(48), random.standard_normal((48, 4))])
    few = ChangePairs("few", task.learnt.a[:6], task.learnt.b[:6], task.learnt.d[:6], "")
    seen = np.unique([few.a, few.b])
    f[seen, 4] = 1e-6 * task.values[seen]
    w, _ = ridge_change(f, few, few)
    assert np.abs(f @ w).max() < 3 * np.abs(task.values).max()


def test_linear_layers_stand_alone_whoever_is_beside_them(task):
    config = CONFIG.model_copy(update={"setting": "a", "epochs": 4, "views": 4, "rates": (1e-2, 1e-3)})
    comparer, fold = tiny(), transfer.folds(CONFIG, task)[0]
    views = [linear.view_features(config, comparer, task.images, v, seed=0) for v in range(4)]
    plain = linear.plain_features(comparer, task.images)
    values = np.stack([task.values, -2 * task.values], 1)
    other = ChangePairs("turned", task.tested.a, task.tested.b, -2 * task.tested.d, "")
    start = comparer.linear.weight[0].detach()

    def learnt(columns, pairs, rates):
        asked = config.model_copy(update={"rates": rates})
        return linear.evaluate_linear(asked, views, plain, values[:, columns], task.subjects, pairs, fold, start, 0)

    both = learnt([0, 1], [task.tested, other], (1e-2, 1e-3))
    alone = [learnt([0], [task.tested], (rate,)) for rate in (1e-2, 1e-3)]
    best = min(alone, key=lambda one: one.mae[0])
    np.testing.assert_allclose(both.predicted[0], best.predicted[0], rtol=1e-4, atol=1e-4)
    assert both.rate[0] == best.rate[0] and both.epoch[0] == best.epoch[0]


def test_as_many_views_as_epochs_are_training_without_a_cache(task):
    """The cached view of epoch e is what augmenting in epoch e gives."""
    config = CONFIG.model_copy(update={"augmentation": Augmentation(crop=(0.5, 1.0)), "views": 3})
    comparer = tiny()
    cached = [linear.view_features(config, comparer, task.images, v, seed=5) for v in range(3)]
    assert not torch.equal(cached[0], cached[1])
    torch.testing.assert_close(cached[2], linear.view_features(config, comparer, task.images, 2, seed=5))
    plain = linear.plain_features(comparer, task.images)
    x = torch.from_numpy(task.images.pixels).permute(0, 3, 1, 2) / 255
    torch.testing.assert_close(plain, features(comparer.encoder, x))


def test_targets_that_never_change_are_refused(task):
    still = Images("still", "v", task.images.pixels, task.images.labels.assign(age=30.0))
    pairs = ChangePairs("still", task.tested.a, task.tested.b, np.zeros(len(task.tested)), "years")
    with pytest.raises(ValueError, match="never changes within a subject"):
        change_tasks.check(Task("age", still, "age", pairs, pairs))


def test_too_few_subjects_are_refused(task):
    few = Task("age", task.images.take(np.arange(12)), "age", task.learnt, task.tested)
    with pytest.raises(ValueError, match="2 subjects cannot fill 4 folds"):
        transfer.folds(CONFIG, few)


def test_ages_are_learnt_one_by_one_and_told_as_a_difference(task, tmp_path):
    config = CONFIG.model_copy(update={"setting": "c", "ages": True})
    fold = transfer.folds(config, task)[0]
    centre = task.values[fold.train].mean()
    module = transfer.change_objective(config, task, fold, tiny(), 2.0)
    batch = {"images": torch.rand(3, 2, 3, 16, 16), "age": torch.tensor([[5.0, 9.0], [30.0, 2.0], [1.0, 60.0]])}
    h = module.comparer.encoder(batch["images"].flatten(0, 1))
    said = (h @ module.comparer.linear.weight[0]).view(3, 2)
    expected = (said - (batch["age"] - centre) / 2).abs().mean()
    torch.testing.assert_close(module(batch)["loss"], expected, check_dtype=False)
    found = transfer.fine_tune(config, task, fold, tiny(), tmp_path, rate=1e-2, seed=0, epochs=12, **ALONE)
    pairs = next(transfer.tested_in(task, [fold]))
    assert np.corrcoef(found.best, pairs.d)[0, 1] > 0.7


def test_a_fine_tuned_network_is_kept_with_its_unit(task, tmp_path, monkeypatch):
    monkeypatch.setitem(encoders.ENCODERS, "tiny", lambda side: tiny().encoder)
    fold = transfer.folds(CONFIG, task)[0]
    part = transfer.fine_tune(CONFIG, task, fold, tiny(), tmp_path / "fold", rate=1e-2, seed=0, epochs=1, **ALONE)
    transfer.keep(part, "tiny", CONFIG, "age", 16, tmp_path / "weights.safetensors")
    network, about = transfer.load(tmp_path / "weights.safetensors")
    assert (about.task, about.side, about.transfer) == ("age", 16, CONFIG)
    pairs = next(transfer.tested_in(task, [fold]))
    np.testing.assert_allclose(about.scale * transfer.predict(network, task.images, pairs), part.best, rtol=1e-5)
