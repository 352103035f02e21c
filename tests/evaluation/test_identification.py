"""Protocol P2 against a loop over probes and gallery pictures, and by hand."""

import numpy as np
import pytest

from aifr_lib.evaluation import identification
from aifr_lib.evaluation.identification import cmc, leave_one_out


def loop(embeddings, identities):
    """For each probe: best genuine and best impostor cosine over all other pictures."""
    unit = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
    found = {}
    for i in range(len(unit)):
        alike = identities == identities[i]
        genuine = {j: unit[i] @ unit[j] for j in np.flatnonzero(alike) if j != i}
        impostor = [unit[i] @ unit[j] for j in np.flatnonzero(~alike)]
        if genuine:
            found[i] = max(genuine.values()), max(impostor), max(genuine, key=genuine.get)
    return found


@pytest.mark.parametrize("cells", [1, 500, 10**6])
def test_it_is_the_plain_loop(monkeypatch, cells):
    monkeypatch.setattr(identification, "CELLS", cells)
    random = np.random.default_rng(0)
    identities = random.integers(30, size=90) * 10 - 7
    embeddings = random.standard_normal((30, 8))[(identities + 7) // 10] + random.standard_normal((90, 8))
    ages = random.uniform(0, 70, 90)
    result = leave_one_out(embeddings.astype(np.float32), identities, ages)
    expected = loop(embeddings.astype(np.float32).astype(np.float64), identities)
    assert result.probe.tolist() == list(expected)
    assert result.skipped == 90 - len(expected) > 0
    genuine, impostor, match = map(np.array, zip(*expected.values(), strict=True))
    np.testing.assert_allclose(result.genuine, genuine, atol=1e-6)
    np.testing.assert_allclose(result.impostor, impostor, atol=1e-6)
    np.testing.assert_array_equal(result.match, match)
    np.testing.assert_array_equal(result.hit, genuine > impostor)
    assert result.rank1 == pytest.approx(100 * np.mean(genuine > impostor))
    np.testing.assert_allclose(result.gap, np.abs(ages[result.probe] - ages[match]))
    assert 0 < result.rank1 < 100


def test_by_hand():
    # Pictures 0 and 1 are of one person, 60° apart; picture 2, of another, lies 20° from 1; 3 is alone.
    angles = np.radians([0, 60, 80, 200, 260])
    embeddings = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    result = leave_one_out(embeddings, np.array([1, 1, 2, 3, 2]), np.array([5, 30, 8, 8, np.nan]))
    assert result.probe.tolist() == [0, 1, 2, 4] and result.skipped == 1
    assert result.match.tolist() == [1, 0, 4, 2]
    assert result.hit.tolist() == [True, False, False, False] and result.rank1 == 25
    np.testing.assert_allclose(result.genuine[:2], [0.5, 0.5], atol=1e-6)
    np.testing.assert_allclose(result.impostor[:2], np.cos(np.radians([80, 20])), atol=1e-6)
    np.testing.assert_array_equal(result.gap, [25, 25, np.nan, np.nan])


def test_ranks_and_their_curve_against_sorting():
    random = np.random.default_rng(3)
    identities = random.integers(0, 12, 60)
    embeddings = random.standard_normal((60, 8)) + 0.8 * np.eye(12)[identities] @ random.standard_normal((12, 8))
    result = leave_one_out(embeddings, identities)
    unit = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
    for probe, rank in zip(result.probe, result.rank, strict=True):
        order = [j for j in np.argsort(-(unit @ unit[probe])) if j != probe]
        assert rank == 1 + next(k for k, j in enumerate(order) if identities[j] == identities[probe])
    np.testing.assert_array_equal(result.rank == 1, result.hit)
    curve = cmc(result.rank, longest=59)
    np.testing.assert_allclose(curve, [100 * (result.rank <= k).mean() for k in range(1, 60)])
    assert curve[0] == pytest.approx(result.rank1) and curve[-1] == 100
    assert cmc(np.array([1, 2, 2, 9]), longest=3).tolist() == [25, 75, 75]
    for bad in ([], [0, 1]):
        with pytest.raises(ValueError, match="at least one probe"):
            cmc(np.array(bad))


def test_the_size_of_a_block_changes_nothing(monkeypatch):
    random = np.random.default_rng(4)
    embeddings, identities = random.standard_normal((80, 32)), random.integers(0, 20, 80)
    whole = leave_one_out(embeddings, identities)
    monkeypatch.setattr(identification, "CELLS", 200)
    blocked = leave_one_out(embeddings, identities)
    for name in ("hit", "genuine", "impostor", "match", "rank"):
        np.testing.assert_array_equal(getattr(whole, name), getattr(blocked, name))


def test_orthogonal_identities_score_100():
    identities = np.repeat(np.arange(10), 4)
    assert leave_one_out(np.eye(10)[identities], identities).rank1 == 100


def test_a_tie_is_no_hit():
    identities = np.repeat(np.arange(50), 3)
    constant = np.tile(np.random.default_rng(0).standard_normal(512).astype(np.float32), (150, 1))
    assert leave_one_out(constant, identities).rank1 == 0
    # One picture enrolled under two names: its own person's copy is no nearer than the stranger's.
    shared = np.random.default_rng(1).standard_normal((150, 512)).astype(np.float32)
    shared[[1, 149]] = shared[0]
    result = leave_one_out(shared, identities)
    assert not result.hit[0] and result.genuine[0] == result.impostor[0]


def test_without_ages_gaps_are_unknown():
    result = leave_one_out(np.eye(4), np.array([0, 0, 1, 1]))
    assert np.isnan(result.gap).all()


@pytest.mark.parametrize(
    ("embeddings", "identities", "message"),
    [
        (np.eye(4), np.zeros(4, int), "one identity"),
        (np.eye(4), np.arange(4), "none of 4 identities has two pictures"),
        (np.eye(4), np.zeros(3, int), "identities has 3"),
        (np.eye(4)[:0], np.zeros(0, int), "hold no entry"),
        (np.eye(4) * [1, 1, np.nan, 1], np.array([0, 0, 1, 1]), "4 of 4 rows"),
        (np.diag([1, 1, 0, 1]), np.array([0, 0, 1, 1]), "1 of 4 rows are zero and have no direction: 2"),
    ],
)
def test_errors_say_what_is_wrong(embeddings, identities, message):
    with pytest.raises(ValueError, match=message):
        leave_one_out(embeddings, identities)
