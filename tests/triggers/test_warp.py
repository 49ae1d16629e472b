import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import map_coordinates
from torch.nn import functional as F

from toadstone.checks import check_trigger
from toadstone.errors import ToadstoneError
from toadstone.registry import entry, from_spec, to_spec
from toadstone.triggers.warp import Warp, bicubic, bilinear


def slow_bilinear(image, row, column):
    """Every pixel by itself, as the mean of the four pixels around weighted by the areas opposite them."""
    h, w = image.shape[:2]
    out = np.zeros((*row.shape, *image.shape[2:]))
    for i, j in np.ndindex(row.shape):
        for a in range(h):
            for b in range(w):
                out[i, j] += max(0, 1 - abs(row[i, j] - a)) * max(0, 1 - abs(column[i, j] - b)) * image[a, b]
    return out


def the_paper_s_own_calls(x, points, strength):
    """A warp as the authors' framework computes it: interpolate the field, then sample with it, in float64."""
    h, w = x.shape[1:3]
    ins = torch.from_numpy(points[::-1].copy())[None]  # its first channel is the one across
    ins = ins / ins.abs().mean()
    noise = F.interpolate(ins, size=(h, w), mode="bicubic", align_corners=True).permute(0, 2, 3, 1)
    down, across = torch.meshgrid(
        torch.linspace(-1, 1, h, dtype=torch.float64), torch.linspace(-1, 1, w, dtype=torch.float64), indexing="ij"
    )
    grid = torch.clamp(torch.stack((across, down), 2)[None] + strength * noise / h, -1, 1)
    images = torch.from_numpy(x.astype(float)).reshape(len(x), h, w, -1).permute(0, 3, 1, 2)
    out = F.grid_sample(images, grid.expand(len(x), -1, -1, -1), align_corners=True)
    return out.permute(0, 2, 3, 1).reshape(x.shape).numpy()


def points_of(trigger):
    """The trigger's control points, read off where the stretched field passes through them."""
    return trigger.field(2 * trigger.grid - 1, 2 * trigger.grid - 1)[:, ::2, ::2]


@settings(deadline=None, max_examples=40)
@given(
    size=st.tuples(st.integers(1, 12), st.integers(1, 12)),
    channels=st.sampled_from([(), (1,), (3,)]),
    strength=st.floats(0.1, 20),
    grid=st.integers(2, 6),
    seed=st.integers(0, 99),
)
def test_against_torch(size, channels, strength, grid, seed):
    x = np.random.default_rng(seed).integers(0, 256, (2, *size, *channels), np.uint8)
    trigger = Warp(strength, grid, field_seed=seed)
    exact = the_paper_s_own_calls(x, points_of(trigger), strength)
    assert abs(trigger(x, seed=0) - exact).max() <= 0.5 + 1e-6


@settings(deadline=None, max_examples=30)
@given(
    size=st.tuples(st.integers(1, 6), st.integers(1, 6)),
    channels=st.sampled_from([(), (2,)]),
    seed=st.integers(0, 99),
)
def test_bilinear_against_the_slow_loop_and_scipy(size, channels, seed):
    rng = np.random.default_rng(seed)
    image = rng.integers(0, 256, (*size, *channels), np.uint8)
    row, column = rng.uniform(0, 1, (2, 4, 5)) * np.array([size[0] - 1, size[1] - 1])[:, None, None]
    row[0, 0], column[0, 0] = size[0] - 1, size[1] - 1  # the last pixel has no neighbour beyond
    found = bilinear(image, row, column)
    assert np.allclose(found, slow_bilinear(image, row, column), atol=1e-9)
    for c in range(channels[0] if channels else 1):
        one = image[..., c] if channels else image
        peer = map_coordinates(one.astype(float), [row, column], order=1, mode="nearest")
        assert np.allclose(found[..., c] if channels else found, peer, atol=1e-9)


@pytest.mark.parametrize(("size", "k"), [(28, 4), (5, 2), (1, 3), (9, 9), (40, 7)])
def test_bicubic_against_torch(size, k):
    weights = bicubic(size, k)
    value = torch.eye(k, dtype=torch.float64)[:, None, :, None]  # one column, of which each value is 1 in turn
    peer = F.interpolate(value, size=(size, 1), mode="bicubic", align_corners=True)[:, 0, :, 0].numpy().T
    assert np.allclose(weights, peer, atol=1e-12)
    assert np.allclose(weights.sum(1), 1)


def test_the_control_points_are_uniform_and_of_mean_size_one():
    points = np.stack([points_of(Warp(grid=4, field_seed=s)) for s in range(200)])
    assert np.allclose(abs(points).mean(axis=(1, 2, 3)), 1)
    sizes = (abs(points) / abs(points).max(axis=(1, 2, 3), keepdims=True)).ravel()
    # below the greatest of 32 sizes the other 31 are uniform: mean (31 / 2 + 1) / 32; standard error 0.0036
    assert abs(sizes.mean() - 16.5 / 32) < 0.015
    assert abs((points > 0).mean() - 0.5) < 4 * 0.5 / np.sqrt(points.size)


def test_a_flat_image_stays_and_no_value_is_made_up():
    flat = np.full((2, 9, 11, 3), 77, np.uint8)
    assert np.array_equal(Warp(strength=30)(flat, seed=0), flat)
    x = np.random.default_rng(0).integers(40, 200, (5, 16, 16), np.uint8)
    out = Warp(strength=30)(x, seed=0)
    assert out.min() >= 40
    assert out.max() < 200


def test_every_channel_is_bent_alike():
    x = np.random.default_rng(0).integers(0, 256, (3, 10, 12), np.uint8)
    three = Warp(2.0)(np.stack([x, x, x], 3), seed=0)
    assert all(np.array_equal(three[..., c], Warp(2.0)(x, seed=0)) for c in range(3))


def test_the_field_is_a_part_of_the_trigger():
    x = np.random.default_rng(0).integers(0, 256, (4, 28, 28), np.uint8)
    assert np.array_equal(Warp()(x, seed=0), Warp()(x, seed=99))
    assert not np.array_equal(Warp()(x, seed=0), Warp(field_seed=1)(x, seed=0))


def test_noise_against_a_slow_loop_over_a_ramp():
    """On a picture whose value is its column, the warp shows where it looked, and so what the noise added."""
    h, w, n = 12, 21, 300
    ramp = np.broadcast_to(10 * np.arange(w), (n, h, w)).astype(np.uint8)
    plain, noisy = (Warp(noise=noise)(ramp, seed=3) / 10 for noise in (False, True))
    inner = (slice(None), slice(None), slice(3, w - 3))  # where nothing is clipped
    moved = (noisy - plain)[inner]  # in columns; a column is 2 / (w - 1) of the coordinates
    limit = (w - 1) / 2 / h
    assert abs(moved).max() <= limit + 0.1
    assert abs(moved).max() > limit - 0.1
    assert abs(moved.std() - limit / np.sqrt(3)) < 0.03
    assert abs(moved.mean()) < 0.02
    flat = moved.reshape(n, -1)
    assert len(np.unique(flat, axis=0)) == n  # every input has its own
    assert abs(np.corrcoef(moved[:, :, 0].ravel(), moved[:, :, 1].ravel())[0, 1]) < 0.1  # and every pixel


def test_noise_follows_the_seed_and_the_position():
    x = np.random.default_rng(0).integers(0, 256, (9, 12, 12, 3), np.uint8)
    trigger = Warp(noise=True)
    whole = trigger(x, seed=1)
    for m in range(1, 9):
        assert np.array_equal(trigger(x[:m], seed=1), whole[:m])
    assert not np.array_equal(trigger(x, seed=2), whole)


@pytest.mark.parametrize("trigger", [Warp(), Warp(2.0, 8, 5), Warp(noise=True)])
def test_contract(trigger):
    check_trigger(trigger)
    assert from_spec(json.loads(json.dumps(to_spec(trigger)))) == trigger
    assert hash(replace(trigger)) == hash(trigger)
    assert trigger(np.zeros((0, 8, 8), np.uint8), seed=0).shape == (0, 8, 8)
    assert "2102.10369" in entry("warp").paper


def test_other_kinds_of_rows():
    with pytest.raises(ToadstoneError, match="uint8 images"):
        Warp()(np.zeros((2, 8, 8)), seed=0)
