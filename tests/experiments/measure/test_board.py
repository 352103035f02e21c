"""The leaderboard: a network's row, its counts, and what refuses one."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
import torch

from aifr_lib import models
from aifr_lib.experiments.aad.teachers import SHELF
from aifr_lib.experiments.measure import board
from aifr_lib.models.weights import save_weights
from aifr_lib.names import ConfigError
from aifr_lib.reporting import artefacts
from aifr_lib.reporting.runs import RunStore
from aifr_lib.settings.presets import load_preset

SMOKE = load_preset("smoke")


@pytest.fixture
def weights(tmp_path):
    torch.manual_seed(0)
    network = models.build("mobilefacenet", input_hw=(32, 32), width=0.125, embedding=16)
    save_weights(network.eval(), tmp_path / "net.safetensors")
    return tmp_path / "net.safetensors"


def row(backbone="pixels", **given):
    return board.entry(backbone, SMOKE, data=given.pop("data", ["relief"]), device="cpu", progress=False, **given)


def test_a_file_of_weights_gets_a_row_with_its_size_and_its_command(weights):
    found = row(weights, name="Small", licence="MIT", given={"input_hw": [32, 32]})
    network = models.build("mobilefacenet", input_hw=(32, 32), width=0.125, embedding=16)
    assert found.parameters == sum(one.numel() for one in network.parameters())
    assert 0 < found.multiply_adds < 1e8
    # Folders of this machine stand nowhere.
    command = 'aifr evaluate --board --weights net.safetensors --name "Small" --licence "MIT" --data relief'
    assert found.command == command
    overall = [one for one in found.rows if one.keys["gap"] == "all" and one.metric == "accuracy"]
    assert [one.keys["pairs"] for one in overall] == list(SMOKE.protocols.relief.pair_lists)[: len(overall)]
    assert all(one.measured.interval == "identities" for one in overall)


def test_a_file_of_weights_needs_a_name_and_a_licence(weights):
    with pytest.raises(ConfigError, match="give --name and --licence"):
        row(weights, name="Small")


def test_data_that_is_missing_is_refused_where_it_is_asked_for_and_said_where_it_is_not(monkeypatch, tmp_path):
    monkeypatch.setenv("AIFR_DATA", str(tmp_path))
    with pytest.raises(ConfigError, match=r"no row for fgnet: .*FG-NET"):
        row(data=["fgnet"])
    monkeypatch.setattr(board, "BOARD_SETS", ("relief", "fgnet"))
    found = row(data=None)
    assert {one.keys["data"] for one in found.rows} == {"relief"}
    assert list(found.missing) == ["fgnet"] and "FG-NET" in found.missing["fgnet"]


def test_unknown_data_is_refused_with_the_nearest():
    with pytest.raises(ConfigError, match="did you mean 'relief'"):
        row(data=["releif"])


def test_a_row_takes_the_place_of_its_network_and_never_of_another(tmp_path):
    path = tmp_path / "board.json"
    one = board.Entry(name="A", licence="MIT", command="c", network="n1", parameters=1, multiply_adds=None, rows=())
    board.add(one, path)
    board.add(one.model_copy(update={"name": "B", "network": "n2"}), path)
    board.add(one.model_copy(update={"parameters": 2}), path)
    assert [(each.name, each.parameters) for each in board.read(path)] == [("A", 2), ("B", 1)]
    with pytest.raises(ConfigError, match="the row 'A' is another network's"):
        board.add(one.model_copy(update={"network": "n3"}), path)
    path.write_text('[{"name": "A"}]', encoding="utf-8")
    with pytest.raises(ConfigError, match=r"board\.json is no table of the board: 0\.licence"):
        board.read(path)


def test_weights_stored_as_int8_count_once(tmp_path):
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    arrays = {"w": np.zeros((6, 2), np.int8), "s": np.ones((2, 2), np.float32), "z": np.zeros((2, 2), np.int8)}
    graph = helper.make_graph(
        [
            helper.make_node("DequantizeLinear", ["w", "s", "z"], ["weights"], axis=0, block_size=3),
            helper.make_node("MatMul", ["x", "weights"], ["y"]),
        ],
        "blocks",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 6])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 2])],
        [numpy_helper.from_array(array, name) for name, array in arrays.items()],
    )
    onnx.save(helper.make_model(graph), tmp_path / "b.onnx")
    assert board.onnx_weights(tmp_path / "b.onnx") == 12


def test_the_committed_rows_are_those_of_the_published_photographs():
    artefact = artefacts.load("real_photographs", "classroom", board.repository_root() / "figures" / "classroom")
    published = {
        (one.keys["embedder"], one.keys["data"], one.keys["gap"], one.metric): one.measured.mean
        for one in artefact.rows
        if one.measured
    }
    entries = {one.command.rsplit(maxsplit=1)[1]: one for one in board.read() if "--backbone" in one.command}
    assert set(entries) == {"sface", "tour", "pixels"}
    for name, found in entries.items():
        ours = {(name, one.keys["data"], one.keys["gap"], one.metric): one.measured.mean for one in found.rows}
        shared = ours.keys() & published.keys()
        assert len(shared) > 20
        # Another build of a runtime may turn a rank or a threshold in a few pairs.
        assert all(abs(ours[key] - published[key]) <= 1 for key in shared)


def test_our_teacher_and_student_stand_there_as_their_stored_runs_have_them():
    root = board.repository_root()
    files = {word: one for one in board.read() for word in one.command.split() if word.endswith(".safetensors")}
    assert files and all(file.startswith(SHELF.as_posix()) for file in files)
    for file, found in files.items():
        digest = hashlib.sha256((root / file).read_bytes()).hexdigest()
        assert found.network == f"sha256:{digest}", "the file is another than the one that was measured"
        run = RunStore(root / "figures" / "classroom").load((root / file).parent.name)
        ours = {(one.keys["data"], one.keys["gap"]): one.measured.mean for one in found.rows if one.metric == "rank-1"}
        for data in ("orl", "fgnet"):
            stored = run.summary["photographs"][data]
            # The run embedded in single precision what is committed in half.
            assert ours[data, "all"] == pytest.approx(stored["rank1"], abs=1)
            for gap, rank1 in stored["rank1_gaps"].items():
                assert ours[data, gap] == pytest.approx(rank1, abs=1)


def test_a_network_that_tells_ages_and_no_people_gets_no_row():
    file = next((board.repository_root() / SHELF).glob("age_estimation-*/weights.safetensors"))
    with pytest.raises(ConfigError, match="tells ages, and embeds nobody"):
        row(file, name="Ages", licence="MIT")


@pytest.mark.parametrize(("name", "embedder"), [("raw pixels", "pixels"), ("our network (relief faces)", "tour"),
                                                ("SFace", "sface")])  # fmt: skip
def test_a_network_has_the_same_numbers_on_the_board_and_on_the_page_of_photographs(name, embedder):
    def numbers(rows):
        return {
            (row.keys["data"], row.keys["gap"], row.metric): row.measured.mean
            for row in rows
            if row.measured and row.keys["data"] in ("orl", "fgnet")
        }

    page = artefacts.load("real_photographs", "classroom").rows
    shown = numbers(row for row in page if row.keys["embedder"] == embedder)
    (entry,) = (one for one in board.read(board.BOARD) if one.name == name)
    on_board = numbers(entry.rows)
    assert len(shown.keys() & on_board.keys()) > 30
    assert {key: on_board[key] for key in shown.keys() & on_board.keys()} == pytest.approx(
        {key: shown[key] for key in shown.keys() & on_board.keys()}
    )
