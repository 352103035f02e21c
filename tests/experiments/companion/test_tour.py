import json

import numpy as np

from aifr_lib.data.relief import chosen
from aifr_lib.evaluation.verification import ten_fold
from aifr_lib.experiments.measure import embedders
from aifr_lib.files import repository_root
from aifr_lib.models import weights
from aifr_lib.reporting import artefacts
from aifr_lib.reporting.runs import RunStore
from aifr_lib.settings.presets import PRESETS, load_preset
from aifr_lib.settings.recognition import Recognition


def test_the_committed_network_is_small_and_what_the_preset_says():
    path = repository_root() / embedders.COMMITTED
    assert path.stat().st_size < 3_000_000
    metadata = weights.read_metadata(path)
    assert Recognition.model_validate(json.loads(metadata["recognition"])) == load_preset("classroom").tour.train
    network, config = embedders.tour_network(load_preset("lesson"))
    assert not network.training
    assert config.relief.test_identities == load_preset("lesson").tour.train.relief.test_identities
    assert weights.digest(network.state_dict()) == metadata["digest"]


def test_the_opening_page_has_the_committed_network_at_every_size():
    for preset in map(load_preset, PRESETS):
        network, config = embedders.committed_network(preset.tour.train.relief)
        assert (
            weights.digest(network.state_dict())
            == weights.read_metadata(repository_root() / embedders.COMMITTED)["digest"]
        )
        assert config.relief.size == config.input_hw[0], "pictures of the size that it was trained on"
        assert config.relief.test_identities == preset.tour.train.relief.test_identities


def test_its_committed_scores_give_its_committed_accuracy():
    """Scores are kept in float16; the ten-fold accuracy from them is that of the artefact within a pair or two."""
    preset = load_preset("classroom")
    artefact = artefacts.load("tour", "classroom")
    (key,) = artefact.runs
    run = RunStore(artefacts.figures_root("classroom")).load(key)
    for row in artefact.rows:
        name = row.keys["set"]
        pairs = chosen.face_pairs(preset.tour.train.relief, name)
        again = ten_fold(run.scores[name].astype(np.float32), pairs.same, pairs.fold, convention="cosine")
        assert abs(again.accuracy - row.measured.mean) < 0.3
        low, high = row.measured.ci95
        assert low < row.measured.mean < high


def test_it_knows_people_it_never_saw_and_age_makes_it_harder():
    found = {row.keys["set"]: row.measured for row in artefacts.load("tour", "classroom").rows}
    assert found["relief-lfw"].mean > 75
    # Random pairs hold children, and lie decades apart themselves: what years cost is seen against pairs near in age.
    assert found["relief-agedb"].ci95[1] < found["relief-near"].ci95[0]
