import json
import subprocess
from pathlib import Path

import numpy as np
import pytest

from aifr_lib.names import ConfigError
from aifr_lib.reporting import runs
from aifr_lib.reporting.runs import DataId, Result, RunSpec, RunStore

DATA = DataId(name="relief faces", version="relief-v0", hash="ab12")


def spec(seed=0, version=1, data=DATA, **values):
    return RunSpec(recipe="recognition", recipe_version=version, seed=seed, values=values, data=data)


def result(values=(0.25, 0.5), **summary):
    return Result({"relief-lfw": np.array(values)}, summary, "cpu", 2.5, ["{}"])


@pytest.fixture
def store(tmp_path, monkeypatch):
    monkeypatch.setenv("AIFR_CACHE", str(tmp_path / "cache"))
    return RunStore(tmp_path / "figures" / "smoke")


def test_key_names_recipe_and_seed_and_ignores_the_order_of_values():
    key = spec(seed=3, lr=0.1, alpha=0.4).key
    assert key.startswith("recognition-s3-")
    assert key == spec(seed=3, alpha=0.4, lr=0.1).key
    assert RunSpec.model_validate_json(spec(seed=3, lr=0.1, alpha=0.4).model_dump_json()).key == key


def test_key_changes_with_everything_that_determines_a_run():
    other_data = DataId(name="relief faces", version="relief-v1", hash="ab12")
    variants = [
        spec(lr=0.1),
        spec(lr=0.2),
        spec(seed=1, lr=0.1),
        spec(version=2, lr=0.1),
        spec(data=other_data, lr=0.1),
    ]
    assert len({variant.key for variant in variants}) == len(variants)


def test_computes_once_then_loads(store):
    calls = []

    def compute(folder):
        calls.append(folder)
        return result(accuracy=91.5)

    first = store.load_or_compute(spec(), compute)
    again = store.load_or_compute(spec(), compute)
    assert len(calls) == 1
    assert calls[0].is_dir() and calls[0] == store.work_folder(spec().key)
    assert first.summary == again.summary == {"accuracy": 91.5}
    assert first.scores["relief-lfw"].dtype == np.float16
    np.testing.assert_array_equal(first.scores["relief-lfw"], again.scores["relief-lfw"])
    assert set(again.versions) == {"python", "torch", "numpy", "aifr_lib"}


@pytest.mark.parametrize("launched", ["WORLD_SIZE", "PMI_SIZE"])
def test_several_processes_of_one_launch_compute_no_stored_run(store, monkeypatch, launched):
    stored = store.load_or_compute(spec(), lambda folder: result())
    monkeypatch.setenv(launched, "2")
    with pytest.raises(ConfigError, match=f"{launched} says .* start the same command several times instead"):
        store.load_or_compute(spec(seed=1), lambda folder: result())
    assert store.load_or_compute(spec(), lambda folder: result()).key == stored.key, "what is there can be read"


def test_absent_run_is_none_when_nothing_may_be_computed(store):
    assert store.load_or_compute(spec(), None) is None
    assert not store.root.exists()


def test_fresh_forgets_the_run_and_its_checkpoints(store):
    def compute(folder):
        assert not (folder / "checkpoint").exists()
        (folder / "checkpoint").touch()
        return result(accuracy=1.0)

    store.load_or_compute(spec(), compute)
    store.load_or_compute(spec(), lambda folder: compute(folder), fresh=True)
    assert [path.name for path in store.folder("x").parent.iterdir()] == [spec().key]


def test_only_the_end_of_the_log_is_kept(store):
    lines = [json.dumps({"step": step}) for step in range(200)]
    store.load_or_compute(spec(), lambda _: Result({}, {}, "cpu", 0.0, lines))
    kept = (store.folder(spec().key) / "log.jsonl").read_text().splitlines()
    assert kept == lines[-50:]


def test_counts_and_flags_keep_their_type(store):
    scores = {"hit": np.array([True, False]), "identity": np.array([70_000, 1])}
    run = store.load_or_compute(spec(), lambda _: Result(scores, {}, "cpu", 0.0))
    assert run.scores["hit"].dtype == bool
    assert run.scores["identity"].tolist() == [70_000, 1]


@pytest.mark.parametrize("bad", [np.nan, np.inf, 1e6])
def test_a_score_that_float16_cannot_hold_is_named(store, bad):
    with pytest.raises(ValueError, match=r"'relief-lfw'.*entry 1"):
        store.load_or_compute(spec(), lambda _: result((0.1, bad)))
    assert store.load(spec().key) is None


def test_objects_are_refused(store):
    with pytest.raises(ValueError, match="expected numbers"):
        store.load_or_compute(spec(), lambda _: Result({"s": np.array([{}])}, {}, "cpu", 0.0))


def test_a_summary_that_is_not_finite_is_refused(store):
    for value in (float("nan"), [float("inf")], np.float32(1), object()):
        with pytest.raises(ValueError, match="summary"):
            store.load_or_compute(spec(), lambda _, value=value: result(accuracy=value))
    with pytest.raises(ValueError, match="values"):
        spec(lr=float("nan"))


def test_a_failed_write_leaves_the_old_run_whole(store, monkeypatch):
    store.load_or_compute(spec(), lambda _: result(accuracy=1.0))

    def full_disk(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez_compressed", full_disk)
    with pytest.raises(OSError, match="No space"):
        store.load_or_compute(spec(), lambda _: result(accuracy=2.0), fresh=True)
    assert store.load(spec().key).summary == {"accuracy": 1.0}
    assert [path.name for path in (store.root / "_runs").iterdir()] == [spec().key]


def damage(path, how):
    if how == "truncated":
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    elif how == "empty":
        path.write_bytes(b"")
    elif how == "flipped":
        content = bytearray(path.read_bytes())
        content[len(content) // 3] ^= 0xFF
        path.write_bytes(content)
    else:
        path.unlink()


@pytest.mark.parametrize("how", ["truncated", "empty", "missing"])
@pytest.mark.parametrize("name", ["run.json", "scores.npz"])
def test_a_damaged_run_names_the_file_and_the_way_out(store, name, how):
    store.load_or_compute(spec(), lambda _: result(np.linspace(0, 1, 500)))
    path = store.folder(spec().key) / name
    damage(path, how)
    with pytest.raises(ConfigError, match="--fresh") as error:
        store.load(spec().key)
    assert str(path) in str(error.value)
    store.load_or_compute(spec(), lambda _: result(), fresh=True)
    assert store.load(spec().key) is not None


def test_a_flipped_bit_in_the_scores_is_seen(store):
    store.load_or_compute(spec(), lambda _: result(np.random.default_rng(0).random(500)))
    damage(store.folder(spec().key) / "scores.npz", "flipped")
    with pytest.raises(ConfigError, match=r"scores\.npz is damaged"):
        store.load(spec().key)


def test_pickled_scores_are_never_opened(store):
    store.load_or_compute(spec(), lambda _: result())
    np.savez(store.folder(spec().key) / "scores.npz", **{"relief-lfw": np.array([{"a": 1}], dtype=object)})
    with pytest.raises(ConfigError, match="allow_pickle"):
        store.load(spec().key)


def test_scores_of_another_shape_and_a_renamed_folder_are_seen(store):
    store.load_or_compute(spec(), lambda _: result())
    folder = store.folder(spec().key)
    np.savez(folder / "scores.npz", **{"relief-lfw": np.zeros(3, np.float16)})
    with pytest.raises(ConfigError, match="other shapes"):
        store.load(spec().key)
    folder.rename(folder.with_name("recognition-s9-000000000000"))
    with pytest.raises(ConfigError, match="it describes the run"):
        store.load("recognition-s9-000000000000")


def test_git_names_the_commit_of_this_checkout():
    state = runs.git()
    command = ["git", "-C", str(Path(__file__).parent), "rev-parse", "HEAD"]
    expected = subprocess.run(command, capture_output=True, text=True)
    assert state.sha == expected.stdout.strip()
    assert state.dirty in (True, False)


def test_git_is_empty_outside_a_checkout(tmp_path, monkeypatch):
    copy = tmp_path / "site-packages" / "aifr_lib" / "reporting" / "runs.py"
    copy.parent.mkdir(parents=True)
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    monkeypatch.setattr(runs, "__file__", str(copy))
    assert runs.git.__wrapped__() == runs.Git(sha=None, dirty=None)
