import sys

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torch.nn import functional

from toadstone.errors import ToadstoneError
from toadstone.overlay import Overlay
from toadstone.triggers.scalers import Scaler, coefficients

PILLOW = [("pillow", k, False) for k in ("nearest", "box", "bilinear", "hamming", "bicubic", "lanczos")]
OPENCV = [("opencv", k, False) for k in ("nearest", "linear", "cubic", "area", "lanczos4")]
TORCH = [("torch", k, False) for k in ("nearest", "bilinear", "bicubic", "area")]
SMOOTH = [("torch", k, True) for k in ("bilinear", "bicubic")]
each_kernel = pytest.mark.parametrize("kernel", PILLOW + OPENCV + TORCH + SMOOTH, ids=str)
SIZES = [((32, 48), (8, 12)), ((41, 30), (13, 7)), ((9, 8), (9, 8)), ((16, 16), (1, 1))]


def made(kernel, height, width):
    if kernel[0] == "opencv":
        pytest.importorskip("cv2")
    return Scaler(*kernel[:2], height, width, kernel[2])


def by_library(kernel, image, height, width):
    """One RGB image through the library's own call, all channels at once."""
    library, name, antialias = kernel
    if library == "pillow":
        return np.asarray(Image.fromarray(image).resize((width, height), getattr(Image.Resampling, name.upper())))
    if library == "opencv":
        import cv2

        names = {"nearest": 0, "linear": 1, "cubic": 2, "area": 3, "lanczos4": 4}
        return cv2.resize(image, (width, height), interpolation=names[name])
    x = torch.tensor(image).permute(2, 0, 1)[None].double()
    out = functional.interpolate(x, size=(height, width), mode=name, antialias=antialias)
    return np.clip(np.rint(out[0].permute(1, 2, 0).numpy()), 0, 255)


@each_kernel
@pytest.mark.parametrize(("full", "size"), SIZES)
def test_a_scaler_is_the_library_s_own_resize(kernel, full, size):
    x = np.random.default_rng(0).integers(0, 256, (3, *full, 3), np.uint8)
    got = made(kernel, *size)(x)
    assert (got.dtype, got.shape) == (np.uint8, (3, *size, 3))
    for image, small in zip(x, got, strict=True):
        assert np.abs(by_library(kernel, image, *size) - small.astype(float)).max() <= 1  # SIMD rounds otherwise
    assert np.array_equal(made(kernel, *size)(x[..., 1]), got[..., 1])


@each_kernel
@pytest.mark.parametrize(("full", "size"), SIZES)
def test_coefficients_against_the_resize_of_random_pictures(kernel, full, size):
    scale = made(kernel, *size)
    left, right = coefficients(scale, full)
    assert (left.shape, right.shape) == ((size[0], full[0]), (full[1], size[1]))
    assert np.allclose(left.sum(1), 1)
    assert np.allclose(right.sum(0), 1)
    x = np.random.default_rng(1).integers(64, 192, (20, *full), np.uint8)
    gap = np.abs(left @ x @ right - scale(x))
    assert gap.max() <= 2
    assert gap.mean() <= 0.6
    x = np.random.default_rng(2).integers(0, 256, (20, *full), np.uint8)  # kernels with negative weights are cut off
    assert np.abs(np.clip(left @ x @ right, 0, 255) - scale(x)).mean() <= 0.7


def test_weights_that_are_known():
    grid = np.arange(8)
    for kernel in (TORCH[0], PILLOW[0]):
        left, _ = coefficients(Scaler(*kernel[:2], 8, 8), (32, 32))
        offset = 2 if kernel[0] == "pillow" else 0  # Pillow reads the middle of each block, torch its first pixel
        assert np.array_equal(left, np.eye(32)[4 * grid + offset])
    left, _ = coefficients(Scaler("torch", "bilinear", 8, 8), (32, 32))
    assert np.array_equal(left, (np.eye(32)[4 * grid + 1] + np.eye(32)[4 * grid + 2]) / 2)
    for kernel in (PILLOW[1], TORCH[3]):
        left, _ = coefficients(Scaler(*kernel[:2], 8, 8), (32, 32))
        assert np.allclose(left, np.kron(np.eye(8), np.ones(4) / 4), atol=1e-3)
    left, _ = coefficients(Scaler("torch", "bicubic", 8, 8), (32, 32))  # a = -0.75 half-way between two pixels
    assert np.allclose(left[3, 12:16], [-0.09375, 0.59375, 0.59375, -0.09375], atol=2e-3)
    left, _ = coefficients(Scaler("torch", "bilinear", 8, 8, antialias=True), (32, 32))
    triangle = 1 - np.abs(np.arange(-3.5, 4)) / 4
    assert np.allclose(left[3, 10:18], triangle / triangle.sum(), atol=2e-3)


@settings(deadline=None, max_examples=15)
@given(st.tuples(*[st.integers(4, 20)] * 2), st.tuples(*[st.integers(1, 4)] * 2), st.integers(0, 99), st.booleans())
def test_any_callable_with_matrices_inside(full, size, seed, whole):
    (h, w), (a, b) = full, size
    rng = np.random.default_rng(seed)
    left, right = rng.dirichlet(np.ones(h), a), rng.dirichlet(np.ones(w), b).T
    found = coefficients(lambda x: np.rint(left @ x @ right) if whole else left @ x @ right, (h, w))
    for got, true in zip(found, (left, right), strict=True):
        assert np.allclose(got, true, atol=6e-3 if whole else 3e-3)  # weights below 0.002 are left out


@pytest.mark.parametrize(
    ("scale", "word"),
    [
        (lambda x: np.median(x.reshape(len(x), 4, 2, 4, 2), (2, 4)), "linear"),
        (lambda x: 255 * (x[:, ::2, ::2] / 255.0) ** 2, "linear"),
        (lambda x: 255 - x[:, ::2, ::2], "plain grey"),
        (lambda x: (x[:, ::2, ::2] + x[:, ::2, ::2].swapaxes(1, 2).astype(float)) / 2, "separable"),
        (Scaler(height=9, width=4), "larger"),
        (Scaler(height=4, width=9), "larger"),
    ],
)
def test_what_has_no_coefficients(scale, word):
    with pytest.raises(ToadstoneError, match=word):
        coefficients(scale, (8, 8))


def test_rows_of_an_overlay_and_the_arguments_untouched():
    x = np.random.default_rng(0).integers(0, 256, (4, 8, 8), np.uint8)
    before = x.copy()
    scale = Scaler(height=4, width=2)
    over = Overlay.of(x, np.array([1]), 255 - x[1:2])
    assert np.array_equal(scale(over), scale(np.asarray(over)))
    assert np.array_equal(x, before)
    assert scale(x[:0]).shape == (0, 4, 2)


@pytest.mark.parametrize(
    ("fields", "word"),
    [
        ({"kernel": "linear"}, "of pillow use one of nearest"),
        ({"library": "torch", "kernel": "lanczos"}, "of torch use"),
        ({"antialias": True}, "antialias is for torch"),
        ({"library": "torch", "kernel": "area", "antialias": True}, "antialias is for torch"),
    ],
)
def test_fields(fields, word):
    with pytest.raises(ToadstoneError, match=word):
        Scaler(**fields)


def test_without_opencv_and_without_pictures(monkeypatch):
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(ToadstoneError, match=r"pip install 'opencv-python-headless>=4.8'"):
        Scaler("opencv", "linear")(np.zeros((1, 64, 64), np.uint8))
    for x in (np.zeros((1, 8, 8)), np.zeros((8, 8), np.uint8)):
        with pytest.raises(ToadstoneError, match="uint8"):
            Scaler()(x)
