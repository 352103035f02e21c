import json

import numpy as np
import pytest
from stored_examples import examples, feature_file, jpegs, write_rec
from typer.testing import CliRunner

from aifr_lib.cli.app import app


@pytest.fixture
def run():
    return lambda *arguments: CliRunner().invoke(app, ["data", *map(str, arguments)])


@pytest.fixture
def rec(tmp_path):
    return write_rec(tmp_path / "set" / "train.rec")


@pytest.mark.parametrize("command", [(), ("list",), ("inspect",), ("check",), ("convert",), ("features",), ("index",)])
def test_help_shows_examples(run, command):
    shown = run(*command, "--help")
    assert shown.exit_code == 0
    assert f"aifr data {' '.join(command)}" in shown.output


def test_inspect_says_what_there_is(run, tmp_path, rec):
    shown = run("inspect", rec.parent).output
    for line in ("kind               rec", "pictures           6", "people             3", "record 1  size 112×112"):
        assert line in shown
    found = json.loads(run("inspect", rec, "--json", "--first", 2).output)
    assert (found["pictures"], len(found["first"])) == (6, 2)
    for name, content in examples().items():
        if not name.endswith((".jpg", ".png", ".bmp", ".json")) and name not in ("property", "list.txt"):
            (tmp_path / name).write_bytes(content)
            shown = run("inspect", tmp_path / name)
            assert shown.exit_code == 0, shown.output
            assert shown.output.startswith("kind")


def test_check_exits_with_1_for_faults(run, rec):
    assert run("check", rec).exit_code == 0
    rec.write_bytes(rec.read_bytes()[:-2000])
    found = run("check", rec, "--json")
    assert found.exit_code == 1
    rows = json.loads(found.stdout)
    assert {row["record"] for row in rows} >= {"record 6", "record 9", "record 0"}
    shown = run("check", rec, "--most", 1)
    assert "and" in shown.output
    assert f"{len(rows)} faults" in shown.output
    assert run("check", rec.parent / "nothing").exit_code == 2


def test_check_of_splits(run, tmp_path):
    for name in ("train", "test"):
        (tmp_path / name / "ann").mkdir(parents=True)
        (tmp_path / name / "ann" / "1.jpg").write_bytes(jpegs()[0])
    assert run("check", tmp_path / "train", tmp_path / "test").exit_code == 0
    found = run("check", tmp_path / "train", tmp_path / "test", "--splits")
    assert found.exit_code == 1
    assert "1 identities stand in" in found.output


def test_convert_and_index(run, tmp_path, rec):
    shown = run("convert", rec, tmp_path / "folder")
    assert shown.output == f"6 pictures in {tmp_path / 'folder'}\n"
    assert run("index", tmp_path / "folder").output.startswith("6 pictures in ")
    (tmp_path / "a.bin").write_bytes(examples()["bytes4.bin"])
    refused = run("index", tmp_path / "a.bin")
    assert refused.exit_code == 2
    assert "is of kind 'bin', which is read without an index" in refused.output


def test_list_and_check_know_the_papers_sets_by_name(run, tmp_path, monkeypatch):
    from named_examples import write

    monkeypatch.setenv("AIFR_DATA", str(tmp_path))
    root = write("lfw", tmp_path)
    write("longitudinal", tmp_path)
    said = run("list").output
    for line in ("lfw            other counts  8 pictures are there, 13,233 are published", "morph          absent"):
        assert line in said
    rows = {row["name"]: row for row in json.loads(run("list", "--json").output)}
    assert (rows["longitudinal"]["state"], rows["agedb"]["stands in"]) == ("present", "relief-agedb")
    found = run("check", "lfw")
    assert found.exit_code == 0 and "warning: " in found.output and "no faults" in found.output
    (root / "pairs.txt").unlink()
    found = run("check", "lfw", "longitudinal")
    assert found.exit_code == 1 and "pairs.txt: this file is missing" in found.output
    misspelt = run("check", "aegdb")
    assert misspelt.exit_code == 2 and "did you mean 'agedb'" in misspelt.output


def test_feature_files_become_one_array(run, tmp_path):
    vectors = np.arange(12, dtype=np.float32).reshape(3, 4)
    for row, vector in enumerate(vectors):
        feature_file(tmp_path / "features" / f"7/{row}.jpg_r50.bin", vector)
    (tmp_path / "list.json").write_text(json.dumps({"path": [f"7/{row}.jpg" for row in range(3)]}))
    said = run("features", tmp_path / "list.json", tmp_path / "features", tmp_path / "all.npy", "--suffix", "_r50.bin")
    assert said.output.startswith("3 features of 4 numbers in ")
    assert (np.load(tmp_path / "all.npy") == vectors).all()
    missing = run("features", tmp_path / "list.json", tmp_path, tmp_path / "all.npy")
    assert missing.exit_code == 2 and "cannot read the features" in missing.output


def test_inspect_names_the_record_that_cannot_be_read(run, rec):
    content = bytearray(rec.read_bytes())
    at = content.find(jpegs()[0])
    content[at + 4 : at + 40] = bytes(36)
    rec.write_bytes(content)
    shown = run("inspect", rec)
    assert shown.exit_code == 2 and f"{rec}, record 1: cannot read the picture" in shown.stderr
