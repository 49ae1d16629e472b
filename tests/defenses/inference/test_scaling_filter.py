import json

import numpy as np
import pytest
from sklearn.datasets import load_sample_images

from toadstone.defenses.inference.scaling_filter import ScalingFilter, filter_read_pixels
from toadstone.errors import ToadstoneError
from toadstone.overlay import Overlay
from toadstone.registry import entry, from_spec, to_spec
from toadstone.triggers.camouflage import hide
from toadstone.triggers.scalers import Scaler, coefficients

SCALERS = [
    Scaler("pillow", "nearest", 5, 4),
    Scaler("torch", "bilinear", 5, 4),
    Scaler("torch", "bicubic", 4, 5),
    Scaler("pillow", "box", 7, 6),
]


def windows_of(image, scaler):
    """For each read pixel of a grey image its place and the sorted grey levels around it, mirrored at the border."""
    h, w = image.shape
    left, right = (matrix != 0 for matrix in coefficients(scaler, (h, w)))
    down, across = int(h / scaler.height), int(w / scaler.width)

    def mirrored(i, n):
        return -i - 1 if i < 0 else 2 * n - 1 - i if i >= n else i

    for i, j in np.ndindex(h, w):
        if left[:, i].any() and right[j].any():
            ring = np.ndindex(2 * down + 1, 2 * across + 1)
            spots = [(mirrored(i + a - down, h), mirrored(j + b - across, w)) for a, b in ring]
            yield (i, j), sorted(int(image[s]) for s in spots)


@pytest.mark.parametrize("scaler", SCALERS, ids=str)
@pytest.mark.parametrize("shape", [(2, 17, 14), (1, 17, 14, 2)])
def test_pixel_by_pixel(scaler, shape):
    x = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    median, drawn = (ScalingFilter(scaler, method).purify(x, seed=3) for method in ("median", "random"))
    for n in range(len(x)):
        for c in np.ndindex(shape[3:]):
            image = x[n][..., *c]
            wanted, windows = image.copy(), dict(windows_of(image, scaler))
            for spot, window in windows.items():
                wanted[spot] = window[len(window) // 2]
                assert drawn[n][..., *c][spot] in window
            assert np.array_equal(median[n][..., *c], wanted)
            for spot in np.ndindex(image.shape):
                assert spot in windows or drawn[n][..., *c][spot] == image[spot]


def test_random_picks_are_spread_over_the_window():
    scaler, n = Scaler("pillow", "nearest", 20, 20), 60
    x = np.arange(n * n, dtype=np.uint16).reshape(n, n)
    low, high = ((x % 60).astype(np.uint8)[None], (x // 60).astype(np.uint8)[None])
    across, down = (ScalingFilter(scaler, "random").purify(part, seed=0)[0] for part in (low, high))
    inside = np.ix_(range(4, 55, 3), range(4, 55, 3))  # Pillow reads the middle of each block of 3
    steps = np.stack([down - high[0].astype(int), across - low[0].astype(int)], 2)[inside].reshape(-1, 2)
    assert set(map(tuple, steps.tolist())) == {(a, b) for a in range(-3, 4) for b in range(-3, 4)}


@pytest.mark.parametrize("method", ["median", "random"])
def test_pure(method):
    x = np.random.default_rng(0).integers(0, 256, (4, 16, 16), np.uint8)
    before, defense = x.copy(), ScalingFilter(Scaler("torch", "bilinear", 4, 4), method)
    got = defense.purify(x, seed=1)
    assert np.array_equal(x, before)
    assert np.array_equal(got, defense.purify(x, seed=1))
    assert np.array_equal(got[1:3], defense.purify(x[1:3], seed=9 if method == "median" else 1))
    assert np.array_equal(got, defense.purify(Overlay.of(x, np.array([0]), x[:1]), seed=1))
    assert (method == "random") == (not np.array_equal(got, defense.purify(x, seed=2)))
    assert defense.purify(x[:0], seed=0).shape == (0, 16, 16)
    assert from_spec(json.loads(json.dumps(to_spec(defense)))) == defense
    flat = np.full((1, 16, 16), 77, np.uint8)
    assert np.array_equal(defense.purify(flat, seed=0), flat)


@pytest.mark.parametrize("method", ["median", "random"])
@pytest.mark.parametrize("scaler", [Scaler("pillow", "nearest"), Scaler("torch", "bilinear")], ids=str)
def test_a_hidden_picture_is_gone(scaler, method):
    images = load_sample_images().images
    clean = np.stack([image[60:188, b : b + 128] for image in images for b in (100, 400)])
    wolf = scaler(clean)[::-1].copy()
    left = scaler(ScalingFilter(scaler, method).purify(hide(clean, wolf, scaler), seed=0)).astype(float)
    sheep = np.abs(left - scaler(clean)).mean((1, 2, 3))
    assert (sheep < np.abs(left - wolf).mean((1, 2, 3))).all()


def test_any_callable():
    x = np.random.default_rng(0).integers(0, 256, (1, 8, 8), np.uint8)
    got = filter_read_pixels(x, lambda x: x[:, ::4, ::4], lambda windows: windows.max(2))
    wanted = x.copy()
    for i in (0, 4):
        for j in (0, 4):
            wanted[0, i, j] = x[0, max(0, i - 4) : i + 5, max(0, j - 4) : j + 5].max()
    assert np.array_equal(got, wanted)


def test_errors_and_name():
    assert entry("scaling-filter").contract == "purifier"
    assert "2020" in entry("scaling-filter").paper
    with pytest.raises(ToadstoneError, match="larger"):
        ScalingFilter(Scaler()).purify(np.zeros((1, 8, 8), np.uint8), seed=0)
    with pytest.raises(ToadstoneError, match="uint8"):
        ScalingFilter(Scaler()).purify(np.zeros((1, 8, 8)), seed=0)
