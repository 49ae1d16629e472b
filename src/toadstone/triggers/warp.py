"""WaNet's trigger. Nguyen & Tran, ICLR 2021, arXiv:2102.10369."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, UInt8
from numpy import ndarray

from toadstone.fields import Positive, Several
from toadstone.overlay import Rows
from toadstone.registry import register
from toadstone.rng import child
from toadstone.triggers.base import check_images


def bicubic(size: int, k: int) -> Float[ndarray, "size k"]:
    """The weights that stretch ``k`` values over ``size`` places, ends on ends: cubic convolution with a = -0.75.

    >>> bicubic(3, 2)[1].tolist()
    [0.5, 0.5]
    """
    at, weights = np.linspace(0, k - 1, size), np.zeros((size, k))
    for tap in (-1, 0, 1, 2):
        value = np.floor(at) + tap
        d = abs(at - value)
        share = np.where(d <= 1, 1 - 2.25 * d**2 + 1.25 * d**3, 3 - 6 * d + 3.75 * d**2 - 0.75 * d**3)
        weights[np.arange(size), np.clip(value, 0, k - 1).astype(int)] += share
    return weights


def bilinear(
    image: UInt8[ndarray, "h w *c"], row: Float[ndarray, "a b"], column: Float[ndarray, "a b"]
) -> Float[ndarray, "a b *c"]:
    """The image between its pixels: the values at ``row`` in [0, h - 1] and ``column`` in [0, w - 1].

    >>> bilinear(np.array([[0, 100], [200, 0]], np.uint8), np.array([[0.5]]), np.array([[0.0]]))
    array([[100.]])
    """
    top, left = row.astype(int), column.astype(int)
    bottom, right = np.minimum(top + 1, image.shape[0] - 1), np.minimum(left + 1, image.shape[1] - 1)
    down, across = row - top, column - left
    if image.ndim == 3:
        down, across = down[..., None], across[..., None]
    upper = (1 - across) * image[top, left] + across * image[top, right]
    lower = (1 - across) * image[bottom, left] + across * image[bottom, right]
    return (1 - down) * upper + down * lower


@register("trigger")
@dataclass(frozen=True)
class Warp:
    """The image bent a little, as if it were printed on rubber: one smooth field for every input.

    Works hardly seen by eye, as it adds nothing to the image. Fails where images have no edges to bend, and when few
    rows carry it or training is short: it is harder to learn than a patch. Without the noise mode any small bend may
    call up the target. Coordinates run from -1 to 1 down and across; the pixel at p shows
    what was at clip(p + strength F(p) / h), bilinear between pixels and rounded, where h is the height in pixels.
    The field F is ``grid`` x ``grid`` vectors, drawn uniformly from [-1, 1], divided by their mean absolute value and
    stretched over the image (bicubic).

    - ``strength``: s; the mean way of the grid's points along an axis is about s / 2 pixels.
    - ``grid``: k; fewer points bend more smoothly.
    - ``field_seed``: which field; a part of the trigger, so that training and test see the same one.
    - ``noise``: the noise mode: every pixel of every input moves further by its own draw from [-1, 1] / h along each
      axis. Row i of a batch gets the i-th draw of ``seed``.

    Raises ToadstoneError when the rows are not images.

    >>> Warp(strength=4)(np.arange(0, 250, 10, np.uint8).reshape(1, 5, 5), seed=0)[0, 2]
    array([ 69, 173, 139,  90, 160], dtype=uint8)
    """

    strength: Positive = 0.5
    grid: Several = 4
    field_seed: int = 0
    noise: bool = False

    def field(self, height: int, width: int) -> Float[ndarray, "2 h w"]:
        """F: how far each pixel looks down and across, before ``strength / height``."""
        draw = np.random.default_rng(child(self.field_seed, "field"))
        points = draw.uniform(-1, 1, (2, self.grid, self.grid))
        points /= abs(points).mean()
        return bicubic(height, self.grid) @ points @ bicubic(width, self.grid).T

    def check(self, x: Rows) -> None:
        """Raise ToadstoneError unless ``x`` holds uint8 images."""
        check_images(x)

    def __call__(self, x: Rows, *, seed: int) -> UInt8[ndarray, "n h w *c"]:
        """A bent copy of ``x``; only the noise is drawn from ``seed``."""
        self.check(x)
        h, w = x.shape[1:3]
        plain = np.stack(np.meshgrid(np.linspace(-1, 1, h), np.linspace(-1, 1, w), indexing="ij"))
        grid = plain + self.strength * self.field(h, w) / h
        draw, out = np.random.default_rng(child(seed, "noise")), np.empty_like(np.asarray(x))
        for i, image in enumerate(np.asarray(x)):
            offset = draw.uniform(-1, 1, grid.shape) / h if self.noise else 0.0
            row, column = (np.clip(grid + offset, -1, 1) + 1) / 2
            out[i] = np.rint(bilinear(image, row * (h - 1), column * (w - 1)))
        return out
