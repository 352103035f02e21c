import numpy as np
import pytest

from aifr_lib.evaluation import distractors as module
from aifr_lib.evaluation.distractors import among_distractors, kept, nearest_distractor


def distractors_and_people(seed=0, people=12, each=4, distractors=300, width=24):
    random = np.random.default_rng(seed)
    identities = np.repeat(np.arange(people), each)
    centres = random.standard_normal((people, width))
    probes = centres[identities] + 0.9 * random.standard_normal((people * each, width))
    return probes, identities, random.standard_normal((distractors, width))


def by_loop(probes, identities, distractors, counts):
    """P3 as its definition says it: each ordered pair, each distractor, one at a time."""

    def cosine(a, b):
        return np.float32(a @ b / np.linalg.norm(a) / np.linalg.norm(b))

    hits = {}
    for i in range(len(probes)):
        for j in range(len(probes)):
            if i != j and identities[i] == identities[j]:
                genuine = cosine(probes[i], probes[j])
                hits[i, j] = [all(genuine > cosine(probes[i], d) for d in distractors[:count]) for count in counts]
    return hits


def test_against_a_loop_over_pairs_and_distractors():
    probes, identities, distractors = distractors_and_people()
    counts = (3, 30, 300)
    found = among_distractors(probes, identities, distractors, counts)
    expected = by_loop(probes, identities, distractors, counts)
    assert len(found.probe) == len(expected) == 12 * 4 * 3
    for pair, (i, j) in enumerate(zip(found.probe, found.mate, strict=True)):
        assert found.hit[:, pair].tolist() == expected[i, j]
    np.testing.assert_allclose(found.rank1, 100 * np.mean(list(expected.values()), axis=0))
    assert found.rank1[0] > found.rank1[1] > found.rank1[2] > 0
    assert found.counts.tolist() == found.compared.tolist() == list(counts)


def test_by_hand():
    # Person 1 at 0°, 30° and 90°; person 2 alone at 200°; strangers at 60° and −20°.
    angles = np.radians([0, 30, 90, 200])
    probes = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    distractors = np.stack([np.cos(np.radians([60, -20])), np.sin(np.radians([60, -20]))], axis=1)
    found = among_distractors(probes, np.array([1, 1, 1, 2]), distractors, (1, 2), ages=np.array([5, 20, np.nan, 3]))
    pairs = dict(zip(zip(found.probe, found.mate, strict=True), found.hit.T.tolist(), strict=True))
    assert found.skipped == 1
    assert pairs == {
        (0, 1): [True, False],  # 30° against 60°, then 20°
        (0, 2): [False, False],
        (1, 0): [False, False],  # 30° against 30°: a tie
        (1, 2): [False, False],
        (2, 0): [False, False],
        (2, 1): [False, False],
    }
    np.testing.assert_allclose(found.rank1, [100 / 6, 0])
    gaps = dict(zip(zip(found.probe, found.mate, strict=True), found.gap, strict=True))
    assert gaps[0, 1] == gaps[1, 0] == 15 and np.isnan(gaps[0, 2])


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_the_size_of_a_block_changes_no_bit(dtype, tmp_path, monkeypatch):
    probes, identities, distractors = distractors_and_people(seed=1, distractors=501, width=64)
    distractors[400] = probes[5]
    path = tmp_path / "distractors.npy"
    np.save(path, distractors.astype(dtype))
    counts = (1, 10, 100, 501)
    expected = among_distractors(probes, identities, distractors.astype(dtype), counts)
    for block, tile in ((1, 1), (7, 5), (64, 48), (501, 1000)):
        monkeypatch.setattr(module, "BLOCK", block)
        monkeypatch.setattr(module, "TILE", tile)
        found = among_distractors(probes, identities, path, counts)
        np.testing.assert_array_equal(found.hit, expected.hit)
        np.testing.assert_array_equal(found.impostor, expected.impostor)
    if dtype == np.float64:
        mates = found.mate == 5
        assert mates.any() and not found.hit[3, found.probe == 5].any()


def test_prefixes_are_those_distractors_alone():
    probes, identities, distractors = distractors_and_people(seed=2)
    together = among_distractors(probes, identities, distractors, (10, 77, 300))
    for number, count in enumerate((10, 77, 300)):
        alone = among_distractors(probes, identities, distractors[:count])
        np.testing.assert_array_equal(together.hit[number], alone.hit[0])


def test_double_precision_decides_where_single_precision_cannot():
    random = np.random.default_rng(3)
    base = random.standard_normal(128)
    distractors = base + 1e-9 * random.standard_normal((2000, 128))
    unit = distractors / np.linalg.norm(distractors, axis=1, keepdims=True)
    probe = random.standard_normal((1, 128))
    expected = (probe / np.linalg.norm(probe) @ unit.T).max()
    assert nearest_distractor(probe, distractors, np.array([2000]))[0, 0] == np.float32(expected)


def test_a_tie_is_no_hit():
    identities = np.repeat(np.arange(10), 3)
    constant = np.tile(np.random.default_rng(0).standard_normal(64), (30, 1))
    assert among_distractors(constant, identities, constant[:7]).rank1.tolist() == [0]
    # A copy of the mate in the distractors, at whatever length.
    probes, identities, distractors = distractors_and_people(seed=4)
    found = among_distractors(probes, identities, np.concatenate([distractors, 3 * probes]))
    assert found.rank1.tolist() == [0]
    assert among_distractors(np.eye(30)[np.arange(20) // 2], np.arange(20) // 2, np.eye(30)[10:]).rank1 == [100]


def test_noise_is_passed_over():
    probes, identities, distractors = distractors_and_people(seed=5)
    names = [f"flickr/{k}" for k in range(len(distractors))]
    noisy = [names[4], names[150]]
    clean = kept(names, noisy)
    found = among_distractors(probes, identities, distractors, (3, 5, 300), keep=clean)
    assert found.compared.tolist() == [3, 4, 298]
    alone = among_distractors(probes, identities, distractors[clean])
    np.testing.assert_array_equal(found.hit[2], alone.hit[0])
    with pytest.raises(ValueError, match=r"noise list: 1 of 2 ids are unknown \(flickr/9000\)"):
        kept(names, ["flickr/3", "flickr/9000"])


GOOD = distractors_and_people(people=3, distractors=20, width=4)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"identities": np.arange(12)}, r"none of 12 people has two pictures \(0, 1"),
        ({"identities": np.zeros(5)}, "identities has 5"),
        ({"embeddings": GOOD[0] * [1, 1, 1, np.nan]}, "embeddings: 12 of 12 rows are NaN or infinite: 0, 1"),
        ({"embeddings": GOOD[0] * 0}, "^embeddings: 12 of 12 rows are zero and have no direction: 0"),
        ({"embeddings": GOOD[0][:, 0]}, r"embeddings must be \[N, D\]"),
        ({"embeddings": GOOD[0][:, :3]}, r"distractors must be \[N, 3\], got \[20, 4\]"),
        (
            {"distractors": GOOD[2] * np.where(np.arange(20) == 13, np.inf, 1)[:, None]},
            "distractors: 1 of 20 rows .* NaN or infinite: 13",
        ),
        ({"distractors": GOOD[2] * (np.arange(20) != 13)[:, None]}, "1 of 20 rows of a block are zero .*: 13"),
        ({"distractors": GOOD[2].astype(int)}, "floating point"),
        ({"counts": (0, 5)}, "1 … 20 distractors"),
        ({"counts": (5, 21)}, "1 … 20 distractors"),
        ({"counts": ()}, "1 … 20 distractors"),
        ({"keep": np.ones(19, bool)}, "keep has 19"),
        ({"keep": np.arange(20) > 4, "counts": (5, 20)}, "first 5 distractors are listed as noise"),
    ],
)
def test_errors_say_what_is_wrong(change, message):
    embeddings, identities, distractors = GOOD
    arguments = {"embeddings": embeddings, "identities": identities, "distractors": distractors, **change}
    with pytest.raises(ValueError, match=message):
        among_distractors(**arguments)


def test_errors_name_the_file(tmp_path):
    embeddings, identities, distractors = GOOD
    path = tmp_path / "distractors.npy"
    np.save(path, np.where(np.arange(20)[:, None] == 7, np.nan, distractors))
    with pytest.raises(ValueError, match=r"distractors.npy: 1 of 20 rows of a block are NaN or infinite: 7$"):
        among_distractors(embeddings, identities, path)
    whole = path.read_bytes()
    for torn in (b"", b"junk", whole[:100], whole[:-9]):
        path.write_bytes(torn)
        with pytest.raises(ValueError, match=r"distractors.npy is not a whole .npy file"):
            among_distractors(embeddings, identities, path)
    np.savez(tmp_path / "several.npz", distractors)
    (tmp_path / "several.npz").rename(path)
    with pytest.raises(ValueError, match=r"distractors.npy: one array \[N, D\] .* an archive"):
        among_distractors(embeddings, identities, path)
    np.save(path, 3.0)
    with pytest.raises(ValueError, match=r"distractors.npy: one array \[N, D\] .* found an array \[\]"):
        among_distractors(embeddings, identities, path)
    with pytest.raises(FileNotFoundError):
        among_distractors(embeddings, identities, tmp_path / "absent.npy")
