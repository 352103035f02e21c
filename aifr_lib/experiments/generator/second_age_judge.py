"""A second opinion on age: ridge regression on FG-NET over the last map of SFace.

It shares neither network nor features with the age judge, so that it may approve what that one found. It is fitted
where FG-NET is and never stored.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from sklearn.linear_model import Ridge
from sklearn.model_selection import GroupKFold, cross_val_predict
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from aifr_lib.data.named import fgnet
from aifr_lib.models import judges

# Chosen by five-fold cross-validation over FG-NET's people (mean error in years, correlation): SFace's embedding 5.5,
# .79; its map of 14×14 4.4, .89; its last map 4.1, .90; Gabor filters 6.7, .71; last map and Gabor filters 4.2, .89.
VERSION = "ridge over SFace's last map, FG-NET, v1"
PENALTY = 1000.0
FOLDS = 5
EstimateAge = Callable[[np.ndarray], np.ndarray]


def fitted() -> tuple[EstimateAge, dict[str, np.ndarray]]:
    """(uint8 crops [B, 112, 112, 3] → years [B], how good it is).

    How good: ``fgnet_age``, ``fgnet_told`` (by a model that has not seen the person) and ``fgnet_identity``, [M]
    each. Errors: FileNotFoundError without FG-NET; ImportError, with the command, without the extra ``real``.
    """
    images = fgnet.load()
    rows = np.flatnonzero(images.labels["found"].to_numpy())
    images = images.take(rows)
    embed = judges.sface_map()

    def features(crops: np.ndarray) -> np.ndarray:
        return np.concatenate([embed(crops[k : k + 32]) for k in range(0, len(crops), 32)])

    x = features(np.asarray(images.pixels))
    age = images.labels["age"].to_numpy(dtype=np.float64)
    people = images.labels["identity"].to_numpy()
    estimated = cross_val_predict(_model(), x, age, groups=people, cv=GroupKFold(FOLDS))
    model = _model().fit(x, age)
    good = {"fgnet_age": age.astype(np.float32), "fgnet_told": estimated.astype(np.float32), "fgnet_identity": people}
    return lambda crops: model.predict(features(crops)), good


def _model() -> Pipeline:
    return make_pipeline(StandardScaler(), Ridge(PENALTY))
