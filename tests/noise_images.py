"""Pictures for tests of training, made in no time."""

import numpy as np
import pandas as pd

from aifr_lib.data.images import Images


def make_images(identities: int = 4, per_identity: int = 4, size: int = 16, seed: int = 0) -> Images:
    """Noise pictures that share a mean colour within an identity: learnable, and made in no time."""
    rng = np.random.default_rng(seed)
    means = rng.integers(40, 216, size=(identities, 1, 1, 1, 3))
    noise = rng.integers(-20, 21, size=(identities, per_identity, size, size, 3))
    pixels = np.clip(means + noise, 0, 255).astype(np.uint8).reshape(-1, size, size, 3)
    identity = np.repeat(np.arange(identities), per_identity)
    labels = pd.DataFrame(
        {
            "record": [f"picture-{i:03d}" for i in range(len(pixels))],
            "identity": identity,
            "age": rng.uniform(3, 80, len(pixels)),
        }
    )
    return Images("noise", "1", pixels, labels)
