"""Tables II and III: which runs there are, what is shared, the paper's numbers, and rows of runs made up."""

import numpy as np
import pytest

from aifr_lib.data import relief
from aifr_lib.experiments.tml import alpha_sweep, trained, verification
from aifr_lib.reporting import claims
from aifr_lib.settings.presets import load_preset


@pytest.fixture
def preset(tiny):
    return load_preset("smoke", tiny)


def test_arcface_is_the_sweeps_at_both_ends():
    preset = load_preset("classroom")
    jobs = verification.jobs(preset)
    sweep = alpha_sweep.alpha_sweep_jobs(preset)
    for seed in range(5):
        for transformer, alpha in ((False, 0.0), (True, 0.4)):
            assert jobs["arcface", transformer, seed].spec == sweep[alpha, seed].spec
    new = [place for place in jobs if place[0] != "arcface"]
    assert len(new) == 12 and jobs[new[0]].spec.values["train"]["m"] == 0.156


def test_the_preset_paper_has_the_five_pairs_of_rows():
    preset = load_preset("paper")
    asked = preset.verification
    trained = {name: asked.training(preset.alpha_sweep, name, True, 0) for name in asked.bases}
    assert {(one.data, one.loss) for one in trained.values()} == {
        ("ms1mv2", "cosface"),
        ("ms1mv2", "arcface"),
        ("webface4m", "adaface"),
        ("webface4m", "cosface"),
        ("webface4m", "arcface"),
    }
    assert all(one.m is None and one.backbone == "iresnet100" and one.alpha == 0.4 for one in trained.values())


def test_lists_of_every_size_can_be_drawn():
    for name in ("smoke", "lesson"):
        faces = load_preset(name).alpha_sweep.train.relief
        for one in trained.LISTS:
            view = relief.PAIR_LISTS[one].view
            images = relief.labels_only("test", faces.test_identities, faces.test_per_identity, view=view)
            assert len(relief.pairs(images, one, count=faces.pairs).same) == faces.pairs, (name, one)


def test_rows_stand_beside_the_printed(preset, untrained, tmp_path):
    artefact = verification.TABLE2(preset, out=tmp_path)
    rows = {(row.keys["base"], row.keys["transformer"], row.keys["set"]): row for row in artefact.rows}
    assert rows["cosface", True, "relief-calfw"].measured.mean == pytest.approx(83.9)
    assert rows["cosface", True, "relief-calfw"].paper == 96.0 and rows["arcface", False, "relief-near"].paper == 99.83
    assert rows["adaface", True, "relief-agedb"].paper == 98.02
    assert rows["arcface", True, "relief-lfw"].paper is None, "random pairs are not LFW's"
    third = verification.TABLE3(preset, compute=False, out=tmp_path)
    assert third.runs == artefact.runs
    rates = {row.keys["set"]: row for row in third.rows if row.metric == "tar" and row.keys["base"] == "cosface"}
    assert set(rates) == {"relief-ijb, FAR 0.1", "relief-ijb, FAR 0.0001"}
    assert rates["relief-ijb, FAR 0.0001"].paper == 94.59 and rates["relief-ijb, FAR 0.1"].paper is None
    assert (tmp_path / "tml_table2" / "tml_table2.svg").stat().st_size > 1000


def test_claims_find_their_rows(preset, untrained, tmp_path):
    for experiment in (verification.TABLE2, verification.TABLE3):
        artefact = experiment(preset, seeds=range(3), out=tmp_path)
        classroom = artefact.model_copy(update={"preset": "classroom", "verdict": "none"})
        own = [claim for claim in claims.load() if claim.artefact == experiment.id]
        assert own
        for claim in own:
            verdict = claims.judge(claim, {experiment.id: classroom})
            assert verdict.outcome != "untested" and verdict.comparisons, verdict.reason


def test_the_shifted_row_is_put_right():
    for column, number in (("CPLFW", 92.08), ("CFPFP", 98.27), ("IJBB", 94.25)):
        found = verification.printed(verification.III, "arcface", False, column)
        assert found["paper"] == number and "shifted" in found["paper_source"]
    assert verification.printed(verification.III, "arcface", True, "CPLFW")["paper"] == 92.24
    assert verification.printed(verification.III, "cosface-webface4m", False, "IJBB") == {}
    assert verification.printed(verification.III, "arcface-webface4m", False, "CPLFW")["paper"] == 94.35


def test_printed_gains_are_shares_of_the_error():
    found = verification.printed_gains()
    assert found["LFW"][0] == pytest.approx(100 * 0.02 / 0.19)
    assert found["CALFW"][1] == pytest.approx(100 * 0.71 / 4.55)
    assert np.median(found["AgeDB"] + found["CALFW"]) == pytest.approx(3.6, abs=0.1)


def test_what_is_said_counts_what_is_beyond_chance(preset, untrained, tmp_path):
    artefact = verification.TABLE2(preset, seeds=range(3), out=tmp_path)
    said = verification.table2_found(artefact)
    assert said.startswith("Across ages the branch adds between +4.00 and +4.00 points:")
    assert "better beyond chance in 6 of 6 comparisons, worse in 0." in said and "Near in age" in said
