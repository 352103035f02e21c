import torch
from stored_examples import jpegs, labelled, write_rec

from aifr_lib.settings.recognition import Recognition
from aifr_lib.training import recognition


def test_a_rec_is_trained_on_as_the_same_folder_is(tmp_path, monkeypatch):
    config = Recognition(
        data="casia-webface", width=0.25, embedding=16, layers=1, heads=4, feedforward=32, batch=6, epochs=1, drops=()
    )
    checksums = []
    for store in ("rec", "folder"):
        home = tmp_path / store / "casia-webface"
        home.mkdir(parents=True)
        if store == "rec":
            write_rec(home / "train.rec")
        for row, item in enumerate(labelled() if store == "folder" else ()):
            (home / str(item.identity)).mkdir(exist_ok=True)
            (home / str(item.identity) / f"{row}.jpg").write_bytes(jpegs()[row])
        monkeypatch.setenv("AIFR_DATA", str(tmp_path / store))
        images = recognition.training_faces(config)
        assert (images.name, len(images)) == ("casia-webface", 6)
        trained = recognition.train(config, tmp_path / f"run-{store}", device="cpu", progress=False)
        checksums.append(trained.checksum)
        assert torch.isfinite(next(trained.backbone.parameters())).all()
    assert checksums[0] == checksums[1]
