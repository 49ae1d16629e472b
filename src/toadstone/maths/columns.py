"""Rows of numbers as comparable columns."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32, Shaped, UInt8
from numpy import ndarray


def standardised(x: Shaped[ndarray, "n ..."]) -> Float32[ndarray, "n d"]:
    """Columns with mean 0 and variance 1, float32; those that are the same in every row are 0.

    >>> standardised(np.array([[1.0, 7.0], [3.0, 7.0]]))
    array([[-1.,  0.],
           [ 1.,  0.]], dtype=float32)
    """
    flat = x.reshape(len(x), -1)
    columns = np.empty(flat.shape, np.float32)
    for j in range(flat.shape[1]):
        column = flat[:, j].astype(np.float64)
        columns[:, j] = (column - column.mean()) / (column.std() or 1.0)
    return columns


def tiles(x: UInt8[ndarray, "n h w *c"], side: int = 16) -> Float32[ndarray, "n d"]:
    """Images, averaged over tiles to about ``side`` x ``side``, in [0, 1], as columns.

    >>> tiles(np.full((1, 32, 32), 255, np.uint8)).shape
    (1, 256)
    """
    x = x[..., None] if x.ndim == 3 else x
    th, tw = (max(1, size // side) for size in x.shape[1:3])
    h, w = x.shape[1] // th, x.shape[2] // tw
    out = np.zeros((len(x), h, w, x.shape[3]), np.float32)
    for a in range(th):
        for b in range(tw):
            out += x[:, a : h * th : th, b : w * tw : tw]
    columns: ndarray = (out / (255 * th * tw)).reshape(len(x), -1)
    return columns
