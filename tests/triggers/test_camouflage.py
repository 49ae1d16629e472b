import json

import numpy as np
import pytest
from scipy.optimize import linprog, nnls
from sklearn.datasets import load_sample_images

from toadstone.data import load
from toadstone.errors import ToadstoneError
from toadstone.evaluation.cost import ssim
from toadstone.registry import entry, from_spec, to_spec
from toadstone.triggers import Blend, Dynamic, Patch
from toadstone.triggers.camouflage import Camouflage, hide, nearest
from toadstone.triggers.scalers import Scaler, coefficients

SKIPPING = [
    Scaler("pillow", "nearest"),
    Scaler("torch", "nearest"),
    Scaler("torch", "bilinear"),
    Scaler("torch", "bicubic"),
    Scaler("opencv", "nearest"),
    Scaler("opencv", "linear"),
    Scaler("opencv", "cubic"),
]
READING = [
    Scaler("pillow", "box"),
    Scaler("pillow", "bilinear"),
    Scaler("torch", "area"),
    Scaler("torch", "bilinear", antialias=True),
    Scaler("opencv", "area"),
]


def installed(scaler):
    if scaler.library == "opencv":
        pytest.importorskip("cv2")
    return scaler


@pytest.fixture(scope="module")
def photos():
    """Four 128 x 128 pieces of each of two photographs, in colour."""
    images = load_sample_images().images
    return np.stack([image[a : a + 128, b : b + 128] for image in images for a in (60, 240) for b in (100, 400)])


def distance(a, b):
    return np.abs(a.astype(float) - b)


def least_distance(source, target, left, right, eps):
    """The quadratic program of one picture as least distance programming, by non-negative least squares (Lawson &
    Hanson 1974, ch. 23): min |d| with G d >= h."""
    weights, s, t = np.kron(left, right.T), source.ravel() / 255.0, target.ravel() / 255.0
    now, slack, one = weights @ s, eps / 255, np.eye(s.size)
    lower = np.vstack([weights, -weights, one, -one])
    least = np.concatenate([t - slack - now, now - t - slack, -s, s - 1])
    matrix, goal = np.vstack([lower.T, least]), np.append(np.zeros(s.size), 1.0)
    off = matrix @ nnls(matrix, goal, maxiter=10_000)[0] - goal
    return (255 * (s - off[:-1] / off[-1])).reshape(source.shape)


@pytest.mark.parametrize("scaler", [*SKIPPING[:4], *READING[:4]], ids=str)
@pytest.mark.parametrize("column", [True, False])
def test_the_quadratic_program_against_a_general_solver(scaler, column):
    rng = np.random.default_rng(0)
    full, size = ((20, 1), (5, 1)) if column else ((8, 6), (4, 3))
    scale = Scaler(scaler.library, scaler.kernel, *size, scaler.antialias)
    left, right = coefficients(scale, full)
    source = rng.integers(0, 256, (6, *full)).astype(np.float32)
    target = (left @ rng.integers(0, 256, (6, *full)) @ right).astype(np.float32)  # some picture makes it
    got = nearest(source, target, left, right, 2.0)
    assert (np.abs(left @ got @ right - target) <= 2.06).all()
    assert (got >= 0).all()
    assert (got <= 255).all()
    for i in range(6):
        best = least_distance(source[i], target[i], left, right, 2.0)
        assert np.abs(got[i] - best).max() < 0.5
        assert ((got[i] - source[i]) ** 2).sum() <= 1.002 * ((best - source[i]) ** 2).sum() + 0.1


def test_a_picture_does_not_depend_on_its_neighbours():
    rng = np.random.default_rng(0)
    left, right = coefficients(Scaler("pillow", "bilinear", 4, 4), (12, 12))
    source, target = (rng.integers(0, 256, (5, *shape)).astype(np.float32) for shape in ((12, 12), (4, 4)))
    target = (left @ target.repeat(3, 1).repeat(3, 2) @ right).astype(np.float32)
    target[3] = left @ source[2] @ right
    whole = nearest(source, target, left, right, 1.0)
    for i in range(5):
        assert np.abs(nearest(source[i : i + 1], target[i : i + 1], left, right, 1.0)[0] - whole[i]).max() < 1e-2


def test_where_no_picture_will_do_the_bounds_are_broken_by_as_little_as_can_be():
    left, right = coefficients(Scaler("pillow", "bilinear", 4, 4), (16, 16))
    chess = 255.0 * (np.indices((4, 4)).sum(0) % 2)  # more than a triangle twice as wide as the grid can make
    target = np.stack([chess, 0.5 * chess, 0.1 * chess + 90, np.full((4, 4), 100.0)]).astype(np.float32)
    got = nearest(np.full((4, 16, 16), 100, np.float32), target, left, right, 1.0)
    broken = np.maximum(np.abs(left @ got @ right - target) - 1, 0).sum((1, 2))
    weights, one = np.kron(left, right.T), np.eye(16)
    rows = np.block([[weights, -one], [-weights, -one]])
    for i in range(4):
        wanted, price = target[i].ravel(), np.append(np.zeros(256), np.ones(16))
        bounds = [(0, 255)] * 256 + [(0, None)] * 16
        least = linprog(price, rows, np.append(wanted + 1, 1 - wanted), bounds=bounds).fun
        assert least - 0.01 <= broken[i] <= 1.02 * least + 16 * 0.05
    assert broken[0] > 500
    assert broken[3] == 0


@pytest.mark.parametrize("scaler", SKIPPING, ids=str)
def test_a_hidden_trigger_is_there_after_the_resize_and_not_seen_before(scaler, photos):
    scale = installed(scaler)
    target = Patch(size=4)(scale(photos), seed=0)
    got = hide(photos, target, scale)
    assert distance(scale(got), target).mean() <= 2
    assert distance(scale(got), target).max() <= 3
    assert ssim(got, photos).mean() >= 0.9
    assert seen(got, photos, target, scale) < 0.5


@pytest.mark.parametrize("scaler", READING, ids=str)
def test_a_kernel_that_reads_every_pixel_shows_the_trigger(scaler, photos):
    scale, photos = installed(scaler), photos[::4]
    target = Patch(size=4)(scale(photos), seed=0)
    got = hide(photos, target, scale)
    assert seen(got, photos, target, scale) > 0.8


def seen(got, photos, target, scale):
    """The share of the trigger that is there at full size: its mean change over that of the resized picture."""
    change = (got.astype(float) - photos)[:, -12:, -12:].mean()
    return change / (target.astype(float) - scale(photos))[:, -3:, -3:].mean()


@pytest.mark.parametrize("scaler", SKIPPING[:3], ids=str)
def test_another_picture_is_hidden_as_well_but_shows_the_more_pixels_are_read(scaler, photos):
    target = scaler(photos)[::-1].copy()
    got = hide(photos, target, scaler)
    assert distance(scaler(got), target).mean() <= 2
    changed = (distance(got, photos) > 1).mean()
    assert changed <= (1 / 4 if scaler.kernel == "bilinear" else 1 / 16)
    for i in range(2):
        assert np.array_equal(hide(photos[i : i + 1], target[i : i + 1], scaler)[0], got[i])


def test_any_callable_and_what_does_not_fit(photos):
    def every_fourth(x):
        return x[:, 1::4, 3::4]

    got = hide(photos, every_fourth(photos)[::-1], every_fourth, 0.0)
    assert np.array_equal(every_fourth(got), every_fourth(photos)[::-1])
    rest = np.ones((128, 128), bool)
    rest[1::4, 3::4] = False
    assert np.array_equal(got[:, rest], photos[:, rest])
    with pytest.raises(ToadstoneError, match="make them agree"):
        hide(photos, every_fourth(photos)[:, 1:], every_fourth)
    with pytest.raises(ToadstoneError, match="eps must be a finite number of at least 0"):
        hide(photos, every_fourth(photos), every_fourth, -1.0)


def large(x):
    """Images at four times their size."""
    return x.repeat(4, 1).repeat(4, 2)


@pytest.mark.parametrize("scaler", [Scaler("pillow", "nearest", 8, 8), Scaler("torch", "bilinear", 8, 8)], ids=str)
@pytest.mark.parametrize("trigger", [Patch(size=2), Blend(0.3), Dynamic(Patch())], ids=str)
def test_the_resize_carries_the_trigger(scaler, trigger):
    x = large(load("digits").x[:40])
    before = x.copy()
    got = Camouflage(trigger, scaler)(x, seed=5)
    assert np.array_equal(x, before)
    assert (got.shape, got.dtype) == (x.shape, x.dtype)
    assert distance(scaler(got), trigger(scaler(x), seed=5)).max() <= 1.5
    left, right = coefficients(scaler, (32, 32))
    read = left.any(0)[:, None] & right.any(1)
    assert np.array_equal(got[:, ~read], x[:, ~read])


def test_spec_and_name():
    trigger = Camouflage(Patch(size=2), Scaler("pillow", "nearest", 4, 4))
    assert from_spec(json.loads(json.dumps(to_spec(trigger)))) == trigger
    assert entry("camouflage").cls is Camouflage
    assert "2019" in entry("camouflage").paper


def test_what_cannot_be_hidden():
    x = load("digits").x
    with pytest.raises(ToadstoneError, match="smaller than what scaler makes"):
        Camouflage(Patch(), Scaler())(x, seed=0)
    with pytest.raises(ToadstoneError, match="uint8"):
        Camouflage(Patch(), Scaler())(np.ones((4, 3)), seed=0)
    with pytest.raises(ToadstoneError, match="fit"):
        Camouflage(Patch(5), Scaler(height=4, width=4))(x, seed=0)
