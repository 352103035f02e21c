"""How alike two pictures are: peak signal-to-noise ratio, and structural similarity."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter

PEAK = 255.0
SIGMA, REACH = 1.5, 3.5  # of the window, pixels and standard deviations: 11 pixels wide
STEADY = (0.01 * PEAK) ** 2, (0.03 * PEAK) ** 2


def psnr(pictures: np.ndarray, others: np.ndarray) -> np.ndarray:
    """10 log10(255² / mean squared difference) in dB, [N], of uint8 [N, H, W, 3]; equal pictures get 99.

    >>> black, grey = np.zeros((1, 4, 4, 3), np.uint8), np.full((1, 4, 4, 3), 51, np.uint8)
    >>> round(float(psnr(black, grey)[0]), 2), float(psnr(grey, grey)[0])
    (13.98, 99.0)
    """
    _check(pictures, others)
    away = np.square(pictures.astype(np.float64) - others).mean((1, 2, 3))
    return np.minimum(99.0, 10 * np.log10(PEAK**2 / np.maximum(away, 1e-12)))


def ssim(pictures: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Structural similarity, [N], of uint8 [N, H, W, 3]; 1 of equal pictures (Wang, Bovik, Sheikh and Simoncelli 2004).

    On luminance (ITU-R 601), in a Gaussian window of 11 pixels, averaged where the window fits. Errors: ValueError for
    pictures smaller than it, or of different shapes.
    """
    _check(pictures, others)
    margin = int(REACH * SIGMA + 0.5)
    if min(pictures.shape[1:3]) <= 2 * margin:
        raise ValueError(f"ssim needs pictures wider and higher than {2 * margin} pixels, got {pictures.shape}")
    x, y = (one @ np.array([0.299, 0.587, 0.114]) for one in (pictures.astype(np.float64), others.astype(np.float64)))

    def window(values: np.ndarray) -> np.ndarray:
        blurred = gaussian_filter(values, (0, SIGMA, SIGMA), truncate=REACH)
        return blurred[:, margin:-margin, margin:-margin]

    mean_x, mean_y = window(x), window(y)
    var_x, var_y = window(x * x) - mean_x**2, window(y * y) - mean_y**2
    both = window(x * y) - mean_x * mean_y
    light, structure = STEADY
    alike = (2 * mean_x * mean_y + light) * (2 * both + structure)
    return (alike / ((mean_x**2 + mean_y**2 + light) * (var_x + var_y + structure))).mean((1, 2))


def _check(pictures: np.ndarray, others: np.ndarray) -> None:
    if pictures.dtype != np.uint8 or others.dtype != np.uint8 or pictures.shape != others.shape or pictures.ndim != 4:
        raise ValueError(
            "two arrays of pictures, uint8 [N, H, W, 3], of one shape are compared, got "
            f"{pictures.dtype} {pictures.shape} and {others.dtype} {others.shape}"
        )
