"""What an attack costs and how well it hides. SSIM: Wang, Bovik, Sheikh & Simoncelli, IEEE Transactions on Image
Processing 13(4), 2004."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, UInt8
from numpy import ndarray
from scipy.ndimage import gaussian_filter

from toadstone.core import Data, Poison

_BATCH = 256  # rows compared at a time; no result depends on it


@dataclass(frozen=True)
class Cost:
    """How much of the training set an attack changed, and how far it moved the rows that it replaced.

    ``rows`` were poisoned, a share ``rate`` of the poisoned set; ``appended`` of them are new, and
    ``labels_changed`` counts the others whose label was changed. The rest are means over the replaced rows, None
    when there are none or for rows of another kind. A row that only changed its label has moved by 0.

    - ``l0``, ``l2``, ``linf``: numbers changed, Euclidean distance, greatest change, in stored units (0..255 for
      images).
    - ``ssim``: structural similarity of images, 1 = the same.
    - ``psnr``: of images, in dB: 10 log10(255^2 / mean squared error over all replaced rows); None when it is 0.
    - ``words_changed``: of texts, the fewest words inserted, deleted or replaced.
    """

    rows: int
    rate: float
    appended: int
    labels_changed: int
    l0: float | None = None
    l2: float | None = None
    linf: float | None = None
    ssim: float | None = None
    psnr: float | None = None
    words_changed: float | None = None


def ssim(a: UInt8[ndarray, "n h w *c"], b: UInt8[ndarray, "n h w *c"]) -> Float[ndarray, " n"]:
    """Mean structural similarity of each pair of images, in [-1, 1].

    As in the paper: Gaussian window of 11 x 11 pixels with a standard deviation of 1.5, only where it lies inside
    the image, constants (0.01 * 255)^2 and (0.03 * 255)^2, per channel and averaged. Images of fewer than 11 pixels
    get the widest odd window that fits, so that their figures are not comparable with larger images'.
    A pixel at the border is in few windows: a small patch in a corner hardly lowers the mean.
    """
    radius = min(5, (min(a.shape[1:3]) - 1) // 2)
    inside = (slice(None), slice(radius, a.shape[1] - radius), slice(radius, a.shape[2] - radius))

    def smooth(x: ndarray) -> ndarray:
        return np.asarray(gaussian_filter(x, 1.5, radius=radius, axes=(1, 2)))[inside]

    u, v = a.astype(float), b.astype(float)
    mean_u, mean_v = smooth(u), smooth(v)
    var_u, var_v = smooth(u * u) - mean_u**2, smooth(v * v) - mean_v**2
    covariance = smooth(u * v) - mean_u * mean_v
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    similar = (2 * mean_u * mean_v + c1) * (2 * covariance + c2)
    similar = similar / ((mean_u**2 + mean_v**2 + c1) * (var_u + var_v + c2))
    mean: ndarray = similar.reshape(len(a), -1).mean(1)
    return mean


def word_edits(a: str, b: str) -> int:
    """The fewest words to insert, delete or replace to turn one text into the other (Levenshtein).

    >>> word_edits("a fine film", "a very fine movie")
    2
    """
    s, t = a.split(), b.split()
    while s and t and s[-1] == t[-1]:
        s.pop()
        t.pop()
    code = {word: i for i, word in enumerate({*s, *t})}
    other, step = np.array([code[word] for word in t], int), np.arange(len(t) + 1)
    row = step
    for i, word in enumerate(s, 1):
        best = np.minimum(row[1:] + 1, row[:-1] + (other != code[word]))
        row = np.minimum.accumulate(np.concatenate([[i], best]) - step) + step
    return int(row[-1])


def _moved(old: ndarray, new: ndarray) -> Float[ndarray, "n 4"]:
    """l0, l2, linf and mean squared error of each pair of rows."""
    gap = (new.astype(float) - old.astype(float)).reshape(len(old), -1)
    columns = ((gap != 0).sum(1), np.sqrt((gap**2).sum(1)), abs(gap).max(1), (gap**2).mean(1))
    return np.stack(columns, 1).astype(float)


def attack_cost(clean: Data, poison: Poison) -> Cost:
    """The cost of ``poison`` on ``clean``, the data set that it was made for."""
    n, replaced = len(clean), np.flatnonzero(poison.index < len(clean))
    appended, index = len(poison.index) - len(replaced), poison.index[replaced]
    changed = int((clean.y[index] != poison.y[replaced]).sum())
    counts = (len(poison.index), len(poison.index) / (n + appended), appended, changed)
    if not len(replaced):
        return Cost(*counts)
    if clean.x.dtype == object:
        edits = [word_edits(a, b) for a, b in zip(clean.x[index], poison.x[replaced], strict=True)]
        return Cost(*counts, words_changed=float(np.mean(edits)))
    images, distances, similarities = clean.x.dtype == np.uint8 and clean.x.ndim in (3, 4), [], []
    for start in range(0, len(replaced), _BATCH):
        part = slice(start, start + _BATCH)
        old, new = np.asarray(clean.x[index[part]]), poison.x[replaced[part]]
        distances.append(_moved(old, new))
        if images:
            similarities.append(ssim(old, new))
    l0, l2, linf, error = (float(mean) for mean in np.concatenate(distances).mean(0))
    if not images:
        return Cost(*counts, l0, l2, linf)
    psnr = float(10 * np.log10(255**2 / error)) if error else None
    return Cost(*counts, l0, l2, linf, float(np.concatenate(similarities).mean()), psnr)
