"""The plan of ComFace's trainings, and what of it has run."""

from aifr_lib.experiments.comface import pretraining
from aifr_lib.settings.presets import load_preset


def test_a_line_says_where_a_method_begins_and_nothing_is_said_to_have_run(tmp_path):
    lines, done = pretraining.ledger(load_preset("classroom"), tmp_path)
    of = {line["method"]: line for line in reversed(lines)}
    assert of["Scratch"]["learns from"].startswith("no pictures") and "ImageNet" in of["ImageNet"]["learns from"]
    assert "generator's people" in of["ComFace"]["learns from"]
    assert of["ComFace"]["run so far"] == "pre-trained 0 of 2, fine-tuned 0 of 2"
    assert of["Scratch"]["run so far"] == "fine-tuned 0 of 2"
    assert of["intra-personal loss alone"]["then fine-tuned on"].startswith("nothing")
    assert any("with a fresh linear layer" in line["then fine-tuned on"] for line in lines)
    assert done.startswith("None of the ") and done.endswith("has run yet.")


def test_what_is_stored_is_counted_once_though_two_lines_rest_on_it(monkeypatch):
    preset = load_preset("classroom")
    first, *_ = preset.comface.ledger
    key = pretraining.trainings(preset.comface, first)[0][0].spec.key
    monkeypatch.setattr(pretraining, "gather", lambda store, jobs, **asked: {one: None for one in jobs if one == key})
    lines, done = pretraining.ledger(preset)
    shared = [line for line in lines if line["run so far"].startswith("pre-trained 1 of")]
    assert lines[0]["run so far"] == "pre-trained 1 of 2, fine-tuned 0 of 2" and len(shared) > 1
    assert done.startswith("1 of the ") and done.endswith("has run so far.")


def test_a_plan_that_is_done_is_said_to_be(monkeypatch):
    monkeypatch.setattr(pretraining, "gather", lambda store, jobs, **asked: dict.fromkeys(jobs))
    assert pretraining.ledger(load_preset("smoke"))[1] == "All of the 6 trainings of this plan have run."
